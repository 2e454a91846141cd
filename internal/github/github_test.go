package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
)

const token = "ghs_plantedTokenThatMustNotShow"

// clock moves only by being slept on.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
	ends  func() error // what ends a sleep before its time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends != nil {
		return c.ends()
	}
	c.now = c.now.Add(d)
	c.slept = append(c.slept, d)
	return ctx.Err()
}

// A reply is what a server does with one request.
type reply func(http.ResponseWriter, *http.Request)

func answer(status int, body string, headers ...string) reply {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// half ends it in the middle of one.
func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, `{"id": 1`)
}

// A service answers by a script, its last reply again and again, and remembers what arrived.
type service struct {
	*httptest.Server
	mu   sync.Mutex
	got  []string // method, path and query
	sent []string // bodies
	at   []time.Time
}

func serve(t *testing.T, c *clock, script ...reply) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("%s came without its token", r.URL)
		}
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.got = append(s.got, r.Method+" "+r.URL.RequestURI())
		s.sent = append(s.sent, string(body))
		s.at = append(s.at, c.Now())
		n := min(len(s.got), len(script)) - 1
		s.mu.Unlock()
		script[n](w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) calls() []string    { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.got) }
func (s *service) bodies() []string   { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.sent) }
func (s *service) times() []time.Time { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.at) }

// once is a transport that never repeats a call on a fresh connection by itself.
func once() http.RoundTripper { return &http.Transport{DisableKeepAlives: true} }

func client(t *testing.T, s *service, c *clock, change func(*Options)) *Client {
	t.Helper()
	o := Options{API: s.URL, Repository: "rastup/platform", Token: token, Transport: once(), Clock: c}
	if change != nil {
		change(&o)
	}
	made, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// kind is how an error is to be taken.
func kind(err error) string {
	var no *rotation.Failure
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, ErrUnknown):
		return "unknown"
	case errors.Is(err, ErrReadOnly):
		return "read-only"
	case errors.As(err, &no):
		return "refused"
	}
	return "not done"
}

func TestEveryErrorSaysWhatWasTriedAndNothingItMustNot(t *testing.T) {
	message := func(s string) string {
		b, _ := json.Marshal(map[string]string{"message": s, "documentation_url": "https://docs.github.com/rest"})
		return string(b)
	}
	var text strings.Builder
	for _, tt := range []struct {
		name  string
		reply reply
	}{
		{"token unknown", answer(401, message("Bad credentials"))},
		{"permission lacks", answer(403, message("Resource not accessible by integration"))},
		{"archived", answer(403, message("Repository was archived so is read-only."))},
		{"not there", answer(404, message("Not Found"))},
		{"deleted", answer(410, message("This issue was deleted"))},
		{"invalid", answer(422, `{"message":"Validation Failed","errors":[{"resource":"Issue","field":"title","code":"missing_field"},{"code":"custom","message":"body is too long"}]}`)},
		{"hostile message", answer(422, message("a\r\n::error::b\x1b[31m \u202ec "+token+" "+strings.Repeat("long ", 99)))},
		{"page of a proxy", answer(418, "<html>"+token+" and more</html>")},
		{"proxy in the way", answer(502, "<html>"+token+"</html>")},
		{"no JSON", answer(200, "<html>"+token)},
		{"connection lost", cut},
		{"answer broken off", half},
		{"limited for long", answer(429, message("slow down"), "Retry-After", "3600")},
		{"neither yes nor no", answer(304, "")},
		{"redirected elsewhere", answer(302, "", "Location", "http://"+token+"@elsewhere.test/x?"+token)},
	} {
		for _, call := range []struct {
			name string
			do   func(context.Context, *Client) error
		}{
			{"read", func(ctx context.Context, c *Client) error { _, err := c.Reviews(ctx, 7); return err }},
			{"create", func(ctx context.Context, c *Client) error { _, err := c.CreateComment(ctx, 7, "text"); return err }},
			{"edit", func(ctx context.Context, c *Client) error { return c.EditComment(ctx, 8, "text") }},
		} {
			k := newClock()
			err := call.do(t.Context(), client(t, serve(t, k, tt.reply), k, nil))
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), token) {
				t.Errorf("%s: the token shows", tt.name)
			}
			fmt.Fprintf(&text, "%s, %s: %s\n", tt.name, call.name, kind(err))
			if err != nil {
				fmt.Fprintf(&text, "  %v\n", err)
			}
			var no *rotation.Failure
			if errors.As(err, &no) {
				fmt.Fprintf(&text, "  hint: %s\n", no.Hint)
			}
		}
	}
	goldentest.Equal(t, "errors.txt", text.String())
}

func TestNewRefusesWhatCannotBe(t *testing.T) {
	for name, o := range map[string]Options{
		"no clock":                   {Repository: "a/b"},
		"no repository":              {Clock: newClock()},
		"repository with more parts": {Clock: newClock(), Repository: "a/b/c"},
		"repository that climbs":     {Clock: newClock(), Repository: "../b"},
		"API over http":              {Clock: newClock(), Repository: "a/b", API: "http://github.example"},
		"API with a password":        {Clock: newClock(), Repository: "a/b", API: "https://a:b@github.example"},
		"API that is none":           {Clock: newClock(), Repository: "a/b", API: "::"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, api := range []string{"", "https://github.example/api/v3", "http://127.0.0.1:80/", "http://localhost:1", "http://[::1]:1"} {
		if _, err := New(Options{Clock: newClock(), Repository: "a/b", API: api}); err != nil {
			t.Errorf("%q: %v", api, err)
		}
	}
}

func TestACallOfAnotherRepositoryMustBeAboutOne(t *testing.T) {
	k := newClock()
	s := serve(t, k, answer(200, "{}"))
	c := client(t, s, k, nil)
	for _, bad := range []string{"", "a", "a/..", "../a", "a/b/c", "a/b?c"} {
		if _, err := c.In(bad).Issue(t.Context(), 1); kind(err) != "refused" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := c.Content(t.Context(), "../../x/y", "main"); kind(err) != "refused" {
		t.Errorf("a path that climbs: %v", err)
	}
	if len(s.calls()) > 0 {
		t.Errorf("called %q", s.calls())
	}
	if _, err := c.In("rastup/tickets").Issue(t.Context(), 1); err != nil || s.calls()[0] != "GET /repos/rastup/tickets/issues/1" {
		t.Errorf("%v, called %q", err, s.calls())
	}
}
