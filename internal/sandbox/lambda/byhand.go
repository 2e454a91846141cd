package lambda

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// SetPace changes how long an update takes, and whether those from now on fail in the end.
func (s *Service) SetPace(takes time.Duration, fails bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes, s.fails = takes, fails
}

// MakeByHand makes a function, or another one in the place of the one with its name.
func (s *Service) MakeByHand(p wire.Place, f Function, now time.Time) (arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := sha256.Sum256([]byte(f.Name))
	f.Code, f.Handler = cmp.Or(f.Code, base64.StdEncoding.EncodeToString(sum[:])), cmp.Or(f.Handler, "main")
	f.Timeout, f.State = cmp.Or(f.Timeout, 3), cmp.Or(f.State, Active)
	if s.functions[p] == nil {
		s.functions[p] = map[string]*function{}
	}
	made := &function{place: p, latest: configuration{Function: f, version: Latest}, outcome: Successful, aliases: map[string]*alias{}, running: map[string]*running{}}
	made.latest.Environment = maps.Clone(f.Environment)
	s.changed(made, now)
	s.functions[p][f.Name] = made
	return made.arn()
}

// MapByHand makes an event source mapping.
func (s *Service) MapByHand(p wire.Place, made Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources[p] = append(s.sources[p], source{made, s.random.UUID()})
}

// ChangeByHand changes $LATEST as a person would, at once.
func (s *Service) ChangeByHand(p wire.Place, name string, now time.Time, change func(*Function)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.functions[p][name]; f != nil {
		f.latest.Environment = maps.Clone(f.latest.Environment)
		if f.latest.Environment == nil {
			f.latest.Environment = map[string]string{}
		}
		change(&f.latest.Function)
		s.changed(f, now)
	}
}

// AliasByHand has an alias name a version, "" one that it publishes for that, and says which.
func (s *Service) AliasByHand(p wire.Place, name, called, version string, weights map[string]float64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.functions[p][name]
	if f == nil {
		return ""
	}
	if version == "" {
		version = s.publish(f, "").version
	}
	f.aliases[called] = &alias{called, version, s.random.UUID(), weights}
	return version
}

// Versions are the numbers of the published ones, and what aliases name.
func (s *Service) Versions(p wire.Place, name string) (published []string, aliases map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	aliases = map[string]string{}
	if f := s.functions[p][name]; f != nil {
		for _, c := range f.published {
			published = append(published, c.version)
		}
		for _, a := range f.aliases {
			aliases[a.name] = a.version
		}
	}
	return published, aliases
}

// Environment is that of a version, by its number or an alias; "" is $LATEST.
func (s *Service) Environment(p wire.Place, name, qualifier string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.functions[p][name]; f != nil {
		if c := f.find(qualifier); c != nil {
			return maps.Clone(c.Environment)
		}
	}
	return nil
}

// Invoke runs the function once and answers which version of the secret it ran with. An execution environment that there
// is goes on with what it read when it started, until its cache is too old; read is asked otherwise.
func (s *Service) Invoke(p wire.Place, name, qualifier string, now time.Time, read func() string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.functions[p][name]
	if f == nil {
		return ""
	}
	c := f.find(qualifier)
	if c == nil {
		return ""
	}
	r := f.running[c.version]
	if r == nil || r.generation != c.generation || c.Cache > 0 && now.Sub(r.read) >= c.Cache {
		r = &running{c.generation, read(), now}
		f.running[c.version] = r
	}
	return r.value
}

// Running is what each execution environment that may still be used runs with, by the version of the function.
func (s *Service) Running(p wire.Place, name string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	if f := s.functions[p][name]; f != nil {
		for version, r := range f.running {
			if c := f.find(version); c != nil && c.generation == r.generation {
				all[version] = r.value
			}
		}
	}
	return all
}
