package github

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrLost, returned from a Fail hook, lets the call have its effect and cuts the connection instead of answering.
var ErrLost = errors.New("the answer is lost")

// maxBody is more than any request the service takes may have.
const maxBody = 8 << 20

// A Call is one request whose token was accepted.
type Call struct {
	At     time.Time // by the world's clock
	Method string
	Path   string // without the query
	Route  string // as the API reference writes it: "POST /repos/{owner}/{repo}/issues"; "" of an unknown one
	Query  string
	Body   string
	Login  string // of the token; "" without one
	Status int    // of the answer; 0 while there is none
}

// An Error is a refusal in GitHub's shape; return one from a Fail hook to inject it.
type Error struct {
	Status  int
	Message string
	URL     string // documentation_url; "" is the API reference
	Errors  any    // of a 422: objects with resource, field, code, message, or texts
	Header  http.Header
}

func (e *Error) Error() string { return e.Message }

// Throttled is GitHub's answer to too many changes in too short a time, for a Fail hook.
func Throttled(wait time.Duration) *Error {
	return &Error{
		Status: http.StatusForbidden, Message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
		URL:    "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
		Header: http.Header{"Retry-After": {strconv.Itoa(int(wait / time.Second))}},
	}
}

// Broken is an error of GitHub's own, for a Fail hook.
func Broken(status int) *Error { return &Error{Status: status, Message: http.StatusText(status)} }

func notFound() *Error { return &Error{Status: http.StatusNotFound, Message: "Not Found"} }

// A request is one call on its way to a handler; s.mu is held while that runs.
type request struct {
	*Service
	in     *http.Request
	login  string
	token  *token
	args   map[string]string
	query  url.Values
	body   []byte
	header http.Header // of the answer
	base   string      // of the API's own addresses
}

// An answer is a status and what is written as JSON; nil is no body.
type answer struct {
	status int
	body   any
}

func ok(body any) (answer, error) { return answer{http.StatusOK, body}, nil }

// Handler is the REST API at its root, and the OIDC issuer below /_oidc/.
func (s *Service) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Service) serve(out http.ResponseWriter, in *http.Request) {
	if strings.HasPrefix(in.URL.Path, "/_oidc/") {
		s.serveOIDC(out, in)
		return
	}
	r := &request{in: in, query: in.URL.Query(), header: out.Header(), base: "http://" + in.Host}
	if in.TLS != nil {
		r.base = "https://" + in.Host
	}
	out.Header().Set("Date", s.now().Format(http.TimeFormat))
	out.Header().Set("Content-Type", "application/json; charset=utf-8")
	var err error
	if r.body, err = io.ReadAll(http.MaxBytesReader(out, in.Body, maxBody)); err != nil {
		write(out, answer{}, &Error{Status: http.StatusBadRequest, Message: "Problems parsing JSON"})
		return
	}
	if err := s.authenticate(r); err != nil {
		write(out, answer{}, err)
		return
	}
	found := match(in.Method, in.URL.EscapedPath())
	number, injected := s.arrive(r, found)
	a, err := answer{}, injected
	if err == nil || errors.Is(err, ErrLost) {
		a, err = s.act(r, found)
	}
	status := a.status
	if err != nil {
		status = refusal(err).Status
	}
	s.answered(number, status)
	if errors.Is(injected, ErrLost) {
		panic(http.ErrAbortHandler) // net/http's way to cut a connection; the server doesn't log it
	}
	write(out, a, err)
}

func (s *Service) authenticate(r *request) error {
	h := r.in.Header.Get("Authorization")
	if h == "" {
		return nil
	}
	_, text, _ := strings.Cut(h, " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[text]
	if t == nil {
		return &Error{Status: http.StatusUnauthorized, Message: "Bad credentials"}
	}
	r.token, r.login = t, t.login
	return nil
}

func (s *Service) arrive(r *request, found *matched) (number int, injected error) {
	c := Call{At: s.clock.Now().UTC(), Method: r.in.Method, Path: r.in.URL.Path, Query: r.in.URL.RawQuery, Body: string(r.body), Login: r.login}
	if found != nil {
		c.Route = found.method + " " + found.pattern
	}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	number, f := len(s.calls)-1, s.fail
	s.mu.Unlock()
	if f != nil {
		injected = f(c)
	}
	return number, injected
}

func (s *Service) answered(number, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[number].Status = status
}

// act decides in GitHub's order: limits, what can be seen, what is permitted, what is asked.
func (s *Service) act(r *request, found *matched) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.spend(r); err != nil {
		return answer{}, err
	}
	if found == nil {
		s.unknown = append(s.unknown, r.in.Method+" "+r.in.URL.Path)
		return answer{}, notFound()
	}
	r.args = found.args
	repo := s.repos[r.args["owner"]+"/"+r.args["repo"]]
	if repo == nil || !repo.public && (r.token == nil || r.token.permissions[repo.full()] == nil) {
		return answer{}, notFound()
	}
	r.Service = &Service{hub: s.hub, repo: repo}
	for name := range r.query {
		if !slices.Contains(strings.Fields(found.query+pages), name) {
			s.unknown = append(s.unknown, r.in.Method+" "+r.in.URL.Path+"?"+name)
			return answer{}, invalid("the sandbox doesn't serve the parameter " + name)
		}
	}
	if err := r.permitted(found.needs); err != nil {
		return answer{}, err
	}
	return found.do(r)
}

// permitted holds the token against "contents:read", or any of several. Metadata can always be read, and so can all
// of a public repository.
func (r *request) permitted(needs string) error {
	for need := range strings.FieldsSeq(needs) {
		name, level, _ := strings.Cut(need, ":")
		if name == "metadata" || level == "read" && r.repo.public || r.token.may(r.repo.full(), name, level) {
			return nil
		}
	}
	switch {
	case needs == "":
		return nil
	case r.token == nil:
		return &Error{Status: http.StatusUnauthorized, Message: "Requires authentication"}
	}
	return &Error{Status: http.StatusForbidden, Message: "Resource not accessible by integration"}
}

// into reads the body. What isn't JSON is refused as GitHub does.
func (r *request) into(v any) error {
	if len(r.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		return &Error{Status: http.StatusBadRequest, Message: "Problems parsing JSON"}
	}
	return nil
}

func (r *request) number(name string) int64 {
	n, err := strconv.ParseInt(r.args[name], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// page picks the asked page of a list and sets the Link header, as all lists do.
func page[T any](r *request, l []T) []T {
	per, at := 30, 1
	if n, err := strconv.Atoi(r.query.Get("per_page")); err == nil && n > 0 {
		per = min(n, 100)
	}
	if n, err := strconv.Atoi(r.query.Get("page")); err == nil && n > 0 {
		at = n
	}
	last := max(1, (len(l)+per-1)/per)
	var links []string
	link := func(to int, rel string) {
		q := cloned(r.query)
		q.Set("page", strconv.Itoa(to))
		links = append(links, "<"+r.base+r.in.URL.EscapedPath()+"?"+q.Encode()+`>; rel="`+rel+`"`)
	}
	if at > 1 {
		link(min(at-1, last), "prev")
	}
	if at < last {
		link(at+1, "next")
		link(last, "last")
	}
	if at > 1 {
		link(1, "first")
	}
	if len(links) > 0 {
		r.header.Set("Link", strings.Join(links, ", "))
	}
	from := min((at-1)*per, len(l))
	return l[from:min(from+per, len(l))]
}

func cloned(q url.Values) url.Values {
	c := url.Values{}
	for k, v := range q {
		c[k] = slices.Clone(v)
	}
	return c
}

func refusal(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Status: http.StatusInternalServerError, Message: "Server Error"}
}

func write(out http.ResponseWriter, a answer, err error) {
	if err != nil {
		e := refusal(err)
		for name, values := range e.Header {
			out.Header()[name] = values
		}
		body := doc{"message": e.Message, "documentation_url": e.URL, "status": strconv.Itoa(e.Status)}
		if e.URL == "" {
			body["documentation_url"] = "https://docs.github.com/rest"
		}
		if e.Errors != nil {
			body["errors"] = e.Errors
		}
		a = answer{e.Status, body}
	}
	if a.body == nil {
		out.Header().Del("Content-Type")
		out.WriteHeader(a.status)
		return
	}
	out.WriteHeader(a.status)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(a.body) // a caller that went away needs no answer
}
