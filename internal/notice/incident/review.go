package incident

import (
	"context"
	"errors"

	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/rotation"
)

// Reviews opens and updates the issues of after-reviews: all that the journal shows now. None is closed but a second one
// about the same: that is a person's to do, and what they closed is never opened again.
func (p *Projector) Reviews(ctx context.Context, open []Issue) (t notice.Tally, err error) {
	if len(open) == 0 {
		return t, nil // what isn't shown any more stays as it is
	}
	all, err := p.list(ctx, reviews, ReviewLabel, "all")
	if err != nil {
		return t, err
	}
	all, err = p.current(ctx, reviews, open, all, &t)
	failed := []error{err}
	for i := range all {
		if x := &all[i]; x.State == "open" && !ended(*x) {
			_, err := p.second(ctx, reviews, all, x, &t)
			failed = append(failed, err)
		}
	}
	return t, errors.Join(failed...)
}

// An Unreviewed is what holds the next ordinary rotation back.
type Unreviewed struct {
	Open   map[rotation.Chain]int // by chain: the number of its oldest open after-review
	Closed map[string]bool        // by key: there is an issue, and it is closed
}

// Unreviewed are the after-reviews as they are now.
func (p *Projector) Unreviewed(ctx context.Context) (u Unreviewed, err error) {
	all, err := p.list(ctx, reviews, ReviewLabel, "all")
	u = Unreviewed{Open: map[rotation.Chain]int{}, Closed: map[string]bool{}}
	for _, x := range all { // by number
		about, _ := reviews.parse(x.Body)
		switch n := u.Open[about.Chain()]; {
		case ended(x): // a second one about the same
		case x.State != "open":
			u.Closed[about.Key] = true
		case n == 0:
			u.Open[about.Chain()] = x.Number
		}
	}
	return u, err
}
