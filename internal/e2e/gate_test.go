package e2e

import (
	"net/http"
	"net/http/httptest"
	"sync"
)

// A gate numbers the calls to all servers of a stage from 1, and can hold one of them for ever.
type gate struct {
	mu      sync.Mutex
	n       int
	names   []string
	at      int  // the call to hold; 0: none
	after   bool // its effect has happened by then
	arrived chan struct{}
	gone    chan struct{} // closed once the caller is gone
}

func newGate() *gate { return &gate{} }

// set starts to count anew, and holds call n before its effect or after it.
func (g *gate) set(n int, after bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n, g.names, g.at, g.after, g.arrived, g.gone = 0, nil, n, after, make(chan struct{}), make(chan struct{})
}

// calls are what was counted.
func (g *gate) calls() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.names
}

func (g *gate) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.n++
		name := r.Method + " " + r.URL.Path
		if t := r.Header.Get("X-Amz-Target"); t != "" {
			name = t
		}
		g.names = append(g.names, name)
		held, after, arrived, gone := g.n == g.at, g.after, g.arrived, g.gone
		g.mu.Unlock()
		if !held {
			h.ServeHTTP(w, r)
			return
		}
		if after {
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		close(arrived)
		<-gone
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	})
}
