package notice_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/jira"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/ticket"
	text "github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/report/wiki"
	"github.com/rastup/rekey/internal/sandbox"
	hub "github.com/rastup/rekey/internal/sandbox/github"
	site "github.com/rastup/rekey/internal/sandbox/jira"
)

// A fate is what becomes of one call.
type fate int

const (
	arrives fate = iota
	cut          // before it has an effect
	lost         // after
	refused      // by the service: 403
)

// A path leads to a service within the process, and decides what becomes of each call.
type path struct {
	to    http.Handler
	fate  func(method string) fate
	calls []string
}

func (p *path) RoundTrip(req *http.Request) (res *http.Response, err error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	f := arrives
	if p.fate != nil {
		f = p.fate(req.Method)
	}
	switch f {
	case cut:
		return nil, io.ErrUnexpectedEOF
	case refused:
		return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"message":"no"}`)), Request: req}, nil
	}
	p.calls = append(p.calls, req.Method+" "+req.URL.Path)
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	p.to.ServeHTTP(out, in)
	if f == lost || req.Context().Err() != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return out.Result(), nil
}

func (p *path) changes(since int) (n int) {
	for _, c := range p.calls[since:] {
		if !strings.HasPrefix(c, "GET ") {
			n++
		}
	}
	return n
}

// A place is a service that keeps tickets, as its people and as the program use it.
type place struct {
	*path
	clock   *sandbox.Clock
	open    func() (name string)
	hand    func(name string, closed bool) // a person closes it, or opens it again
	say     func(name, body string)        // another person comments
	closed  func(name string) bool
	bodies  func(name string) []string // by the program
	forbid  func(bool)                 // closing
	tracker func() ticket.Tracker      // of a new process
	missing string                     // a name that isn't there
	of      func(key int) ticket.Rotation
	parse   func(body string) (key string, left, ok bool)
}

func atGitHub(t *testing.T) *place {
	clock := sandbox.NewClock(reporttest.Monday)
	s := hub.New(clock, hub.Options{Repository: repository, Limits: hub.Limits{PerHour: -1}})
	s.AddUser(bot, "", true)
	s.AddUser("ana-sec", "write", false)
	s.AddUser("eve", "read", false)
	s.AddToken("token", bot, map[string]string{"issues": "write"})
	p := &place{path: &path{to: s.Handler()}, clock: clock, missing: repository + "#404", parse: text.ParseTicket, of: func(i int) ticket.Rotation { return summaries()[i] }}
	number := func(name string) (n int) {
		_, _ = fmt.Sscanf(name, repository+"#%d", &n)
		return n
	}
	p.open = func() string { return fmt.Sprintf("%s#%d", repository, s.OpenIssue("ana-sec", "Rotate", "please")) }
	p.hand = func(name string, closed bool) {
		if closed {
			s.Close(number(name), "ana-sec")
		} else {
			s.Reopen(number(name), "ana-sec")
		}
	}
	p.say = func(name, body string) { s.Say(number(name), "eve", body) }
	p.closed = func(name string) bool {
		return slices.ContainsFunc(s.Issues(), func(i hub.Issue) bool { return i.Number == number(name) && i.State == "closed" })
	}
	p.bodies = func(name string) (all []string) {
		for _, c := range s.Comments(number(name)) {
			if c.Author == bot {
				all = append(all, c.Body)
			}
		}
		return all
	}
	forbidden := false
	p.forbid = func(yes bool) { forbidden = yes }
	var inner func(string) fate
	p.tracker = func() ticket.Tracker {
		inner = p.fate
		c, err := github.New(github.Options{API: "http://127.0.0.1", Repository: repository, Token: "token", Clock: clock, Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			if forbidden && req.Method == http.MethodPatch && strings.Contains(req.URL.Path, "/issues/") && !strings.Contains(req.URL.Path, "/comments/") {
				p.fate = func(string) fate { return refused }
				defer func() { p.fate = inner }()
			}
			return p.RoundTrip(req)
		})})
		if err != nil {
			t.Fatal(err)
		}
		return &ticket.GitHub{Home: repository, Bot: bot, In: func(name string) ticket.Repository { return c.In(name) }}
	}
	return p
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func atJira(cloud bool) func(t *testing.T) *place {
	return func(t *testing.T) *place {
		clock := sandbox.NewClock(reporttest.Monday)
		s := site.New(clock, cloud)
		s.AddUser("rekey", "rekey@example.com", "token")
		p := &place{path: &path{to: s}, clock: clock, missing: "SEC-404", parse: wiki.ParseSummary, of: func(i int) ticket.Rotation { return inJira(i) }}
		n := 0
		p.open = func() string {
			n++
			key := fmt.Sprintf("SEC-%d", n)
			s.Open(key, "Rotate")
			return key
		}
		p.hand = func(name string, closed bool) {
			s.Set(name, map[bool]string{true: "Done", false: "In Progress"}[closed])
		}
		p.say = func(name, body string) { s.Say(name, "eve", body) }
		p.closed = func(name string) bool { return s.Issue(name).Status == "Done" }
		p.bodies = func(name string) (all []string) {
			for _, c := range s.Issue(name).Comments {
				if c.Author == "rekey" {
					all = append(all, c.Body)
				}
			}
			return all
		}
		p.forbid = func(yes bool) {
			statuses := []site.Status{{ID: "1", Name: "To Do", Category: "new"}, {ID: "2", Name: "In Progress", Category: "indeterminate"}, {ID: "3", Name: "Done", Category: "done"}}
			moves := []site.Transition{{ID: "21", Name: "In Progress", To: "In Progress"}, {ID: "31", Name: "Done", To: "Done"}}
			if yes {
				moves = moves[:1]
			}
			s.Workflow(statuses, moves)
		}
		p.tracker = func() ticket.Tracker { return jiraAt(t, p, clock, cloud) }
		t.Cleanup(func() {
			if l := s.Unknown(); len(l) > 0 {
				t.Errorf("the sandbox doesn't know %v", l)
			}
		})
		return p
	}
}

func jiraAt(t *testing.T, to http.RoundTripper, clock jira.Clock, cloud bool) *ticket.Jira {
	t.Helper()
	o := jira.Options{URL: "http://127.0.0.1", Token: "token", Clock: clock, Transport: to}
	if cloud {
		o.User = "rekey@example.com"
	}
	c, err := jira.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &ticket.Jira{Site: c, Discussion: c, Browse: c.Browse, Transition: "done", Known: func(string) bool { return true }}
}

func inJira(i int) ticket.Rotation {
	views, _ := played(2, 46*time.Hour)
	key := text.TicketKey(views[i])
	return ticket.Rotation{Closed: ticket.Summary{Key: key, Text: wiki.Summary(views[i], key, false, wiki.Options{})},
		Left: ticket.Summary{Key: key, Left: true, Text: wiki.Summary(views[i], key, true, wiki.Options{})}}
}

// k is a ticket of as many rotations as there are in over.
func (p *place) k(name string, over ...bool) ticket.Ticket {
	k := ticket.Ticket{Name: name}
	for i, is := range over {
		r := p.of(i)
		r.Over = is
		k.Rotations = append(k.Rotations, r)
	}
	return k
}

// pass is one process that looks at these tickets.
func (p *place) pass(ctx context.Context, all ...ticket.Ticket) (notice.Tally, []string, error) {
	p.clock.Move(2 * time.Minute)
	w := &ticket.Projector{Tracker: p.tracker()}
	return w.Write(ctx, all)
}

// right runs processes until one has nothing to do, and holds that the next writes nothing.
func (p *place) right(t *testing.T, all ...ticket.Ticket) notice.Tally {
	t.Helper()
	for range 6 {
		_, _, err := p.pass(t.Context(), all...)
		before := len(p.calls)
		tally, untold, again := p.pass(t.Context(), all...)
		if err == nil && again == nil && !tally.Again && p.changes(before) == 0 {
			if tally.Writes() != 0 || len(untold) > 0 {
				t.Fatalf("a pass without a write counts %+v, %v", tally, untold)
			}
			return tally
		}
	}
	t.Fatal("it doesn't come right")
	return notice.Tally{}
}

// is holds the ticket against what it should be: each summary once.
func (p *place) is(t *testing.T, name string, closed bool, summaries, left int) {
	t.Helper()
	if p.closed(name) != closed {
		t.Errorf("%s: closed is %v", name, !closed)
	}
	keys, open := map[string]bool{}, 0
	for _, b := range p.bodies(name) {
		key, l, ok := p.parse(b)
		if !ok || keys[key] {
			t.Errorf("%s: no summary, or a second one:\n%s", name, b)
		}
		if keys[key] = true; l {
			open++
		}
	}
	if len(keys) != summaries || open != left {
		t.Errorf("%s has %d summaries, %d of them left open; want %d, %d", name, len(keys), open, summaries, left)
	}
}

var places = map[string]func(*testing.T) *place{"GitHub": atGitHub, "Jira Cloud": atJira(true), "Jira Data Center": atJira(false)}

// Whoever keeps tickets, this is what becomes of them.
var conformance = map[string]func(t *testing.T, p *place){
	"is found, told and closed, then left alone": func(t *testing.T, p *place) {
		n := p.open()
		seen, err := p.tracker().Find(t.Context(), n)
		if err != nil || seen.Closed || seen.Title != "Rotate" || seen.Status == "" || seen.URL == "" {
			t.Errorf("%+v, %v", seen, err)
		}
		p.right(t, p.k(n, true))
		p.is(t, n, true, 1, 0)
		if seen, err = p.tracker().Find(t.Context(), n); err != nil || !seen.Closed {
			t.Errorf("%+v, %v", seen, err)
		}
	},
	"is missing": func(t *testing.T, p *place) {
		var none *ticket.None
		if _, err := p.tracker().Find(t.Context(), p.missing); !errors.As(err, &none) || none.Hint == "" {
			t.Errorf("%v", err)
		}
		tally := p.right(t, p.k(p.missing, true))
		if len(tally.Findings) != 1 || !strings.Contains(tally.Findings[0].Text, "there is no ticket "+p.missing) {
			t.Errorf("%+v", tally)
		}
	},
	"is closed before by a person": func(t *testing.T, p *place) {
		n := p.open()
		p.hand(n, true)
		p.right(t, p.k(n, true))
		p.is(t, n, true, 1, 0)
	},
	"waits for all that name it": func(t *testing.T, p *place) {
		n := p.open()
		p.right(t, p.k(n, false, false))
		p.is(t, n, false, 0, 0)
		p.right(t, p.k(n, true, false))
		p.is(t, n, false, 1, 0)
		p.right(t, p.k(n, true, true))
		p.is(t, n, true, 2, 0)
	},
	"stays open when a person opened it again": func(t *testing.T, p *place) {
		n := p.open()
		p.right(t, p.k(n, true))
		p.hand(n, false)
		p.right(t, p.k(n, true))
		p.is(t, n, false, 1, 0)
	},
	"stays open while a rotation went back, and is closed when that is done after all": func(t *testing.T, p *place) {
		n := p.open()
		k := p.k(n, true)
		k.Rotations[0].Back = true
		p.right(t, k)
		p.is(t, n, false, 1, 0)
		again := p.k(n, true, true) // the second stands for its next attempt, which has a key of its own
		again.Rotations = again.Rotations[1:]
		p.right(t, again)
		p.is(t, n, true, 2, 0)
	},
	"can't be closed yet": func(t *testing.T, p *place) {
		n := p.open()
		p.forbid(true)
		for range 2 { // said once, found each time
			tally := p.right(t, p.k(n, true, true))
			if len(tally.Findings) != 1 || !strings.Contains(tally.Findings[0].Text, "isn't closed") || tally.Findings[0].Hint == "" {
				t.Errorf("%+v", tally)
			}
			p.is(t, n, false, 2, 2)
		}
		p.forbid(false)
		if tally := p.right(t, p.k(n, true, true)); len(tally.Findings) > 0 {
			t.Errorf("%+v", tally)
		}
		p.is(t, n, true, 2, 0)
		p.hand(n, false)
		p.right(t, p.k(n, true, true))
		p.is(t, n, false, 2, 0)
	},
	"couldn't be closed, and another rotation names it now": func(t *testing.T, p *place) {
		n := p.open()
		p.forbid(true)
		p.right(t, p.k(n, true))
		p.forbid(false)
		p.right(t, p.k(n, true, false))
		p.is(t, n, false, 1, 1)
		p.right(t, p.k(n, true, true))
		p.is(t, n, true, 2, 0)
	},
	"couldn't be closed, and a person did": func(t *testing.T, p *place) {
		n := p.open()
		p.forbid(true)
		p.right(t, p.k(n, true))
		p.hand(n, true)
		p.right(t, p.k(n, true))
		p.is(t, n, true, 1, 0)
	},
	"is told whatever call a process dies at": func(t *testing.T, p *place) {
		for _, f := range []fate{cut, lost} {
			for at := 1; ; at++ {
				n, calls := p.open(), 0
				ctx, die := context.WithCancel(t.Context())
				p.fate = func(string) fate {
					if calls++; calls == at {
						die()
						return f
					}
					return arrives
				}
				_, _, _ = p.pass(ctx, p.k(n, true, true))
				p.fate = nil
				die()
				p.right(t, p.k(n, true, true))
				p.is(t, n, true, 2, 0)
				if t.Failed() || calls < at {
					break
				}
			}
		}
	},
	"is told whichever answer is lost": func(t *testing.T, p *place) {
		for at := 1; ; at++ {
			n, changes := p.open(), 0
			p.fate = func(method string) fate {
				if method != http.MethodGet {
					if changes++; changes == at {
						return lost
					}
				}
				return arrives
			}
			if tally, untold, err := p.pass(t.Context(), p.k(n, true, true)); err != nil || len(untold) > 0 {
				t.Errorf("answer %d is lost, and that is taken for a no: %+v, %v, %v", at, tally, untold, err)
			}
			p.fate = nil
			p.right(t, p.k(n, true, true))
			p.is(t, n, true, 2, 0)
			if t.Failed() || changes < at {
				break
			}
		}
	},
	"is told by the next run when nobody answers": func(t *testing.T, p *place) {
		n, m := p.open(), p.open()
		p.fate = func(string) fate { return cut }
		_, untold, err := p.pass(t.Context(), p.k(n, true), p.k(m, true))
		if err == nil || !slices.Equal(untold, []string{n, m}) || !strings.Contains(err.Error(), "the next run tells it") {
			t.Errorf("%q, %v", untold, err)
		}
		var none *ticket.None
		if _, err := p.tracker().Find(t.Context(), n); err == nil || errors.As(err, &none) {
			t.Errorf("nobody answers, and it is said to be missing: %v", err)
		}
		p.fate = nil
		p.right(t, p.k(n, true), p.k(m, true))
		p.is(t, n, true, 1, 0)
		p.is(t, m, true, 1, 0)
	},
	"isn't told by another's words": func(t *testing.T, p *place) {
		n := p.open()
		p.say(n, p.of(0).Closed.Text)
		p.right(t, p.k(n, true))
		p.is(t, n, true, 1, 0)
	},
}

func TestTicketsWhereverTheyAreKept(t *testing.T) {
	for where, at := range places {
		for what, holds := range conformance {
			t.Run(where+" "+what, func(t *testing.T) { holds(t, at(t)) })
		}
	}
}
