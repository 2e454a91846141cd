package kindtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/redact"
	"github.com/rastup/rekey/internal/rotation"
)

// start is when histories begin: a Wednesday.
var start = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

const retain = 48 * time.Hour

// A site is one target and what the suite knows of it.
type site struct {
	Instance
	chain    rotation.Chain
	before   string // State at the beginning
	bad      bool   // the check refuses everything but the credential that was live at the beginning
	old      string // that credential
	gone     map[string]bool
	byHand   string          // a person made it the live one
	whole    func() error    // a person began a change
	changing map[string]bool // names of calls that were seen to be no reads
}

// A lab is one history.
type lab struct {
	world  World
	twist  twist
	mem    *memory
	meter  *meter // optional
	sites  map[rotation.Chain]*site
	here   sync.Mutex // one call arrives at a time
	mu     sync.Mutex // of all below
	runs   int
	onWay  []*letter
	faults []string
	values []string // what was printed
	story  []string
}

// A letter is a call on its way.
type letter struct {
	effect func() error
	calls  int // arrives before the call that many calls later
	gone   bool
}

// newLab must be called in the bubble.
func newLab(w World, tw twist, chains ...rotation.Chain) (*lab, error) {
	time.Sleep(time.Until(start))
	l := &lab{world: w, twist: tw, sites: map[rotation.Chain]*site{}}
	l.mem = &memory{objects: map[string][]byte{}, at: map[string]time.Time{}, over: tw.overwrites, ahead: tw.storeAhead, created: l.stored}
	for _, c := range chains {
		s := &site{Instance: w.New(func() time.Time { return time.Now().UTC() }), chain: c, gone: map[string]bool{}, changing: map[string]bool{}}
		s.before, s.old = s.State(), s.Live()
		for _, id := range s.Destroyed() {
			s.gone[id] = true
		}
		l.sites[c] = s
	}
	return l, evidence.New(l.mem, evidence.Options{}).Init(context.Background(), time.Now())
}

func (l *lab) fault(format string, a ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, fmt.Sprintf(format, a...))
}

func (l *lab) tell(format string, a ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.story = append(l.story, time.Now().UTC().Format("02 15:04:05 ")+fmt.Sprintf(format, a...))
}

// later lets a changing call arrive before another one that comes so many calls later, and at the latest just
// before it is too old.
func (l *lab) later(effect func() error, changes bool, calls int) {
	if !changes {
		return // a look that arrives late is nobody's business
	}
	m := &letter{effect: effect, calls: calls}
	if calls == 0 {
		m.calls = 1 << 30
	}
	l.mu.Lock()
	l.onWay = append(l.onWay, m)
	l.mu.Unlock()
	go func() {
		time.Sleep(tooOld - time.Second)
		l.deliver(m)
	}()
}

func (l *lab) deliver(m *letter) {
	l.mu.Lock()
	gone := m.gone
	m.gone = true
	l.mu.Unlock()
	if !gone {
		l.tell("(a call arrives late)")
		_ = m.effect()
	}
}

// arrive counts a call, whosever it is.
func (l *lab) arrive() {
	l.mu.Lock()
	var due []*letter
	for _, m := range l.onWay {
		if m.calls--; m.calls == 0 {
			due = append(due, m)
		}
	}
	l.mu.Unlock()
	for _, m := range due {
		l.deliver(m)
	}
}

// serve is a call's arrival at a target's service, after which the world is looked at.
func (l *lab) serve(in Instance, out http.ResponseWriter, r *http.Request, changes bool) {
	l.here.Lock()
	defer l.here.Unlock()
	in.Service.ServeHTTP(out, r)
	if !changes {
		return
	}
	l.tell("    %s", in.Name(r))
	for _, s := range l.sites {
		s.changing[in.Name(r)] = true
	}
	for _, s := range l.sites {
		l.watch(s)
	}
}

// watch holds at any instant: consumers can work, and what was destroyed was on record.
func (l *lab) watch(s *site) {
	if err := s.Always(); err != nil {
		l.fault("at an instant: %v", err)
	}
	for _, id := range s.Destroyed() {
		if !s.gone[id] {
			s.gone[id] = true
			if !l.recorded(s.chain, id) {
				l.fault("%s was destroyed, but no record names it", id)
			}
		}
	}
}

func (l *lab) recorded(c rotation.Chain, id string) bool {
	for _, r := range l.records(c) {
		for _, v := range r.Facts {
			if v == id {
				return true
			}
		}
	}
	return false
}

// records are all of a chain, read past every check.
func (l *lab) records(c rotation.Chain) (all []rotation.Record) {
	list, _ := l.mem.List(context.Background(), "journal/"+c.Path()+"/")
	for _, o := range list.Objects {
		data, _ := l.mem.Read(context.Background(), o.Name)
		var r rotation.Record
		if json.Unmarshal(data, &r) == nil {
			all = append(all, r)
		}
	}
	return all
}

// stored looks at the world when a record says that something is done.
func (l *lab) stored(name string, data []byte) {
	var r rotation.Record
	if !strings.HasPrefix(name, "journal/") || json.Unmarshal(data, &r) != nil || r.Seq == 0 {
		return
	}
	l.tell("  record %d of %s %s: %s %s %s [%s]", r.Seq, r.Environment, r.Rotation, r.Outcome, r.Step, r.Text, r.Runner.Nonce)
	s := l.sites[r.Chain]
	if r.Outcome != rotation.Done || s == nil || s.byHand != "" || s.whole != nil {
		return
	}
	var attempt []rotation.Record
	for _, x := range l.records(r.Chain) {
		if x.ClaimSeq == r.ClaimSeq {
			attempt = append(attempt, x)
		}
	}
	if err := s.Happened(r.Step, rotation.PastOf(attempt)); err != nil {
		l.fault("recorded as done: %s, but %v", r.Step, err)
	}
}

func (l *lab) shown(value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if value != "" {
		l.values = append(l.values, value)
	}
}

// A process is one run.
type process struct {
	g      *gate
	status apply.Status
	err    error
	skew   time.Duration
}

// A clock of a process: it stops with it, and may be wrong.
type clock struct {
	p *process
}

func (c clock) Now() time.Time { return time.Now().Add(c.p.skew) }

func (c clock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		c.p.g.thaw()
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c clock) After(d time.Duration) <-chan time.Time {
	ch := make(chan time.Time, 1)
	go func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			c.p.g.thaw()
			ch <- time.Now()
		case <-c.p.g.ended:
		}
	}()
	return ch
}

// start begins a run in a process of its own. It is over when g.ended is closed.
func (l *lab) start(ctx context.Context, g *gate, j apply.Job, skew time.Duration) *process {
	p := &process{g: g, skew: skew}
	g.site = l.sites[j.Claim.Plan.Chain]
	r, self := l.runner(p)
	go func() {
		defer close(g.ended)
		p.status, p.err = r.Run(ctx, j)
		l.tell("%s: %s, %s %v", self.ID, p.status.Decision.State, p.status.Decision.Why, p.err)
	}()
	return p
}

// runner is a process's apply.Runner.
func (l *lab) runner(p *process) (*apply.Runner, rotation.Runner) {
	g := p.g
	l.mu.Lock()
	l.runs++
	self := rotation.Runner{ID: fmt.Sprintf("run-%d", l.runs), Nonce: fmt.Sprintf("n%d", l.runs)}
	l.mu.Unlock()
	store, red := gated{g, l.mem}, &redact.Set{}
	r := &apply.Runner{
		Journal: evidence.New(store, evidence.Options{Readers: 1}), Bundle: bundle{store}, Clock: clock{p}, Self: self,
		Handlers: func(_ context.Context, c *rotation.Claim) (map[string]rotation.Handler, error) {
			s := l.sites[c.Plan.Chain]
			rt := g.RoundTripper(s.Instance)
			h, arm, err := s.Handler(rt, red.Add)
			if err != nil {
				return nil, err
			}
			return map[string]rotation.Handler{"kind/" + c.Plan.Kind: l.twist.handler(h, rt), "check/kindtest": l.check(g, s, l.twist.arm(arm), red)}, nil
		},
		Scrub: red.String, Progress: func(*rotation.Plan, rotation.Record) {},
	}
	l.twist.runner(r)
	return r, self
}

// wait until p is over, dead or stopped at its call.
func (p *process) wait() (over bool) {
	select {
	case <-p.g.ended:
		return true
	case <-p.g.died:
	case <-p.g.reached:
	}
	return false
}

// run is one undisturbed process, after which a person does what it asked for.
func (l *lab) run(j apply.Job) (apply.Status, error) {
	p := l.start(context.Background(), l.gate(none, 0, 0), j, 0)
	<-p.g.ended
	l.asked(p)
	return p.status, p.err
}

// asked lets a person do what a process left to them, if anything.
func (l *lab) asked(p *process) bool {
	ask := p.status.Decision.Step.Asks()
	if p.err != nil || ask == nil || p.status.Decision.State.Over() {
		return false
	}
	l.tell("(a person: %s)", ask.Run)
	l.sites[p.status.Plan.Chain].Person(ask)
	return true
}

// check is what a consumer sees: one more call. Like a smoke test that nobody proofread, it prints what it uses.
func (l *lab) check(g *gate, s *site, arm func(context.Context, rotation.Past) error, red *redact.Set) rotation.Handler {
	look := func(ctx context.Context, st rotation.Step, past rotation.Past) (rotation.Result, error) {
		if err := arm(ctx, past); err != nil {
			return rotation.Result{}, err
		}
		var live string
		err := g.pass(ctx, "check "+st.Key, false, false, func() error { live = s.Live(); return nil }, func() error { return errCut })
		text := "seen " + live
		if live != "" && (live == past.Fact("preflight", "old") || live == past.Fact("create", "new")) {
			text = red.String(text + " " + s.Value(live))
			l.shown(s.Value(live))
		}
		res := rotation.Result{Text: text, Files: []rotation.File{{Name: "output.txt", Data: []byte(text)}}}
		switch {
		case err != nil:
			return rotation.Result{}, err
		case s.bad && live != s.old:
			return res, rotation.Failf("", "consumers are refused with the new credential: %s", text)
		}
		return res, nil
	}
	return rotation.Handler{"baseline": look, "validate": look}
}

// job is a request for the site's chain as the tree has it.
func (l *lab) job(c rotation.Chain, name, reason string, change func(*plan.Input)) apply.Job {
	s := l.sites[c]
	target := l.world.Kind.Shape()
	if err := json.Unmarshal(s.Target, target); err != nil {
		l.fault("target: %v", err)
	}
	recipe := l.twist.recipe(l.world.Kind.Recipe(target))
	in := plan.Input{Rotation: name, Request: []byte("secret: " + c.Secret + "\n"), Date: start.Truncate(24 * time.Hour), Secret: c.Secret,
		Kind: l.world.Kind.Name, Reason: reason, OnFailure: "rollback", Retain: rotation.Duration(retain), StartIn: rotation.Duration(720 * time.Hour),
		Targets: []plan.Target{{Environment: c.Environment, Requested: true, With: s.Target, Recipe: recipe,
			Checks: []plan.Use{{Name: "health", Uses: "check/kindtest", With: json.RawMessage(`{}`), Within: rotation.Duration(time.Minute)}}}}}
	if change != nil {
		change(&in)
	}
	plans, err := plan.Build(in)
	if err != nil {
		l.fault("build: %v", err)
		return apply.Job{}
	}
	for _, p := range plans {
		if p.Chain == c {
			return apply.Job{Claim: rotation.Claim{Plan: p, Path: "rotations/2026/11/" + name + ".yaml", Request: string(in.Request),
				Owner: "@rastup/payments", Actors: rotation.Actors{Operator: "kim"}, Program: "test"}}
		}
	}
	l.fault("no plan for %s", c)
	return apply.Job{}
}
