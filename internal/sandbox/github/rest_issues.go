package github

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// tooLong is more than a comment, an issue or a pull request may hold.
func tooLong(body string) bool { return utf8.RuneCountInString(body) > 65536 }

func (r *request) listIssues() (answer, error) {
	since, _, err := r.span()
	if err != nil {
		return answer{}, err
	}
	var labels []string
	if text := r.query.Get("labels"); text != "" {
		labels = strings.Split(text, ",")
	}
	creator, assignee := r.query.Get("creator"), r.query.Get("assignee")
	l := []doc{}
	for _, t := range page(r, r.threadsBy(func(t *thread) bool {
		has := func(label string) bool {
			return slices.ContainsFunc(t.labels, func(l string) bool { return strings.EqualFold(l, strings.TrimSpace(label)) })
		}
		if !r.inState(t.state) || creator != "" && t.author != creator || t.updated.Before(since) || slices.ContainsFunc(labels, func(l string) bool { return !has(l) }) {
			return false
		}
		switch assignee {
		case "":
			return true
		case "*", "none":
			return (assignee == "*") == (len(t.assignees) > 0)
		}
		return slices.Contains(t.assignees, assignee)
	})) {
		l = append(l, r.issueDoc(t))
	}
	return ok(l)
}

func (r *request) issueOf() (*thread, error) {
	t := r.repo.threads[int(r.number("issue_number"))]
	if t == nil {
		return nil, notFound()
	}
	return t, r.mayTalk(t)
}

// mayTalk refuses a token that is only for the other kind: an issue's needs issues, a pull request's either.
func (r *request) mayTalk(t *thread) error {
	level := "write"
	if r.in.Method == http.MethodGet {
		level = "read"
	}
	if t.pull != nil {
		return r.permitted("issues:" + level + " pull_requests:" + level)
	}
	return r.permitted("issues:" + level)
}

func (r *request) getIssue() (answer, error) {
	t, err := r.issueOf()
	if err != nil {
		return answer{}, err
	}
	return ok(r.issueDoc(t))
}

// issueIn is the body of a change. Titles may be numbers, labels objects with a name.
type issueIn struct {
	Title       *string
	Body        *string
	State       *string
	StateReason *string            `json:"state_reason"`
	Labels      *[]json.RawMessage //
	Assignees   *[]string
}

func (in issueIn) labels() (l []string) {
	for _, raw := range *in.Labels {
		var name string
		var o struct{ Name string }
		if json.Unmarshal(raw, &name) != nil && json.Unmarshal(raw, &o) == nil {
			name = o.Name
		}
		l = append(l, name)
	}
	return values(l)
}

func (r *request) wrong(in issueIn) error {
	if in.Title != nil && strings.TrimSpace(*in.Title) == "" {
		return failed("Issue", "title", "missing_field", "")
	}
	if in.Title != nil && utf8.RuneCountInString(*in.Title) > 256 {
		return failed("Issue", "title", "custom", "title is too long (maximum is 256 characters)")
	}
	if in.Body != nil && tooLong(*in.Body) {
		return failed("Issue", "body", "custom", "body is too long (maximum is 65536 characters)")
	}
	if in.State != nil && *in.State != "open" && *in.State != "closed" {
		return failed("Issue", "state", "invalid", "")
	}
	if in.StateReason != nil && !slices.Contains([]string{"completed", "not_planned", "duplicate", "reopened"}, *in.StateReason) {
		return failed("Issue", "state_reason", "invalid", "")
	}
	if in.Labels != nil {
		for _, name := range in.labels() {
			if name == "" || utf8.RuneCountInString(name) > 50 {
				return failed("Label", "name", "invalid", "")
			}
		}
	}
	if in.Assignees != nil {
		for _, login := range *in.Assignees {
			if !r.assignable(login) {
				e := failed("Issue", "assignees", "invalid", "")
				e.Errors.([]doc)[0]["value"] = login
				return e
			}
		}
	}
	return nil
}

func (r *request) createIssue() (answer, error) {
	var in issueIn
	if err := r.into(&in); err != nil {
		return answer{}, err
	}
	if in.Title == nil {
		in.Title = new(string)
	}
	if err := r.wrong(in); err != nil {
		return answer{}, err
	}
	t := r.open(r.login, *in.Title, "")
	r.change(t, in)
	return answer{http.StatusCreated, r.issueDoc(t)}, nil
}

func (r *request) change(t *thread, in issueIn) {
	if in.Title != nil && *in.Title != t.title && t.title != "" {
		r.happen(t, event{kind: "renamed", by: r.login, from: t.title, to: *in.Title})
	}
	set(&t.title, in.Title)
	if in.Body != nil {
		t.body = *in.Body
		r.mentions(t, t.body)
	}
	if in.Labels != nil {
		r.relabel(t, r.login, in.labels())
	}
	if in.Assignees != nil {
		r.reassign(t, r.login, values(*in.Assignees))
	}
	t.updated = r.now()
}

func (r *request) updateIssue() (answer, error) {
	t, err := r.issueOf()
	if err != nil {
		return answer{}, err
	}
	var in issueIn
	if err := r.into(&in); err != nil {
		return answer{}, err
	}
	if err := r.wrong(in); err != nil {
		return answer{}, err
	}
	if t.pull != nil && !t.pull.merged.IsZero() && in.State != nil && *in.State == "open" {
		return answer{}, failed("Issue", "state", "invalid", "state cannot be changed. The pull request is merged.")
	}
	r.change(t, in)
	if in.State != nil && (*in.State != t.state || in.StateReason != nil) {
		reason := map[string]string{"closed": "completed", "open": "reopened"}[*in.State]
		set(&reason, in.StateReason)
		if t.pull != nil {
			reason = ""
		}
		r.moveState(t, r.login, *in.State, reason)
	}
	return ok(r.issueDoc(t))
}

func (r *request) listComments() (answer, error) {
	t, err := r.issueOf()
	if err != nil {
		return answer{}, err
	}
	since, _, err := r.span()
	if err != nil {
		return answer{}, err
	}
	said := slices.DeleteFunc(r.repo.said(t.number), func(c *comment) bool { return c.UpdatedAt.Before(since) })
	l := []doc{}
	for _, c := range page(r, said) {
		l = append(l, r.commentDoc(c))
	}
	return ok(l)
}

func (r *request) commentBody() (string, error) {
	var in struct{ Body *string }
	if err := r.into(&in); err != nil {
		return "", err
	}
	switch {
	case in.Body == nil:
		return "", invalid("Invalid request.\n\n\"body\" wasn't supplied.")
	case strings.TrimSpace(*in.Body) == "":
		return "", failed("IssueComment", "data", "unprocessable", "Body cannot be blank")
	case tooLong(*in.Body):
		return "", failed("IssueComment", "data", "unprocessable", "Body is too long (maximum is 65536 characters)")
	}
	return *in.Body, nil
}

func (r *request) createComment() (answer, error) {
	t, err := r.issueOf()
	if err != nil {
		return answer{}, err
	}
	body, err := r.commentBody()
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, r.commentDoc(r.say(t.number, r.login, body))}, nil
}

func (r *request) commentOf() (*comment, error) {
	c := r.repo.comments[r.number("comment_id")]
	if c == nil || r.repo.threads[c.Issue] == nil {
		return nil, notFound()
	}
	return c, r.mayTalk(r.repo.threads[c.Issue])
}

func (r *request) getComment() (answer, error) {
	c, err := r.commentOf()
	if err != nil {
		return answer{}, err
	}
	return ok(r.commentDoc(c))
}

func (r *request) updateComment() (answer, error) {
	c, err := r.commentOf()
	if err != nil {
		return answer{}, err
	}
	body, err := r.commentBody()
	if err != nil {
		return answer{}, err
	}
	c.Body, c.UpdatedAt = body, r.now()
	return ok(r.commentDoc(c))
}

func (r *request) deleteComment() (answer, error) {
	c, err := r.commentOf()
	if err != nil {
		return answer{}, err
	}
	delete(r.repo.comments, c.ID)
	return answer{status: http.StatusNoContent}, nil
}
