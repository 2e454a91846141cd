package ticket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/report/comment"
)

// Issues are those of one repository.
type Issues interface {
	Issue(ctx context.Context, number int) (github.Issue, error)
	EditIssue(ctx context.Context, number int, change github.IssueChange) error
}

// Comments are those of one repository's issues. The list may lag behind what was written.
type Comments interface {
	Comments(ctx context.Context, issue int) ([]github.Comment, error)
	CreateComment(ctx context.Context, issue int, body string) (github.Comment, error)
	EditComment(ctx context.Context, id int64, body string) error
	DeleteComment(ctx context.Context, id int64) error
}

// Repository is what the tracker needs of one; *github.Client is one.
type Repository interface {
	Issues
	Comments
}

// GitHub keeps tickets as issues. Their names are like owner/name#12.
type GitHub struct {
	Home string // repository that tickets like #12 are in; "" none
	Bot  string // login that writes there
	In   func(repository string) Repository
}

var issue = regexp.MustCompile(`^([\w.-]+/[\w.-]+)?#([1-9][0-9]{0,8})$`)

// Name reads "#12", which is at home, and "owner/name#12".
func (g *GitHub) Name(ticket string) (name string, ok bool) {
	m := issue.FindStringSubmatch(ticket)
	if m == nil || cmp.Or(m[1], g.Home) == "" {
		return "", false
	}
	return cmp.Or(m[1], g.Home) + "#" + m[2], true
}

func (g *GitHub) at(name string) (in Repository, number int) {
	repository, digits, _ := strings.Cut(name, "#")
	number, _ = strconv.Atoi(digits) // Name made it
	return g.In(repository), number
}

// Find looks an issue up. A pull request is none.
func (g *GitHub) Find(ctx context.Context, name string) (Seen, error) {
	in, n := g.at(name)
	x, err := in.Issue(ctx, n)
	switch {
	case errors.Is(err, github.ErrNotFound):
		return Seen{}, &None{Msg: "there is no ticket " + name, Hint: "see that it exists, and that the token may read it; then run again"}
	case err != nil:
		return Seen{}, err
	case strings.HasSuffix(x.URL, "/pull/"+strconv.Itoa(n)):
		return Seen{}, &None{URL: x.URL, Msg: "the ticket " + name + " is a pull request", Hint: "name an issue as ticket"}
	}
	return Seen{URL: x.URL, Title: x.Title, Status: x.State, Closed: x.State == "closed"}, nil
}

// Close closes it as completed.
func (g *GitHub) Close(ctx context.Context, name string) error {
	in, n := g.at(name)
	closed, completed := "closed", "completed"
	return in.EditIssue(ctx, n, github.IssueChange{State: &closed, Reason: &completed})
}

// Said are the bot's summaries.
func (g *GitHub) Said(ctx context.Context, name string) (all []Said, err error) {
	in, n := g.at(name)
	comments, err := in.Comments(ctx, n)
	for _, c := range comments {
		if key, left, ok := comment.ParseTicket(c.Body); ok && notice.Ours(c.Author, g.Bot) {
			all = append(all, Said{c.ID, key, left})
		}
	}
	return all, err
}

// Say comments.
func (g *GitHub) Say(ctx context.Context, name string, s Summary) (Said, error) {
	if key, left, ok := comment.ParseTicket(s.Text); !ok || key != s.Key || left != s.Left {
		return Said{}, fmt.Errorf("its summary has no marker by which it would be found again")
	}
	in, n := g.at(name)
	c, err := in.CreateComment(ctx, n, s.Text)
	return Said{c.ID, s.Key, s.Left}, err
}

// Edit edits a comment.
func (g *GitHub) Edit(ctx context.Context, name string, id int64, s Summary) error {
	in, _ := g.at(name)
	return in.EditComment(ctx, id, s.Text)
}

// Delete deletes a comment.
func (g *GitHub) Delete(ctx context.Context, name string, id int64) error {
	in, _ := g.at(name)
	return in.DeleteComment(ctx, id)
}
