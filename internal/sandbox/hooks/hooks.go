// Package hooks is what takes an incident's messages: a Slack workspace with incoming webhooks, and a PagerDuty account
// with Events API v2 integrations, over real HTTP as far as telling them needs. They refuse what the real ones refuse,
// with their words, and keep what they took. Any other path or method is refused.
package hooks

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
)

// ErrLost, returned from a Fail hook, lets the call have its effect and cuts the connection instead of answering.
var ErrLost = errors.New("the answer is lost")

// An Answer is one to inject from a Fail hook, without an effect.
type Answer struct {
	Status int
	Body   string
	Header http.Header
}

func (a *Answer) Error() string { return http.StatusText(a.Status) }

// A Call is one request.
type Call struct{ Path, Body string }

// door is what both have: calls, and what becomes of them.
type door struct {
	mu    sync.Mutex
	fail  func(Call) error
	calls []Call
}

// Fail asks f about every call: an *Answer is given as it is, ErrLost cuts the connection after the call had its effect,
// any other error before it had one. nil lets it pass.
func (d *door) Fail(f func(Call) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = f
}

// Calls are all so far.
func (d *door) Calls() []Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

// serve lets act answer a call unless Fail has something against it.
func (d *door) serve(out http.ResponseWriter, in *http.Request, act func(body []byte) *Answer) {
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, 512<<10))
	if err != nil {
		http.Error(out, "payload too large", http.StatusRequestEntityTooLarge)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := Call{in.URL.Path, string(body)}
	d.calls = append(d.calls, c)
	var injected error
	if d.fail != nil {
		injected = d.fail(c)
	}
	var a *Answer
	if !errors.As(injected, &a) {
		if injected == nil || errors.Is(injected, ErrLost) {
			a = act(body)
		}
		if injected != nil {
			panic(http.ErrAbortHandler) // net/http's way to cut a connection
		}
	}
	for name, values := range a.Header {
		out.Header()[name] = values
	}
	out.WriteHeader(a.Status)
	_, _ = io.WriteString(out, a.Body) // a caller that went away needs no answer
}
