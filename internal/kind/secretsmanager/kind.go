package secretsmanager

import (
	"bytes"
	"context"
	"strings"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/secret/spec"
	"github.com/rastup/rekey/internal/staging"
)

// maxBytes is Secrets Manager's quota for one value.
const maxBytes = 65536

// Kind is this kind's line in the table.
func Kind() kind.Kind {
	return kind.Kind{
		Name:    "secretsmanager",
		Shape:   func() kind.Target { return new(Target) },
		Recipe:  func(kind.Target) []rotation.Spec { return recipe() },
		New:     New,
		Overlap: true,
		Refused: false, // see the package comment
	}
}

func recipe() []rotation.Spec {
	specs := []rotation.Spec{
		{Phase: rotation.Preconditions, Name: "preflight", Looks: true},
		{Phase: rotation.Create, Name: "create"},
		{Phase: rotation.Create, Name: "test", Looks: true},
		{Phase: rotation.Deploy, Name: "promote"},
		{Phase: rotation.Decommission, Name: "decommission", After: "promote", Delay: rotation.Retain, Final: true},
		{Phase: rotation.Rollback, Name: "restore", Undoes: "promote"},
		{Phase: rotation.Rollback, Name: "discard", Undoes: "create"},
	}
	for i := range specs {
		specs[i].Reads = staging.Reads[specs[i].Name]
	}
	return specs
}

// New makes the handler for one environment.
func New(d kind.Deps) rotation.Handler {
	h := handler{labels: &staging.Labels{Client: d.SecretsManager, IAM: d.IAM, Identity: d.Identity, Region: d.Region, Keep: d.Keep}, keep: d.Keep}
	past := func(f func(context.Context, rotation.Past) (rotation.Result, error)) rotation.Func {
		return func(ctx context.Context, _ rotation.Step, p rotation.Past) (rotation.Result, error) { return f(ctx, p) }
	}
	return rotation.Handler{
		"preflight": h.preflight, "preview": h.preview, "create": h.create, "test": h.test,
		"promote": past(h.labels.Promote), "decommission": past(h.labels.Decommission),
		"restore": past(h.labels.Restore), "discard": past(h.labels.Discard),
	}
}

type handler struct {
	labels *staging.Labels
	keep   secret.Keeper
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
	if _, err := h.part(t, old); err != nil {
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

// part is where the secret that is rotated stands in a version's content: all of it without a key. The part is
// a secret of its own, announced as such: text could hold it without the rest.
func (h handler) part(t Target, c staging.Content) (place, error) {
	doc := c.Reveal()
	if t.Key == "" {
		return place{0, len(doc), string(doc)}, nil
	}
	if c.Binary {
		return place{}, rotation.Failf("leave key out to rotate the whole value, or have it stored as text",
			"the value of %q is binary, so it has no key %q", t.Secret, t.Key)
	}
	at, err := find(doc, t.Key)
	if err == nil {
		h.keep.Known([]byte(at.value))
	}
	return at, err
}

func (h handler) create(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var t Target
	if err := s.Into(&t); err != nil {
		return rotation.Result{}, err
	}
	return h.labels.Create(ctx, past, func(_ context.Context, old staging.Content) (secret.Value, error) {
		v, err := h.keep.Generate(t.Generate)
		if err != nil || t.Key == "" {
			return v, err
		}
		if _, err := h.part(t, old); err != nil {
			return secret.Value{}, err
		}
		doc, err := replace(old.Reveal(), t.Key, string(v.Reveal()))
		if err != nil {
			return secret.Value{}, err
		}
		if len(doc) > maxBytes {
			return secret.Value{}, rotation.Failf("make the generated value shorter, or split the secret", "the new JSON value has %d bytes, and %d are allowed", len(doc), maxBytes)
		}
		return h.keep.Known(doc), nil
	})
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
	from, err := h.part(t, was)
	if err != nil {
		return rotation.Result{}, err
	}
	to, err := h.part(t, is)
	if err != nil {
		return rotation.Result{}, err
	}
	a, b := was.Reveal(), is.Reveal()
	const hint = "see who wrote that version; it is discarded"
	switch {
	case was.Binary != is.Binary:
		return rotation.Result{}, rotation.Failf(hint, "of the old and the new version one is binary, the other isn't")
	case h.keep.Known([]byte(from.value)).Equal(h.keep.Known([]byte(to.value))):
		return rotation.Result{}, rotation.Failf(hint, "the new value is the old one")
	case !fits(to.value, t.Generate):
		return rotation.Result{}, rotation.Failf(hint, "the new value isn't what generate asks for, in length or characters")
	case !bytes.Equal(a[:from.from], b[:to.from]) || !bytes.Equal(a[from.to:], b[to.to:]):
		return rotation.Result{}, rotation.Failf(hint, "the new version differs from the old one outside of key %q", t.Key)
	}
	res.Text += "; length and characters right, differs from the old value"
	if t.Key != "" {
		res.Text += ", all else in the JSON value is byte for byte the same"
	}
	return res, nil
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
