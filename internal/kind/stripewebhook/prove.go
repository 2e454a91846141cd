package stripewebhook

import (
	"context"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// test reads the new secret back, and the new endpoint: it is there, enabled, and like the old one.
func (h handler) test(ctx context.Context, c call) (rotation.Result, error) {
	l, err := c.like()
	if err != nil {
		return rotation.Result{}, err
	}
	was, is, res, err := h.labels.Proof(ctx, c.t.stored(), c.past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	made, err := h.labels.Made(c.t.Secret, c.t.Key, was, is)
	if err != nil {
		return rotation.Result{}, err
	}
	const hint = "see who changed it; it is removed"
	if !isSigning(string(made.Reveal())) {
		return rotation.Result{}, rotation.Failf(hint, "the new value is no signing secret")
	}
	api, err := h.stripe(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	e, err := api.get(ctx, c.new())
	switch {
	case gone(err):
		return rotation.Result{}, rotation.Failf(hint, "the new endpoint %s is gone", c.new())
	case err != nil:
		return rotation.Result{}, err
	case e.Status != "enabled":
		return rotation.Result{}, rotation.Failf(hint, "the new endpoint %s is disabled", e.ID)
	case l.differs(e) != "":
		return rotation.Result{}, rotation.Failf(hint, "the new endpoint %s isn't like %s: its %s differs", e.ID, c.old(), l.differs(e))
	}
	res.Text += fmt.Sprintf("; endpoint %s is enabled, with URL, events, API version and description of %s", e.ID, c.old())
	if c.t.Key != "" {
		res.Text += "; all else in the JSON value is byte for byte the same"
	}
	return res, nil
}

func (h handler) promote(ctx context.Context, c call) (rotation.Result, error) {
	return h.labels.Promote(ctx, c.past)
}

// accepted sends every processor an event signed with the new secret, as Stripe's new endpoint signs them, until all take
// it, and one with a wrong signature, which none may take.
func (h handler) accepted(ctx context.Context, c call) (rotation.Result, error) {
	l, err := c.like()
	if err != nil {
		return rotation.Result{}, err
	}
	content, err := h.labels.New(ctx, c.past)
	if err != nil {
		return rotation.Result{}, err
	}
	made, err := h.signing(c.t, content)
	if err != nil {
		return rotation.Result{}, err
	}
	var said, waits []string
	for _, v := range h.try(ctx, c, made.Reveal(), version(l)) {
		if said = append(said, v.String()); !v.took() {
			waits = append(waits, v.String())
		}
	}
	if len(waits) > 0 {
		return rotation.Result{Wait: "processors to take the new secret: " + join(waits), Again: 5 * time.Second}, nil
	}
	for _, v := range h.try(ctx, c, c.wrong(), version(l)) {
		switch {
		case v.took():
			return rotation.Result{}, rotation.Failf("have it verify signatures: the proof means nothing otherwise", "%s to a test event with a wrong signature", v)
		case !v.refused():
			return rotation.Result{Wait: "processors to refuse a wrong signature: " + v.String(), Again: 5 * time.Second}, nil
		}
	}
	text := "signed with the new secret: " + join(said) + "; with a wrong one: refused"
	content, err = h.labels.Old(ctx, c.past)
	if err != nil || content.Empty() {
		return rotation.Result{Text: text}, err
	}
	old, err := h.signing(c.t, content)
	if err != nil {
		return rotation.Result{}, err
	}
	return rotation.Result{Text: text + "; with the old one: " + h.still(ctx, c, old.Reveal(), version(l))}, nil
}

// still says what processors do with an event under a secret.
func (h handler) still(ctx context.Context, c call, secret []byte, version string) string {
	var said []string
	for _, v := range h.try(ctx, c, secret, version) {
		said = append(said, v.String())
	}
	return join(said)
}

// refused shows what can be shown of the old secret being dead: Stripe doesn't know its endpoint any more, so that
// nothing is signed with it. Processors are tried with it. Where it was stolen they must refuse it; elsewhere what they
// do is said, since some forget it only when they are started again.
func (h handler) refused(ctx context.Context, c call) (rotation.Result, error) {
	l, err := c.like()
	if err != nil {
		return rotation.Result{}, err
	}
	api, err := h.stripe(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	e, err := api.get(ctx, c.old())
	switch {
	case err == nil && !e.Deleted:
		return rotation.Result{}, rotation.Failf("delete it in the Stripe Dashboard, or see whether the API key is of the right account", "Stripe still knows the old endpoint %s, %s", c.old(), e.Status)
	case err != nil && !gone(err):
		return rotation.Result{}, err
	}
	facts := map[string]string{factRefused: "404"}
	if err == nil {
		facts[factRefused] = "deleted"
	}
	text := fmt.Sprintf("Stripe answered %s for the old endpoint %s: it signs nothing with that secret any more", facts[factRefused], c.old())
	content, err := h.labels.Old(ctx, c.past)
	if err != nil {
		return rotation.Result{}, err
	}
	if content.Empty() {
		return rotation.Result{Facts: facts, Text: text + "; processors were not tried: Secrets Manager no longer has the value"}, nil
	}
	old, err := h.signing(c.t, content)
	if err != nil {
		return rotation.Result{}, err
	}
	var takes, unknown, said []string
	for _, v := range h.try(ctx, c, old.Reveal(), version(l)) {
		said = append(said, v.String())
		switch {
		case v.took():
			takes = append(takes, v.String())
		case !v.refused():
			unknown = append(unknown, v.String())
		}
	}
	claim, _ := c.past.Claim()
	switch stolen := claim.Plan.Reason == "compromise"; {
	case stolen && len(takes) > 0:
		return rotation.Result{}, rotation.Failf("have them load AWSCURRENT alone, or start them again: whoever has the old secret can send them events", "with the old secret, %s", join(takes))
	case stolen && len(unknown) > 0:
		return rotation.Result{Wait: "processors to refuse the old secret: " + join(unknown), Again: 5 * time.Second}, nil
	}
	facts[factAnswers] = join(said)
	text += "; an event signed with it: " + join(said)
	if len(takes) > 0 {
		text += "; who took it forgets it when it loads the secret anew"
	}
	return rotation.Result{Facts: facts, Text: text}, nil
}
