package secretsmanager

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// A Version is one value of a secret, as a person with every right would see it.
type Version struct {
	ID      string
	Labels  []string // sorted
	Text    string   // SecretString
	Binary  []byte   // SecretBinary
	Created time.Time
	KmsKey  string
}

// A Secret is the state of one secret at one moment.
type Secret struct {
	ARN, Name string
	Versions  []Version // oldest first, deprecated ones too
	Labels    map[string]string
	Tags      map[string]string
	Deleted   bool // marked for deletion
}

// At is the version that a label is on; the zero Version when there is none.
func (s Secret) At(label string) Version { return s.Version(s.Labels[label]) }

// Version finds a version by id; the zero Version when there is none.
func (s Secret) Version(id string) Version {
	for _, v := range s.Versions {
		if v.ID == id {
			return v
		}
	}
	return Version{}
}

// Secret looks at a secret without being seen: no call is recorded, no access date moves. ok is false when it
// doesn't exist.
func (s *Service) Secret(p wire.Place, name string, now time.Time) (Secret, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of, _ := s.find(p, name, now)
	if of == nil {
		return Secret{}, false
	}
	out := Secret{ARN: of.arn(p.Region), Name: of.name, Labels: maps.Clone(of.labels), Tags: map[string]string{}, Deleted: !of.marked.IsZero()}
	for _, v := range of.ordered() {
		line := Version{ID: v.id, Labels: of.stages(v.id), Binary: slices.Clone(v.binary), Created: v.created, KmsKey: v.key}
		if v.text != nil {
			line.Text = *v.text
		}
		out.Versions = append(out.Versions, line)
	}
	for _, t := range of.tags {
		out.Tags[t.Key] = t.Value
	}
	return out, true
}

// PutByHand is a person in the console: it makes the secret when it isn't there, stores the value as a new version
// under the labels (AWSCURRENT when none is given) and answers the version's id.
func (s *Service) PutByHand(p wire.Place, name, value string, now time.Time, labels ...string) (string, error) {
	return s.PutAsByHand(p, name, "", value, now, labels...)
}

// PutAsByHand is PutByHand with --client-request-token; "" is one of the CLI's own.
func (s *Service) PutAsByHand(p wire.Place, name, token, value string, now time.Time, labels ...string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to, _ := s.find(p, name, now)
	if to == nil {
		to = s.newSecret(p, name, "", now)
		s.keepSecret(to)
	}
	if token == "" {
		token = s.random.UUID()
	}
	v, err := s.newVersion(to, token, &value, nil, now)
	if err != nil {
		return "", fmt.Errorf("put a value into %q by hand: %w", name, err)
	}
	if len(labels) == 0 || len(to.versions) == 1 {
		labels = append(slices.Clone(labels), Current)
	}
	for _, l := range labels {
		to.attach(l, v.id)
	}
	to.prune(now)
	return v.id, nil
}

// TypeByHand is a person who runs a command line of AWS's that stores a value, as one that it reads from a file, or sets
// a tag.
func (s *Service) TypeByHand(p wire.Place, line, value string, now time.Time) error {
	words := strings.Fields(line)
	arg := func(name string) string {
		if i := slices.Index(words, name); i >= 0 && i+1 < len(words) {
			return words[i+1]
		}
		return ""
	}
	switch {
	case strings.HasPrefix(line, "aws secretsmanager put-secret-value "):
		_, err := s.PutAsByHand(p, arg("--secret-id"), arg("--client-request-token"), value, now, arg("--version-stages"))
		return err
	case strings.HasPrefix(line, "aws secretsmanager tag-resource "):
		key, tag, _ := strings.Cut(strings.TrimPrefix(arg("--tags"), "Key="), ",Value=")
		return s.TagByHand(p, arg("--secret-id"), now, Tag{Key: key, Value: tag})
	}
	return fmt.Errorf("a person doesn't know what to do with %q", line)
}

// MoveByHand moves a label without asking where it was; with version "" it removes it.
func (s *Service) MoveByHand(p wire.Place, name, label, version string, now time.Time) error {
	return s.edit(p, name, now, func(of *secret) error {
		switch {
		case version == "":
			delete(of.labels, label)
		case of.versions[version] == nil:
			return noVersion(version)
		default:
			of.attach(label, version)
		}
		return nil
	})
}

// TagByHand sets tags.
func (s *Service) TagByHand(p wire.Place, name string, now time.Time, tags ...Tag) error {
	return s.edit(p, name, now, func(of *secret) error {
		of.tag(tags)
		return nil
	})
}

// SetOwner makes the secret one that another service manages ("rds"), or with "" nobody's.
func (s *Service) SetOwner(p wire.Place, name, service string, now time.Time) error {
	return s.edit(p, name, now, func(of *secret) error {
		of.owner = service
		return nil
	})
}

// SetRotation says whether Secrets Manager rotates the secret itself.
func (s *Service) SetRotation(p wire.Place, name string, enabled bool, now time.Time) error {
	return s.edit(p, name, now, func(of *secret) error {
		of.rotates = enabled
		return nil
	})
}

// SetKmsKey puts the secret and its labelled versions under a key; "" is aws/secretsmanager.
func (s *Service) SetKmsKey(p wire.Place, name, key string, now time.Time) error {
	return s.edit(p, name, now, func(of *secret) error {
		of.rekey(key)
		return nil
	})
}

// SetKeyState says how a KMS key behaves from now on.
func (s *Service) SetKeyState(key string, state KeyState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[key] = state
}

// Replicate makes a copy in another Region, or sets the status of the one there. Copies show the primary's
// versions at once, whatever their status says.
func (s *Service) Replicate(p wire.Place, name string, copied Replica, now time.Time) error {
	return s.edit(p, name, now, func(of *secret) error {
		of.replicas = slices.DeleteFunc(of.replicas, func(r Replica) bool { return r.Region == copied.Region })
		of.replicas = append(of.replicas, copied)
		there := wire.Place{Account: p.Account, Region: copied.Region}
		if s.replicas[there] == nil {
			s.replicas[there] = map[string]*secret{}
		}
		s.replicas[there][of.name] = of
		return nil
	})
}

func (s *Service) edit(p wire.Place, name string, now time.Time, f func(*secret) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	of, _ := s.find(p, name, now)
	if of == nil {
		return fmt.Errorf("edit %q by hand: %w", name, notFound())
	}
	if err := f(of); err != nil {
		return fmt.Errorf("edit %q by hand: %w", name, err)
	}
	of.changed = now
	return nil
}
