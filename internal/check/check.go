// Package check is the words of a check: what proves, before a rotation and after each change, that the consumers
// of a secret work. Each check is one package under this one and one line in internal/app's table. Their handlers
// have two functions, "baseline" before anything is changed and "validate" after the change and after a restore.
// A check must never hold a secret, and never say of a response or an output more than is redacted.
package check

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/redact"
	"github.com/rastup/rekey/internal/rotation"
)

// A Check is all that the rest of the program knows of one.
type Check struct {
	Name string // as registry and configuration write it; its steps use "check/<Name>"
	// Shape makes its zero parameters, a pointer to a struct: strict parsing, the schema and a step's
	// parameters (its JSON) come from it.
	Shape func() Shape
	// New makes the handler of one environment. It calls nothing.
	New func(Deps) rotation.Handler
}

// A Shape is the parameters of one check, with rules that its fields' types can't say.
type Shape interface {
	problem.Checker
	// Deadline is until when the check may still become green: its steps' Within.
	Deadline() rotation.Duration
}

// Deps are what checks are built on, ready made for one environment. All but the clients of AWS are required.
type Deps struct {
	HTTP     *http.Client                               // sends GET only; package check/http makes a fitting one
	Now      func() time.Time                           // measures how long something took
	Redact   *redact.Set                                // knows the secrets of this process
	Lookup   func(name string) (value string, set bool) // this process's environment variables
	Checkout string                                     // absolute path of the repository's checkout
	Arm      func(context.Context, rotation.Past) error // reads the rotation's recorded versions into Redact

	CloudWatch *cloudwatch.Client     // nil: a check that looks there fails
	Logs       *cloudwatchlogs.Client // likewise
}
