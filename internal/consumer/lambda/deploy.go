package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
)

// deploy waits until code that caches must have read the new version; with refresh, it changes the variable and waits until
// that is in force, and then has the alias name a version with it.
func (h *handler) deploy(ctx context.Context, c call) (rotation.Result, error) {
	if !c.Refresh {
		at, err := c.promoted()
		if err != nil {
			return rotation.Result{}, err
		}
		return h.outlived(c, at, "the new version was promoted"), nil
	}
	value, err := c.value(consumer.Deploy)
	if err != nil {
		return rotation.Result{}, err
	}
	l, err := h.latest(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	// Once it was in force, later changes of the configuration make environments that are newer still: other rotations
	// change the variable, too.
	if c.deployed(factInForce) == "" {
		res, err := h.refresh(ctx, c, l, value)
		if err != nil || res.Wait != "" || c.Alias == "" {
			return res, err
		}
		res.Wait, res.Again = "it to be on record that the variable is in force", 0
		return res, nil
	}
	res := rotation.Result{Text: c.inForce(), Facts: map[string]string{factInForce: c.deployed(factInForce)}}
	if c.Alias == "" {
		return res, nil
	}
	moved, err := h.publish(ctx, c, l, value)
	if err == nil && moved.Wait == "" {
		moved.Text = res.Text + "; " + moved.Text
	}
	return moved, err
}

// refresh gives the variable its value, and is done when Lambda has it in force. What it was is on record before, since the
// new version is live, and anew in every process: where another secret's rotation has changed it after that, new execution
// environments start for that.
func (h *handler) refresh(ctx context.Context, c call, l look, value string) (rotation.Result, error) {
	is, seen := cmp.Or(l.vars[Variable], nothing), c.deployed(factSeen)
	if _, looked := h.looked.LoadOrStore(c.step.ID, true); is != value && (seen == "" || is == seen && !looked) {
		return rotation.Result{Facts: map[string]string{factSeen: is}, Wait: "it to be on record what " + Variable + " of " + c.called() + " is"}, nil
	}
	others := is != value && is != seen && written.MatchString(is)
	if wait := l.busy(c); wait != "" {
		return rotation.Result{Wait: wait, Again: poll}, nil
	}
	if is != value && !others {
		res, err := h.put(ctx, c, l, value)
		if err == nil && res.Wait == "" {
			res = rotation.Result{Wait: "the new configuration of " + c.called() + " to be in force", Again: poll}
		}
		return res, err
	}
	if err := l.failed(c); err != nil {
		return rotation.Result{}, err
	}
	res := rotation.Result{Text: c.inForce(), Facts: map[string]string{factInForce: *l.RevisionId}}
	if others {
		res.Text += " (another secret's rotation changed it, after the new version was live)"
	}
	return res, nil
}

func (c call) inForce() string {
	return c.called() + " has a new " + Variable + ": execution environments started since read the secret anew"
}

// adopted waits until nothing can be running any more that started before, and the alias names nothing older than what was
// published here.
func (h *handler) adopted(ctx context.Context, c call) (rotation.Result, error) {
	if !c.Refresh {
		at, err := c.promoted()
		if err != nil {
			return rotation.Result{}, err
		}
		return h.outlived(c, at, "the new version was promoted"), nil
	}
	at := c.past.Done(c.key(consumer.Deploy))
	longest, err := time.ParseDuration(c.found(factTimeout))
	if at.IsZero() || err != nil || c.deployed(factInForce) == "" {
		return rotation.Result{}, errors.New("the records don't say when the new configuration of " + c.called() + " was in force")
	}
	until := at.Add(longest)
	if left := until.Sub(h.now()); left > 0 {
		return rotation.Result{Wait: fmt.Sprintf("invocations of %s that began before to end, at %s", c.called(), clock(until)), Again: left}, nil
	}
	res := rotation.Result{Text: fmt.Sprintf("no invocation of %s can be running that began before %s", c.called(), clock(at))}
	if c.Alias == "" {
		return res, nil
	}
	a, err := h.alias(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	if old := a.older(c.deployed(factVersion)); old != "" {
		return rotation.Result{Wait: fmt.Sprintf("alias %s of %s to leave version %s, which is older than the one published for this rotation, %s", c.Alias, c.called(), old, c.deployed(factVersion)), Again: rotation.Later}, nil
	}
	res.Text += fmt.Sprintf("; alias %s names version %s", c.Alias, a.version)
	return res, nil
}
