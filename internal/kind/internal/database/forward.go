package database

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// preflight looks at the secret, logs in with it, and looks as the administering account whether both accounts fit.
func (h *handler) preflight(ctx context.Context, t *Target, past rotation.Past) (rotation.Result, error) {
	res, old, err := h.labels.Preflight(ctx, t.secret(), past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	d, err := h.read(old, fmt.Sprintf("the value of %q", t.Secret))
	if err != nil {
		return rotation.Result{}, err
	}
	a, err := h.choose(t, d)
	if err != nil {
		return rotation.Result{}, err
	}
	admin, err := h.admin(ctx, t, d)
	if err != nil {
		return rotation.Result{}, err
	}
	defer admin.Close()
	user, err := h.open(ctx, d.login(t))
	if err != nil {
		return rotation.Result{}, err
	}
	user.Close()
	claim, _ := past.Claim()
	text, err := h.engine.Fit(ctx, admin, a, t, claim.Plan.Reason == "compromise")
	if err != nil {
		return rotation.Result{}, judge(err, fmt.Sprintf("look at the accounts of %s", d.server()))
	}
	res.Facts[factOwner], res.Facts[factUser], res.Facts[factNext], res.Facts[factServer] = a.Owner, a.Old, a.New, d.server()
	res.Text += fmt.Sprintf("; logged in to %s at %s as %q; %s", h.engine.Called, d.server(), a.Old, text)
	return res, nil
}

// choose are the accounts to go between.
func (h *handler) choose(t *Target, d document) (Accounts, error) {
	a, ok := t.Accounts(d.user)
	if !ok {
		return a, rotation.Failf("name both accounts under users in the registry", "%q is for the account %q, which isn't one of %q", t.Secret, d.user, t.Users)
	}
	if msg := badUser(a.New, h.engine); msg != "" {
		return a, rotation.Failf("name two shorter accounts under users in the registry", "the second account's name, %q, %s", a.New, msg)
	}
	if d.host == "" {
		return a, rotation.Failf(`have the document name it as "host"`, "the value of %q names no server", t.Secret)
	}
	if old := d.password.Reveal(); t.Plan() == SingleUser && strings.ContainsFunc(string(old), func(r rune) bool { return r < ' ' || r > '~' }) {
		return a, rotation.Failf("choose alternating-users for this rotation, which never sets the old password again",
			"the password of %q holds characters that aren't printable ASCII: it couldn't be restored for certain", a.Old)
	}
	return a, nil
}

func (h *handler) preview(ctx context.Context, t *Target, past rotation.Past) (rotation.Result, error) {
	return h.labels.Preview(ctx, t.secret(), past)
}

func (h *handler) create(ctx context.Context, t *Target, past rotation.Past) (rotation.Result, error) {
	a, err := accounts(past)
	if err != nil {
		return rotation.Result{}, err
	}
	return h.labels.Create(ctx, past, func(_ context.Context, old staging.Content) (secret.Value, error) {
		v, err := h.keep.Generate(t.Generate)
		if err != nil {
			return secret.Value{}, err
		}
		return h.rewrite(old, a.New, v)
	})
}

// set lets the server accept the new login. Repeated, it sets the same password again.
func (h *handler) set(ctx context.Context, t *Target, past rotation.Past) (rotation.Result, error) {
	a, err := accounts(past)
	if err != nil {
		return rotation.Result{}, err
	}
	fresh, err := h.labels.Fresh(ctx, past)
	if err != nil {
		return rotation.Result{}, err
	}
	if fresh.Empty() {
		return rotation.Result{Wait: "the new version to become readable as AWSPENDING", Again: readable}, nil
	}
	d, err := h.read(fresh, fmt.Sprintf("the new version of %q", t.Secret))
	if err != nil {
		return rotation.Result{}, err
	}
	if d.user != a.New {
		return rotation.Result{}, rotation.Failf(staging.Discarded, "the new version is for another account than %q", a.New)
	}
	// What was live may have been changed by hand since preflight, and be the account that is about to be changed.
	if err := h.notLive(ctx, t, past, a); err != nil {
		return rotation.Result{}, err
	}
	c, err := h.admin(ctx, t, d)
	if err != nil {
		return rotation.Result{}, err
	}
	defer c.Close()
	mark, err := h.engine.Set(ctx, c, a, t, d.password)
	if err != nil {
		return rotation.Result{}, judge(err, fmt.Sprintf("set the password of %q", a.New))
	}
	res := rotation.Result{Facts: map[string]string{}, Text: fmt.Sprintf("%q has the new password, and the rights of %q", a.New, a.Owner)}
	if a.Single() {
		res.Facts[factMark] = mark
		res.Text = fmt.Sprintf("%q has the new password", a.New)
	}
	return res, nil
}

// notLive refuses while what consumers read is for the account whose password is to go, but for the version that is to
// be replaced where there is one account only.
func (h *handler) notLive(ctx context.Context, t *Target, past rotation.Past, a Accounts) error {
	live, err := h.labels.Live(ctx, t.Secret)
	if err != nil {
		return err
	}
	if live.Version == past.Fact(preflight, "old") {
		return nil
	}
	d, err := h.read(live, fmt.Sprintf("the value of %q", t.Secret))
	if err != nil {
		return err
	}
	if d.user == a.New {
		return rotation.Failf("see who changed it; then start again", "the live version of %q isn't the one seen at preflight, and is for the account %q", t.Secret, a.New)
	}
	return nil
}

// test proves the new login: it is what was stored, logs in, and may do what the old one may.
func (h *handler) test(ctx context.Context, t *Target, past rotation.Past) (rotation.Result, error) {
	a, err := accounts(past)
	if err != nil {
		return rotation.Result{}, err
	}
	was, is, res, err := h.labels.Proof(ctx, t.secret(), past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	from, err := h.read(was, fmt.Sprintf("the old version of %q", t.Secret))
	if err != nil {
		return rotation.Result{}, err
	}
	to, err := h.read(is, fmt.Sprintf("the new version of %q", t.Secret))
	if err != nil {
		return rotation.Result{}, err
	}
	wanted, err := h.rewrite(was, a.New, to.password)
	switch {
	case err != nil:
		return rotation.Result{}, err
	case !wanted.Equal(is.Value):
		return rotation.Result{}, rotation.Failf(staging.Discarded, "the new version differs from the old one in more than username and password")
	case from.password.Equal(to.password):
		return rotation.Result{}, rotation.Failf(staging.Discarded, "the new password is the old one")
	}
	text, err := h.compare(ctx, t, a, from, to)
	if err != nil {
		return rotation.Result{}, err
	}
	res.Text += "; all but username and password is byte for byte the same; " + text
	return res, nil
}

// compare logs in as the new account and, where the old login still works, as the old one, and asks each what it may do.
func (h *handler) compare(ctx context.Context, t *Target, a Accounts, from, to document) (string, error) {
	ask := func(d document) (digest, text string, err error) {
		c, err := h.open(ctx, d.login(t))
		if err != nil {
			return "", "", err
		}
		defer c.Close()
		digest, text, err = h.engine.Rights(ctx, c)
		return digest, text, judge(err, fmt.Sprintf("ask what %q may do", d.user))
	}
	digest, text, err := ask(to)
	if err != nil {
		return "", err
	}
	if t.Plan() == SingleUser {
		return fmt.Sprintf("logged in as %q and queried: %s", to.user, text), nil
	}
	before, had, err := ask(from)
	if err != nil {
		return "", err
	}
	if before != digest {
		return "", rotation.Failf(fmt.Sprintf("compare the two by hand: give %q what it lacks, then start again", a.New),
			"%q may not do the same as %q: %s, against %s", a.New, a.Old, text, had)
	}
	return fmt.Sprintf("logged in as %q and queried: %s, as %q", to.user, text, from.user), nil
}

func (h *handler) promote(ctx context.Context, _ *Target, past rotation.Past) (rotation.Result, error) {
	return h.labels.Promote(ctx, past)
}

// refusal is a login's refusal, nil where err is none: only the server's own word is one.
func refusal(err error) *Error {
	var e *Error
	if errors.As(err, &e) && (e.Class == Refused || e.Class == Barred) {
		return e
	}
	return nil
}
