// Package lambda is the part of AWS Lambda that a function's configuration needs: it reads and updates that, publishes
// versions and moves aliases. It owns functions, their versions and aliases, and the execution environments that a person
// has them run in, each with what it read of the secret when it started.
//
// An update takes a while, in which others are refused; each one makes a new revision, and execution environments of
// $LATEST that started before it aren't used any more. A published version never changes.
//
// It must never serve what would change code, nor be kinder about an environment than AWS: the refusal of one that is too
// big quotes it whole, values included.
package lambda

import (
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Latest is the version that can be changed.
const Latest = "$LATEST"

// maxEnvironment is in bytes, of all variables together (Lambda developer guide, quotas).
const maxEnvironment = 4096

// Words of State and LastUpdateStatus.
const (
	Active     = "Active"
	Pending    = "Pending"
	InProgress = "InProgress"
	Successful = "Successful"
	Failed     = "Failed"
)

// A Function is one as a person makes it.
type Function struct {
	Name        string
	Environment map[string]string
	Code        string        // CodeSha256; default: made of the name
	Handler     string        // default main
	Timeout     int           // seconds; default 3
	State       string        // default Active
	Hidden      bool          // the environment can't be decrypted: it is answered as an error, without variables
	Cache       time.Duration // how long its code keeps what it read of the secret; 0: as long as it runs
}

// Service is Lambda of all accounts and Regions. Safe for concurrent use.
type Service struct {
	mu        sync.Mutex
	random    *wire.Random
	takes     time.Duration // that an update is in progress
	fails     bool          // the next update does, in the end
	functions map[wire.Place]map[string]*function
	sources   map[wire.Place][]source
}

// A Source is an event source mapping as a person makes it.
type Source struct {
	Function string            // its name
	From     string            // ARN of what it takes events from; "" of one that isn't AWS's
	Access   map[string]string // the ARN of a secret, by type of access: "BASIC_AUTH"
}

type source struct {
	Source
	id string
}

// A configuration is what a version runs with.
type configuration struct {
	Function
	version     string
	description string
	revision    string
	updated     time.Time
	generation  int // of $LATEST: raised by every change
}

type function struct {
	place     wire.Place
	latest    configuration
	until     time.Time // the update is in progress
	outcome   string    // of the last update, once it is over
	published []configuration
	aliases   map[string]*alias
	running   map[string]*running // by version
}

type alias struct {
	name, version, revision string
	weights                 map[string]float64
}

// running is an execution environment.
type running struct {
	generation int
	value      string
	read       time.Time
}

// New is a service without a function.
func New(r *wire.Random) *Service {
	return &Service{random: r, takes: 4 * time.Second, functions: map[wire.Place]map[string]*function{}, sources: map[wire.Place][]source{}}
}

func (f *function) arn() string {
	return "arn:aws:lambda:" + f.place.Region + ":" + f.place.Account + ":function:" + f.latest.Name
}

// status is that of the last update. One that failed leaves the configuration as it was asked for.
func (f *function) status(now time.Time) string {
	if now.Before(f.until) {
		return InProgress
	}
	return f.outcome
}

// find is a version, by its number or an alias.
func (f *function) find(qualifier string) *configuration {
	if a := f.aliases[qualifier]; a != nil {
		qualifier = a.version
	}
	if qualifier == "" || qualifier == Latest {
		return &f.latest
	}
	for i := range f.published {
		if f.published[i].version == qualifier {
			return &f.published[i]
		}
	}
	return nil
}

// changed makes another revision of $LATEST.
func (s *Service) changed(f *function, now time.Time) {
	f.latest.revision, f.latest.updated, f.latest.generation = s.random.UUID(), now, f.latest.generation+1
}

// publish makes a version of $LATEST, or answers the last one where nothing was changed since.
func (s *Service) publish(f *function, description string) *configuration {
	if n := len(f.published); n > 0 && f.published[n-1].generation == f.latest.generation {
		return &f.published[n-1]
	}
	made := f.latest
	made.Environment = maps.Clone(f.latest.Environment)
	made.version, made.description, made.revision = strconv.Itoa(len(f.published)+1), description, s.random.UUID()
	f.published = append(f.published, made)
	return &f.published[len(f.published)-1]
}

// nameOf takes a name, or an ARN without a qualifier.
func nameOf(p wire.Place, ref string) string {
	for _, prefix := range []string{"arn:aws:lambda:" + p.Region + ":" + p.Account + ":function:", p.Account + ":function:"} {
		if rest, ok := strings.CutPrefix(ref, prefix); ok {
			return rest
		}
	}
	return ref
}
