// Package github is a small GitHub inside the process: repositories with real git object names, pull requests,
// reviews, issues, comments, environments, workflow runs with their approvals, and the OIDC issuer of Actions. It
// speaks the REST API over HTTP, so that a real client can work against it, and refuses what GitHub refuses.
//
// It owns its state, who may see and change it, its rate limits and the record of calls. Go methods stand for what
// people and Actions do in GitHub's pages and machinery: tests, the demo and the scheduler's model use those. It must
// never answer a route it doesn't know with anything but 404 (see Service.Unknown), and never be friendlier than
// GitHub: what a test may do here it may do there. It decides nothing about when workflows run.
//
// Known differences: repositories are private unless told otherwise, so that a missing permission always shows; a
// token may what AddToken says, whoever's it is; everything is consistent at once, but lists of runs where Lag says so; a fork is a branch named
// owner:branch; teams are no reviewers; a user's own login stands for their address; a merge that git could make in
// several stretches of one file is refused. A run waits for approval while none of its jobs is at work. A dispatched run is queued, and whoever
// owns the scheduler's model plays it; its run-name may hold inputs and nothing else. Sources:
// GitHub's REST API documentation and its OpenAPI description.
package github

import (
	"crypto"
	"slices"
	"sync"
	"time"
)

// A Clock is the world's time.
type Clock interface{ Now() time.Time }

// Options of a Service. Only Repository is needed.
type Options struct {
	Repository    string // owner/name
	DefaultBranch string // "" is main
	Public        bool   // anybody may read it; without that a token needs the permission for everything
	Issuer        string // of OIDC tokens; "" is the real one's, https://token.actions.githubusercontent.com
	// ActionsOpenPulls is the setting "Allow GitHub Actions to create and approve pull requests", which is off at first.
	ActionsOpenPulls bool
	// Key signs OIDC tokens: RSA (RS256, as GitHub does) or P-256 (ES256, at a fiftieth of the cost). nil: an RSA key of
	// its own, which takes a while to make.
	Key        crypto.Signer
	SubjectIDs bool // OIDC subjects with ids, as repositories made after 15 July 2026 have: repo:O@id/R@id:...
	Limits     Limits
}

// Limits of a token. Zero values are GitHub's own; negative: none.
type Limits struct {
	PerHour         int // requests; 5,000, and 1,000 for github-actions[bot]
	PointsPerMinute int // 900: a read is 1, a change 5
	CreatePerMinute int // content-creating requests; 80
	CreatePerHour   int // 500
}

// A Service is GitHub as seen from one of its repositories; In gives the others. Safe for concurrent use.
type Service struct {
	*hub
	repo *repository
}

// hub is what all repositories share.
type hub struct {
	clock Clock
	o     Options
	keys  *keys

	mu      sync.Mutex
	repos   map[string]*repository
	users   map[string]*user
	tokens  map[string]*token
	jobs    map[string]issued // by the bearer of their OIDC requests
	limited map[string]*usage // by login
	last    int64             // id given
	lag     time.Duration     // of lists of runs
	fail    func(Call) error
	calls   []Call
	unknown []string
}

type repository struct {
	id, ownerID  int64
	owner, name  string
	branch       string // default
	public       bool
	made         time.Time
	permissions  map[string]string // by login: admin, maintain, write, triage, read
	branches     map[string]string // heads; those of forks are named owner:branch
	commits      map[string]*commit
	order        int // of commits
	threads      map[int]*thread
	number       int
	comments     map[int64]*comment
	environments map[string]*environment // by name in small letters
	runs         map[int64]*run
	numbers      map[string]int // of runs, by workflow
	labels       map[string]int64
	disabled     map[string]bool // workflows, by file
}

type user struct {
	id    int64
	login string
	bot   bool
}

// New is a GitHub with one empty repository, github-actions[bot], and nobody else.
func New(clock Clock, o Options) *Service {
	if o.DefaultBranch == "" {
		o.DefaultBranch = "main"
	}
	if o.Issuer == "" {
		o.Issuer = "https://token.actions.githubusercontent.com"
	}
	h := &hub{
		clock: clock, o: o, keys: &keys{private: o.Key}, last: 1000, repos: map[string]*repository{}, users: map[string]*user{}, tokens: map[string]*token{},
		jobs: map[string]issued{}, limited: map[string]*usage{},
	}
	s := &Service{hub: h}
	s = s.In(o.Repository)
	for _, login := range []string{"github-actions[bot]", "web-flow"} {
		s.AddUser(login, "", login != "web-flow")
	}
	return s
}

// Repository is the owner/name it is seen from.
func (s *Service) Repository() string { return s.repo.full() }

// In is the same GitHub seen from another repository, which is made where it isn't there.
func (s *Service) In(name string) *Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[name]
	if r == nil {
		owner, short := cutName(name)
		r = &repository{
			id: s.next(), ownerID: s.next(), owner: owner, name: short, branch: s.o.DefaultBranch, public: s.o.Public, made: s.now(),
			permissions: map[string]string{}, branches: map[string]string{}, commits: map[string]*commit{}, threads: map[int]*thread{},
			comments: map[int64]*comment{}, environments: map[string]*environment{}, runs: map[int64]*run{}, numbers: map[string]int{}, labels: map[string]int64{}, disabled: map[string]bool{},
		}
		for _, other := range s.repos {
			if other.owner == owner {
				r.ownerID = other.ownerID
			}
		}
		s.repos[name] = r
	}
	return &Service{hub: s.hub, repo: r}
}

// AddUser makes a user known, with a permission on the repository: admin, maintain, write, triage, read or "".
func (s *Service) AddUser(login, permission string, bot bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[login]
	if u == nil {
		u = &user{id: s.next(), login: login}
		s.users[login] = u
	}
	u.bot = bot
	s.repo.permissions[login] = permission
}

// DropUser takes the account away: what it did stays, by nobody.
func (s *Service) DropUser(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, login)
	delete(s.repo.permissions, login)
}

// Fail asks f about every call after its token was accepted and before it has any effect. What f returns is the
// answer: an *Error as it is, ErrLost after the call had its effect, any other error as a 500. nil lets it pass.
func (s *Service) Fail(f func(Call) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// Calls are all calls so far, in the order of their arrival.
func (s *Service) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Unknown are the requests for routes that aren't served, "METHOD /path": a test that isn't about them fails on one.
func (s *Service) Unknown() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.unknown)
}

// now has whole seconds, as all of GitHub's times do.
func (h *hub) now() time.Time { return h.clock.Now().UTC().Truncate(time.Second) }

// next is an id; h.mu is held.
func (h *hub) next() int64 {
	h.last++
	return h.last
}
