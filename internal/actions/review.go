package actions

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/notice/incident"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/rotation"
)

// issues is the one projector of this job's issues: it remembers what it made.
func (s *survey) issues() *incident.Projector {
	if s.projector == nil {
		s.projector = &incident.Projector{GitHub: s.hub, Bot: s.bot(), Now: s.Clock.Now}
	}
	return s.projector
}

// afterReviews are what the journal shows of broken glass, as issues: each once.
func (s *survey) afterReviews(shown []app.Shown) (all []incident.Issue) {
	seen := map[string]bool{}
	for _, v := range append(slices.Clone(shown), s.waited...) {
		for i, e := range v.Environments {
			for _, a := range v.View.Environments[i].Broken {
				calls := s.calls(e)
				title, body, ok := comment.AfterReview(v.View, e.Name, a, s.pullURL(v), calls.Primary, s.texts())
				about, _ := comment.ParseAfterReview(body)
				if !ok || seen[about.Key] {
					continue
				}
				seen[about.Key] = true
				all = append(all, incident.Issue{Chain: e.Plan.Chain, Title: title, Body: body, Labels: []string{s.severity(e.Name)},
					Assignees: individuals(append([]string{v.View.Owner}, calls.Primary...))})
			}
		}
	}
	return all
}

// last is what is last on r's chain, as reports show it: r's own attempt, or that of a rotation before it, which isn't
// looked at by itself any more.
func (s *survey) last(r app.Result) app.Shown {
	records := r.Status.Chain.Records
	p, now := records[0].Claim.Plan, s.Clock.Now()
	e := report.Environment{Name: p.Environment, Plan: p, Records: records, Decision: plan.Next(&p, records, now), Head: r.Status.Chain.Head()}
	v := app.Shown{Task: app.Task{Rotation: p.Rotation, Secret: p.Secret}, Environments: []report.Environment{e}}
	v.View = report.New(p.Secret, p.Rotation, v.Environments, now)
	return v
}

// A broken glass is one that the journal shows, where its chain was looked at.
type broken struct {
	rotation.Chain
	key string
	by  []string
	at  time.Time
}

// reviewed leaves out the ordinary rotations that would begin where an after-review isn't closed. What has begun goes
// on, and what is stolen doesn't wait. An issue that isn't there yet, or was deleted, holds as an open one does, as far
// as the journal shows what it is about; and where GitHub doesn't list them nothing ordinary begins.
func (s *survey) reviewed(ctx context.Context, all []candidate) (fine []candidate) {
	for _, c := range all {
		if !ordinary(c) {
			fine = append(fine, c)
			continue
		}
		if s.unreviewed == nil {
			u, err := s.issues().Unreviewed(ctx)
			s.unreviewed = &after{Unreviewed: u, err: err, broken: brokenGlass(s.results)}
			if err != nil {
				s.fail(fmt.Errorf("no ordinary rotation is asked about: %w", err))
			}
		}
		if err := s.unreviewed.holds(c.result.Status.Plan.Chain); err != nil {
			if hold(c.result, err); c.result.Status.Chain != nil && len(c.result.Status.Chain.Records) > 0 {
				s.waited = append(s.waited, s.last(*c.result)) // what it waits for must be there to be closed
			}
			continue
		}
		fine = append(fine, c)
	}
	return fine
}

// ordinary says whether c would begin, and isn't for what is stolen.
func ordinary(c candidate) bool {
	return len(c.result.Status.Records) == 0 && c.result.Status.Plan.Reason != "compromise"
}

// after is the after-reviews as this job found them.
type after struct {
	incident.Unreviewed
	err    error
	broken []broken
}

// holds says why nothing ordinary begins on a chain; nil: it may.
func (a *after) holds(c rotation.Chain) error {
	if a.err != nil {
		return rotation.Failf("see what this run's job says", "whether an after-review is open can't be seen")
	}
	if n := a.Open[c]; n > 0 {
		return rotation.Failf("somebody reviews it, and closes it", "after-review #%d must be closed first", n)
	}
	for _, b := range a.broken {
		if b.Chain == c && !a.Closed[b.key] {
			return rotation.Failf("its issue is opened by this run", "the glass was broken here by %s, and that isn't reviewed", who(b.by))
		}
	}
	return nil
}

func who(logins []string) (text string) {
	for i, l := range logins {
		if i > 0 {
			text += ", "
		}
		text += "@" + l
	}
	return text
}

// brokenGlass is every break-glass of the attempts that were looked at, and of what is last on their chains.
func brokenGlass(results []app.Result) (all []broken) {
	for _, r := range results {
		if r.Status.Chain == nil {
			continue
		}
		for _, rec := range r.Status.Chain.Records {
			if a := rec.Grant(); a != nil && a.BreakGlass != "" {
				all = append(all, broken{rec.Chain, comment.AfterReviewKey(rec.Rotation, rec.Secret, rec.Environment, rec.Attempt, a.For), a.By, a.SeenAt})
			}
		}
	}
	return all
}

// overtaken refuses to begin what is ordinary where the glass was broken since this run began: what it asked is from
// before there was anything to review. Only the job that asks sees whether that is closed.
func (a *answers) overtaken(ctx context.Context, r app.Result) error {
	if len(r.Status.Records) > 0 || r.Status.Plan.Reason == "compromise" {
		return nil
	}
	for _, b := range brokenGlass([]app.Result{r}) {
		run, err := a.hub.Run(ctx, a.run)
		if err != nil {
			return err
		}
		if !b.at.Before(run.CreatedAt) {
			return rotation.Failf("close its after-review; then the next run asks", "the glass was broken here by %s since this run began", who(b.by))
		}
	}
	return nil
}
