// Package scan projects the state of all secrets onto one issue, edited in place, and tells people there whose time has
// come, once each.
//
// It must never touch an issue that isn't by the bot's own login, marked and labelled by Rekey, and a pass that finds
// everything as it was writes nothing: that only the time of the scan is another is told once a day.
package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	text "github.com/rastup/rekey/internal/report/comment"
)

// Label is on the issue of this package: by it it is found. GitHub makes a label when the first issue has it.
const Label = "rekey-overdue"

// Title is the issue's.
const Title = "Secret rotation: what is due"

// GitHub is what the projection needs of it; *github.Client is one.
type GitHub interface {
	Issues(ctx context.Context, label, state string) ([]github.Issue, error)
	CreateIssue(ctx context.Context, title, body string, labels, assignees []string) (github.Issue, error)
	EditIssue(ctx context.Context, number int, change github.IssueChange) error
	Comments(ctx context.Context, issue int) ([]github.Comment, error)
	CreateComment(ctx context.Context, issue int, body string) (github.Comment, error)
}

// A Projector keeps the issue right. It remembers what it made, for lists that lag; use one for all passes of a process,
// and not from two goroutines.
type Projector struct {
	GitHub GitHub
	Bot    string // login that writes it

	made *github.Issue
}

// Last is when the issue says that it was scanned last; zero: there is none.
func (p *Projector) Last(ctx context.Context) (time.Time, error) {
	x, err := p.find(ctx)
	if err != nil || x == nil {
		return time.Time{}, err
	}
	at, _ := text.ParseOverdue(x.Body)
	return at, nil
}

// Looked is when any bot's status issue says that it was scanned last; zero: there is none. It is for those who don't know
// as whom the daily look writes.
func Looked(ctx context.Context, g GitHub) (last time.Time, err error) {
	all, err := g.Issues(ctx, Label, "all")
	if err != nil {
		return last, fmt.Errorf("status issue: %w", err)
	}
	for _, x := range all {
		// No person's login ends so.
		if at, ok := text.ParseOverdue(x.Body); ok && strings.HasSuffix(x.Author.Login, "[bot]") && at.After(last) {
			last = at
		}
	}
	return last, nil
}

// Often is how long the time of the last scan may be the only thing out of date.
const Often = 20 * time.Hour

// Write brings the issue to body, a text.Overdue, and tells who wasn't told yet.
func (p *Projector) Write(ctx context.Context, body string, escalations []text.Escalation) (t notice.Tally, err error) {
	at, ok := text.ParseOverdue(body)
	if !ok {
		return t, errors.New("the text has no marker by which it would be found again")
	}
	x, err := p.find(ctx)
	if err != nil {
		return t, err
	}
	if x == nil {
		made, err := p.GitHub.CreateIssue(ctx, Title, body, []string{Label}, nil)
		if errors.Is(err, github.ErrUnknown) {
			t.Again = true
			return t, nil
		}
		if err != nil {
			return t, fmt.Errorf("open the status issue: %w", err)
		}
		t.Created++
		p.made, x = &made, &made
	}
	if x.State == "closed" {
		t.Find(x.URL, "open it again", "the status issue #%d is closed: it is still kept right, and nobody looks there", x.Number)
	}
	was, _ := text.ParseOverdue(x.Body)
	if !text.SameOverdue(x.Body, body) || at.Sub(was) >= Often {
		if err := t.Settle(&t.Edited, p.GitHub.EditIssue(ctx, x.Number, github.IssueChange{Body: &body})); err != nil {
			return t, fmt.Errorf("edit the status issue #%d: %w", x.Number, err)
		}
	}
	return t, p.tell(ctx, x.Number, escalations, &t)
}

// find is the issue: of several, the oldest.
func (p *Projector) find(ctx context.Context) (*github.Issue, error) {
	all, err := p.GitHub.Issues(ctx, Label, "all")
	if err != nil {
		return nil, fmt.Errorf("status issue: %w", err)
	}
	all = slices.DeleteFunc(slices.Clone(all), func(x github.Issue) bool {
		_, ok := text.ParseOverdue(x.Body)
		return !ok || !notice.Ours(x.Author, p.Bot)
	})
	if len(all) == 0 {
		return p.made, nil
	}
	oldest := slices.MinFunc(all, func(a, b github.Issue) int { return cmp.Compare(a.Number, b.Number) })
	return &oldest, nil
}

// tell comments what nobody was told yet.
func (p *Projector) tell(ctx context.Context, issue int, escalations []text.Escalation, t *notice.Tally) error {
	if len(escalations) == 0 {
		return nil
	}
	rest, err := p.untold(ctx, issue, escalations)
	if err != nil || len(rest) == 0 {
		return err
	}
	_, err = p.GitHub.CreateComment(ctx, issue, text.Escalated(rest))
	if errors.Is(err, github.ErrUnknown) {
		t.Again = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("comment on the status issue #%d: %w", issue, err)
	}
	t.Created++
	return nil
}

func (p *Projector) untold(ctx context.Context, issue int, escalations []text.Escalation) ([]text.Escalation, error) {
	said, err := p.GitHub.Comments(ctx, issue)
	if err != nil {
		return nil, fmt.Errorf("status issue #%d: %w", issue, err)
	}
	told := map[string]bool{}
	for _, c := range said {
		if keys, ok := text.ParseEscalated(c.Body); ok && notice.Ours(c.Author, p.Bot) {
			for _, k := range keys {
				told[k] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(escalations), func(e text.Escalation) bool { return told[e.Key()] }), nil
}
