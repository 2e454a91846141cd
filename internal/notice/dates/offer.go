package dates

import (
	"context"
	"errors"
	"fmt"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
)

// work is one pass.
type work struct {
	*Projector
	base, tip   string
	files       []file
	title, body string
	t           *notice.Tally
}

// offer brings branch and pull request to what the files should be.
func (w *work) offer(ctx context.Context) error {
	sha, there, err := w.GitHub.Branch(ctx, Branch)
	if err != nil {
		return err
	}
	right := false
	if there {
		if right, err = w.holds(ctx, sha); err != nil {
			return err
		}
	}
	if !right {
		if ok, err := w.rebuild(ctx, sha, there); err != nil || !ok {
			return err
		}
	}
	return w.pull(ctx, sha, right)
}

// rebuild makes the dates anew on the draft and lets the branch point there; false: it can't be done now.
func (w *work) rebuild(ctx context.Context, sha string, there bool) (bool, error) {
	if there {
		if ok, err := w.mayMove(ctx, Branch, sha); err != nil || !ok {
			return false, err
		}
	}
	made, err := w.draft(ctx)
	if err != nil || made == "" {
		return false, err
	}
	if there {
		return w.point(ctx, Branch, made, w.GitHub.MoveBranch)
	}
	return w.point(ctx, Branch, made, w.GitHub.CreateBranch)
}

func (w *work) mayMove(ctx context.Context, branch, sha string) (bool, error) {
	ok, err := notice.Own(ctx, w.GitHub, w.Bot, branch, sha, w.tip)
	if err == nil && !ok {
		w.t.Find("", "merge or take away that commit, or delete the branch; then the dates are brought up to date again",
			"the branch %s holds a commit that isn't by @%s: it is left as it is", branch, w.Bot)
	}
	return ok, err
}

// draft is a commit with all files as they should be, on top of the default branch's; "" it can't be had now.
func (w *work) draft(ctx context.Context) (string, error) {
	sha, there, err := w.GitHub.Branch(ctx, Draft)
	if err != nil {
		return "", err
	}
	ok := true
	switch {
	case !there:
		ok, err = w.point(ctx, Draft, w.tip, w.GitHub.CreateBranch)
	case sha != w.tip:
		if ok, err = w.mayMove(ctx, Draft, sha); ok && err == nil {
			ok, err = w.point(ctx, Draft, w.tip, w.GitHub.MoveBranch)
		}
	}
	if err != nil || !ok {
		return "", err
	}
	for _, f := range w.files {
		if len(f.changes) == 0 {
			continue
		}
		if err := w.t.Settle(&w.t.Edited, w.GitHub.PutFile(ctx, Draft, f.path, w.title, f.want, f.blob)); err != nil {
			return "", wrap("write "+f.path, err)
		}
	}
	sha, there, err = w.GitHub.Branch(ctx, Draft)
	if err != nil || !there {
		return "", err
	}
	// An answer may have been lost, another pass may have moved it, and what is read right after a change may be older.
	if ok, err = w.holds(ctx, sha); err != nil || !ok {
		w.t.Again = true
		return "", err
	}
	return sha, nil
}

// point lets a branch point at sha; false: that isn't certain.
func (w *work) point(ctx context.Context, branch, sha string, move func(ctx context.Context, name, sha string) error) (bool, error) {
	ok, err := w.t.Sure(&w.t.Edited, move(ctx, branch, sha))
	return ok, wrap("point "+branch+" at the dates", err)
}

// pull opens the pull request, or brings its text up to date. kept says that the branch at sha was right already.
func (w *work) pull(ctx context.Context, sha string, kept bool) error {
	open, err := w.open(ctx)
	if err != nil {
		return err
	}
	if open != nil {
		if !notice.Ours(open.Author, w.Bot) {
			w.t.Find(open.URL, "", "the pull request #%d from %s isn't by @%s: its text is left as it is", open.Number, Branch, w.Bot)
			return nil
		}
		x, err := w.GitHub.Issue(ctx, open.Number)
		if err != nil || x.Title == w.title && notice.Plain(x.Body) == notice.Plain(w.body) {
			return wrap("read the pull request", err)
		}
		return wrap("edit the pull request", w.t.Settle(&w.t.Edited, w.GitHub.EditPull(ctx, open.Number, w.title, w.body, "open")))
	}
	if kept {
		closed, err := w.GitHub.PullsFrom(ctx, Branch, "closed")
		if err != nil {
			return err
		}
		for _, c := range closed {
			if c.Head == sha && !c.Merged {
				w.t.Find(c.URL, "open it again, or delete the branch", "the pull request #%d was closed: these dates aren't offered again", c.Number)
				return nil
			}
		}
	}
	_, err = w.GitHub.CreatePull(ctx, w.title, w.body, Branch, w.base)
	if errors.Is(err, github.ErrUnknown) {
		if open, err = w.open(ctx); err == nil && open == nil {
			w.t.Again = true
			return nil
		}
	}
	if err == nil {
		w.t.Created++
	}
	return wrap("open the pull request", err)
}

func (w *work) open(ctx context.Context) (*github.Pull, error) {
	all, err := w.GitHub.PullsFrom(ctx, Branch, "open")
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// close closes the pull request: the registry has all dates.
func (w *work) close(ctx context.Context) error {
	open, err := w.open(ctx)
	if err != nil || open == nil {
		return err
	}
	if !notice.Ours(open.Author, w.Bot) {
		w.t.Find(open.URL, "close it, or merge it", "the registry has all dates, and the pull request #%d from %s isn't by @%s", open.Number, Branch, w.Bot)
		return nil
	}
	all, err := w.GitHub.CommitsIn(ctx, open.Number)
	if err != nil {
		return err
	}
	if notice.Others(all, w.Bot) {
		w.t.Find(open.URL, "close it, or merge it", "the registry has all dates, and the pull request #%d holds a commit that isn't by @%s", open.Number, w.Bot)
		return nil
	}
	x, err := w.GitHub.Issue(ctx, open.Number)
	if err != nil {
		return err
	}
	return wrap("close the pull request", w.t.Settle(&w.t.Closed, w.GitHub.EditPull(ctx, open.Number, x.Title, x.Body, "closed")))
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("registry dates: %s: %w", what, err)
}
