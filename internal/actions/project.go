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
	"github.com/rastup/rekey/internal/notice/runs"
	"github.com/rastup/rekey/internal/notice/webhook"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/markdown"
)

// texts are what all texts of this repository share.
func (j *job) texts() comment.Options {
	o := comment.Options{Repository: j.Getenv("GITHUB_REPOSITORY"), Evidence: j.app.BundleURL,
		Runs: fmt.Sprintf("%s/%s/actions/workflows/%s", j.Getenv("GITHUB_SERVER_URL"), j.Getenv("GITHUB_REPOSITORY"), workflow)}
	if t := j.app.Inputs.Config.Tickets; t != nil {
		o.Tickets = t.GitHub
		if t.Jira != nil {
			o.Jira = t.Jira.URL
		}
	}
	return o
}

// summaryRoom is what one step's summary holds, with some to spare (GitHub documentation, workflow commands: 1 MiB).
const summaryRoom = 1000 << 10

// project starts the workflows that steps wait for, and brings what people see up to date: comments, incidents, tickets.
func (s *survey) project(ctx context.Context) error {
	started := s.start(ctx)
	shown := s.unsettled(s.app.Shown(s.results))
	var all notice.Tally
	add := func(t notice.Tally, err error) error {
		all.Add(t)
		return err
	}
	s.gha.Group("Comments, incidents, tickets")
	defer s.gha.EndGroup()
	tally, untold, err := s.tell(ctx, s.tickets(shown)) // first: the pages say which tickets aren't told
	all.Add(tally)
	o := s.texts()
	o.Untold = untold
	s.overview(shown, o)
	c := &comments.Projector{GitHub: s.hub, Bot: s.bot(), Options: o, Read: s.read}
	i := s.issues()
	err = errors.Join(add(c.Write(ctx, s.pages(shown, o))), err)
	incidents, successes := s.incidents(shown)
	cases, tally, failed := i.Write(ctx, incidents, successes)
	err = errors.Join(started, err, add(tally, failed), add(i.Reviews(ctx, s.afterReviews(shown))))
	// Last: who is told elsewhere may be slow, and what is on GitHub doesn't wait for that.
	w := &webhook.Projector{GitHub: s.hub, Bot: s.bot(), Repository: s.Getenv("GITHUB_REPOSITORY"), Channels: s.channels(), HTTP: s.Services, Clock: s.Clock}
	err = errors.Join(err, add(w.Write(ctx, s.subjects(cases))))
	s.findings(all, lostAnswer)
	s.gha.Infof("%d written, %d edited, %d deleted, %d closed", all.Created, all.Edited, all.Deleted, all.Closed)
	return err
}

// start has the runs begin that are asked for in the journal.
func (s *survey) start(ctx context.Context) error {
	asks, unread := s.app.Asks(s.results, s.mistaken)
	if len(asks) == 0 {
		return unread
	}
	p := &runs.Projector{In: func(repository string) runs.GitHub { return s.hub.In(repository) }, Bot: s.bot(), Now: s.Clock.Now, Read: s.read}
	t, err := p.Write(ctx, asks)
	s.findings(t, "a workflow may not have been started: the next run looks whether it was")
	s.gha.Infof("%d workflows started, of %d that are waited for", t.Created, len(asks))
	return errors.Join(unread, err)
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
func (s *survey) overview(shown []app.Shown, o comment.Options) {
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
	o.Room = summaryRoom - b.Len()
	s.summary(comment.Status(views, o))
}

// pages are the pull requests that what is shown came by, each with all of its rotations.
func (s *survey) pages(shown []app.Shown, o comment.Options) (pages []comments.Page) {
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
		pages = append(pages, s.page(n, of[n], o))
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

func (s *survey) page(n int, shown []app.Shown, o comment.Options) comments.Page {
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
	p.Status = comment.Status(views, o)
	return p
}

func (s *survey) pullURL(v app.Shown) string {
	if n := s.pull(v); n > 0 {
		return fmt.Sprintf("%s/%s/pull/%d", s.Getenv("GITHUB_SERVER_URL"), s.Getenv("GITHUB_REPOSITORY"), n)
	}
	return ""
}
