package stripewebhook

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// Facts beside those of staging.
const (
	factEndpoint = "endpoint" // preflight: ID of the endpoint that is live; create: of the new one
	factLike     = "like"     // preflight: what the new endpoint is to be like, as JSON
	factKeys     = "keys"     // create: how many idempotency keys can't lead to an endpoint any more
	factOrphan   = "orphan"   // orphan1, orphan2, …: IDs of endpoints of this rotation whose secret is lost, to be deleted
	factRefused  = "refused"  // refused: what Stripe answered for the old endpoint
	factAnswers  = "answers"  // refused: what processors answered to an event under the old secret
	factSought   = "sought"   // discard looked once and found no endpoint
)

// Kind is this kind's line in the table.
func Kind() kind.Kind {
	return kind.Kind{
		Name:    "stripe-webhook",
		Shape:   func() kind.Target { return new(Target) },
		Recipe:  func(t kind.Target) []rotation.Spec { return recipe(t.(*Target)) },
		New:     New,
		Inspect: kind.Stored(func(t kind.Target) (string, string) { return t.(*Target).Secret, t.(*Target).Key }),
		Beyond:  "endpoints at Stripe",
		Overlap: true,
		Refused: true,
	}
}

func recipe(t *Target) []rotation.Spec {
	within := cmp.Or(t.Within, DefaultWithin)
	specs := []rotation.Spec{
		{Phase: rotation.Preconditions, Name: "preflight", Looks: true},
		{Phase: rotation.Create, Name: "create"},
		{Phase: rotation.Create, Name: "test", Looks: true},
		{Phase: rotation.Deploy, Name: "promote"},
		{Phase: rotation.Validate, Name: "accepted", Looks: true, Within: within, Reads: []string{"preflight", "create"}},
		{Phase: rotation.Decommission, Name: "disable", Reads: []string{"preflight", "create"}},
		{Phase: rotation.Decommission, Name: "decommission", After: "promote", Delay: rotation.Retain, Final: true},
		{Phase: rotation.Decommission, Name: "refused", Looks: true, Reads: []string{"preflight", "create"}},
		{Phase: rotation.Rollback, Name: "enable", Undoes: "disable", Reads: []string{"preflight"}},
		{Phase: rotation.Rollback, Name: "restore", Undoes: "promote"},
		{Phase: rotation.Rollback, Name: "discard", Undoes: "create"},
	}
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
		"preflight": h.preflight, "preview": h.preview, "create": h.create, "test": h.test, "promote": h.promote, "accepted": h.accepted,
		"disable": h.disable, "decommission": h.decommission, "refused": h.refused, "enable": h.enable, "restore": h.restore, "discard": h.discard,
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

// old is the ID of the endpoint that was live, new that of the one made by this rotation; "" before it is on record.
func (c call) old() string { return c.past.Fact("preflight", factEndpoint) }
func (c call) new() string { return c.past.Fact("create", factEndpoint) }

// mark is what the new endpoint carries: its secret's version ID, which no other attempt's has.
func (c call) mark() string { return c.past.Token("create", staging.Token) }

// id is the rotation as people know it.
func (c call) id() string {
	claim, _ := c.past.Claim()
	p := claim.Plan
	return fmt.Sprintf("%s/%s/%s/%d", p.Rotation, rotation.PathName(p.Secret), p.Environment, p.Attempt)
}

// like is what preflight recorded of the old endpoint.
func (c call) like() (l like, err error) {
	if err := json.Unmarshal([]byte(c.past.Fact("preflight", factLike)), &l); err != nil || c.old() == "" {
		return l, fmt.Errorf("the records hold no preflight of the endpoint at %s", c.t.URL)
	}
	return l, nil
}

// mine are the endpoints that this attempt made.
func (c call) mine(all []*stripe.WebhookEndpoint) (mine []*stripe.WebhookEndpoint) {
	for _, e := range all {
		if e.Metadata[metaVersion] == c.mark() && c.mark() != "" {
			mine = append(mine, e)
		}
	}
	return mine
}

// stripe is a client by the API key that the target names. Each step reads the key anew: it may have been rotated.
func (h handler) stripe(ctx context.Context, c call) (client, error) {
	content, err := h.labels.Live(ctx, c.t.APIKey.Secret)
	if err != nil {
		return client{}, fmt.Errorf("read the Stripe API key: %w", err)
	}
	key, err := h.labels.Part(c.t.APIKey.Secret, c.t.APIKey.Key, content)
	if err != nil {
		return client{}, fmt.Errorf("read the Stripe API key: %w", err)
	}
	text := strings.TrimSpace(string(key.Reveal()))
	if !strings.HasPrefix(text, "sk_") && !strings.HasPrefix(text, "rk_") || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return client{}, rotation.Failf("store a restricted key (rk_…) with the permission Webhook Endpoints: Write there, or name the JSON key that holds it",
			"what %q holds is no Stripe API key", c.t.APIKey.Secret)
	}
	return connect(c.t.base(), h.transport, h.keep.Known([]byte(text))), nil
}

// signing is the signing secret in a version's content.
func (h handler) signing(t Target, content staging.Content) (secret.Value, error) {
	v, err := h.labels.Part(t.Secret, t.Key, content)
	if err == nil && !isSigning(string(v.Reveal())) {
		return v, rotation.Failf("name the secret, or its JSON key, that holds what Stripe shows as the endpoint's signing secret (whsec_…), without spaces around it",
			"what %q holds is no signing secret of a webhook endpoint", t.Secret)
	}
	return v, err
}

func isSigning(s string) bool {
	rest, ok := strings.CutPrefix(s, "whsec_")
	return ok && len(rest) >= 16 && !strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r > '~' })
}

func ids(all []*stripe.WebhookEndpoint) (out []string) {
	for _, e := range all {
		out = append(out, e.ID)
	}
	slices.Sort(out)
	return out
}

// orphans are those that a step recorded.
func (c call) orphans(step string) (all []string) {
	for {
		id := c.past.Fact(step, factOrphan+strconv.Itoa(len(all)+1))
		if id == "" {
			return all
		}
		all = append(all, id)
	}
}

// orphaned adds facts that name more of them.
func (c call) orphaned(step string, more []string, facts map[string]string) map[string]string {
	known := c.orphans(step)
	for _, id := range more {
		if !slices.Contains(known, id) {
			known = append(known, id)
			facts[factOrphan+strconv.Itoa(len(known))] = id
		}
	}
	return facts
}

func at(all []*stripe.WebhookEndpoint, id string) *stripe.WebhookEndpoint {
	i := slices.IndexFunc(all, func(e *stripe.WebhookEndpoint) bool { return e.ID == id })
	if i < 0 {
		return nil
	}
	return all[i]
}

func join(s []string) string { return strings.Join(s, "; ") }

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
