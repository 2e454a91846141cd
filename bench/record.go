package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rastup/rekey/internal/cloud"
)

// A recorder is the calls that an emulator answered.
type recorder struct {
	connections atomic.Int64

	mu    sync.Mutex
	spans []call
}

// A call is one request, as the server saw it.
type call struct {
	secret   string // whose rotation it belongs to; "" all of them
	name     string // "secretsmanager.PutSecretValue", "PUT /bucket/key"
	write    bool   // changes something in Secrets Manager
	from, to time.Time
}

// named finds the secret in addresses, forms and JSON alike: see secretsOf.
var named = regexp.MustCompile(`database-\d{3}`)

func (r *recorder) add(in *http.Request, body []byte, from, to time.Time) {
	name := cmp.Or(in.Header.Get("X-Amz-Target"), in.Method+" "+in.URL.RequestURI())
	if form, err := url.ParseQuery(string(body)); err == nil && form.Has("Action") {
		name = form.Get("Action")
	}
	c := call{name: name, secret: named.FindString(in.URL.Path + in.URL.RawQuery + string(body)), from: from, to: to}
	if op, ok := strings.CutPrefix(in.Header.Get("X-Amz-Target"), "secretsmanager."); ok {
		c.write = !cloud.Reads("Secrets Manager", op)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, c)
}

// take gives what there is and begins anew.
func (r *recorder) take() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.spans
	r.spans = nil
	r.connections.Store(0)
	return all
}

// show prints the calls in the order in which they came, with the milliseconds from the first one's start.
func show(all []call) {
	slices.SortFunc(all, func(a, b call) int { return a.from.Compare(b.from) })
	for i, c := range all {
		ms := func(t time.Time) float64 { return float64(t.Sub(all[0].from).Microseconds()) / 1000 }
		fmt.Printf("%3d  %8.1f %8.1f  %s\n", i+1, ms(c.from), ms(c.to), c.name)
	}
}

// critical is how many calls a rotation had to wait for, one after another: those of the slowest secret and those for
// all of them together.
func critical(all []call) int {
	bySecret := map[string][]call{}
	for _, c := range all {
		bySecret[c.secret] = append(bySecret[c.secret], c)
	}
	longest := 0
	for secret := range bySecret {
		if both := append(slices.Clone(bySecret[""]), bySecret[secret]...); secret != "" {
			longest = max(longest, oneAfterAnother(both))
		}
	}
	return longest
}

// oneAfterAnother is the most calls that don't overlap.
func oneAfterAnother(spans []call) int {
	slices.SortFunc(spans, func(a, b call) int { return a.to.Compare(b.to) })
	n, end := 0, time.Time{}
	for _, s := range spans {
		if s.from.After(end) {
			n, end = n+1, s.to
		}
	}
	return n
}

// busiest is the most changing calls of Secrets Manager that arrived within any second.
func busiest(all []call) int {
	var at []time.Time
	for _, c := range all {
		if c.write {
			at = append(at, c.from)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	most, first := 0, 0
	for last := range at {
		for at[last].Sub(at[first]) >= time.Second {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}
