package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/sandbox"
)

// A path is one way through a rotation that is killed everywhere.
type path struct {
	name, registry, request string
	fails                   bool // the backend refuses the new value
	state                   string
	code                    int // of the run that ends it
}

var paths = []path{
	{"rotated and decommissioned", httpCheck, atOnce, false, "finished", 0},
	{"rotated with a smoke test, kept for its retention", smokeCheck, slowly, false, "deferred", 0},
	{"validation fails and is taken back", smokeCheck, slowly, true, "rolled back", 1},
}

// TestKilledAnywhereItEndsAsIfNothingHadHappened kills the program with SIGKILL at each of its calls, when it has
// arrived but had no effect, and when it had its effect and wasn't answered; then it is run again until it is done,
// each run twenty minutes later by the services' clock, so that the lease of the killed one is over.
func TestKilledAnywhereItEndsAsIfNothingHadHappened(t *testing.T) {
	for _, p := range paths {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			want, calls := p.undisturbed(t)
			cases := chosen(len(calls))
			for _, c := range cases {
				when := map[bool]string{false: "before", true: "after"}[c.after]
				t.Run(fmt.Sprintf("%s call %d %s", when, c.n, strings.ReplaceAll(calls[c.n-1], "/", ":")), func(t *testing.T) {
					t.Parallel()
					p.killed(t, c.n, c.after, want)
				})
			}
			t.Logf("%s: %d calls, killed in %d cases", p.name, len(calls), len(cases))
		})
	}
}

// A moment is where a process is killed: at call n, before or after it has its effect.
type moment struct {
	n     int
	after bool
}

// chosen is every moment; in a plain run one in a few, and the last calls, after which no record is left to write.
func chosen(calls int) (list []moment) {
	step := 1
	if !full() {
		step = max(1, calls*2/10)
	}
	for i := 0; i < 2*calls; i++ {
		if i%step == 0 || i >= 2*calls-4 && i%2 == 0 {
			list = append(list, moment{i/2 + 1, i%2 == 1})
		}
	}
	return list
}

// An end is what must be the same however a rotation got there.
type end struct {
	State     string
	Live      string // first, new
	Labels    int
	Tags      map[string]string
	Versions  int
	Closed    bool
	Copied    bool // every record is in the log group
	Duplicate bool // some object has two versions
}

func (p path) stage(t *testing.T) *stage {
	s := newStage(t, files(p.registry, p.request))
	if p.fails {
		s.app.Accept("dev", s.first)
	}
	s.must("init")
	return s
}

func (p path) undisturbed(t *testing.T) (end, []string) {
	s := p.stage(t)
	s.gate.set(0, false)
	r := s.rekey("apply", "-e", "dev", "--json")
	all := r.outcomes(t)
	if len(all) != 1 || all[0].State != p.state || r.code != p.code {
		t.Fatalf("undisturbed it ends with %d: %+v\n%s", r.code, all, r.err)
	}
	calls := s.gate.calls()
	return s.end(all[0].State), calls
}

func (p path) killed(t *testing.T, n int, after bool, want end) {
	s := p.stage(t)
	s.gate.set(n, after)
	c := s.command("apply", "-e", "dev")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case <-s.gate.arrived:
	case err := <-ended:
		t.Fatalf("it ended before call %d: %v", n, err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	close(s.gate.gone)
	var story []string
	state := ""
	for range 5 {
		s.clock.move(20 * time.Minute)
		r := s.rekey("apply", "-e", "dev", "--json")
		all := r.outcomes(t)
		if len(all) != 1 {
			t.Fatalf("outcomes %+v\n%s", all, r.err)
		}
		story = append(story, fmt.Sprintf("exit %d: %+v\n%s", r.code, all[0], r.err))
		if state = all[0].State; state == p.state && all[0].Error == "" {
			break
		}
	}
	got := s.end(state)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("not as undisturbed (-want +got):\n%s\n%s", diff, strings.Join(story, "\n"))
	}
	for _, f := range s.findings() {
		t.Errorf("verify found %s\n%s", f, strings.Join(story, "\n"))
	}
	if os.Getenv("E2E_STORY") != "" {
		t.Log(strings.Join(story, "\n"))
	}
}

func (s *stage) end(state string) end {
	of := s.secret()
	e := end{State: state, Live: "new", Labels: len(of.Labels), Tags: of.Tags, Versions: of.Versions, Closed: s.closed()}
	if of.Labels["AWSCURRENT"] == s.first {
		e.Live = "first"
	}
	seen, records := map[string]bool{}, 0
	for _, k := range s.keys() {
		e.Duplicate = e.Duplicate || seen[k]
		seen[k] = true
		if strings.HasPrefix(k, "journal/dev/") {
			records++
		}
	}
	e.Copied = len(s.events()) == records
	return e
}

// findings are what `rekey verify` finds, without the two rules that see that this test set the services' clock ahead
// of the program's.
func (s *stage) findings() (all []string) {
	s.t.Helper()
	r := s.rekey("verify", "--json")
	var report struct {
		Chains   []struct{ Records int }
		Findings []struct{ Rule, Name, Msg string }
	}
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || len(report.Chains) != 1 || report.Chains[0].Records == 0 {
		s.t.Fatalf("verify: %v\n%s%s", err, r.out, r.err)
	}
	for _, f := range report.Findings {
		if f.Rule != "date" && f.Rule != "lock" {
			all = append(all, fmt.Sprintf("%s: %s [%s]", f.Name, f.Msg, f.Rule))
		}
	}
	return all
}

// events are the distinct lines of the log group's copy.
func (s *stage) events() map[string]bool {
	all := map[string]bool{}
	for _, e := range s.world.Logs.Events(sandbox.Home, s.scenario.LogGroup, "dev/app~database") {
		all[e.Message] = true
	}
	return all
}
