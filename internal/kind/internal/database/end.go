package database

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// Pauses before something is looked at again.
const (
	readable = 3 * time.Second // a stored version
	closing  = time.Second     // sessions that are being ended
)

// adopted waits while sessions are open under the old login: who has them has not taken up the new one. Of a login that
// was stolen they are listed and not waited for: one of them may be the thief's.
func (h *handler) adopted(ctx context.Context, t *Target, past rotation.Past) (rotation.Result, error) {
	a, err := accounts(past)
	if err != nil {
		return rotation.Result{}, err
	}
	c, _, err := h.atOld(ctx, t, past)
	if err != nil {
		return rotation.Result{}, err
	}
	defer c.Close()
	open, err := h.engine.Sessions(ctx, c, a.Old, past.Fact(set, factMark))
	if err != nil {
		return rotation.Result{}, judge(err, fmt.Sprintf("list the sessions of %q", a.Old))
	}
	if len(open) == 0 {
		return rotation.Result{Text: "adopted: no session is open under the old login"}, nil
	}
	if c, _ := past.Claim(); c.Plan.Reason != "compromise" {
		return rotation.Result{Wait: held(a.Old, open), Again: rotation.Later}, nil
	}
	var list strings.Builder
	for _, s := range open {
		fmt.Fprintf(&list, "%s\n", s.About)
	}
	return rotation.Result{Facts: map[string]string{"not_adopted": fmt.Sprint(len(open))},
		Text:  fmt.Sprintf("not adopted: %s still open under the old login, to be ended; the first is %s", Count(len(open)), open[0].About),
		Files: []rotation.File{{Name: "sessions.txt", Data: []byte(list.String())}}}, nil
}

// held says whose sessions are waited for; the oldest come first.
func held(login string, open []Session) string {
	const most = 3
	var who []string
	for i, s := range open {
		if i == most {
			who = append(who, fmt.Sprintf("%d more", len(open)-most))
			break
		}
		who = append(who, s.About)
	}
	return fmt.Sprintf("%s under the old login %q to end: %s", Count(len(open)), login, strings.Join(who, "; "))
}

// Count is a number of sessions in words.
func Count(n int) string {
	if n == 1 {
		return "1 session"
	}
	return fmt.Sprintf("%d sessions", n)
}

// atOld is an administrator's session at the server of the old version, which is that of the new one.
func (h *handler) atOld(ctx context.Context, t *Target, past rotation.Past) (Conn, document, error) {
	_, d, err := h.old(ctx, t, past)
	if err != nil {
		return nil, d, err
	}
	if d.user == "" {
		if d, err = h.new(ctx, t, past); err != nil {
			return nil, d, err
		}
	}
	c, err := h.admin(ctx, t, d)
	return c, d, err
}

// decommission replaces the old account's password, ends its sessions, and takes the labels off the old version.
func (h *handler) decommission(ctx context.Context, t *Target, past rotation.Past) (rotation.Result, error) {
	a, err := accounts(past)
	if err != nil {
		return rotation.Result{}, err
	}
	if err := h.labels.Promoted(ctx, past); err != nil {
		return rotation.Result{}, err
	}
	c, old, err := h.atOld(ctx, t, past)
	if err != nil {
		return rotation.Result{}, err
	}
	defer c.Close()
	text := fmt.Sprintf("the old password of %q was replaced when the new one was set", a.Old)
	switch {
	case !a.Single():
		text = fmt.Sprintf("the password of %q is one that nobody knows", a.Old)
		err = h.cut(ctx, t, c, a, old)
	case h.engine.Retire != nil && t.Plan() == Dual:
		text = fmt.Sprintf("the old password of %q is discarded", a.Old)
		err = judge(h.engine.Retire(ctx, c, a), fmt.Sprintf("discard the old password of %q", a.Old))
	}
	if err != nil {
		return rotation.Result{}, err
	}
	ended, wait, err := h.end(ctx, c, a.Old, past.Fact(set, factMark), past.Fact("decommission", factEnded))
	if err != nil || wait.Wait != "" {
		return wait, err
	}
	res, err := h.labels.Decommission(ctx, past)
	if err == nil && res.Wait == "" {
		res.Text = text + ended + "; " + res.Text
	}
	return res, err
}

// cut replaces the password of d's account, unless it is another one already. That the login is barred for now says
// nothing of its password.
func (h *handler) cut(ctx context.Context, t *Target, admin Conn, a Accounts, d document) error {
	if d.user == "" {
		return rotation.Failf("replace its password by hand, and start again", "the version that held the password of %q is gone", a.Old)
	}
	state, err := h.tried(ctx, t, d)
	if err != nil || state == wrong {
		return err
	}
	random, err := h.keep.Generate(t.Generate)
	if err != nil {
		return err
	}
	return judge(h.engine.Cut(ctx, admin, a, d.user, random), fmt.Sprintf("replace the password of %q", d.user))
}

// What a login is seen to be.
type state int

const (
	works  state = iota
	wrong        // refused for its password
	barred       // refused, whatever the password
)

// tried tries a login.
func (h *handler) tried(ctx context.Context, t *Target, d document) (state, error) {
	c, err := h.engine.Open(ctx, h.dial, d.login(t))
	switch no := refusal(err); {
	case no != nil && no.Class == Refused:
		return wrong, nil
	case no != nil:
		return barred, nil
	case err != nil:
		return barred, judge(err, fmt.Sprintf("log in as %q", d.user))
	}
	c.Close()
	return works, nil
}

// end closes the sessions of user, and waits until none is seen. before is what it recorded when it had to wait.
func (h *handler) end(ctx context.Context, c Conn, user, mark, before string) (text string, wait rotation.Result, err error) {
	doing := fmt.Sprintf("end the sessions of %q", user)
	open, err := h.engine.Sessions(ctx, c, user, mark)
	switch {
	case err != nil:
		return "", rotation.Result{}, judge(err, doing)
	case len(open) == 0 && before != "":
		return "; ended " + before, rotation.Result{}, nil
	case len(open) == 0:
		return "; no session is open under it", rotation.Result{}, nil
	}
	if err := h.engine.End(ctx, c, user, open); err != nil {
		return "", rotation.Result{}, judge(err, doing)
	}
	for range 20 { // most are gone in a moment
		left, err := h.engine.Sessions(ctx, c, user, mark)
		if err != nil {
			return "", rotation.Result{}, judge(err, doing)
		}
		if len(left) == 0 {
			return "; ended " + Count(len(open)), rotation.Result{}, nil
		}
	}
	return "", rotation.Result{Facts: map[string]string{factEnded: Count(len(open))}, Wait: fmt.Sprintf("%s of %q to end", Count(len(open)), user), Again: closing}, nil
}

// refused tries the old login: it must fail.
func (h *handler) refused(ctx context.Context, t *Target, past rotation.Past) (rotation.Result, error) {
	_, d, err := h.old(ctx, t, past)
	if err != nil {
		return rotation.Result{}, err
	}
	if d.user == "" {
		return rotation.Result{Text: "not tried: Secrets Manager no longer holds the old version"}, nil
	}
	c, err := h.engine.Open(ctx, h.dial, d.login(t))
	if no := refusal(err); no != nil {
		return rotation.Result{Facts: map[string]string{factRefused: no.Code}, Text: fmt.Sprintf("the old login was tried and refused: %q at %s, %v", d.user, d.server(), err)}, nil
	}
	if err != nil {
		return rotation.Result{}, judge(err, "try the old login")
	}
	c.Close()
	return rotation.Result{}, rotation.Failf("see who gave the account that password again, or by which rule the server lets it in without one",
		"the old login of %q still works at %s", d.user, d.server())
}

// restore makes the old login the live one again. With one account its password is set again first.
func (h *handler) restore(ctx context.Context, t *Target, past rotation.Past) (rotation.Result, error) {
	a, err := accounts(past)
	if err != nil {
		return rotation.Result{}, err
	}
	if t.Plan() != SingleUser {
		return h.labels.Restore(ctx, past)
	}
	if err := h.labels.Ours(ctx, past); err != nil {
		return rotation.Result{}, err
	}
	c, d, err := h.atOld(ctx, t, past)
	if err != nil {
		return rotation.Result{}, err
	}
	defer c.Close()
	if d.user != a.Old {
		return rotation.Result{}, rotation.Failf("set a password by hand", "the version that held the old password of %q is gone", a.Old)
	}
	is, err := h.tried(ctx, t, d)
	if err != nil {
		return rotation.Result{}, err
	}
	text := fmt.Sprintf("%q has its old password", a.Old)
	if is != works {
		if err := h.engine.Back(ctx, c, a, t, d.password); err != nil {
			return rotation.Result{}, judge(err, fmt.Sprintf("set the old password of %q again", a.Old))
		}
		text += " again"
	}
	res, err := h.labels.Restore(ctx, past)
	if err == nil && res.Wait == "" {
		res.Text = text + "; " + res.Text
	}
	return res, err
}

// discard takes the new password out of force and ends what was opened with it, then takes the labels off its version.
func (h *handler) discard(ctx context.Context, t *Target, past rotation.Past) (rotation.Result, error) {
	a, err := accounts(past)
	if err != nil {
		return rotation.Result{}, err
	}
	d, err := h.new(ctx, t, past)
	if err != nil {
		return rotation.Result{}, err
	}
	text := ""
	if d.user != "" && d.user == a.New { // else set can't have begun
		live, err := h.labels.Live(ctx, t.Secret)
		if err != nil {
			return rotation.Result{}, err
		}
		switch now, err := h.read(live, fmt.Sprintf("the value of %q", t.Secret)); {
		case err != nil:
			return rotation.Result{}, err
		case live.Version == past.Fact(create, "new"): // refused below, with nothing changed
		case !a.Single() && now.user == a.New:
			text = fmt.Sprintf("the password of %q stays: somebody else made that account the live one; ", a.New)
		default:
			ended, wait, err := h.takeBack(ctx, t, past, a, d)
			if err != nil || wait.Wait != "" {
				return wait, err
			}
			text = ended
		}
	}
	res, err := h.labels.Discard(ctx, past)
	if err == nil && res.Wait == "" {
		res.Text = text + res.Text
	}
	return res, err
}

func (h *handler) takeBack(ctx context.Context, t *Target, past rotation.Past, a Accounts, d document) (string, rotation.Result, error) {
	if t.Plan() == SingleUser {
		return "", rotation.Result{}, nil // restore has set the old password
	}
	is, err := h.tried(ctx, t, d)
	if err != nil || is == wrong {
		return fmt.Sprintf("the new login of %q isn't in force; ", a.New), rotation.Result{}, err
	}
	c, err := h.admin(ctx, t, d)
	if err != nil {
		return "", rotation.Result{}, err
	}
	defer c.Close()
	if a.Single() {
		return h.backToOld(ctx, t, past, c, a)
	}
	if err := h.cut(ctx, t, c, a, d); err != nil {
		return "", rotation.Result{}, err
	}
	ended, wait, err := h.end(ctx, c, a.New, "", past.Fact("discard", factEnded))
	return fmt.Sprintf("the password of %q is one that nobody knows%s; ", a.New, ended), wait, err
}

// backToOld gives an account with two passwords its old one alone.
func (h *handler) backToOld(ctx context.Context, t *Target, past rotation.Past, c Conn, a Accounts) (string, rotation.Result, error) {
	_, old, err := h.old(ctx, t, past)
	if err != nil {
		return "", rotation.Result{}, err
	}
	if old.user != a.Old {
		return "", rotation.Result{}, rotation.Failf("set a password by hand", "the version that held the old password of %q is gone", a.Old)
	}
	err = judge(h.engine.Back(ctx, c, a, t, old.password), fmt.Sprintf("set the old password of %q again", a.Old))
	return fmt.Sprintf("%q has its old password alone; ", a.Old), rotation.Result{}, err
}
