// Package ticket projects the end of rotations onto their approval tickets, where those are GitHub issues: a summary of
// each rotation, once, and the issue closed when all rotations that name it are over.
//
// It must never close a ticket twice: what a person opened again after that stays open. It never touches a pull
// request, nor an issue that no rotation names.
package ticket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/report/comment"
)

// Issues are those of one repository.
type Issues interface {
	Issue(ctx context.Context, number int) (github.Issue, error)
	EditIssue(ctx context.Context, number int, change github.IssueChange) error
}

// Comments are those of one repository's issues. The list may lag behind what was written.
type Comments interface {
	Comments(ctx context.Context, issue int) ([]github.Comment, error)
	CreateComment(ctx context.Context, issue int, body string) (github.Comment, error)
	DeleteComment(ctx context.Context, id int64) error
}

// GitHub is what the projection needs of it; *github.Client is one.
type GitHub interface {
	Issues
	Comments
}

// A Ticket is an issue, and all rotations that name it.
type Ticket struct {
	Ref
	Rotations []Rotation
}

// A Rotation is what a ticket is to say of one.
type Rotation struct {
	Over    bool
	Summary string // with its marker; used when it is over
}

// A Ref is where a ticket is.
type Ref struct {
	Repository string // owner/name
	Number     int
}

func (r Ref) String() string { return fmt.Sprintf("%s#%d", r.Repository, r.Number) }

var issue = regexp.MustCompile(`^([\w.-]+/[\w.-]+)?#([1-9][0-9]{0,8})$`)

// ParseRef reads "#12", which is in home, and "owner/name#12". false: the ticket isn't an issue on GitHub.
func ParseRef(ticket, home string) (Ref, bool) {
	m := issue.FindStringSubmatch(ticket)
	if m == nil || cmp.Or(m[1], home) == "" {
		return Ref{}, false
	}
	n, err := strconv.Atoi(m[2])
	return Ref{cmp.Or(m[1], home), n}, err == nil
}

// A Projector keeps tickets right. It remembers what it wrote, for lists that lag; use one for all passes of a
// process, and not from two goroutines.
type Projector struct {
	In  func(repository string) GitHub
	Bot string // login that writes there

	made map[Ref][]github.Comment
}

// Write brings all tickets up to date. Where one can't be, the others still are; the errors come joined.
func (p *Projector) Write(ctx context.Context, tickets []Ticket) (t notice.Tally, err error) {
	var failed []error
	for _, k := range tickets {
		if err := ctx.Err(); err != nil {
			return t, errors.Join(append(failed, err)...)
		}
		if err := p.ticket(ctx, k, &t); err != nil {
			failed = append(failed, fmt.Errorf("ticket %s: %w", k.Ref, err))
		}
	}
	return t, errors.Join(failed...)
}

func (p *Projector) ticket(ctx context.Context, k Ticket, t *notice.Tally) error {
	done, over := k.over()
	if len(done) == 0 {
		return nil
	}
	gh := p.In(k.Repository)
	x, err := gh.Issue(ctx, k.Number)
	switch {
	case errors.Is(err, github.ErrNotFound):
		t.Find("", "see that it exists, and that the token may read it; then run again", "there is no ticket %s, which %s waits for", k.Ref, rotations(len(k.Rotations)))
		return nil
	case err != nil:
		return err
	case strings.HasSuffix(x.URL, "/pull/"+strconv.Itoa(k.Number)):
		t.Find(x.URL, "name an issue as ticket", "the ticket %s is a pull request", k.Ref)
		return nil
	}
	all, err := p.list(ctx, gh, k.Ref)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(done, func(r Rotation) bool { return p.said(all, r) })
	// It is closed before the last summary is written: so an open one with all its summaries was opened again by a person.
	if over && len(missing) > 0 && x.State == "open" {
		if ok, err := shut(ctx, gh, k.Number, t); err != nil || !ok {
			return err
		}
	}
	for _, r := range missing {
		if err := p.say(ctx, gh, k.Ref, r, t); err != nil {
			return err
		}
	}
	return p.tidy(ctx, gh, k.Ref, t)
}

// over are the rotations that are over, and whether those are all.
func (k Ticket) over() (done []Rotation, all bool) {
	done = slices.DeleteFunc(slices.Clone(k.Rotations), func(r Rotation) bool { return !r.Over })
	return done, len(done) == len(k.Rotations)
}

func rotations(n int) string {
	if n == 1 {
		return "one rotation"
	}
	return fmt.Sprintf("%d rotations", n)
}

// shut closes the issue; false: that isn't certain yet.
func shut(ctx context.Context, gh GitHub, number int, t *notice.Tally) (bool, error) {
	closed, completed := "closed", "completed"
	before := t.Closed
	if err := t.Settle(&t.Closed, gh.EditIssue(ctx, number, github.IssueChange{State: &closed, Reason: &completed})); err != nil {
		return false, fmt.Errorf("close it: %w", err)
	}
	return t.Closed > before, nil
}

func (p *Projector) list(ctx context.Context, gh GitHub, at Ref) ([]github.Comment, error) {
	all, err := gh.Comments(ctx, at.Number)
	for _, c := range p.made[at] {
		if !slices.ContainsFunc(all, func(o github.Comment) bool { return o.ID == c.ID }) {
			all = append(slices.Clone(all), c)
		}
	}
	all = slices.DeleteFunc(slices.Clone(all), func(c github.Comment) bool { return !notice.Ours(c.Author, p.Bot) })
	slices.SortFunc(all, func(a, b github.Comment) int { return cmp.Compare(a.ID, b.ID) })
	return all, err
}

func (p *Projector) said(ours []github.Comment, r Rotation) bool {
	key, _ := comment.ParseTicket(r.Summary)
	return slices.ContainsFunc(ours, func(c github.Comment) bool {
		said, ok := comment.ParseTicket(c.Body)
		return ok && said == key
	})
}

func (p *Projector) say(ctx context.Context, gh GitHub, at Ref, r Rotation, t *notice.Tally) error {
	if _, ok := comment.ParseTicket(r.Summary); !ok {
		return errors.New("its summary has no marker by which it would be found again")
	}
	c, err := gh.CreateComment(ctx, at.Number, r.Summary)
	switch {
	case err == nil:
		if p.made == nil {
			p.made = map[Ref][]github.Comment{}
		}
		p.made[at] = append(p.made[at], c)
		t.Created++
		return nil
	case !errors.Is(err, github.ErrUnknown):
		return err
	}
	all, err := p.list(ctx, gh, at)
	if err != nil {
		return err
	}
	if p.said(all, r) {
		t.Created++
	} else {
		t.Again = true
	}
	return nil
}

// tidy deletes what another pass said as well; the oldest stays.
func (p *Projector) tidy(ctx context.Context, gh GitHub, at Ref, t *notice.Tally) error {
	all, err := p.list(ctx, gh, at)
	if err != nil {
		return err
	}
	said := map[string]bool{}
	for _, c := range all {
		key, ok := comment.ParseTicket(c.Body)
		if ok && said[key] {
			if err := t.Settle(&t.Deleted, gh.DeleteComment(ctx, c.ID)); err != nil {
				return fmt.Errorf("delete a second summary: %w", err)
			}
			if made := p.made[at]; made != nil {
				p.made[at] = slices.DeleteFunc(made, func(o github.Comment) bool { return o.ID == c.ID })
			}
		}
		said[key] = ok
	}
	return nil
}
