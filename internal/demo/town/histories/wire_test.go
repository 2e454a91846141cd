package histories

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/workflow"
)

var errCut = errors.New("connection reset by peer")

// A trouble is what goes wrong in one step of a job. What becomes of a call depends on what it is, not on which of
// several that leave together comes first, so that a seed plays the same again.
type trouble struct {
	salt   uint64
	lose   int // of 1000 calls: it happens, its answer is lost
	drop   int // ... it never arrives
	refuse int // ... of GitHub's: 502, or a secondary limit
	at     int // the changing call at which something happens; 0 none
	dies   bool
	acts   func() // then

	mu      sync.Mutex
	changes int
	seen    map[string]int
	dead    bool
	what    []string // for the story
	died    chan struct{}
	over    <-chan struct{} // the history is
}

// die stops the process where it is: none of its calls comes back.
func (t *trouble) die() {
	t.dead = true
	close(t.died)
}

func (t *trouble) lot(key string) int {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", t.salt, key)
	return int(h.Sum64() % 1000)
}

// A verdict on a call.
type verdict int

const (
	passes verdict = iota
	lost
	dropped
	bad
	limited
)

func (t *trouble) judge(what string, changes, hub bool) verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return dropped
	}
	n := t.seen[what]
	t.seen[what]++
	lot := t.lot(fmt.Sprintf("%s %d", what, n))
	if changes {
		t.changes++
		if t.changes == t.at {
			if t.acts != nil {
				acts := t.acts
				t.acts = nil
				t.mu.Unlock()
				acts()
				t.mu.Lock()
			}
			if t.dies {
				t.die()
				how := verdict(1 + lot%2)
				t.what = append(t.what, fmt.Sprintf("the runner dies at %s (%s)", what, []string{"", "it still happens", "it never arrives"}[how]))
				return how
			}
		}
	}
	if n > 1 { // an outage ends
		return passes
	}
	switch {
	case lot < t.lose:
		t.what = append(t.what, "the answer to "+what+" is lost")
		return lost
	case lot < t.lose+t.drop:
		t.what = append(t.what, what+" never arrives")
		return dropped
	case hub && lot < t.lose+t.drop+t.refuse:
		t.what = append(t.what, "GitHub fails "+what)
		return bad
	case hub && lot < t.lose+t.drop+2*t.refuse:
		t.what = append(t.what, "GitHub limits "+what)
		return limited
	}
	return passes
}

// A line is a connection to a service in this process.
type line struct {
	to  http.Handler
	hub bool
	t   *trouble // of the step under way
}

func (l *line) RoundTrip(in *http.Request) (*http.Response, error) {
	what, changes := l.name(in)
	v := l.t.judge(what, changes, l.hub)
	if l.t.stopped() {
		if v == lost {
			_, _ = l.serve(in)
		}
		<-l.t.over
		return nil, errCut
	}
	if err := in.Context().Err(); err != nil && v != lost {
		return nil, err
	}
	switch v {
	case dropped:
		return nil, errCut
	case bad:
		out := httptest.NewRecorder()
		out.WriteHeader(http.StatusBadGateway)
		return answer(out, in), nil
	case limited:
		out := httptest.NewRecorder()
		out.Header().Set("Retry-After", "2")
		out.Header().Set("Content-Type", "application/json")
		out.WriteHeader(http.StatusForbidden)
		_, _ = out.WriteString(`{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.", "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`)
		return answer(out, in), nil
	}
	out, err := l.serve(in)
	if v == lost || err != nil {
		return nil, errCut
	}
	return answer(out, in), nil
}

func (l *line) serve(in *http.Request) (out *httptest.ResponseRecorder, err error) {
	r := in.Clone(context.Background())
	r.Host = in.Host
	if r.Host == "" {
		r.Host = in.URL.Host
	}
	r.RequestURI = in.URL.RequestURI()
	r.RemoteAddr = "127.0.0.1:1"
	if in.Body == nil {
		r.Body = http.NoBody
	}
	out = httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler { //nolint:errorlint // what net/http panics with, itself
				panic(p)
			}
			err = errCut
		}
	}()
	l.to.ServeHTTP(out, r)
	return out, nil
}

func answer(out *httptest.ResponseRecorder, in *http.Request) *http.Response {
	a := out.Result()
	a.Request = in
	a.ContentLength = int64(out.Body.Len())
	return a
}

// name is what a call is, for people, and whether it changes anything.
func (l *line) name(in *http.Request) (what string, changes bool) {
	if l.hub {
		return in.Method + " " + in.URL.Path + " " + in.URL.Query().Get("page"), in.Method != http.MethodGet
	}
	if target := in.Header.Get("X-Amz-Target"); target != "" {
		_, op, _ := strings.Cut(target, ".")
		body, _ := io.ReadAll(in.Body)
		in.Body = io.NopCloser(bytes.NewReader(body))
		about := ""
		if i := bytes.Index(body, []byte(`"SecretId":"`)); i >= 0 {
			about = string(body[i+12:])
			about, _, _ = strings.Cut(about, `"`)
		}
		return op + " " + about, strings.HasPrefix(op, "Put") || strings.HasPrefix(op, "Update") || strings.HasPrefix(op, "Tag") || strings.HasPrefix(op, "Untag")
	}
	if in.Method == http.MethodPost { // sts
		return "STS", false
	}
	return in.Method + " " + in.URL.Path + "?" + in.URL.Query().Get("prefix"), in.Method == http.MethodPut || in.Method == http.MethodDelete
}

func (t *trouble) stopped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dead
}

// wrap is how the town's runners do a step: with trouble, and watched.
func (h *history) wrap(do workflow.Do) workflow.Do {
	return func(ctx context.Context, s workflow.Step) (map[string]string, error) {
		key := fmt.Sprintf("%d/%d/%s", s.Run, s.Attempt, s.JobName)
		if strings.HasPrefix(s.Uses, "actions/checkout@") {
			h.tree[key] = h.w.GitHub.Head("main")
			return do(ctx, s)
		}
		if s.Uses != "./" {
			h.told("run %d: %s", s.Run, s.JobName)
			return do(ctx, s)
		}
		h.move(time.Duration(2+h.order.IntN(5)) * time.Second) // nobody looks in the second in which their job began
		t := h.trouble(s)
		h.now = t
		h.steps++
		h.before(s, key)
		type result struct {
			out map[string]string
			err error
		}
		done := make(chan result, 1)
		go func() {
			defer func() { // a dead runner's files are gone when it wakes up, at the end of the history
				if p := recover(); p != nil && !t.stopped() {
					panic(p)
				}
			}()
			out, err := do(ctx, s)
			done <- result{out, err}
		}()
		var r result
		select {
		case r = <-done:
		case <-t.died:
			r.err = workflow.ErrRunnerLost
		}
		h.after(s, key, t, r.out, r.err)
		return r.out, r.err
	}
}
