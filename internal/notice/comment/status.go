package comment

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

var (
	errNoMark  = errors.New("the text has no marker by which it would be found again")
	errTooLong = errors.New("the text is longer than a comment can be")
)

// status makes the one status comment say what the page says, unless GitHub shows one of more records.
// Of several comments the oldest is kept.
func (p *Projector) status(ctx context.Context, page Page, create bool, t *notice.Tally) error {
	if page.Status == "" {
		return nil
	}
	records, ok := shows(page.Status)
	switch {
	case !ok:
		return fmt.Errorf("status comment: %w", errNoMark)
	case text.Size(page.Status) > text.Most:
		return fmt.Errorf("status comment: %w", errTooLong)
	}
	all, err := p.list(ctx, page.Pull)
	if err != nil {
		return err
	}
	ours := p.statuses(all)
	switch {
	case len(ours) == 0 && !create, p.newer(ours, records):
		return nil
	case len(ours) == 0:
		return p.create(ctx, page.Pull, page.Status, t, func(all []github.Comment) bool {
			return len(p.statuses(all)) > 0
		})
	}
	if notice.Plain(ours[0].Body) != notice.Plain(page.Status) {
		if text.EditedStatus(ours[0].Body) {
			t.Find(ours[0].URL, "GitHub shows who edited it and what it was; nothing that people do follows from it", "the status comment was edited; it is put right")
		}
		if err := t.Settle(&t.Edited, p.GitHub.EditComment(ctx, ours[0].ID, page.Status)); err != nil {
			return fmt.Errorf("edit the status comment: %w", err)
		}
		p.edited(page.Pull, ours[0].ID, page.Status)
	}
	for _, c := range ours[1:] {
		if err := p.delete(ctx, c, t); err != nil {
			return fmt.Errorf("delete a second status comment: %w", err)
		}
	}
	return nil
}

// haste is how long two passes can be at work at the same time: a job of theirs ends by then.
const haste = 15 * time.Minute

// newer says whether one of ours shows more than a page of so many records, and may be right: another pass read the
// journal after us. The journal only grows, so what claimed more well before we read it was written by somebody else as
// the same bot, or shows what isn't shown any more.
func (p *Projector) newer(ours []github.Comment, records int) bool {
	return slices.ContainsFunc(ours, func(c github.Comment) bool {
		n, _ := shows(c.Body)
		return n > records && (p.Read.IsZero() || c.UpdatedAt.After(p.Read.Add(-haste)))
	})
}

// shows says how many records a status comment shows. The plan on a pull request that isn't merged yet is one of fewer
// than none: it becomes the status, and never takes its place.
func shows(body string) (records int, ok bool) {
	if text.IsPlan(body) {
		return -1, true
	}
	return text.ParseStatus(body)
}

// statuses are our status comments among all, oldest first.
func (p *Projector) statuses(all []github.Comment) (ours []github.Comment) {
	for _, c := range all {
		if _, ok := shows(c.Body); ok && notice.Ours(c.Author, p.Bot) {
			ours = append(ours, c)
		}
	}
	return ours
}

// edited keeps what is remembered of a comment, for lists that don't show it yet, as new as GitHub's.
func (p *Projector) edited(pull int, id int64, body string) {
	for i, c := range p.made[pull] {
		if c.ID == id {
			p.made[pull][i].Body = body
		}
	}
}
