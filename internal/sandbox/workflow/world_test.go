package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is a Hub and a Do that write down what they are told. Scripts are lines of a small language of their own:
// set K=V (an output), fail, lost; anything else is nothing.
type world struct {
	*Engine
	t         *testing.T
	now       time.Time
	reviewers map[string]bool     // environments that ask
	branches  map[string][]string // that may deploy
	history   []string
	said      map[int64]*Said
	ended     map[int64]string
	steps     []Step
	grants    []Grant
	hooks     map[string]func(context.Context) // by script line
	last      int64
}

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, o Options, files ...string) *world {
	t.Helper()
	w := &world{
		t: t, now: start, reviewers: map[string]bool{}, branches: map[string][]string{}, said: map[int64]*Said{}, ended: map[int64]string{},
		hooks: map[string]func(context.Context){},
	}
	o.Clock = w
	if o.Repository == "" {
		o.Repository = "acme/shop"
	}
	w.Engine = New(w, w.do, o)
	for i, f := range files {
		flow, err := Load(fmt.Sprintf(".github/workflows/%c.yml", 'a'+i), []byte(f))
		if err != nil {
			t.Fatal(err)
		}
		w.Add(flow)
	}
	return w
}

func (w *world) Now() time.Time { return w.now }

func (w *world) note(format string, args ...any) {
	w.history = append(w.history, fmt.Sprintf(format, args...))
}

func (w *world) StartRun(workflow, event, branch, sha, actor string) int64 {
	w.last++
	w.said[w.last] = &Said{}
	w.note("run %d %s %s %s", w.last, workflow, event, branch)
	return w.last
}

func (w *world) RerunBy(run int64, actor string) {
	w.said[run].Cancelled = false
	w.note("rerun %d by %s", run, actor)
}

func (w *world) SetJob(run int64, name, status, conclusion string) {
	w.note("%s", strings.TrimSpace(fmt.Sprintf("%d %s: %s %s", run, name, status, conclusion)))
}

func (w *world) EndRun(run int64, conclusion string) {
	w.ended[run] = conclusion
	w.said[run].Waiting = nil
	w.note("end %d %s", run, conclusion)
}

func (w *world) MayDeploy(environment, branch string) bool {
	return w.branches[environment] == nil || slices.Contains(w.branches[environment], branch)
}

func (w *world) WaitFor(run int64, environment string) bool {
	if w.reviewers[environment] && !slices.Contains(w.said[run].Waiting, environment) {
		w.said[run].Waiting = append(w.said[run].Waiting, environment)
		w.note("%d asks %s", run, environment)
	}
	return w.reviewers[environment]
}

func (w *world) Said(run int64) Said {
	s := *w.said[run]
	s.Waiting = slices.Clone(s.Waiting)
	return s
}

func (w *world) Credentials(g Grant) Credentials {
	w.grants = append(w.grants, g)
	return Credentials{Token: fmt.Sprintf("token-%d", len(w.grants)), IDTokenURL: "https://oidc", IDTokenRequests: "bearer"}
}

func (w *world) DropToken(token string) { w.note("drop %s", token) }

func (w *world) review(run int64, environment string, rejected bool) {
	w.t.Helper()
	s := w.said[run]
	i := slices.Index(s.Waiting, environment)
	if i < 0 {
		w.t.Fatalf("run %d doesn't wait for %s", run, environment)
	}
	s.Waiting = slices.Delete(s.Waiting, i, i+1)
	s.Reviews = append(s.Reviews, Review{environment, rejected})
}

func (w *world) do(ctx context.Context, s Step) (map[string]string, error) {
	w.steps = append(w.steps, s)
	w.note("do %d %s: %s", s.Run, s.JobName, s.Name)
	out := map[string]string{}
	var err error
	for line := range strings.Lines(s.Script) {
		line = strings.TrimSpace(line)
		if k, v, ok := strings.Cut(strings.TrimPrefix(line, "set "), "="); ok {
			out[k] = v
		}
		switch {
		case line == "fail":
			err = errors.New("exit status 1")
		case line == "lost":
			err = ErrRunnerLost
		case w.hooks[line] != nil:
			w.hooks[line](ctx)
		}
	}
	return out, err
}

func (w *world) trigger(e Event) int64 {
	w.t.Helper()
	ids, err := w.Trigger(e)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(ids) != 1 {
		w.t.Fatalf("started %d runs, want one", len(ids))
	}
	w.advance()
	return ids[0]
}

func (w *world) advance() {
	w.t.Helper()
	if err := w.Advance(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

var push = Event{Name: "push", Ref: "refs/heads/main", SHA: "c0ffee", Actor: "li"}

// results are "name=result" of a run's jobs, in the file's order; the status stands for a result that isn't there.
func (w *world) results(run int64) string {
	s, _ := w.Run(run)
	var all []string
	for _, j := range s.Jobs {
		r := j.Result
		if r == "" {
			r = j.Status
		}
		all = append(all, j.Name+"="+r)
	}
	return strings.Join(all, " ")
}

func (w *world) done() string {
	var all []string
	for _, s := range w.steps {
		all = append(all, s.JobName+"/"+s.Name)
	}
	return strings.Join(all, " ")
}

func (w *world) want(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s:\n got %s\nwant %s\n%s", what, got, want, strings.Join(w.history, "\n"))
	}
}

func names(m map[string]string) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, k+"="+m[k])
	}
	return strings.Join(all, " ")
}
