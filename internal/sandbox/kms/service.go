// Package kms is AWS KMS inside the sandbox. It owns keys with their states, material, policies, tags, grants, aliases
// and last uses, by account and Region, and refuses what KMS refuses: use of a disabled key or of one that is to be
// deleted, deleting twice, an alias across kinds of keys. Cryptography is real.
//
// With SetLag it is as eventually consistent as KMS: a key is unknown for a while after CreateKey, and lists, tags and
// aliases are shown as they were. It must never let material leave, nor a key that is gone come back.
//
// Known differences: secp256k1, SM2, ML-DSA and key agreement are refused; imported material and custom key stores
// exist by hand only, as keys that refuse to be used; a key's policy is kept and not asked.
package kms

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// States of a key.
const (
	Enabled         = "Enabled"
	Disabled        = "Disabled"
	PendingDeletion = "PendingDeletion"
)

// Quotas (KMS developer guide).
const (
	maxTags    = 50
	maxAliases = 50
)

// A Tag is a tag of a key.
type Tag struct{ TagKey, TagValue string }

// A Grant is what somebody may do with a key.
type Grant struct {
	KeyID            string `json:"KeyId"`
	GrantID          string `json:"GrantId"`
	GranteePrincipal string
	Operations       []string
}

// A Use is one cryptographic operation with a key, refused ones too: CloudTrail's event.
type Use struct {
	At        time.Time
	ID        string // of the event
	Request   string // of the call
	Operation string
	Principal string
	KeyARN    string
	Code      string // of the refusal
}

// Service is KMS of all accounts and Regions. Safe for concurrent use.
type Service struct {
	mu        sync.Mutex
	random    *wire.Random
	keys      map[wire.Place]map[string]*key
	aliases   map[wire.Place]map[string]*alias
	uses      []Use
	lag, list time.Duration
	tracking  time.Time
	made      int
}

type key struct {
	place                       wire.Place
	id, description, policy     string
	spec, usage, origin, keeper string
	multi                       bool
	state                       string
	created, deletion           time.Time
	window                      int
	tags                        []Tag
	grants                      []Grant
	period                      int // of automatic rotation, in days; 0: none
	material                    material
	last                        *Use
	number                      int
}

type alias struct {
	name           string
	target, before string // key IDs; before: until moved+lag it is shown
	created, moved time.Time
}

// New is a service without a key.
func New(r *wire.Random) *Service {
	return &Service{random: r, keys: map[wire.Place]map[string]*key{}, aliases: map[wire.Place]map[string]*alias{}}
}

// SetLag makes the service eventually consistent: for lag a new key is unknown and an alias is still seen on the
// key before, for list they are missing from lists.
func (s *Service) SetLag(lag, list time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag, s.list = lag, list
}

// SetTracking is when KMS began to record the use of keys.
func (s *Service) SetTracking(from time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracking = from
}

func arnOf(p wire.Place, rest string) string {
	return "arn:aws:kms:" + p.Region + ":" + p.Account + ":" + rest
}

func (k *key) arn() string { return arnOf(k.place, "key/"+k.id) }

// gone says whether the key's waiting period is over.
func (k *key) gone(now time.Time) bool { return k.state == PendingDeletion && !now.Before(k.deletion) }

// resolve finds a key by ID, ARN, alias or alias ARN, as KMS shows it at a time.
func (s *Service) resolve(p wire.Place, ref string, now time.Time) (*key, error) {
	name := ref
	if strings.HasPrefix(ref, "arn:") {
		parts := strings.SplitN(ref, ":", 6)
		if len(parts) < 6 || parts[2] != "kms" {
			return nil, wire.Refuse("InvalidArnException", "Invalid arn %s", ref)
		}
		p, name = wire.Place{Account: parts[4], Region: parts[3]}, strings.TrimPrefix(parts[5], "key/")
	}
	if strings.HasPrefix(name, "alias/") {
		a := s.aliases[p][name]
		if a == nil || now.Before(a.created.Add(s.lag)) {
			return nil, wire.Refuse("NotFoundException", "Alias %s is not found.", arnOf(p, name))
		}
		if name = a.target; a.before != "" && now.Before(a.moved.Add(s.lag)) {
			name = a.before
		}
	}
	k := s.keys[p][name]
	if k == nil || k.gone(now) || now.Before(k.created.Add(s.lag)) {
		return nil, wire.Refuse("NotFoundException", "Key '%s' does not exist", arnOf(p, "key/"+name))
	}
	return k, nil
}

// open finds a key for an operation and asks for the permission to it.
func (s *Service) open(r *wire.Request, ref string) (*key, error) {
	if ref == "" {
		return nil, wire.Refuse("ValidationException", "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null")
	}
	k, err := s.resolve(r.Place, ref, r.At)
	if err != nil {
		return nil, err
	}
	return k, r.May("kms:"+r.Operation, k.arn())
}

// alive opens a key for an operation that one pending deletion refuses.
func (s *Service) alive(r *wire.Request, ref string) (*key, error) {
	k, err := s.open(r, ref)
	if err == nil && k.state == PendingDeletion {
		return nil, pending(k)
	}
	return k, err
}

func pending(k *key) error {
	return wire.Refuse("KMSInvalidStateException", "%s is pending deletion.", k.arn())
}

// ordered are a place's keys, oldest first.
func (s *Service) ordered(p wire.Place, now time.Time) (all []*key) {
	for _, k := range s.keys[p] {
		if !k.gone(now) {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b *key) int { return cmp.Compare(a.number, b.number) })
	return all
}

func (s *Service) add(k *key) {
	s.made++
	k.number = s.made
	if s.keys[k.place] == nil {
		s.keys[k.place] = map[string]*key{}
	}
	s.keys[k.place][k.id] = k
}
