package incident

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

// Write opens, updates and closes issues. incidents and successes are all that the journal shows now; of chains in
// neither nothing is changed. Where one issue can't be brought right, the others still are; the errors come joined. The
// cases are all incidents there are issues of, the oldest issue of each.
func (p *Projector) Write(ctx context.Context, incidents []Incident, successes []Success) (cases []Case, t notice.Tally, err error) {
	all, err := p.list(ctx, Label, "all")
	if err != nil {
		return nil, t, err
	}
	current := slices.DeleteFunc(slices.Clone(incidents), func(i Incident) bool {
		_, over := ended(i.Body, successes)
		return over
	})
	var failed []error
	all, err = p.missing(ctx, current, all, &t)
	failed = append(failed, err)
	for _, i := range current {
		about, _ := text.ParseIncident(i.Body)
		if x, ok := first(all, about.Key); ok && x.State == "open" && !strings.HasSuffix(notice.Plain(x.Body), over) {
			failed = append(failed, p.update(ctx, i, x, &t), p.escalate(ctx, i, x, &t))
		}
	}
	for i := range all {
		failed = append(failed, p.end(ctx, all, &all[i], successes, &t))
		if err := ctx.Err(); err != nil {
			return nil, t, errors.Join(append(failed, err)...)
		}
	}
	return p.cases(all, incidents), t, errors.Join(failed...)
}

func (p *Projector) cases(all []github.Issue, incidents []Incident) (cases []Case) {
	for _, x := range all {
		about, _ := text.ParseIncident(x.Body)
		if one, _ := first(all, about.Key); one.Number != x.Number {
			continue
		}
		c := Case{About: about, Issue: x}
		for i := range incidents {
			if its, _ := text.ParseIncident(incidents[i].Body); its.Key == about.Key {
				c.Incident = &incidents[i]
			}
		}
		cases = append(cases, c)
	}
	return cases
}

// ended is the success that ends the incident with a body.
func ended(body string, successes []Success) (Success, bool) {
	about, _ := text.ParseIncident(body)
	i := slices.IndexFunc(successes, func(s Success) bool { return s.Chain == about.Chain() && about.Claim < s.Before })
	if i < 0 {
		return Success{}, false
	}
	return successes[i], true
}

// list is our issues, those GitHub doesn't list yet as well, by number.
func (p *Projector) list(ctx context.Context, label, state string) ([]github.Issue, error) {
	all, err := p.GitHub.Issues(ctx, label, state)
	if err != nil {
		return nil, fmt.Errorf("incidents: %w", err)
	}
	for _, x := range p.made {
		if !slices.ContainsFunc(all, func(o github.Issue) bool { return o.Number == x.Number }) {
			all = append(slices.Clone(all), x)
		}
	}
	all = slices.DeleteFunc(slices.Clone(all), func(x github.Issue) bool {
		_, ok := text.ParseIncident(x.Body)
		return !ok || !notice.Ours(x.Author, p.Bot)
	})
	slices.SortFunc(all, func(a, b github.Issue) int { return cmp.Compare(a.Number, b.Number) })
	return all, nil
}

// first is the issue with a key: of several, the oldest.
func first(all []github.Issue, key string) (github.Issue, bool) {
	for _, x := range all {
		if about, _ := text.ParseIncident(x.Body); about.Key == key {
			return x, true
		}
	}
	return github.Issue{}, false
}

// missing opens issues for the incidents that have none, and answers all issues as they are then.
func (p *Projector) missing(ctx context.Context, current []Incident, all []github.Issue, t *notice.Tally) ([]github.Issue, error) {
	lacks := func(i Incident) bool {
		about, _ := text.ParseIncident(i.Body)
		_, ok := first(all, about.Key)
		return !ok
	}
	if !slices.ContainsFunc(current, lacks) {
		return all, nil
	}
	// Somebody may have taken the label off, or the token may not set it: without this look each pass would open one more.
	open, err := p.list(ctx, "", "open")
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
			if err := p.open(ctx, i, t); err != nil {
				failed = append(failed, fmt.Errorf("open an incident for %s: %w", i.Chain, err))
			}
		}
	}
	again, err := p.list(ctx, Label, "all")
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

func (p *Projector) open(ctx context.Context, i Incident, t *notice.Tally) error {
	about, ok := text.ParseIncident(i.Body)
	if !ok {
		return errNoMark
	}
	people := people(i.Assignees)
	x, err := p.GitHub.CreateIssue(ctx, i.Title, i.Body, labels(i), people)
	if err != nil && len(people) > 0 && !errors.Is(err, github.ErrUnknown) && ctx.Err() == nil {
		// GitHub refuses the whole issue for one assignee it doesn't know.
		if x, err = p.GitHub.CreateIssue(ctx, i.Title, i.Body, labels(i), nil); err == nil {
			p.assign(ctx, x, people, t)
		}
	}
	if errors.Is(err, github.ErrUnknown) {
		all, err := p.list(ctx, Label, "all")
		if _, ok := first(all, about.Key); ok {
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
func (p *Projector) update(ctx context.Context, i Incident, x github.Issue, t *notice.Tally) error {
	var change github.IssueChange
	if x.Title != i.Title {
		change.Title = &i.Title
	}
	if notice.Plain(x.Body) != notice.Plain(i.Body) {
		change.Body = &i.Body
	}
	labelled := slices.ContainsFunc(x.Labels, func(l string) bool { return strings.EqualFold(l, Label) })
	if !labelled {
		with := append(slices.Clone(x.Labels), Label)
		change.Labels = &with
	}
	if change == (github.IssueChange{}) {
		return nil
	}
	if err := t.Settle(&t.Edited, p.GitHub.EditIssue(ctx, x.Number, change)); err != nil {
		return fmt.Errorf("update incident #%d: %w", x.Number, err)
	}
	p.changed(x.Number, func(made *github.Issue) { made.Title, made.Body = i.Title, i.Body })
	return nil
}

// end closes an issue whose incident is over, or that another pass opened as well.
func (p *Projector) end(ctx context.Context, all []github.Issue, x *github.Issue, successes []Success, t *notice.Tally) error {
	about, _ := text.ParseIncident(x.Body)
	if x.State != "open" || strings.HasSuffix(notice.Plain(x.Body), over) {
		return nil // over, whoever opened it again
	}
	if first, _ := first(all, about.Key); first.Number != x.Number {
		return p.close(ctx, x, "not_planned", t) // both say the same
	}
	s, over := ended(x.Body, successes)
	if !over {
		return nil
	}
	if ok, err := p.say(ctx, x.Number, s.Closed, text.ParseIncidentClosed, t); err != nil || !ok {
		return err
	}
	return p.close(ctx, x, "completed", t)
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

// over ends the text of an issue that was closed here: what a person opens again after that stays open.
const over = "<!-- rekey:incident-over -->"

func (p *Projector) close(ctx context.Context, x *github.Issue, reason string, t *notice.Tally) error {
	closed, body := "closed", strings.TrimRight(notice.Plain(x.Body), "\n")+"\n\n"+over+"\n"
	change := github.IssueChange{State: &closed, Reason: &reason, Body: &body}
	if err := t.Settle(&t.Closed, p.GitHub.EditIssue(ctx, x.Number, change)); err != nil {
		return fmt.Errorf("close incident #%d: %w", x.Number, err)
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

func labels(i Incident) []string { return append([]string{Label}, i.Labels...) }

func people(all []string) (logins []string) {
	for _, name := range all {
		if name = strings.TrimPrefix(name, "@"); name != "" && !strings.Contains(name, "/") {
			logins = append(logins, name)
		}
	}
	return logins
}
