package kindtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// A Dialer is what the http.RoundTripper that Instance.Handler gets is as well: connections that carry no HTTP pass the
// same gate. What a client sends before it waits for an answer is one call.
type Dialer interface {
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Wire is a service that speaks no HTTP, a real one for instance: its time isn't the bubble's, which stands still while
// it is waited for.
type Wire struct {
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Sent is what a message is called, and whether it may change something. One without a name isn't counted: goodbyes.
	Sent func(message []byte) (name string, changes bool)
}

// DialContext is Dialer.
func (t transport) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := t.in.Wire.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: c, t: t, ctx: ctx}
	w.sent = sync.NewCond(&w.mu)
	return w, nil
}

type wire struct {
	net.Conn
	t   transport
	ctx context.Context // it was dialled in: whose calls they are

	mu       sync.Mutex
	answer   []byte // arrived, not yet read
	cut      error
	kept     bool // a message is still on its way
	closed   bool
	deadline time.Time
	sending  bool       // a message is at the gate
	sent     *sync.Cond // broadcast when any of these change
}

func (w *wire) Write(b []byte) (int, error) {
	name, changes := w.t.in.Wire.Sent(b)
	if name == "" {
		return w.Conn.Write(b)
	}
	w.mu.Lock()
	cut := w.cut
	w.sending = cut == nil
	w.mu.Unlock()
	if cut != nil {
		return 0, cut
	}
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sending = false
		w.sent.Broadcast()
	}()
	answered := w.t.g.lab.meter.call(w.ctx, name, fmt.Sprintf("%p %s", w, b), changes)
	defer answered()
	turn(name)
	message := bytes.Clone(b)
	err := w.t.g.pass(context.Background(), name, changes, false, func() error { return w.arrive(name, message, changes) }, func() error { return errCut })
	if err == nil {
		return len(b), nil
	}
	w.mu.Lock()
	w.cut = err
	w.kept = changes && slices.Contains([]mode{late, lateEnd, lateDead, lateLong, hangs}, w.t.g.mode)
	w.mu.Unlock()
	return 0, err
}

// arrive lets a message reach the service, and waits until it begins to answer: then it is through with it.
func (w *wire) arrive(name string, message []byte, changes bool) error {
	l := w.t.g.lab
	l.here.Lock()
	defer l.here.Unlock()
	_ = w.Conn.SetDeadline(time.Now().Add(30 * time.Second)) // of real time
	answer := make([]byte, 64<<10)
	_, err := w.Conn.Write(message)
	n := 0
	if err == nil {
		n, err = w.Conn.Read(answer)
	}
	w.mu.Lock()
	w.answer = append(w.answer, answer[:n]...)
	_ = w.Conn.SetDeadline(w.deadline)
	if w.kept && w.closed {
		_ = w.Conn.Close()
	}
	w.kept = false
	w.mu.Unlock()
	if !changes {
		return err
	}
	l.tell("    %s", name)
	for _, s := range l.sites {
		s.changing[name] = true
	}
	for _, s := range l.sites {
		l.watch(s)
	}
	return err
}

// Read doesn't wait for the server while a message is held up at the gate: that would be real time, in which the bubble's
// stands still. (A client that takes a write for slow reads beside it.)
func (w *wire) Read(b []byte) (int, error) {
	w.mu.Lock()
	for w.sending && w.cut == nil && !w.closed && (w.deadline.IsZero() || time.Now().Before(w.deadline)) {
		w.sent.Wait()
	}
	if w.cut != nil {
		defer w.mu.Unlock()
		return 0, w.cut
	}
	if len(w.answer) > 0 {
		defer w.mu.Unlock()
		n := copy(b, w.answer)
		w.answer = w.answer[n:]
		return n, nil
	}
	w.mu.Unlock()
	return w.Conn.Read(b)
}

func (w *wire) SetDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	w.sent.Broadcast()
	return w.Conn.SetDeadline(t)
}

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.sent.Broadcast()
	if w.kept {
		return nil // closed when the message has arrived
	}
	return w.Conn.Close()
}
