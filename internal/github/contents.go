package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	gh "github.com/google/go-github/v62/github"
	"github.com/rastup/rekey/internal/rotation"
)

// CommitsOf are those that touched a path, as ref has them, newest first, 100 at most.
func (c *Client) CommitsOf(ctx context.Context, path, ref string) ([]Commit, error) {
	var list []*gh.RepositoryCommit
	err := c.get(ctx, op{"list the commits of " + clean(path), "contents: read"}, "/commits",
		url.Values{"path": {path}, "sha": {ref}, "per_page": {"100"}}, &list)
	return all(list, err, commitOf)
}

// Content is a file of at most 1 MB, GitHub's own limit (REST API documentation, get repository content). Where there
// is none, the error is ErrNotFound, too.
func (c *Client) Content(ctx context.Context, path, ref string) (Content, error) {
	what := op{fmt.Sprintf("read %s at %s", clean(path), clean(ref)), "contents: read"}
	var raw json.RawMessage
	if err := c.get(ctx, what, "/contents/"+escape(path), url.Values{"ref": {ref}}, &raw); err != nil {
		return Content{}, err
	}
	var f gh.RepositoryContent
	if bytes.HasPrefix(raw, []byte("[")) || json.Unmarshal(raw, &f) != nil || f.GetType() != "file" {
		return Content{}, rotation.Failf("", "%s: it isn't a file", what.doing)
	}
	if f.GetEncoding() != "base64" {
		return Content{}, rotation.Failf("split it", "%s: it is longer than 1 MB", what.doing)
	}
	text, err := f.GetContent()
	if err != nil {
		return Content{}, fmt.Errorf("%s: GitHub's answer can't be read", what.doing)
	}
	return Content{[]byte(text), f.GetSHA()}, nil
}

// PutFile commits one file to a branch. was is the blob it replaces, "" for a new file: where another is there, it is
// refused, unless that already is what was to be put there.
func (c *Client) PutFile(ctx context.Context, branch, path, message string, text []byte, was string) error {
	in := gh.RepositoryContentFileOptions{Message: &message, Content: text, Branch: &branch}
	if text == nil {
		in.Content = []byte{} // null isn't an empty file
	}
	if was != "" {
		in.SHA = &was
	}
	what := op{fmt.Sprintf("put %s on branch %q", clean(path), clean(branch)), "contents: write"}
	err := c.change(ctx, what, http.MethodPut, "/contents/"+escape(path), in, nil)
	var no *refused
	if errors.As(err, &no) && (no.status == http.StatusConflict || no.status == http.StatusUnprocessableEntity) {
		// So GitHub answers, too, when the call is repeated after its first answer was lost.
		if there, e := c.Content(ctx, path, branch); e == nil && bytes.Equal(there.Text, text) {
			return nil
		}
	}
	return err
}

// Branch is the commit a branch is at.
func (c *Client) Branch(ctx context.Context, name string) (sha string, ok bool, err error) {
	var ref gh.Reference
	err = c.get(ctx, op{fmt.Sprintf("read the branch %q", clean(name)), "contents: read"}, "/git/ref/heads/"+escape(name), nil, &ref)
	if errors.Is(err, ErrNotFound) {
		return "", false, nil
	}
	return ref.GetObject().GetSHA(), err == nil, err
}

// CreateBranch makes a branch at a commit; it is refused where the branch is there. ErrUnknown: see Branch.
func (c *Client) CreateBranch(ctx context.Context, name, sha string) error {
	return c.change(ctx, op{fmt.Sprintf("create the branch %q", clean(name)), "contents: write"}, http.MethodPost, "/git/refs",
		map[string]string{"ref": "refs/heads/" + name, "sha": sha}, nil)
}

// MoveBranch sets a branch to a commit, whatever it was at.
func (c *Client) MoveBranch(ctx context.Context, name, sha string) error {
	return c.change(ctx, op{fmt.Sprintf("move the branch %q", clean(name)), "contents: write"}, http.MethodPatch, "/git/refs/heads/"+escape(name),
		map[string]any{"sha": sha, "force": true}, nil)
}

// escape is a path with slashes.
func escape(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
