// Package consumer is the words of a consumer: what runs with a secret, and takes a new version of it up. Each consumer
// is one package under this one and one line in internal/app's table.
//
// A consumer never decides which credential is the live one: a kind does, before, by a label, an alias or a parameter. So
// on the way back, too, the label is moved first and the consumers follow. It must never hold a secret, nor touch what
// its preflight didn't find and record.
package consumer

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
)

// The functions of a handler, each a step for every consumer of a secret. The first and the third only look. Preview is no
// step: it stands for the first where nothing may be run and no value read, and need not be there.
const (
	Preflight = "preflight" // refuses what couldn't be deployed, and records all that the way back needs
	Deploy    = "deploy"    // has it take up the new version, and waits until it runs with that
	Adopted   = "adopted"   // waits, for ever, while something still runs with the old version, and says what
	Back      = "back"      // after the old version is the live one again: has it take that up, and waits
	Preview   = "preview"
)

// A Consumer is all that the rest of the program knows of one.
type Consumer struct {
	Name string // as the registry writes it; its steps use "consumer/<Name>"
	// Shape makes its zero parameters, a pointer to a struct: strict parsing, the schema and a step's parameters (its
	// JSON) come from it.
	Shape func() Shape
	// New makes the handler of one environment. It calls nothing.
	New func(Deps) rotation.Handler
	// Find makes what finds the users of any secret in one environment; nil where that can't be. It calls nothing.
	Find func(Deps) Finder
}

// A Shape is the parameters of one consumer, with rules that its fields' types can't say.
type Shape interface {
	problem.Checker
	// Deadline is how long it may take to take something up: its steps' Within.
	Deadline() rotation.Duration
}

// A Sharer is a Shape of what is restarted as a whole: consumers of several secrets may be the same, and need it once.
type Sharer interface {
	// Shared names what is restarted, the same however it is written; "" when nothing is.
	Shared() string
}

// Deps are what consumers are built on, ready made for one environment.
type Deps struct {
	ECS    *ecs.Client
	Lambda *lambda.Client
	SSM    *ssm.Client
	GitHub *github.Client // of the repository that Rekey runs in, to read; nil: there is no token
	Bot    string         // login that starts workflows
	Now    func() time.Time

	Programs program.Place                              // where commands of the repository run
	Arm      func(context.Context, rotation.Past) error // reads the rotation's recorded versions into what redacts their output
}

// Key is the key of a consumer's step: "deploy/web". The kind's own steps have no slash.
func Key(function, name string) string {
	if function == Preflight {
		function = "consumer" // "preflight/…" would read as the kind's
	}
	return function + "/" + name
}

// Named is the name of the consumer that a step is of.
func Named(s rotation.Step) string {
	_, name, _ := strings.Cut(s.Key, "/")
	return name
}

// Found is what preflight of the step's consumer recorded.
func Found(s rotation.Step, past rotation.Past, key string) string {
	return past.Fact(Key(Preflight, Named(s)), key)
}
