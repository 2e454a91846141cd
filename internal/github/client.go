// Package github owns every call to GitHub's REST API: which ones there are, their pace, and what a lost answer
// means. Only what Rekey needs, in its own words, so that nothing else knows a client library.
//
// It must never send a token anywhere but to the API it was made for, never change anything when it was made to read,
// and never repeat a call whose first answer was lost where that could make a second comment, issue or pull request.
package github

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
	"golang.org/x/sync/semaphore"

	"github.com/rastup/rekey/internal/rotation"
)

// ErrUnknown wraps the error of a changing call that may have arrived: look before it is made again.
var ErrUnknown = errors.New("it may have happened")

// ErrReadOnly refuses a changing call of a client that only reads, before it leaves.
var ErrReadOnly = errors.New("refused before it left: this job only reads")

// ErrNotFound is what a *rotation.Failure of this package also is where GitHub knows no such thing, or doesn't show
// it to this token.
var ErrNotFound = errors.New("not found")

// A Clock tells time and waits for rate limits.
type Clock interface {
	Now() time.Time
	Sleep(context.Context, time.Duration) error
}

// Options of a Client.
type Options struct {
	API        string            // GITHUB_API_URL; "" is https://api.github.com
	Repository string            // owner/name
	Token      string            // "" asks without one
	ReadOnly   bool              //
	Transport  http.RoundTripper // nil: Go's own
	Clock      Clock
	Patience   time.Duration // the longest it waits, in all, for one call's rate limits; 0: 10 minutes
}

// DefaultPatience is Patience where Options has none.
const DefaultPatience = 10 * time.Minute

// A Client makes calls about one repository. Those that In makes from it share its pace and what it knows of
// GitHub's limits, so a process makes one with New for each token. It may be used by many goroutines.
//
// Its errors say what was tried. A definite no is a *rotation.Failure; ErrUnknown, ErrReadOnly and an ended context
// can be told with errors.Is; anything else is a read that came to nothing, or a limit that outlasts Patience: the
// call did not happen.
type Client struct {
	api        *gh.Client // makes requests
	http       *http.Client
	wire       *transport
	repository string

	turn          *semaphore.Weighted // one asks, others wait for that as long as their contexts do
	defaultBranch string
}

// New checks o and calls nothing.
func New(o Options) (*Client, error) {
	if o.Clock == nil {
		return nil, errors.New("a GitHub client needs a clock")
	}
	if o.API == "" {
		o.API = "https://api.github.com"
	}
	base, err := address(o.API)
	if err != nil {
		return nil, rotation.Failf("GITHUB_API_URL is https://api.github.com, or https://HOST/api/v3", "GitHub's API can't be at %q: %v", clean(o.API), err)
	}
	base.Path = strings.TrimSuffix(base.Path, "/") + "/"
	if !valid(o.Repository) {
		return nil, notARepository(o.Repository)
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	wire := &transport{base: o.Transport, api: base, token: o.Token, readOnly: o.ReadOnly, limits: &limits{clock: o.Clock, patience: o.Patience}}
	api := gh.NewClient(nil)
	api.BaseURL, api.UserAgent = base, "rekey"
	return &Client{api: api, http: &http.Client{Transport: wire, CheckRedirect: sameCall}, wire: wire, repository: o.Repository, turn: semaphore.NewWeighted(1)}, nil
}

// address takes https, and http on this machine: a token isn't sent in the clear.
func address(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("it isn't a URL")
	case u.Host == "" || u.User != nil:
		return nil, errors.New("it isn't https://HOST/PATH")
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, errors.New("a token is sent over https only")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

var repositoryName = regexp.MustCompile(`^[\w.-]+/[\w.-]+$`)

func valid(repository string) bool {
	owner, name, _ := strings.Cut(repository, "/")
	return repositoryName.MatchString(repository) && strings.Trim(owner, ".") != "" && strings.Trim(name, ".") != ""
}

func notARepository(s string) error {
	return rotation.Failf("a repository is named OWNER/NAME", "%q isn't a repository", clean(s))
}

// In is the same client for another repository. Its calls fail where that isn't owner/name.
func (c *Client) In(repository string) *Client {
	return &Client{api: c.api, http: c.http, wire: c.wire, repository: repository, turn: semaphore.NewWeighted(1)}
}

// Repository is the one that the client's calls are about, owner/name.
func (c *Client) Repository() string { return c.repository }

// DefaultBranch is remembered.
func (c *Client) DefaultBranch(ctx context.Context) (string, error) {
	if err := c.turn.Acquire(ctx, 1); err != nil {
		return "", err
	}
	defer c.turn.Release(1)
	if c.defaultBranch != "" {
		return c.defaultBranch, nil
	}
	var r gh.Repository
	what := op{"read the repository", ""}
	if err := c.get(ctx, what, "", nil, &r); err != nil {
		return "", err
	}
	if r.GetDefaultBranch() == "" {
		return "", fmt.Errorf("%s: GitHub names no default branch", what.doing)
	}
	c.defaultBranch = r.GetDefaultBranch()
	return c.defaultBranch, nil
}

// Permission is what login may do here: admin, write, read or none. GitHub counts maintain as write and triage as
// read (REST API documentation, repository permissions for a user). Who isn't on GitHub any more may do nothing.
func (c *Client) Permission(ctx context.Context, login string) (string, error) {
	if login == "" {
		return "none", nil
	}
	var p gh.RepositoryPermissionLevel
	err := c.get(ctx, op{fmt.Sprintf("read what @%s may do", clean(login)), ""},
		"/collaborators/"+url.PathEscape(login)+"/permission", nil, &p)
	if errors.Is(err, ErrNotFound) {
		return "none", nil
	}
	return p.GetPermission(), err
}

func userOf(u *gh.User) User {
	// web-flow signs what is committed on GitHub's pages, and is a person in GitHub's books.
	return User{u.GetLogin(), u.GetType() == "Bot" || strings.HasSuffix(u.GetLogin(), "[bot]") || u.GetLogin() == "web-flow"}
}
