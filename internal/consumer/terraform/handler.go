package terraform

import (
	"context"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
)

// Names of facts.
const (
	factValue   = "value"   // of preflight: what the variable held, the name of the old version
	factChanges = "changes" // of preflight or deploy: what the new version is to change
	factRuns    = "runs"    // how often an apply was begun, recorded before each time
	factBack    = "back"    // of back: the run after which everything ran with the old version
)

// every is the pause between two tries for a state that somebody else has locked.
const every = 15 * time.Second

type handler struct {
	consumer.Deps
	runs program.Runs // of this process
}

// A call is one asking of one step.
type call struct {
	Shape
	step rotation.Step
	past rotation.Past
}

// New makes the handler for one environment.
func New(d consumer.Deps) rotation.Handler {
	h := &handler{Deps: d}
	return rotation.Handle(callOf, map[string]func(context.Context, call) (rotation.Result, error){
		consumer.Preflight: h.preflight, consumer.Preview: h.preview, consumer.Deploy: h.deploy, consumer.Adopted: h.adopted, consumer.Back: h.back,
	})
}

func callOf(s rotation.Step, past rotation.Past) (call, error) {
	c := call{step: s, past: past}
	err := s.Into(&c.Shape)
	return c, err
}

func (c call) called() string { return "the variable " + c.Variable + " of " + c.Dir }

func (c call) old() (string, error) {
	return consumer.Held(c.past, c.past.Fact("preflight", "old"), c.Holds, c.called())
}

func (c call) new() (string, error) {
	return consumer.Held(c.past, c.past.Fact("create", "new"), c.Holds, c.called())
}

// deployed is what this consumer's deploy recorded.
func (c call) deployed(key string) string {
	return c.past.Fact(consumer.Key(consumer.Deploy, consumer.Named(c.step)), key)
}

// foreseen are the changes that a rotation may make; false where nothing is on record of that.
func (c call) foreseen() ([]string, bool) {
	fact := consumer.Found(c.step, c.past, factChanges)
	if fact == "" {
		fact = c.deployed(factChanges)
	}
	return listed(fact), fact != ""
}

func (c call) token() string { return c.past.Token(c.step.Key, "apply") }

// preview runs nothing: a pull request could have changed what there is to run.
func (h *handler) preview(_ context.Context, c call) (rotation.Result, error) {
	return rotation.Result{Text: c.Dir + " was not planned: nothing of a pull request is run"}, nil
}
