// Package secretsmanager is AWS Secrets Manager inside the sandbox. It owns secrets, versions and staging labels,
// by account and Region, and follows the API reference and recorded answers where the two differ from what
// emulators do: AWSCURRENT can't be dropped, a token is bound to its value, a label is moved by compare-and-swap.
// It must never print a value: values leave it only in answers and to a person's methods (Secret, PutByHand).
package secretsmanager

import (
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Labels that AWS itself attaches or gives a meaning to.
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
	Pending  = "AWSPENDING"
)

// DefaultKey is how a version under aws/secretsmanager is listed.
const DefaultKey = "DefaultEncryptionKey"

// Limits of the service (Secrets Manager user guide, quotas).
const (
	maxValue  = 65536
	maxLabels = 20
	maxTags   = 50
	keep      = 100
)

// A KeyState is the condition of a KMS key as Secrets Manager meets it.
type KeyState int

const (
	Enabled KeyState = iota
	Disabled
	Forbidden // the caller has no kms:Decrypt or kms:GenerateDataKey on it
)

// A Tag is a tag of a secret; versions have none.
type Tag struct{ Key, Value string }

// Service is Secrets Manager of all accounts and Regions. Safe for concurrent use.
type Service struct {
	mu         sync.Mutex
	random     *wire.Random
	secrets    map[wire.Place]map[string]*secret
	replicas   map[wire.Place]map[string]*secret // by Region of the replica; the secret is the primary's
	keys       map[string]KeyState
	emptyPages bool
	made       int
}

type secret struct {
	place                wire.Place
	name, suffix, key    string
	description          string
	owner                string
	rotates              bool
	token                string // of CreateSecret
	tags                 []Tag  // nil before the first tag
	versions             map[string]*version
	labels               map[string]string // label to version
	replicas             []Replica
	created, changed     time.Time
	accessed             time.Time // a day
	marked, gone         time.Time // marked for deletion; deleted for good
	number, versionsMade int
}

type version struct {
	id, key           string
	text              *string
	binary            []byte
	created, accessed time.Time
	number            int
}

// A Replica is a copy of a secret in another Region.
type Replica struct {
	Region string
	KmsKey string `json:"KmsKeyId,omitempty"`
	Status string // InSync, InProgress, Failed
	Reason string `json:"StatusMessage,omitempty"`
}

// New is a service without a secret.
func New(r *wire.Random) *Service {
	return &Service{
		random: r, secrets: map[wire.Place]map[string]*secret{}, replicas: map[wire.Place]map[string]*secret{},
		keys: map[string]KeyState{},
	}
}

func (s *secret) arn(region string) string {
	return "arn:aws:secretsmanager:" + region + ":" + s.place.Account + ":secret:" + s.name + "-" + s.suffix
}

// find looks up by name, ARN, or ARN without the suffix. replica says that the place holds a copy only.
func (s *Service) find(p wire.Place, ref string, now time.Time) (found *secret, replica bool) {
	names := []string{ref}
	if rest, ok := strings.CutPrefix(ref, "arn:aws:secretsmanager:"+p.Region+":"+p.Account+":secret:"); ok {
		names = []string{rest}
		if dash := strings.LastIndexByte(rest, '-'); dash >= 0 {
			names = append(names, rest[:dash])
		}
	}
	for _, shelf := range []map[string]*secret{s.secrets[p], s.replicas[p]} {
		for _, name := range names {
			c := shelf[name]
			if c == nil || !c.gone.IsZero() && !now.Before(c.gone) {
				continue
			}
			full := c.arn(p.Region)
			if ref == c.name || ref == full || ref == strings.TrimSuffix(full, "-"+c.suffix) {
				return c, c.place != p
			}
		}
	}
	return nil, false
}

func (s *secret) stages(id string) []string {
	var l []string
	for label, v := range s.labels {
		if v == id {
			l = append(l, label)
		}
	}
	return sorted(l)
}

// attach moves a label. Moving AWSCURRENT moves AWSPREVIOUS to the version it leaves; no other label follows.
func (s *secret) attach(label, id string) {
	if old, ok := s.labels[Current]; ok && label == Current && old != id {
		s.labels[Previous] = old
	}
	s.labels[label] = id
}

// prune drops what AWS may drop: the oldest versions without a label, when there are over a hundred, after a day.
func (s *secret) prune(now time.Time) {
	for len(s.versions) > keep {
		var oldest *version
		for _, v := range s.versions {
			if len(s.stages(v.id)) == 0 && now.Sub(v.created) > 24*time.Hour && (oldest == nil || v.number < oldest.number) {
				oldest = v
			}
		}
		if oldest == nil {
			return
		}
		delete(s.versions, oldest.id)
	}
}

func (v *version) same(text *string, binary []byte) bool {
	if v.text == nil || text == nil {
		return v.text == text && string(v.binary) == string(binary)
	}
	return *v.text == *text
}
