package notice_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/sandbox"
	world "github.com/rastup/rekey/internal/sandbox/github"
)

const (
	repository = "rastup/shop"
	bot        = "rekey[bot]" // an app: GitHub Actions itself opens no pull requests where settings forbid it
)

// A rig is a GitHub, and programs that come and go.
type rig struct {
	*world.Service
	t     *testing.T
	clock *sandbox.Clock
	rnd   *rand.Rand
	fault func(world.Call) error // of changing calls
	lag   int                    // how many lists of a program may not show what was just made
}

func newRig(t *testing.T, seed uint64) *rig {
	clock := sandbox.NewClock(reporttest.Monday)
	s := world.New(clock, world.Options{Repository: repository, Limits: world.Limits{PerHour: -1}})
	s.AddUser(bot, "", true)
	s.AddUser("ana-sec", "write", false)
	s.AddUser("eve", "read", false)
	s.AddToken("token", bot, map[string]string{"contents": "write", "issues": "write", "pull-requests": "write"})
	r := &rig{Service: s, t: t, clock: clock, rnd: rand.New(rand.NewPCG(seed, 7))}
	s.Fail(func(c world.Call) error {
		if r.fault != nil && c.Method != http.MethodGet {
			return r.fault(c)
		}
		return nil
	})
	t.Cleanup(func() {
		if l := s.Unknown(); len(l) > 0 {
			t.Errorf("the sandbox doesn't know %v", l)
		}
	})
	return r
}

// program is what a process has of GitHub: a client, and its view of lists that lag.
func (r *rig) program(gate func()) *lagging {
	c, err := github.New(github.Options{API: "http://127.0.0.1", Repository: repository, Token: "token", Transport: wire{r, gate}, Clock: r.clock, Patience: 3 * time.Hour})
	if err != nil {
		r.t.Fatal(err)
	}
	return &lagging{Client: c, r: r, seen: map[string]int{}}
}

// wire is the way to the sandbox without a socket, one call after another.
type wire struct {
	r    *rig
	gate func()
}

func (w wire) RoundTrip(req *http.Request) (res *http.Response, err error) {
	if w.gate != nil {
		w.gate()
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			res, err = nil, io.ErrUnexpectedEOF // the sandbox cut the connection
		}
	}()
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	w.r.Handler().ServeHTTP(out, in)
	if err := req.Context().Err(); err != nil {
		return nil, err // this program is dead: it hears no answer
	}
	return out.Result(), nil
}

// lagging hides what was made in the last minute from some lists of this program: each thing from another number of them.
type lagging struct {
	*github.Client
	r    *rig
	seen map[string]int // how many lists don't show it yet
}

func (l *lagging) shown(what string, at time.Time) bool {
	if _, known := l.seen[what]; !known {
		l.seen[what] = l.r.rnd.IntN(l.r.lag + 1)
	}
	l.seen[what]--
	return l.r.clock.Now().Sub(at) >= time.Minute || l.seen[what] < 0
}

func (l *lagging) Comments(ctx context.Context, issue int) (shown []github.Comment, err error) {
	all, err := l.Client.Comments(ctx, issue)
	for _, c := range all {
		if l.shown(fmt.Sprint("comment ", c.ID), c.CreatedAt) {
			shown = append(shown, c)
		}
	}
	return shown, err
}

func (l *lagging) Issues(ctx context.Context, label, state string) (shown []github.Issue, err error) {
	all, err := l.Client.Issues(ctx, label, state)
	for _, x := range all {
		if l.shown(fmt.Sprint("issue ", x.Number), x.CreatedAt) {
			shown = append(shown, x)
		}
	}
	return shown, err
}

// A pass is one look at everything by one program.
type pass func(ctx context.Context) (notice.Tally, error)

// changes are the changing calls that were answered, since the nth call.
func (r *rig) changes(since int) (l []string) {
	for _, c := range r.Calls()[since:] {
		if c.Method != http.MethodGet {
			l = append(l, c.Method+" "+c.Path)
		}
	}
	return l
}

// settle runs fresh programs, a minute apart, until all is right, and holds that one more changes nothing.
func (r *rig) settle(program func() pass) notice.Tally {
	r.t.Helper()
	var last notice.Tally
	var err error
	for range 12 {
		r.clock.Move(2 * time.Minute)
		var t notice.Tally
		t, err = program()(context.Background())
		last = t
		if err == nil && !t.Again {
			before := len(r.Calls())
			r.clock.Move(2 * time.Minute)
			again, err := program()(context.Background())
			if l := r.changes(before); len(l) > 0 && r.fault == nil || err != nil || again.Again {
				r.t.Fatalf("one more pass changed something: %q, %+v, %v", l, again, err)
			} else if len(l) == 0 {
				if again.Writes() != 0 {
					r.t.Fatalf("one more pass counts what it didn't do: %+v", again)
				}
				return again
			}
		}
	}
	r.t.Fatalf("it doesn't settle: %+v, %v", last, err)
	return notice.Tally{}
}

var errCrash = errors.New("the program died")

// crashing runs one program that dies at its nth call: before the call has an effect, or right after.
func (r *rig) crashing(n int, after bool, program func() pass) (died bool) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	calls := 0
	r.Fail(func(world.Call) error {
		calls++
		switch {
		case calls < n || died && calls > n:
			return nil
		case after:
			died = true
			cancel(errCrash)
			return world.ErrLost
		}
		died = true
		cancel(errCrash)
		return world.Broken(http.StatusBadGateway)
	})
	_, _ = program()(ctx)
	r.Fail(nil)
	return died
}

// interleaved runs two programs call by call, in an order the rig's seed says.
func (r *rig) interleaved(program func(gate func()) pass) {
	type runner struct{ ready, free chan struct{} }
	var runners []*runner
	var wg sync.WaitGroup
	ended := make(chan *runner, 2)
	for range 2 {
		n := &runner{make(chan struct{}), make(chan struct{})}
		runners = append(runners, n)
		run := program(func() { n.ready <- struct{}{}; <-n.free })
		wg.Go(func() {
			_, _ = run(context.Background())
			close(n.ready)
			ended <- n
		})
	}
	waiting := map[*runner]bool{}
	for len(runners) > 0 {
		for _, n := range append([]*runner(nil), runners...) {
			if waiting[n] {
				continue
			}
			if _, alive := <-n.ready; !alive {
				runners = without(runners, n)
				continue
			}
			waiting[n] = true
		}
		if len(runners) > 0 {
			n := runners[r.rnd.IntN(len(runners))]
			waiting[n] = false
			n.free <- struct{}{}
		}
	}
	wg.Wait()
}

func without[T comparable](all []T, one T) (rest []T) {
	for _, x := range all {
		if x != one {
			rest = append(rest, x)
		}
	}
	return rest
}

// troubled makes one in four changing calls fail, in each way GitHub knows; at most n in all.
func (r *rig) troubled(n int) func(world.Call) error {
	return func(world.Call) error {
		if n == 0 || r.rnd.IntN(4) > 0 {
			return nil
		}
		n--
		switch r.rnd.IntN(5) {
		case 0:
			return world.Throttled(30 * time.Second)
		case 1:
			e := world.Throttled(20 * time.Second)
			e.Status = http.StatusTooManyRequests
			return e
		case 2:
			return world.Broken(http.StatusBadGateway)
		case 3:
			return world.Broken(http.StatusServiceUnavailable)
		}
		return world.ErrLost
	}
}

// torture runs the same work through every misfortune, and holds what came of it after each. set makes the world of
// one case, and says how a program works on it and what must be true in the end.
func torture(t *testing.T, seeds int, set func(*testing.T, *rig) (program func(gate func()) pass, check func(notice.Tally))) {
	t.Run("undisturbed", func(t *testing.T) {
		r := newRig(t, 1)
		program, check := set(t, r)
		check(r.settle(func() pass { return program(nil) }))
	})
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("dies at each call, its effect %v", after), func(t *testing.T) {
			for n := 1; ; n++ {
				r := newRig(t, uint64(n))
				r.lag = n % 3
				program, check := set(t, r)
				died := r.crashing(n, after, func() pass { return program(nil) })
				check(r.settle(func() pass { return program(nil) }))
				if t.Failed() {
					t.Fatalf("died at call %d, its effect %v", n, after)
				}
				if !died {
					break
				}
			}
		})
	}
	t.Run("trouble", func(t *testing.T) {
		for seed := range uint64(seeds) {
			r := newRig(t, seed)
			r.lag = int(seed % 3)
			program, check := set(t, r)
			r.fault = r.troubled(8)
			check(r.settle(func() pass { return program(nil) }))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
	t.Run("two at once", func(t *testing.T) {
		for seed := range uint64(seeds) {
			r := newRig(t, seed)
			r.lag = int(seed % 3)
			program, check := set(t, r)
			if seed%2 == 1 {
				r.fault = r.troubled(4)
			}
			r.interleaved(program)
			check(r.settle(func() pass { return program(nil) }))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

// page is the text of all comments and issues, for looking for what is there how often.
func (r *rig) bodies(issue int) (l []string) {
	for _, c := range r.Comments(issue) {
		l = append(l, c.Body)
	}
	return l
}

func count(l []string, has string) (n int) {
	for _, s := range l {
		if strings.Contains(s, has) {
			n++
		}
	}
	return n
}
