package apply_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// Before anything is claimed, each looking step knows what those before it found, as it will in the rotation itself; and
// who uses the secret is told beside what the target looks like, also when a consumer is refused.
func TestALookBeforeTheClaimHandsOnWhatItFound(t *testing.T) {
	h := &house{t: t}
	job := h.jobs(name, func(in *plan.Input) {
		in.Targets[0].Discover = json.RawMessage(`{}`)
		in.Targets[0].Consumers = []plan.Use{{Name: "web", Uses: "consumer/toy"}}
	})["dev"]
	says := func(text string, facts map[string]string) rotation.Func {
		return func(context.Context, rotation.Step, rotation.Past) (rotation.Result, error) {
			return rotation.Result{Text: text, Facts: facts}, nil
		}
	}
	discover := func(_ context.Context, _ rotation.Step, past rotation.Past) (rotation.Result, error) {
		return rotation.Result{Text: "who uses " + past.Fact("preflight", "arn"), Facts: map[string]string{"users": "1", "user_01": "hunter2"}}, nil
	}
	r := &apply.Runner{Scrub: h.runner().Scrub, Handlers: func(context.Context, *rotation.Claim) (map[string]rotation.Handler, error) {
		return map[string]rotation.Handler{
			"kind/toy":    {"preflight": says("as expected", map[string]string{"arn": "arn:x"}), "preview": says("not read", map[string]string{"arn": "arn:x"})},
			plan.Discover: {plan.Discover: discover, "preview": discover},
			"consumer/toy": {"preflight": func(_ context.Context, _ rotation.Step, past rotation.Past) (rotation.Result, error) {
				return rotation.Result{}, rotation.Failf("mend it", "%s isn't named", past.Fact("preflight", "arn"))
			}},
		}, nil
	}}
	facts := []rotation.Fact{{Step: plan.Discover, Key: "user_01", Value: "[redacted]"}, {Step: plan.Discover, Key: "users", Value: "1"}, {Step: "preflight", Key: "arn", Value: "arn:x"}}
	want := apply.Note{Chain: job.Claim.Plan.Chain, Text: "arn:x isn't named", Hint: "mend it", Facts: facts, Users: "who uses arn:x"}
	if d := cmp.Diff(want, r.Preflight(t.Context(), &job.Claim.Plan)); d != "" {
		t.Error(d)
	}
	want.OK, want.Text, want.Hint = true, "not read; not looked at: consumer/toy can't without reading a value", ""
	if d := cmp.Diff(want, r.Preview(t.Context(), &job.Claim.Plan)); d != "" {
		t.Error(d)
	}
}
