package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/dispatch"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/rotation"
)

// Names of facts, besides those of package dispatch.
const (
	factRepository = "repository" // of preflight
	factRef        = "ref"        // likewise
	factTakes      = "takes"      // likewise: which of Rekey's inputs the workflow has
	factHead       = "head"       // the commit that it ran
	factTry        = "try"        // of back: how many runs were asked for
	factFailed     = "failed"     // of back: the run whose failure was told
	factSince      = "since"      // of back: when it was first visited
)

const (
	// every is the pause between two looks at a run: a job's token has 1,000 calls an hour for all that it does.
	every = time.Minute
	// soon is the pause between two looks for one that may have begun.
	soon = 20 * time.Second
	// appears is how long a process that didn't ask for a run itself waits for it to be listed, before it leaves that to
	// a later one: jobs that start runs do so right before it.
	appears = 2 * time.Minute
	// settled is how long after the last job that could have started it a run may come to light: a job that starts runs
	// acts on what it read up to five minutes ago, its call may take half a minute, and GitHub's list lags.
	settled = 15 * time.Minute
)

type handler struct {
	hub *github.Client
	bot string
	now func() time.Time

	mu    sync.Mutex
	asked map[string]time.Time // by key: when this process began to look for its run; zero: it asked for it itself
}

// A visit is one asking of one step.
type visit struct {
	Shape
	step    rotation.Step
	past    rotation.Past
	forward bool
}

// New makes the handler for one environment.
func New(d consumer.Deps) rotation.Handler {
	h := &handler{hub: d.GitHub, bot: d.Bot, now: d.Now, asked: map[string]time.Time{}}
	return rotation.Handle(visitOf, map[string]func(context.Context, visit) (rotation.Result, error){
		consumer.Preflight: h.preflight, consumer.Deploy: h.deploy, consumer.Adopted: h.adopted, consumer.Back: h.back,
	})
}

func visitOf(s rotation.Step, past rotation.Past) (visit, error) {
	v := visit{step: s, past: past, forward: s.Name == consumer.Deploy}
	err := s.Into(&v.Shape)
	return v, err
}

func (v visit) found(key string) string { return consumer.Found(v.step, v.past, key) }
func (v visit) fact(key string) string  { return v.past.Fact(v.step.Key, key) }

// deployed is the key of the deploy step beside this one.
func (v visit) deployed() string { return consumer.Key(consumer.Deploy, consumer.Named(v.step)) }

func (v visit) version() string {
	if v.forward {
		return "the new version"
	}
	return "the old version"
}

// repository is where the workflow is; ready says what lacks to look there.
func (h *handler) repository(v visit) (*github.Client, *rotation.Result, error) {
	repository := v.found(factRepository)
	if repository == "" {
		return nil, nil, errors.New("the records hold no preflight of the workflow " + v.Workflow)
	}
	if h.hub == nil {
		return nil, &rotation.Result{Wait: "a token of GitHub's, to look at " + v.Workflow + " of " + repository + ": set GITHUB_TOKEN", Again: rotation.Later}, nil
	}
	return h.hub.In(repository), nil, nil
}

func (h *handler) deploy(ctx context.Context, v visit) (rotation.Result, error) {
	hub, lacks, err := h.repository(v)
	if err != nil || lacks != nil {
		return or(lacks), err
	}
	if id := v.fact(dispatch.Run); id != "" {
		return h.watch(ctx, hub, v, id)
	}
	return h.start(ctx, hub, v)
}

func or(r *rotation.Result) rotation.Result {
	if r == nil {
		return rotation.Result{}
	}
	return *r
}

// start asks for a run, or looks for the one that was asked for.
func (h *handler) start(ctx context.Context, hub *github.Client, v visit) (rotation.Result, error) {
	a, ok, err := dispatch.Of(v.step, v.past)
	if err != nil {
		return rotation.Result{}, err
	}
	if !ok {
		return h.intend(v, 1)
	}
	r, wrong, err := h.look(ctx, hub, v, a)
	switch {
	case err != nil:
		return rotation.Result{}, err
	case r != nil:
		return rotation.Result{Facts: map[string]string{dispatch.Run: strconv.FormatInt(r.ID, 10), dispatch.URL: r.URL}, Wait: "the run " + r.URL + " to be on record"}, nil
	}
	res := rotation.Result{Wait: fmt.Sprintf("%s of %s to be started with %s (%s), which the jobs plan and after-… do%s", a.Workflow, a.Repository, v.version(), a.Key(), wrong), Again: rotation.Later}
	if h.patient(a.Key()) {
		res.Again = soon
	}
	return res, nil
}

// look finds the run that answers a; wrong tells of those that only look so.
func (h *handler) look(ctx context.Context, hub *github.Client, v visit, a dispatch.Ask) (r *github.Run, wrong string, err error) {
	runs, err := hub.Dispatched(ctx, a.Workflow, a.At.Add(-dispatch.Skew))
	if err != nil {
		return nil, "", err
	}
	claim, _ := v.past.Claim()
	r, foreign := dispatch.Find(a, runs, h.bot, claim.Actors.Operator)
	for _, f := range foreign {
		wrong += fmt.Sprintf("; the run %s has its key, but @%s started it, at %s: it doesn't count", f.URL, f.Actor.Login, f.Branch)
	}
	return r, wrong, nil
}

// intend puts on record that a run is wanted.
func (h *handler) intend(v visit, try int) (rotation.Result, error) {
	claim, _ := v.past.Claim()
	version := v.past.Fact("preflight", "old")
	if v.forward {
		version = v.past.Fact("create", "new")
	}
	if version == "" {
		return rotation.Result{}, fmt.Errorf("the records name no version for %s", v.Workflow)
	}
	token := v.past.Token(v.step.Key, "run "+strconv.Itoa(try))
	if token == "" {
		return rotation.Result{}, fmt.Errorf("the claim has no step %s", v.step.Key)
	}
	all := map[string]string{dispatch.KeyInput: "rekey-" + token[:20], inputSecret: claim.Plan.Secret, inputVersion: version, inputEnvironment: claim.Plan.Environment}
	inputs := map[string]string{}
	for _, name := range strings.Fields(v.found(factTakes)) {
		inputs[name] = all[name]
	}
	for name, value := range v.Inputs {
		inputs[name] = value
	}
	a := dispatch.Ask{Repository: v.found(factRepository), Workflow: v.Workflow, Ref: v.found(factRef), Inputs: inputs, At: h.now().UTC().Truncate(time.Second)}
	h.mu.Lock()
	h.asked[a.Key()] = time.Time{}
	h.mu.Unlock()
	facts := map[string]string{dispatch.Fact: a.Text()}
	if !v.forward {
		facts[dispatch.Run], facts[dispatch.URL], facts[factTry] = "", "", strconv.Itoa(try)
	}
	return rotation.Result{Facts: facts, Wait: fmt.Sprintf("it to be on record that %s of %s is to be started with %s", a.Workflow, a.Repository, v.version())}, nil
}

// patient says whether this process looks again for a run that isn't listed: not where it asked for it itself, since
// nobody can have started that yet.
func (h *handler) patient(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	since, known := h.asked[key]
	if !known {
		since = h.now()
		h.asked[key] = since
	}
	return !since.IsZero() && h.now().Sub(since) < appears
}

// watch follows the step's run to its end.
func (h *handler) watch(ctx context.Context, hub *github.Client, v visit, id string) (rotation.Result, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return rotation.Result{}, fmt.Errorf("the record of %s: %w", v.step.Key, err)
	}
	r, err := hub.Run(ctx, n)
	if errors.Is(err, github.ErrNotFound) {
		return rotation.Result{}, rotation.Failf("see who deleted it, and whether it had deployed", "the run %s of %s is gone: how it ended can't be seen", v.fact(dispatch.URL), v.Workflow)
	}
	if err != nil {
		return rotation.Result{}, err
	}
	if r.Status != "completed" {
		return going(r, v.Workflow, v.version()), nil
	}
	if r.Conclusion != "success" {
		hint := "see its log; once it is mended, start the rotation again"
		if !v.forward {
			hint = "see its log; the next visit starts another"
		}
		return rotation.Result{}, rotation.Failf(hint, "%s with %s did not succeed (%s): %s", v.Workflow, v.version(), ended(r), r.URL)
	}
	return rotation.Result{Facts: map[string]string{factHead: r.SHA},
		Text: fmt.Sprintf("%s ended in success with %s, at commit %.12s: %s", v.Workflow, v.version(), r.SHA, r.URL)}, nil
}

func ended(r github.Run) string { return strings.ReplaceAll(r.Conclusion, "_", " ") }

// going is a run that hasn't ended. One that people have to let go on isn't waited for by a runner.
func going(r github.Run, workflow, version string) rotation.Result {
	if r.Status == "waiting" || r.Status == "action_required" {
		return rotation.Result{Wait: fmt.Sprintf("somebody to approve the run of %s with %s: %s", workflow, version, r.URL), Again: rotation.Later}
	}
	return rotation.Result{Wait: fmt.Sprintf("the run of %s with %s to end, which is %s: %s", workflow, version, strings.ReplaceAll(r.Status, "_", " "), r.URL), Again: every}
}

// adopted waits while the run that deployed the new version isn't a success any more: somebody runs it again. What runs
// now is nothing that a workflow tells.
func (h *handler) adopted(ctx context.Context, v visit) (rotation.Result, error) {
	hub, lacks, err := h.repository(v)
	if err != nil || lacks != nil {
		return or(lacks), err
	}
	id, url := v.past.Fact(v.deployed(), dispatch.Run), v.past.Fact(v.deployed(), dispatch.URL)
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return rotation.Result{}, fmt.Errorf("the records name no run of %s", v.Workflow)
	}
	const unseen = "whether what it deployed is all that runs isn't seen from here"
	r, err := hub.Run(ctx, n)
	switch {
	case errors.Is(err, github.ErrNotFound):
		return rotation.Result{Text: fmt.Sprintf("the run of %s with the new version had ended in success, and is deleted by now (%s); %s", v.Workflow, url, unseen)}, nil
	case err != nil:
		return rotation.Result{}, err
	case r.Status != "completed":
		return rotation.Result{Wait: fmt.Sprintf("the run of %s with the new version to end: somebody started it once more (%s)", v.Workflow, r.URL), Again: rotation.Later}, nil
	case r.Conclusion != "success":
		return rotation.Result{Wait: fmt.Sprintf("a success of the run of %s with the new version: somebody started it once more, and it did not succeed (%s, %s)", v.Workflow, ended(r), r.URL), Again: rotation.Later}, nil
	}
	return rotation.Result{Text: fmt.Sprintf("the run of %s with the new version ended in success: %s; %s", v.Workflow, r.URL, unseen)}, nil
}

// back starts the workflow with the old version, after that is the live one again. A run with the new version must be
// over by then, or it could deploy that afterwards.
func (h *handler) back(ctx context.Context, v visit) (rotation.Result, error) {
	if v.past.Fact(v.deployed(), dispatch.Fact) == "" { // it is on record before anybody can start one
		return rotation.Result{Text: "no run of " + v.Workflow + " was asked for: there is nothing to take back"}, nil
	}
	hub, lacks, err := h.repository(v)
	if err != nil || lacks != nil {
		return or(lacks), err
	}
	switch id := v.fact(dispatch.Run); {
	case id != "" && v.fact(factFailed) == id:
		return h.again(v)
	case id != "":
		res, err := h.watch(ctx, hub, v, id)
		var failure *rotation.Failure
		if errors.As(err, &failure) { // told once, then tried anew
			res.Facts = map[string]string{factFailed: id}
		}
		return res, err
	case v.fact(dispatch.Fact) != "":
		return h.start(ctx, hub, v)
	}
	wait, err := h.forwardOver(ctx, hub, v)
	if err != nil || wait != nil {
		return or(wait), err
	}
	return h.intend(v, 1)
}

func (h *handler) again(v visit) (rotation.Result, error) {
	try, err := strconv.Atoi(v.fact(factTry))
	if err != nil {
		return rotation.Result{}, fmt.Errorf("the record of %s: %w", v.step.Key, err)
	}
	return h.intend(v, try+1)
}

// forwardOver is what a run with the new version still has to come to; nil: it is over, or can't begin any more.
func (h *handler) forwardOver(ctx context.Context, hub *github.Client, v visit) (*rotation.Result, error) {
	a, err := dispatch.Parse(v.past.Fact(v.deployed(), dispatch.Fact))
	if err != nil {
		return nil, err
	}
	since := v.fact(factSince)
	if since == "" {
		since = h.now().UTC().Format(time.RFC3339)
		return &rotation.Result{Facts: map[string]string{factSince: since}, Wait: "it to be on record since when " + v.Workflow + " goes back"}, nil
	}
	at, err := time.Parse(time.RFC3339, since)
	if err != nil {
		return nil, fmt.Errorf("the record of %s: %w", v.step.Key, err)
	}
	runs, err := hub.Dispatched(ctx, a.Workflow, a.At.Add(-dispatch.Skew))
	if err != nil {
		return nil, err
	}
	claim, _ := v.past.Claim()
	r, _ := dispatch.Find(a, runs, h.bot, claim.Actors.Operator)
	if r == nil {
		if left := settled - h.now().Sub(at); left > 0 {
			return &rotation.Result{Wait: "a run of " + v.Workflow + " with the new version that may have been started to come to light", Again: min(left, time.Minute)}, nil
		}
		return nil, nil
	}
	// Another one with the same key may have begun after the first: all must be over.
	for i := range runs {
		if one, _ := dispatch.Find(a, slices.Clone(runs[i:i+1]), h.bot, claim.Actors.Operator); one != nil && one.Status != "completed" {
			wait := going(*one, v.Workflow, "the new version")
			wait.Wait += " (or cancel it: the old version is the live one again)"
			return &wait, nil
		}
	}
	return nil, nil
}
