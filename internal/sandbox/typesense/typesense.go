// Package typesense is a small Typesense inside the process: API keys over real HTTP, as far as rotating them needs, and
// two operations that keys are held to, listing and searching collections. It refuses what Typesense refuses; it says a
// key's value when it is made and never again; followers may lag behind.
//
// It owns no documents. It must never answer a path it doesn't know, and never be friendlier than Typesense.
package typesense

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Never is the expiry of a key without one (Typesense API reference, API keys).
const Never = 64723363199

// Header carries the key.
const Header = "X-TYPESENSE-API-KEY"

// ErrLost, returned from a Fail hook, lets the call have its effect and cuts the connection instead of answering.
var ErrLost = errors.New("the answer is lost")

// A Key is one API key, also after it was deleted.
type Key struct {
	ID          int64
	Value       string
	Description string
	Actions     []string
	Collections []string
	Expires     int64 // Unix seconds
	AutoDelete  bool
	Deleted     bool
}

// A Call is one request.
type Call struct{ Method, Path, Node string }

// An Error is a refusal.
type Error struct {
	Status  int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s", e.Status, e.Message) }

// Service is one cluster. Safe for concurrent use.
type Service struct {
	clock  wire.Clock
	random *wire.Random

	mu        sync.Mutex
	bootstrap string
	keys      []*Key
	names     []string
	lag       map[string]time.Duration
	changed   map[int64]time.Time // when a key came or went, for nodes that lag
	fail      func(Call) error
	calls     []Call
}

// New makes a cluster with its bootstrap key, which may do everything and isn't listed, and its collections.
func New(clock wire.Clock, random *wire.Random, bootstrap string, collections ...string) *Service {
	return &Service{clock: clock, random: random, bootstrap: bootstrap, names: collections, lag: map[string]time.Duration{}, changed: map[int64]time.Time{}}
}

// Lag makes a node, named by its host, see keys come and go later.
func (s *Service) Lag(host string, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag[host] = by
}

// Fail asks f about every call before it has any effect: an *Error is the answer as it is, ErrLost cuts the connection
// after the call had its effect, any other error is a 500. nil lets it pass.
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

// Keys are all there ever were, by ID.
func (s *Service) Keys() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Key, len(s.keys))
	for i, k := range s.keys {
		all[i] = *k
	}
	return all
}

// Add is a person who makes a key by hand; ID is filled in, Expires where it is 0.
func (s *Service) Add(k Key) Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.add(k)
}

// Remove is a person who deletes a key by hand.
func (s *Service) Remove(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.find(id); k != nil {
		k.Deleted, s.changed[id] = true, s.clock.Now()
	}
}

func (s *Service) add(k Key) *Key {
	k.ID = int64(len(s.keys))
	if k.Expires == 0 {
		k.Expires = Never
	}
	s.keys, s.changed[k.ID] = append(s.keys, &k), s.clock.Now()
	return &k
}

func (s *Service) find(id int64) *Key {
	if id < 0 || id >= int64(len(s.keys)) || s.keys[id].Deleted {
		return nil
	}
	return s.keys[id]
}

// Mine says whether a request is for Typesense.
func Mine(r *http.Request) bool {
	return r.Header.Get(Header) != "" || r.URL.Path == "/health" && r.Header.Get("Authorization") == ""
}

// ServeHTTP is every node's API at its root: the host says which.
func (s *Service) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, 1<<20))
	if err != nil {
		return
	}
	call := Call{in.Method, in.URL.Path, in.Host}
	s.mu.Lock()
	s.calls = append(s.calls, call)
	fail := s.fail
	s.mu.Unlock()
	var injected error
	if fail != nil {
		injected = fail(call)
	}
	status, v := http.StatusOK, any(nil)
	var e *Error
	switch {
	case injected == nil, errors.Is(injected, ErrLost):
		s.mu.Lock()
		status, v, err = s.act(in, body)
		s.mu.Unlock()
		errors.As(err, &e)
	case errors.As(injected, &e):
	default:
		e = &Error{http.StatusInternalServerError, "Internal error"}
	}
	if errors.Is(injected, ErrLost) {
		panic(http.ErrAbortHandler) // net/http's way to cut a connection; the server doesn't log it
	}
	if e != nil {
		status, v = e.Status, map[string]string{"message": e.Message}
	}
	out.Header().Set("Content-Type", "application/json; charset=utf-8")
	out.WriteHeader(status)
	_ = json.NewEncoder(out).Encode(v)
}

var forbidden = &Error{http.StatusUnauthorized, "Forbidden - a valid `x-typesense-api-key` header must be sent."}

// may holds a request against its key, as this node sees the keys.
func (s *Service) may(in *http.Request, action, collection string) error {
	value := in.Header.Get(Header)
	if value == "" {
		value = in.URL.Query().Get("x-typesense-api-key")
	}
	if value == "" {
		return forbidden
	}
	if value == s.bootstrap {
		return nil
	}
	now := s.clock.Now()
	for _, k := range s.keys {
		there := !k.Deleted
		if now.Sub(s.changed[k.ID]) < s.lag[in.Host] {
			there = k.Deleted // not seen yet: it is as before
		}
		group, _, _ := strings.Cut(action, ":")
		if there && k.Value == value && now.Unix() < k.Expires && (slices.Contains(k.Actions, action) || slices.Contains(k.Actions, group+":*") || slices.Contains(k.Actions, "*")) &&
			slices.ContainsFunc(k.Collections, func(p string) bool { return matches(p, collection) }) {
			return nil
		}
	}
	return forbidden
}

func matches(pattern, collection string) bool {
	if pattern == "*" || collection == "" {
		return true
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	return err == nil && re.MatchString(collection)
}

var search = regexp.MustCompile(`^/collections/([^/]+)/documents/search$`)

func (s *Service) act(in *http.Request, body []byte) (int, any, error) {
	route := in.Method + " " + in.URL.Path
	id, one := strings.CutPrefix(in.URL.Path, "/keys/")
	switch found := search.FindStringSubmatch(in.URL.Path); {
	case route == "GET /health":
		return http.StatusOK, map[string]bool{"ok": true}, nil
	case route == "GET /collections":
		list := []any{}
		for _, n := range s.names {
			list = append(list, map[string]any{"name": n, "fields": []any{}, "num_documents": 0, "created_at": 0})
		}
		return http.StatusOK, list, s.may(in, "collections:list", "")
	case in.Method == http.MethodGet && found != nil:
		if err := s.may(in, "documents:search", found[1]); err != nil {
			return 0, nil, err
		}
		if !slices.Contains(s.names, found[1]) {
			return 0, nil, &Error{http.StatusNotFound, "Not found."}
		}
		return http.StatusOK, map[string]any{"found": 0, "hits": []any{}, "out_of": 0, "page": 1}, nil
	case route == "GET /keys":
		list := []any{}
		for _, k := range s.keys {
			if !k.Deleted {
				list = append(list, shown(k, false))
			}
		}
		return http.StatusOK, map[string]any{"keys": list}, s.may(in, "keys:list", "")
	case route == "POST /keys":
		if err := s.may(in, "keys:create", ""); err != nil {
			return 0, nil, err
		}
		return s.create(body)
	case one && (in.Method == http.MethodGet || in.Method == http.MethodDelete):
		return s.one(in, id)
	}
	return 0, nil, &Error{http.StatusNotFound, "Not Found"}
}

func (s *Service) one(in *http.Request, text string) (int, any, error) {
	action := map[string]string{http.MethodGet: "keys:get", http.MethodDelete: "keys:delete"}[in.Method]
	if err := s.may(in, action, ""); err != nil {
		return 0, nil, err
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, nil, &Error{http.StatusBadRequest, "Bad key id."}
	}
	k := s.find(id)
	if k == nil {
		return 0, nil, &Error{http.StatusNotFound, "Not found."}
	}
	if in.Method == http.MethodGet {
		return http.StatusOK, shown(k, false), nil
	}
	k.Deleted, s.changed[id] = true, s.clock.Now()
	return http.StatusOK, map[string]int64{"id": id}, nil
}

func shown(k *Key, value bool) map[string]any {
	m := map[string]any{"id": k.ID, "description": k.Description, "actions": k.Actions, "collections": k.Collections, "expires_at": k.Expires, "autodelete": k.AutoDelete}
	if value {
		m["value"] = k.Value
	} else {
		m["value_prefix"] = k.Value[:min(4, len(k.Value))]
	}
	return m
}

func (s *Service) create(body []byte) (int, any, error) {
	var in struct {
		Value                *string
		Description          *string
		Actions, Collections []string
		ExpiresAt            *int64 `json:"expires_at"`
		AutoDelete           bool   `json:"autodelete"`
	}
	bad := func(text string) (int, any, error) { return 0, nil, &Error{http.StatusBadRequest, text} }
	if err := json.Unmarshal(body, &in); err != nil {
		return bad("Bad JSON.")
	}
	switch {
	case in.Description == nil:
		return bad("Could not find a `description` key.")
	case len(in.Actions) == 0:
		return bad("Could not find an `actions` array.")
	case len(in.Collections) == 0:
		return bad("Could not find a `collections` array.")
	case in.ExpiresAt != nil && *in.ExpiresAt < 0:
		return bad("Bad `expires_at` value.")
	}
	k := Key{Description: *in.Description, Actions: in.Actions, Collections: in.Collections, AutoDelete: in.AutoDelete, Value: s.random.Text(32, wire.Letters)}
	if in.Value != nil && *in.Value != "" {
		k.Value = *in.Value
	}
	if in.ExpiresAt != nil {
		k.Expires = *in.ExpiresAt
	}
	if k.Value == s.bootstrap || slices.ContainsFunc(s.keys, func(o *Key) bool { return !o.Deleted && o.Value == k.Value }) {
		return 0, nil, &Error{http.StatusConflict, "API key generation conflict."}
	}
	return http.StatusCreated, shown(s.add(k), true), nil
}
