// Package dates projects what rotated last onto the registry's column "Last rotated": one rolling pull request, that
// opens, follows and closes by itself.
//
// It must never change more of a file than cells of that column, never set a date back, and never move a branch that
// holds a commit of somebody else: that is a finding.
package dates

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/registry"
	text "github.com/rastup/rekey/internal/report/comment"
)

// Branch is the pull request's; it only ever holds whole sets of dates. Draft is where one is made: GitHub closes a
// pull request for good whose branch has no commit of its own for a moment.
const (
	Branch = "rekey/registry-dates"
	Draft  = "rekey/registry-dates-draft"
)

// GitHub is what the projection needs of it; *github.Client is one.
type GitHub interface {
	notice.Files
	notice.Branches
	notice.History
	notice.Pulls
}

// A Projector keeps the pull request right.
type Projector struct {
	GitHub GitHub
	Bot    string // login that writes it
}

// A Date is when a secret was last rotated, and by which rotation.
type Date struct {
	At       time.Time
	Rotation string
}

// A file is one registry file as it is and as it should be.
type file struct {
	path     string
	is, want []byte
	blob     string
	changes  []text.Change
}

// Write brings the pull request up to date. paths are the registry's files; dates are by secret, and of those only
// later ones than the registry has matter. Without any, the pull request is closed.
func (p *Projector) Write(ctx context.Context, paths []string, dates map[string]Date) (t notice.Tally, err error) {
	base, err := p.GitHub.DefaultBranch(ctx)
	if err != nil {
		return t, err
	}
	tip, ok, err := p.GitHub.Branch(ctx, base)
	if err != nil || !ok {
		return t, errors.Join(err, fmt.Errorf("registry dates: the branch %q can't be read", base))
	}
	files, err := p.files(ctx, paths, dates, tip, &t)
	if err != nil {
		return t, err
	}
	var changes []text.Change
	for _, f := range files {
		changes = append(changes, f.changes...)
	}
	w := &work{Projector: p, base: base, tip: tip, files: files, t: &t}
	if len(changes) == 0 {
		return t, w.close(ctx)
	}
	w.title, w.body = text.Dates(changes)
	return t, w.offer(ctx)
}

// files are the registry at tip, with the dates it should have.
func (p *Projector) files(ctx context.Context, paths []string, dates map[string]Date, tip string, t *notice.Tally) ([]file, error) {
	var files []file
	var parsed []registry.File
	for _, path := range paths {
		c, err := p.GitHub.Content(ctx, path, tip)
		if err != nil {
			return nil, fmt.Errorf("registry dates: read %s: %w", path, err)
		}
		files = append(files, file{path: path, is: c.Text, want: c.Text, blob: c.Blob})
		parsed = append(parsed, registry.File{Path: path, Bytes: c.Text})
	}
	r := registry.Parse(parsed, registry.Shapes{}, &problem.List{}) // what is wrong in them is lint's
	var nowhere problem.List
	days := map[string]time.Time{}
	for secret, d := range dates {
		days[secret] = d.At
	}
	for i := range files {
		f := &files[i]
		page, changes := r.Dated(f.path, days, &nowhere)
		if len(changes) == 0 {
			continue
		}
		if err := readBack(f.path, page, changes); err != nil {
			return nil, err
		}
		f.want = page
		for _, c := range changes {
			f.changes = append(f.changes, text.Change{Secret: c.Secret, File: f.path, Was: c.Was, Is: c.Is, Rotation: dates[c.Secret].Rotation})
		}
	}
	for _, one := range nowhere.Sorted() {
		t.Find("", one.Hint, "%s: %s", one.Pos, one.Msg)
	}
	return files, nil
}

// readBack sees that the page says now what it was made to say.
func readBack(path string, page []byte, changes []registry.Change) error {
	r := registry.Parse([]registry.File{{Path: path, Bytes: page}}, registry.Shapes{}, &problem.List{})
	for _, c := range changes {
		if e, ok := r.Find(c.Secret); !ok || !e.LastRotated.Equal(c.Is) {
			return fmt.Errorf("registry dates: %s would not say that %s was rotated on %s", path, c.Secret, c.Is.Format(time.DateOnly))
		}
	}
	return nil
}

// holds says whether the registry's files at ref are as they should be.
func (w *work) holds(ctx context.Context, ref string) (bool, error) {
	for _, f := range w.files {
		c, err := w.GitHub.Content(ctx, f.path, ref)
		if errors.Is(err, github.ErrNotFound) {
			return false, nil
		}
		if err != nil || !bytes.Equal(c.Text, f.want) {
			return false, err
		}
	}
	return true, nil
}
