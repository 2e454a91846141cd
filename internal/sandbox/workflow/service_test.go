package workflow

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/github"
)

// A bench is an engine on the sandbox's GitHub, served over HTTP. What a step does is said by its script.
type bench struct {
	*Engine
	t     *testing.T
	clock *sandbox.Clock
	hub   *github.Service
	url   string
	do    map[string]Do // by script, or by the command an action is given
	last  Step
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, clock: sandbox.NewClock(start), do: map[string]Do{}}
	b.hub = github.New(b.clock, github.Options{Repository: "acme/shop"})
	for _, login := range []string{"li", "ana"} {
		b.hub.AddUser(login, "write", false)
	}
	b.hub.Commit("main", "li", "first", map[string]string{"README.md": "shop\n"})
	server := httptest.NewServer(b.hub.Handler())
	t.Cleanup(server.Close)
	b.url = server.URL
	b.Engine = New(On(b.hub, b.url), func(ctx context.Context, s Step) (map[string]string, error) {
		b.last = s
		if do := b.do[s.Script+s.With["command"]]; do != nil {
			return do(ctx, s)
		}
		return nil, nil
	}, Options{Clock: b.clock, Repository: "acme/shop", API: b.url})
	return b
}

func (b *bench) add(path, src string) {
	b.t.Helper()
	w, err := Load(path, []byte(src))
	if err != nil {
		b.t.Fatal(err)
	}
	b.Add(w)
}

func (b *bench) push(files ...string) int64 {
	b.t.Helper()
	ids, err := b.Trigger(Event{Name: "push", Ref: "refs/heads/main", Actor: "li", Files: files})
	if err != nil || len(ids) != 1 {
		b.t.Fatal(ids, err)
	}
	b.advance()
	return ids[0]
}

func (b *bench) advance() {
	b.t.Helper()
	if err := b.Advance(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

// shown is what GitHub says of a run: its status and its jobs.
func (b *bench) shown(id int64) string {
	r, _ := b.hub.Run(id)
	all := []string{strings.TrimSpace(r.Status + " " + r.Conclusion)}
	for _, j := range r.Jobs {
		state := j.Conclusion
		if state == "" {
			state = j.Status
		}
		all = append(all, j.Name+"="+state)
	}
	return strings.Join(all, ", ")
}

func (b *bench) want(id int64, want string) {
	b.t.Helper()
	if got := b.shown(id); got != want {
		b.t.Errorf("got %s\nwant %s", got, want)
	}
}

func (b *bench) status(method, path, token string) int {
	b.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = b.url + path
	}
	r, err := http.NewRequestWithContext(context.Background(), method, path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	return a.StatusCode
}

// The token does what the job's permissions say, while the job runs; the OIDC request answers.
func TestOnTheSandboxATokenIsItsJobs(t *testing.T) {
	b := newBench(t)
	b.add(".github/workflows/a.yml", header+`
  a: {runs-on: x, environment: prod, permissions: {contents: read, id-token: write}, steps: [run: look]}
`)
	b.do["look"] = func(_ context.Context, s Step) (map[string]string, error) {
		if got := b.status("GET", s.Env["GITHUB_API_URL"]+"/repos/acme/shop/contents/README.md", s.Token); got != http.StatusOK {
			t.Errorf("contents: %d", got)
		}
		if got := b.status("GET", "/repos/acme/shop/actions/runs", s.Token); got != http.StatusForbidden {
			t.Errorf("actions: %d", got)
		}
		if got := b.status("GET", s.Env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&audience=sts.amazonaws.com", s.Env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]); got != http.StatusOK {
			t.Errorf("OIDC: %d", got)
		}
		return nil, nil
	}
	b.want(b.push(), "completed success, a=success")
	if got := b.status("GET", "/repos/acme/shop/contents/README.md", b.last.Token); got != http.StatusUnauthorized {
		t.Errorf("after the job: %d", got)
	}
}

func TestOnTheSandboxAGateIsAnswered(t *testing.T) {
	b := newBench(t)
	b.hub.SetEnvironment(github.Environment{Name: "prod", Reviewers: []string{"li", "ana"}, PreventSelf: true, Branches: []string{"main"}})
	b.hub.SetEnvironment(github.Environment{Name: "other", Branches: []string{"release/*"}})
	b.add(".github/workflows/a.yml", header+`
  a: {runs-on: x, environment: prod, strategy: {matrix: {s: [1, 2]}}, steps: [run: x]}
  b: {runs-on: x, environment: other, steps: [run: x]}
  c: {runs-on: x, needs: a, steps: [run: x]}
`)
	id := b.push()
	b.want(id, "waiting, a (1)=waiting, a (2)=waiting, b=failure")
	if err := b.hub.Approve(id, "prod", "li", ""); err == nil {
		t.Error("who started it approved it")
	}
	b.advance()
	b.want(id, "waiting, a (1)=waiting, a (2)=waiting, b=failure")
	if err := b.hub.Approve(id, "prod", "ana", ""); err != nil {
		t.Fatal(err)
	}
	b.advance()
	b.want(id, "completed failure, a (1)=success, a (2)=success, b=failure, c=success")
}

// A job with actions: write cancels a run that waits, over the API, as rotate.yml's expire job does.
func TestOnTheSandboxARunIsCancelledOverTheAPI(t *testing.T) {
	b := newBench(t)
	b.hub.SetEnvironment(github.Environment{Name: "prod", Reviewers: []string{"ana"}})
	b.add(".github/workflows/a.yml", "on: {push: {paths: [a]}}\njobs:\n  a: {runs-on: x, environment: prod, steps: [run: x]}\n  b: {runs-on: x, needs: a, if: '!cancelled()', steps: [run: x]}\n")
	b.add(".github/workflows/b.yml", "on: {push: {paths: [b]}}\njobs:\n  a: {runs-on: x, permissions: {actions: write}, steps: [run: cancel]}\n")
	id := b.push("a")
	b.do["cancel"] = func(_ context.Context, s Step) (map[string]string, error) {
		if got := b.status("POST", fmt.Sprintf("/repos/acme/shop/actions/runs/%d/cancel", id), s.Token); got != http.StatusAccepted {
			t.Errorf("cancel: %d", got)
		}
		return nil, nil
	}
	b.want(b.push("b"), "completed success, a=success")
	b.want(id, "completed cancelled, a=cancelled, b=skipped")
	s, _ := b.Run(id)
	if s.Status != completed || s.Conclusion != cancelled {
		t.Errorf("the engine has it as %s %s", s.Status, s.Conclusion)
	}
}

// Our own rotate.yml, with what its action would say in its place: nothing due asks nobody, and what is due goes
// through the environments one after the other.
func TestOnTheSandboxRotateIsPlayed(t *testing.T) {
	src, err := os.ReadFile("../../../.github/workflows/rotate.yml")
	if err != nil {
		t.Fatal(err)
	}
	const none = `{"dev":{"shards":[],"question":""},"stage":{"shards":[],"question":""},"prod":{"shards":[],"question":""}}`
	b := newBench(t)
	for _, e := range []string{"rekey-stage", "rekey-prod"} {
		b.hub.SetEnvironment(github.Environment{Name: e, Reviewers: []string{"ana"}, Branches: []string{"main"}})
	}
	b.add(".github/workflows/rotate.yml", string(src))
	due := map[string]string{}
	var applied []string
	b.do["due"] = func(_ context.Context, s Step) (map[string]string, error) {
		out := map[string]string{"environments": none, "continue": "[]", "expired": "[]"}
		if o := due[s.Job]; o != "" {
			out["environments"] = o
		}
		return out, nil
	}
	b.do["apply"] = func(_ context.Context, s Step) (map[string]string, error) {
		applied = append(applied, s.With["environment"]+" "+s.With["shard"]+" "+s.With["question"]+" in "+s.Environment)
		return nil, nil
	}

	quiet, _ := b.hub.Run(b.push("rotations/2026/11/x.yaml"))
	if quiet.Conclusion != success || len(quiet.Jobs) < 2 || len(applied) > 0 {
		t.Errorf("nothing due: %s, %v", b.shown(quiet.ID), applied)
	}
	for _, j := range quiet.Jobs {
		if (j.Conclusion == skipped) == (j.Name == "plan") {
			t.Errorf("nothing due: %s", b.shown(quiet.ID))
		}
	}

	due["plan"] = strings.Replace(none, `"dev":{"shards":[],"question":""}`, `"dev":{"shards":["1/2","2/2"],"question":"d"}`, 1)
	due["after-dev"] = strings.Replace(none, `"stage":{"shards":[],"question":""}`, `"stage":{"shards":["1/1"],"question":"s"}`, 1)
	due["after-stage"] = strings.Replace(none, `"prod":{"shards":[],"question":""}`, `"prod":{"shards":["1/1"],"question":"p"}`, 1)
	id := b.push("rotations/2026/11/x.yaml")
	for _, e := range []string{"rekey-stage", "rekey-prod"} {
		if err := b.hub.Approve(id, e, "ana", "fine"); err != nil {
			t.Fatal(err, b.shown(id))
		}
		b.advance()
	}
	got := strings.Join(applied, "; ")
	if want := "dev 1/2 d in rekey-dev; dev 2/2 d in rekey-dev; stage 1/1 s in rekey-stage; prod 1/1 p in rekey-prod"; got != want {
		t.Errorf("got %s\nwant %s\n%s", got, want, b.shown(id))
	}
	if r, _ := b.hub.Run(id); r.Conclusion != success {
		t.Error(b.shown(id))
	}
}
