package jira

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// An Issue is as much of one as matters. Its texts are other people's.
type Issue struct {
	Key     string // its present one: an issue that was moved to another project is still found by the one it had
	Summary string
	Status  string // as people see it
	Done    bool   // its status counts as done, by its category, whatever it is called
}

// A Comment of an issue, in wiki markup.
type Comment struct {
	ID      string
	Author  string // see Client.Self
	Body    string
	Created time.Time // zero where Jira's text of it can't be read
}

// A Transition that the issue's present status has, for this account.
type Transition struct {
	ID, Name string
	To       string // status
	Done     bool   // that status counts as done
	Fields   map[string]Field
}

// A Field of a transition's screen.
type Field struct {
	Name     string
	Required bool
	Default  bool     // it has a value where none is given
	Allowed  []string // names; nil: anything
}

// wire formats: "Issues", "Issue comments" and "Myself" of the REST API.
type (
	status struct {
		Name     string `json:"name"`
		Category struct {
			Key string `json:"key"`
		} `json:"statusCategory"`
	}
	user struct {
		AccountID string `json:"accountId"` // Cloud
		Key       string `json:"key"`       // Data Center
		Name      string `json:"name"`      // Data Center
	}
	comment struct {
		ID      string `json:"id"`
		Author  user   `json:"author"`
		Body    string `json:"body"`
		Created string `json:"created"`
	}
)

// done is the category whose key is "done"; the others are new, indeterminate and undefined ("Workflow status
// categories" of the REST API).
func (s status) done() bool { return s.Category.Key == "done" }

func (u user) id() string {
	for _, id := range []string{u.AccountID, u.Key, u.Name} {
		if id != "" {
			return id
		}
	}
	return ""
}

func (c comment) ours() Comment {
	at, _ := time.Parse("2006-01-02T15:04:05.000-0700", c.Created)
	return Comment{ID: c.ID, Author: c.Author.id(), Body: c.Body, Created: at}
}

// Self is the account that the token belongs to: an accountId of Cloud, a user's key of Data Center. It is remembered.
func (c *Client) Self(ctx context.Context) (string, error) {
	if c.self != "" {
		return c.self, nil
	}
	var u user
	const doing = "ask Jira who this is"
	if err := c.call(ctx, doing, http.MethodGet, nil, nil, &u, "myself"); err != nil {
		return "", err
	}
	if u.id() == "" {
		return "", fmt.Errorf("%s: the answer isn't Jira's", doing)
	}
	c.self = u.id()
	return c.self, nil
}

// Issue looks one up. That Jira doesn't show it is believed only of an account that it knows: Cloud answers a call whose
// token it doesn't take as anybody's, who may see nothing, and Data Center does where sign-on is a plugin's.
func (c *Client) Issue(ctx context.Context, key string) (x Issue, err error) {
	var a struct {
		Key    string `json:"key"`
		Fields struct {
			Summary string `json:"summary"`
			Status  status `json:"status"`
		} `json:"fields"`
	}
	doing := "look up " + key
	err = c.call(ctx, doing, http.MethodGet, url.Values{"fields": {"summary,status"}}, nil, &a, "issue", key)
	if errors.Is(err, ErrNotFound) {
		if _, who := c.Self(ctx); who != nil {
			return x, fmt.Errorf("%s: %w", doing, undecided{who})
		}
		return x, err
	}
	if err == nil && (a.Key == "" || a.Fields.Status.Name == "") {
		err = fmt.Errorf("%s: the answer isn't Jira's", doing)
	}
	return Issue{Key: a.Key, Summary: a.Fields.Summary, Status: a.Fields.Status.Name, Done: a.Fields.Status.done()}, err
}

// undecided keeps a definite no about something else from being taken for one about the issue.
type undecided struct{ err error }

func (u undecided) Error() string { return u.err.Error() }

// mostComments of an issue are read; more is an error.
const mostComments = 5000

// Comments are all of an issue's.
func (c *Client) Comments(ctx context.Context, key string) (all []Comment, err error) {
	for len(all) < mostComments {
		var page struct {
			Total    int       `json:"total"`
			Comments []comment `json:"comments"`
		}
		query := url.Values{"startAt": {strconv.Itoa(len(all))}, "maxResults": {"100"}}
		if err := c.call(ctx, "list the comments of "+key, http.MethodGet, query, nil, &page, "issue", key, "comment"); err != nil {
			return nil, err
		}
		for _, one := range page.Comments {
			all = append(all, one.ours())
		}
		if len(page.Comments) == 0 || len(all) >= page.Total {
			return all, nil
		}
	}
	return nil, fmt.Errorf("list the comments of %s: there are more than %d", key, mostComments)
}

// Comment says something on an issue.
func (c *Client) Comment(ctx context.Context, key, body string) (Comment, error) {
	var a comment
	err := c.call(ctx, "comment on "+key, http.MethodPost, nil, map[string]string{"body": body}, &a, "issue", key, "comment")
	return a.ours(), err
}

// EditComment says something else in its place.
func (c *Client) EditComment(ctx context.Context, key, id, body string) error {
	return c.call(ctx, "edit a comment on "+key, http.MethodPut, nil, map[string]string{"body": body}, nil, "issue", key, "comment", id)
}

// DeleteComment deletes one. One that isn't there is what was wanted.
func (c *Client) DeleteComment(ctx context.Context, key, id string) error {
	err := c.call(ctx, "delete a comment on "+key, http.MethodDelete, nil, nil, nil, "issue", key, "comment", id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Transitions are those that an issue has now.
func (c *Client) Transitions(ctx context.Context, key string) (all []Transition, err error) {
	var a struct {
		Transitions []struct {
			ID     string `json:"id"`
			Name   string `json:"name"`
			To     status `json:"to"`
			Fields map[string]struct {
				Name     string `json:"name"`
				Required bool   `json:"required"`
				Default  bool   `json:"hasDefaultValue"`
				Allowed  []struct {
					Name string `json:"name"`
				} `json:"allowedValues"`
			} `json:"fields"`
		} `json:"transitions"`
	}
	err = c.call(ctx, "list the transitions of "+key, http.MethodGet, url.Values{"expand": {"transitions.fields"}}, nil, &a, "issue", key, "transitions")
	for _, t := range a.Transitions {
		one := Transition{ID: t.ID, Name: t.Name, To: t.To.Name, Done: t.To.done(), Fields: map[string]Field{}}
		for id, f := range t.Fields {
			field := Field{Name: f.Name, Required: f.Required, Default: f.Default}
			for _, v := range f.Allowed {
				field.Allowed = append(field.Allowed, v.Name)
			}
			one.Fields[id] = field
		}
		all = append(all, one)
	}
	return all, err
}

// Move makes a transition, with a resolution where there is one.
func (c *Client) Move(ctx context.Context, key, transition, resolution string) error {
	in := map[string]any{"transition": map[string]string{"id": transition}}
	if resolution != "" {
		in["fields"] = map[string]any{"resolution": map[string]string{"name": resolution}}
	}
	err := c.call(ctx, "move "+key, http.MethodPost, nil, in, nil, "issue", key, "transitions")
	var definite *rotation.Failure
	if errors.As(err, &definite) && !errors.Is(err, ErrNotFound) {
		definite.Hint = "see in Jira what this transition asks for"
	}
	return err
}
