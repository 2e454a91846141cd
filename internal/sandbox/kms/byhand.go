package kms

import (
	"slices"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// A Make is a key that a person makes in the console.
type Make struct {
	Alias       string // "" for none
	Description string
	Spec, Usage string // default: symmetric
	Policy      string // default: the account may do everything
	Tags        []Tag
	MultiRegion bool
	Origin      string // default AWS_KMS
	Manager     string // default CUSTOMER
	Rotation    int    // days; 0: none
}

// A Key is one, seen without being seen.
type Key struct {
	ARN, ID, Description, Policy, Spec, Usage, State string
	Created, Deletion                                time.Time
	Tags                                             map[string]string
	Rotation                                         int
	Aliases                                          []string
}

// MakeByHand makes a key, which everybody sees at once, and answers its ARN.
func (s *Service) MakeByHand(p wire.Place, m Make, now time.Time) (arn string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &key{place: p, id: s.random.UUID(), description: m.Description, policy: m.Policy, spec: m.Spec, usage: m.Usage, origin: m.Origin, keeper: m.Manager,
		multi: m.MultiRegion, state: Enabled, created: now.Add(-s.lag - s.list - 365*24*time.Hour), tags: slices.Clone(m.Tags), period: m.Rotation}
	for at, usual := range map[*string]string{&k.policy: defaultPolicy(p.Account), &k.spec: "SYMMETRIC_DEFAULT", &k.origin: "AWS_KMS", &k.keeper: "CUSTOMER"} {
		if *at == "" {
			*at = usual
		}
	}
	if err := k.mint(); err != nil {
		return "", err
	}
	s.add(k)
	if m.Alias != "" {
		s.point(p, m.Alias, k, now.Add(-s.lag-s.list))
		s.aliases[p][m.Alias].before = ""
	}
	return k.arn(), nil
}

// PointByHand points an alias at a key, and everybody sees it at once.
func (s *Service) PointByHand(p wire.Place, alias, arn string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.resolve(p, arn, now.Add(s.lag))
	if err != nil {
		return err
	}
	s.point(p, alias, k, now)
	s.aliases[p][alias].before = ""
	return nil
}

// SetByHand puts a key into a state; PendingDeletion with thirty days.
func (s *Service) SetByHand(p wire.Place, arn, state string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.resolve(p, arn, now.Add(s.lag))
	if err != nil {
		return err
	}
	if k.state, k.deletion = state, (time.Time{}); state == PendingDeletion {
		k.deletion = now.Add(30 * 24 * time.Hour)
	}
	return nil
}

// GrantByHand lets somebody use a key.
func (s *Service) GrantByHand(p wire.Place, arn, grantee string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.resolve(p, arn, now.Add(s.lag))
	if err == nil {
		k.grants = append(k.grants, Grant{k.id, s.random.Text(64, wire.Hex), grantee, []string{"Decrypt"}})
	}
	return err
}

// UseByHand is somebody using a key, or trying to: what came of it is written down as for any other.
func (s *Service) UseByHand(p wire.Place, ref, operation, principal string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	usage := map[string]string{"Sign": signVerify, "Verify": signVerify, "GenerateMac": macUsage, "VerifyMac": macUsage}[operation]
	if usage == "" {
		usage = encryptDecrypt
	}
	_, err := s.use(&wire.Request{Place: p, Operation: operation, Who: wire.Identity{ARN: principal}, At: now.Add(s.lag),
		May: func(string, string) error { return nil }}, ref, usage)
	s.uses[len(s.uses)-1].At = now
	return err
}

// Keys are all keys of a place that still exist, oldest first.
func (s *Service) Keys(p wire.Place, now time.Time) (all []Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.ordered(p, now) {
		v := Key{ARN: k.arn(), ID: k.id, Description: k.description, Policy: k.policy, Spec: k.spec, Usage: k.usage, State: k.state,
			Created: k.created, Deletion: k.deletion, Tags: map[string]string{}, Rotation: k.period}
		for _, t := range k.tags {
			v.Tags[t.TagKey] = t.TagValue
		}
		for _, a := range s.aliases[p] {
			if a.target == k.id {
				v.Aliases = append(v.Aliases, a.name)
			}
		}
		slices.Sort(v.Aliases)
		all = append(all, v)
	}
	return all
}

// At is the ARN of the key that an alias names now; "" when there is none.
func (s *Service) At(p wire.Place, alias string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.aliases[p][alias]; a != nil {
		return arnOf(p, "key/"+a.target)
	}
	return ""
}

// Uses are the cryptographic operations so far, oldest first.
func (s *Service) Uses() []Use {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.uses)
}
