// Package http is the check that asks an address until it answers as it should. It sends GET without credentials,
// headers of anybody's choice or cookies, follows no redirect to another host, and must never keep or quote what
// a response says beyond its status.
package http

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// Defaults and bounds of a Shape.
const (
	DefaultWithin = rotation.Duration(2 * time.Minute)
	DefaultEvery  = rotation.Duration(5 * time.Second)
	LeastEvery    = rotation.Duration(time.Second)
	MostWithin    = rotation.Duration(time.Hour)
	MostLatency   = rotation.Duration(time.Minute)
	noLatency     = 10 * time.Second // limit of one request where none is asked for
)

// Check is this check's line in the table.
func Check() check.Check {
	return check.Check{Name: "http", Shape: func() check.Shape { return new(Shape) }, New: New}
}

// A Shape says which address must answer what.
type Shape struct {
	// URL to GET, http or https. It is printed in logs and comments, so that it may hold no secret.
	URL string `json:"url" yaml:"url" rekey:"required" jsonschema:"required"`
	// Status codes that are green. Default: 200.
	Status []int `json:"status,omitempty" yaml:"status" jsonschema:"minimum=100,maximum=599"`
	// Latency is the longest that an answer may take, such as 500ms. Left out, one has 10 seconds and isn't judged by it.
	Latency rotation.Duration `json:"latency,omitempty" yaml:"latency"`
	// BodyContains is text that must be in the first MiB of the answer. The answer itself is never kept.
	BodyContains string `json:"body_contains,omitempty" yaml:"body_contains"`
	// Within is how long it may take to become green, at most 1h. Default: 2m.
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
	// Every is the pause between two looks, at least 1s. Default: 5s.
	Every rotation.Duration `json:"every,omitempty" yaml:"every"`
}

// Deadline is Within or its default.
func (s *Shape) Deadline() rotation.Duration { return or(s.Within, DefaultWithin) }

// Check reports what can't be right whatever answers there.
func (s *Shape) Check(r *problem.Report) {
	s.checkURL(r)
	if s.Within > MostWithin {
		r.Add("within", "out-of-range", "give it at most 1h", "within is longer than an hour")
	}
	if s.Every != 0 && s.Every < LeastEvery {
		r.Add("every", "out-of-range", "leave it out for 5s", "every is shorter than a second")
	}
	if s.Every > s.Deadline() {
		r.Add("every", "out-of-range", "make within longer or every shorter", "every %s is longer than within %s: there would be one look only", s.Every, s.Deadline())
	}
	if s.Latency > MostLatency {
		r.Add("latency", "out-of-range", "", "latency is longer than a minute")
	}
}

// secretName finds query parameters that carry credentials.
var secretName = regexp.MustCompile(`(?i)(token|secret|passw|pwd|api-?_?key|access-?_?key|signature|credential|^key$|^sig$|^auth$)`)

func (s *Shape) checkURL(r *problem.Report) {
	if s.URL == "" {
		if r.Has("url") {
			r.Add("url", "url", "write it like https://api.example.com/health", "url is empty")
		}
		return
	}
	bad := func(hint, what string) { r.Add("url", "url", hint, "%s %s", problem.Quote(shown(s.URL)), what) }
	u, err := url.Parse(s.URL)
	switch {
	case err != nil:
		bad("write it like https://api.example.com/health", "is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		bad("write it like https://api.example.com/health", "must begin with https:// or http://")
	case u.Hostname() == "":
		bad("write it like https://api.example.com/health", "names no host")
	case u.User != nil:
		bad("use an address that needs no login: this one would be printed", "holds a user name or password")
	case u.Fragment != "":
		bad("leave it out: it isn't sent", "has a #fragment")
	case strings.ContainsAny(s.URL, " \t\r\n"):
		bad("write a space as %20", "holds white space")
	default:
		for name := range u.Query() {
			if secretName.MatchString(name) {
				bad("use an address that needs no credential: this one would be printed", "has the parameter "+problem.Quote(name)+", which looks like a credential")
			}
		}
	}
}

// shown is a URL without what may be a password.
func shown(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		if j := strings.Index(s, "//"); j >= 0 && j < i {
			return s[:j+2] + "…" + s[i:]
		}
		return "…" + s[i:]
	}
	if i := strings.IndexByte(s, '?'); i >= 0 {
		return s[:i] + "?…"
	}
	return s
}

func or(d, otherwise rotation.Duration) rotation.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
