// Package parameter is the consumer for a parameter of AWS Systems Manager that says which version of a secret is to be
// used: others read it, and then that version. It writes the ID of the new version there, or its ARN; where readers go by a
// label of the parameter's, it makes a version of the parameter and moves the label to it.
//
// The parameter is a plain String and no secret: what it holds must be what the old version is called, or it is refused and
// not shown. A SecureString is never read decrypted, nor written. It must never write what isn't the name of a version that
// is on record, nor over what somebody else wrote; and of labels it must never move another than its own.
package parameter

import (
	"regexp"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// DefaultWithin is for one call, and the look at what came of it.
const DefaultWithin = rotation.Duration(5 * time.Minute)

// Consumer is this consumer's line in the table.
func Consumer() consumer.Consumer {
	return consumer.Consumer{Name: "parameter", Shape: func() consumer.Shape { return new(Shape) }, New: New, Find: Find}
}

// A Shape says which parameter holds what.
type Shape struct {
	// Name of the parameter, without a version or a label. Parameter Store takes no ARN for what is changed.
	Name string `json:"name" yaml:"name" rekey:"required" jsonschema:"required"`
	// Holds is what stands in the parameter: version, the ID of the secret's version (the default), or arn, that version's
	// ARN as ECS takes it (arn:…:::VERSION), of a KMS key the key's.
	Holds string `json:"holds,omitempty" yaml:"holds" jsonschema:"enum=version,enum=arn"`
	// Label that readers go by, as in /shop/secret-version:live: it is moved to a version of the parameter that holds the new
	// version's name, and back to the one that it was on. Left out, readers go by the latest version.
	Label string `json:"label,omitempty" yaml:"label"`
	// Within is how long it may take. Default: 5m.
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
}

// Deadline is Within or its default.
func (s *Shape) Deadline() rotation.Duration {
	if s.Within == 0 {
		return DefaultWithin
	}
	return s.Within
}

var (
	parameterName = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)
	labelName     = regexp.MustCompile(`^[A-Za-z._-][A-Za-z0-9._-]{0,99}$`) // Systems Manager API reference, LabelParameterVersion
	reserved      = regexp.MustCompile(`^(?i:aws|ssm)`)
)

// Check reports what can't be right whatever the parameter is.
func (s *Shape) Check(r *problem.Report) {
	if !parameterName.MatchString(s.Name) && (s.Name != "" || r.Has("name")) {
		hint := "write it like /shop/secret-version, without a version or a label"
		if strings.HasPrefix(s.Name, "arn:") {
			hint = "write what comes after \":parameter\": Parameter Store takes no ARN for what is changed"
		}
		r.Add("name", "parameter", hint, "%s names no parameter", problem.Quote(s.Name))
	}
	if s.Label != "" && (!labelName.MatchString(s.Label) || reserved.MatchString(s.Label)) {
		r.Add("label", "label", "write it like live: letters, digits, . - and _, beginning neither with a digit nor with aws or ssm", "%s can't be a label", problem.Quote(s.Label))
	}
}
