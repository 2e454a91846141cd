package kindtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// unit is how long each call of a kind takes while its costs are measured: what takes time is the calls that had to wait
// for one another.
const unit = time.Millisecond

// A meter counts the calls of an undisturbed rotation by step.
type meter struct {
	mu    sync.Mutex
	steps []*question // in the order of their beginning
}

// A question is one time that a step was.
type question struct {
	step  string
	calls []metered
	row   int  // calls in a row
	poll  bool // it came to nothing new: what is seen late is looked for again
}

type metered struct {
	name, all string // all tells it from other calls
	changes   bool
	with      string // the change of ours that came last before it
	began     time.Time
}

type questionKey struct{}

// handler has every step's calls counted, and its time.
func (m *meter) handler(h rotation.Handler) rotation.Handler {
	out := rotation.Handler{}
	for name, f := range h {
		out[name] = func(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
			a := &question{step: s.Key}
			m.mu.Lock()
			m.steps = append(m.steps, a)
			m.mu.Unlock()
			res, err := f(context.WithValue(ctx, questionKey{}, a), s, past)
			m.mu.Lock()
			defer m.mu.Unlock()
			a.row = inARow(a.calls)
			a.poll = err != nil || res.Wait != "" && len(res.Facts) == 0
			return res, err
		}
	}
	return out
}

// call counts one, and lets it take its time: those that are made together end together.
func (m *meter) call(ctx context.Context, name, all string, changes bool) (answered func()) {
	if m == nil {
		return func() {}
	}
	a, _ := ctx.Value(questionKey{}).(*question)
	if a == nil { // the check's, or the session's own
		return func() {}
	}
	over := time.Now().Add(unit)
	m.mu.Lock()
	last := ""
	if n := len(a.calls); n > 0 {
		if last = a.calls[n-1].with; a.calls[n-1].changes {
			last = fmt.Sprint("after ", n)
		}
	}
	a.calls = append(a.calls, metered{name, all, changes, last, time.Now()})
	m.mu.Unlock()
	return func() { time.Sleep(time.Until(over)) }
}

// inARow is how long some call was on its way, in calls: those that were made together are one.
func inARow(calls []metered) int {
	var busy time.Duration
	var until time.Time
	for _, c := range calls { // in the order of their beginning
		from, to := c.began, c.began.Add(unit)
		if from.Before(until) {
			from = until
		}
		if to.After(from) {
			busy += to.Sub(from)
			until = to
		}
	}
	return int((busy + unit - 1) / unit)
}

// request is all that tells one read from another.
func request(r *http.Request, body []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\n", r.Method, r.URL, body)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if ofTheCall := strings.HasPrefix(name, "Amz-Sdk-") || name == "X-Amz-Date" || strings.HasPrefix(r.Header.Get(name), "AWS4-"); !ofTheCall && !strings.Contains(name, "Telemetry") {
			fmt.Fprintf(&b, "%s: %s\n", name, r.Header[name])
		}
	}
	return b.String()
}

// A cost is what one step comes to.
type cost struct {
	step       string
	calls, row int
	names      []string // of the calls, as often as they were made
	again      []string // reads made twice with no change between
	looks      []string // reads made again after a change
}

// costs adds up by step what came to something.
func (m *meter) costs() (all []*cost) {
	for _, a := range m.steps {
		i := slices.IndexFunc(all, func(c *cost) bool { return c.step == a.step })
		if a.poll {
			continue
		}
		if i < 0 {
			i, all = len(all), append(all, &cost{step: a.step})
		}
		c := all[i]
		c.calls += len(a.calls)
		c.row += a.row
		for k, call := range a.calls {
			c.names = append(c.names, call.name)
			for _, was := range a.calls[:k] {
				switch {
				case call.changes || was.all != call.all:
				case was.with == call.with:
					c.again = append(c.again, call.name)
				default:
					c.looks = append(c.looks, call.name)
				}
			}
		}
	}
	return all
}

// Costs is an undisturbed rotation's calls, each of which takes the same time, as text: first the README's row. Within
// one step no read is made twice with nothing changed between, but for those that deliberate has a reason for, by
// "step: call".
func Costs(t *testing.T, w World, deliberate map[string]string) string {
	var m *meter
	synctest.Test(t, func(t *testing.T) {
		m = &meter{}
		l, err := newLab(w, twist{onHandler: func(h rotation.Handler, _ http.RoundTripper) rotation.Handler { return m.handler(h) }}, chain)
		if err != nil {
			t.Fatal(err)
		}
		defer l.sweep()
		l.meter = m
		if err := l.rest(scenarios[0].acts, false); err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(l.story, "\n"))
		}
	})
	all := m.costs()
	var reasons []string
	for _, c := range all {
		for _, name := range c.again {
			key := c.step + ": " + name
			if deliberate[key] == "" {
				t.Errorf("%s: %s makes the same call again though nothing was changed between: %q", w.Kind.Name, c.step, name)
			}
			reasons = append(reasons, key)
		}
	}
	for key := range deliberate {
		if !slices.Contains(reasons, key) {
			t.Errorf("%s: %q isn't made twice any more: take its reason away", w.Kind.Name, key)
		}
	}
	return priced(w, all, deliberate)
}

// Golden holds the costs of a kind's worlds against testdata/costs.txt, or with update writes that.
func Golden(t *testing.T, update bool, costs ...string) {
	t.Helper()
	const path = "testdata/costs.txt"
	got := strings.Join(costs, "\n")
	if update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("a rotation costs\n%s\nand by %s\n%s", got, path, want)
	}
}

func priced(w World, all []*cost, deliberate map[string]string) string {
	calls, row, live := 0, 0, 0
	var steps []string
	var b bytes.Buffer
	for _, c := range all {
		calls += c.calls
		row += c.row
		steps = append(steps, fmt.Sprintf("%s %s", c.step, ofWhich(c.calls, c.row)))
		if c.step == "promote" {
			live = row
		}
		fmt.Fprintf(&b, "\n%s: %s\n  %s\n", c.step, ofWhich(c.calls, c.row), strings.Join(counted(c.names), ", "))
		if len(c.looks) > 0 {
			fmt.Fprintf(&b, "  looked at again after a change: %s\n", strings.Join(counted(c.looks), ", "))
		}
		for _, name := range slices.Compact(slices.Sorted(slices.Values(c.again))) {
			fmt.Fprintf(&b, "  made again: %s, %s\n", name, deliberate[c.step+": "+name])
		}
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %s |\n%s", newTally(w).row.Name(), calls, row, live, strings.Join(steps, ", "), b.String())
}

// ofWhich is calls, and how many of them in a row where that are fewer.
func ofWhich(calls, row int) string {
	if calls == row {
		return fmt.Sprint(calls)
	}
	return fmt.Sprintf("%d (%d)", calls, row)
}

// counted are names in order, each once, with how often it came.
func counted(names []string) (out []string) {
	n := map[string]int{}
	for _, name := range names {
		n[name]++
	}
	for _, name := range slices.SortedFunc(maps.Keys(n), cmp.Compare[string]) {
		if n[name] == 1 {
			out = append(out, name)
		} else {
			out = append(out, fmt.Sprintf("%s ×%d", name, n[name]))
		}
	}
	return out
}
