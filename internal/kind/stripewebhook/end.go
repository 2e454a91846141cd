package stripewebhook

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/rastup/rekey/internal/rotation"
)

// disable switches the old endpoint off, once the new one is proven. Stripe keeps it, with its secret.
func (h handler) disable(ctx context.Context, c call) (rotation.Result, error) {
	if err := h.labels.Promoted(ctx, c.past); err != nil {
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
	if err := c.delivers(all); err != nil {
		return rotation.Result{}, err
	}
	switch e := at(all, c.old()); {
	case e == nil:
		return rotation.Result{Text: "somebody deleted the old endpoint " + c.old() + " already"}, nil
	case e.Status != "disabled":
		if err := api.set(ctx, c.old(), true); err != nil {
			return rotation.Result{}, err
		}
	}
	return rotation.Result{Text: fmt.Sprintf("%s is disabled; %s delivers. What %s had not delivered by then isn't sent again", c.old(), c.new(), c.old())}, nil
}

// delivers refuses unless the new endpoint is there and enabled: before the old one stops or goes.
func (c call) delivers(all []*stripe.WebhookEndpoint) error {
	switch e := at(all, c.new()); {
	case c.new() == "":
		return fmt.Errorf("the records hold no new endpoint at %s", c.t.URL)
	case e == nil:
		return rotation.Failf("see who deleted it; roll back, so that the old one delivers", "the new endpoint %s is gone: %s stays", c.new(), c.old())
	case e.Status != "enabled":
		return rotation.Failf("see who disabled it; Stripe does that itself where deliveries failed too often", "the new endpoint %s is disabled: %s stays", c.new(), c.old())
	}
	return nil
}

// enable takes disable back.
func (h handler) enable(ctx context.Context, c call) (rotation.Result, error) {
	api, err := h.stripe(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	// Asked for whatever a look would show: a call of ours may have arrived since.
	err = api.set(ctx, c.old(), false)
	if gone(err) {
		return rotation.Result{}, rotation.Failf("make an endpoint in the Stripe Dashboard and store its signing secret", "the old endpoint %s is gone: it can't be brought back", c.old())
	}
	return rotation.Result{Text: c.old() + " is enabled again; events from while it was disabled went to the new endpoint alone"}, err
}

func (h handler) restore(ctx context.Context, c call) (rotation.Result, error) {
	return h.labels.Restore(ctx, c.past)
}

// decommission takes the labels off the old version, and deletes the old endpoint, those that a superseded rotation kept,
// and what else of this rotation has lost its secret. Only what is on record is deleted.
func (h handler) decommission(ctx context.Context, c call) (rotation.Result, error) {
	api, err := h.stripe(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	all, err := api.list(ctx)
	if err != nil {
		return rotation.Result{}, err
	}
	if err := c.delivers(all); err != nil {
		return rotation.Result{}, err
	}
	if e := at(all, c.old()); e != nil && e.Status != "disabled" {
		return rotation.Result{}, rotation.Failf("ask who needs it; disable it when nobody does", "somebody enabled the old endpoint %s again", c.old())
	}
	known := append(c.orphans("create"), c.orphans("decommission")...)
	if res, wait := c.unknown(all, "decommission", append(known, c.new())); wait {
		return res, nil
	}
	res, err := h.labels.Decommission(ctx, c.past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	var gone []string
	for _, id := range slices.Concat([]string{c.old()}, c.inherited(), known) {
		if at(all, id) == nil || id == c.new() || slices.Contains(gone, id) {
			continue
		}
		if err := api.remove(ctx, id); err != nil {
			return rotation.Result{}, err
		}
		gone = append(gone, id)
	}
	if len(gone) == 0 {
		gone = []string{"none was left"}
	}
	return rotation.Result{Text: "endpoints deleted: " + strings.Join(gone, ", ") + "; " + res.Text}, nil
}

// unknown has the endpoints of this attempt recorded that aren't yet, before anything is deleted.
func (c call) unknown(all []*stripe.WebhookEndpoint, step string, known []string) (rotation.Result, bool) {
	var strays []string
	for _, e := range c.mine(all) {
		if !slices.Contains(known, e.ID) {
			strays = append(strays, e.ID)
		}
	}
	if len(strays) == 0 {
		return rotation.Result{}, false
	}
	return rotation.Result{Facts: c.orphaned(step, strays, map[string]string{}),
		Wait: "the endpoints found, " + strings.Join(strays, ", ") + ", to be on record before they go"}, true
}

// discard takes the labels off the new version, which it refuses while that is live, and deletes every endpoint that this
// attempt made. What create never came to record is looked for twice.
func (h handler) discard(ctx context.Context, c call) (rotation.Result, error) {
	res, err := h.labels.Discard(ctx, c.past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	api, err := h.stripe(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	all, err := api.list(ctx)
	if err != nil {
		return rotation.Result{}, err
	}
	known := append(c.orphans("create"), c.orphans("discard")...)
	if c.new() != "" {
		known = append(known, c.new())
	}
	if found, wait := c.unknown(all, "discard", known); wait {
		return found, nil
	}
	if len(known) == 0 && c.past.Fact("discard", factSought) == "" {
		return rotation.Result{Facts: map[string]string{factSought: "once"}, Wait: "a second look for an endpoint that create may have made", Again: 5 * time.Second}, nil
	}
	var gone []string
	for _, e := range c.mine(all) {
		if err := api.remove(ctx, e.ID); err != nil {
			return rotation.Result{}, err
		}
		gone = append(gone, e.ID)
	}
	text := "; no endpoint was made"
	switch {
	case len(gone) > 0:
		text = "; endpoints deleted: " + strings.Join(gone, ", ")
	case len(known) > 0:
		text = "; " + strings.Join(known, ", ") + " is deleted"
	}
	return rotation.Result{Text: res.Text + text}, nil
}
