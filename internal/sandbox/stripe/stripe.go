// Package stripe is a small Stripe inside the process: webhook endpoints over real HTTP, with the state that stripe-mock
// lacks. It refuses what Stripe refuses, with Stripe's types, codes and texts; it gives an endpoint's secret away once;
// it replays the answer to a POST by its Idempotency-Key for a day; it delivers events to the endpoints that are enabled,
// signed as Stripe signs them, and it has processors that verify them.
//
// It owns no other resource. It must never answer a path it doesn't know, and never be friendlier than Stripe.
//
// Known differences: what is listed is consistent at once; test mode only; no rate limits of its own.
package stripe

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// MaxEndpoints is Stripe's limit for each account and mode.
const MaxEndpoints = 16

// keyLife is how long an idempotency key is kept here: Stripe says at least a day.
const keyLife = 24 * time.Hour

// A Rights is what an API key may do.
type Rights int

// Rights of keys.
const (
	None  Rights = iota // a restricted key for something else
	Read                // webhook endpoints: read
	Write               // webhook endpoints: write, which includes read
)

// An Endpoint is one webhook endpoint, also after it was deleted.
type Endpoint struct {
	ID          string
	Secret      string
	URL         string
	Events      []string
	APIVersion  string // "": the account's
	Description string
	Metadata    map[string]string
	Connect     bool
	Disabled    bool
	Deleted     bool
	Created     time.Time
}

func (e Endpoint) clone() Endpoint {
	e.Events = slices.Clone(e.Events)
	m := make(map[string]string, len(e.Metadata))
	for k, v := range e.Metadata {
		m[k] = v
	}
	e.Metadata = m
	return e
}

// A Call is one request with a valid API key.
type Call struct {
	At     time.Time // by the world's clock
	Method string    // POST
	Path   string    // /v1/webhook_endpoints/we_1
	Key    string    // Idempotency-Key; "" without
	Status int       // of the answer; 0 while there is none
}

// Service is one account in test mode. Safe for concurrent use.
type Service struct {
	clock  wire.Clock
	random *wire.Random

	mu        sync.Mutex
	keys      map[string]Rights
	endpoints []*Endpoint // oldest first, deleted ones too
	saved     map[string]saved
	calls     []Call
	fail      func(Call) error
	events    int
	backlog   []*Delivery
}

// New makes an account without keys and endpoints. Its IDs and secrets come from random.
func New(clock wire.Clock, random *wire.Random) *Service {
	return &Service{clock: clock, random: random, keys: map[string]Rights{}, saved: map[string]saved{}}
}

// AddKey makes an API key: sk_test_… for all, rk_test_… for some rights.
func (s *Service) AddKey(key string, r Rights) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[key] = r
}

// DropKey takes an API key away.
func (s *Service) DropKey(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, key)
}

// Fail asks f about every call before it has any effect. What f returns is the answer: an *Error as it is, ErrLost after
// the call had its effect, any other error as a 500. nil lets it pass.
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

// Endpoints are all there ever were, oldest first.
func (s *Service) Endpoints() []Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Endpoint, len(s.endpoints))
	for i, e := range s.endpoints {
		all[i] = e.clone()
	}
	return all
}

// Endpoint is one of them; the zero Endpoint where there was none.
func (s *Service) Endpoint(id string) Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.find(id); e != nil {
		return e.clone()
	}
	return Endpoint{}
}

// Add is a person in the Dashboard, who makes an endpoint and sees its secret. ID, Secret and Created are filled in.
func (s *Service) Add(e Endpoint) Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(e.clone()).clone()
}

// Edit is a person in the Dashboard, who changes an endpoint; false where there is none.
func (s *Service) Edit(id string, change func(*Endpoint)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(id)
	if e != nil {
		change(e)
	}
	return e != nil
}

// Forget drops all idempotency keys, as Stripe may once they are a day old.
func (s *Service) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.saved)
}

func (s *Service) add(e Endpoint) *Endpoint {
	e.ID, e.Secret, e.Created = "we_"+s.random.Text(24, wire.Letters), "whsec_"+s.random.Text(32, wire.Letters), s.clock.Now().UTC()
	s.endpoints = append(s.endpoints, &e)
	return &e
}

// find is an endpoint that was ever there.
func (s *Service) find(id string) *Endpoint {
	i := slices.IndexFunc(s.endpoints, func(e *Endpoint) bool { return e.ID == id })
	if i < 0 {
		return nil
	}
	return s.endpoints[i]
}

// live is an endpoint that is still there.
func (s *Service) live(id string) (*Endpoint, error) {
	if e := s.find(id); e != nil && !e.Deleted {
		return e, nil
	}
	return nil, missing(id)
}

func (s *Service) there() (all []*Endpoint) {
	for _, e := range s.endpoints {
		if !e.Deleted {
			all = append(all, e)
		}
	}
	return all
}

// As in Stripe's OpenAPI description.
var (
	//go:embed events.txt
	eventList string
	//go:embed versions.txt
	versionList string

	eventTypes  = sync.OnceValue(func() []string { return strings.Fields(eventList) })
	apiVersions = sync.OnceValue(func() []string { return strings.Fields(versionList) })
)
