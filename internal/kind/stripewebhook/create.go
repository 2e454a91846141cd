package stripewebhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// replayed is how long the same idempotency key surely brings the same answer: Stripe keeps it for a day at least.
const replayed = 23 * time.Hour

// A pause ends a try so that facts come on record before it goes on.
type pause struct {
	facts map[string]string
	wait  string
}

func (p *pause) Error() string { return "waits for " + p.wait }

// create makes the new endpoint and stores its secret at once. Where a run was cut short in between, the same call
// brings the same secret again; where Stripe has forgotten it, the endpoint found is recorded, deleted and made anew.
func (h handler) create(ctx context.Context, c call) (rotation.Result, error) {
	api, err := h.stripe(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	all, err := api.list(ctx)
	if err != nil {
		return rotation.Result{}, err
	}
	recorded := c.orphans("create")
	var mine []*stripe.WebhookEndpoint
	for _, e := range c.mine(all) {
		if !slices.Contains(recorded, e.ID) {
			mine = append(mine, e)
			continue
		}
		if err := api.remove(ctx, e.ID); err != nil {
			return rotation.Result{}, err
		}
		all = slices.DeleteFunc(all, func(x *stripe.WebhookEndpoint) bool { return x.ID == e.ID })
	}
	m := minting{handler: h, call: c, api: api, all: all, mine: mine}
	res, err := h.labels.Create(ctx, c.past, m.mint)
	var p *pause
	switch {
	case errors.As(err, &p):
		return rotation.Result{Facts: p.facts, Wait: p.wait}, nil
	case err != nil:
		return rotation.Result{Facts: m.facts()}, err
	}
	if m.made == "" {
		if res, err = m.stored(res); err != nil || res.Wait != "" {
			return res, err
		}
	}
	res.Facts[factEndpoint] = m.made
	maps.Copy(res.Facts, m.facts())
	res.Text = fmt.Sprintf("endpoint %s is made like %s; its signing secret is %s", m.made, c.old(), res.Text)
	if len(m.strays) > 0 {
		res.Wait = "the endpoints found beside it to be on record before they go"
	}
	return res, nil
}

// minting is one try.
type minting struct {
	handler
	call
	api    client
	all    []*stripe.WebhookEndpoint
	mine   []*stripe.WebhookEndpoint // made by this attempt, and not yet known to be orphans
	made   string                    // the one whose secret is at hand
	strays []string                  // those whose secret is lost
}

func (m *minting) facts() map[string]string {
	return m.orphaned("create", m.strays, map[string]string{})
}

// mint is asked while no version is stored.
func (m *minting) mint(ctx context.Context, old staging.Content) (secret.Value, error) {
	l, err := m.like()
	if err != nil {
		return secret.Value{}, err
	}
	if e := at(m.all, m.old()); e == nil || e.Status != "enabled" || l.differs(e) != "" {
		return secret.Value{}, rotation.Failf("see who changed it; then start again", "endpoint %s isn't what it was at preflight: %s", m.old(), change(e, l))
	}
	spentKeys, _ := strconv.Atoi(m.past.Fact("create", factKeys)) // "" is none
	next := m.orphaned("create", ids(m.mine), map[string]string{factKeys: strconv.Itoa(spentKeys + 1)})
	for _, e := range m.mine {
		if m.now().Sub(time.Unix(e.Created, 0)) > replayed {
			return secret.Value{}, &pause{next, "the endpoint found, " + e.ID + ", to be on record: Stripe no longer says its secret, so that it is deleted and made anew"}
		}
	}
	if len(m.all) >= maxEndpoints && len(m.mine) == 0 {
		return secret.Value{}, rotation.Failf("delete endpoints that nobody needs; disabled ones count", "Stripe has %d endpoints, and %d are allowed: since preflight there is no room for the new one", len(m.all), maxEndpoints)
	}
	metadata := map[string]string{metaRotation: m.id(), metaVersion: m.mark()}
	maps.Copy(metadata, l.Metadata)
	e, err := m.api.create(ctx, l, metadata, fmt.Sprintf("rekey-%s-%d", m.past.Token("create", "endpoint"), spentKeys))
	switch {
	case err != nil && spent(err):
		return secret.Value{}, &pause{next, "another idempotency key to be on record: Stripe keeps a failure under the one before"}
	case err != nil:
		return secret.Value{}, err
	}
	for _, other := range m.mine {
		if other.ID != e.ID {
			m.strays = append(m.strays, other.ID)
		}
	}
	v := m.keep.Known([]byte(e.Secret))
	if !isSigning(e.Secret) {
		m.strays = append(m.strays, e.ID)
		return secret.Value{}, rotation.Failf("see what stands at "+m.t.base(), "Stripe made endpoint %s, but its answer holds no signing secret", e.ID)
	}
	m.made = e.ID
	return m.labels.With(m.t.Secret, m.t.Key, old, v)
}

// stored is asked where the secret was stored by a run that was cut short: its endpoint is the one that is there.
func (m *minting) stored(res rotation.Result) (rotation.Result, error) {
	if m.made = m.new(); m.made != "" {
		return res, nil
	}
	switch len(m.mine) {
	case 0:
		return rotation.Result{Wait: "Stripe to list the endpoint whose secret is stored", Again: 3 * time.Second}, nil
	case 1:
		m.made = m.mine[0].ID
		return res, nil
	}
	return rotation.Result{}, rotation.Failf("nothing to do: all of them are removed, and the rotation may be started again",
		"%d endpoints are of this rotation (%s), and Stripe doesn't say whose secret is stored", len(m.mine), join(ids(m.mine)))
}

func change(e *stripe.WebhookEndpoint, l like) string {
	switch {
	case e == nil:
		return "it is gone"
	case e.Status != "enabled":
		return "it is disabled"
	}
	return "its " + l.differs(e) + " differs"
}

func quoted(s string) string { return strconv.Quote(cloud.Line(s)) }
