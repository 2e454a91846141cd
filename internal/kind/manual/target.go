// Package manual is the kind of secrets that only a person can make: at a partner's, in a console without an API. The
// person stores the new value in AWS Secrets Manager under an ID that the rotation asks for, AWSPENDING; all else goes
// its way: proof, promotion, checks, retention, rollback, decommission. The value never passes through GitHub, nor
// through a command line.
//
// While it waits it holds no runner and appends nothing: every visit looks again. A value that wasn't stored under that
// ID is never taken for the rotation's, whoever stored it.
//
// That the old value is revoked where it was issued is something only a person can say, and is recorded as that; where
// the target doesn't ask for it, the evidence claims no more than that nothing labels the old version. It must never
// guess which value a person meant.
package manual

import (
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/staging"
)

// Bounds of a Target.
const (
	DefaultWithin = rotation.Duration(7 * 24 * time.Hour)
	MostWithin    = rotation.Duration(30 * 24 * time.Hour)
	mostSteps     = 20
	mostText      = 300 // characters of one step
)

// A Target is one secret that a person renews.
type Target struct {
	// Secret is the name or ARN of the secret in AWS Secrets Manager.
	Secret string `json:"secret" yaml:"secret" rekey:"required" jsonschema:"required"`
	// Steps say how a person makes the new value, one after the other.
	Steps []string `json:"steps" yaml:"steps" rekey:"required" jsonschema:"required,minItems=1,maxItems=20"`
	// Revoke says how a person revokes the old value where it was issued, after the retention. The rotation ends when they say that it is done. Left out, nobody is asked, and the evidence claims no revocation.
	Revoke []string `json:"revoke,omitempty" yaml:"revoke" jsonschema:"maxItems=20"`
	// Within is how long a person has to store the new value, at most 720h. Default: 168h.
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
	// KMSKey is the key that the secret must be encrypted with: ID, ARN or alias, as the secret names it. Left out, any.
	KMSKey string `json:"kms_key,omitempty" yaml:"kms_key"`
}

// Identity is the secret's.
func (t *Target) Identity() string { return staging.Identity(t.Secret) }

// Check reports what can't be right wherever the secret lives.
func (t *Target) Check(r *problem.Report) {
	if msg, hint := staging.CheckName(t.Secret); msg != "" {
		r.Add("secret", "secret-name", hint, "%s %s", problem.Quote(t.Secret), msg)
	}
	if r.Has("steps") && len(t.Steps) == 0 {
		r.Add("steps", "manual", "say where the new value is made, and by whom", "steps says nothing")
	}
	words(r, "steps", t.Steps)
	words(r, "revoke", t.Revoke)
	if t.Within < 0 || t.Within > MostWithin {
		r.Add("within", "manual", fmt.Sprintf("leave it out for %s", DefaultWithin), "%s isn't between 0 and %s", t.Within, MostWithin)
	}
}

func words(r *problem.Report, key string, list []string) {
	if len(list) > mostSteps {
		r.Add(key, "manual", "point to a page that has the rest", "%d steps, and %d are shown", len(list), mostSteps)
	}
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		switch {
		case strings.TrimSpace(s) == "":
			r.Add(at, "manual", "", "a step says nothing")
		case len([]rune(s)) > mostText:
			r.Add(at, "manual", "split it, or point to a page", "a step has %d characters, and %d are shown", len([]rune(s)), mostText)
		}
	}
}
