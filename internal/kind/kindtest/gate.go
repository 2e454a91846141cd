package kindtest

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/evidence"
)

// A mode is what happens at one outgoing call.
type mode string

const (
	none      mode = ""
	before    mode = "dies before"      // the process dies before the call leaves
	after     mode = "dies after"       // the call is made, then the process dies: the answer is lost with it
	lost      mode = "answer lost"      // the call is made, the process lives
	down      mode = "doesn't arrive"   // the call doesn't get through, once
	throttled mode = "throttled"        // refused as too fast, once
	broken    mode = "server error"     // 500, once
	late      mode = "late"             // answer lost; arrives some calls later
	lateEnd   mode = "late, at the end" // answer lost; arrives as old as the service takes it
	lateDead  mode = "dies, late"       // the process dies; the call arrives some calls of others later
	lateLong  mode = "dies, late, old"  // the process dies; the call arrives as old as the service takes it
	stalled   mode = "stalled"          // the process is stopped before the call leaves, the fence passed
	stalledIn mode = "stalled after"    // the process is stopped before it sees the answer
	hangs     mode = "hangs"            // no answer until the call's own time limit; it arrives late
	promoted  mode = "a person rotates" // by hand, just before the call
	begun     mode = "a person begins"  // a change of their own, just before the call
	storeGone mode = "store gone"       // from here on the store fails for some calls, or for ever
)

// tooOld is when a service refuses a call: AWS's signatures are good for five minutes.
const tooOld = 5 * time.Minute

var (
	errDead = errors.New("the process is dead")
	errCut  = errors.New("connection reset by peer")
)

// A gate is what one process's outgoing calls pass.
type gate struct {
	lab  *lab
	mode mode
	at   int   // the call that mode is about, from 1
	site *site // whose calls they are
	arg  int   // late, lateDead: how many calls later; storeGone: for how many store calls, 0 for ever

	mu      sync.Mutex
	calls   []string
	dead    bool
	failing int
	frozen  chan struct{} // closed: thawed

	died, reached, resume, ended chan struct{}
}

func (l *lab) gate(m mode, at, arg int) *gate {
	return &gate{lab: l, mode: m, at: at, arg: arg, died: make(chan struct{}), reached: make(chan struct{}),
		resume: make(chan struct{}), ended: make(chan struct{})}
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.calls)
}

func (g *gate) name(at int) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at < 1 || at > len(g.calls) {
		return "none"
	}
	return g.calls[at-1]
}

// thaw holds up what runs beside a stopped call. It goes on a moment after that, so that a history is always the
// same one.
func (g *gate) thaw() {
	g.mu.Lock()
	f := g.frozen
	g.mu.Unlock()
	if f == nil {
		return
	}
	select {
	case <-f:
	default:
		<-f
		time.Sleep(time.Millisecond)
	}
}

// turn gives calls that are made at the same time an order of their own: a history is the same one each time,
// whichever goroutine runs first. The bubble's time goes on only when all of them wait.
func turn(what string) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(what)) // never fails
	time.Sleep(time.Duration(1 + h.Sum64()%uint64(time.Millisecond/4)))
}

// pass makes a call, or what the mode makes of it. effect is the call's arrival; refuse is an answer of the
// service that did nothing.
func (g *gate) pass(ctx context.Context, name string, changes, store bool, effect, refuse func() error) error {
	g.thaw()
	g.lab.arrive()
	g.mu.Lock()
	if g.dead {
		g.mu.Unlock()
		return errDead
	}
	g.calls = append(g.calls, name)
	hit := g.mode != none && len(g.calls) == g.at
	if g.mode == storeGone && len(g.calls) >= g.at && store && (g.arg == 0 || g.failing < g.arg) {
		g.failing++
		g.mu.Unlock()
		return errCut
	}
	g.mu.Unlock()
	if !hit {
		return effect()
	}
	return g.disturb(ctx, changes, store, effect, refuse)
}

func (g *gate) disturb(ctx context.Context, changes, store bool, effect, refuse func() error) error {
	switch g.mode {
	case promoted, begun:
		if store { // between the steps: no kind can see what happens between its own look and its call
			g.meddle()
		}
	case before:
		g.die()
		return errDead
	case after:
		_ = effect()
		g.die()
		return errDead
	case lost:
		_ = effect()
		return errCut
	case down:
		return errCut
	case throttled, broken:
		return refuse()
	case late, lateEnd:
		g.lab.later(effect, changes, g.arg)
		return errCut
	case lateDead, lateLong:
		g.lab.later(effect, changes, g.arg)
		g.die()
		return errDead
	case hangs:
		g.lab.later(effect, changes, g.arg)
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Second):
		}
		return errCut
	case stalled:
		left := time.Now()
		g.freeze()
		if time.Since(left) > tooOld && !store {
			return errCut
		}
		return effect()
	case stalledIn:
		err := effect()
		g.freeze()
		return err
	}
	return effect()
}

func (g *gate) meddle() {
	s := g.site
	if g.mode == promoted {
		s.byHand = s.Promoted()
	} else {
		s.whole = s.Begun()
	}
	g.lab.here.Lock()
	for _, id := range s.Destroyed() {
		s.gone[id] = true // by that person
	}
	g.lab.here.Unlock()
	g.lab.tell("(%s: %s)", g.mode, s.byHand)
}

func (g *gate) die() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead = true
	close(g.died)
}

func (g *gate) freeze() {
	g.mu.Lock()
	g.frozen = make(chan struct{})
	g.mu.Unlock()
	close(g.reached)
	<-g.resume
	close(g.frozen)
}

// RoundTripper leads one process's calls to a target's service.
func (g *gate) RoundTripper(in Instance) http.RoundTripper { return transport{g, in} }

type transport struct {
	g  *gate
	in Instance
}

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
	}
	changes := !t.in.Reads(req)
	var res *http.Response
	effect := func() error {
		r := req.Clone(context.WithoutCancel(req.Context()))
		r.Body, r.RequestURI, r.Host = io.NopCloser(bytes.NewReader(body)), req.URL.RequestURI(), req.URL.Host
		out := httptest.NewRecorder()
		t.g.lab.serve(t.in, out, r, changes)
		res = out.Result()
		res.Request = req
		return nil
	}
	refuse := func() error {
		out := httptest.NewRecorder()
		if t.in.Busy != nil {
			t.in.Busy(out, req, t.g.mode == broken)
		} else {
			AWSBusy(out, t.g.mode == broken)
		}
		res = out.Result()
		res.Request = req
		return nil
	}
	what := t.in.Name(req)
	if !changes { // what is written may hold chance, and is never sent beside another write
		what += string(body)
	}
	answered := t.g.lab.meter.call(req.Context(), t.in.Name(req), request(req, body), changes)
	turn(what)
	defer answered()
	if err := t.g.pass(req.Context(), t.in.Name(req), changes, false, effect, refuse); err != nil {
		return nil, err
	}
	return res, nil
}

// A gated store counts and can be stopped like everything else.
type gated struct {
	g *gate
	s evidence.Store
}

func (s gated) Create(ctx context.Context, name string, data []byte) error {
	turn("store.Create " + name)
	return s.g.pass(ctx, "store.Create "+name, true, true, func() error { return s.s.Create(ctx, name, data) }, refused)
}

func (s gated) Read(ctx context.Context, name string) (data []byte, err error) {
	turn("store.Read " + name)
	err = s.g.pass(ctx, "store.Read "+name, false, true, func() (err error) { data, err = s.s.Read(ctx, name); return err }, refused)
	return data, err
}

func (s gated) List(ctx context.Context, prefix string) (l evidence.Listing, err error) {
	turn("store.List " + prefix)
	err = s.g.pass(ctx, "store.List "+prefix, false, true, func() (err error) { l, err = s.s.List(ctx, prefix); return err }, refused)
	return l, err
}

func refused() error { return errors.New("SlowDown: reduce your request rate") }

// AWSBusy is an answer of AWS's JSON services that did nothing.
func AWSBusy(out http.ResponseWriter, broken bool) {
	status, code := http.StatusBadRequest, "ThrottlingException"
	if broken {
		status, code = http.StatusInternalServerError, "InternalServiceError"
	}
	out.Header().Set("Content-Type", "application/x-amz-json-1.1")
	out.WriteHeader(status)
	_, _ = io.WriteString(out, `{"__type":"`+code+`","message":"try again"}`)
}
