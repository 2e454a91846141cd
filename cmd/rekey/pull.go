package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/report/comment"
)

// A source is the pull request whose audit comments hold heads.
type source struct {
	number     int
	repository string // owner/name
	bot        string // login that writes there
}

// anchors are the heads that the audit comments of a pull request hold, and what is wrong with the comments: a head
// that somebody could have changed proves nothing.
func (s source) anchors(ctx context.Context, f *flags) (all []evidence.Anchor, wrong []string, err error) {
	if s.repository == "" {
		s.repository = os.Getenv("GITHUB_REPOSITORY")
	}
	if s.repository == "" {
		return nil, nil, usageError{errors.New("which repository? give --repository OWNER/NAME")}
	}
	hub, err := f.hub(s.repository, true)
	if err != nil {
		return nil, nil, err
	}
	list, err := hub.Comments(ctx, s.number)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range list {
		if !strings.HasPrefix(c.Body, "<!-- rekey:audit") {
			continue
		}
		heads := comment.Anchors(c.Body)
		switch {
		case !strings.EqualFold(c.Author.Login, s.bot):
			wrong = append(wrong, fmt.Sprintf("%s: looks like an audit comment, but %s wrote it, not %s", c.URL, c.Author.Login, s.bot))
			continue
		case !c.UpdatedAt.Equal(c.CreatedAt):
			wrong = append(wrong, fmt.Sprintf("%s: was edited on %s; audit comments never are", c.URL, c.UpdatedAt.UTC().Format("2 Jan 2006 15:04:05 UTC")))
		case len(heads) == 0:
			wrong = append(wrong, c.URL+": its marker isn't as it was written")
		}
		for _, h := range heads {
			all = append(all, evidence.Anchor{Head: h, By: c.URL})
		}
	}
	if len(all) == 0 && len(wrong) == 0 {
		return nil, nil, fmt.Errorf("#%d of %s has no audit comment by %s", s.number, s.repository, s.bot)
	}
	return all, wrong, nil
}
