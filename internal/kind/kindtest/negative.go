package kindtest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// What can happen to a call of the negative proof.
var unanswered = []mode{lost, down, throttled, broken, hangs}

// negative holds a kind to its proof that the old credential is dead: while it works, the step isn't done, whichever of
// its calls gets no answer; and where no call gets one, it isn't done either. What is done says so in text and facts.
func negative(t *testing.T, w World) {
	if !w.Kind.Refused {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		var l *lab
		tried := false
		ask := func(ctx context.Context, rt http.RoundTripper, s rotation.Step, past rotation.Past) (res rotation.Result, done bool) {
			h, _, err := l.sites[chain].Handler(rt, func([]byte) {})
			if err != nil {
				t.Fatal(err)
			}
			if res, err = h[s.Name](context.WithoutCancel(ctx), s, past); err != nil && !errors.As(err, new(*rotation.Failure)) {
				return res, false
			}
			return res, err == nil && res.Wait == ""
		}
		l, err := newLab(w, twist{onHandler: func(h rotation.Handler, rt http.RoundTripper) rotation.Handler {
			h["refused"] = func(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
				if !tried {
					tried = true
					l.refute(t, func(rt http.RoundTripper) (rotation.Result, bool) { return ask(ctx, rt, s, past) }, past)
				}
				return rotation.Result{}, errors.New("that is all")
			}
			return h
		}}, chain)
		if err != nil {
			t.Fatal(err)
		}
		defer l.sweep()
		acts := scenarios[0].acts
		if err := l.rest(acts[:2], false); err != nil {
			t.Fatal(err)
		}
		l.begin(acts[2])
		for range 12 {
			if _, _ = l.run(acts[2].job(l)); tried {
				return
			}
			time.Sleep(4 * time.Minute)
		}
		t.Errorf("the old credential was never tried:\n%s", strings.Join(l.story, "\n"))
	})
}

// refute asks the proof in all the ways it may be fooled.
func (l *lab) refute(t *testing.T, ask func(http.RoundTripper) (rotation.Result, bool), past rotation.Past) {
	s := l.sites[chain]
	if _, done := ask(silence{}); done {
		t.Error("no call of the proof had an answer, and it says done")
	}
	if res, done := ask(l.gate(none, 0, 0).RoundTripper(s.Instance)); !done || res.Text == "" || res.Facts[FactRefused] == "" {
		t.Errorf("the old credential is dead, and the proof says %+v, done: %t", res, done)
	}
	s.Revived(past)
	time.Sleep(10 * time.Minute) // services show it late
	if res, done := ask(l.gate(none, 0, 0).RoundTripper(s.Instance)); done {
		t.Errorf("the old credential works, and the proof says %+v", res)
	}
	for n := 0; ; n++ {
		g := l.gate(none, 0, 0)
		m := &mute{transport: transport{g, s.Instance}, left: n}
		if res, done := ask(m); done {
			t.Errorf("the old credential works, only %d calls have an answer, and the proof says %+v", n, res)
		}
		if m.left > 0 {
			break
		}
	}
	for _, m := range unanswered {
		for at := 1; ; at++ {
			g := l.gate(m, at, 0)
			res, done := ask(g.RoundTripper(s.Instance))
			if g.count() < at {
				break
			}
			if done {
				t.Errorf("the old credential works, %s at call %d, %s, and the proof says %+v", m, at, g.name(at), res)
			}
		}
	}
}

// FactRefused is what was seen when the old credential was tried, in the service's own code or status.
const FactRefused = "refused"

// A mute network carries some calls and connections, then nothing.
type mute struct {
	transport
	mu   sync.Mutex
	left int
}

func (m *mute) carries() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left--
	return m.left >= 0
}

func (m *mute) RoundTrip(r *http.Request) (*http.Response, error) {
	if !m.carries() {
		return nil, errCut
	}
	return m.transport.RoundTrip(r)
}

func (m *mute) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if !m.carries() {
		return nil, errCut
	}
	return m.transport.DialContext(ctx, network, addr)
}

// silence is a network that carries nothing.
type silence struct{}

func (silence) RoundTrip(*http.Request) (*http.Response, error) { return nil, errCut }

func (silence) DialContext(context.Context, string, string) (net.Conn, error) { return nil, errCut }
