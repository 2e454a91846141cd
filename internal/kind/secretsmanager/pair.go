package secretsmanager

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/secret/spec"
	"github.com/rastup/rekey/internal/staging"
)

// Evidence files of key pairs: public keys, as PEM.
const (
	oldPublic = "public-key-old.pem"
	newPublic = "public-key-new.pem"
)

// pair makes private keys.
type pair struct {
	spec.KeyPair
	keep secret.Keeper
}

// A key is a private key with the public ones that stand beside it in a JWK set.
type key struct {
	crypto.Signer
	beside []jose.JSONWebKey
}

// fit takes any private key for one that can be replaced, in the right format.
func (p pair) fit(old secret.Value) ([]rotation.File, error) {
	k, err := p.read(old)
	if err != nil {
		return nil, rotation.Failf("put a first one there, in that format; then it can be rotated", "the current value is no private key as %s: %s", p.As(), err)
	}
	b, err := public(k)
	return []rotation.File{{Name: oldPublic, Data: b}}, err
}

// next is a new private key, with the public one of the old beside it where the format has room for it: who reads the
// set goes on trusting what was signed before. Those that stood beside the old one have had their time.
func (p pair) next(_ context.Context, old secret.Value) (secret.Value, error) {
	fresh, err := p.generate()
	if err != nil {
		return secret.Value{}, fmt.Errorf("generate %s: %w", p, err)
	}
	if p.As() == spec.PEM {
		return p.pem(fresh)
	}
	was, err := p.read(old)
	if err != nil {
		return secret.Value{}, rotation.Failf("see who replaced it since preflight", "the old value is no private key as %s: %s", p.As(), err)
	}
	before, err := p.jwk(was.Signer)
	if err != nil {
		return secret.Value{}, err
	}
	return p.set(fresh, before.Public())
}

// alone is the set without the public key that was replaced: what the retention was for.
func (p pair) alone(live secret.Value) (secret.Value, error) {
	k, err := p.read(live)
	if err != nil {
		return secret.Value{}, rotation.Failf("see who changed it", "the live value is no JWK set with one private key: %s", err)
	}
	return p.set(k.Signer)
}

// prove that made is a key as asked for, another than the old one, and that what it signs can be verified.
func (p pair) prove(old, made secret.Value) (string, []rotation.File, error) {
	is, err := p.read(made)
	if err != nil {
		return "", nil, rotation.Failf(staging.Discarded, "the new value is no private key as %s: %s", p.As(), err)
	}
	was, err := p.read(old)
	if err != nil {
		return "", nil, rotation.Failf("see who replaced it since preflight", "the old value is no private key as %s: %s", p.As(), err)
	}
	switch {
	case !p.asked(is.Signer):
		return "", nil, rotation.Failf(staging.Discarded, "the new key isn't what key_pair asks for (%s)", p)
	case same(is.Public(), was.Public()):
		return "", nil, rotation.Failf(staging.Discarded, "the new key is the old one")
	case p.As() == spec.JWKS && (len(is.beside) != 1 || !same(is.beside[0].Key, was.Public())):
		return "", nil, rotation.Failf(staging.Discarded, "beside the new key there isn't the old public key, and no other")
	}
	if err := signs(is.Signer); err != nil {
		return "", nil, rotation.Failf(staging.Discarded, "what the new key signs can't be verified")
	}
	text := fmt.Sprintf("a new key pair, %s; what it signs was verified", p)
	if p.As() == spec.JWKS {
		text += "; the old public key stands beside it"
	}
	b, err := public(is)
	return text, []rotation.File{{Name: newPublic, Data: b}}, err
}

func (p pair) generate() (crypto.Signer, error) {
	switch p.Type {
	case spec.RSA:
		return rsa.GenerateKey(rand.Reader, p.Size())
	case spec.ECDSA:
		return ecdsa.GenerateKey(curves[p.On()], rand.Reader)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return private, err
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func (p pair) asked(k crypto.Signer) bool {
	switch k := k.(type) {
	case *rsa.PrivateKey:
		return p.Type == spec.RSA && k.N.BitLen() == p.Size()
	case *ecdsa.PrivateKey:
		return p.Type == spec.ECDSA && k.Curve == curves[p.On()]
	case ed25519.PrivateKey:
		return p.Type == spec.Ed25519
	}
	return false
}

func (p pair) pem(k crypto.Signer) (secret.Value, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return secret.Value{}, errors.New("write the new key as PKCS #8")
	}
	return p.keep.Known(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func (p pair) jwk(k crypto.Signer) (jose.JSONWebKey, error) {
	j := jose.JSONWebKey{Key: k, Algorithm: p.For(), Use: "sig"}
	print, err := j.Thumbprint(crypto.SHA256) // RFC 7638
	if err != nil {
		return j, errors.New("take a key's thumbprint")
	}
	j.KeyID = base64.RawURLEncoding.EncodeToString(print)
	return j, nil
}

func (p pair) set(k crypto.Signer, beside ...jose.JSONWebKey) (secret.Value, error) {
	j, err := p.jwk(k)
	if err != nil {
		return secret.Value{}, err
	}
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: append([]jose.JSONWebKey{j}, beside...)})
	if err != nil {
		return secret.Value{}, errors.New("write the new key as a JWK set")
	}
	return p.keep.Known(b), nil
}

// read is a value's private key. Errors quote nothing of it: those of the parsers might.
func (p pair) read(v secret.Value) (key, error) {
	if p.As() == spec.PEM {
		return readPEM(v.Reveal())
	}
	var set jose.JSONWebKeySet
	if json.Unmarshal(v.Reveal(), &set) != nil || len(set.Keys) == 0 {
		return key{}, errors.New("it isn't a JWK set")
	}
	var found key
	for _, j := range set.Keys {
		switch signer, private := j.Key.(crypto.Signer); {
		case !j.Valid():
			return key{}, errors.New("a key in the set isn't valid")
		case private && found.Signer != nil:
			return key{}, errors.New("it has more than one private key")
		case private:
			found.Signer = signer
		case !j.IsPublic():
			return key{}, errors.New("a key in the set is no key of a pair")
		default:
			found.beside = append(found.beside, j)
		}
	}
	if found.Signer == nil {
		return key{}, errors.New("it has no private key")
	}
	return found, nil
}

func readPEM(b []byte) (key, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return key{}, errors.New("it isn't PEM")
	}
	var parsed any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return key{}, errors.New("its block is no private key, or an encrypted one")
	}
	if signer, ok := parsed.(crypto.Signer); ok && err == nil {
		return key{Signer: signer}, nil
	}
	return key{}, errors.New("its private key can't be read")
}

// public is the public key as PEM.
func public(k key) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		return nil, errors.New("write the public key as PEM")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

func same(a, b any) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// signs lets a key sign something, and verifies that.
func signs(k crypto.Signer) error {
	message := []byte("rekey: a proof, of no meaning")
	digest := sha256.Sum256(message)
	switch public := k.Public().(type) {
	case ed25519.PublicKey:
		sig, err := k.Sign(rand.Reader, message, crypto.Hash(0))
		if err == nil && !ed25519.Verify(public, message, sig) {
			err = errors.New("not verified")
		}
		return err
	case *ecdsa.PublicKey:
		sig, err := k.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err == nil && !ecdsa.VerifyASN1(public, digest[:], sig) {
			err = errors.New("not verified")
		}
		return err
	case *rsa.PublicKey:
		sig, err := k.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return err
		}
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], sig)
	}
	return errors.New("no key of a known type")
}
