package actions

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/policy/lookup"
	"github.com/rastup/rekey/internal/question"
	"github.com/rastup/rekey/internal/rotation"
)

// due is the job between the others: it reads the journal, brings everything that is derived from it up to date, and
// says what is to be asked next. It changes nothing but texts on GitHub.
func (j *job) due(ctx context.Context) error {
	if j.hub == nil {
		return errors.New("input token: without it nobody can be asked")
	}
	if err := j.onDefaultBranch(ctx); err != nil {
		return err
	}
	found := j.app.Load()
	j.annotate(found)
	if !j.app.Ruled(found) {
		return errSaid
	}
	var tasks []app.Task
	var err error
	if found.Len() == 0 {
		tasks, err = j.app.Tasks(ctx)
	} else { // nothing new is begun on a tree with mistakes; what is open is still shown, and goes back
		tasks, err = j.app.Begun(ctx, "")
	}
	if err != nil {
		return err
	}
	s := &survey{job: j, mistaken: found.Len() > 0, read: j.Clock.Now()}
	if s.results, err = j.app.Look(ctx, tasks, false); err != nil {
		return err
	}
	if err := s.again(ctx, tasks); err != nil {
		return err
	}
	s.continues(ctx)
	s.origins(ctx)
	silent := s.ask(ctx)
	if silent != nil { // nobody is asked then, but what needs nobody goes on
		s.items, s.expired = nil, nil
	}
	s.closes()
	if err := s.outputs(); err != nil {
		return err
	}
	err = errors.Join(silent, s.project(ctx), s.unseen())
	if err != nil && s.awaited() { // a job that fails stops those after it: one bad chain or comment mustn't
		s.failAll(err)
		return nil
	}
	return err
}

// awaited says whether jobs of this run wait for what this one found: the last one's nobody does.
func (s *survey) awaited() bool {
	after, found := strings.CutPrefix(s.Getenv("GITHUB_JOB"), "after-")
	if !found && (len(s.goes) > 0 || len(s.expired) > 0) {
		return true
	}
	ahead := !found
	for _, e := range s.app.Inputs.Config.Environments {
		if ahead && len(s.items[e.Name]) > 0 {
			return true
		}
		ahead = ahead || e.Name == after
	}
	return false
}

// unseen is what couldn't be looked at, or nobody can go on with: to say so is all that can be done.
func (s *survey) unseen() error {
	n := 0
	for _, r := range s.results {
		env := r.Status.Plan.Environment
		_, known := s.app.Inputs.Config.Environment(env)
		switch {
		case r.Err != nil:
			n++
			s.fail(fmt.Errorf("%s in %s can't be looked at: %w", r.Task.Secret, env, r.Err))
		case !known && !r.Status.Decision.State.Over():
			n++
			s.fail(rotation.Failf("put it back until that is over", "%s of %s is open in %s, which %s doesn't have any more", r.Task.Rotation, r.Task.Secret, env, s.app.Config))
		}
	}
	if n > 0 {
		return errSaid
	}
	return nil
}

// onDefaultBranch refuses to work from any other: what rotates is what was merged.
func (j *job) onDefaultBranch(ctx context.Context) error {
	branch, err := j.hub.DefaultBranch(ctx)
	if err != nil {
		return err
	}
	if ref := j.Getenv("GITHUB_REF"); ref != "refs/heads/"+branch {
		return rotation.Failf("run the workflow from "+branch, "this run is on %s: only what was merged into %s is rotated", ref, branch)
	}
	return nil
}

// named are the requests that a person named when starting the run; nil: all.
func (j *job) named() ([]string, error) {
	var names, unknown []string
	for _, n := range strings.Fields(j.input("requests")) {
		r, ok := j.app.Inputs.Find(n)
		if !ok {
			unknown = append(unknown, fmt.Sprintf("%q", n))
			continue
		}
		names = append(names, r.Rotation)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("input requests: no request %s in %s/", strings.Join(unknown, ", "), j.app.Inputs.Config.Requests)
	}
	return names, nil
}

// A survey is how everything stands, and what is to be asked.
type survey struct {
	*job
	mistaken bool
	read     time.Time // when the journal was
	results  []app.Result
	asked    map[string]policy.Asked // by request path
	refused  map[string]error        // by request path: why nobody is asked
	items    map[string][]question.Item
	goes     []string // environments in which something goes on without being asked about
	expired  []int64

	closed    map[string]bool      // environments whose continue environment isn't as it must be: every visit asks
	brought   map[string]int       // pull request by request path, where who asked isn't known
	restarted map[string]time.Time // by attemptOf: a person starts it by this run
}

// again looks at what a person wants started again as the attempt it would be.
func (s *survey) again(ctx context.Context, tasks []app.Task) error {
	names, err := s.named()
	if err != nil || s.input("again") != "true" {
		return err
	}
	if len(names) == 0 {
		return errors.New("input again: name the rotation that is to be started again")
	}
	id, err := s.runID()
	if err != nil {
		return err
	}
	run, err := s.hub.Run(ctx, id)
	if err != nil {
		return err
	}
	s.restarted = map[string]time.Time{}
	tasks = slices.DeleteFunc(slices.Clone(tasks), func(t app.Task) bool { return !slices.Contains(names, t.Rotation) })
	fresh, err := s.app.Look(ctx, tasks, true)
	for _, r := range fresh {
		i := slices.IndexFunc(s.results, func(o app.Result) bool { return same(o, r) })
		// What hasn't begun yet is asked about as ever: to start it again changes nothing. What this run has begun is
		// what it was started for, also when it is run again: that it rolled back is to be seen.
		if i >= 0 && len(s.results[i].Status.Records) > 0 && !s.ours(s.results[i]) && len(r.Status.Records) == 0 && r.Err == nil {
			s.results[i], s.restarted[attemptOf(r)] = r, question.Latest(run.CreatedAt, run.StartedAt)
		}
	}
	return err
}

// ours says whether this run, in whichever attempt, was the last at work on r.
func (s *survey) ours(r app.Result) bool {
	last := r.Status.Records[len(r.Status.Records)-1]
	return strings.HasPrefix(last.Runner.ID, s.runURL()+"/")
}

func attemptOf(r app.Result) string {
	p := r.Status.Plan
	return fmt.Sprintf("%s %s %d", r.Task.Rotation, p.Path(), p.Attempt)
}

func same(a, b app.Result) bool {
	return a.Task.Rotation == b.Task.Rotation && a.Status.Plan.Chain == b.Status.Plan.Chain
}

// soon is how r stands, or will within a job's patience. What waits for the environment before it as well is nobody's
// to answer, whatever opens in the meantime.
func (j *job) soon(r app.Result) plan.Decision {
	d := r.Status.Decision
	if now := j.Clock.Now(); d.State == plan.Deferred && r.Status.Waits == "" && !d.Until.After(now.Add(patience)) {
		return plan.Next(&r.Status.Plan, r.Status.Records, d.Until)
	}
	return d
}

// asks says that people, or a job of the environment, must let r go on; goes that it goes on by itself.
func (s *survey) asks(r app.Result, e *config.Environment) (asks, goes bool) {
	d, begun := s.soon(r), len(r.Status.Records) > 0
	switch {
	case r.Err != nil || r.Status.Busy != nil:
		return false, false
	case s.mistaken && d.Step.Phase != rotation.Rollback:
		return false, false
	case d.Approval != "":
		return true, false
	case !d.Due():
		return false, false
	case begun && !s.closed[e.Name] && (e.ContinueEnvironment != "" || e.Approval != config.ApprovalRequired):
		return false, true
	}
	return true, false
}

// candidates are what is to be asked in an environment, whoever asks.
func (s *survey) candidates(e *config.Environment) (all []candidate) {
	for k := range s.results {
		r := &s.results[k]
		if r.Status.Plan.Environment != e.Name {
			continue
		}
		asks, goes := s.asks(*r, e)
		if goes && !slices.Contains(s.goes, e.Name) {
			s.goes = append(s.goes, e.Name)
		}
		if asks && s.stands(r) {
			c := s.candidate(*r)
			c.result = r
			all = append(all, c)
		}
	}
	return all
}

// stands says whether people may be asked about r at all. What is refused is shown with the reason.
func (s *survey) stands(r *app.Result) bool {
	if r.Task.Request == nil || len(r.Status.Records) > 0 {
		return true
	}
	err := s.refused[r.Task.Request.Path]
	if err != nil {
		hold(r, err)
	}
	return err == nil
}

// hold shows r as waiting, for a reason that the journal doesn't know.
func hold(r *app.Result, err error) {
	d := &r.Status.Decision
	why := err.Error()
	var failure *rotation.Failure
	if errors.As(err, &failure) && failure.Hint != "" {
		why += ": " + failure.Hint
	}
	d.State, d.Why, d.Approval = plan.Waiting, why, ""
}

// A candidate is an item and what decides when it is asked about.
type candidate struct {
	question.Item
	due    question.Due
	result *app.Result
}

func (s *survey) candidate(r app.Result) candidate {
	d, st := s.soon(r), r.Status
	c := candidate{Item: question.Item{Rotation: r.Task.Rotation, Secret: r.Task.Secret, Environment: st.Plan.Environment,
		For: cmp.Or(d.Approval, rotation.ApprovesRotation), Digest: plan.Fingerprint(&st.Plan), Attempt: st.Plan.Attempt}}
	c.due = question.Due{Window: d.Step.Window, Hours: d.Step.Hours, After: question.Latest(s.happened(r)...)}
	if done := recorded(st.Records, d.Step.After); d.Step.After != "" && !done.IsZero() {
		c.due.From = done.Add(time.Duration(d.Step.Delay))
	}
	c.Since, _ = c.due.Since()
	return c
}

// happened is what r became due by: its request merged, the environment before validated, and whatever else is on its
// chain but what people attached. A person who starts it again makes it due by that.
func (s *survey) happened(r app.Result) (times []time.Time) {
	if q := r.Task.Request; q != nil {
		times = append(times, s.asked[q.Path].Origin.MergedAt)
	}
	for _, rec := range r.Status.Chain.Records {
		if rec.Outcome != rotation.Attached {
			times = append(times, rec.At)
		}
	}
	for _, o := range s.results {
		if o.Task.Rotation == r.Task.Rotation && o.Task.Secret == r.Task.Secret && o.Status.Plan.Environment == r.Status.Plan.Needs {
			for _, step := range o.Status.Plan.Steps {
				if step.Phase != rotation.Decommission {
					times = append(times, recorded(o.Status.Records, step.Key))
				}
			}
		}
	}
	return append(times, s.restarted[attemptOf(r)])
}

// recorded is when a step was done; zero: it isn't.
func recorded(records []rotation.Record, step string) (at time.Time) {
	for _, r := range records {
		if r.Step == step && r.Outcome == rotation.Done {
			at = r.At
		}
	}
	return at
}

// ask finds what is to be asked in each environment, and leaves out what another run asks already.
func (s *survey) ask(ctx context.Context) error {
	s.items = map[string][]question.Item{}
	all, oldest := map[string][]candidate{}, s.Clock.Now()
	environments := s.app.Inputs.Config.Environments
	for i := range environments {
		e := &environments[i]
		all[e.Name] = s.candidates(e)
		if len(all[e.Name]) > 0 {
			s.items[e.Name] = nil // not asked yet
		}
		for _, c := range all[e.Name] {
			if c.due.After.Before(oldest) {
				oldest = c.due.After
			}
		}
	}
	runs, self, err := s.runs(ctx, oldest, len(s.items) > 0)
	if err != nil {
		return err
	}
	s.expired = question.Expired(runs, gates(s.app.Inputs.Config), s.Clock.Now())
	people := s.people()
	for i := range environments {
		e := &environments[i]
		guarded := s.guarded(ctx, people, e, all[e.Name])
		s.items[e.Name] = s.open(ctx, people, e, guarded, runs, self)
	}
	return nil
}

// gate is what lets something go on in e that waits for approval. What was claimed as that doesn't go on by itself
// because the house rules ask nobody any more.
func gate(e *config.Environment, approval string) string {
	if approval != "" && e.Approval == config.ApprovalNone {
		return config.ApprovalRequired
	}
	return e.Approval
}

// guarded are the candidates whose GitHub Environment is as it must be.
func (s *survey) guarded(ctx context.Context, people *lookup.Lookup, e *config.Environment, all []candidate) (fine []candidate) {
	said := map[string]bool{}
	for _, c := range all {
		kind := gate(e, s.soon(*c.result).Approval)
		warnings, err := people.Protected(ctx, e.GitHubEnvironment, kind)
		if err == nil {
			fine = append(fine, c)
		} else {
			hold(c.result, err)
		}
		if said[kind] {
			continue
		}
		said[kind] = true
		for _, w := range warnings {
			s.warn(w)
		}
		if err != nil {
			s.fail(err)
		}
	}
	return fine
}

// open are the candidates that this run asks about.
func (s *survey) open(ctx context.Context, people people, e *config.Environment, all []candidate, runs []question.Run, self question.Asker) (items []question.Item) {
	askers := question.Askers(runs, gates(s.app.Inputs.Config), e.Name)
	known := s.Clock.Now().Add(-question.Expiry)
	for _, c := range all {
		if question.Asks(c.due, self, askers, known) {
			if q := c.result.Task.Request; q != nil && len(c.result.Status.Records) == 0 {
				s.origin(ctx, people, q)
			}
			if s.stands(c.result) {
				items = append(items, c.Item)
			}
		} else if run, no := question.Refused(c.due, self, askers); no {
			hold(c.result, rotation.Failf("run the workflow anew (Run workflow) if it should go on after all; else delete the request's file",
				"%s was rejected in run %d", e.GitHubEnvironment, run))
		}
	}
	fit := question.Fit(items)
	if left := len(items) - len(fit); left > 0 {
		s.warn(fmt.Sprintf("%s: one question holds %d of %d rotations; the others are asked about when it has been answered", e.Name, len(fit), len(items)))
	}
	return fit
}

// A part of the outputs: what is asked in an environment.
type asked struct {
	Shards   []string `json:"shards"`
	Question string   `json:"question"`
}

// A place is where something goes on without being asked about.
type place struct {
	Environment string `json:"environment"`
	GitHub      string `json:"github"`
}

// outputs are one line of JSON each; action.yml says what is in them.
func (s *survey) outputs() error {
	var environments strings.Builder // in order, which a map has none of
	goes := []place{}
	for i, e := range s.app.Inputs.Config.Environments {
		a := asked{Shards: []string{}}
		if items := s.items[e.Name]; len(items) > 0 {
			text, err := question.Encode(items)
			if err != nil {
				return err
			}
			a = asked{question.Shards(len(items), 0), text}
		}
		part, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if i > 0 {
			environments.WriteByte(',')
		}
		fmt.Fprintf(&environments, "%q:%s", e.Name, part)
		if slices.Contains(s.goes, e.Name) {
			goes = append(goes, place{e.Name, cmp.Or(e.ContinueEnvironment, e.GitHubEnvironment)})
		}
	}
	if s.expired == nil {
		s.expired = []int64{}
	}
	going, err := json.Marshal(goes)
	if err != nil {
		return err
	}
	expired, err := json.Marshal(s.expired)
	return errors.Join(err, s.output("environments", "{"+environments.String()+"}"), s.output("continue", string(going)), s.output("expired", string(expired)))
}
