package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	text "github.com/rastup/rekey/internal/report/comment"
)

// A Projector keeps incidents' issues right. It remembers what it made, for lists that lag; use one for all passes of
// a process, and not from two goroutines.
type Projector struct {
	GitHub GitHub
	Bot    string           // login that writes the issues
	Now    func() time.Time // required

	made   []github.Issue
	called map[int]bool // issues whose escalation was said
}

var errNoMark = errors.New("the text has no marker by which it would be found again")

// Write opens, updates and closes issues. open and successes are all that the journal shows now; of chains in
// neither nothing is changed. Where one issue can't be brought right, the others still are; the errors come joined. The
// cases are all incidents there are issues of, the oldest issue of each.
func (p *Projector) Write(ctx context.Context, open []Issue, successes []Success) (cases []Case, t notice.Tally, err error) {
	all, err := p.list(ctx, incidents, Label, "all")
	if err != nil {
		return nil, t, err
	}
	current := slices.DeleteFunc(slices.Clone(open), func(i Issue) bool {
		_, over := endedBy(i.Body, successes)
		return over
	})
	all, err = p.current(ctx, incidents, current, all, &t)
	failed := []error{err}
	for i := range all {
		failed = append(failed, p.end(ctx, all, &all[i], successes, &t))
		if err := ctx.Err(); err != nil {
			return nil, t, errors.Join(append(failed, err)...)
		}
	}
	return p.cases(all, open), t, errors.Join(failed...)
}

func (p *Projector) cases(all []github.Issue, open []Issue) (cases []Case) {
	for _, x := range all {
		about, _ := text.ParseIncident(x.Body)
		if one, _ := first(incidents, all, about.Key); one.Number != x.Number {
			continue
		}
		c := Case{About: about, Issue: x}
		for i := range open {
			if its, _ := text.ParseIncident(open[i].Body); its.Key == about.Key {
				c.Incident = &open[i]
			}
		}
		cases = append(cases, c)
	}
	return cases
}

// endedBy is the success that ends the incident with a body.
func endedBy(body string, successes []Success) (Success, bool) {
	about, _ := text.ParseIncident(body)
	i := slices.IndexFunc(successes, func(s Success) bool { return s.Chain == about.Chain() && about.Claim < s.Before })
	if i < 0 {
		return Success{}, false
	}
	return successes[i], true
}

// end closes an issue whose incident is over, or that another pass opened as well.
func (p *Projector) end(ctx context.Context, all []github.Issue, x *github.Issue, successes []Success, t *notice.Tally) error {
	if x.State != "open" || ended(*x) {
		return nil
	}
	if second, err := p.second(ctx, incidents, all, x, t); second || err != nil {
		return err
	}
	s, over := endedBy(x.Body, successes)
	if !over {
		return nil
	}
	if ok, err := p.say(ctx, x.Number, s.Closed, text.ParseIncidentClosed, t); err != nil || !ok {
		return err
	}
	return p.close(ctx, incidents, x, "completed", t)
}

// say comments on an incident, once: marked tells such a comment from others. false: whether it is there isn't certain.
func (p *Projector) say(ctx context.Context, issue int, body string, marked func(string) (string, bool), t *notice.Tally) (bool, error) {
	if _, ok := marked(body); !ok {
		return false, errNoMark
	}
	said := func() (bool, error) {
		all, err := p.GitHub.Comments(ctx, issue)
		return p.saidIn(all, marked), err
	}
	is, err := said()
	if err != nil || is {
		return is, err
	}
	_, err = p.GitHub.CreateComment(ctx, issue, body)
	if errors.Is(err, github.ErrUnknown) {
		if is, err = said(); err != nil || !is {
			t.Again = true
			return false, err
		}
	}
	if err != nil {
		return false, fmt.Errorf("comment on incident #%d: %w", issue, err)
	}
	t.Created++
	return true, nil
}

func (p *Projector) saidIn(all []github.Comment, marked func(string) (string, bool)) bool {
	return slices.ContainsFunc(all, func(c github.Comment) bool {
		_, ok := marked(c.Body)
		return ok && notice.Ours(c.Author, p.Bot)
	})
}
