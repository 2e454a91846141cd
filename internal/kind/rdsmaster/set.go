package rdsmaster

import (
	"context"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

const (
	poll = 5 * time.Second
	// appears is when a change that isn't seen any more must have been applied: its status may lag behind the answer of the
	// call that made it, so that "available" just after that proves nothing.
	appears = time.Minute
	// patience is for what RDS may be about when set comes: a backup.
	patience = rotation.Duration(30 * time.Minute)
)

// sent is what this process sent in one step. Another process knows nothing of it, and sends again: by then no earlier call
// can arrive any more, and none has the last word that it didn't see.
type sent struct {
	at   time.Time // RDS took it, by its clock
	seen bool      // it was seen to be about it since
	done time.Time // it was said to be applied
}

// apply has RDS take a password, and is done once that is in force. password is asked for just before it is sent. Asked
// again after it was done, it begins anew: the loop asks so when a call without an answer may have arrived in between.
func (h *handler) apply(ctx context.Context, c call, password func() (secret.Value, rotation.Result, error)) (rotation.Result, error) {
	db, err := h.same(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	if at, ok := h.sent.Load(c.step); ok {
		if s, _ := at.(sent); s.done.IsZero() || s.done.Equal(db.now) {
			return h.follow(c, s, db), nil
		}
	}
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
	return rotation.Result{Facts: accepted(at), Wait: "RDS to apply the password that it took", Again: poll}, nil
}

func accepted(at time.Time) map[string]string {
	return map[string]string{factAccepted: at.Format(time.RFC3339)}
}

// follow is done when RDS is through with what was sent.
func (h *handler) follow(c call, s sent, db database) rotation.Result {
	res := rotation.Result{Facts: accepted(s.at), Again: poll}
	switch {
	case db.busy():
		s.seen = s.seen || db.pending || db.status == resetting // a backup may have come between
		res.Wait = fmt.Sprintf("RDS to apply the password that it took: %s is %s", c.t.called(), db.status)
	case !s.seen && db.now.Before(s.at.Add(appears)):
		res.Wait = "RDS to show what it does with the password that it took"
	default:
		s.done = db.now
		res.Again, res.Text = 0, fmt.Sprintf("RDS took it at %s; %s is %s with no password pending", s.at.Format(time.TimeOnly), c.t.called(), db.status)
	}
	h.sent.Store(c.step, s)
	return res
}

// set gives the database the stored password, while what consumers read is still what preflight saw.
func (h *handler) set(ctx context.Context, c call) (rotation.Result, error) {
	res, err := h.apply(ctx, c, func() (v secret.Value, wait rotation.Result, err error) {
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
	if err == nil && res.Wait == "" {
		res.Text = "the master user has the new password: " + res.Text
	}
	return res, err
}

// restore gives the database the old password again, then the labels what they were on. As long as a person has made a
// third version the live one, it does neither.
func (h *handler) restore(ctx context.Context, c call) (rotation.Result, error) {
	if err := h.labels.Ours(ctx, c.past); err != nil {
		return rotation.Result{}, err
	}
	res, err := h.apply(ctx, c, func() (v secret.Value, wait rotation.Result, err error) {
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
	if err != nil || res.Wait != "" {
		return res, err
	}
	back, err := h.labels.Restore(ctx, c.past)
	if err != nil || back.Wait != "" {
		return back, err
	}
	back.Text, back.Facts = "the master user has the old password again: "+res.Text+"; "+back.Text, res.Facts
	return back, nil
}
