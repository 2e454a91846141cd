// Package lambda is the consumer for AWS Lambda functions that read a secret when they run. It waits until their code must
// have read the new version, or has Lambda start new execution environments by changing one environment variable, and where
// callers come by an alias, publishes that and moves the alias.
//
// An environment may hold secrets. Its values are held against what is looked for, put back as they were, and never shown,
// recorded or quoted; but for one variable nothing of a function is changed. It must never move an alias to a version with
// other code, nor write an environment that it couldn't read.
package lambda

import (
	"regexp"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// Variable is the environment variable whose change has Lambda start new execution environments.
const Variable = "REKEY_ROTATION"

// Defaults and bounds of a Shape.
const (
	DefaultCache  = rotation.Duration(5 * time.Minute) // the longest that AWS's secrets extension keeps a value
	DefaultWithin = rotation.Duration(15 * time.Minute)
	MostCache     = rotation.Duration(12 * time.Hour)
	margin        = 30 * time.Second // clocks differ, and a read takes a while
)

// Consumer is this consumer's line in the table.
func Consumer() consumer.Consumer {
	return consumer.Consumer{Name: "lambda", Shape: func() consumer.Shape { return new(Shape) }, New: New, Find: Find}
}

// A Shape says which function must run with the new version, and what it takes for that.
type Shape struct {
	// Function is its name, or its ARN without version and alias.
	Function string `json:"function" yaml:"function" rekey:"required" jsonschema:"required"`
	// Cache is how long its code keeps what it read of the secret, at most 12h. Default: 5m, the longest that AWS's
	// extension for secrets does. It is waited out.
	Cache rotation.Duration `json:"cache,omitempty" yaml:"cache"`
	// Refresh is for code that reads the secret once, when it starts: the variable REKEY_ROTATION is changed, so that new
	// execution environments start.
	Refresh bool `json:"refresh,omitempty" yaml:"refresh"`
	// Alias that callers come by, where it names a published version. With refresh: a version is published, and the alias moved.
	Alias string `json:"alias,omitempty" yaml:"alias"`
	// Within is how long it may take. Default: 15m.
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
}

// Deadline is Within or its default.
func (s *Shape) Deadline() rotation.Duration { return or(s.Within, DefaultWithin) }

// Shared is the function, where it is changed.
func (s *Shape) Shared() string {
	if !s.Refresh {
		return ""
	}
	return s.Function[strings.LastIndexByte(s.Function, ':')+1:]
}

// lasts is how long after a change of the secret the code may go on with what it read before.
func (s *Shape) lasts() time.Duration { return time.Duration(or(s.Cache, DefaultCache)) + margin }

var (
	functionName = regexp.MustCompile(`^(arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}$`)
	aliasName    = regexp.MustCompile(`^[A-Za-z0-9_-]*[A-Za-z_-][A-Za-z0-9_-]*$`) // digits only is a version
)

// Check reports what can't be right whatever the function is.
func (s *Shape) Check(r *problem.Report) {
	if !functionName.MatchString(s.Function) && (s.Function != "" || r.Has("function")) {
		r.Add("function", "function", "write its name, or its ARN up to the name; an alias has a key of its own", "%s names no function", problem.Quote(s.Function))
	}
	if s.Alias != "" && !aliasName.MatchString(s.Alias) {
		r.Add("alias", "alias", "write its name, like live", "%s names no alias", problem.Quote(s.Alias))
	}
	if s.Alias != "" && !s.Refresh {
		r.Add("alias", "alias", "leave alias out, or write refresh: true", "without refresh nothing is published, and no alias moved")
	}
	switch {
	case s.Cache < 0 || s.Cache > MostCache:
		r.Add("cache", "out-of-range", "where code keeps a value for longer, have it read again: refresh: true", "cache must be between 1s and 12h")
	case s.lasts() >= time.Duration(s.Deadline()):
		at := "cache"
		if r.Has("within") {
			at = "within"
		}
		r.Add(at, "out-of-range", "make within longer", "within %s is over before a cache of %s is", span(time.Duration(s.Deadline())), span(time.Duration(or(s.Cache, DefaultCache))))
	}
}

func or(d, otherwise rotation.Duration) rotation.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
