package lambda

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
)

// Names of facts.
const (
	factRevision = "revision" // of the configuration, at preflight
	factWas      = "was"      // the variable's value before; "": there was none
	factTimeout  = "timeout"  // the longest that one invocation may take
	factAlias    = "alias"    // the version that the alias named before
	factSeen     = "seen"     // the variable's value when deploy was first asked; nothing: there was none
	factInForce  = "in_force" // the revision under which the variable was seen in force
	factVersion  = "version"  // that was published for the alias
	factSince    = "since"    // the way back began
	factPuts     = "puts"     // what the way back gives the variable: factWas, or a token of its own
)

// poll is how long Lambda is given before it is asked again.
const poll = 3 * time.Second

type handler struct {
	client *lambda.Client
	now    func() time.Time
	looked sync.Map // IDs of steps for which this process put on record what the variable was
}

// A call is one asking of one step.
type call struct {
	Shape
	step rotation.Step
	past rotation.Past
}

// New makes the handler for one environment.
func New(d consumer.Deps) rotation.Handler {
	h := &handler{client: d.Lambda, now: d.Now}
	return rotation.Handle(callOf, map[string]func(context.Context, call) (rotation.Result, error){
		consumer.Preflight: h.preflight, consumer.Deploy: h.deploy, consumer.Adopted: h.adopted, consumer.Back: h.back,
	})
}

func callOf(s rotation.Step, past rotation.Past) (call, error) {
	c := call{step: s, past: past}
	err := s.Into(&c.Shape)
	return c, err
}

// key is that of another step of this consumer.
func (c call) key(function string) string { return consumer.Key(function, consumer.Named(c.step)) }

// found is what preflight recorded.
func (c call) found(fact string) string { return consumer.Found(c.step, c.past, fact) }

// deployed is what deploy recorded.
func (c call) deployed(fact string) string { return c.past.Fact(c.key(consumer.Deploy), fact) }

// own is what this step recorded.
func (c call) own(fact string) string { return c.past.Fact(c.step.Key, fact) }

// value is what a step gives the variable: the same in every run of this attempt, and another one for every secret.
func (c call) value(function string) (string, error) {
	token := c.past.Token(c.key(function), Variable)
	if token == "" {
		return "", fmt.Errorf("the plan has no step %q", c.key(function))
	}
	return token[:32], nil
}

// written is what such a value looks like.
var written = regexp.MustCompile(`^[0-9a-f]{32}$`)

// called is the function as people read it.
func (c call) called() string {
	return "function " + c.Function[strings.LastIndexByte(c.Function, ':')+1:]
}

// outlived has a Wait until nothing that the code read before this time can be in use any more.
func (h *handler) outlived(c call, since time.Time, when string) rotation.Result {
	until := since.Add(c.lasts())
	code, cache := "code of "+c.called(), span(time.Duration(or(c.Cache, DefaultCache)))
	if left := until.Sub(h.now()); left > 0 {
		return rotation.Result{Wait: fmt.Sprintf("%s, which keeps a value for %s, to have read the secret again, at %s", code, cache, clock(until)), Again: left}
	}
	return rotation.Result{Text: fmt.Sprintf("%s has read the secret again since %s, when %s: it keeps a value for %s", code, clock(since), when, cache)}
}

// promoted is when the new version became the live one.
func (c call) promoted() (time.Time, error) {
	at := c.past.Done("promote")
	if at.IsZero() {
		return at, errors.New("the records don't say when the new version was promoted")
	}
	return at, nil
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

// span is a length of time without its zeros: 5m.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func once(o *lambda.Options) { o.Retryer = cloud.Once() }
