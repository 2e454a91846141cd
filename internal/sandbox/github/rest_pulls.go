package github

import (
	"net/http"
	"slices"
	"strings"
)

// threadsBy are the issues and pull requests that keep answers true for, as sort and direction ask.
func (r *request) threadsBy(keep func(*thread) bool) (l []*thread) {
	for _, t := range r.repo.threads {
		if keep(t) {
			l = append(l, t)
		}
	}
	up := r.query.Get("direction") == "asc"
	slices.SortFunc(l, func(a, b *thread) int {
		order := a.number - b.number
		if c := a.updated.Compare(b.updated); r.query.Get("sort") == "updated" && c != 0 {
			order = c
		}
		if !up {
			order = -order
		}
		return order
	})
	return l
}

// inState holds a state against the parameter, which is open where it is left out.
func (r *request) inState(state string) bool {
	want := r.query.Get("state")
	return want == "all" || state == want || want == "" && state == "open"
}

func (r *request) listPulls() (answer, error) {
	head, base := r.query.Get("head"), r.query.Get("base")
	l := []doc{}
	for _, t := range page(r, r.threadsBy(func(t *thread) bool {
		if t.pull == nil || !r.inState(t.state) || base != "" && t.pull.base != base {
			return false
		}
		owner, branch := r.headOf(t.pull)
		return !strings.Contains(head, ":") || head == owner+":"+branch // GitHub ignores a head without an owner
	})) {
		l = append(l, r.pullSimple(t))
	}
	return ok(l)
}

// pullsOfCommit are, of a commit on the default branch, the merged pull requests that brought it; of any other, all
// that contain it.
func (r *request) pullsOfCommit() (answer, error) {
	c := r.repo.resolve(r.args["commit_sha"])
	if c == nil {
		return answer{}, invalid("No commit found for SHA: " + r.args["commit_sha"])
	}
	landed := r.repo.ancestry(r.repo.branches[r.repo.branch])[c.sha]
	l := []doc{}
	for _, t := range r.threadsBy(func(t *thread) bool {
		if t.pull == nil || landed && t.pull.merged.IsZero() {
			return false
		}
		return t.pull.merge == c.sha || slices.Contains(r.commitsOf(t.pull), c)
	}) {
		l = append(l, r.pullSimple(t))
	}
	return ok(page(r, l))
}

func (r *request) pullOf() (*thread, error) {
	t := r.repo.threads[int(r.number("pull_number"))]
	if t == nil || t.pull == nil {
		return nil, notFound()
	}
	return t, nil
}

func (r *request) getPull() (answer, error) {
	t, err := r.pullOf()
	if err != nil {
		return answer{}, err
	}
	return ok(r.pullDoc(t))
}

func (r *request) listPullFiles() (answer, error) {
	t, err := r.pullOf()
	if err != nil {
		return answer{}, err
	}
	l, files := []doc{}, r.filesOf(t.pull)
	for _, c := range page(r, files[:min(len(files), 3000)]) {
		l = append(l, r.changeDoc(c, t.pull.head))
	}
	return ok(l)
}

func (r *request) listReviews() (answer, error) {
	t, err := r.pullOf()
	if err != nil {
		return answer{}, err
	}
	l := []doc{}
	for _, v := range page(r, t.pull.reviews) {
		l = append(l, r.reviewDoc(t, v))
	}
	return ok(l)
}

func (r *request) listPullCommits() (answer, error) {
	t, err := r.pullOf()
	if err != nil {
		return answer{}, err
	}
	l, commits := []doc{}, r.commitsOf(t.pull)
	for _, c := range page(r, commits[:min(len(commits), 250)]) {
		l = append(l, r.commitDoc(c))
	}
	return ok(l)
}

func (r *request) createPull() (answer, error) {
	var in struct{ Title, Head, Base, Body string }
	if err := r.into(&in); err != nil {
		return answer{}, err
	}
	if r.login == "github-actions[bot]" && !r.o.ActionsOpenPulls {
		return answer{}, &Error{Status: http.StatusForbidden, Message: "GitHub Actions is not permitted to create or approve pull requests."}
	}
	owner, branch, named := strings.Cut(in.Head, ":")
	if !named {
		owner, branch = r.repo.owner, in.Head
	}
	key := branch
	if owner != r.repo.owner {
		key = owner + ":" + branch
	}
	base, head := r.repo.branches[in.Base], r.repo.branches[key]
	switch {
	case in.Title == "":
		return answer{}, failed("PullRequest", "title", "missing_field", "")
	case tooLong(in.Body):
		return answer{}, failed("PullRequest", "body", "custom", "body is too long (maximum is 65536 characters)")
	case head == "":
		return answer{}, failed("PullRequest", "head", "invalid", "")
	case base == "":
		return answer{}, failed("PullRequest", "base", "invalid", "")
	case len(r.repo.between(base, head)) == 0:
		return answer{}, failed("PullRequest", "", "custom", "No commits between "+in.Base+" and "+in.Head)
	}
	for _, t := range r.repo.threads {
		if t.pull != nil && t.state == "open" && t.pull.branch == key && t.pull.base == in.Base {
			return answer{}, failed("PullRequest", "", "custom", "A pull request already exists for "+owner+":"+branch+".")
		}
	}
	return answer{http.StatusCreated, r.pullDoc(r.openPull(r.login, in.Title, in.Body, key, in.Base))}, nil
}

func (r *request) updatePull() (answer, error) {
	t, err := r.pullOf()
	if err != nil {
		return answer{}, err
	}
	var in struct{ Title, Body, State, Base *string }
	if err := r.into(&in); err != nil {
		return answer{}, err
	}
	switch {
	case in.Title != nil && *in.Title == "":
		return answer{}, failed("PullRequest", "title", "missing_field", "")
	case in.Body != nil && tooLong(*in.Body):
		return answer{}, failed("PullRequest", "body", "custom", "body is too long (maximum is 65536 characters)")
	case in.State != nil && *in.State != "open" && *in.State != "closed":
		return answer{}, failed("PullRequest", "state", "invalid", "")
	case in.State != nil && *in.State == "open" && !t.pull.merged.IsZero():
		return answer{}, failed("PullRequest", "state", "invalid", "state cannot be changed. The pull request is merged.")
	case in.State != nil && *in.State == "open" && t.state == "closed" && r.repo.branches[t.pull.branch] == "":
		return answer{}, failed("PullRequest", "state", "invalid", "state cannot be changed. The "+t.pull.branch+" branch was deleted.")
	case in.Base != nil && r.repo.branches[*in.Base] == "":
		return answer{}, failed("PullRequest", "base", "invalid", "")
	}
	set(&t.title, in.Title)
	set(&t.body, in.Body)
	set(&t.pull.base, in.Base)
	t.updated = r.now()
	if in.State != nil {
		r.moveState(t, r.login, *in.State, "")
		if *in.State == "open" {
			t.pull.head = r.repo.branches[t.pull.branch]
		}
	}
	return ok(r.pullDoc(t))
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}
