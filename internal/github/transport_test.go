package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	comment = `{"id": 5, "body": "text"}`
	limited = `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}`
)

func TestTroublesOfTheWire(t *testing.T) {
	reset := func(in time.Duration) string { return strconv.FormatInt(newClock().Now().Add(in).Unix(), 10) }
	ok := answer(200, comment)
	for _, tt := range []struct {
		name   string
		script []reply
		create string // what came of it, and how often it was sent
		edit   string
		read   string
		slept  time.Duration // by those that got through
	}{
		{"answer lost after it happened", []reply{cut, ok}, "unknown 1", "done 2", "done 2", time.Second},
		{"answer broken off", []reply{half, ok}, "unknown 1", "done 2", "done 2", time.Second},
		{"500", []reply{answer(500, ""), ok}, "unknown 1", "done 2", "done 2", time.Second},
		{"502", []reply{answer(502, ""), ok}, "unknown 1", "done 2", "done 2", time.Second},
		{"503, 504", []reply{answer(503, ""), answer(504, ""), ok}, "unknown 1", "done 3", "done 3", 3 * time.Second},
		{"502 for good", []reply{answer(502, "")}, "unknown 1", "unknown 4", "not done 4", 0},
		{"lost for good", []reply{cut}, "unknown 1", "unknown 4", "not done 4", 0},
		{"lost, then refused", []reply{cut, answer(403, `{"message":"no"}`)}, "unknown 1", "refused 2", "refused 2", 0},
		{"lost, then limited for long", []reply{cut, answer(429, "", "Retry-After", "3600")}, "unknown 1", "unknown 2", "not done 2", 0},
		{"secondary limit that says how long", []reply{answer(403, limited, "Retry-After", "30"), ok}, "done 2", "done 2", "done 2", 30 * time.Second},
		{"secondary limit that doesn't", []reply{answer(403, limited), ok}, "done 2", "done 2", "done 2", time.Minute},
		{"it grows", []reply{answer(403, limited), answer(403, limited), answer(403, limited), ok}, "done 4", "done 4", "done 4", 7 * time.Minute},
		{"it grows too long", []reply{answer(403, limited)}, "not done 4", "not done 4", "not done 4", 0},
		{"known by its documentation", []reply{answer(403, `{"message":"?","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`), ok},
			"done 2", "done 2", "done 2", time.Minute},
		{"429", []reply{answer(429, "", "Retry-After", "5"), ok}, "done 2", "done 2", "done 2", 5 * time.Second},
		{"429 at once", []reply{answer(429, "", "Retry-After", "0"), ok}, "done 2", "done 2", "done 2", time.Second},
		{"primary limit", []reply{answer(403, `{"message":"API rate limit exceeded"}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset(4*time.Minute)), ok},
			"done 2", "done 2", "done 2", 4*time.Minute + time.Second},
		{"primary limit beyond patience", []reply{answer(403, "{}", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset(11*time.Minute))},
			"not done 1", "not done 1", "not done 1", 0},
		{"no permission isn't a limit", []reply{answer(403, `{"message":"Resource not accessible by integration"}`, "X-RateLimit-Remaining", "17", "X-RateLimit-Reset", reset(time.Hour))},
			"refused 1", "refused 1", "refused 1", 0},
		{"limited often, then lost", []reply{answer(429, "", "Retry-After", "2"), answer(429, "", "Retry-After", "2"), answer(429, "", "Retry-After", "2"),
			answer(429, "", "Retry-After", "2"), cut, ok}, "unknown 5", "done 6", "done 6", 9 * time.Second},
		{"limited, then lost", []reply{answer(429, "", "Retry-After", "5"), cut, ok}, "unknown 2", "done 3", "done 3", 6 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, call := range []struct {
				name, want string
				do         func(*Client) error
			}{
				{"create", tt.create, func(c *Client) error { _, err := c.CreateComment(t.Context(), 7, "text"); return err }},
				{"edit", tt.edit, func(c *Client) error { return c.EditComment(t.Context(), 5, "text") }},
				{"read", tt.read, func(c *Client) error { _, err := c.Issue(t.Context(), 7); return err }},
			} {
				k := newClock()
				s := serve(t, k, tt.script...)
				err := call.do(client(t, s, k, nil))
				if got := fmt.Sprint(kind(err), " ", len(s.calls())); got != call.want {
					t.Errorf("%s: %s, want %s (%v)", call.name, got, call.want, err)
				}
				for i, body := range s.bodies() {
					if body != s.bodies()[0] {
						t.Errorf("%s: sent %q at attempt %d, %q at the first", call.name, body, i+1, s.bodies()[0])
					}
				}
				if slept := k.Now().Sub(newClock().Now()); err == nil && slept != tt.slept {
					t.Errorf("%s: slept %s, want %s", call.name, slept, tt.slept)
				}
			}
		})
	}
}

func TestWhatNeverLeftMayBeSentAgain(t *testing.T) {
	k := newClock()
	s := serve(t, k, answer(201, comment))
	refusing := httptest.NewServer(nil)
	refusing.Close()
	tries := 0
	c := client(t, s, k, func(o *Options) {
		o.Transport = trip(func(r *http.Request) (*http.Response, error) {
			if tries++; tries < 3 {
				r.URL.Host = strings.TrimPrefix(refusing.URL, "http://")
			}
			return once().RoundTrip(r)
		})
	})
	if _, err := c.CreateComment(t.Context(), 7, "text"); err != nil || len(s.calls()) != 1 || tries != 3 {
		t.Errorf("%v after %d tries, %d arrived", err, tries, len(s.calls()))
	}
	tries = -9
	if _, err := c.CreateComment(t.Context(), 7, "text"); kind(err) != "not done" {
		t.Errorf("never connected: %v", err)
	}
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAReadingClientSendsNoChange(t *testing.T) {
	k := newClock()
	s := serve(t, k, answer(200, "{}"))
	c := client(t, s, k, func(o *Options) { o.ReadOnly = true }).In("rastup/other")
	text := "x"
	for name, call := range map[string]func(context.Context) error{
		"CreateComment": func(ctx context.Context) error { _, err := c.CreateComment(ctx, 1, "x"); return err },
		"EditComment":   func(ctx context.Context) error { return c.EditComment(ctx, 1, "x") },
		"DeleteComment": func(ctx context.Context) error { return c.DeleteComment(ctx, 1) },
		"CreateIssue":   func(ctx context.Context) error { _, err := c.CreateIssue(ctx, "x", "", nil, nil); return err },
		"EditIssue":     func(ctx context.Context) error { return c.EditIssue(ctx, 1, IssueChange{Title: &text}) },
		"CreateBranch":  func(ctx context.Context) error { return c.CreateBranch(ctx, "x", "y") },
		"MoveBranch":    func(ctx context.Context) error { return c.MoveBranch(ctx, "x", "y") },
		"PutFile":       func(ctx context.Context) error { return c.PutFile(ctx, "x", "y", "z", nil, "") },
		"CreatePull":    func(ctx context.Context) error { _, err := c.CreatePull(ctx, "x", "", "y", "z"); return err },
		"EditPull":      func(ctx context.Context) error { return c.EditPull(ctx, 1, "x", "", "") },
	} {
		if err := call(t.Context()); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), ": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(s.calls()) > 0 {
		t.Errorf("sent %q", s.calls())
	}
	if _, err := c.Issue(t.Context(), 1); err != nil {
		t.Errorf("a read: %v", err)
	}
}

func TestTheTokenGoesNowhereElse(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s arrived elsewhere with %q", r.Method, r.Header)
	}))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		k := newClock()
		s := serve(t, k, answer(status, "", "Location", elsewhere.URL+"/x"))
		c := client(t, s, k, nil)
		if _, err := c.Issue(t.Context(), 1); kind(err) != "refused" {
			t.Errorf("%d of a read: %v", status, err)
		}
		if _, err := c.CreateComment(t.Context(), 1, "x"); kind(err) != "refused" {
			t.Errorf("%d of a change: %v", status, err)
		}
	}
	k := newClock()
	s := serve(t, k, answer(200, "[]", "Link", `<`+elsewhere.URL+`/x?page=2>; rel="next"`), answer(200, "[]"))
	if _, err := client(t, s, k, nil).Comments(t.Context(), 1); err != nil || s.calls()[1] != "GET /repos/rastup/platform/issues/1/comments?page=2" {
		t.Errorf("a next page elsewhere: %v, asked %q", err, s.calls())
	}
}

// Whatever the client above it does: this is where the token is added.
func TestTheTransportItselfIsPinned(t *testing.T) {
	k := newClock()
	s := serve(t, k, answer(200, "{}"))
	c := client(t, s, k, func(o *Options) {
		o.Transport = trip(func(r *http.Request) (*http.Response, error) {
			t.Errorf("sent to %s", r.URL)
			return nil, errors.New("no")
		})
	})
	for _, to := range []string{"http://elsewhere.test/repos/rastup/platform", strings.Replace(s.URL, "http:", "https:", 1), s.URL + "0"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.wire.RoundTrip(r); kind(err) != "refused" {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestARenamedRepositoryIsFollowedWithTheSameMethod(t *testing.T) {
	for _, tt := range []struct {
		status       int
		read, change string
	}{
		{301, "done 2", "refused 1"}, {302, "done 2", "refused 1"}, {303, "done 2", "refused 1"}, {307, "done 2", "done 2"}, {308, "done 2", "done 2"},
	} {
		for _, name := range []string{"read", "change"} {
			k := newClock()
			s := serve(t, k, answer(tt.status, "", "Location", "/repositories/9/x"), answer(200, comment))
			c, err, want := client(t, s, k, nil), error(nil), tt.read
			if name == "read" {
				_, err = c.Issue(t.Context(), 1)
			} else {
				want = tt.change
				_, err = c.CreateComment(t.Context(), 1, "x")
			}
			if got := fmt.Sprint(kind(err), " ", len(s.calls())); got != want {
				t.Errorf("%s after %d: %s, want %s (%v)", name, tt.status, got, want, err)
			}
			if len(s.bodies()) == 2 && s.bodies()[0] != s.bodies()[1] {
				t.Errorf("%s after %d: sent %q, then %q", name, tt.status, s.bodies()[0], s.bodies()[1])
			}
		}
	}
}

// most is how many of these times lie within any span.
func most(at []time.Time, span time.Duration) (n int) {
	for i, from := range at {
		in := 0
		for _, t := range at[i:] {
			if t.Sub(from) <= span {
				in++
			}
		}
		n = max(n, in)
	}
	return n
}

func TestWhatIsCreatedIsPaced(t *testing.T) {
	k := newClock()
	s := serve(t, k, answer(201, comment))
	c := client(t, s, k, func(o *Options) { o.Patience = 2 * time.Hour })
	other := c.In("rastup/tickets")
	for i := range 600 {
		if _, err := []*Client{c, other}[i%2].CreateComment(t.Context(), 1, "x"); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if err := c.EditComment(t.Context(), 1, "x"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := most(s.times(), time.Minute); n >= 80 || n < 40 {
		t.Errorf("%d changes within a minute", n)
	}
	var created []time.Time
	for i, call := range s.calls() {
		if strings.HasPrefix(call, "POST") {
			created = append(created, s.times()[i])
		}
	}
	if n := most(created, time.Hour); n >= 500 || n < 400 {
		t.Errorf("%d new things within an hour", n)
	}
	if before := len(k.slept); true {
		for range 200 {
			if _, err := c.Issue(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		if len(k.slept) != before {
			t.Error("reads wait")
		}
	}
}

func TestASteadyStreamOfChangesIsPaced(t *testing.T) {
	k := newClock()
	s := serve(t, k, answer(201, comment))
	c := client(t, s, k, nil)
	for i := range 400 {
		if err := c.EditComment(t.Context(), 1, "x"); err != nil {
			t.Fatal(err)
		}
		work := 300 * time.Millisecond
		if i > 200 {
			work *= 2
		}
		_ = k.Sleep(t.Context(), work)
	}
	if n := most(s.times(), time.Minute); n >= 80 {
		t.Errorf("%d changes within a minute", n)
	}
}

func TestPatienceEndsBeforeTheCallLeaves(t *testing.T) {
	k := newClock()
	s := serve(t, k, answer(201, comment))
	c := client(t, s, k, nil)
	var err error
	for err == nil && len(s.calls()) < 500 {
		_, err = c.CreateComment(t.Context(), 1, "x")
	}
	if kind(err) != "not done" || len(s.calls()) != mostAnHour {
		t.Errorf("%d left, then %v", len(s.calls()), err)
	}
	goldentest.Equal(t, "patience.txt", err.Error()+"\n")
	if err := c.EditComment(t.Context(), 1, "x"); err != nil {
		t.Errorf("an edit, which makes nothing new: %v", err)
	}
}

func TestTheLastCallOfALimitHoldsBackTheNext(t *testing.T) {
	k := newClock()
	in := strconv.FormatInt(k.Now().Add(3*time.Minute).Unix(), 10)
	s := serve(t, k, answer(200, "{}", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", in), answer(200, "{}"))
	c := client(t, s, k, nil)
	for range 2 {
		if _, err := c.In("rastup/other").Issue(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.times()[1].Sub(s.times()[0]); got != 3*time.Minute+time.Second {
		t.Errorf("the next left after %s", got)
	}
}

func TestManyThatAreRefusedTogetherWaitOnce(t *testing.T) {
	k := newClock()
	l := &limits{clock: k, patience: time.Hour}
	refused := func() *http.Response {
		return &http.Response{StatusCode: 403, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(limited))}
	}
	first := k.Now()
	for range 20 {
		if !l.hit(refused(), first) {
			t.Fatal("not taken for a limit")
		}
	}
	if wait := l.until.Sub(first); wait != time.Minute {
		t.Errorf("they wait %s", wait)
	}
	k.now = l.until
	if l.hit(refused(), first); l.until.Sub(k.now) != time.Second {
		t.Errorf("a late answer makes them wait %s", l.until.Sub(k.now))
	}
	k.now = l.until
	if l.hit(refused(), k.now); l.until.Sub(k.now) != 2*time.Minute {
		t.Errorf("refused once more, they wait %s", l.until.Sub(k.now))
	}
}

func TestAClientIsForManyGoroutines(t *testing.T) {
	k := newClock()
	s := serve(t, k, answer(429, "", "Retry-After", "1"), answer(502, ""), answer(200, "{}"))
	c := client(t, s, k, nil)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := c.In("rastup/other").Issue(t.Context(), 1); err != nil {
				t.Error(err)
			}
			if err := c.EditComment(t.Context(), 1, "x"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestAnEndedContextEndsWaiting(t *testing.T) {
	for _, tt := range []struct {
		name   string
		first  reply
		create string
		edit   string
	}{
		{"for a limit", answer(429, "", "Retry-After", "5"), "not done", "not done"},
		{"for another try", answer(502, ""), "unknown", "unknown"},
	} {
		for _, call := range []string{tt.create, tt.edit} {
			ctx, cancel := context.WithCancel(t.Context())
			k := newClock()
			k.ends = func() error { cancel(); return ctx.Err() }
			s := serve(t, k, tt.first)
			c, err := client(t, s, k, nil), error(nil)
			if call == tt.create {
				_, err = c.CreateComment(ctx, 1, "x")
			} else {
				err = c.EditComment(ctx, 1, "x")
			}
			if kind(err) != call || len(s.calls()) != 1 || call == "not done" && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v after %d calls", tt.name, err, len(s.calls()))
			}
		}
	}
}

func TestAChangeThatIsCutShortMayHaveHappened(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	k := newClock()
	s := serve(t, k, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	c := client(t, s, k, nil)
	_, err := c.CreateComment(ctx, 1, "x")
	if !errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("cut short: %v", err)
	}
	_, err = c.CreateComment(ctx, 1, "x")
	if errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("not begun: %v", err)
	}
}

func TestAFileThatIsThereAlreadyIsPut(t *testing.T) {
	there := func(text string) reply {
		return answer(200, `{"type":"file","encoding":"base64","content":"`+text+`","sha":"b"}`)
	}
	for _, tt := range []struct {
		name   string
		script []reply
		want   string
	}{
		{"first answer lost", []reply{cut, answer(409, `{"message":"x does not match b"}`), there("bmV3")}, "done 3"},
		{"new, first answer lost", []reply{cut, answer(422, `{"message":"\"sha\" wasn't supplied."}`), there("bmV3")}, "done 3"},
		{"another is there", []reply{answer(409, `{"message":"x does not match b"}`), there("b2xk")}, "refused 2"},
		{"none is there", []reply{answer(422, `{"message":"no"}`), answer(404, "{}")}, "refused 2"},
		{"no permission", []reply{answer(403, `{"message":"no"}`)}, "refused 1"},
	} {
		k := newClock()
		s := serve(t, k, tt.script...)
		err := client(t, s, k, nil).PutFile(t.Context(), "main", "a/b.md", "m", []byte("new"), "was")
		if got := fmt.Sprint(kind(err), " ", len(s.calls())); got != tt.want {
			t.Errorf("%s: %s, want %s (%v)", tt.name, got, tt.want, err)
		}
	}
}

func TestIsNotFoundAndAFailure(t *testing.T) {
	for status, want := range map[int]bool{404: true, 410: true, 403: false, 422: false} {
		k := newClock()
		_, err := client(t, serve(t, k, answer(status, "{}")), k, nil).Content(t.Context(), "a", "main")
		var no *rotation.Failure
		if errors.Is(err, ErrNotFound) != want || !errors.As(err, &no) {
			t.Errorf("%d: %v", status, err)
		}
	}
}
