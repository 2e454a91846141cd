package incident

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
)

// current opens and updates what is to be open, and answers all issues of that kind as they are then.
func (p *Projector) current(ctx context.Context, k kind, current []Issue, all []github.Issue, t *notice.Tally) ([]github.Issue, error) {
	all, err := p.missing(ctx, k, current, all, t)
	failed := []error{err}
	for _, i := range current {
		about, _ := k.parse(i.Body)
		if x, ok := first(k, all, about.Key); ok && x.State == "open" && !ended(x) {
			failed = append(failed, p.update(ctx, k, i, x, t), p.escalate(ctx, i, x, t))
		}
	}
	return all, errors.Join(failed...)
}

// second closes an issue about what an older one is about, too; false: it isn't one.
func (p *Projector) second(ctx context.Context, k kind, all []github.Issue, x *github.Issue, t *notice.Tally) (bool, error) {
	about, _ := k.parse(x.Body)
	if first, _ := first(k, all, about.Key); first.Number == x.Number {
		return false, nil
	}
	return true, p.close(ctx, k, x, "not_planned", t) // both say the same
}

// ended says whether an issue was closed here, whoever opened it again.
func ended(x github.Issue) bool { return strings.HasSuffix(notice.Plain(x.Body), over) }

// list is our issues, those GitHub doesn't list yet as well, by number.
func (p *Projector) list(ctx context.Context, k kind, label, state string) ([]github.Issue, error) {
	all, err := p.GitHub.Issues(ctx, label, state)
	if err != nil {
		return nil, fmt.Errorf("%ss: %w", k.what, err)
	}
	for _, x := range p.made {
		if !slices.ContainsFunc(all, func(o github.Issue) bool { return o.Number == x.Number }) {
			all = append(slices.Clone(all), x)
		}
	}
	all = slices.DeleteFunc(slices.Clone(all), func(x github.Issue) bool {
		_, ok := k.parse(x.Body)
		return !ok || !notice.Ours(x.Author, p.Bot)
	})
	slices.SortFunc(all, func(a, b github.Issue) int { return cmp.Compare(a.Number, b.Number) })
	return all, nil
}

// first is the issue with a key: of several, the oldest.
func first(k kind, all []github.Issue, key string) (github.Issue, bool) {
	for _, x := range all {
		if about, _ := k.parse(x.Body); about.Key == key {
			return x, true
		}
	}
	return github.Issue{}, false
}

// missing opens issues for what has none, and answers all issues as they are then.
func (p *Projector) missing(ctx context.Context, k kind, current []Issue, all []github.Issue, t *notice.Tally) ([]github.Issue, error) {
	lacks := func(i Issue) bool {
		about, _ := k.parse(i.Body)
		_, ok := first(k, all, about.Key)
		return !ok
	}
	if !slices.ContainsFunc(current, lacks) {
		return all, nil
	}
	// Somebody may have taken the label off, or the token may not set it: without this look each pass would open one more.
	open, err := p.list(ctx, k, "", "open")
	if err != nil {
		return all, err
	}
	for _, x := range open {
		if !slices.ContainsFunc(all, func(o github.Issue) bool { return o.Number == x.Number }) {
			all = append(all, x)
		}
	}
	var failed []error
	for _, i := range current {
		if lacks(i) {
			if err := p.open(ctx, k, i, t); err != nil {
				failed = append(failed, fmt.Errorf("open an %s for %s: %w", k.what, i.Chain, err))
			}
		}
	}
	again, err := p.list(ctx, k, k.label, "all")
	if err != nil {
		return all, errors.Join(append(failed, err)...)
	}
	for _, x := range all {
		if !slices.ContainsFunc(again, func(o github.Issue) bool { return o.Number == x.Number }) {
			again = append(again, x)
		}
	}
	slices.SortFunc(again, func(a, b github.Issue) int { return cmp.Compare(a.Number, b.Number) })
	return again, errors.Join(failed...)
}

func (p *Projector) open(ctx context.Context, k kind, i Issue, t *notice.Tally) error {
	about, ok := k.parse(i.Body)
	if !ok {
		return errNoMark
	}
	people := people(i.Assignees)
	x, err := p.GitHub.CreateIssue(ctx, i.Title, i.Body, labels(k, i), people)
	if err != nil && len(people) > 0 && !errors.Is(err, github.ErrUnknown) && ctx.Err() == nil {
		// GitHub refuses the whole issue for one assignee it doesn't know.
		if x, err = p.GitHub.CreateIssue(ctx, i.Title, i.Body, labels(k, i), nil); err == nil {
			p.assign(ctx, x, people, t)
		}
	}
	if errors.Is(err, github.ErrUnknown) {
		all, err := p.list(ctx, k, k.label, "all")
		if _, ok := first(k, all, about.Key); ok {
			t.Created++
		} else {
			t.Again = true
		}
		return err
	}
	if err != nil {
		return err
	}
	t.Created++
	p.made = append(p.made, x)
	return nil
}

// update brings title and text up to date, and the label back. Severity and assignees belong to people from now on.
func (p *Projector) update(ctx context.Context, k kind, i Issue, x github.Issue, t *notice.Tally) error {
	var change github.IssueChange
	if x.Title != i.Title {
		change.Title = &i.Title
	}
	if notice.Plain(x.Body) != notice.Plain(i.Body) {
		change.Body = &i.Body
	}
	labelled := slices.ContainsFunc(x.Labels, func(l string) bool { return strings.EqualFold(l, k.label) })
	if !labelled {
		with := append(slices.Clone(x.Labels), k.label)
		change.Labels = &with
	}
	if change == (github.IssueChange{}) {
		return nil
	}
	if err := t.Settle(&t.Edited, p.GitHub.EditIssue(ctx, x.Number, change)); err != nil {
		return fmt.Errorf("update %s #%d: %w", k.what, x.Number, err)
	}
	p.changed(x.Number, func(made *github.Issue) { made.Title, made.Body = i.Title, i.Body })
	return nil
}

// over ends the text of an issue that was closed here: what a person opens again after that stays open.
const over = "<!-- rekey:incident-over -->"

func (p *Projector) close(ctx context.Context, k kind, x *github.Issue, reason string, t *notice.Tally) error {
	closed, body := "closed", strings.TrimRight(notice.Plain(x.Body), "\n")+"\n\n"+over+"\n"
	change := github.IssueChange{State: &closed, Reason: &reason, Body: &body}
	if err := t.Settle(&t.Closed, p.GitHub.EditIssue(ctx, x.Number, change)); err != nil {
		return fmt.Errorf("close %s #%d: %w", k.what, x.Number, err)
	}
	over := func(x *github.Issue) { x.State, x.Body, x.ClosedAt = closed, body, p.Now() }
	over(x)
	p.changed(x.Number, over)
	return nil
}

// changed keeps what is remembered of an issue, for lists that don't show it yet, as new as GitHub's.
func (p *Projector) changed(number int, change func(*github.Issue)) {
	for i := range p.made {
		if p.made[i].Number == number {
			change(&p.made[i])
		}
	}
}

func labels(k kind, i Issue) []string { return append([]string{k.label}, i.Labels...) }

func people(all []string) (logins []string) {
	for _, name := range all {
		if name = strings.TrimPrefix(name, "@"); name != "" && !strings.Contains(name, "/") {
			logins = append(logins, name)
		}
	}
	return logins
}
