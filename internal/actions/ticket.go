package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/jira"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/ticket"
	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/wiki"
	"github.com/rastup/rekey/internal/request"
	"github.com/rastup/rekey/internal/rotation"
)

// A desk is where approval tickets are kept, as one job has it.
type desk struct {
	ticket.Tracker
	text func(v report.View, left bool) ticket.Summary
	seen map[string]sight // by name: looked up once
}

// A sight is what looking up a ticket said.
type sight struct {
	name string
	ticket.Seen
	err error // a *ticket.None: there is none; any other says nothing about the ticket
}

// newDesk is the desk of the house rules; nil where they name none. It calls nobody.
func (j *job) newDesk() (*desk, error) {
	t := j.app.Inputs.Config.Tickets
	switch {
	case t == nil:
		return nil, nil
	case t.Jira != nil:
		tracker, err := j.jira(t.Jira)
		return &desk{Tracker: tracker, seen: map[string]sight{}, text: func(v report.View, left bool) ticket.Summary {
			key := comment.TicketKey(v)
			return ticket.Summary{Key: key, Left: left, Text: wiki.Summary(v, key, left, wiki.Options{Evidence: j.app.BundleURL})}
		}}, err
	}
	hub := &ticket.GitHub{Home: t.GitHub, Bot: j.bot(), In: func(repository string) ticket.Repository { return j.hub.In(repository) }}
	return &desk{Tracker: hub, seen: map[string]sight{}, text: func(v report.View, left bool) ticket.Summary {
		return ticket.Summary{Key: comment.TicketKey(v), Left: left, Text: comment.Ticket(v, left, j.texts())}
	}}, nil
}

// jira signs in with what the environment has. Without a token the tracker has no site: it only knows names.
func (j *job) jira(c *config.Jira) (*ticket.Jira, error) {
	t := &ticket.Jira{Known: c.Key, Transition: c.Transition, Resolution: c.Resolution}
	token, user := j.Getenv(c.TokenFrom), ""
	j.app.Hide(token)
	if token == "" {
		return t, rotation.Failf("give it to the jobs that docs/github.md names", "Jira can't be asked: %s isn't set in this job", c.TokenFrom)
	}
	if c.UserFrom != "" {
		if user = j.Getenv(c.UserFrom); user == "" {
			return t, rotation.Failf("give it to the jobs that docs/github.md names", "Jira can't be asked: %s isn't set in this job", c.UserFrom)
		}
	}
	client, err := jira.New(jira.Options{URL: c.URL, User: user, Token: token, Transport: j.Services, Clock: j.Clock})
	if err == nil {
		t.Site, t.Discussion, t.Browse = client, client, client.Browse
	}
	return t, err
}

// exposed warns of a token of Jira's in a job that runs commands of the checks.
func (j *job) exposed() {
	if t := j.app.Inputs.Config.Tickets; t != nil && t.Jira != nil && j.Getenv(t.Jira.TokenFrom) != "" {
		j.app.Hide(j.Getenv(t.Jira.TokenFrom))
		j.warn(fmt.Sprintf("%s is set in a job that runs the checks' commands, and isn't needed here: give it to plan and after-… only", t.Jira.TokenFrom))
	}
}

// look looks a ticket up, once; nil: it isn't one that can be.
func (d *desk) look(ctx context.Context, text string, broken error) *sight {
	if d == nil {
		return nil
	}
	name, ok := d.Name(text)
	if !ok {
		return nil
	}
	s, known := d.seen[name]
	if !known {
		s = sight{name: name, err: broken}
		if broken == nil {
			s.Seen, s.err = d.Find(ctx, name)
		}
		d.seen[name] = s
	}
	return &s
}

// none is nil unless there is certainly no such ticket.
func (s *sight) none() (n *ticket.None) {
	errors.As(s.err, &n)
	return n
}

// finding is what a person must hear of it; nil: all is well.
func (s *sight) finding() *rotation.Failure {
	switch none := s.none(); {
	case none != nil:
		return &rotation.Failure{Msg: none.Msg, Hint: none.Hint}
	case s.err != nil:
		hint := "it is looked up again by the next run"
		var failure *rotation.Failure
		if errors.As(s.err, &failure) && failure.Hint != "" {
			hint = failure.Hint
		}
		return &rotation.Failure{Msg: fmt.Sprintf("the ticket %s couldn't be looked up: %v", s.name, s.err), Hint: hint}
	case s.Closed:
		return &rotation.Failure{Msg: fmt.Sprintf("the ticket %s is closed already (%s)", s.name, s.Status), Hint: "name one that approves this rotation"}
	}
	return nil
}

// ticketed looks up the ticket of what is to be asked about for the first time. With missing: refuse nobody is asked
// where there is none, and nobody yet where that can't be told. What has begun anywhere goes on, whatever became of its
// ticket.
func (s *survey) ticketed(ctx context.Context, q *request.Request) error {
	if slices.ContainsFunc(s.results, func(r app.Result) bool {
		return r.Task.Rotation == q.Rotation && len(r.Status.Records) > 0
	}) {
		return nil
	}
	seen := s.desk.look(ctx, q.Ticket, s.deskless)
	if seen == nil {
		return nil
	}
	f := seen.finding()
	switch refuses := s.app.Inputs.Config.Tickets.Refuses(); {
	case f == nil:
		return nil
	case refuses && seen.none() != nil:
		return &rotation.Failure{Msg: q.Path + ": " + f.Msg, Hint: f.Hint}
	case refuses && seen.err != nil:
		return &policy.Later{Until: s.Clock.Now().Add(time.Hour), Msg: q.Path + ": " + f.Msg}
	}
	s.warn(fmt.Sprintf("%s: %s (%s)", q.Path, f.Msg, f.Hint))
	return nil
}

// tickets are those that what is shown names.
func (s *survey) tickets(shown []app.Shown) (all []ticket.Ticket) {
	if s.desk == nil {
		return nil
	}
	for _, v := range shown {
		name, ok := s.desk.Name(v.View.Ticket)
		if !ok {
			continue
		}
		i := slices.IndexFunc(all, func(t ticket.Ticket) bool { return t.Name == name })
		if i < 0 {
			i, all = len(all), append(all, ticket.Ticket{Name: name})
		}
		all[i].Rotations = append(all[i].Rotations, ticket.Rotation{Over: v.View.Over(), Back: len(v.View.Back()) > 0, Closed: s.desk.text(v.View, false), Left: s.desk.text(v.View, true)})
	}
	return all
}

// tell brings tickets up to date; those that it can't are named.
func (s *survey) tell(ctx context.Context, all []ticket.Ticket) (t notice.Tally, untold []string, err error) {
	over := func(k ticket.Ticket) bool {
		return slices.ContainsFunc(k.Rotations, func(r ticket.Rotation) bool { return r.Over })
	}
	if s.desk == nil || !slices.ContainsFunc(all, over) {
		return t, nil, nil
	}
	if s.deskless != nil {
		for _, k := range all {
			if over(k) {
				untold = append(untold, k.Name)
			}
		}
		return t, untold, fmt.Errorf("tickets aren't told yet: %w", s.deskless)
	}
	return (&ticket.Projector{Tracker: s.desk}).Write(ctx, all)
}

// foretold is what a pull request's comment says of a request's ticket, and an annotation at its line. A pull request that
// changes the house rules looks nothing up in Jira: it could send the token anywhere. Nor does a job without a token: it
// is one for whoever can push a branch.
func (j *job) foretold(ctx context.Context, d *desk, broken error, files []github.File, r *comment.Request) {
	t := j.app.Inputs.Config.Tickets
	changed := slices.ContainsFunc(files, func(f github.File) bool { return f.Path == j.app.Config })
	if d == nil || t.Jira != nil && (broken != nil || changed) {
		return
	}
	seen := d.look(ctx, r.Ticket, broken)
	if seen == nil {
		return
	}
	r.Sight = &comment.Sight{Status: seen.Status, Title: seen.Title}
	if f := seen.finding(); f != nil {
		r.Sight.Finding, r.Sight.Hint, r.Sight.Refused = f.Msg, f.Hint, t.Refuses() && seen.none() != nil
		if q, ok := j.app.Inputs.Find(r.Path); ok {
			at := q.TicketAt()
			a := j.gha.WithFieldsMap(map[string]string{"file": at.File, "line": fmt.Sprint(max(at.Line, 1)), "col": fmt.Sprint(max(at.Col, 1)), "title": "ticket"})
			a.Warningf("%s", lines(f.Msg+"\nhint: "+f.Hint))
		}
	}
}
