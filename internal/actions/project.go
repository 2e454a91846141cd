package actions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/notice"
	comments "github.com/rastup/rekey/internal/notice/comment"
	"github.com/rastup/rekey/internal/notice/incident"
	"github.com/rastup/rekey/internal/notice/ticket"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/markdown"
)

// texts are what all texts of this repository share.
func (j *job) texts() comment.Options {
	o := comment.Options{Repository: j.Getenv("GITHUB_REPOSITORY"), Evidence: j.app.BundleURL}
	if t := j.app.Inputs.Config.Tickets; t != nil {
		o.Tickets = t.GitHub
	}
	return o
}

// project brings what people see up to date: comments, incidents, tickets.
func (s *survey) project(ctx context.Context) error {
	shown := s.unsettled(s.app.Shown(s.results))
	s.overview(shown)
	bot := s.bot()
	var all notice.Tally
	add := func(t notice.Tally, err error) error {
		all.Add(t)
		return err
	}
	s.gha.Group("Comments, incidents, tickets")
	defer s.gha.EndGroup()
	c := &comments.Projector{GitHub: s.hub, Bot: bot, Options: s.texts(), Read: s.read}
	i := s.issues()
	t := &ticket.Projector{In: func(repository string) ticket.GitHub { return s.hub.In(repository) }, Bot: bot}
	incidents, successes := s.incidents(shown)
	err := errors.Join(
		add(c.Write(ctx, s.pages(shown))),
		add(i.Write(ctx, incidents, successes)),
		add(i.Reviews(ctx, s.afterReviews(shown))),
		add(t.Write(ctx, s.tickets(shown))),
	)
	for _, f := range all.Findings {
		s.warn(fmt.Sprintf("%s %s (%s)", f.URL, f.Text, f.Hint))
	}
	if all.Again {
		s.warn("GitHub didn't answer a changing call: the next run looks whether it happened")
	}
	s.gha.Infof("%d written, %d edited, %d deleted, %d closed", all.Created, all.Edited, all.Deleted, all.Closed)
	return err
}

// unsettled leaves out what has been over for long, but for what came by the same pull request as something that isn't:
// its page tells of all.
func (s *survey) unsettled(shown []app.Shown) []app.Shown {
	old := func(v app.Shown) bool {
		return v.View.Over() && !v.Task.Lately && !v.Last().IsZero() && v.Last().Before(s.Clock.Now().Add(-app.Settled))
	}
	alive := map[int]bool{}
	for _, v := range shown {
		if n := s.pull(v); n > 0 && !old(v) {
			alive[n] = true
		}
	}
	return slices.DeleteFunc(shown, func(v app.Shown) bool { return old(v) && !alive[s.pull(v)] })
}

// overview is what an approver looks at: what this run asks, and how everything stands.
func (s *survey) overview(shown []app.Shown) {
	var b strings.Builder
	for _, e := range s.app.Inputs.Config.Environments {
		for _, it := range s.items[e.Name] {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", markdown.Text(e.Name), markdown.Text(it.Secret), markdown.Text(it.Rotation), it.For)
		}
	}
	if b.Len() > 0 {
		s.summary("### This run asks about\n\n| environment | secret | rotation | for |\n|---|---|---|---|\n" + b.String())
	}
	var views []report.View
	for _, v := range shown {
		views = append(views, v.View)
	}
	s.summary(comment.Status(views, s.texts()))
}

// pages are the pull requests that what is shown came by, each with all of its rotations.
func (s *survey) pages(shown []app.Shown) (pages []comments.Page) {
	of := map[int][]app.Shown{}
	var order []int
	for _, v := range shown {
		n := s.pull(v)
		if n == 0 {
			continue
		}
		if of[n] == nil {
			order = append(order, n)
		}
		of[n] = append(of[n], v)
	}
	for _, n := range order {
		pages = append(pages, s.page(n, of[n]))
	}
	return pages
}

// pull is the pull request of v's request; 0 where there is none in this repository, or it isn't known.
func (s *survey) pull(v app.Shown) int {
	for _, e := range v.Environments {
		if len(e.Records) > 0 {
			if o := e.Records[0].Claim.Origin; o != nil && strings.EqualFold(o.Repository, s.Getenv("GITHUB_REPOSITORY")) {
				return o.PullRequest
			}
		}
	}
	if r := v.Task.Request; r != nil {
		return cmp.Or(s.asked[r.Path].Origin.PullRequest, s.brought[r.Path])
	}
	return 0
}

func (s *survey) page(n int, shown []app.Shown) comments.Page {
	var views []report.View
	p := comments.Page{Pull: n}
	for _, v := range shown {
		views = append(views, v.View)
		for _, e := range v.Environments {
			for _, entry := range comment.Outcomes(e) {
				entry.Locked = s.app.LockedUntil(e.Records[len(e.Records)-1].At)
				p.Audits = append(p.Audits, entry)
			}
		}
	}
	p.Status = comment.Status(views, s.texts())
	return p
}

func (s *survey) incidents(shown []app.Shown) (open []incident.Issue, done []incident.Success) {
	o := s.texts()
	for _, v := range shown {
		url := s.pullURL(v)
		for i, e := range v.Environments {
			wrong, success := incident.Judge(e, v.View.Environments[i])
			if wrong {
				if title, body, ok := comment.Incident(v.View, e.Name, url, o); ok {
					open = append(open, incident.Issue{Chain: e.Plan.Chain, Title: title, Body: body, Labels: s.severity(e.Name), Assignees: assignees(v.View.Owner)})
				}
			}
			if success {
				if text, ok := comment.IncidentClosed(v.View, e.Name, o); ok {
					done = append(done, incident.Success{Chain: e.Plan.Chain, Before: incident.Ends(e), Closed: text})
				}
			}
		}
	}
	return open, done
}

func (s *survey) pullURL(v app.Shown) string {
	if n := s.pull(v); n > 0 {
		return fmt.Sprintf("%s/%s/pull/%d", s.Getenv("GITHUB_SERVER_URL"), s.Getenv("GITHUB_REPOSITORY"), n)
	}
	return ""
}

func (s *survey) severity(environment string) []string {
	if e, ok := s.app.Inputs.Config.Environment(environment); ok {
		return []string{e.Severity}
	}
	return nil
}

// assignees is an owner who is one person: teams can't be assigned.
func assignees(owner string) []string {
	if login, ok := strings.CutPrefix(owner, "@"); ok && !strings.Contains(login, "/") {
		return []string{login}
	}
	return nil
}

func (s *survey) tickets(shown []app.Shown) (all []ticket.Ticket) {
	home := s.app.Inputs.Config.Tickets
	if home == nil {
		return nil
	}
	for _, v := range shown {
		ref, ok := ticket.ParseRef(v.View.Ticket, home.GitHub)
		if !ok {
			continue
		}
		i := slices.IndexFunc(all, func(t ticket.Ticket) bool { return t.Ref == ref })
		if i < 0 {
			i, all = len(all), append(all, ticket.Ticket{Ref: ref})
		}
		all[i].Rotations = append(all[i].Rotations, ticket.Rotation{Over: v.View.Over(), Summary: comment.Ticket(v.View, s.texts())})
	}
	return all
}
