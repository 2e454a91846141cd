// Package jira is a small Jira inside the process: issues, comments and transitions over real HTTP, as far as approval
// tickets need, by version 2 of its REST API. It is a site of Jira Cloud or of Data Center: they differ in how one signs in,
// what a wrong token gets, how accounts are named, and in whether a comment comes back as it was sent.
//
// Paths, fields and statuses are those of "The Jira Cloud platform REST API" v2 (developer.atlassian.com) and of the Data
// Center reference; the texts of refusals are Jira's own. It must never answer a path it doesn't know, and never be friendlier
// than Jira.
package jira

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// ErrLost, returned from a Fail hook, lets the call have its effect and cuts the connection instead of answering.
var ErrLost = errors.New("the answer is lost")

// ErrCut cuts the connection before the call has an effect: a site that is down.
var ErrCut = errors.New("nobody answers")

// A Call is one request.
type Call struct{ Method, Path string }

// An Error is a refusal.
type Error struct {
	Status   int
	Messages []string
	Errors   map[string]string // by field
	After    string            // Retry-After
	Text     string            // instead of JSON
}

func (e *Error) Error() string { return fmt.Sprintf("%d %v %v", e.Status, e.Messages, e.Errors) }

// Broken is a server, or what stands before it, in trouble.
func Broken(status int) *Error {
	return &Error{Status: status, Text: "<html>upstream connect error</html>"}
}

// Throttled is Jira's answer to who asks too fast.
func Throttled(seconds int) *Error {
	return &Error{Status: http.StatusTooManyRequests, Messages: []string{"Rate limit exceeded."}, After: fmt.Sprint(seconds)}
}

// A Status of the workflow.
type Status struct{ ID, Name, Category string } // Category: new, indeterminate, done

// A Transition of the workflow.
type Transition struct {
	ID, Name string
	From     []string // statuses; nil: all but To
	To       string   // status
	Fields   []Field  // of its screen
}

// A Field of a transition's screen.
type Field struct {
	ID, Name string
	Required bool
	Default  bool
	Allowed  []string
}

// A Comment of an issue.
type Comment struct {
	ID, Author, Body string // Author: an account
	Created          time.Time
}

// An Issue of the site.
type Issue struct {
	Key, Summary, Status string
	Resolution           string
	Comments             []Comment
	Moves                []string // transitions it has been through, by whom
}

// Service is one site. Safe for concurrent use.
type Service struct {
	clock wire.Clock
	cloud bool

	mu          sync.Mutex
	users       map[string]string // account by what it signs in with
	statuses    []Status
	transitions []Transition
	issues      []*Issue
	comments    int
	fail        func(Call) error
	calls       []Call
	unknown     []string
}

// New is a site with the workflow that a new project has: To Do, In Progress, Done, and a transition to each from all.
func New(clock wire.Clock, cloud bool) *Service {
	s := &Service{clock: clock, cloud: cloud, users: map[string]string{}, comments: 10000}
	s.statuses = []Status{{"10000", "To Do", "new"}, {"3", "In Progress", "indeterminate"}, {"10001", "Done", "done"}}
	s.transitions = []Transition{{ID: "11", Name: "To Do", To: "To Do"}, {ID: "21", Name: "In Progress", To: "In Progress"}, {ID: "31", Name: "Done", To: "Done"}}
	return s
}

// Workflow is another one.
func (s *Service) Workflow(statuses []Status, transitions []Transition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statuses, s.transitions = statuses, transitions
}

// AddUser lets an account in: with address and API token on Cloud, with a personal access token alone on Data Center.
func (s *Service) AddUser(account, address, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cloud {
		s.users["Basic "+address+":"+token] = account
	} else {
		s.users["Bearer "+token] = account
	}
}

// Revoke lets nobody in any more.
func (s *Service) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = map[string]string{}
}

// Open is a person who opens an issue.
func (s *Service) Open(key, summary string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issues = append(s.issues, &Issue{Key: key, Summary: summary, Status: s.statuses[0].Name})
}

// Set is a person who moves an issue on the board, whatever the workflow says.
func (s *Service) Set(key, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.find(key); x != nil {
		x.Status, x.Moves = status, append(x.Moves, "by hand: "+status)
	}
}

// Say is a person who comments.
func (s *Service) Say(key, account, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.find(key); x != nil {
		s.say(x, account, body)
	}
}

// Issue is how one stands.
func (s *Service) Issue(key string) Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.find(key)
	if x == nil {
		return Issue{}
	}
	shown := *x
	shown.Comments, shown.Moves = slices.Clone(x.Comments), slices.Clone(x.Moves)
	return shown
}

// Fail asks f about every call before it has any effect: an *Error is the answer as it is, ErrLost and ErrCut cut the
// connection after and before that. nil lets it pass.
func (s *Service) Fail(f func(Call) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// Calls are all calls so far.
func (s *Service) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Unknown are the calls that this Jira doesn't know.
func (s *Service) Unknown() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.unknown)
}

func (s *Service) find(key string) *Issue {
	i := slices.IndexFunc(s.issues, func(x *Issue) bool { return strings.EqualFold(x.Key, key) })
	if i < 0 {
		return nil
	}
	return s.issues[i]
}

func (s *Service) say(x *Issue, account, body string) Comment {
	s.comments++
	c := Comment{ID: fmt.Sprint(s.comments), Author: account, Body: body, Created: s.clock.Now()}
	x.Comments = append(x.Comments, c)
	return c
}

// ServeHTTP is the site at its root.
func (s *Service) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, 1<<20))
	if err != nil {
		return
	}
	call := Call{in.Method, in.URL.Path}
	s.mu.Lock()
	s.calls = append(s.calls, call)
	fail := s.fail
	s.mu.Unlock()
	var injected error
	if fail != nil {
		injected = fail(call)
	}
	status, v := 0, any(nil)
	var e *Error
	switch {
	case injected == nil, errors.Is(injected, ErrLost):
		s.mu.Lock()
		status, v, e = s.act(in, body)
		s.mu.Unlock()
	case !errors.As(injected, &e):
		panic(http.ErrAbortHandler) // net/http's way to cut a connection; the server doesn't log it
	}
	if errors.Is(injected, ErrLost) {
		panic(http.ErrAbortHandler)
	}
	if e != nil {
		e.write(out)
		return
	}
	out.Header().Set("Content-Type", "application/json;charset=UTF-8")
	out.WriteHeader(status)
	if v != nil {
		_ = json.NewEncoder(out).Encode(v)
	}
}

func (e *Error) write(out http.ResponseWriter) {
	if e.After != "" {
		out.Header().Set("Retry-After", e.After)
	}
	if e.Text != "" {
		out.Header().Set("Content-Type", "text/html")
		out.WriteHeader(e.Status)
		_, _ = io.WriteString(out, e.Text)
		return
	}
	out.Header().Set("Content-Type", "application/json;charset=UTF-8")
	out.WriteHeader(e.Status)
	messages, fields := e.Messages, e.Errors
	if messages == nil {
		messages = []string{}
	}
	if fields == nil {
		fields = map[string]string{}
	}
	_ = json.NewEncoder(out).Encode(map[string]any{"errorMessages": messages, "errors": fields})
}
