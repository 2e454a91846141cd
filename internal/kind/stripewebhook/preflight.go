package stripewebhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stripe/stripe-go/v76"

	"github.com/rastup/rekey/internal/rotation"
)

// Stripe's bounds for metadata (Stripe API reference).
const (
	maxMetadata      = 50
	maxMetadataValue = 500
)

// preflight finds the endpoint whose secret is live, and sends every processor an event signed with it.
func (h handler) preflight(ctx context.Context, c call) (rotation.Result, error) {
	res, content, err := h.labels.Preflight(ctx, c.t.stored(), c.past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	current, err := h.signing(c.t, content)
	if err != nil {
		return rotation.Result{}, err
	}
	api, err := h.stripe(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	all, err := api.list(ctx)
	if err != nil {
		return rotation.Result{}, err
	}
	live, err := c.live(all, content.Version)
	if err != nil {
		return rotation.Result{}, err
	}
	l := likeOf(c.t, live)
	var found problems
	c.room(all, l, &found)
	c.leftovers(all, live, &found)
	took, err := h.baseline(ctx, c, current.Reveal(), l)
	var no *rotation.Failure
	switch {
	case errors.As(err, &no):
		found.add(no.Hint, "%s", no.Msg)
	case err != nil:
		return rotation.Result{}, err
	}
	if err := found.err(); err != nil {
		return rotation.Result{}, err
	}
	text, _ := json.Marshal(l) // plain data
	res.Facts[factEndpoint], res.Facts[factLike] = live.ID, string(text)
	res.Text += fmt.Sprintf("; endpoint %s at %s, %s, %s; %d of %d endpoints are there; %s; until they take the new one too, deliveries of the new endpoint fail, and Stripe sends them again",
		live.ID, live.URL, events(live.EnabledEvents), apiVersion(l), len(all), maxEndpoints, took)
	return res, nil
}

// preview asks Secrets Manager for metadata only: what reads no value can't ask Stripe.
func (h handler) preview(ctx context.Context, c call) (rotation.Result, error) {
	res, err := h.labels.Preview(ctx, c.t.stored(), c.past)
	if err == nil && res.Wait == "" {
		res.Text += "; Stripe was not asked: its API key is a value, too"
	}
	return res, err
}

// live is the endpoint whose secret is the current value: the one that a rotation marked with the value's version, else
// the one that the target names, else the only enabled one at the URL.
func (c call) live(all []*stripe.WebhookEndpoint, version string) (*stripe.WebhookEndpoint, error) {
	var at []*stripe.WebhookEndpoint
	for _, e := range all {
		if e.URL == c.t.URL && e.Metadata[metaVersion] == version {
			return c.enabled(e)
		}
		if e.URL == c.t.URL && (e.Status == "enabled" || e.ID == c.t.Endpoint) && c.mark() != e.Metadata[metaVersion] && !slices.Contains(c.inherited(), e.ID) {
			at = append(at, e)
		}
	}
	if c.t.Endpoint != "" {
		if i := slices.IndexFunc(at, func(e *stripe.WebhookEndpoint) bool { return e.ID == c.t.Endpoint }); i >= 0 {
			return c.enabled(at[i])
		}
	}
	switch {
	case len(at) == 1 && c.t.Endpoint == "":
		return at[0], nil
	case len(at) == 0 && c.t.Endpoint == "":
		return nil, rotation.Failf("write url as the Stripe Dashboard shows it, and see whether the API key is of the right account and mode (test or live)",
			"no enabled endpoint at %s among the %d that Stripe lists", c.t.URL, len(all))
	case c.t.Endpoint != "":
		return nil, rotation.Failf("name the endpoint whose signing secret is stored, or leave endpoint out where only one has the URL",
			"no endpoint %s at %s among the %d that Stripe lists", c.t.Endpoint, c.t.URL, len(all))
	}
	return nil, rotation.Failf("name in the registry, as endpoint, the one whose signing secret is stored",
		"%d enabled endpoints at %s: %s", len(at), c.t.URL, strings.Join(ids(at), ", "))
}

func (c call) enabled(e *stripe.WebhookEndpoint) (*stripe.WebhookEndpoint, error) {
	if e.Status != "enabled" {
		return nil, rotation.Failf("enable it in the Stripe Dashboard, where its deliveries failed too often Stripe disables it itself", "endpoint %s at %s is disabled", e.ID, e.URL)
	}
	return e, nil
}

// inherited are the endpoints that a superseded rotation had kept.
func (c call) inherited() []string { return c.past.Inherited("preflight", factEndpoint) }

// room refuses where one more endpoint, or its metadata, has none.
func (c call) room(all []*stripe.WebhookEndpoint, l like, found *problems) {
	if len(all) >= maxEndpoints {
		found.add("delete endpoints that nobody needs; disabled ones count", "Stripe has %d endpoints, and %d are allowed: there is no room for the new one", len(all), maxEndpoints)
	}
	if len(l.Metadata)+2 > maxMetadata {
		found.add("remove metadata that nobody needs", "the endpoint has %d metadata keys; with ours it would have %d, and %d are allowed", len(l.Metadata), len(l.Metadata)+2, maxMetadata)
	}
	if len(c.id()) > maxMetadataValue {
		found.add("give the request or the secret a shorter name", "the rotation's ID has %d characters, and metadata at Stripe takes %d", len(c.id()), maxMetadataValue)
	}
}

// leftovers refuses where another rotation's endpoint is still there that neither is live nor was kept.
func (c call) leftovers(all []*stripe.WebhookEndpoint, live *stripe.WebhookEndpoint, found *problems) {
	for _, e := range all {
		if e.URL == c.t.URL && e != live && e.Metadata[metaVersion] != "" && e.Metadata[metaVersion] != c.mark() && !slices.Contains(c.inherited(), e.ID) && e.Status == "enabled" {
			found.add("see how that rotation ended; delete the endpoint when nobody has its secret", "endpoint %s was made by the rotation %s, and isn't live", e.ID, quoted(e.Metadata[metaRotation]))
		}
	}
}

func events(list []string) string {
	if len(list) == 1 && list[0] == "*" {
		return "all events"
	}
	return count(len(list), "event type", "event types")
}

func apiVersion(l like) string {
	if l.APIVersion == "" {
		return "the account's API version"
	}
	return "API version " + l.APIVersion
}
