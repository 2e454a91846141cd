package rdsmaster

import (
	"context"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

const (
	poll = 5 * time.Second
	// appears is when a change that isn't seen any more must have been applied: its status may lag behind the answer of the
	// call that made it, so that "available" just after that proves nothing.
	appears = time.Minute
	// patience is for what RDS may be about when set comes: a backup.
	patience = rotation.Duration(30 * time.Minute)
)

// sent is a password that RDS took, as this process remembers it. Another process knows nothing of it, and sends again: by
// then no earlier call can arrive any more, and none has the last word that it didn't see.
type sent struct {
	at   time.Time // RDS took it, by its clock
	seen bool      // RDS was seen to be about it since
	done time.Time // it was said to be applied
}

func (h *handler) remembered(step string) (sent, bool) {
	v, ok := h.sent.Load(step)
	s, _ := v.(sent)
	return s, ok
}

// send has RDS take a password, as soon as its status lets it. password is asked for just before.
func (h *handler) send(ctx context.Context, c call, db database, password func() (secret.Value, rotation.Result, error)) (rotation.Result, error) {
	if db.status != available {
		return rotation.Result{Wait: idle(&c.t, db), Again: poll}, nil
	}
	v, res, err := password()
	if err != nil || res.Wait != "" {
		return res, err
	}
	at, later, err := h.modify(ctx, &c.t, v)
	switch {
	case err != nil:
		return rotation.Result{}, err
	case later:
		return rotation.Result{Wait: c.t.called() + " to take a change: RDS says that its status doesn't let it now", Again: poll}, nil
	}
	h.sent.Store(c.step, sent{at: at})
	return took(at), nil
}

func took(at time.Time) rotation.Result {
	text := at.Format(time.RFC3339)
	return rotation.Result{Facts: map[string]string{factAccepted: text}, Text: "RDS took it at " + text}
}

// applied has a Wait until RDS is through with what was sent.
func (h *handler) applied(c call, s sent, db database) rotation.Result {
	res := rotation.Result{Again: poll}
	switch {
	case db.busy():
		s.seen = s.seen || db.pending || db.status == resetting // a backup may have come between
		res.Wait = fmt.Sprintf("RDS to apply the password that it took: %s is %s", c.t.called(), db.status)
	case !s.seen && db.now.Before(s.at.Add(appears)):
		res.Wait = "RDS to show what it does with the password that it took"
	default:
		s.done = db.now
		res = rotation.Result{Text: c.t.called() + " is " + db.status + ", with no password pending"}
	}
	h.sent.Store(c.step, s)
	return res
}

// set gives the database the stored password, while what consumers read is still what preflight saw. It doesn't wait until
// that is applied: test does, in a time of its own.
func (h *handler) set(ctx context.Context, c call) (rotation.Result, error) {
	if s, ok := h.remembered(c.step); ok {
		return took(s.at), nil
	}
	db, err := h.same(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	return h.send(ctx, c, db, func() (v secret.Value, wait rotation.Result, err error) {
		live, err := h.labels.Live(ctx, c.t.Secret)
		if err != nil {
			return v, wait, err
		}
		if live.Version != c.past.Fact(preflight, "old") {
			return v, wait, rotation.Failf("see who changed it; then start again", "the live version of %q isn't the one seen at preflight", c.t.Secret)
		}
		content, err := h.labels.New(ctx, c.past)
		if err != nil {
			return v, wait, err
		}
		if content.Empty() {
			return v, rotation.Result{Wait: "the new version to become readable", Again: poll}, nil
		}
		v, err = h.labels.Part(c.t.Secret, c.t.key(), content)
		return v, wait, err
	})
}

// test is the proof that there can be without a login: RDS says that the password is applied, and it is what is stored.
func (h *handler) test(ctx context.Context, c call) (rotation.Result, error) {
	db, err := h.same(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	s, ok := h.remembered(c.step)
	if !ok {
		if s.at, err = time.Parse(time.RFC3339, c.past.Fact(set, factAccepted)); err != nil {
			return rotation.Result{}, fmt.Errorf("the records don't say when RDS took the password of %s", c.t.called())
		}
	}
	applied := h.applied(c, s, db)
	if applied.Wait != "" {
		return applied, nil
	}
	was, is, res, err := h.labels.Proof(ctx, c.t.stored(), c.past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	made, err := h.labels.Made(c.t.Secret, c.t.key(), was, is)
	if err != nil {
		return rotation.Result{}, err
	}
	if why := unfit(made, c.past.Fact(preflight, factEngine)); why != "" {
		return rotation.Result{}, rotation.Failf(staging.Discarded, "the new password %s", why)
	}
	res.Text = fmt.Sprintf("%s; %s; all but %s is byte for byte the same; that it logs in is for the checks to show", applied.Text, res.Text, c.t.key())
	return res, nil
}

// restore gives the database the old password again, then the labels what they were on. As long as a person has made a
// third version the live one, it does neither. Asked again after it was done, it begins anew: the loop asks so when a call
// of set's without an answer may have arrived in between.
func (h *handler) restore(ctx context.Context, c call) (rotation.Result, error) {
	if err := h.labels.Ours(ctx, c.past); err != nil {
		return rotation.Result{}, err
	}
	db, err := h.same(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	s, ok := h.remembered(c.step)
	if !ok || !s.done.IsZero() && !s.done.Equal(db.now) {
		res, err := h.send(ctx, c, db, func() (v secret.Value, wait rotation.Result, err error) {
			content, err := h.labels.Old(ctx, c.past)
			if err != nil {
				return v, wait, err
			}
			if content.Empty() {
				return v, wait, rotation.Failf("set a password by hand, in the secret and at RDS", "the version that held the old password of %s is gone", c.t.called())
			}
			v, err = h.labels.Part(c.t.Secret, c.t.key(), content)
			return v, wait, err
		})
		if err == nil && res.Wait == "" {
			res.Wait, res.Again = "RDS to apply the old password, which it took", poll
		}
		return res, err
	}
	res := h.applied(c, s, db)
	if res.Wait != "" {
		return res, nil
	}
	back, err := h.labels.Restore(ctx, c.past)
	if err == nil && back.Wait == "" {
		back.Text = "the master user has the old password again: " + res.Text + "; " + back.Text
	}
	return back, err
}
