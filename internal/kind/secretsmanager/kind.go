package secretsmanager

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/secret/spec"
	"github.com/rastup/rekey/internal/staging"
)

// Kind is this kind's line in the table.
func Kind() kind.Kind {
	return kind.Kind{
		Name:    "secretsmanager",
		Shape:   func() kind.Target { return new(Target) },
		Recipe:  func(t kind.Target) []rotation.Spec { return recipe(t.(*Target)) },
		New:     New,
		Inspect: kind.Stored(func(t kind.Target) (string, string) { return t.(*Target).Secret, t.(*Target).Key }),
		Overlap: true,
		Refused: false, // see the package comment
	}
}

func recipe(t *Target) []rotation.Spec {
	specs := []rotation.Spec{
		{Phase: rotation.Preconditions, Name: "preflight", Looks: true},
		{Phase: rotation.Create, Name: "create"},
		{Phase: rotation.Create, Name: "test", Looks: true},
		{Phase: rotation.Deploy, Name: "promote"},
		{Phase: rotation.Decommission, Name: "decommission", After: "promote", Delay: rotation.Retain, Final: true},
		{Phase: rotation.Rollback, Name: "restore", Undoes: "promote"},
		{Phase: rotation.Rollback, Name: "discard", Undoes: "create"},
	}
	if t.overlaps() { // the old public key is trusted until here
		specs = slices.Insert(specs, 4, rotation.Spec{Phase: rotation.Decommission, Name: staging.Follower, After: "promote", Delay: rotation.Retain, Final: true})
	}
	for i := range specs {
		specs[i].Reads = staging.Reads[specs[i].Name]
	}
	return specs
}

// New makes the handler for one environment.
func New(d kind.Deps) rotation.Handler {
	h := handler{labels: &staging.Labels{Client: d.SecretsManager, IAM: d.IAM, Identity: d.Identity, Region: d.Region, Keep: d.Keep}, deps: d, runs: new(program.Runs)}
	past := func(f func(context.Context, rotation.Past) (rotation.Result, error)) rotation.Func {
		return func(ctx context.Context, _ rotation.Step, p rotation.Past) (rotation.Result, error) { return f(ctx, p) }
	}
	return rotation.Handler{
		"preflight": h.preflight, "preview": h.preview, "create": h.create, "test": h.test,
		"promote": past(h.labels.Promote), staging.Follower: h.retire, "decommission": past(h.labels.Decommission),
		"restore": past(h.labels.Restore), "discard": h.discard,
	}
}

type handler struct {
	labels *staging.Labels
	deps   kind.Deps
	runs   *program.Runs // of commands, in this process
}

// A maker makes new values of one sort, and knows one when it sees it.
type maker interface {
	// fit refuses an old value that none can be made from, before anything is changed. It may leave evidence.
	fit(old secret.Value) ([]rotation.File, error)
	// next is a new value.
	next(ctx context.Context, old secret.Value) (secret.Value, error)
	// prove refuses what can't be one, before anyone depends on it, and says what was seen.
	prove(old, made secret.Value) (text string, files []rotation.File, err error)
}

func (h handler) maker(t Target, past rotation.Past) maker {
	switch {
	case t.KeyPair != nil:
		return pair{*t.KeyPair, h.deps.Keep}
	case t.Command != nil:
		return command{t.Command, t.Key, h.deps, past, h.runs}
	}
	return generated{t.Generate, h.deps.Keep}
}

func (h handler) preflight(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var t Target
	if err := s.Into(&t); err != nil {
		return rotation.Result{}, err
	}
	res, old, err := h.labels.Preflight(ctx, staging.Secret{Name: t.Secret, KMSKey: t.KMSKey}, past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	part, err := h.labels.Part(t.Secret, t.Key, old)
	if err != nil {
		return rotation.Result{}, err
	}
	if res.Files, err = h.maker(t, past).fit(part); err != nil {
		return rotation.Result{}, err
	}
	return res, nil
}

func (h handler) preview(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var t Target
	if err := s.Into(&t); err != nil {
		return rotation.Result{}, err
	}
	return h.labels.Preview(ctx, staging.Secret{Name: t.Secret, KMSKey: t.KMSKey}, past)
}

func (h handler) create(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var t Target
	if err := s.Into(&t); err != nil {
		return rotation.Result{}, err
	}
	res, err := h.labels.Create(ctx, past, h.within(t, h.maker(t, past).next))
	if not := (notYet)(nil); errors.As(err, &not) {
		return not.result(), nil
	}
	if err == nil && t.Command != nil {
		res.Text += often(past)
	}
	return res, err
}

// discard takes the new version out of use, and says what this can't reach.
func (h handler) discard(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var t Target
	if err := s.Into(&t); err != nil {
		return rotation.Result{}, err
	}
	res, err := h.labels.Discard(ctx, past)
	if err == nil && res.Wait == "" && t.Command != nil {
		res.Text += elsewhere(past)
	}
	return res, err
}

// within makes a version's content with another part.
func (h handler) within(t Target, next func(context.Context, secret.Value) (secret.Value, error)) staging.Mint {
	return func(ctx context.Context, old staging.Content) (secret.Value, error) {
		was, err := h.labels.Part(t.Secret, t.Key, old)
		if err != nil {
			return was, err
		}
		v, err := next(ctx, was)
		if err != nil {
			return v, err
		}
		return h.labels.With(t.Secret, t.Key, old, v)
	}
}

// test proves that the new version is what create was to store, before anyone depends on it.
func (h handler) test(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var t Target
	if err := s.Into(&t); err != nil {
		return rotation.Result{}, err
	}
	was, is, res, err := h.labels.Proof(ctx, staging.Secret{Name: t.Secret, KMSKey: t.KMSKey}, past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	made, err := h.labels.Made(t.Secret, t.Key, was, is)
	if err != nil {
		return rotation.Result{}, err
	}
	old, err := h.labels.Part(t.Secret, t.Key, was)
	if err != nil {
		return rotation.Result{}, err
	}
	text, files, err := h.maker(t, past).prove(old, made)
	if err != nil {
		return rotation.Result{}, err
	}
	res.Text, res.Files = res.Text+"; "+text, files
	if t.Key != "" {
		res.Text += ", all else in the JSON value is byte for byte the same"
	}
	return res, nil
}

// retire puts a set without the old public key in the place of the one that was promoted.
func (h handler) retire(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var t Target
	if err := s.Into(&t); err != nil {
		return rotation.Result{}, err
	}
	p := pair{*t.KeyPair, h.deps.Keep}
	res, err := h.labels.Follow(ctx, past, h.within(t, func(_ context.Context, live secret.Value) (secret.Value, error) { return p.alone(live) }))
	if err == nil && res.Wait == "" {
		res.Text = "the old public key is taken out of the set: " + res.Text
	}
	return res, err
}

// generated makes values of characters drawn at random.
type generated struct {
	spec.Spec
	keep secret.Keeper
}

func (generated) fit(secret.Value) ([]rotation.File, error) { return nil, nil }

func (g generated) next(context.Context, secret.Value) (secret.Value, error) {
	return g.keep.Generate(g.Spec)
}

func (g generated) prove(_, made secret.Value) (string, []rotation.File, error) {
	if !fits(string(made.Reveal()), g.Spec) {
		return "", nil, rotation.Failf(staging.Discarded, "the new value isn't what generate asks for, in length or characters")
	}
	return "length and characters right, differs from the old value", nil, nil
}

// fits says whether v could have been generated by s.
func fits(v string, s spec.Spec) bool {
	set := s.Set()
	if len(v) != s.Len() || strings.ContainsFunc(v, func(c rune) bool { return !strings.ContainsRune(set, c) }) {
		return false
	}
	for _, class := range s.Classes() {
		if !strings.ContainsAny(v, class) {
			return false
		}
	}
	return true
}
