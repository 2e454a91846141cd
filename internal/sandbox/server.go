package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// A Server serves a world on loopback until its context ends.
type Server struct {
	addr string
	done chan struct{}
	err  error
}

// Serve listens on addr ("127.0.0.1:0" takes any free port) and stops when ctx ends. An address that isn't loopback
// is refused: the sandbox holds no real secret, but its keys are no secret either.
func Serve(ctx context.Context, w *World, addr string) (*Server, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("listen on %q: the sandbox listens on loopback only, such as 127.0.0.1:4566", addr)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("listen on %q: it is not loopback", addr), l.Close())
	}
	s := &Server{addr: l.Addr().String(), done: make(chan struct{})}
	h := &http.Server{Handler: w.Handler(), ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = h.Close() })
	go func() {
		defer close(s.done)
		defer stop()
		if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.err = err
		}
	}()
	return s, nil
}

// URL is the endpoint, for AWS_ENDPOINT_URL.
func (s *Server) URL() string { return "http://" + s.addr }

// Wait returns once the server has stopped, with the error that stopped it unless its context did.
func (s *Server) Wait() error {
	<-s.done
	return s.err
}
