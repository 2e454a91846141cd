package histories

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
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

// judge says what becomes of a call, and whether its process dies of it: none of its calls comes back then.
func (t *trouble) judge(what string, changes, hub bool) (v verdict, dies bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return dropped, false
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
				t.dead = true
				how := verdict(1 + lot%2)
				t.what = append(t.what, fmt.Sprintf("the runner dies at %s (%s)", what, []string{"", "it still happens", "it never arrives"}[how]))
				return how, true
			}
		}
	}
	if n > 1 { // an outage ends
		return passes, false
	}
	switch {
	case lot < t.lose:
		t.what = append(t.what, "the answer to "+what+" is lost")
		return lost, false
	case lot < t.lose+t.drop:
		t.what = append(t.what, what+" never arrives")
		return dropped, false
	case hub && lot < t.lose+t.drop+t.refuse:
		t.what = append(t.what, "GitHub fails "+what)
		return bad, false
	case hub && lot < t.lose+t.drop+2*t.refuse:
		t.what = append(t.what, "GitHub limits "+what)
		return limited, false
	}
	return passes, false
}

// turn gives calls that leave together an order of their own, whichever goroutine runs first: the bubble's time goes on
// only once all of them wait.
func turn(salt uint64, what string) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", salt, what)
	time.Sleep(time.Duration(1 + h.Sum64()%uint64(time.Millisecond)))
}

// A line leads to a service, with troubles.
type line struct {
	to  http.RoundTripper
	hub bool
	t   *trouble // of the step under way
}

func (l *line) RoundTrip(in *http.Request) (*http.Response, error) {
	what, changes := l.name(in)
	turn(l.t.salt, what)
	v, dies := l.t.judge(what, changes, l.hub)
	if dies || l.t.stopped() {
		if v == lost {
			l.happens(in)
		}
		if dies {
			close(l.t.died)
		}
		<-l.t.over
		return nil, errCut
	}
	switch v {
	case lost:
		l.happens(in)
		return nil, errCut
	case dropped:
		return nil, errCut
	case bad:
		return says(in, http.StatusBadGateway, http.Header{}, ""), nil
	case limited:
		return says(in, http.StatusForbidden, http.Header{"Retry-After": {"2"}, "Content-Type": {"application/json"}},
			`{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.", "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`), nil
	}
	return l.to.RoundTrip(in)
}

// happens makes a call whose answer nobody hears, whatever becomes of who made it.
func (l *line) happens(in *http.Request) {
	if out, err := l.to.RoundTrip(in.WithContext(context.WithoutCancel(in.Context()))); err == nil {
		_ = out.Body.Close()
	}
}

// says is a service's own answer that it can't.
func says(in *http.Request, status int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, Body: io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)), Request: in}
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
		h.runners.Go(func() {
			defer func() { // a dead runner's files are gone when it wakes up, at the end of the history
				if p := recover(); p != nil && !t.stopped() {
					panic(p)
				}
			}()
			out, err := do(ctx, s)
			done <- result{out, err}
		})
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
