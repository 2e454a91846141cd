package kms

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

type metadata struct {
	AWSAccountID      string `json:"AWSAccountId"`
	KeyID             string `json:"KeyId"`
	Arn               string
	CreationDate      *wire.Epoch
	Enabled           bool
	Description       string
	KeyUsage          string
	KeyState          string
	DeletionDate      *wire.Epoch `json:",omitempty"`
	Origin            string
	KeyManager        string
	CustomerKeySpec   string `json:"CustomerMasterKeySpec"`
	KeySpec           string
	EncryptAlgorithms []string `json:"EncryptionAlgorithms,omitempty"`
	SigningAlgorithms []string `json:",omitempty"`
	MacAlgorithms     []string `json:",omitempty"`
	MultiRegion       bool
}

func (k *key) metadata() metadata {
	m := metadata{AWSAccountID: k.place.Account, KeyID: k.id, Arn: k.arn(), CreationDate: wire.EpochOf(k.created), Enabled: k.state == Enabled,
		Description: k.description, KeyUsage: k.usage, KeyState: k.state, Origin: k.origin, KeyManager: k.keeper,
		CustomerKeySpec: k.spec, KeySpec: k.spec, MultiRegion: k.multi}
	if k.state == PendingDeletion {
		m.DeletionDate = wire.EpochOf(k.deletion)
	}
	switch k.usage {
	case encryptDecrypt:
		m.EncryptAlgorithms = specs[k.spec].encrypts
	case signVerify:
		m.SigningAlgorithms = specs[k.spec].signs
	case macUsage:
		m.MacAlgorithms = specs[k.spec].macs
	}
	return m
}

func (s *Service) createKey(r *wire.Request) (any, error) {
	in := struct {
		Description, KeySpec, CustomerMasterKeySpec, KeyUsage, Origin, Policy string
		MultiRegion                                                           bool
		Tags                                                                  []Tag
	}{Origin: "AWS_KMS"}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("kms:CreateKey", "*"); err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 {
		if err := r.May("kms:TagResource", arnOf(r.Place, "key/*")); err != nil {
			return nil, err
		}
	}
	if in.KeySpec == "" {
		if in.KeySpec = in.CustomerMasterKeySpec; in.KeySpec == "" {
			in.KeySpec = "SYMMETRIC_DEFAULT"
		}
	}
	if in.Origin != "AWS_KMS" {
		return nil, wire.Refuse("UnsupportedOperationException", "the sandbox makes no keys of origin %s", in.Origin)
	}
	k := &key{place: r.Place, id: s.random.UUID(), description: in.Description, policy: in.Policy, spec: in.KeySpec, usage: in.KeyUsage, origin: in.Origin,
		keeper: "CUSTOMER", multi: in.MultiRegion, state: Enabled, created: r.At}
	if k.multi {
		k.id = "mrk-" + strings.ReplaceAll(k.id, "-", "")
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return nil, err
	}
	k.tags = slices.Clone(in.Tags)
	if k.policy == "" {
		k.policy = defaultPolicy(r.Account)
	}
	var doc struct{ Statement json.RawMessage }
	if json.Unmarshal([]byte(k.policy), &doc) != nil || len(doc.Statement) == 0 {
		return nil, wire.Refuse("MalformedPolicyDocumentException", "")
	}
	if !strings.Contains(k.policy, "kms:*") && !strings.Contains(k.policy, "kms:Put") {
		return nil, wire.Refuse("MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
	}
	if err := k.mint(); err != nil {
		return nil, err
	}
	s.add(k)
	return struct{ KeyMetadata metadata }{k.metadata()}, nil
}

func defaultPolicy(account string) string {
	return `{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:*","Resource":"*"}]}`
}

func (s *Service) describeKey(r *wire.Request) (any, error) {
	k, err := s.named(r)
	if err != nil {
		return nil, err
	}
	return struct{ KeyMetadata metadata }{k.metadata()}, nil
}

// named opens the key of a request that names nothing else.
func (s *Service) named(r *wire.Request) (*key, error) {
	var in struct{ KeyId string }
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	return s.open(r, in.KeyId)
}

func (s *Service) getKeyPolicy(r *wire.Request) (any, error) {
	k, err := s.named(r)
	if err != nil {
		return nil, err
	}
	return struct{ Policy, PolicyName string }{k.policy, "default"}, nil
}

// own opens a key for an operation that takes no alias.
func (s *Service) own(r *wire.Request, ref string) (*key, error) {
	if strings.Contains(ref, "alias/") {
		return nil, wire.Refuse("InvalidArnException", "Invalid keyId %s", ref)
	}
	return s.open(r, ref)
}

func (s *Service) enableKey(r *wire.Request) (any, error)  { return s.turn(r, Enabled) }
func (s *Service) disableKey(r *wire.Request) (any, error) { return s.turn(r, Disabled) }

func (s *Service) turn(r *wire.Request, state string) (any, error) {
	var in struct{ KeyId string }
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	k, err := s.own(r, in.KeyId)
	switch {
	case err != nil:
		return nil, err
	case k.state == PendingDeletion:
		return nil, pending(k)
	}
	k.state = state
	return nil, nil
}

func (s *Service) scheduleKeyDeletion(r *wire.Request) (any, error) {
	in := struct {
		KeyId               string
		PendingWindowInDays int
	}{PendingWindowInDays: 30}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if in.PendingWindowInDays < 7 || in.PendingWindowInDays > 30 {
		return nil, wire.Refuse("ValidationException", "1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value between 7 and 30", in.PendingWindowInDays)
	}
	k, err := s.own(r, in.KeyId)
	switch {
	case err != nil:
		return nil, err
	case k.state == PendingDeletion:
		return nil, pending(k)
	}
	k.state, k.window = PendingDeletion, in.PendingWindowInDays
	k.deletion = r.At.Add(time.Duration(k.window) * 24 * time.Hour)
	return struct {
		KeyID               string `json:"KeyId"`
		DeletionDate        *wire.Epoch
		KeyState            string
		PendingWindowInDays int
	}{k.arn(), wire.EpochOf(k.deletion), k.state, k.window}, nil
}

func (s *Service) cancelKeyDeletion(r *wire.Request) (any, error) {
	var in struct{ KeyId string }
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	k, err := s.own(r, in.KeyId)
	switch {
	case err != nil:
		return nil, err
	case k.state != PendingDeletion:
		return nil, wire.Refuse("KMSInvalidStateException", "%s is not pending deletion.", k.arn())
	}
	k.state, k.deletion = Disabled, time.Time{}
	return struct {
		KeyID string `json:"KeyId"`
	}{k.arn()}, nil
}

func (s *Service) getKeyRotationStatus(r *wire.Request) (any, error) {
	k, err := s.named(r)
	if err != nil {
		return nil, err
	}
	return struct {
		KeyRotationEnabled   bool
		KeyID                string `json:"KeyId"`
		RotationPeriodInDays int    `json:",omitempty"`
	}{k.period > 0, k.id, k.period}, nil
}

func (s *Service) enableKeyRotation(r *wire.Request) (any, error) {
	in := struct {
		KeyId                string
		RotationPeriodInDays int
	}{RotationPeriodInDays: 365}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	k, err := s.own(r, in.KeyId)
	switch {
	case err != nil:
		return nil, err
	case k.state == PendingDeletion:
		return nil, pending(k)
	case k.state == Disabled:
		return nil, disabled(k)
	case k.spec != "SYMMETRIC_DEFAULT":
		return nil, wire.Refuse("UnsupportedOperationException", "")
	}
	k.period = in.RotationPeriodInDays
	return nil, nil
}
