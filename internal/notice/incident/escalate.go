package incident

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	text "github.com/rastup/rekey/internal/report/comment"
)

// escalate calls who is next, once, where nobody has reacted to an open issue in time. Who is next is assigned before it
// is said: once it was said, assignees belong to people again.
func (p *Projector) escalate(ctx context.Context, i Issue, x github.Issue, t *notice.Tally) error {
	e := i.Escalation
	if e.Body == "" || p.called[x.Number] || p.Now().Sub(x.CreatedAt) < e.After {
		return nil
	}
	comments, err := p.GitHub.Comments(ctx, x.Number)
	if err != nil || p.saidIn(comments, text.ParseIncidentEscalated) || p.commented(comments) {
		return err
	}
	events, err := p.GitHub.IssueEvents(ctx, x.Number)
	if err != nil || p.reacted(events) {
		return err
	}
	if !p.assign(ctx, x, people(e.Assignees), t) {
		return nil
	}
	said, err := p.say(ctx, x.Number, e.Body, text.ParseIncidentEscalated, t)
	if said {
		if p.called == nil {
			p.called = map[int]bool{}
		}
		p.called[x.Number] = true // for lists that don't show it yet
	}
	return err
}

// assign assigns people besides those that are. Who can't be assigned is a finding, and called all the same; false:
// look again before anything is said.
func (p *Projector) assign(ctx context.Context, x github.Issue, logins []string, t *notice.Tally) bool {
	same := func(a []string, login string) bool {
		return slices.ContainsFunc(a, func(o string) bool { return strings.EqualFold(o, login) })
	}
	logins = slices.DeleteFunc(slices.Clone(logins), func(l string) bool { return same(x.Assignees, l) })
	if len(logins) == 0 {
		return true
	}
	now, err := p.GitHub.AddAssignees(ctx, x.Number, logins)
	if errors.Is(err, github.ErrUnknown) || ctx.Err() != nil {
		t.Again = true
		return false
	}
	const hint = "see who is named under escalation in rekey.yml: GitHub assigns people with access to the repository"
	if err != nil {
		t.Find(x.URL, hint, "incident #%d isn't assigned to %s: %v", x.Number, strings.Join(logins, ", "), err)
		return true
	}
	t.Edited++
	for _, l := range logins {
		if !same(now, l) {
			t.Find(x.URL, hint, "incident #%d can't be assigned to %s", x.Number, l)
		}
	}
	return true
}

// A person has reacted to an issue who commented on it, or did to it what people do: assign, label, rename, close or
// reopen it, and the like. Being assigned or called is no reaction, nor is anything a bot does. GitHub lists neither
// who looked at it nor, with these, who left an emoji.
var reactions = []string{"assigned", "unassigned", "labeled", "unlabeled", "milestoned", "demilestoned", "renamed", "closed", "reopened", "locked", "unlocked", "pinned", "unpinned"}

func (p *Projector) reacted(events []github.IssueEvent) bool {
	return slices.ContainsFunc(events, func(e github.IssueEvent) bool { return slices.Contains(reactions, e.Kind) && p.person(e.By) })
}

func (p *Projector) commented(all []github.Comment) bool {
	return slices.ContainsFunc(all, func(c github.Comment) bool { return p.person(c.Author) })
}

func (p *Projector) person(u github.User) bool {
	return u.Login != "" && !u.Bot && !notice.Ours(u, p.Bot)
}
