package kms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

const (
	encryptDecrypt = "ENCRYPT_DECRYPT"
	signVerify     = "SIGN_VERIFY"
	macUsage       = "GENERATE_VERIFY_MAC"
)

// material is what a key is made of; one of them is set.
type material struct {
	secret  []byte // symmetric, HMAC
	rsa     *rsa.PrivateKey
	ecdsa   *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
}

// A spec is what a key of it can do (KMS developer guide, key spec reference).
type spec struct {
	encrypts, signs, macs []string
	make                  func() (material, error)
}

var (
	oaep     = []string{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}
	rsaSigns = []string{"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
		"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512"}
	specs = map[string]spec{
		"SYMMETRIC_DEFAULT":     {encrypts: []string{"SYMMETRIC_DEFAULT"}, make: octets(32)},
		"RSA_2048":              {encrypts: oaep, signs: rsaSigns, make: rsaOf(2048)},
		"RSA_3072":              {encrypts: oaep, signs: rsaSigns, make: rsaOf(3072)},
		"RSA_4096":              {encrypts: oaep, signs: rsaSigns, make: rsaOf(4096)},
		"ECC_NIST_P256":         {signs: []string{"ECDSA_SHA_256"}, make: curve(elliptic.P256())},
		"ECC_NIST_P384":         {signs: []string{"ECDSA_SHA_384"}, make: curve(elliptic.P384())},
		"ECC_NIST_P521":         {signs: []string{"ECDSA_SHA_512"}, make: curve(elliptic.P521())},
		"ECC_NIST_EDWARDS25519": {signs: []string{"ED25519_SHA_512"}, make: edwards},
		"HMAC_224":              {macs: []string{"HMAC_SHA_224"}, make: octets(28)},
		"HMAC_256":              {macs: []string{"HMAC_SHA_256"}, make: octets(32)},
		"HMAC_384":              {macs: []string{"HMAC_SHA_384"}, make: octets(48)},
		"HMAC_512":              {macs: []string{"HMAC_SHA_512"}, make: octets(64)},
	}
)

func octets(n int) func() (material, error) {
	return func() (material, error) {
		b := make([]byte, n)
		_, err := rand.Read(b)
		return material{secret: b}, err
	}
}

func rsaOf(bits int) func() (material, error) {
	return func() (m material, err error) {
		m.rsa, err = rsa.GenerateKey(rand.Reader, bits)
		return m, err
	}
}

func curve(c elliptic.Curve) func() (material, error) {
	return func() (m material, err error) {
		m.ecdsa, err = ecdsa.GenerateKey(c, rand.Reader)
		return m, err
	}
}

func edwards() (m material, err error) {
	_, m.ed25519, err = ed25519.GenerateKey(rand.Reader)
	return m, err
}

// mint makes a key's material. Its usage may be left out where there is but one.
func (k *key) mint() (err error) {
	s, ok := specs[k.spec]
	if !ok {
		return wire.Refuse("UnsupportedOperationException", "the sandbox makes no keys of spec %s", k.spec)
	}
	if k.usage == "" && k.spec == "SYMMETRIC_DEFAULT" {
		k.usage = encryptDecrypt
	}
	can := map[string]bool{encryptDecrypt: s.encrypts != nil, signVerify: s.signs != nil, macUsage: s.macs != nil}
	switch {
	case k.usage == "":
		return wire.Refuse("ValidationException", "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
	case !can[k.usage]:
		return wire.Refuse("ValidationException", "KeyUsage %s is not compatible with KeySpec %s", k.usage, k.spec)
	}
	k.material, err = s.make()
	return err
}

// context is an encryption context as authenticated data: the same whatever the order.
func context(m map[string]string) []byte {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(hex.EncodeToString([]byte(name)) + "=" + hex.EncodeToString([]byte(m[name])) + ";")
	}
	return []byte(b.String())
}

const sealed = "sandbox1" // a ciphertext begins with it, then the key's ID

func (k *key) seal(plain []byte, with map[string]string) ([]byte, error) {
	gcm, err := k.gcm()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	head := append([]byte(sealed), byte(len(k.id)))
	head = append(append(head, k.id...), nonce...)
	return gcm.Seal(head, nonce, plain, context(with)), nil
}

// keyOf is the ID of the key a ciphertext was made with; "" when that isn't in it.
func keyOf(blob []byte) string {
	rest, ok := strings.CutPrefix(string(blob), sealed)
	if !ok || len(rest) == 0 || len(rest) <= int(rest[0]) {
		return ""
	}
	return rest[1 : 1+int(rest[0])]
}

func (k *key) unseal(blob []byte, with map[string]string) ([]byte, error) {
	gcm, err := k.gcm()
	if err != nil {
		return nil, err
	}
	from := len(sealed) + 1 + len(k.id)
	if keyOf(blob) != k.id || len(blob) < from+gcm.NonceSize() {
		return nil, wire.Refuse("InvalidCiphertextException", "")
	}
	plain, err := gcm.Open(nil, blob[from:from+gcm.NonceSize()], blob[from+gcm.NonceSize():], context(with))
	if err != nil {
		return nil, wire.Refuse("InvalidCiphertextException", "")
	}
	return plain, nil
}

func (k *key) gcm() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.material.secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// hashes by the end of an algorithm's name.
var hashes = map[string]struct {
	new func() hash.Hash
	id  crypto.Hash
}{
	"SHA_1": {sha1.New, crypto.SHA1}, "SHA_224": {sha256.New224, crypto.SHA224}, "SHA_256": {sha256.New, crypto.SHA256},
	"SHA_384": {sha512.New384, crypto.SHA384}, "SHA_512": {sha512.New, crypto.SHA512},
}

func hashOf(algorithm string) (func() hash.Hash, crypto.Hash) {
	h := hashes[algorithm[strings.LastIndex(algorithm, "SHA_"):]]
	return h.new, h.id
}

func (k *key) signature(algorithm string, digest, message []byte) ([]byte, error) {
	_, h := hashOf(algorithm)
	switch {
	case k.material.ed25519 != nil:
		return ed25519.Sign(k.material.ed25519, message), nil
	case k.material.ecdsa != nil:
		return ecdsa.SignASN1(rand.Reader, k.material.ecdsa, digest)
	case strings.Contains(algorithm, "PSS"):
		return rsa.SignPSS(rand.Reader, k.material.rsa, h, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return rsa.SignPKCS1v15(rand.Reader, k.material.rsa, h, digest)
}

func (k *key) verifies(algorithm string, digest, message, signature []byte) bool {
	_, h := hashOf(algorithm)
	switch {
	case k.material.ed25519 != nil:
		return ed25519.Verify(k.material.ed25519.Public().(ed25519.PublicKey), message, signature)
	case k.material.ecdsa != nil:
		return ecdsa.VerifyASN1(&k.material.ecdsa.PublicKey, digest, signature)
	case strings.Contains(algorithm, "PSS"):
		return rsa.VerifyPSS(&k.material.rsa.PublicKey, h, digest, signature, nil) == nil
	}
	return rsa.VerifyPKCS1v15(&k.material.rsa.PublicKey, h, digest, signature) == nil
}

func (k *key) mac(algorithm string, message []byte) []byte {
	h, _ := hashOf(algorithm)
	m := hmac.New(h, k.material.secret)
	m.Write(message)
	return m.Sum(nil)
}

// public is the public key as DER.
func (k *key) public() ([]byte, error) {
	switch {
	case k.material.ed25519 != nil:
		return x509.MarshalPKIXPublicKey(k.material.ed25519.Public())
	case k.material.ecdsa != nil:
		return x509.MarshalPKIXPublicKey(&k.material.ecdsa.PublicKey)
	case k.material.rsa != nil:
		return x509.MarshalPKIXPublicKey(&k.material.rsa.PublicKey)
	}
	return nil, wire.Refuse("UnsupportedOperationException", "")
}
