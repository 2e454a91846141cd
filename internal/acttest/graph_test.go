package acttest

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// notes stands for the program: it notes its environment, says what the test wants the job to say, and fails where
// the test wants it to.
const notes = `#!/usr/bin/env bash
set -euo pipefail
env -0 >"$BENCH/calls/$(date +%s%N)-$GITHUB_JOB-${REKEY_SHARD/\//of}"
said="$BENCH/said/$GITHUB_JOB"
[ ! -f "$said" ] || cat "$said" >>"$GITHUB_OUTPUT"
[ ! -f "$BENCH/fails/$GITHUB_JOB-${REKEY_SHARD%%/*}" ]
`

// A due is what plan or an after-* says: what to ask in each environment, as "shards question".
type due struct {
	Dev, Stage, Prod  string
	Continue, Expired string
}

func (d due) String() string {
	env := func(s string) string {
		shards, question, _ := strings.Cut(s, " ")
		if shards != "" {
			shards = `"` + strings.ReplaceAll(shards, ",", `","`) + `"`
		}
		return `{"shards":[` + shards + `],"question":"` + question + `"}`
	}
	list := func(s string) string { return "[" + s + "]" }
	return `environments={"dev":` + env(d.Dev) + `,"stage":` + env(d.Stage) + `,"prod":` + env(d.Prod) + "}\n" +
		"continue=" + list(d.Continue) + "\nexpired=" + list(d.Expired) + "\n"
}

const later = `{"environment":"prod","github":"rekey-prod-continue"}`

// What each job says decides which jobs there are, and what they are asked to do.
func TestJobsOfRotate(t *testing.T) {
	for _, c := range []struct {
		name  string
		says  map[string]due
		fails []string
		calls string // in any order
		jobs  string
		bad   bool
	}{
		{name: "nothing is due", says: map[string]due{"plan": {}}, calls: "plan: due", jobs: "plan"},
		{name: "one after the other, each asked by the one before",
			says:  map[string]due{"plan": {Dev: "1/2,2/2 D0"}, "after-dev": {Stage: "1/1 S1"}, "after-stage": {Prod: "1/1 P2"}, "after-prod": {}},
			calls: "after-dev: due|after-prod: due|after-stage: due|dev: apply environment=dev shard=1/2 question=D0|dev: apply environment=dev shard=2/2 question=D0|plan: due|prod: apply environment=prod shard=1/1 question=P2|stage: apply environment=stage shard=1/1 question=S1",
			jobs:  "after-dev after-prod after-stage dev plan prod stage"},
		{name: "prod alone is plan's question", says: map[string]due{"plan": {Prod: "1/1 P0"}},
			calls: "after-prod: due|plan: due|prod: apply environment=prod shard=1/1 question=P0", jobs: "after-prod plan prod"},
		{name: "the latest answer wins", says: map[string]due{"plan": {Dev: "1/1 D0", Stage: "1/1 S0", Prod: "1/1 P0"}, "after-dev": {Prod: "1/2,2/2 P1"}},
			calls: "after-dev: due|after-prod: due|dev: apply environment=dev shard=1/1 question=D0|plan: due|prod: apply environment=prod shard=1/2 question=P1|prod: apply environment=prod shard=2/2 question=P1",
			jobs:  "after-dev after-prod dev plan prod"},
		{name: "an answer that there is nothing wins, too", says: map[string]due{"plan": {Dev: "1/1 D0", Stage: "1/1 S0", Prod: "1/1 P0"}, "after-dev": {}},
			calls: "after-dev: due|dev: apply environment=dev shard=1/1 question=D0|plan: due", jobs: "after-dev dev plan"},
		{name: "what an approval covers goes on at once", says: map[string]due{"plan": {Continue: later + `,{"environment":"dev","github":"rekey-dev-continue"}`}},
			calls: "after-prod: due|continue: apply environment=dev|continue: apply environment=prod|plan: due", jobs: "after-prod continue plan"},
		{name: "a shard that fails stops neither the other nor what comes next", fails: []string{"dev-1"}, bad: true,
			says:  map[string]due{"plan": {Dev: "1/2,2/2 D0"}, "after-dev": {Stage: "1/1 S1"}, "after-stage": {}},
			calls: "after-dev: due|after-stage: due|dev: apply environment=dev shard=1/2 question=D0|dev: apply environment=dev shard=2/2 question=D0|plan: due|stage: apply environment=stage shard=1/1 question=S1",
			jobs:  "after-dev after-stage dev! plan stage"},
		{name: "what continues and fails is shown", fails: []string{"continue-"}, bad: true, says: map[string]due{"plan": {Continue: later}},
			calls: "after-prod: due|continue: apply environment=prod|plan: due", jobs: "after-prod continue! plan"},
		{name: "nothing follows a plan that failed", fails: []string{"plan-"}, bad: true, says: map[string]due{"plan": {Dev: "1/1 D0", Prod: "1/1 P0", Continue: later, Expired: "7"}},
			calls: "plan: due", jobs: "plan!"},
		{name: "nobody is asked when it is unknown what dev did", fails: []string{"after-dev-"}, bad: true,
			says:  map[string]due{"plan": {Dev: "1/1 D0", Stage: "1/1 S0", Prod: "1/1 P0"}},
			calls: "after-dev: due|dev: apply environment=dev shard=1/1 question=D0|plan: due", jobs: "after-dev! dev plan"},
		{name: "nor what stage did", fails: []string{"after-stage-"}, bad: true, says: map[string]due{"plan": {Stage: "1/1 S0", Prod: "1/1 P0"}},
			calls: "after-stage: due|plan: due|stage: apply environment=stage shard=1/1 question=S0", jobs: "after-stage! plan stage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, notes)
			for job, d := range c.says {
				b.write("said/"+job, d.String())
			}
			for _, job := range c.fails {
				b.write("fails/"+job, "")
			}
			got := b.play(rotate, "schedule", "schedule")
			expect(t, got, c.calls, c.jobs, !c.bad)
		})
	}
}

// expect holds a run against its calls and its jobs; a job that failed has an exclamation mark.
func expect(t *testing.T, got *run, calls, jobs string, ok bool) {
	t.Helper()
	var called, ended []string
	for _, c := range got.Calls {
		called = append(called, c.String())
		for name := range c {
			if strings.HasPrefix(name, "INPUT_") {
				t.Errorf("%s: the program is given %s", c, name)
			}
		}
	}
	slices.Sort(called)
	for _, id := range slices.Sorted(maps.Keys(got.Jobs)) {
		if slices.ContainsFunc(got.Jobs[id], func(s string) bool { return s == "failure" }) {
			id += "!"
		}
		ended = append(ended, id)
	}
	if c, j := strings.Join(called, "|"), strings.Join(ended, " "); c != calls || j != jobs || got.OK != ok {
		t.Errorf("ended well: %v\n got %s\nwant %s\n got %s\nwant %s\n%s", got.OK, c, calls, j, jobs, got.Log)
	}
}

// An output that a mask has emptied is no answer: the run fails, and doesn't pass for one in which nothing was due.
func TestAnEmptiedOutputFailsTheRun(t *testing.T) {
	for _, name := range []string{"environments", "continue", "expired"} {
		b := newBench(t, notes)
		text := ""
		for line := range strings.Lines(due{}.String()) {
			if !strings.HasPrefix(line, name+"=") {
				text += line
			}
		}
		b.write("said/plan", text+name+"=\n")
		if got := b.play(rotate, "schedule", "schedule"); got.OK {
			t.Errorf("%s: the run ends well\n%s", name, got.Log)
		}
	}
}

func TestEventsOfRotate(t *testing.T) {
	b := newBench(t, notes)
	b.write("said/plan", due{Dev: "1/1 D0"}.String())
	b.write("said/after-dev", due{}.String())
	const all = "after-dev: due|dev: apply environment=dev shard=1/1 question=D0|plan: due"
	expect(t, b.play(rotate, "push", "push"), all, "after-dev dev plan", true)
	const asked = " requests=2026-11-23-app-database again=true"
	expect(t, b.play(rotate, "workflow_dispatch", "workflow_dispatch"),
		"after-dev: due"+asked+"|dev: apply environment=dev shard=1/1 question=D0"+asked+"|plan: due"+asked, "after-dev dev plan", true)
	b.Vars["REKEY"] = "off"
	expect(t, b.play(rotate, "push", "push"), "", "", true)
}

func TestRotateRunsOnItsBranchOnly(t *testing.T) {
	b := newBench(t, notes)
	b.write("said/plan", due{}.String())
	b.git("checkout", "-q", "-b", "mine")
	expect(t, b.play(rotate, "workflow_dispatch", "workflow_dispatch_mine"), "", "", true)
}

// The daily look is followed by the dates, whatever became of it, as the App where there is one; and where its token can't
// be made nobody writes as another.
func TestTheDailyLook(t *testing.T) {
	const both = "overdue: dates|overdue: overdue"
	for _, c := range []struct {
		name       string
		vars       map[string]string
		key        string
		fails, bad bool
		calls, bot string
	}{
		{name: "without an App", calls: both, bot: "github-actions[bot]"},
		{name: "with an App", vars: map[string]string{"REKEY_APP_CLIENT_ID": "Iv23"}, key: "right", calls: both, bot: "shop-bot[bot]"},
		{name: "the App's key is wrong", vars: map[string]string{"REKEY_APP_CLIENT_ID": "Iv23"}, key: "wrong", bad: true},
		{name: "the look fails", fails: true, bad: true, calls: both, bot: "github-actions[bot]"},
		{name: "the brake", vars: map[string]string{"REKEY": "off"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, notes)
			b.Vars = c.vars
			if c.key != "" {
				b.more = []string{"--secret", "REKEY_APP_KEY=" + c.key}
			}
			if c.fails {
				b.write("fails/overdue-", "")
			}
			r := b.play(daily, "schedule", "schedule")
			var calls []string
			for _, call := range r.Calls {
				calls = append(calls, call.String())
				if call["REKEY_BOT"] != c.bot || (call["REKEY_TOKEN"] == "of-the-app") != (c.key != "") {
					t.Errorf("%s writes as %s with %q", call, call["REKEY_BOT"], call["REKEY_TOKEN"])
				}
			}
			slices.Sort(calls)
			if got := strings.Join(calls, "|"); got != c.calls || r.OK == c.bad {
				t.Errorf("calls %q, want %q; it ended well: %v\n%s", got, c.calls, r.OK, r.Log)
			}
		})
	}
}

// What has expired is cancelled by a job that has no code but its own.
func TestExpiredRunsAreCancelled(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	b := newBench(t, notes)
	b.Env["GITHUB_API_URL"] = s.URL
	b.more = []string{"-s", "GITHUB_TOKEN=ghs_test"}
	b.write("said/plan", due{Expired: "7,8123456789012"}.String())
	got := b.play(rotate, "schedule", "schedule")
	expect(t, got, "plan: due", "expire plan", true)
	want := []string{"POST /repos/rastup/rekey/actions/runs/7/cancel Bearer ghs_test", "POST /repos/rastup/rekey/actions/runs/8123456789012/cancel Bearer ghs_test"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q\n%s", asked, got.Log)
	}
	if got.Calls[0]["REKEY_TOKEN"] != "ghs_test" || got.Calls[0]["GITHUB_API_URL"] != s.URL {
		t.Errorf("plan was given %q", got.Calls[0])
	}
}

func TestPullRequests(t *testing.T) {
	b := newBench(t, notes)
	for payload, event := range map[string]string{"pull_request": "pull_request", "pull_request_fork": "pull_request", "merge_group": "merge_group"} {
		got := b.play(planning, event, payload)
		expect(t, got, "plan: plan", "plan", true)
		if len(got.Calls) == 1 && got.Calls[0]["GITHUB_EVENT_NAME"] != event {
			t.Errorf("%s: event %q", payload, got.Calls[0]["GITHUB_EVENT_NAME"])
		}
	}
}

// act's own reading of the workflow syntax, beside actionlint's.
func TestWorkflowsAreAccepted(t *testing.T) {
	b := newBench(t, notes)
	for _, name := range []string{rotate, planning, daily, ".github/workflows/ci.yml"} {
		cmd := exec.Command(b.act, "--validate", "--strict", "-W", name)
		cmd.Dir, cmd.Env = filepath.Join(b.dir, "repository"), []string{"HOME=" + b.dir}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	b.write("repository/"+rotate, "name: x\non: push\njobs: {a: {needs: [b], runs-on: x, steps: [{run: x, uses: y}]}}\n")
	cmd := exec.Command(b.act, "--validate", "--strict", "-W", rotate)
	cmd.Dir, cmd.Env = filepath.Join(b.dir, "repository"), []string{"HOME=" + b.dir}
	if cmd.Run() == nil {
		t.Error("a broken workflow is accepted: the check can't fail")
	}
}
