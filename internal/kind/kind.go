// Package kind is the words of a kind of secret: its name, the shape of its target, its recipe as data, and the
// constructor of its handler. Each kind is one package under this one and one line in internal/app's table.
// It must never know a kind by name; kinds never import each other.
package kind

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

// A Kind is all that the rest of the program knows of one.
type Kind struct {
	Name string // as the registry writes it; its steps use "kind/<Name>"
	// Shape makes the zero target, a pointer to a struct: strict parsing, the schema and a step's parameters
	// (its JSON) come from it.
	Shape func() Target
	// Recipe is the steps, in order, for one target without problems.
	Recipe func(Target) []rotation.Spec
	// New makes the handler of one environment. It calls nothing.
	New func(Deps) rotation.Handler

	// Inspect says of many targets, in their order, how old what is live there is. It reads metadata only, never a value,
	// and shares its lists with all that ask.
	Inspect func(context.Context, *Survey, []Ask) []overdue.Look

	// Beyond is what Inspect can't see, since it reads no credential: "endpoints at Stripe". "" nothing.
	Beyond string

	// What the conformance suite holds the kind to.
	Overlap bool // old and new both work between promote and decommission
	Refused bool // afterwards the old credential is tried and refused
}

// A Target is where one secret lives in one environment. One with rules that its fields' types can't say is a
// problem.Checker as well.
type Target interface {
	// Identity is equal for two targets exactly when they are the same thing, as far as their text tells.
	Identity() string
}

// Deps are what a kind is built on, ready made for one environment.
type Deps struct {
	SecretsManager *secretsmanager.Client
	KMS            *kms.Client
	RDS            *rds.Client
	CloudTrail     *cloudtrail.Client                    // to ask when a key was last used
	IAM            *iam.Client                           // to ask what the identity may do
	Identity       func(context.Context) (string, error) // ARN that the clients act as
	Region         string                                // where the clients look
	Keep           secret.Keeper

	// Transport of services that aren't AWS's, below the fence that a kind puts over it; nil is Go's own.
	Transport http.RoundTripper
	// Dial makes the connections of databases; nil is Go's own.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Programs is where commands of the repository run. Required by kinds that run some.
	Programs program.Place
	// Now is the time, for signatures that a service holds against its own clock. Required by the kinds that make some.
	Now func() time.Time
}

// On fills in the clients of a session. seen is told every value before anybody has it.
func On(s *cloud.Session, seen func([]byte)) Deps {
	return Deps{SecretsManager: s.SecretsManager(), KMS: s.KMS(), RDS: s.RDS(), CloudTrail: s.CloudTrail(), IAM: s.IAM(), Identity: s.Identity, Region: s.Region(), Keep: secret.Keeper{Seen: seen}}
}
