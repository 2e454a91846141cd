// Package parameter is the consumer for a parameter of AWS Systems Manager that says which version of a secret is to be
// used: others read it, and then that version. It writes the ID of the new version there, or its ARN.
//
// The parameter is a plain String and no secret: what it holds must be what the old version is called, or it is refused and
// not shown. A SecureString is never read decrypted, nor written. It must never write what isn't the name of a version that
// is on record, nor over what somebody else wrote.
package parameter

import (
	"regexp"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// DefaultWithin is for one call, and the look at what came of it.
const DefaultWithin = rotation.Duration(5 * time.Minute)

// Consumer is this consumer's line in the table.
func Consumer() consumer.Consumer {
	return consumer.Consumer{Name: "parameter", Shape: func() consumer.Shape { return new(Shape) }, New: New}
}

// A Shape says which parameter holds what.
type Shape struct {
	// Name of the parameter, or its ARN, without a version or a label.
	Name string `json:"name" yaml:"name" rekey:"required" jsonschema:"required"`
	// Holds is what stands in the parameter: version, the ID of the secret's version (the default), or arn, that version's
	// ARN as ECS takes it (arn:…:::VERSION), of a KMS key the key's.
	Holds string `json:"holds,omitempty" yaml:"holds" jsonschema:"enum=version,enum=arn"`
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

var parameterName = regexp.MustCompile(`^(arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:parameter/)?[A-Za-z0-9_./-]+$`)

// Check reports what can't be right whatever the parameter is.
func (s *Shape) Check(r *problem.Report) {
	if !parameterName.MatchString(s.Name) && (s.Name != "" || r.Has("name")) {
		r.Add("name", "parameter", "write it like /shop/secret-version, without a version or a label", "%s names no parameter", problem.Quote(s.Name))
	}
}
