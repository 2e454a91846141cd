// Package request owns rotations/<YYYY>/<MM>/<date>-<name>.yaml: which secrets to rotate, why, where and when. A
// request can name no command and no address: those come from registry and configuration. The package decides
// nothing about a rotation and reads no file by itself.
package request

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// A File is a request as people write it. Exactly one of Secret, Secrets and Tags says what to rotate.
type File struct {
	// Secret is the name of one secret in the registry.
	Secret problem.Text `json:"secret,omitzero" yaml:"secret"`
	// Secrets are several, for one incident or one change.
	Secrets []problem.Text `json:"secrets,omitempty" yaml:"secrets"`
	// Tags stand for every secret of the registry that has one of them.
	Tags []problem.Text `json:"tags,omitempty" yaml:"tags"`
	// Ticket is the approval ticket.
	Ticket problem.Text `json:"ticket" yaml:"ticket" rekey:"required"`
	// Reason; compromise waives windows, business hours, the order of environments and the retention. Default:
	// scheduled.
	Reason string `json:"reason,omitempty" yaml:"reason" jsonschema:"enum=scheduled,enum=compromise,enum=personnel,enum=request"`
	// OnFailure is what follows a failure: rollback brings the old credential back, hold keeps the new one and
	// waits for a person, so that a stolen value doesn't come back. Default: rollback.
	OnFailure problem.Text `json:"on_failure,omitzero" yaml:"on_failure" jsonschema:"enum=rollback,enum=hold"`
	// Derived says whether the secrets that the registry derives from these rotate as well. Default: true for reason
	// compromise, which is the only one that has it.
	Derived *bool `json:"derived,omitempty" yaml:"derived"`
	// Environments to rotate in. Default: all that the registry has for the secret.
	Environments []problem.Text `json:"environments,omitempty" yaml:"environments"`
	// Window says per environment when its rotation may start: 2026-11-25T02:00Z/PT2H, or start/end. The zone
	// must be there.
	Window problem.Fields `json:"window,omitempty" yaml:"window" like:"window: {prod: 2026-11-25T02:00Z/PT2H}"`
	// Retain is how long the old credential is kept after the new one is live, like 48h; 0h only for reason
	// compromise. Default: the policy's; none at all for reason compromise.
	Retain problem.Text `json:"retain,omitzero" yaml:"retain" rekey:"scalar"`
}

// A Request is one request, read. Secrets, Environments and Retain are complete once it is resolved.
type Request struct {
	Path         string                     // of its file
	Rotation     string                     // the file's name without ".yaml": the rotation's name
	Date         time.Time                  // the day it is named after, midnight UTC
	Bytes        []byte                     // the file
	Digest       string                     // of Bytes, "sha256:<hex>"
	Secrets      []string                   // in the order written; for tags in the order of the registry; derived ones last
	Derived      map[string]string          // of Secrets, those that are here because they are derived: from which
	Ticket       string                     //
	Reason       string                     // scheduled, compromise, personnel, request
	OnFailure    string                     // rollback, hold
	Environments []string                   // in the configured order; see Of for those of one secret
	Windows      map[string]rotation.Window // by environment
	Retain       rotation.Duration          //

	file    File
	windows map[string]problem.Text
}

// TicketAt is where the file names its ticket.
func (r *Request) TicketAt() problem.Pos { return r.file.Ticket.Pos }

// Name makes the path of a new request; folder is the configured one.
func Name(folder string, date time.Time, slug string) string {
	return path.Join(folder, date.Format("2006"), date.Format("01"), date.Format(time.DateOnly)+"-"+slug+".yaml")
}

// Parse reads a request: everything that can be said without registry and configuration. folder is where requests
// lie. What is wrong is added to l; the Request then holds what could be read.
func Parse(folder, file string, b []byte, l *problem.List) *Request {
	r := &Request{Path: file, Bytes: b, Digest: rotation.Digest(b)}
	r.named(folder, l)
	if problem.Decode(problem.Source{File: file, What: "the request", Text: b}, &r.file, l); r.file.Reason == "" {
		r.file.Reason = "scheduled"
	}
	r.Ticket, r.Reason, r.OnFailure = r.file.Ticket.Value, r.file.Reason, r.file.OnFailure.Value
	if r.OnFailure == "" {
		r.OnFailure = "rollback"
	}
	r.Windows, r.windows = map[string]rotation.Window{}, map[string]problem.Text{}
	for _, f := range r.file.Window {
		var text problem.Text
		if !f.Value.Decode(&text, l) {
			continue
		}
		w, err := calendar.ParseWindow(text.Value)
		if err != nil {
			l.Add(text.Pos, "window", calendar.HintOf(err), "%v", err)
			continue
		}
		r.Windows[f.Name.Value], r.windows[f.Name.Value] = w, problem.Text{Value: f.Name.Value, Pos: f.Name.Pos}
		if w.To.Sub(w.From) < 2*time.Hour {
			l.Add(text.Pos, "window", "scheduled runs come up to 40 minutes late: make it two hours or more", "a window of %s is too short",
				hours(rotation.Duration(w.To.Sub(w.From))))
		}
	}
	r.retain(l)
	return r
}

// retain reads how long the old credential is kept: none at all only when it is stolen.
func (r *Request) retain(l *problem.List) {
	t := r.file.Retain
	if t.Value == "" || r.Reason == "compromise" && (t.Value == "0h" || t.Value == "0s" || t.Value == "PT0S") {
		return
	}
	d, err := calendar.ParseDuration(t.Value)
	if err != nil {
		l.Add(t.Pos, "retain", calendar.HintOf(err), "%v", err)
	}
	r.Retain = d
}

var stemName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// named reads the file's place: folder/2026/11/2026-11-22-name.yaml.
func (r *Request) named(folder string, l *problem.List) {
	at := problem.Pos{File: r.Path, Line: 1, Col: 1}
	const hint = "name it like rotations/2026/11/2026-11-22-payments-stripe.yaml"
	stem, isYAML := strings.CutSuffix(path.Base(r.Path), ".yaml")
	r.Rotation = stem
	if !isYAML {
		l.Add(at, "file-name", hint, "a request's name ends with .yaml")
		return
	}
	if len(stem) > 150 || !stemName.MatchString(stem) {
		l.Add(at, "file-name", hint, "a request's name consists of a-z, 0-9 and single hyphens, at most 150")
		return
	}
	date, err := calendar.ParseDate(stem[:min(len(stem), len(time.DateOnly))])
	if err != nil || len(stem) < len(time.DateOnly)+2 || stem[len(time.DateOnly)] != '-' {
		l.Add(at, "file-name", hint, "a request's name begins with a date and goes on with a name")
		return
	}
	r.Date = date
	if want := Name(folder, date, stem[len(time.DateOnly)+1:]); want != r.Path {
		l.Add(at, "file-name", "move it to "+want, "a request of %s doesn't belong here", date.Format(time.DateOnly))
	}
}

// Check is what the fields' types can't say; see problem.Checker.
func (f *File) Check(r *problem.Report) {
	var named []string
	for _, key := range []string{"secret", "secrets", "tags"} {
		if r.Has(key) {
			named = append(named, key)
		}
	}
	switch {
	case len(named) == 0:
		r.Add("", "missing-key", "add secret: NAME, as in the registry", "the request names no secret")
	case len(named) > 1:
		r.Add(named[1], "too-many", "keep one of secret, secrets and tags", "%s beside %s", named[1], named[0])
	}
	for key, list := range map[string][]problem.Text{"secrets": f.Secrets, "tags": f.Tags, "environments": f.Environments} {
		if r.Has(key) && len(list) == 0 {
			r.Add(key, "empty", "", "%s is an empty list", key)
		}
	}
	if len(f.Secrets) > mostSecrets {
		r.Add("secrets", "too-many", "split it over several requests", "more than %d secrets", mostSecrets)
	}
	if f.OnFailure.Value == "hold" && slices.Contains([]string{"", "scheduled", "personnel", "request"}, f.Reason) {
		r.Add("on_failure", "on-failure", "leave it out", "hold is for reason compromise only: otherwise a failure brings the old credential back")
	}
	if r.Has("derived") && f.Reason != "compromise" {
		r.Add("derived", "derived", "leave it out", "derived is for reason compromise only: otherwise what is named rotates, and nothing else")
	}
	if r.Has("window") && f.Reason == "compromise" {
		r.Add("window", "window", "remove it", "reason compromise waits for no window")
	}
	if r.Has("ticket") && strings.TrimSpace(f.Ticket.Value) == "" {
		r.Add("ticket", "ticket", "", "the ticket is empty")
	}
	for _, e := range []struct {
		key   string
		value problem.Text
	}{{"secret", f.Secret}, {"retain", f.Retain}} {
		if r.Has(e.key) && e.value.Value == "" {
			r.Add(e.key, "empty", "", "%s is empty", e.key)
		}
	}
}

const mostSecrets = 500 // of one request: what one approval can be asked for
