// Package comment projects the journal onto pull requests: one status comment, edited in place, and audit comments,
// written once and never edited.
//
// It must never touch a comment that isn't by the bot's own login and marked by Rekey, never let a status go back to
// an older one, and never mend an audit comment that somebody changed: that is a finding.
package comment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	text "github.com/rastup/rekey/internal/report/comment"
)

// A Reader lists the comments of an issue or pull request, oldest first. The list may lag behind what was written.
type Reader interface {
	Comments(ctx context.Context, issue int) ([]github.Comment, error)
}

// A Writer changes comments. Deleting one that is gone is no error.
type Writer interface {
	CreateComment(ctx context.Context, issue int, body string) (github.Comment, error)
	EditComment(ctx context.Context, id int64, body string) error
	DeleteComment(ctx context.Context, id int64) error
}

// GitHub is what the projection needs of it; *github.Client is one.
type GitHub interface {
	Reader
	Writer
}

// A Page is what a pull request should show.
type Page struct {
	Pull   int
	Status string       // text.Status; "": none
	Audits []text.Entry // everything the journal has to say there, said already or not, in an order that stays
}

// A Projector keeps pull requests' comments right. It remembers what it wrote, for lists that lag; use one for all
// passes of a process, and not from two goroutines.
type Projector struct {
	GitHub  GitHub
	Bot     string // login that writes the comments
	Options text.Options
	// Read is when the journal was read that the pages are made of. Zero: a status that shows more is always newer.
	Read time.Time

	made map[int][]github.Comment // by pull request
	read map[int][]github.Comment // likewise: what GitHub showed, while a page is gone over
	gone map[int64]bool
}

// Write brings all pages up to date. Where one can't be, the others still are; the errors come joined.
func (p *Projector) Write(ctx context.Context, pages []Page) (t notice.Tally, err error) {
	for _, page := range pages {
		if ctx.Err() != nil {
			return t, errors.Join(err, ctx.Err())
		}
		one, failed := p.page(ctx, page)
		t.Add(one)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("comments of pull request #%d: %w", page.Pull, failed))
		}
	}
	return t, err
}

func (p *Projector) page(ctx context.Context, page Page) (t notice.Tally, err error) {
	p.read = map[int][]github.Comment{} // each hour, of every open rotation: one list is enough where nothing is to be said
	before, err := p.list(ctx, page.Pull)
	if err != nil {
		return t, err
	}
	if err = p.status(ctx, page, true, &t); err == nil {
		p.gaps(page, before, &t)
		err = p.audits(ctx, page, &t)
	}
	if err != nil {
		return t, err
	}
	if t.Created > 0 {
		// Another pass may have written the same at the same time: of both, each deletes the same.
		clear(p.read)
		if err := p.status(ctx, page, false, &t); err != nil {
			return t, err
		}
	}
	return t, p.tidy(ctx, page.Pull, &t)
}

// gaps reports what a pass well before this one had to say, and isn't there any more. It is said anew: the journal has it.
func (p *Projector) gaps(page Page, before []github.Comment, t *notice.Tally) {
	old := func(at time.Time) bool { return !p.Read.IsZero() && at.Before(p.Read.Add(-haste)) }
	ours, said := p.statuses(before), p.said(before)
	if len(ours) == 0 {
		for _, c := range before { // a page's status is written before its audits
			if _, audit := text.ParseAudit(c.Body); audit && notice.Ours(c.Author, p.Bot) && old(c.CreatedAt) {
				t.Find(c.URL, "nothing was lost with it", "the status comment was deleted; it is written anew")
				return
			}
		}
		return
	}
	showed, _ := shows(ours[0].Body)
	records, _ := shows(page.Status)
	if showed < records || !old(ours[0].UpdatedAt) {
		return
	}
	for _, e := range page.Audits {
		if !said[e.Key()] {
			t.Find(ours[0].URL, "what it says is in the journal (rekey verify)", "the audit comment that %s was %s isn't there: it was deleted, or the run that had to write it couldn't; it is written anew", e.Plan.Chain, e.Outcome)
		}
	}
}

// list is what GitHub shows, and what it doesn't show yet, by ID.
func (p *Projector) list(ctx context.Context, pull int) ([]github.Comment, error) {
	all, known := p.read[pull]
	if !known {
		var err error
		if all, err = p.GitHub.Comments(ctx, pull); err != nil {
			return nil, err
		}
		p.read[pull] = all
	}
	all = slices.DeleteFunc(slices.Clone(all), func(c github.Comment) bool { return p.gone[c.ID] })
	for _, c := range p.made[pull] {
		if !p.gone[c.ID] && !slices.ContainsFunc(all, func(o github.Comment) bool { return o.ID == c.ID }) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b github.Comment) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// create writes a comment, once. found tells it among all of a list taken afterwards.
func (p *Projector) create(ctx context.Context, pull int, body string, t *notice.Tally, found func([]github.Comment) bool) error {
	c, err := p.GitHub.CreateComment(ctx, pull, body)
	switch {
	case err == nil:
		if p.made == nil {
			p.made = map[int][]github.Comment{}
		}
		p.made[pull] = append(p.made[pull], c)
		t.Created++
		return nil
	case !errors.Is(err, github.ErrUnknown):
		return err
	}
	// That it is there is believed at once; that it isn't, only by another pass.
	clear(p.read)
	all, err := p.list(ctx, pull)
	if err != nil {
		return err
	}
	if found(all) {
		t.Created++
	} else {
		t.Again = true
	}
	return nil
}

func (p *Projector) delete(ctx context.Context, c github.Comment, t *notice.Tally) error {
	before := t.Deleted
	if err := t.Settle(&t.Deleted, p.GitHub.DeleteComment(ctx, c.ID)); err != nil {
		return err
	}
	if t.Deleted > before {
		if p.gone == nil {
			p.gone = map[int64]bool{}
		}
		p.gone[c.ID] = true
	}
	return nil
}
