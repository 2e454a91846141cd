// Package requests projects what is due onto pull requests, one each, ready to merge: opened, kept right, and closed when
// no longer needed.
//
// Branch and pull request of a want are always the same, so that a pass that runs again finds them. It must never move a
// branch that holds a commit of somebody else, nor open again what a person closed while it says the same.
package requests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	text "github.com/rastup/rekey/internal/report/comment"
)

// Prefix begins the name of every branch of this package.
const Prefix = "rekey/rotate/"

// Reader reads pull requests.
type Reader interface {
	OpenPulls(ctx context.Context) ([]github.Pull, error)
	FilesOf(ctx context.Context, number int) ([]github.File, error)
}

// GitHub is what the projection needs of it; *github.Client is one.
type GitHub interface {
	notice.Files
	notice.Branches
	notice.History
	notice.Pulls
	Reader
}

// An Offer is a request that should be open.
type Offer struct {
	Slug        string // of its branch
	Title, Body string // text.Rotation: the marker tells what it is about
	Path        string // where its file goes when it is made now
	File        []byte
	// Stands says whether a file that was offered before, at another path perhaps, is still good.
	Stands func(path string, file []byte) bool
}

// A Projector keeps the pull requests right.
type Projector struct {
	GitHub     GitHub
	Repository string // owner/name
	Bot        string // login that writes them
	Limit      int    // how many may be open at a time
}

// Write opens, updates and closes pull requests. offers are all that is due, the most urgent first. open are the numbers
// of those that stand then, by slug.
func (p *Projector) Write(ctx context.Context, offers []Offer) (open map[string]int, t notice.Tally, err error) {
	w := &work{Projector: p, t: &t, open: map[string]int{}}
	if err := w.look(ctx); err != nil {
		return nil, t, err
	}
	var failed []error
	for _, pull := range w.pulls {
		slug := strings.TrimPrefix(pull.Branch, Prefix)
		i := slices.IndexFunc(offers, func(o Offer) bool { return o.Slug == slug })
		if i < 0 {
			failed = append(failed, w.drop(ctx, pull, "what it asks for is no longer due"))
			continue
		}
		failed = append(failed, w.keep(ctx, pull, offers[i]))
	}
	held, unsure := 0, 0 // what may be open after all, or will be by the next pass, keeps its place
	for _, o := range offers {
		switch {
		case w.open[o.Slug] > 0:
		case w.taken[o.Slug]:
		case len(w.open)+unsure >= p.Limit:
			held++
		default:
			again := t.Again
			t.Again = false
			err := w.offer(ctx, o)
			if failed = append(failed, err); err != nil || t.Again {
				unsure++
			}
			t.Again = t.Again || again
		}
		if err := ctx.Err(); err != nil {
			return w.open, t, errors.Join(append(failed, err)...)
		}
	}
	if held > 0 {
		t.Find("", "merge or close some, or raise overdue.requests.limit", "%d more would be opened, and %d may be open at a time", held, p.Limit)
	}
	return w.open, t, errors.Join(failed...)
}

// work is one pass.
type work struct {
	*Projector
	t         *notice.Tally
	base, tip string
	pulls     []github.Pull   // ours that are open
	taken     map[string]bool // slugs whose branch somebody else's pull request is open from
	open      map[string]int
}

func (w *work) look(ctx context.Context) (err error) {
	if w.base, err = w.GitHub.DefaultBranch(ctx); err != nil {
		return err
	}
	tip, ok, err := w.GitHub.Branch(ctx, w.base)
	if err != nil || !ok {
		return errors.Join(err, fmt.Errorf("requests: the branch %q can't be read", w.base))
	}
	w.tip, w.taken = tip, map[string]bool{}
	all, err := w.GitHub.OpenPulls(ctx)
	if err != nil {
		return wrap("list the open pull requests", err)
	}
	for _, pull := range all {
		slug, mine := strings.CutPrefix(pull.Branch, Prefix)
		switch {
		case !mine || !strings.EqualFold(pull.HeadRepo, w.Repository): // a fork may use the same name
		case !notice.Ours(pull.Author, w.Bot):
			w.taken[slug] = true
			w.t.Find(pull.URL, "", "the pull request #%d from %s isn't by @%s: it is left as it is", pull.Number, pull.Branch, w.Bot)
		default:
			w.pulls = append(w.pulls, pull)
		}
	}
	return nil
}

// others says whether a pull request holds a commit that isn't by the bot.
func (w *work) others(ctx context.Context, pull github.Pull) (bool, error) {
	all, err := w.GitHub.CommitsIn(ctx, pull.Number)
	return notice.Others(all, w.Bot), err
}

// keep brings an open pull request up to date.
func (w *work) keep(ctx context.Context, pull github.Pull, o Offer) error {
	w.open[o.Slug] = pull.Number
	others, err := w.others(ctx, pull)
	if err != nil {
		return wrap("read its commits", err)
	}
	if !others { // else people have made it theirs: only its text is kept right
		path, file, err := w.file(ctx, pull)
		if err != nil {
			return err
		}
		if path == "" || !o.Stands(path, file.Text) {
			delete(w.open, o.Slug)
			if err := w.drop(ctx, pull, "its file is out of date; another follows"); err != nil {
				return err
			}
			return w.make(ctx, o)
		}
	}
	x, err := w.GitHub.Issue(ctx, pull.Number)
	if err != nil || x.Title == o.Title && notice.Plain(x.Body) == notice.Plain(o.Body) {
		return wrap("read the pull request", err)
	}
	return wrap("edit the pull request", w.t.Settle(&w.t.Edited, w.GitHub.EditPull(ctx, pull.Number, o.Title, o.Body, "open")))
}

// file is the one request that a pull request adds; "" where it is anything else.
func (w *work) file(ctx context.Context, pull github.Pull) (string, github.Content, error) {
	files, err := w.GitHub.FilesOf(ctx, pull.Number)
	if err != nil || len(files) != 1 {
		return "", github.Content{}, wrap("read its files", err)
	}
	c, err := w.GitHub.Content(ctx, files[0].Path, pull.Head)
	return files[0].Path, c, wrap("read its file", err)
}

// drop closes a pull request that nobody has made theirs.
func (w *work) drop(ctx context.Context, pull github.Pull, why string) error {
	others, err := w.others(ctx, pull)
	if err != nil {
		return wrap("read its commits", err)
	}
	if others {
		w.t.Find(pull.URL, "close it, or merge it", "the pull request #%d holds a commit that isn't by @%s, and %s", pull.Number, w.Bot, why)
		return nil
	}
	x, err := w.GitHub.Issue(ctx, pull.Number)
	if err != nil {
		return wrap("read the pull request", err)
	}
	body := text.RotationClosed(notice.Plain(x.Body), why)
	return wrap("close the pull request", w.t.Settle(&w.t.Closed, w.GitHub.EditPull(ctx, pull.Number, x.Title, body, "closed")))
}

// offer opens a pull request, unless a person closed one that says the same.
func (w *work) offer(ctx context.Context, o Offer) error {
	closed, err := w.GitHub.PullsFrom(ctx, Prefix+o.Slug, "all")
	if err != nil {
		return wrap("list its pull requests", err)
	}
	about, _ := text.ParseRotation(o.Body)
	for _, pull := range closed {
		if pull.State != "closed" || pull.Merged || !notice.Ours(pull.Author, w.Bot) {
			continue
		}
		x, err := w.GitHub.Issue(ctx, pull.Number)
		if err != nil {
			return wrap("read a closed pull request", err)
		}
		if was, ok := text.ParseRotation(x.Body); ok && was.Key == about.Key && !text.IsRotationClosed(x.Body) {
			w.t.Find(pull.URL, "open it again, or wait: when its state changes another is opened", "the pull request #%d was closed by a person: it isn't opened again", pull.Number)
			return nil
		}
	}
	return w.make(ctx, o)
}

// make brings branch and file about, and opens the pull request.
func (w *work) make(ctx context.Context, o Offer) error {
	branch := Prefix + o.Slug
	sha, there, err := w.GitHub.Branch(ctx, branch)
	if err != nil {
		return wrap("read the branch "+branch, err)
	}
	ok := true
	switch {
	case !there:
		ok, err = w.t.Sure(&w.t.Edited, w.GitHub.CreateBranch(ctx, branch, w.tip))
	case sha != w.tip:
		if mine, err := notice.Own(ctx, w.GitHub, w.Bot, branch, sha, w.tip); err != nil || !mine {
			if err == nil {
				w.t.Find("", "merge or take away that commit, or delete the branch", "the branch %s holds a commit that isn't by @%s: it is left as it is", branch, w.Bot)
			}
			return wrap("read the commits of "+branch, err)
		}
		ok, err = w.t.Sure(&w.t.Edited, w.GitHub.MoveBranch(ctx, branch, w.tip))
	}
	if err != nil || !ok {
		return wrap("make the branch "+branch, err)
	}
	if err := w.t.Settle(&w.t.Edited, w.GitHub.PutFile(ctx, branch, o.Path, o.Title, o.File, "")); err != nil {
		return wrap("write "+o.Path, err)
	}
	if c, err := w.GitHub.Content(ctx, o.Path, branch); err != nil || !bytes.Equal(c.Text, o.File) {
		w.t.Again = true // an answer was lost, or what is read right after a change is older
		return nil
	}
	pull, err := w.GitHub.CreatePull(ctx, o.Title, o.Body, branch, w.base)
	if errors.Is(err, github.ErrUnknown) {
		w.t.Again = true
		return nil
	}
	if err == nil {
		w.t.Created++
		w.open[o.Slug] = pull.Number
	}
	return wrap("open the pull request", err)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("requests: %s: %w", what, err)
}
