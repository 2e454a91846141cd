package comment

import (
	"context"
	"errors"
	"fmt"

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
	ours, newest := p.statuses(all)
	switch {
	case len(ours) == 0 && !create, len(ours) > 0 && newest > records:
		return nil
	case len(ours) == 0:
		return p.create(ctx, page.Pull, page.Status, t, func(all []github.Comment) bool {
			ours, _ := p.statuses(all)
			return len(ours) > 0
		})
	}
	if notice.Plain(ours[0].Body) != notice.Plain(page.Status) {
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

// shows says how many records a status comment shows. The plan on a pull request that isn't merged yet is one of fewer
// than none: it becomes the status, and never takes its place.
func shows(body string) (records int, ok bool) {
	if text.IsPlan(body) {
		return -1, true
	}
	return text.ParseStatus(body)
}

// statuses are our status comments among all, and the newest state that one of them shows.
func (p *Projector) statuses(all []github.Comment) (ours []github.Comment, newest int) {
	for _, c := range all {
		if records, ok := shows(c.Body); ok && notice.Ours(c.Author, p.Bot) {
			if len(ours) == 0 || records > newest {
				newest = records
			}
			ours = append(ours, c)
		}
	}
	return ours, newest
}

// edited keeps what is remembered of a comment, for lists that don't show it yet, as new as GitHub's.
func (p *Projector) edited(pull int, id int64, body string) {
	for i, c := range p.made[pull] {
		if c.ID == id {
			p.made[pull][i].Body = body
		}
	}
}
