package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

// GitHub's runner ends the entry process of a step like this (github.com/actions/runner, src/Runner.Sdk/ProcessInvoker.cs).
const (
	untilTerm = 7500 * time.Millisecond
	untilKill = 2500 * time.Millisecond // after that
)

// A wire numbers the calls of one process from 1, to whatever service, and trips at one of them.
type wire struct {
	mu      sync.Mutex
	on      bool
	names   []string
	at      int
	how     string // see tripped
	arrived chan struct{}
	gone    chan struct{} // closed once the caller is gone
}

// tripped is what happens to the call at which a wire trips.
var tripped = []string{"is answered", "isn't answered, and had its effect", "isn't answered, and has no effect"}

func (w *wire) wrap(name string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		w.mu.Lock()
		trips := false
		if w.on {
			op := in.Method + " " + in.URL.Path
			if t := in.Header.Get("X-Amz-Target"); t != "" {
				op = t
			}
			w.names = append(w.names, name+" "+op)
			trips = len(w.names) == w.at
		}
		w.mu.Unlock()
		switch {
		case !trips:
			h.ServeHTTP(out, in)
		case w.how == tripped[0]:
			close(w.arrived)
			h.ServeHTTP(out, in)
		default:
			if w.how == tripped[1] {
				h.ServeHTTP(httptest.NewRecorder(), in)
			}
			close(w.arrived)
			<-w.gone
			panic(http.ErrAbortHandler) // net/http's way to cut a connection
		}
	})
}

func (w *wire) calls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.names...)
}

func (w *wire) listen(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = on
}

// A stop is how a process took the runner's signals.
type stop struct {
	took   time.Duration
	signal string // the last one it was sent
}

// cancelled sends the runner's signals, until the process is gone.
func cancelled(cmd *exec.Cmd, ended <-chan struct{}) (s stop) {
	begin := time.Now()
	for _, next := range []struct {
		signal syscall.Signal
		until  time.Duration
	}{{syscall.SIGINT, untilTerm}, {syscall.SIGTERM, untilKill}, {syscall.SIGKILL, time.Minute}} {
		s.signal = next.signal.String()
		_ = cmd.Process.Signal(next.signal) // that it has ended is seen below
		limit := time.NewTimer(next.until)
		select {
		case <-ended:
			limit.Stop()
			s.took = time.Since(begin)
			return s
		case <-limit.C:
		}
	}
	return s
}

// A passage is one way through a rotation that is cancelled everywhere.
type passage struct {
	name, checks, request string
	fails                 bool
	state                 string
	late                  string // a call that may outlive the runner's patience, see the test
}

var passages = []passage{
	{"rotated and decommissioned", "  checks:\n    - http: {url: \"ENDPOINT/dev/health\", within: 5s, every: 1s}\n      name: health\n", atOnce, false, "finished",
		"PUT /rekey-evidence/journal/dev/app~database/000008.json"},
	{"validation fails and is taken back", "  checks:\n    - http: {url: \"ENDPOINT/dev/health\", within: 2s, every: 1s}\n      name: health\n", slowly, true, "rolled back", ""},
}

func (p passage) company(t *testing.T, w *wire) *company {
	c := found(t, p.checks, nil, w.wrap)
	if p.fails {
		c.App.Accept("dev", c.AWS.Secret(c.Scenario.Secrets["dev"]).Labels["AWSCURRENT"])
	}
	c.request(strings.Replace(p.request, "SEC-7", `"#1"`, 1))
	return c
}

// TestACancelledJobStopsAtASafePoint cancels an environment's job, as GitHub's runner does, at each of its calls; then
// the workflow runs again, six minutes later, which is within the lease of a runner that has just died.
//
// The record that a final step begins, where nobody answers, is waited for until the runner kills the process: its lease
// then has to run out. What rolled back is copied to the log group again when it is closed, once nobody can start it again.
func TestACancelledJobStopsAtASafePoint(t *testing.T) {
	for _, p := range passages {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			w := &wire{}
			c := p.company(t, w)
			c.started = func(workflow.Step, *exec.Cmd) { w.listen(true) }
			c.ok(c.Schedule(t.Context()))
			w.listen(false)
			want, calls := p.end(c), w.calls()
			if want.State != p.state || len(calls) < 20 {
				t.Fatalf("undisturbed it ends as %+v after %d calls\n%s", want, len(calls), c.story())
			}
			n := 0
			for i, name := range calls {
				for k, how := range tripped {
					if !full() && (i*len(tripped)+k)%max(1, len(calls)*len(tripped)/14) != 0 {
						continue
					}
					n++
					t.Run(fmt.Sprintf("call %d %s %s", i+1, strings.ReplaceAll(name, "/", ":"), how), func(t *testing.T) {
						t.Parallel()
						p.cancel(t, i+1, how, want, strings.HasSuffix(name, p.late) && p.late != "" && how != tripped[0])
					})
				}
			}
			t.Logf("%s: %d calls, cancelled in %d cases", p.name, len(calls), n)
		})
	}
}

func (p passage) cancel(t *testing.T, n int, how string, want end, late bool) {
	w := &wire{at: n, how: how, arrived: make(chan struct{}), gone: make(chan struct{})}
	c := p.company(t, w)
	var s stop
	ended, done := make(chan struct{}), make(chan struct{})
	c.started = func(_ workflow.Step, cmd *exec.Cmd) {
		c.started = nil
		w.listen(true)
		go func() {
			defer close(done)
			select {
			case <-w.arrived:
				s = cancelled(cmd, ended)
			case <-ended:
			}
		}()
	}
	c.after = func() {
		if c.after = nil; ended != nil {
			close(ended)
			<-done
			close(w.gone)
			w.listen(false)
		}
	}
	c.ok(c.Schedule(t.Context()))
	if s.signal != syscall.SIGINT.String() && !late {
		t.Errorf("it took %s and the signal %q to end it\n%s", s.took, s.signal, c.story())
	}
	if strings.Contains(c.story(), "panic") {
		t.Errorf("it panicked:\n%s", c.story())
	}
	var got end
	for range 3 {
		c.Clock.Move(6 * time.Minute)
		c.ok(c.Schedule(t.Context()))
		if got = p.end(c); p.fails {
			got.Copied = want.Copied
		}
		if cmp.Equal(want, got) {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("not as undisturbed (-want +got):\n%s\n%s", diff, c.story())
	}
}

// end is how the rotation stands.
func (p passage) end(c *company) end {
	c.t.Helper()
	of := c.AWS.Secret(c.Scenario.Secrets["dev"])
	e := end{Live: "new", Labels: len(of.Labels), Tags: of.Tags, Versions: len(of.Versions)}
	if of.Labels["AWSCURRENT"] == of.Versions[0].ID {
		e.Live = "first"
	}
	seen := map[string]bool{}
	for _, v := range c.AWS.S3.Versions(c.Scenario.Bucket, "") {
		e.Duplicate = e.Duplicate || seen[v.Key]
		seen[v.Key] = true
		e.Closed = e.Closed || strings.HasSuffix(v.Key, "/close.json")
	}
	hand, err := c.Hand("root-admin")
	c.ok(err)
	tasks, err := hand.Tasks(context.Background())
	c.ok(err)
	looked, err := hand.Look(context.Background(), tasks, false)
	c.ok(err)
	for _, r := range looked {
		c.ok(r.Err)
		e.State += string(r.Status.Decision.State)
		e.Copied = len(c.AWS.Logs.Events(sandbox.Home, c.Scenario.LogGroup, "dev/app~database")) >= len(r.Status.Records)
	}
	report, err := hand.Verify(context.Background(), nil, []evidence.Anchor(nil))
	c.ok(err)
	for _, f := range report.Findings {
		if f.Rule != "date" && f.Rule != "lock" { // the services' clock is ahead of the program's
			e.Tags["finding "+f.Rule] = f.Msg
		}
	}
	return e
}

// TestACancelledJobIsNotHeldUpByACommand cancels a job while a check's command runs that takes no notice: one that
// ignores signals, and one that leaves somebody behind who does, with the command's output in hand.
func TestACancelledJobIsNotHeldUpByACommand(t *testing.T) {
	for name, script := range map[string]string{
		"one that ignores signals":            "trap '' INT TERM; echo ready >$1/ready; while :; do cat $1/hold; done\n",
		"one whose child left the group":      "trap '' TERM; setsid sh -c 'trap \"\" TERM; cat $0/hold' $1 & echo ready >$1/ready; cat $1/hold\n",
		"one that prints for ever":            "trap '' TERM; echo ready >$1/ready; yes\n",
		"one that ends itself when it's told": "trap 'echo told; exit 3' TERM; echo ready >$1/ready; cat $1/hold & wait\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, fifo := range []string{"ready", "hold"} {
				if err := syscall.Mkfifo(filepath.Join(dir, fifo), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			w := &wire{}
			c := found(t, "  checks:\n    - command: {run: [sh, tools/stubborn.sh, \""+dir+"\"], within: 10m}\n      name: stubborn\n",
				map[string]string{"tools/stubborn.sh": script}, w.wrap)
			c.request(strings.Replace(slowly, "SEC-7", `"#1"`, 1))
			var s stop
			ended, done := make(chan struct{}), make(chan struct{})
			c.started = func(_ workflow.Step, cmd *exec.Cmd) {
				go func() {
					defer close(done)
					if _, err := os.ReadFile(filepath.Join(dir, "ready")); err == nil { // opens once somebody writes to it
						s = cancelled(cmd, ended)
					}
				}()
			}
			c.after = func() {
				c.after, c.started = nil, nil
				close(ended)
				<-done
			}
			c.ok(c.Schedule(t.Context()))
			t.Logf("it took %s", s.took)
			if s.signal == syscall.SIGKILL.String() {
				t.Errorf("it had to be killed\n%s", c.story())
			}
			// Whoever left the group is let go.
			if f, err := os.OpenFile(filepath.Join(dir, "hold"), os.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
				_, _ = f.WriteString("go\n")
				_ = f.Close()
			}
			hand, err := c.Hand("root-admin")
			c.ok(err)
			tasks, err := hand.Tasks(t.Context())
			c.ok(err)
			looked, err := hand.Look(t.Context(), tasks, false)
			c.ok(err)
			for _, r := range looked {
				if r.Status.Plan.Environment != "dev" {
					continue
				}
				if r.Err != nil || r.Status.Busy != nil {
					t.Errorf("the next run can't go on: %v, %v\n%s", r.Err, r.Status.Busy, c.story())
				}
			}
		})
	}
}
