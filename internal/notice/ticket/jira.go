package ticket

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/jira"
	"github.com/rastup/rekey/internal/report/wiki"
	"github.com/rastup/rekey/internal/rotation"
)

// Site is what the tracker needs of a Jira site to look tickets up and move them; *jira.Client is one.
type Site interface {
	Issue(ctx context.Context, key string) (jira.Issue, error)
	Transitions(ctx context.Context, key string) ([]jira.Transition, error)
	Move(ctx context.Context, key, transition, resolution string) error
}

// Discussion is what it needs to say something there; *jira.Client is one.
type Discussion interface {
	Self(ctx context.Context) (string, error)
	Comments(ctx context.Context, key string) ([]jira.Comment, error)
	Comment(ctx context.Context, key, body string) (jira.Comment, error)
	EditComment(ctx context.Context, key, id, body string) error
	DeleteComment(ctx context.Context, key, id string) error
}

// Jira keeps tickets as issues of a site. Their names are keys, like SEC-12.
type Jira struct {
	Site
	Discussion
	Known      func(ticket string) bool // whether it is a key that may be meant
	Browse     func(key string) string  // where people read it
	Transition string                   // name or number
	Resolution string                   // "": none is given
}

// Name takes a key as it is.
func (j *Jira) Name(ticket string) (string, bool) { return ticket, j.Known(ticket) }

// Find looks an issue up.
func (j *Jira) Find(ctx context.Context, key string) (Seen, error) {
	x, err := j.Issue(ctx, key)
	if errors.Is(err, jira.ErrNotFound) {
		return Seen{}, &None{Msg: "there is no ticket " + key, Hint: "see that Jira has it, and that Rekey's account may browse its project; then run again"}
	}
	if err != nil {
		return Seen{}, err
	}
	return Seen{URL: j.Browse(key), Title: x.Summary, Status: x.Status, Closed: x.Done}, nil
}

// Close moves it by the configured transition. That it can't be is found before anything is sent, where Jira's own
// answer would say as little as "400".
func (j *Jira) Close(ctx context.Context, key string) error {
	all, err := j.Transitions(ctx, key)
	if err != nil {
		return err
	}
	t, err := j.pick(all)
	if err != nil {
		return err
	}
	if !t.Done {
		return rotation.Failf("set tickets.jira.transition to one that leads to a status of category Done", "its transition %q leads to %q, which doesn't count as done", t.Name, t.To)
	}
	if err := j.fits(t); err != nil {
		return err
	}
	return j.Move(ctx, key, t.ID, j.Resolution)
}

// pick is the configured transition: by number, else by name.
func (j *Jira) pick(all []jira.Transition) (t jira.Transition, err error) {
	is := func(same func(jira.Transition) bool) []jira.Transition {
		return slices.DeleteFunc(slices.Clone(all), func(t jira.Transition) bool { return !same(t) })
	}
	fits := is(func(t jira.Transition) bool { return t.ID == j.Transition })
	if len(fits) == 0 {
		fits = is(func(t jira.Transition) bool { return strings.EqualFold(t.Name, j.Transition) })
	}
	switch len(fits) {
	case 1:
		return fits[0], nil
	case 0:
		if len(all) == 0 {
			return t, rotation.Failf("give Rekey's account the permission Transition issues in its project; or move it by hand", "Jira offers this account no transition of it")
		}
		return t, rotation.Failf("set tickets.jira.transition to one of them; or move it by hand", "it has no transition %q now; it has %s", j.Transition, named(all))
	}
	return t, rotation.Failf("set tickets.jira.transition to the number of the one that is meant", "it has several transitions of that name: %s", named(fits))
}

func named(all []jira.Transition) string {
	var names []string
	for i, t := range all {
		if i == 10 {
			names = append(names, "others")
			break
		}
		names = append(names, fmt.Sprintf("%q (%s)", t.Name, t.ID))
	}
	return strings.Join(names, ", ")
}

// fits holds the transition's screen against what is given.
func (j *Jira) fits(t jira.Transition) error {
	for _, id := range slices.Sorted(maps.Keys(t.Fields)) {
		if f := t.Fields[id]; f.Required && !f.Default && (id != "resolution" || j.Resolution == "") {
			hint := "have the workflow not ask for it, or set tickets.jira.transition to one that doesn't; or move it by hand"
			if id == "resolution" {
				hint = "set tickets.jira.resolution to one of: " + strings.Join(f.Allowed, ", ")
			}
			return rotation.Failf(hint, "its transition %q asks for the field %q", t.Name, f.Name)
		}
	}
	if j.Resolution == "" {
		return nil
	}
	f, there := t.Fields["resolution"]
	if !there {
		return rotation.Failf("remove tickets.jira.resolution, or put the field on the transition's screen", "its transition %q takes no resolution", t.Name)
	}
	if f.Allowed != nil && !slices.Contains(f.Allowed, j.Resolution) {
		return rotation.Failf("set tickets.jira.resolution to one of: "+strings.Join(f.Allowed, ", "), "its transition %q has no resolution %q", t.Name, j.Resolution)
	}
	return nil
}

// Said are the account's own summaries.
func (j *Jira) Said(ctx context.Context, key string) (all []Said, err error) {
	self, err := j.Self(ctx)
	if err != nil {
		return nil, err
	}
	comments, err := j.Comments(ctx, key)
	for _, c := range comments {
		summary, left, ok := wiki.ParseSummary(c.Body)
		id, wrong := strconv.ParseInt(c.ID, 10, 64)
		if ok && wrong == nil && c.Author == self {
			all = append(all, Said{id, summary, left})
		}
	}
	return all, err
}

// Say comments.
func (j *Jira) Say(ctx context.Context, key string, s Summary) (Said, error) {
	if found, left, ok := wiki.ParseSummary(s.Text); !ok || found != s.Key || left != s.Left {
		return Said{}, errors.New("its summary doesn't end with its key, by which it would be found again")
	}
	c, err := j.Comment(ctx, key, s.Text)
	if err != nil {
		return Said{}, err
	}
	id, err := strconv.ParseInt(c.ID, 10, 64)
	if err != nil { // said it was; the next pass finds it
		return Said{}, fmt.Errorf("%w: Jira's answer has no comment's number", jira.ErrUnknown)
	}
	return Said{id, s.Key, s.Left}, nil
}

// Edit edits a comment.
func (j *Jira) Edit(ctx context.Context, key string, id int64, s Summary) error {
	return j.EditComment(ctx, key, strconv.FormatInt(id, 10), s.Text)
}

// Delete deletes a comment.
func (j *Jira) Delete(ctx context.Context, key string, id int64) error {
	return j.DeleteComment(ctx, key, strconv.FormatInt(id, 10))
}
