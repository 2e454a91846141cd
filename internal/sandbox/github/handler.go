package github

import (
	"errors"
	"net/http"
	"time"
)

// ErrLost, returned from a Fail hook, lets the call have its effect and cuts the connection instead of answering.
var ErrLost = errors.New("the answer is lost")

// A Call is one request that was let in.
type Call struct {
	At     time.Time // by the world's clock
	Method string
	Path   string // without the query
	Route  string // its pattern: "POST /repos/{owner}/{repo}/issues/{issue_number}/comments"
	Query  string
	Body   string
	Login  string // of the token; "" without one
	Status int    // of the answer; 0 while there is none
}

// An Error is a refusal in GitHub's shape; return one from a Fail hook to inject it.
type Error struct {
	Status  int
	Message string
	URL     string // documentation_url
	Errors  any    // of a 422: objects with resource, field, code, message; or texts
	Header  http.Header
}

func (e *Error) Error() string { return e.Message }

// Handler is the REST API at its root, and the OIDC issuer below /_oidc/.
func (s *Service) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Service) serve(out http.ResponseWriter, in *http.Request) { http.NotFound(out, in) }
