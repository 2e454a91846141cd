package kms

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"slices"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

func disabled(k *key) error { return wire.Refuse("DisabledException", "%s is disabled.", k.arn()) }

// use opens a key for a cryptographic operation and writes down what came of it: KMS its last use, CloudTrail also
// what was refused.
func (s *Service) use(r *wire.Request, ref, usage string) (*key, error) {
	k, err := s.open(r, ref)
	if err != nil {
		return nil, err
	}
	switch {
	case k.state == PendingDeletion:
		err = pending(k)
	case k.state == Disabled:
		err = disabled(k)
	case k.origin != "AWS_KMS":
		err = wire.Refuse("KeyUnavailableException", "")
	case k.usage != usage:
		err = wire.Refuse("InvalidKeyUsageException", "%s key usage is %s which is not valid for %s.", k.arn(), k.usage, r.Operation)
	}
	s.note(r, k, err)
	return k, err
}

func (s *Service) note(r *wire.Request, k *key, err error) {
	u := Use{At: r.At, ID: s.random.UUID(), Request: r.ID, Operation: r.Operation, Principal: r.Who.ARN, KeyARN: k.arn()}
	if e, ok := err.(*wire.Error); ok {
		u.Code = e.Code
	}
	s.uses = append(s.uses, u)
	if u.Code == "" {
		k.last = &u
	}
}

func able(k *key, algorithms []string, algorithm *string) error {
	if *algorithm == "" && len(algorithms) > 0 && k.spec == "SYMMETRIC_DEFAULT" {
		*algorithm = algorithms[0]
	}
	if !slices.Contains(algorithms, *algorithm) {
		return wire.Refuse("InvalidKeyUsageException", "Algorithm %s and key spec %s are incompatible.", *algorithm, k.spec)
	}
	return nil
}

func (s *Service) encrypt(r *wire.Request) (any, error) {
	var in struct {
		KeyId, EncryptionAlgorithm string
		Plaintext                  []byte
		EncryptionContext          map[string]string
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if len(in.Plaintext) == 0 || len(in.Plaintext) > 4096 {
		return nil, wire.Refuse("ValidationException", "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length between 1 and 4096")
	}
	k, err := s.use(r, in.KeyId, encryptDecrypt)
	if err == nil {
		err = able(k, specs[k.spec].encrypts, &in.EncryptionAlgorithm)
	}
	if err != nil {
		return nil, err
	}
	var blob []byte
	if k.material.rsa != nil {
		h, _ := hashOf(in.EncryptionAlgorithm)
		blob, err = rsa.EncryptOAEP(h(), rand.Reader, &k.material.rsa.PublicKey, in.Plaintext, nil)
	} else {
		blob, err = k.seal(in.Plaintext, in.EncryptionContext)
	}
	return struct {
		CiphertextBlob      []byte
		KeyID               string `json:"KeyId"`
		EncryptionAlgorithm string
	}{blob, k.arn(), in.EncryptionAlgorithm}, err
}

func (s *Service) decrypt(r *wire.Request) (any, error) {
	var in struct {
		KeyId, EncryptionAlgorithm string
		CiphertextBlob             []byte
		EncryptionContext          map[string]string
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	made := keyOf(in.CiphertextBlob)
	ref := in.KeyId
	if ref == "" {
		if ref = made; made == "" {
			return nil, wire.Refuse("InvalidCiphertextException", "")
		}
	}
	k, err := s.use(r, ref, encryptDecrypt)
	if err == nil {
		err = able(k, specs[k.spec].encrypts, &in.EncryptionAlgorithm)
	}
	switch {
	case err != nil:
		return nil, err
	case k.material.rsa == nil && made != "" && made != k.id:
		return nil, wire.Refuse("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	var plain []byte
	if k.material.rsa != nil {
		h, _ := hashOf(in.EncryptionAlgorithm)
		if plain, err = rsa.DecryptOAEP(h(), nil, k.material.rsa, in.CiphertextBlob, nil); err != nil {
			err = wire.Refuse("InvalidCiphertextException", "")
		}
	} else {
		plain, err = k.unseal(in.CiphertextBlob, in.EncryptionContext)
	}
	if err != nil {
		return nil, err
	}
	return struct {
		KeyID               string `json:"KeyId"`
		Plaintext           []byte
		EncryptionAlgorithm string
	}{k.arn(), plain, in.EncryptionAlgorithm}, nil
}

type signing struct {
	KeyId, SigningAlgorithm, MessageType string
	Message, Signature                   []byte
}

// signer opens a key to sign or verify; digest is of the message, or what the caller says it is.
func (s *Service) signer(r *wire.Request) (k *key, in signing, digest []byte, err error) {
	if err = r.Into(&in); err != nil {
		return nil, in, nil, err
	}
	if k, err = s.use(r, in.KeyId, signVerify); err != nil {
		return nil, in, nil, err
	}
	if err = able(k, specs[k.spec].signs, &in.SigningAlgorithm); err != nil {
		return nil, in, nil, err
	}
	h, _ := hashOf(in.SigningAlgorithm)
	switch d := h(); {
	case in.MessageType == "DIGEST" && len(in.Message) != d.Size():
		return nil, in, nil, wire.Refuse("ValidationException", "Digest is invalid length for algorithm %s.", in.SigningAlgorithm)
	case in.MessageType == "DIGEST":
		digest = in.Message
	default:
		d.Write(in.Message)
		digest = d.Sum(nil)
	}
	return k, in, digest, nil
}

func (s *Service) sign(r *wire.Request) (any, error) {
	k, in, digest, err := s.signer(r)
	if err != nil {
		return nil, err
	}
	signature, err := k.signature(in.SigningAlgorithm, digest, in.Message)
	return struct {
		KeyID            string `json:"KeyId"`
		Signature        []byte
		SigningAlgorithm string
	}{k.arn(), signature, in.SigningAlgorithm}, err
}

func (s *Service) verify(r *wire.Request) (any, error) {
	k, in, digest, err := s.signer(r)
	if err != nil {
		return nil, err
	}
	if !k.verifies(in.SigningAlgorithm, digest, in.Message, in.Signature) {
		return nil, wire.Refuse("KMSInvalidSignatureException", "")
	}
	return struct {
		KeyID            string `json:"KeyId"`
		SignatureValid   bool
		SigningAlgorithm string
	}{k.arn(), true, in.SigningAlgorithm}, nil
}

type macing struct {
	KeyId, MacAlgorithm string
	Message, Mac        []byte
}

func (s *Service) macer(r *wire.Request) (k *key, in macing, err error) {
	if err = r.Into(&in); err != nil {
		return nil, in, err
	}
	if k, err = s.use(r, in.KeyId, macUsage); err == nil {
		err = able(k, specs[k.spec].macs, &in.MacAlgorithm)
	}
	return k, in, err
}

func (s *Service) generateMac(r *wire.Request) (any, error) {
	k, in, err := s.macer(r)
	if err != nil {
		return nil, err
	}
	return struct {
		Mac          []byte
		MacAlgorithm string
		KeyID        string `json:"KeyId"`
	}{k.mac(in.MacAlgorithm, in.Message), in.MacAlgorithm, k.arn()}, nil
}

func (s *Service) verifyMac(r *wire.Request) (any, error) {
	k, in, err := s.macer(r)
	switch {
	case err != nil:
		return nil, err
	case !hmac.Equal(k.mac(in.MacAlgorithm, in.Message), in.Mac):
		return nil, wire.Refuse("KMSInvalidMacException", "")
	}
	return struct {
		KeyID        string `json:"KeyId"`
		MacValid     bool
		MacAlgorithm string
	}{k.arn(), true, in.MacAlgorithm}, nil
}

func (s *Service) getPublicKey(r *wire.Request) (any, error) {
	k, err := s.named(r)
	switch {
	case err != nil:
		return nil, err
	case k.state == PendingDeletion:
		return nil, pending(k)
	case k.state == Disabled:
		return nil, disabled(k)
	}
	der, err := k.public()
	m := k.metadata()
	return struct {
		KeyID             string `json:"KeyId"`
		PublicKey         []byte
		CustomerKeySpec   string `json:"CustomerMasterKeySpec"`
		KeySpec           string
		KeyUsage          string
		EncryptAlgorithms []string `json:"EncryptionAlgorithms,omitempty"`
		SigningAlgorithms []string `json:",omitempty"`
	}{k.arn(), der, k.spec, k.spec, k.usage, m.EncryptAlgorithms, m.SigningAlgorithms}, err
}

func (s *Service) getKeyLastUsage(r *wire.Request) (any, error) {
	var in struct{ KeyId string }
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	k, err := s.own(r, in.KeyId)
	if err != nil {
		return nil, err
	}
	type data struct {
		Operation         string      `json:",omitempty"`
		Timestamp         *wire.Epoch `json:",omitempty"`
		CloudTrailEventID string      `json:"CloudTrailEventId,omitempty"`
		KmsRequestID      string      `json:"KmsRequestId,omitempty"`
	}
	from, last := s.tracking, data{}
	if k.created.After(from) {
		from = k.created
	}
	if k.last != nil && !k.last.At.Before(from) {
		last = data{k.last.Operation, wire.EpochOf(k.last.At), k.last.ID, k.last.Request}
	}
	return struct {
		KeyID             string `json:"KeyId"`
		KeyCreationDate   *wire.Epoch
		TrackingStartDate *wire.Epoch
		KeyLastUsage      data
	}{k.id, wire.EpochOf(k.created), wire.EpochOf(from), last}, nil
}
