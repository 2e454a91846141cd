package typesense

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// Facts beside those of staging.
const (
	factID      = "id"      // preflight: of the key that is live; set: of the new one; discard: of one that set didn't record
	factLike    = "like"    // preflight: what the new key is to be like, as JSON
	factRefused = "refused" // what every node answered to the old value
	factSought  = "sought"  // discard looked once and found no key
)

// Kind is this kind's line in the table.
func Kind() kind.Kind {
	return kind.Kind{
		Name:    "typesense",
		Shape:   func() kind.Target { return new(Target) },
		Recipe:  func(t kind.Target) []rotation.Spec { return recipe(t.(*Target)) },
		New:     New,
		Inspect: kind.Stored(func(t kind.Target) (string, string) { return t.(*Target).Secret, t.(*Target).Key }),
		Beyond:  "keys of Typesense",
		Overlap: true,
		Refused: true,
	}
}

func recipe(t *Target) []rotation.Spec {
	all := []string{"preflight", "create", "set", "promote"}
	specs := []rotation.Spec{
		{Phase: rotation.Preconditions, Name: "preflight", Looks: true},
		{Phase: rotation.Create, Name: "create"},
		{Phase: rotation.Create, Name: "set", Reads: all[:2]},
		{Phase: rotation.Create, Name: "test", Looks: true, Reads: all[:3]},
		{Phase: rotation.Deploy, Name: "promote"},
	}
	if t.Scoped > 0 {
		specs = append(specs, rotation.Spec{Phase: rotation.Decommission, Name: "adopted", Looks: true, After: "promote", Delay: t.Scoped, Reads: all})
	}
	specs = append(specs,
		rotation.Spec{Phase: rotation.Decommission, Name: "decommission", After: "promote", Delay: rotation.Retain, Final: true, Reads: all},
		rotation.Spec{Phase: rotation.Decommission, Name: "refused", Looks: true, Reads: all[:3]},
		rotation.Spec{Phase: rotation.Rollback, Name: "restore", Undoes: "promote"},
		rotation.Spec{Phase: rotation.Rollback, Name: "discard", Undoes: "create", Reads: all[:3]})
	for i := range specs {
		if specs[i].Reads == nil {
			specs[i].Reads = staging.Reads[specs[i].Name]
		}
	}
	return specs
}

// New makes the handler for one environment.
func New(d kind.Deps) rotation.Handler {
	h := handler{labels: &staging.Labels{Client: d.SecretsManager, IAM: d.IAM, Identity: d.Identity, Region: d.Region, Keep: d.Keep},
		keep: d.Keep, transport: d.Transport, now: d.Now}
	return rotation.Handle(callOf, map[string]func(context.Context, call) (rotation.Result, error){
		"preflight": h.preflight, "preview": h.preview, "create": h.create, "set": h.set, "test": h.test, "promote": h.promote,
		"adopted": h.adopted, "decommission": h.decommission, "refused": h.refused, "restore": h.restore, "discard": h.discard,
	})
}

func callOf(s rotation.Step, past rotation.Past) (call, error) {
	c := call{step: s, past: past}
	err := s.Into(&c.t)
	return c, err
}

type handler struct {
	labels    *staging.Labels
	keep      secret.Keeper
	transport http.RoundTripper
	now       func() time.Time
}

// A call is one step that is asked.
type call struct {
	t    Target
	step rotation.Step
	past rotation.Past
}

// mark ends the new key's description: by it, and nothing of its value, the key is found again.
func (c call) mark() string {
	t := c.past.Token("create", staging.Token)
	return markOf(t)
}

func markOf(version string) string {
	if len(version) < 16 {
		return ""
	}
	return "[rekey " + version[:16] + "]"
}

var marked = regexp.MustCompile(` *\[rekey [^\]]*\]$`)

// mine is the key that this attempt made.
func (c call) mine(all []key) (key, bool) {
	i := slices.IndexFunc(all, func(k key) bool { return c.mark() != "" && strings.HasSuffix(k.Description, c.mark()) })
	if i < 0 {
		return key{}, false
	}
	return all[i], true
}

func at(all []key, id string) bool {
	return slices.ContainsFunc(all, func(k key) bool { return fmt.Sprint(k.ID) == id })
}

// admin is a client by the key that the target names, for the first node. Each step reads that key anew.
func (h handler) admin(ctx context.Context, c call) (client, error) {
	content, err := h.labels.Live(ctx, c.t.Admin.Secret)
	if err != nil {
		return client{}, fmt.Errorf("the admin key: %w", err)
	}
	v, err := h.value(c.t.Admin.Secret, c.t.Admin.Key, content)
	if err != nil {
		return client{}, fmt.Errorf("the admin key: %w", err)
	}
	return connect(h.transport, c.t.Nodes[0], v), nil
}

// value is the API key in a version's content: what can be sent in a header.
func (h handler) value(name, at string, content staging.Content) (secret.Value, error) {
	v, err := h.labels.Part(name, at, content)
	if s := string(v.Reveal()); err == nil && (s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })) {
		return v, rotation.Failf("name the secret, or its JSON key, that holds the API key, without spaces around it", "what %q holds is no API key", name)
	}
	return v, err
}

func (h handler) promote(ctx context.Context, c call) (rotation.Result, error) {
	return h.labels.Promote(ctx, c.past)
}

func (h handler) restore(ctx context.Context, c call) (rotation.Result, error) {
	return h.labels.Restore(ctx, c.past)
}

// preview asks Secrets Manager for metadata only: what reads no value can't ask Typesense.
func (h handler) preview(ctx context.Context, c call) (rotation.Result, error) {
	res, err := h.labels.Preview(ctx, c.t.stored(), c.past)
	if err == nil && res.Wait == "" {
		res.Text += "; Typesense was not asked: its admin key is a value, too"
	}
	return res, err
}
