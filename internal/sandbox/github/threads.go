package github

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// A thread is an issue, or a pull request, which is an issue with a branch.
type thread struct {
	id                int64
	number            int
	author            string
	title, body       string
	state, reason     string // open, closed; completed, not_planned, reopened
	labels, assignees []string
	made, updated     time.Time
	closed            time.Time
	closedBy          string
	events            []event
	pull              *pull // nil: an issue
}

type pull struct {
	branch, base string // as repository.branches names them
	fork         bool
	forkGone     bool
	head         string // commit; that of a merged pull request stays
	start        string // the base branch's commit when it was last looked at; of a merged one, just before
	merged       time.Time
	mergedBy     string
	merge        string    // commit
	brought      []*commit // of a merged one
	reviews      []review
}

type review struct {
	id     int64
	user   string
	state  string
	commit string
	body   string
	at     time.Time
}

// A Comment is a copy of one on an issue or pull request.
type Comment struct {
	ID                   int64
	Issue                int
	Author               string
	Body                 string
	CreatedAt, UpdatedAt time.Time
}

type comment = Comment

// An Issue is a copy of one; pull requests are not among them.
type Issue struct {
	Number               int
	Title, Body          string
	State, Reason        string
	Author               string
	Labels, Assignees    []string
	CreatedAt, UpdatedAt time.Time
}

// A Pull is a copy of a pull request.
type Pull struct {
	Number      int
	Title, Body string
	State       string
	Author      string
	Branch      string // of the head; "eve:patch" where it is a fork's
	Base        string
	Head        string // commit
	Merged      bool
	MergedBy    string
	Merge       string // commit
}

func (s *Service) open(author, title, body string) *thread {
	r := s.repo
	r.number++
	t := &thread{id: s.next(), number: r.number, author: author, title: title, body: body, state: "open", made: s.now(), updated: s.now()}
	r.threads[t.number] = t
	s.mentions(t, body)
	return t
}

// OpenIssue is a person opening an issue.
func (s *Service) OpenIssue(author, title, body string, labels ...string) (number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.open(author, title, body)
	s.relabel(t, author, slices.Clone(labels))
	return t.number
}

// OpenPull opens a pull request from a branch: of the author's fork, where fork is set. 0 where there is no such
// branch, or nothing on it that base hasn't: GitHub opens none then.
func (s *Service) OpenPull(author, title, body, branch, base string, fork bool) (number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repo
	if fork && !strings.Contains(branch, ":") {
		branch = author + ":" + branch
	}
	if r.branches[branch] == "" || r.branches[base] == "" || len(r.between(r.branches[base], r.branches[branch])) == 0 {
		return 0
	}
	return s.openPull(author, title, body, branch, base).number
}

func (s *Service) openPull(author, title, body, branch, base string) *thread {
	t := s.open(author, title, body)
	t.pull = &pull{branch: branch, base: base, fork: strings.Contains(branch, ":"), head: s.repo.branches[branch]}
	return t
}

// DropFork deletes the repository a pull request came from.
func (s *Service) DropFork(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.repo.threads[number]; t != nil && t.pull != nil {
		t.pull.forkGone = true
	}
}

// Review is a person's review of a pull request's present head: APPROVED, CHANGES_REQUESTED, COMMENTED. DISMISSED
// turns the user's last review into one that was dismissed, as GitHub does.
func (s *Service) Review(number int, user, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.repo.threads[number]
	if t == nil || t.pull == nil {
		return
	}
	state = strings.ToUpper(state)
	if state == "DISMISSED" {
		for i, v := range slices.Backward(t.pull.reviews) {
			if v.user == user {
				t.pull.reviews[i].state = state
				return
			}
		}
	}
	t.pull.reviews = append(t.pull.reviews, review{id: s.next(), user: user, state: state, commit: t.pull.head, at: s.now()})
	t.updated = s.now()
}

// Merge makes a merge commit of an open pull request, as the green button does, and answers it; "" where it
// is closed or in conflict.
func (s *Service) Merge(number int, by string) (sha string) { return s.merge(number, by, false) }

// Squash makes one commit of an open pull request, by its author, and answers it; "" where it is closed or in
// conflict.
func (s *Service) Squash(number int, by string) (sha string) { return s.merge(number, by, true) }

func (s *Service) merge(number int, by string, squash bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repo
	t := r.threads[number]
	if t == nil || t.pull == nil || t.state != "open" {
		return ""
	}
	p := t.pull
	base := r.branches[p.base]
	files, clean := r.merged(base, p.head)
	if !clean {
		return ""
	}
	p.brought = r.between(base, p.head)
	var c *commit
	if squash {
		c = s.record(t.author, "web-flow", t.title+" (#"+itoa(number)+")", []string{base}, files)
	} else {
		owner, branch := s.headOf(p)
		c = s.record(by, "web-flow", "Merge pull request #"+itoa(number)+" from "+owner+"/"+branch+"\n\n"+t.title, []string{base, p.head}, files)
	}
	p.start, p.merge, p.merged, p.mergedBy = base, c.sha, s.now(), by
	t.state, t.closed, t.closedBy, t.updated = "closed", s.now(), by, s.now()
	s.push(p.base, c.sha)
	return c.sha
}

// headOf is the owner and the name of a pull request's branch.
func (s *Service) headOf(p *pull) (owner, branch string) {
	if owner, branch, ok := strings.Cut(p.branch, ":"); ok {
		return owner, branch
	}
	return s.repo.owner, p.branch
}

// changes are the paths whose content differs, with the new one; "" where it is gone.
func changes(before, after map[string]string) map[string]string {
	l := map[string]string{}
	for path, text := range after {
		if old, ok := before[path]; !ok || old != text {
			l[path] = text
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok {
			l[path] = ""
		}
	}
	return l
}

// Close closes an issue, or a pull request without merging it; Reopen is the reverse.
func (s *Service) Close(number int, by string) { s.setState(number, by, "closed", "completed") }

// Reopen opens a closed issue or unmerged pull request again.
func (s *Service) Reopen(number int, by string) { s.setState(number, by, "open", "reopened") }

func (s *Service) setState(number int, by, state, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.repo.threads[number]; t != nil {
		s.moveState(t, by, state, reason)
	}
}

func (s *Service) moveState(t *thread, by, state, reason string) {
	if t.state == state && t.reason == reason {
		return
	}
	t.state, t.reason, t.updated, t.closed, t.closedBy = state, reason, s.now(), time.Time{}, ""
	if state == "closed" {
		t.closed, t.closedBy = s.now(), by
	}
	s.happen(t, event{kind: map[string]string{"closed": "closed", "open": "reopened"}[state], by: by})
}

// DeleteIssue is an administrator deleting an issue: nothing lists it any more.
func (s *Service) DeleteIssue(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.repo.threads, number)
}

// Say is a person's comment on an issue or pull request.
func (s *Service) Say(issue int, user, body string) (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.say(issue, user, body).ID
}

func (s *Service) say(issue int, user, body string) *comment {
	c := &comment{ID: s.next(), Issue: issue, Author: user, Body: body, CreatedAt: s.now(), UpdatedAt: s.now()}
	s.repo.comments[c.ID] = c
	if t := s.repo.threads[issue]; t != nil {
		t.updated = s.now()
		s.mentions(t, body)
	}
	return c
}

// EditComment is somebody with write access changing a comment: its author stays, and UpdatedAt is now.
func (s *Service) EditComment(id int64, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.repo.comments[id]; c != nil {
		c.Body, c.UpdatedAt = body, s.now()
	}
}

// DeleteComment is somebody with write access deleting a comment.
func (s *Service) DeleteComment(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.repo.comments, id)
}

// Comments of an issue or pull request, oldest first.
func (s *Service) Comments(issue int) (l []Comment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.repo.said(issue) {
		l = append(l, *c)
	}
	return l
}

func (r *repository) said(issue int) (l []*comment) {
	for _, c := range r.comments {
		if c.Issue == issue {
			l = append(l, c)
		}
	}
	slices.SortFunc(l, func(a, b *comment) int { return int(a.ID - b.ID) })
	return l
}

// Issues by number, without pull requests.
func (s *Service) Issues() (l []Issue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range slices.Sorted(maps.Keys(s.repo.threads)) {
		if t := s.repo.threads[n]; t.pull == nil {
			l = append(l, Issue{
				Number: n, Title: t.title, Body: t.body, State: t.state, Reason: t.reason, Author: t.author, CreatedAt: t.made, UpdatedAt: t.updated,
				Labels: slices.Clone(t.labels), Assignees: slices.Clone(t.assignees),
			})
		}
	}
	return l
}

// Pulls by number.
func (s *Service) Pulls() (l []Pull) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range slices.Sorted(maps.Keys(s.repo.threads)) {
		if t := s.repo.threads[n]; t.pull != nil {
			p := t.pull
			l = append(l, Pull{
				Number: n, Title: t.title, Body: t.body, State: t.state, Author: t.author, Branch: p.branch, Base: p.base, Head: p.head,
				Merged: !p.merged.IsZero(), MergedBy: p.mergedBy, Merge: p.merge,
			})
		}
	}
	return l
}
