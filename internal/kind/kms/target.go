// Package kms is the kind of keys in AWS KMS that applications name by an alias: symmetric, asymmetric and HMAC keys
// whose material KMS made, in one Region.
//
// A new key is made with the old one's policy, spec, usage and tags; the alias moves to it; the old key stays enabled,
// since what was encrypted names the key it was encrypted with. Only when nothing is seen to need it any more (last
// use, aliases, grants, versions in Secrets Manager; where that can't be known, it isn't taken for unused) the old key
// is disabled, which can be undone, and after a soak its deletion is scheduled, 30 days ahead.
//
// CreateKey has no idempotency token: that it is about to be called is on record first, by AWS's clock, and the key
// carries the rotation's ID in a tag of the same call. A key whose answer was lost is found by that tag and adopted;
// another one is made only when the lost call can't arrive any more. UpdateAlias doesn't compare and swap: a person
// who moves the alias in the instant between our look and our call isn't seen.
//
// A key that the alias may have named is never deleted on rollback: data may exist under it. It must never delete or
// disable a key that isn't on record, nor one that the alias names, nor let a new key differ from the old one.
package kms

import (
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// Defaults and bounds of a Target.
const (
	DefaultIdle = rotation.Duration(24 * time.Hour)
	DefaultSoak = rotation.Duration(7 * 24 * time.Hour)
	Most        = rotation.Duration(90 * 24 * time.Hour) // further back CloudTrail doesn't look
)

// A Target is one alias.
type Target struct {
	// Alias that applications name the key by, with its prefix: alias/app.
	Alias string `json:"alias" yaml:"alias" rekey:"required" jsonschema:"required"`
	// Idle is how long nobody may have used the old key before it is disabled. Default 24h.
	Idle rotation.Duration `json:"idle,omitempty" yaml:"idle"`
	// Soak is how long the old key stays disabled before its deletion is scheduled. Default 168h.
	Soak rotation.Duration `json:"soak,omitempty" yaml:"soak"`
	// Liaison is the compliance liaison who is told of a new signing key, as people are named on GitHub. Signing keys need one.
	Liaison string `json:"liaison,omitempty" yaml:"liaison"`
}

// Identity is the alias.
func (t *Target) Identity() string { return "kms/" + t.Alias }

func (t *Target) idle() time.Duration {
	if t.Idle == 0 {
		return time.Duration(DefaultIdle)
	}
	return time.Duration(t.Idle)
}

func (t *Target) soak() rotation.Duration {
	if t.Soak == 0 {
		return DefaultSoak
	}
	return t.Soak
}

var (
	aliasForm   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^alias/[A-Za-z0-9/_-]{1,250}$`) })
	liaisonForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^@?[A-Za-z0-9][A-Za-z0-9/_-]{0,99}$`) })
)

// Check reports what can't be right wherever the key lives.
func (t *Target) Check(r *problem.Report) {
	switch {
	case t.Alias == "":
		if r.Has("alias") {
			r.Add("alias", "alias", "write it like alias/app", "alias is empty")
		}
	case strings.HasPrefix(t.Alias, "arn:"):
		r.Add("alias", "alias", "write its name, like alias/app: account and region are the environment's", "%s is an ARN", problem.Quote(t.Alias))
	case strings.HasPrefix(t.Alias, "alias/aws/"):
		r.Add("alias", "alias", "AWS rotates its own keys; rotate one of yours", "%s is a key of AWS", problem.Quote(t.Alias))
	case !aliasForm().MatchString(t.Alias):
		r.Add("alias", "alias", "write it like alias/app: letters, digits, / _ and - after alias/", "%s is no alias of a KMS key", problem.Quote(t.Alias))
	}
	for name, d := range map[string]rotation.Duration{"idle": t.Idle, "soak": t.Soak} {
		if d < 0 || d > Most {
			r.Add(name, "out-of-range", "90 days (2160h) at most", "%s %s is out of range", name, d)
		}
	}
	if t.Liaison != "" && !liaisonForm().MatchString(t.Liaison) {
		r.Add("liaison", "liaison", "write it like @octo/compliance", "%s names nobody on GitHub", problem.Quote(t.Liaison))
	}
}
