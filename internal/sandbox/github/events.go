package github

import (
	"net/http"
	"regexp"
	"slices"
	"time"
)

// An event is something that happened to an issue besides comments.
type event struct {
	id       int64
	kind     string
	by       string // who did it; of mentioned and subscribed: whom it happened to
	about    string // label, or who was assigned
	from, to string // titles
	at       time.Time
}

func (s *Service) happen(t *thread, e event) {
	e.id, e.at = s.next(), s.now()
	t.events = append(t.events, e)
}

var called = regexp.MustCompile(`(?:^|[^\w/])@([A-Za-z0-9](?:-?[A-Za-z0-9])*)`)

// mentions lets happen what GitHub does with names in a text: who is named is mentioned and subscribed, once, as if
// they had done something.
func (s *Service) mentions(t *thread, body string) {
	for _, m := range called.FindAllStringSubmatch(body, -1) {
		if s.users[m[1]] != nil && !slices.ContainsFunc(t.events, func(e event) bool { return e.kind == "mentioned" && e.by == m[1] }) {
			s.happen(t, event{kind: "mentioned", by: m[1]})
			s.happen(t, event{kind: "subscribed", by: m[1]})
		}
	}
}

func (s *Service) relabel(t *thread, by string, labels []string) {
	for _, l := range labels {
		if !slices.Contains(t.labels, l) {
			s.happen(t, event{kind: "labeled", by: by, about: l})
		}
	}
	for _, l := range t.labels {
		if !slices.Contains(labels, l) {
			s.happen(t, event{kind: "unlabeled", by: by, about: l})
		}
	}
	t.labels = labels
}

func (s *Service) reassign(t *thread, by string, logins []string) {
	for _, l := range logins {
		if !slices.Contains(t.assignees, l) {
			s.happen(t, event{kind: "assigned", by: by, about: l})
			s.happen(t, event{kind: "subscribed", by: l})
		}
	}
	for _, l := range t.assignees {
		if !slices.Contains(logins, l) {
			s.happen(t, event{kind: "unassigned", by: by, about: l})
		}
	}
	t.assignees = logins
}

// Label is somebody giving an issue these labels and no others; Assign likewise people.
func (s *Service) Label(issue int, by string, labels ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.repo.threads[issue]; t != nil {
		s.relabel(t, by, labels)
	}
}

// Assign is somebody assigning these people, and no others.
func (s *Service) Assign(issue int, by string, logins ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.repo.threads[issue]; t != nil {
		s.reassign(t, by, logins)
	}
}

func (r *request) listEvents() (answer, error) {
	t, err := r.issueOf()
	if err != nil {
		return answer{}, err
	}
	l := []doc{}
	for _, e := range page(r, t.events) {
		l = append(l, r.eventDoc(e))
	}
	return ok(l)
}

// eventDoc shows who was assigned as the actor, too, as GitHub does or did: only the assigner says who did it.
func (r *request) eventDoc(e event) doc {
	d := doc{"id": e.id, "node_id": node("Event", e.id), "url": r.api("/issues/events/" + itoa(e.id)), "actor": r.ghost(e.by), "event": e.kind,
		"commit_id": nil, "commit_url": nil, "created_at": stamp(e.at), "performed_via_github_app": nil}
	switch e.kind {
	case "labeled", "unlabeled":
		d["label"] = doc{"name": e.about, "color": "ededed"}
	case "assigned", "unassigned":
		d["actor"], d["assignee"], d["assigner"] = r.ghost(e.about), r.ghost(e.about), r.ghost(e.by)
	case "renamed":
		d["rename"] = doc{"from": e.from, "to": e.to}
	default:
		d["lock_reason"] = nil // the description knows no event that has neither this nor more
	}
	return d
}

// assignable says whether GitHub takes a login as an assignee.
func (r *request) assignable(login string) bool {
	u := r.users[login]
	return u != nil && !u.bot && (r.repo.permissions[login] != "" || r.repo.public)
}

// addAssignees leaves out without a word who can't be assigned.
func (r *request) addAssignees() (answer, error) {
	t, err := r.issueOf()
	if err != nil {
		return answer{}, err
	}
	var in struct{ Assignees []string }
	if err := r.into(&in); err != nil {
		return answer{}, err
	}
	r.reassign(t, r.login, values(append(slices.DeleteFunc(in.Assignees, func(l string) bool { return !r.assignable(l) }), t.assignees...)))
	return answer{http.StatusCreated, r.issueDoc(t)}, nil
}
