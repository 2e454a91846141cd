package manual

import (
	"cmp"
	"context"
	"slices"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/staging"
)

// Kind is this kind's line in the table.
func Kind() kind.Kind {
	return kind.Kind{
		Name:    "manual",
		Shape:   func() kind.Target { return new(Target) },
		Recipe:  func(t kind.Target) []rotation.Spec { return recipe(t.(*Target)) },
		New:     New,
		Inspect: inspect(),
		Beyond:  "credentials that people issue elsewhere",
		Overlap: true,
		Refused: false, // a person says so, where they are asked
	}
}

func recipe(t *Target) []rotation.Spec {
	specs := []rotation.Spec{
		{Phase: rotation.Preconditions, Name: "preflight", Looks: true},
		{Phase: rotation.Create, Name: "create", Looks: true, Within: cmp.Or(t.Within, DefaultWithin),
			Ask: &rotation.Ask{Do: slices.Concat(t.Steps, []string{"Store it, from a file without a line break at its end, then delete the file:"}), Run: staging.Handover(t.Secret)}},
		{Phase: rotation.Create, Name: "test", Looks: true},
		{Phase: rotation.Deploy, Name: "promote"},
		{Phase: rotation.Decommission, Name: "decommission", After: "promote", Delay: rotation.Retain, Final: true},
		{Phase: rotation.Rollback, Name: "restore", Undoes: "promote"},
		{Phase: rotation.Rollback, Name: "discard", Undoes: "create"},
	}
	for i := range specs {
		specs[i].Reads = staging.Reads[specs[i].Name]
	}
	if len(t.Revoke) > 0 {
		ask := &rotation.Ask{Do: slices.Concat(t.Revoke, []string{"Say that it is done:"}), Run: staging.Revoked(t.Secret)}
		last := slices.IndexFunc(specs, func(s rotation.Spec) bool { return s.Phase == rotation.Rollback })
		specs = slices.Insert(specs, last, rotation.Spec{Phase: rotation.Decommission, Name: "revoked", Looks: true, Ask: ask, Reads: staging.Reads["promote"]})
	}
	return specs
}

// New makes the handler for one environment.
func New(d kind.Deps) rotation.Handler {
	h := handler{&staging.Labels{Client: d.SecretsManager, IAM: d.IAM, Identity: d.Identity, Region: d.Region, Keep: d.Keep}}
	past := func(f func(context.Context, rotation.Past) (rotation.Result, error)) rotation.Func {
		return func(ctx context.Context, _ rotation.Step, p rotation.Past) (rotation.Result, error) { return f(ctx, p) }
	}
	return rotation.Handler{
		"preflight": h.preflight, "preview": h.preview, "create": past(h.labels.Await), "test": h.test,
		"promote": past(h.labels.Promote), "decommission": h.decommission, "revoked": h.revoked,
		"restore": past(h.labels.Restore), "discard": h.discard,
	}
}

type handler struct{ labels *staging.Labels }

func (h handler) preflight(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var t Target
	if err := s.Into(&t); err != nil {
		return rotation.Result{}, err
	}
	res, _, err := h.labels.Preflight(ctx, staging.Secret{Name: t.Secret, KMSKey: t.KMSKey}, past)
	return res, err
}

func (h handler) preview(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var t Target
	if err := s.Into(&t); err != nil {
		return rotation.Result{}, err
	}
	return h.labels.Preview(ctx, staging.Secret{Name: t.Secret, KMSKey: t.KMSKey}, past)
}

// test proves what can be proven of a value that only a person understands.
func (h handler) test(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var t Target
	if err := s.Into(&t); err != nil {
		return rotation.Result{}, err
	}
	was, is, res, err := h.labels.Proof(ctx, staging.Secret{Name: t.Secret, KMSKey: t.KMSKey}, past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	text, err := h.labels.Plausible(t.Secret, was, is)
	res.Text += "; " + text + "; that it works is for the checks to show"
	return res, err
}

func (h handler) decommission(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var t Target
	if err := s.Into(&t); err != nil {
		return rotation.Result{}, err
	}
	res, err := h.labels.Decommission(ctx, past)
	if err == nil && res.Wait == "" && len(t.Revoke) == 0 {
		res.Text += "; whether its value was revoked where it was issued isn't known here"
	}
	return res, err
}

// revoked waits for a person to say so, under the step's own token: what was said of another rotation doesn't count.
func (h handler) revoked(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	return h.labels.AwaitRevoked(ctx, past, past.Token(s.Key, staging.Token))
}

func (h handler) discard(ctx context.Context, _ rotation.Step, past rotation.Past) (rotation.Result, error) {
	res, err := h.labels.Discard(ctx, past)
	if stored := past.Fact("create", "new") != "" || past.Fact("discard", "new") != ""; err == nil && res.Wait == "" && stored {
		res.Text += "; unless its value is the old one, have it revoked where it was issued"
	}
	return res, err
}

// inspect is that of every stored value. When a person makes one isn't when their rotation began: the tag of that day
// tells nothing.
func inspect() func(context.Context, *kind.Survey, []kind.Ask) []overdue.Look {
	stored := kind.Stored(func(t kind.Target) (string, string) { return t.(*Target).Secret, "" })
	return func(ctx context.Context, s *kind.Survey, asks []kind.Ask) []overdue.Look {
		all := stored(ctx, s, asks)
		for i := range all {
			all[i].Stamped = ""
		}
		return all
	}
}
