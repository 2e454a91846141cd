package terraform

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
)

// Names of facts.
const (
	factValue   = "value"   // of preflight: what the variable held, the name of the old version
	factChanges = "changes" // of preflight or deploy: what the new version is to change
	factRuns    = "runs"    // how often an apply was begun, recorded before each time
	factBack    = "back"    // of back: the run after which everything ran with the old version
)

// every is the pause between two tries for a state that somebody else has locked.
const every = 15 * time.Second

type handler struct {
	consumer.Deps
	runs program.Runs // of this process
}

// A call is one asking of one step.
type call struct {
	Shape
	step rotation.Step
	past rotation.Past
}

// New makes the handler for one environment.
func New(d consumer.Deps) rotation.Handler {
	h := &handler{Deps: d}
	out := rotation.Handler{}
	for name, f := range map[string]func(context.Context, call) (rotation.Result, error){
		consumer.Preflight: h.preflight, consumer.Preview: h.preview, consumer.Deploy: h.deploy, consumer.Adopted: h.adopted, consumer.Back: h.back,
	} {
		out[name] = func(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
			c := call{step: s, past: past}
			if err := s.Into(&c.Shape); err != nil {
				return rotation.Result{}, err
			}
			return f(ctx, c)
		}
	}
	return out
}

func (c call) called() string { return "the variable " + c.Variable + " of " + c.Dir }

func (c call) old() (string, error) {
	return consumer.Held(c.past, c.past.Fact("preflight", "old"), c.Holds, c.called())
}

func (c call) new() (string, error) {
	return consumer.Held(c.past, c.past.Fact("create", "new"), c.Holds, c.called())
}

// deployed is what this consumer's deploy recorded.
func (c call) deployed(key string) string {
	return c.past.Fact(consumer.Key(consumer.Deploy, consumer.Named(c.step)), key)
}

// foreseen are the changes that a rotation may make; false where nothing is on record of that.
func (c call) foreseen() ([]string, bool) {
	fact := consumer.Found(c.step, c.past, factChanges)
	if fact == "" {
		fact = c.deployed(factChanges)
	}
	return listed(fact), fact != ""
}

func (c call) token() string { return c.past.Token(c.step.Key, "apply") }

// preview runs nothing: a pull request could have changed what there is to run.
func (h *handler) preview(_ context.Context, c call) (rotation.Result, error) {
	return rotation.Result{Text: c.Dir + " was not planned: nothing of a pull request is run"}, nil
}

// adopted waits while the repository names another version, or terraform would change anything that the rotation changed.
func (h *handler) adopted(ctx context.Context, c call) (rotation.Result, error) {
	want, err := c.new()
	if err != nil {
		return rotation.Result{}, err
	}
	if git := h.behind(c, want); git != "" {
		return rotation.Result{Wait: git, Again: rotation.Later}, nil
	}
	b, err := h.open(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	defer b.close()
	if err := b.init(ctx); err != nil {
		return rotation.Result{}, err
	}
	p, err := b.plan(ctx, "", "")
	if err != nil {
		return rotation.Result{}, err
	}
	foreseen, _ := c.foreseen()
	const text = "Git names the new version, and "
	switch others := beyond(p.changes, foreseen); {
	case p.code == 1:
		return rotation.Result{Files: b.files()}, fmt.Errorf("see whether %s runs with the new version: %s", c.Dir, b.why(p))
	case p.code == 0:
		return rotation.Result{Text: text + "terraform has nothing left to change in " + c.Dir, Files: b.files()}, nil
	case len(others) == len(p.changes) && len(foreseen) > 0:
		return rotation.Result{Text: fmt.Sprintf("%sof what the rotation changed in %s nothing is left to change; others' changes are pending (%s)", text, c.Dir, in(others)), Files: b.files()}, nil
	}
	return rotation.Result{Wait: fmt.Sprintf("%s to run with the new version: terraform would still %s", c.Dir, in(p.changes)), Again: rotation.Later}, nil
}

// deploy applies the plan that the new version makes.
func (h *handler) deploy(ctx context.Context, c call) (rotation.Result, error) {
	want, err := c.new()
	if err != nil {
		return rotation.Result{}, err
	}
	if err := (program.Program{Called: c.binary()}).Pass(ctx, c.limit()); err != nil {
		return h.still(ctx, c, want, err)
	}
	foreseen, known := c.foreseen()
	if known {
		if wait := h.begin(c); wait != nil {
			return *wait, nil
		}
	}
	res, done, err := h.change(ctx, c, want, func(ctx context.Context, b *bench, p *plan) (*rotation.Result, error) {
		if err := c.refused(p.changes); err != nil {
			return nil, err
		}
		if !known {
			return &rotation.Result{Facts: map[string]string{factChanges: list(p.changes)}, Wait: "what the new version changes in " + c.Dir + " to be on record: " + in(p.changes)}, nil
		}
		if more := beyond(p.changes, foreseen); len(more) > 0 {
			return nil, rotation.Failf("see who changed the configuration or the infrastructure since, and apply that first; then begin again",
				"terraform would change more in %s than was foreseen: %s", c.Dir, in(more))
		}
		return nil, b.alone(ctx, foreseen)
	})
	if err != nil || res.Wait != "" {
		return res, err
	}
	if res.Text = done; h.behind(c, want) != "" {
		res.Text += "; waiting for " + h.behind(c, want)
	}
	return res, nil
}

// still is for being asked without a lease: done where nothing is left to do, else lack.
func (h *handler) still(ctx context.Context, c call, want string, lack error) (rotation.Result, error) {
	b, err := h.open(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	defer b.close()
	if err := b.init(ctx); err != nil {
		return rotation.Result{}, err
	}
	p, err := b.plan(ctx, want, "")
	switch {
	case err != nil:
		return rotation.Result{}, err
	case p.code == 1:
		return rotation.Result{}, fmt.Errorf("see whether %s runs with the new version: %s", c.Dir, b.why(p))
	case p.code == 2:
		return rotation.Result{}, lack
	}
	return rotation.Result{Text: c.Dir + " still runs with the new version"}, nil
}

// back applies the plan that the old version makes, and then waits until Git names that version: what it names is what the
// next apply brings.
func (h *handler) back(ctx context.Context, c call) (rotation.Result, error) {
	old, err := c.old()
	if err != nil {
		return rotation.Result{}, err
	}
	if c.deployed(factRuns) == "" {
		return rotation.Result{Text: "nothing was applied in " + c.Dir}, nil
	}
	git := h.behind(c, old)
	if git != "" && c.past.Fact(c.step.Key, factBack) != "" {
		return rotation.Result{Wait: git + "; " + c.Dir + " runs with that already", Again: rotation.Later}, nil
	}
	if wait := h.begin(c); wait != nil {
		return *wait, nil
	}
	foreseen, _ := c.foreseen()
	res, done, err := h.change(ctx, c, old, func(_ context.Context, _ *bench, p *plan) (*rotation.Result, error) {
		if more := further(p.changes, foreseen); len(more) > 0 {
			return nil, rotation.Failf("apply or revert what is pending besides, so that only this is left; it is tried again",
				"to go back, terraform would change more in %s than this rotation did: %s", c.Dir, in(more))
		}
		return nil, nil
	})
	if err != nil || res.Wait != "" {
		return res, err
	}
	if git != "" { // until people see to that, terraform needn't be asked again
		res.Facts, res.Wait = map[string]string{factBack: c.past.Fact(c.step.Key, factRuns)}, git+"; "+done
		return res, nil
	}
	res.Text = done
	return res, nil
}

// behind is what to wait for while Git doesn't name a version, for people; "" where it does.
func (h *handler) behind(c call, want string) string {
	s, err := h.setting(c)
	switch {
	case err != nil:
		return fmt.Sprintf("Git to have %q as %s, or anybody's next apply changes it again: %s", want, c.called(), err)
	case s.value == want:
		return ""
	}
	return fmt.Sprintf("Git to name %s: merge %s at %s, or anybody's next apply goes back to %s", c.names(want), c.as(s, want), s.at(), c.names(s.value))
}

// names is which version a value names.
func (c call) names(value string) string {
	if old, err := c.old(); err == nil && value == old {
		return "the old version"
	}
	if made, err := c.new(); err == nil && value == made {
		return "the new version"
	}
	return "another version"
}

// begin is nil when an apply may begin: that is on record then.
func (h *handler) begin(c call) *rotation.Result {
	record := h.runs.Begin(c.token(), c.past.Fact(c.step.Key, factRuns))
	if record == "" {
		return nil
	}
	return &rotation.Result{Facts: map[string]string{factRuns: record}, Wait: "an apply in " + c.Dir + " to be on record before it begins"}
}

// change plans with a value, has that plan judged, and applies it. done says what came of it.
func (h *handler) change(ctx context.Context, c call, value string, judge func(context.Context, *bench, *plan) (*rotation.Result, error)) (res rotation.Result, done string, err error) {
	begun := false
	defer func() {
		if !begun && c.past.Fact(c.step.Key, factRuns) != "" {
			h.runs.Unbegun(c.token(), c.past.Fact(c.step.Key, factRuns))
		}
	}()
	b, err := h.open(ctx, c)
	if err != nil {
		return res, "", err
	}
	defer func() {
		if res.Wait == "" || len(res.Facts) > 0 { // what only waits is asked again and again
			res.Files = b.files()
		}
		b.close()
	}()
	if err := b.init(ctx); err != nil {
		return res, "", err
	}
	out := filepath.Join(b.dir, "plan")
	p, err := b.plan(ctx, value, out)
	if err != nil {
		return res, "", err
	}
	if p.code == 0 {
		return res, "terraform has nothing to change in " + c.Dir, nil
	}
	if p.code == 1 {
		res.Wait, res.Again, err = b.stopped(p, "plan")
		return res, "", err
	}
	switch wait, err := judge(ctx, b, p); {
	case err != nil:
		return res, "", err
	case wait != nil:
		return *wait, "", nil
	}
	begun = true
	applied, err := b.apply(ctx, out)
	if err != nil {
		return res, "", err
	}
	if applied.code != 0 {
		res.Wait, res.Again, err = b.stopped(applied, "apply")
		begun = res.Wait == ""
		return res, "", err
	}
	again, err := b.plan(ctx, value, "")
	switch {
	case err != nil:
		return res, "", err
	case again.code == 1:
		return res, "", fmt.Errorf("look at %s after the apply: %s", c.Dir, b.why(again))
	case again.code == 2:
		return res, "", rotation.Failf("see terraform plan: a plan after an apply must have nothing to change", "terraform applied it in %s, and would still %s", c.Dir, in(again.changes))
	}
	return res, fmt.Sprintf("%s made %s in %s: %s", c.binary(), count(p.changes), c.Dir, in(p.changes)), nil
}

// stopped is what to make of a plan or apply that ended with 1. A lock of somebody else's, and a plan that the state has
// left behind, are to be waited for; a failed plan changed nothing, so that whether it fails the next time is open; a
// failed apply may have changed a part, and is definite.
func (b *bench) stopped(p *plan, what string) (wait string, again time.Duration, err error) {
	d, locked := p.is(isLocked)
	if who, ok := d.holder(); ok && locked {
		return fmt.Sprintf("the lock of the state of %s: %s; where that run is dead, a person frees it with %s force-unlock", b.Dir, who, b.binary()), every, nil
	}
	if _, ok := p.is(isStale); ok {
		return "another plan: the state of " + b.Dir + " changed since this one was made", time.Second, nil
	}
	if what == "plan" || locked { // an apply that got no lock changed nothing either
		return "", 0, fmt.Errorf("%s %s in %s: %s", b.binary(), what, b.Dir, b.why(p))
	}
	return "", 0, rotation.Failf("see "+evidence+" in the evidence", "%s apply in %s failed after %d of its changes: %s", b.binary(), b.Dir, p.applied, b.why(p))
}

// alone refuses an apply while, as the checkout has it, anything else is pending than what an apply of this rotation left
// half done. Asked after the plan was made: what changes the state in between makes that plan stale.
func (b *bench) alone(ctx context.Context, foreseen []string) error {
	p, err := b.plan(ctx, "", "")
	if err != nil {
		return err
	}
	pending := p.changes
	if b.past.Fact(b.step.Key, factRuns) != "1" {
		pending = beyond(pending, foreseen)
	}
	switch {
	case p.code == 1:
		return fmt.Errorf("%s plan in %s: %s", b.binary(), b.Dir, b.why(p))
	case len(pending) > 0:
		return rotation.Failf("apply that or take it back, or merge what another rotation asked for; then begin again",
			"terraform has changes pending in %s that are not this rotation's: %s", b.Dir, in(pending))
	}
	return nil
}

// standIn is a name as that of a version that isn't there yet.
func standIn(held string) string {
	const none = "00000000-0000-4000-8000-000000000000"
	if i := strings.LastIndexAny(held, ":/"); i >= 0 {
		return held[:i+1] + none
	}
	return none
}
