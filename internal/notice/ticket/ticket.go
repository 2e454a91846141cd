// Package ticket projects the end of rotations onto their approval tickets, wherever those are kept: a summary of each
// rotation, once, and the ticket closed when all rotations that name it are over and none went back: that one may be
// started again. It also looks tickets up before that.
//
// It must never close a ticket twice: what a person opened again after that stays open. It never touches a ticket that no
// rotation names, nor reads one back as state.
package ticket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/rotation"
)

// Tickets are those of one place.
type Tickets interface {
	// Name is the ticket's there; false: it can't be one of them.
	Name(ticket string) (name string, ok bool)
	// Find looks it up. That there is none is a *None; any other error says nothing about the ticket.
	Find(ctx context.Context, name string) (Seen, error)
	// Close brings it to its end. A *rotation.Failure says why that can't be done now, and by whom it can be changed.
	Close(ctx context.Context, name string) error
}

// Summaries are the program's own, of one place's tickets. The list may lag behind what was written.
type Summaries interface {
	Said(ctx context.Context, name string) ([]Said, error)
	Say(ctx context.Context, name string, s Summary) (Said, error)
	Edit(ctx context.Context, name string, id int64, s Summary) error
	Delete(ctx context.Context, name string, id int64) error
}

// A Tracker keeps tickets.
type Tracker interface {
	Tickets
	Summaries
}

// A Seen ticket, as its tracker shows it. Title and Status are other people's texts.
type Seen struct {
	URL, Title, Status string // "": not known
	Closed             bool
}

// None says for certain that a tracker has no such ticket, or shows this account none.
type None struct{ URL, Msg, Hint string }

func (n *None) Error() string { return n.Msg }

// A Said summary.
type Said struct {
	ID   int64 // the oldest has the lowest
	Key  string
	Left bool // it says that the ticket was left open
}

// A Summary is what a ticket is to say of one rotation. Key is what its text is found again by, Left as in Said.
type Summary struct {
	Key  string
	Left bool
	Text string
}

// A Ticket is one of a tracker's, and all rotations that name it.
type Ticket struct {
	Name      string
	Rotations []Rotation
}

// A Rotation is what a ticket is to say of one, used when it is over: Closed with the ticket closed, Left where it
// couldn't be.
type Rotation struct {
	Over         bool
	Back         bool // over, and not done: it keeps its ticket open
	Closed, Left Summary
}

// A Projector keeps tickets right. It remembers what it wrote, for lists that lag; use one for all passes of a
// process, and not from two goroutines.
type Projector struct {
	Tracker
	made map[string][]Said
}

// Write brings all tickets up to date. Where one can't be, the others still are: those are told by their names, and why;
// the errors come joined.
func (p *Projector) Write(ctx context.Context, tickets []Ticket) (t notice.Tally, untold []string, err error) {
	var failed []error
	for _, k := range tickets {
		if err := ctx.Err(); err != nil {
			return t, untold, errors.Join(append(failed, err)...)
		}
		if err := p.ticket(ctx, k, &t); err != nil {
			untold = append(untold, k.Name)
			failed = append(failed, fmt.Errorf("ticket %s isn't told yet; the next run tells it: %w", k.Name, err))
		}
	}
	return t, untold, errors.Join(failed...)
}

func (p *Projector) ticket(ctx context.Context, k Ticket, t *notice.Tally) error {
	done, over := k.over()
	if len(done) == 0 {
		return nil
	}
	x, err := p.Find(ctx, k.Name)
	var none *None
	switch {
	case errors.As(err, &none):
		t.Find(none.URL, none.Hint, "%s", none.Msg)
		return nil
	case err != nil:
		return err
	}
	all, err := p.list(ctx, k.Name)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(done), func(r Rotation) bool { return said(all, r) != nil })
	late := slices.DeleteFunc(slices.Clone(done), func(r Rotation) bool { s := said(all, r); return s == nil || !s.Left })
	// It is closed before the last summary says so: so an open one with all its summaries was opened again by a person.
	left := false
	if over && !x.Closed && len(missing)+len(late) > 0 {
		closed, err := p.shut(ctx, k.Name, t)
		var refused *rotation.Failure
		switch {
		case errors.As(err, &refused):
			left = true
			t.Find(x.URL, refused.Hint, "the ticket %s isn't closed: %s", k.Name, refused.Msg)
		case err != nil || !closed:
			return err
		}
	}
	for _, r := range missing {
		s := r.Closed
		if left {
			s = r.Left
		}
		if err := p.say(ctx, k.Name, s, t); err != nil {
			return err
		}
	}
	for _, r := range late {
		if x.Closed || over && !left {
			if err := p.mend(ctx, k.Name, said(all, r).ID, r.Closed, t); err != nil {
				return err
			}
		}
	}
	return p.tidy(ctx, k.Name, t)
}

// over are the rotations that are over, and whether those are all, and done.
func (k Ticket) over() (done []Rotation, all bool) {
	done = slices.DeleteFunc(slices.Clone(k.Rotations), func(r Rotation) bool { return !r.Over })
	return done, len(done) == len(k.Rotations) && !slices.ContainsFunc(done, func(r Rotation) bool { return r.Back })
}

// said is the oldest summary of r; nil: there is none.
func said(all []Said, r Rotation) *Said {
	i := slices.IndexFunc(all, func(s Said) bool { return s.Key == r.Closed.Key })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// shut closes the ticket; false: that isn't certain yet.
func (p *Projector) shut(ctx context.Context, name string, t *notice.Tally) (bool, error) {
	before := t.Closed
	if err := t.Settle(&t.Closed, p.Close(ctx, name)); err != nil {
		return false, fmt.Errorf("close it: %w", err)
	}
	return t.Closed > before, nil
}

func (p *Projector) list(ctx context.Context, name string) ([]Said, error) {
	all, err := p.Said(ctx, name)
	all = slices.Clone(all)
	for _, c := range p.made[name] {
		if !slices.ContainsFunc(all, func(o Said) bool { return o.ID == c.ID }) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b Said) int { return cmp.Compare(a.ID, b.ID) })
	return all, err
}

func (p *Projector) say(ctx context.Context, name string, s Summary, t *notice.Tally) error {
	c, err := p.Say(ctx, name, s)
	switch {
	case err == nil:
		if p.made == nil {
			p.made = map[string][]Said{}
		}
		p.made[name] = append(p.made[name], c)
		t.Created++
		return nil
	case !notice.Unknown(err):
		return fmt.Errorf("write its summary: %w", err)
	}
	all, err := p.list(ctx, name)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(o Said) bool { return o.Key == s.Key }) {
		t.Created++
	} else {
		t.Again = true
	}
	return nil
}

// mend says that the ticket was closed after all.
func (p *Projector) mend(ctx context.Context, name string, id int64, s Summary, t *notice.Tally) error {
	if err := t.Settle(&t.Edited, p.Edit(ctx, name, id, s)); err != nil {
		return fmt.Errorf("edit its summary: %w", err)
	}
	if made := p.made[name]; made != nil {
		p.made[name] = slices.DeleteFunc(made, func(o Said) bool { return o.ID == id })
	}
	return nil
}

// tidy deletes what another pass said as well; the oldest stays.
func (p *Projector) tidy(ctx context.Context, name string, t *notice.Tally) error {
	all, err := p.list(ctx, name)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, c := range all {
		if seen[c.Key] {
			if err := t.Settle(&t.Deleted, p.Delete(ctx, name, c.ID)); err != nil {
				return fmt.Errorf("delete a second summary: %w", err)
			}
			if made := p.made[name]; made != nil {
				p.made[name] = slices.DeleteFunc(made, func(o Said) bool { return o.ID == c.ID })
			}
		}
		seen[c.Key] = true
	}
	return nil
}
