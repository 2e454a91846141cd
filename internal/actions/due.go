package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/notice/incident"
	"github.com/rastup/rekey/internal/notice/scan"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/question"
	"github.com/rastup/rekey/internal/report"
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
	s.desk, s.deskless = j.newDesk()
	if s.results, err = j.app.Look(ctx, tasks, false); err != nil {
		return err
	}
	if err := errors.Join(s.again(ctx, tasks), s.rollback(ctx)); err != nil {
		return err
	}
	s.looked(ctx)
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

// looked says when the daily look has stopped: GitHub ends schedules of repositories in which nothing happens, and nobody
// else here would notice. One job of a run asks.
func (s *survey) looked(ctx context.Context) {
	if s.app.Inputs.Config.Overdue.Requests == nil || strings.HasPrefix(s.Getenv("GITHUB_JOB"), "after-") {
		return
	}
	last, err := scan.Looked(ctx, s.hub)
	switch ago := s.Clock.Now().Sub(last); {
	case err != nil:
		s.warn("when the daily look was there last can't be told: " + s.app.Scrub(err.Error()))
	case !last.IsZero() && ago > late:
		text := fmt.Sprintf("the daily look for what is due was there last on %s, %s ago: see whether GitHub has stopped the schedule of rotation-overdue.yml, and run it",
			last.UTC().Format("2006-01-02 15:04 UTC"), report.Span(ago.Truncate(time.Hour)))
		s.warn(text)
		s.summary("⚠️ " + strings.ToUpper(text[:1]) + text[1:] + ".")
	}
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

// named are the requests that a person named when starting the run; nil: all. With an error, those that are there.
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
		return names, fmt.Errorf("input requests: no request %s in %s/", strings.Join(unknown, ", "), j.app.Inputs.Config.Requests)
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

	projector  *incident.Projector
	unreviewed *after      // nil: not looked at
	waited     []app.Shown // what ordinary rotations wait for the after-review of

	closed    map[string]bool      // environments whose continue environment isn't as it must be: every visit asks
	brought   map[string]int       // pull request by request path, where who asked isn't known
	restarted map[string]time.Time // by attemptOf: a person starts it by this run, or wants it back
	back      map[string]bool      // likewise: they want it back

	desk     *desk // nil: the house rules name none
	deskless error // why nobody can be asked there
}

// again looks at what a person wants started again as the attempt it would be.
func (s *survey) again(ctx context.Context, tasks []app.Task) error {
	if s.input("rollback") != "" { // of what may have no file any more
		return nil
	}
	names, err := s.named()
	if err != nil && strings.HasPrefix(s.Getenv("GITHUB_JOB"), "after-") { // plan knew it: it was deleted since
		s.warn(err.Error())
		if err = nil; len(names) == 0 {
			return nil
		}
	}
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
	alone := begun && !s.closed[e.Name] && (e.ContinueEnvironment != "" || e.Approval != config.ApprovalRequired)
	switch {
	case s.back[attemptOf(r)]: // also where somebody is at work on it: then the job says so
		return !alone, alone
	case r.Err != nil || r.Status.Busy != nil:
		return false, false
	case s.mistaken && d.Step.Phase != rotation.Rollback:
		return false, false
	case d.Approval != "":
		return true, false
	case !d.Due():
		return false, false
	}
	return !alone, alone
}
