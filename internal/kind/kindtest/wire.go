package kindtest

import (
	"bytes"
	"context"
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
	return &wire{Conn: c, t: t}, nil
}

type wire struct {
	net.Conn
	t transport

	mu       sync.Mutex
	answer   []byte // arrived, not yet read
	cut      error
	kept     bool // a message is still on its way
	closed   bool
	deadline time.Time
}

func (w *wire) Write(b []byte) (int, error) {
	name, changes := w.t.in.Wire.Sent(b)
	if name == "" {
		return w.Conn.Write(b)
	}
	w.mu.Lock()
	cut := w.cut
	w.mu.Unlock()
	if cut != nil {
		return 0, cut
	}
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

func (w *wire) Read(b []byte) (int, error) {
	w.mu.Lock()
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
	return w.Conn.SetDeadline(t)
}

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.kept {
		return nil // closed when the message has arrived
	}
	return w.Conn.Close()
}
