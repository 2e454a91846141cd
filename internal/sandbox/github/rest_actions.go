package github

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (r *request) runDoc(n *run) doc {
	at, page := r.api("/actions/runs/"+itoa(n.id)), r.html("/actions/runs/"+itoa(n.id))
	pulls := []doc{}
	for _, t := range r.repo.threads {
		if p := t.pull; p != nil && !p.fork && n.event == "pull_request" && t.state == "open" && p.head == n.sha {
			repo := doc{"id": r.repo.id, "url": r.api(""), "name": r.repo.name}
			pulls = append(pulls, doc{
				"id": t.id, "number": t.number, "url": r.api("/pulls/" + itoa(t.number)), "head": doc{"ref": p.branch, "sha": p.head, "repo": repo},
				"base": doc{"ref": p.base, "sha": r.baseOf(p), "repo": repo},
			})
		}
	}
	var head any
	title := n.title()
	if c := r.repo.commits[n.sha]; c != nil {
		who := func(login string) doc { return doc{"name": login, "email": address(login)} }
		head = doc{"id": c.sha, "tree_id": c.tree, "message": c.message, "timestamp": stamp(c.at), "author": who(c.author), "committer": who(c.committer)}
		if n.event == "push" {
			title, _, _ = strings.Cut(c.message, "\n")
		}
	}
	if n.name != "" {
		title = n.name
	}
	var previous any
	if n.attempt > 1 {
		previous = at + "/attempts/" + itoa(n.attempt-1)
	}
	workflow := r.api("/actions/workflows/" + itoa(n.workflowID))
	return doc{
		"id": n.id, "node_id": node("WorkflowRun", n.id), "name": n.title(), "head_branch": text(n.branch), "head_sha": n.sha, "path": ".github/workflows/" + n.workflow,
		"display_title": title, "run_number": n.number, "run_attempt": n.attempt, "event": n.event, "status": n.status, "conclusion": text(n.conclusion),
		"workflow_id": n.workflowID, "check_suite_id": n.id, "check_suite_node_id": node("CheckSuite", n.id), "url": at, "html_url": page, "pull_requests": pulls,
		"created_at": stamp(n.made), "updated_at": stamp(n.updated), "run_started_at": stamp(n.started), "actor": r.ghost(n.actor), "triggering_actor": r.ghost(n.trigger),
		"jobs_url": at + "/jobs", "logs_url": at + "/logs", "check_suite_url": r.api("/check-suites/" + itoa(n.id)), "artifacts_url": at + "/artifacts", "cancel_url": at + "/cancel",
		"rerun_url": at + "/rerun", "previous_attempt_url": previous, "workflow_url": workflow, "head_commit": head, "referenced_workflows": []any{},
		"repository": r.repository(r.repo.owner), "head_repository": r.repository(r.repo.owner), "head_repository_id": r.repo.id,
	}
}

func (r *request) jobDoc(n *run, j *job) doc {
	at := r.api("/actions/jobs/" + itoa(j.id))
	d := doc{
		"id": j.id, "run_id": n.id, "run_url": r.api("/actions/runs/" + itoa(n.id)), "run_attempt": j.attempt, "node_id": node("CheckRun", j.id), "head_sha": n.sha,
		"head_branch": text(n.branch), "url": at, "html_url": r.html("/actions/runs/" + itoa(n.id) + "/job/" + itoa(j.id)), "status": j.status, "conclusion": text(j.conclusion),
		"created_at": stamp(j.made), "started_at": stamp(j.started), "completed_at": stamp(j.done), "name": j.name, "check_run_url": r.api("/check-runs/" + itoa(j.id)),
		"labels": []string{"ubuntu-latest"}, "runner_id": nil, "runner_name": nil, "runner_group_id": nil, "runner_group_name": nil, "workflow_name": n.title(), "steps": []any{},
	}
	if j.status == "in_progress" || j.status == "completed" && j.conclusion != "skipped" {
		d["runner_id"], d["runner_name"], d["runner_group_id"], d["runner_group_name"] = 1, "GitHub Actions 1", 0, "GitHub Actions"
	}
	return d
}

// madeIn reads the parameter created: >=T, >T, <=T, <T, T..T (either may be *), or T; T is a time or a date.
func madeIn(text string) (func(time.Time) bool, error) {
	point := func(s string) (t time.Time, day bool, err error) {
		if t, err = time.Parse(time.RFC3339, s); err != nil {
			t, err = time.Parse(time.DateOnly, s)
			day = true
		}
		return t, day, err
	}
	if from, to, isRange := strings.Cut(text, ".."); isRange {
		after, before := func(time.Time) bool { return true }, func(time.Time) bool { return true }
		var err error
		if from != "*" {
			after, err = madeIn(">=" + from)
		}
		if to != "*" && err == nil {
			before, err = madeIn("<=" + to)
		}
		return func(t time.Time) bool { return after(t) && before(t) }, err
	}
	op := strings.TrimRight(text[:min(2, len(text))], "0123456789")
	t, day, err := point(strings.TrimPrefix(text, op))
	if err != nil {
		return nil, invalid("Validation Failed")
	}
	end := t // the last moment that is still meant
	if day {
		end = t.Add(24*time.Hour - time.Second)
	}
	switch op {
	case ">=":
		return func(x time.Time) bool { return !x.Before(t) }, nil
	case ">":
		return func(x time.Time) bool { return x.After(end) }, nil
	case "<=":
		return func(x time.Time) bool { return !x.After(end) }, nil
	case "<":
		return func(x time.Time) bool { return x.Before(t) }, nil
	case "":
		return func(x time.Time) bool { return !x.Before(t) && !x.After(end) }, nil
	}
	return nil, invalid("Validation Failed")
}

func (r *request) listWorkflowRuns() (answer, error) {
	name := r.args["workflow_id"]
	if !r.hasWorkflow(name) {
		return answer{}, notFound()
	}
	return r.runsThat(func(n *run) bool { return n.workflow == name || itoa(n.workflowID) == name })
}

func (r *request) listRuns() (answer, error) { return r.runsThat(func(*run) bool { return true }) }

func (r *request) runsThat(keep func(*run) bool) (answer, error) {
	made := func(time.Time) bool { return true }
	if text := r.query.Get("created"); text != "" {
		var err error
		if made, err = madeIn(text); err != nil {
			return answer{}, err
		}
	}
	is := func(name string, values ...string) bool {
		want := r.query.Get(name)
		return want == "" || slices.Contains(values, want)
	}
	var found []*run
	for _, n := range r.repo.runs {
		if keep(n) && made(n.made) && !r.now().Before(n.made.Add(r.lag)) && is("status", n.status, n.conclusion) && is("event", n.event) && is("branch", n.branch) && is("actor", n.actor) && is("head_sha", n.sha) {
			found = append(found, n)
		}
	}
	slices.SortFunc(found, func(a, b *run) int { return int(b.id - a.id) })
	l := []doc{}
	for _, n := range page(r, found[:min(len(found), 1000)]) {
		l = append(l, r.runDoc(n))
	}
	return ok(doc{"total_count": len(found), "workflow_runs": l})
}

func (r *request) runOf() (*run, error) {
	if n := r.repo.runs[r.number("run_id")]; n != nil {
		return n, nil
	}
	return nil, notFound()
}

func (r *request) getRun() (answer, error) {
	n, err := r.runOf()
	if err != nil {
		return answer{}, err
	}
	return ok(r.runDoc(n))
}

func (r *request) listJobs() (answer, error) {
	n, err := r.runOf()
	if err != nil {
		return answer{}, err
	}
	var found []*job
	for _, j := range n.jobs {
		if j.attempt == n.attempt || r.query.Get("filter") == "all" {
			found = append(found, j)
		}
	}
	l := []doc{}
	for _, j := range page(r, found) {
		l = append(l, r.jobDoc(n, j))
	}
	return ok(doc{"total_count": len(found), "jobs": l})
}

func (r *request) listApprovals() (answer, error) {
	n, err := r.runOf()
	if err != nil {
		return answer{}, err
	}
	l := []doc{}
	for _, a := range n.approvals {
		environments := []doc{}
		if e := r.repo.environment(a.Environment); e != nil {
			d := r.environmentDoc(e)
			delete(d, "protection_rules")
			delete(d, "deployment_branch_policy")
			delete(d, "can_admins_bypass")
			environments = append(environments, d)
		}
		l = append(l, doc{"environments": environments, "state": a.State, "user": r.ghost(a.User), "comment": a.Comment})
	}
	return ok(l)
}

func (r *request) reviewerDocs(e *environment) []doc {
	l := []doc{}
	for _, login := range e.Reviewers {
		l = append(l, doc{"type": "User", "reviewer": r.ghost(login)})
	}
	return l
}

func (r *request) listPending() (answer, error) {
	n, err := r.runOf()
	if err != nil {
		return answer{}, err
	}
	l := []doc{}
	for _, name := range slices.Sorted(maps.Keys(n.waits)) {
		e := r.repo.environment(name)
		d := r.environmentDoc(e)
		l = append(l, doc{
			"environment": doc{"id": e.id, "node_id": d["node_id"], "name": name, "url": d["url"], "html_url": d["html_url"]}, "wait_timer": e.WaitMinutes,
			"wait_timer_started_at": stamp(n.waits[name]), "current_user_can_approve": r.mayReview(n, name, r.login), "reviewers": r.reviewerDocs(e),
		})
	}
	return ok(l)
}

// reviewPending is a reviewer's answer. How GitHub words its refusal of somebody who is no reviewer isn't documented.
func (r *request) reviewPending() (answer, error) {
	n, err := r.runOf()
	if err != nil {
		return answer{}, err
	}
	var in struct {
		EnvironmentIDs []int64 `json:"environment_ids"`
		State, Comment string
	}
	if err := r.into(&in); err != nil {
		return answer{}, err
	}
	if in.State != "approved" && in.State != "rejected" {
		return answer{}, invalid("Invalid request.\n\n\"state\" must be approved or rejected.")
	}
	var named []*environment
	for _, id := range in.EnvironmentIDs {
		for _, e := range r.repo.environments {
			if e.id == id && r.mayReview(n, e.Name, r.login) {
				named = append(named, e)
			}
		}
	}
	if len(named) == 0 || len(named) != len(in.EnvironmentIDs) {
		return answer{}, invalid("The user is not a required reviewer of a pending deployment of every given environment.")
	}
	l := []doc{}
	for _, e := range named {
		r.reviewed(n, e.Name, r.login, in.Comment, in.State)
		id := r.next()
		at := r.api("/deployments/" + itoa(id))
		l = append(l, doc{
			"url": at, "id": id, "node_id": node("Deployment", id), "sha": n.sha, "ref": n.branch, "task": "deploy", "payload": doc{}, "environment": e.Name, "description": nil,
			"original_environment": e.Name, "creator": r.ghost(n.actor), "created_at": stamp(n.made), "updated_at": stamp(r.now()), "statuses_url": at + "/statuses",
			"repository_url": r.api(""),
		})
	}
	return ok(l)
}

// cancelRun ends what isn't running; a job that is, the scheduler ends.
func (r *request) cancelRun() (answer, error) {
	n, err := r.runOf()
	if err != nil {
		return answer{}, err
	}
	if n.status == "completed" {
		return answer{}, &Error{Status: http.StatusConflict, Message: "Cannot cancel a workflow run that is completed."}
	}
	n.cancelled, n.updated = true, r.now()
	clear(n.waits)
	busy := false
	for _, j := range n.jobs {
		switch {
		case j.attempt != n.attempt || j.status == "completed":
		case j.status == "in_progress":
			busy = true
		default:
			j.status, j.conclusion, j.done = "completed", "cancelled", r.now()
		}
	}
	if !busy {
		n.status, n.conclusion = "completed", "cancelled"
	}
	return answer{http.StatusAccepted, doc{}}, nil
}

func (r *request) environmentDoc(e *environment) doc {
	at := r.api("/environments/" + escaped(e.Name))
	rules := []doc{}
	rule := func(kind string, more doc) {
		id := e.id*10 + int64(len(rules))
		more["id"], more["node_id"], more["type"] = id, node("Gate", id), kind
		rules = append(rules, more)
	}
	if e.WaitMinutes > 0 {
		rule("wait_timer", doc{"wait_timer": e.WaitMinutes})
	}
	if len(e.Reviewers) > 0 {
		rule("required_reviewers", doc{"prevent_self_review": e.PreventSelf, "reviewers": r.reviewerDocs(e)})
	}
	var policy any
	if e.Protected || len(e.Branches) > 0 {
		policy = doc{"protected_branches": e.Protected, "custom_branch_policies": !e.Protected}
		rule("branch_policy", doc{})
	}
	return doc{
		"id": e.id, "node_id": node("Environment", e.id), "name": e.Name, "url": at, "html_url": r.html("/deployments/activity_log?environments_filter=" + escaped(e.Name)),
		"created_at": stamp(e.made), "updated_at": stamp(e.updated), "can_admins_bypass": e.AdminsBypass, "protection_rules": rules, "deployment_branch_policy": policy,
	}
}

func (r *request) environmentOf() (*environment, error) {
	if e := r.repo.environment(r.args["environment_name"]); e != nil {
		return e, nil
	}
	return nil, notFound()
}

func (r *request) getEnvironment() (answer, error) {
	e, err := r.environmentOf()
	if err != nil {
		return answer{}, err
	}
	return ok(r.environmentDoc(e))
}

func (r *request) listEnvironments() (answer, error) {
	names, l := slices.Sorted(maps.Keys(r.repo.environments)), []doc{}
	for _, name := range page(r, names) {
		l = append(l, r.environmentDoc(r.repo.environments[name]))
	}
	return ok(doc{"total_count": len(names), "environments": l})
}

func (r *request) listBranchPolicies() (answer, error) {
	e, err := r.environmentOf()
	if err != nil {
		return answer{}, err
	}
	patterns := e.Branches
	if e.Protected {
		patterns = nil
	}
	l := []doc{}
	for i, name := range page(r, patterns) {
		id := e.id*100 + int64(i)
		l = append(l, doc{"id": id, "node_id": node("BranchPolicy", id), "name": name, "type": "branch"})
	}
	return ok(doc{"total_count": len(patterns), "branch_policies": l})
}
