// Package webhook tells places outside GitHub of incidents: when one is opened, when somebody else is called about it,
// and when it is over. What was told is in a comment on the incident's issue.
//
// A message is sent until the place has taken it, by this run or a later one: whoever reads it may read it twice, where
// an answer or the comment was lost (PagerDuty knows a message again, Slack doesn't). It must never fail a run, never
// hold one up for long, and never let an address or a key into a text: what a transport or a place says is never quoted.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	text "github.com/rastup/rekey/internal/report/comment"
)

// What a place is told of an incident.
const (
	Opened    = "opened"
	Escalated = "escalated"
	Resolved  = "resolved"
)

// A Channel is one place outside GitHub; see Slack and PagerDuty.
type Channel struct {
	name  string
	tells func(severity string) bool
	place place
}

// Format is fmt.Formatter: whichever way a channel is printed, only its name is.
func (c Channel) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "channel "+c.name) }

// A place knows its messages and its answers.
type place interface {
	// message is what is sent about e; ok false: it isn't told of this event.
	message(e event) (to string, body []byte, ok bool)
	// refusal says why an answer is a definite no, in words of our own.
	refusal(status int, body []byte) (problem, hint string)
}

type event struct {
	Subject
	what string
}

// A Subject is an issue about something that needs a person, or did.
type Subject struct {
	text.Brief
	Severity string // SEV1 to SEV4
	Issue    github.Issue
}

// GitHub is what the projection needs of it; *github.Client is one.
type GitHub interface {
	Comments(ctx context.Context, issue int) ([]github.Comment, error)
	CreateComment(ctx context.Context, issue int, body string) (github.Comment, error)
	EditComment(ctx context.Context, id int64, body string) error
}

// A Clock tells time and waits between attempts.
type Clock interface {
	Now() time.Time
	Sleep(context.Context, time.Duration) error
}

// A Projector tells channels what they don't know yet. It remembers what it told, for lists that lag; use one for all
// passes of a process, and not from two goroutines.
type Projector struct {
	GitHub     GitHub
	Bot        string // login that writes the comments
	Repository string // owner/name of the issues: PagerDuty's keys are told apart by it
	Channels   []Channel
	HTTP       http.RoundTripper // nil: Go's own
	Clock      Clock

	notes map[string]github.Comment // by the incident's key, as last written
	until time.Time                 // when this pass has had its time
	down  map[string]string         // channels that don't answer in this pass, and why
}

// Recent is how long after it was closed an issue is still looked at, for a channel that hasn't heard of that.
const Recent = 7 * 24 * time.Hour

// Write tells the channels of all subjects. Where one can't be told the others still are; that it wasn't is a finding.
// Errors are GitHub's alone, joined.
func (p *Projector) Write(ctx context.Context, subjects []Subject) (t notice.Tally, err error) {
	if len(p.Channels) == 0 {
		return t, nil
	}
	p.until, p.down = p.Clock.Now().Add(most), map[string]string{}
	var failed []error
	for _, s := range subjects {
		if s.Issue.State != "open" && p.Clock.Now().Sub(s.Issue.ClosedAt) > Recent {
			continue
		}
		failed = append(failed, p.subject(ctx, s, &t))
		if err := ctx.Err(); err != nil {
			return t, errors.Join(append(failed, err)...)
		}
	}
	return t, errors.Join(failed...)
}

func (p *Projector) subject(ctx context.Context, s Subject, t *notice.Tally) error {
	comments, err := p.GitHub.Comments(ctx, s.Issue.Number)
	if err != nil {
		return err
	}
	note, done, escalated := p.read(s, comments)
	var failed []text.Telling
	for _, c := range p.Channels {
		for _, e := range events(s, c, done, escalated) {
			problem, hint, told := p.tell(ctx, c, e)
			if !told {
				continue
			}
			one := text.Telling{Channel: c.name, Event: e.what, Problem: problem}
			if problem == "" {
				done = append(done, one)
				continue
			}
			failed = append(failed, one)
			t.Find(s.Issue.URL, hint, "%s was not told that incident #%d is %s: %s", c.name, s.Issue.Number, e.what, problem)
			break // what comes after it would be out of order
		}
	}
	if len(done)+len(failed) == 0 || ctx.Err() != nil {
		return nil
	}
	return p.note(ctx, s, note, text.Notified(s.Key, append(failed, done...)), t)
}

// read finds the note among comments, what was told, and whether somebody else was called.
func (p *Projector) read(s Subject, comments []github.Comment) (note github.Comment, done []text.Telling, escalated bool) {
	mine := p.notes[s.Key]
	take := func(c github.Comment) {
		key, told, ok := text.ParseNotified(c.Body)
		if !ok || key != s.Key {
			return
		}
		if note.ID == 0 {
			note = c
		}
		for _, x := range told {
			if !slices.Contains(done, x) {
				done = append(done, x)
			}
		}
	}
	if mine.ID != 0 {
		take(mine)
	}
	for _, c := range comments {
		if notice.Ours(c.Author, p.Bot) {
			take(c)
			_, is := text.ParseIncidentEscalated(c.Body)
			escalated = escalated || is
		}
	}
	return note, done, escalated
}

// events are what a channel is to be told of s now, in order. Who wasn't told that it was opened isn't told that it is
// over.
func events(s Subject, c Channel, done []text.Telling, escalated bool) (all []event) {
	told := func(what string) bool { return slices.Contains(done, text.Telling{Channel: c.name, Event: what}) }
	add := func(what string) {
		if !told(what) {
			all = append(all, event{s, what})
		}
	}
	switch {
	case s.Issue.State != "open":
		if told(Opened) {
			add(Resolved)
		}
	case told(Opened) || c.tells(s.Severity):
		add(Opened)
		if escalated {
			add(Escalated)
		}
	}
	return all
}

// note writes what was told where. A lost answer to the first is looked for, and left to another pass.
func (p *Projector) note(ctx context.Context, s Subject, note github.Comment, body string, t *notice.Tally) error {
	if notice.Plain(note.Body) == notice.Plain(body) {
		return nil
	}
	if note.ID != 0 {
		if err := t.Settle(&t.Edited, p.GitHub.EditComment(ctx, note.ID, body)); err != nil {
			return fmt.Errorf("say on #%d what was told outside: %w", s.Issue.Number, err)
		}
		note.Body = body
	} else {
		made, err := p.GitHub.CreateComment(ctx, s.Issue.Number, body)
		if errors.Is(err, github.ErrUnknown) {
			t.Again = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("say on #%d what was told outside: %w", s.Issue.Number, err)
		}
		t.Created++
		note = made
	}
	if p.notes == nil {
		p.notes = map[string]github.Comment{}
	}
	p.notes[s.Key] = note
	return nil
}
