package jira_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/rastup/rekey/internal/jira"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/jira"
)

const token = "ATATT3xFfGF0-not-a-real-token"

type bench struct {
	*jira.Service
	clock *sandbox.Clock
	url   string
	c     *client.Client
}

func newBench(t *testing.T, cloud bool) *bench {
	t.Helper()
	clock := sandbox.NewClock(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))
	s := jira.New(clock, cloud)
	s.AddUser("rekey", "rekey@example.com", token)
	s.Open("SEC-1", "Rotate")
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	b := &bench{Service: s, clock: clock, url: server.URL}
	b.c = b.as(t, cloud, token)
	return b
}

func (b *bench) as(t *testing.T, cloud bool, token string) *client.Client {
	t.Helper()
	o := client.Options{URL: b.url, Token: token, Clock: b.clock}
	if cloud {
		o.User = "rekey@example.com"
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (b *bench) count(call string) (n int) {
	for _, c := range b.Calls() {
		if c.Method+" "+c.Path == call {
			n++
		}
	}
	return n
}

// The client's calls are those that the sandbox knows, and a comment can be said, read, edited and deleted.
func TestACommentsLife(t *testing.T) {
	for _, cloud := range []bool{true, false} {
		b, ctx := newBench(t, cloud), t.Context()
		made, err := b.c.Comment(ctx, "SEC-1", "one")
		if err != nil || made.Body != "one" || !made.Created.Equal(b.clock.Now()) {
			t.Fatalf("%+v, %v", made, err)
		}
		self, err := b.c.Self(ctx)
		if err != nil || self != made.Author || self == "" {
			t.Errorf("%q wrote what %q said: %v", self, made.Author, err)
		}
		if err := b.c.EditComment(ctx, "SEC-1", made.ID, "two"); err != nil || b.Issue("SEC-1").Comments[0].Body != "two" {
			t.Errorf("%v, %+v", err, b.Issue("SEC-1"))
		}
		for range 2 { // gone is what was wanted
			if err := b.c.DeleteComment(ctx, "SEC-1", made.ID); err != nil || len(b.Issue("SEC-1").Comments) > 0 {
				t.Errorf("%v, %+v", err, b.Issue("SEC-1"))
			}
		}
		if u := b.Unknown(); len(u) > 0 {
			t.Errorf("the sandbox doesn't know %q", u)
		}
	}
}

func TestAllCommentsAreRead(t *testing.T) {
	b := newBench(t, true)
	for i := range 250 {
		b.Say("SEC-1", "li", fmt.Sprint(i))
	}
	all, err := b.c.Comments(t.Context(), "SEC-1")
	if err != nil || len(all) != 250 || all[249].Body != "249" {
		t.Errorf("%d, %v", len(all), err)
	}
}

func TestAnIssueIsMissingOnlyForWhoIsKnown(t *testing.T) {
	for _, cloud := range []bool{true, false} {
		b, ctx := newBench(t, cloud), t.Context()
		if _, err := b.c.Issue(ctx, "SEC-9"); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("cloud %v: an account that is known: %v", cloud, err)
		}
		var no *rotation.Failure
		for _, key := range []string{"SEC-1", "SEC-9"} {
			_, err := b.as(t, cloud, "another").Issue(ctx, key)
			if err == nil || errors.Is(err, client.ErrNotFound) || errors.As(err, &no) || !strings.Contains(err.Error(), "doesn't take the token") {
				t.Errorf("cloud %v: a token that isn't taken: %v", cloud, err)
			}
		}
	}
}

func TestAMove(t *testing.T) {
	b, ctx := newBench(t, true), t.Context()
	all, err := b.c.Transitions(ctx, "SEC-1")
	i := slices.IndexFunc(all, func(t client.Transition) bool { return t.Name == "Done" })
	if err != nil || i < 0 || !all[i].Done {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := b.c.Move(ctx, "SEC-1", all[i].ID, ""); err != nil {
		t.Error(err)
	}
	x, err := b.c.Issue(ctx, "SEC-1")
	if err != nil || x.Status != "Done" || !x.Done || x.Summary != "Rotate" {
		t.Errorf("%+v, %v", x, err)
	}
	var no *rotation.Failure
	if err := b.c.Move(ctx, "SEC-1", all[i].ID, ""); !errors.As(err, &no) || strings.Contains(err.Error(), "not valid") {
		t.Errorf("a second time: %v", err)
	}
}

// What can be repeated is; what can't says that it may have happened, and is sent once.
func TestTrouble(t *testing.T) {
	const issue, comments, comment, moves = "/rest/api/2/issue/SEC-1", "/rest/api/2/issue/SEC-1/comment", "/rest/api/2/issue/SEC-1/comment/10001", "/rest/api/2/issue/SEC-1/transitions"
	do := map[string]func(context.Context, *client.Client) error{
		"GET " + issue:      func(ctx context.Context, c *client.Client) error { _, err := c.Issue(ctx, "SEC-1"); return err },
		"GET " + comments:   func(ctx context.Context, c *client.Client) error { _, err := c.Comments(ctx, "SEC-1"); return err },
		"POST " + comments:  func(ctx context.Context, c *client.Client) error { _, err := c.Comment(ctx, "SEC-1", "x"); return err },
		"PUT " + comment:    func(ctx context.Context, c *client.Client) error { return c.EditComment(ctx, "SEC-1", "10001", "x") },
		"DELETE " + comment: func(ctx context.Context, c *client.Client) error { return c.DeleteComment(ctx, "SEC-1", "10001") },
		"POST " + moves:     func(ctx context.Context, c *client.Client) error { return c.Move(ctx, "SEC-1", "31", "") },
	}
	for call, f := range do {
		posts := strings.HasPrefix(call, "POST")
		for name, fault := range map[string]error{"502": jira.Broken(502), "503": jira.Broken(503), "cut": jira.ErrCut, "lost": jira.ErrLost} {
			b := newBench(t, true)
			b.Say("SEC-1", "rekey", "first")
			first := true
			b.Fail(func(jira.Call) error {
				if first {
					first = false
					return fault
				}
				return nil
			})
			err := f(t.Context(), b.c)
			if posts != errors.Is(err, client.ErrUnknown) || !posts && err != nil {
				t.Errorf("%s, %s: %v", call, name, err)
			}
			if n := b.count(call); n > 1 == posts {
				t.Errorf("%s, %s: sent %d times", call, name, n)
			}
		}
		b := newBench(t, true)
		b.Say("SEC-1", "rekey", "first")
		n := 0
		b.Fail(func(jira.Call) error {
			if n++; n <= 2 {
				return jira.Throttled(20)
			}
			return nil
		})
		before := b.clock.Now()
		if err := f(t.Context(), b.c); err != nil || b.clock.Now().Sub(before) != 40*time.Second {
			t.Errorf("%s, too fast: %v after %v", call, err, b.clock.Now().Sub(before))
		}
		b.Fail(func(jira.Call) error { return jira.Throttled(50) })
		if err := f(t.Context(), b.c); err == nil || errors.Is(err, client.ErrUnknown) {
			t.Errorf("%s, too fast for long: %v", call, err)
		}
	}
}

func TestASiteThatIsDownIsntAskedForEver(t *testing.T) {
	b, ctx := newBench(t, true), t.Context()
	b.Fail(func(jira.Call) error { return jira.Broken(503) })
	for range 20 {
		if _, err := b.c.Issue(ctx, "SEC-1"); err == nil {
			t.Fatal("a site that is down answers")
		}
	}
	if n := len(b.Calls()); n != 9 {
		t.Errorf("%d calls", n)
	}
	b.Fail(nil)
	if _, err := b.as(t, true, token).Issue(ctx, "SEC-1"); err != nil {
		t.Errorf("the next process: %v", err)
	}
	for range 9 { // an issue that isn't there is an answer
		if _, err := b.as(t, true, token).Issue(ctx, "SEC-9"); !errors.Is(err, client.ErrNotFound) {
			t.Error(err)
		}
	}
}

// A token goes to Jira and nowhere else: not along a redirect, and into no error. An answer that isn't Jira's isn't believed.
func TestWhatAnswersInJirasPlace(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was followed") }))
	defer elsewhere.Close()
	for name, h := range map[string]http.HandlerFunc{
		"sign-on": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"page":    func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>"+r.Header.Get("Authorization")) },
		"empty":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") },
		"captcha": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			fmt.Fprint(w, r.Header.Get("Authorization"))
		},
		"teapot": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(418)
			fmt.Fprint(w, r.Header.Get("Authorization"))
		},
		"too much": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 17<<20)) },
	} {
		server := httptest.NewServer(h)
		b := &bench{clock: sandbox.NewClock(time.Unix(0, 0)), url: server.URL}
		for _, cloud := range []bool{true, false} {
			_, err := b.as(t, cloud, token).Issue(t.Context(), "SEC-1")
			if err == nil || errors.Is(err, client.ErrNotFound) || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "Basic") {
				t.Errorf("%s: %v", name, err)
			}
			_, err = b.as(t, cloud, token).Self(t.Context())
			if err == nil || strings.Contains(err.Error(), token) {
				t.Errorf("%s: %v", name, err)
			}
		}
		server.Close()
	}
}

func TestAKeyLeadsToNoOtherAddress(t *testing.T) {
	b := newBench(t, true)
	for _, key := range []string{"..", ".", "", "SEC-1/transitions", "../../../secure", "SEC-1?x=y", "SEC-1#x"} {
		if _, err := b.c.Issue(t.Context(), key); err == nil {
			t.Errorf("%q is an issue", key)
		}
	}
	for _, c := range b.Calls() {
		if !strings.HasPrefix(c.Path, "/rest/api/2/issue/") && c.Path != "/rest/api/2/myself" {
			t.Errorf("%s %s", c.Method, c.Path)
		}
	}
}

func TestWhereIssuesAreRead(t *testing.T) {
	for url, want := range map[string]string{"https://acme.atlassian.net": "https://acme.atlassian.net/browse/SEC-1", "https://acme.example/jira/": "https://acme.example/jira/browse/SEC-1",
		"https://api.atlassian.com/ex/jira/1-2-3": ""} {
		c, err := client.New(client.Options{URL: url, Token: "x", Clock: sandbox.NewClock(time.Unix(0, 0))})
		if err != nil || c.Browse("SEC-1") != want {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestTheSandboxRefusesWhatJiraRefuses(t *testing.T) {
	b := newBench(t, true)
	b.Workflow([]jira.Status{{ID: "1", Name: "Open", Category: "new"}, {ID: "2", Name: "Closed", Category: "done"}}, []jira.Transition{
		{ID: "5", Name: "Close", To: "Closed", Fields: []jira.Field{{ID: "resolution", Name: "Resolution", Required: true, Allowed: []string{"Done"}}}}})
	b.Say("SEC-1", "li", "mine")
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "issue/SEC-2", "", 404, "Issue does not exist or you do not have permission to see it."},
		{"POST", "issue/SEC-1/comment", `{"body":""}`, 400, "can not be empty"},
		{"POST", "issue/SEC-1/comment", `{"body":{"type":"doc"}}`, 400, "not valid"},
		{"POST", "issue/SEC-1/comment", `{"body":"` + strings.Repeat("x", 32768) + `"}`, 400, "allowed limit of 32,767 characters"},
		{"POST", "issue/SEC-1/comment", `{`, 400, "parsing JSON"},
		{"PUT", "issue/SEC-1/comment/10001", `{"body":"yours"}`, 400, "permission"},
		{"DELETE", "issue/SEC-1/comment/10001", "", 400, "permission"},
		{"DELETE", "issue/SEC-1/comment/7", "", 404, "Can not find a comment for the id: 7."},
		{"POST", "issue/SEC-1/transitions", `{}`, 400, "Missing 'transition' identifier"},
		{"POST", "issue/SEC-1/transitions", `{"transition":{"id":"6"}}`, 400, "Transition id '6' is not valid for this issue."},
		{"POST", "issue/SEC-1/transitions", `{"transition":{"id":"5"}}`, 400, "Resolution is required."},
		{"POST", "issue/SEC-1/transitions", `{"transition":{"id":"5"},"fields":{"resolution":{"name":"Never"}}}`, 400, "is not valid"},
		{"POST", "issue/SEC-1/transitions", `{"transition":{"id":"5"},"fields":{"assignee":{"name":"li"}}}`, 400, "cannot be set. It is not on the appropriate screen, or unknown."},
		{"POST", "issue/SEC-1/transitions", `{"transition":{"id":"5"},"fields":{"resolution":{"name":"Done"}}}`, 204, ""},
		{"POST", "issue", `{}`, 404, "null for uri"},
	} {
		req, _ := http.NewRequestWithContext(t.Context(), c.method, b.url+"/rest/api/2/"+c.path, strings.NewReader(c.body))
		req.SetBasicAuth("rekey@example.com", token)
		out := httptest.NewRecorder()
		b.ServeHTTP(out, req)
		if out.Code != c.status || !strings.Contains(out.Body.String(), c.says) {
			t.Errorf("%s %s %.60s: %d %s", c.method, c.path, c.body, out.Code, out.Body)
		}
	}
	if x := b.Issue("SEC-1"); x.Status != "Closed" || x.Resolution != "Done" || len(x.Comments) != 1 {
		t.Errorf("%+v", x)
	}
}
