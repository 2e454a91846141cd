package cloudwatch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/rotation"
)

// New makes the handler for one environment.
func New(d check.Deps) rotation.Handler {
	h := handler{d}
	return rotation.Handler{"baseline": h.look, "validate": h.look}
}

type handler struct{ check.Deps }

// A stretch is the time that is looked at.
type stretch struct {
	from, to time.Time // both included; to isn't after now
	now      time.Time
	ready    time.Time // from then on all data ought to be there
	settled  time.Time // data from before then ought to be there
	before   bool      // before the rotation
	after    bool      // after a restore
}

// A verdict is what was found. What is bad is bad whatever else there is; what is partly there may still come.
type verdict struct {
	good, bad, unproven, partly []string
	hint                        string // for the first that is bad
}

func (v *verdict) fail(hint, format string, a ...any) {
	if len(v.bad) == 0 {
		v.hint = hint
	}
	v.bad = append(v.bad, fmt.Sprintf(format, a...))
}

// look looks once at everything. Bad news is told at once; good news not before all data ought to be there.
func (h handler) look(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var p Shape
	if err := s.Into(&p); err != nil {
		return rotation.Result{}, err
	}
	if h.CloudWatch == nil || h.Logs == nil {
		return rotation.Result{}, rotation.Failf("", "there is no CloudWatch to look at here")
	}
	at, err := h.stretch(&p, s, past)
	if err != nil {
		return rotation.Result{}, err
	}
	var v verdict
	failed := h.alarms(ctx, &p, at, &v)
	if err := h.metrics(ctx, &p, at, &v); failed == nil {
		failed = err
	}
	if err := h.logs(ctx, &p, at, past, &v); failed == nil {
		failed = err
	}
	if failed != nil && (len(v.bad) == 0 || at.after) { // a look that came to nothing isn't a no
		return rotation.Result{}, failed
	}
	return p.judge(at, v)
}

// stretch is the time since promote, until over after the last consumer was deployed. After a restore it moves on, so
// that what went wrong on the way back is left behind; before the rotation it is as long a time, up to now.
func (h handler) stretch(p *Shape, s rotation.Step, past rotation.Past) (stretch, error) {
	over, delay := time.Duration(p.over()), time.Duration(p.delay())
	now := h.Now().UTC()
	at := stretch{now: now, settled: now.Add(-delay)}
	live, taken := "promote", "deploy/"
	if s.Phase == rotation.Rollback {
		live, taken, at.after = "restore", "back/", true
	}
	if s.Name == "baseline" {
		c, _ := past.Claim()
		if _, ok := c.Plan.Step(live); !ok {
			return at, rotation.Failf("use another check for it", "secrets of kind %s have no step %s: there is no time to look at", c.Plan.Kind, live)
		}
		at.before, at.from, at.to, at.ready = true, now.Add(-delay-over), now, now
		return at, nil
	}
	if at.from = past.Done(live).UTC(); past.Done(live).IsZero() {
		return at, rotation.Failf("see the records for how far it came", "the records don't say when %s was done: there is no time to look at", live)
	}
	last := at.from
	for _, key := range s.Reads {
		if done := past.Done(key).UTC(); strings.HasPrefix(key, taken) && done.After(last) {
			last = done
		}
	}
	at.to, at.ready = last.Add(over), last.Add(over+delay)
	if at.after && now.After(at.ready) {
		at.to = now
		if begin := now.Add(-delay - over); begin.After(at.from) {
			at.from = begin
		}
	}
	if at.to.After(now) {
		at.to = now
	}
	return at, nil
}

// judge makes a result of what was found.
func (p *Shape) judge(at stretch, v verdict) (rotation.Result, error) {
	wait := func(format string, a ...any) (rotation.Result, error) {
		again := every
		if left := at.ready.Sub(at.now); left > 0 {
			again = min(every, left)
		}
		return rotation.Result{Wait: fmt.Sprintf(format, a...), Again: again}, nil
	}
	if len(v.bad) > 0 {
		if at.after { // it may need a while to get well, and there is nothing else to go back to
			return wait("%s", strings.Join(v.bad, "; "))
		}
		return rotation.Result{}, rotation.Failf(v.hint, "%s", strings.Join(v.bad, "; "))
	}
	if at.now.Before(at.ready) {
		return wait("CloudWatch's data until %s, %s of them for what comes late; nothing bad is seen so far", clock(at.ready), span(time.Duration(p.delay())))
	}
	if len(v.partly) > 0 && (at.before || at.now.Before(at.ready.Add(patience))) {
		return wait("%s", strings.Join(v.partly, "; "))
	}
	looked := fmt.Sprintf("%s to %s: ", clock(at.from), clock(at.to))
	facts := map[string]string{"from": at.from.Format(time.RFC3339), "to": at.to.Format(time.RFC3339), "proven": "all"}
	unproven := append(v.unproven, v.partly...)
	switch {
	case len(unproven) == 0:
		return rotation.Result{Text: looked + strings.Join(v.good, "; "), Facts: facts}, nil
	case p.Missing == "warn":
		facts["proven"] = "no"
		text := "not proven: " + strings.Join(unproven, "; ")
		if len(v.good) > 0 {
			facts["proven"] = "in part"
			text += "; the rest, " + looked + strings.Join(v.good, "; ")
		}
		return rotation.Result{Text: text, Facts: facts}, nil
	case at.after:
		return wait("what isn't proven: %s", strings.Join(unproven, "; "))
	}
	return rotation.Result{}, rotation.Failf(`see whether names and region are right; over gives data more time, and "missing: warn" goes on without them`,
		"not proven: %s", strings.Join(unproven, "; "))
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

// since is the beginning of a stretch in words.
func (at stretch) since() string {
	what := "when the new credential became live"
	switch {
	case at.before:
		what = "before the rotation"
	case at.after:
		what = "after the old credential was restored"
	}
	return "looked at from " + clock(at.from) + ", " + what
}
