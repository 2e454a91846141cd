package github

import (
	"net/url"
	"strings"
)

// A route is one operation of the API, by the API reference's name. needs are permissions, of which one suffices;
// query are the
// parameters it takes besides pages.
type route struct {
	method, pattern, needs, query string
	do                            func(*request) (answer, error)
}

type matched struct {
	route
	args map[string]string
}

const (
	pages     = " per_page page" // all lists take them, and GitHub ignores them elsewhere
	pullRead  = "pull_requests:read"
	talkRead  = "issues:read pull_requests:read"
	talkWrite = "issues:write pull_requests:write"
)

// routes are all that is served. Their permissions are those the API reference names for GitHub Apps.
var routes = []route{
	{"GET", "", "metadata:read", "", (*request).getRepository},
	{"GET", "/commits", "contents:read", "sha path since until author", (*request).listCommits},
	{"GET", "/commits/{commit_sha}/pulls", pullRead, "", (*request).pullsOfCommit},
	{"GET", "/commits/{ref...}", "contents:read", "", (*request).getCommit},
	{"GET", "/collaborators/{username}/permission", "metadata:read", "", (*request).getPermission},
	{"GET", "/contents/{path...}", "contents:read", "ref", (*request).getContents},
	{"PUT", "/contents/{path...}", "contents:write", "", (*request).putContents},
	{"GET", "/git/ref/{ref...}", "contents:read", "", (*request).getRef},
	{"POST", "/git/refs", "contents:write", "", (*request).createRef},
	{"PATCH", "/git/refs/{ref...}", "contents:write", "", (*request).updateRef},
	{"GET", "/pulls", pullRead, "state head base sort direction", (*request).listPulls},
	{"POST", "/pulls", "pull_requests:write", "", (*request).createPull},
	{"GET", "/pulls/{pull_number}", pullRead, "", (*request).getPull},
	{"PATCH", "/pulls/{pull_number}", "pull_requests:write", "", (*request).updatePull},
	{"GET", "/pulls/{pull_number}/files", pullRead, "", (*request).listPullFiles},
	{"GET", "/pulls/{pull_number}/reviews", pullRead, "", (*request).listReviews},
	{"GET", "/pulls/{pull_number}/commits", pullRead, "", (*request).listPullCommits},
	{"GET", "/issues", "issues:read", "state labels creator assignee since sort direction", (*request).listIssues},
	{"POST", "/issues", "issues:write", "", (*request).createIssue},
	{"GET", "/issues/comments/{comment_id}", talkRead, "", (*request).getComment},
	{"PATCH", "/issues/comments/{comment_id}", talkWrite, "", (*request).updateComment},
	{"DELETE", "/issues/comments/{comment_id}", talkWrite, "", (*request).deleteComment},
	{"GET", "/issues/{issue_number}", talkRead, "", (*request).getIssue},
	{"PATCH", "/issues/{issue_number}", talkWrite, "", (*request).updateIssue},
	{"GET", "/issues/{issue_number}/comments", talkRead, "since", (*request).listComments},
	{"POST", "/issues/{issue_number}/comments", talkWrite, "", (*request).createComment},
	{"GET", "/issues/{issue_number}/events", talkRead, "", (*request).listEvents},
	{"POST", "/issues/{issue_number}/assignees", talkWrite, "", (*request).addAssignees},
	{"GET", "/actions/workflows/{workflow_id}/runs", "actions:read", "actor branch event status created head_sha", (*request).listWorkflowRuns},
	{"GET", "/actions/workflows/{workflow_id}", "actions:read", "", (*request).getWorkflow},
	{"POST", "/actions/workflows/{workflow_id}/dispatches", "actions:write", "", (*request).dispatch},
	{"GET", "/actions/runs", "actions:read", "actor branch event status created head_sha", (*request).listRuns},
	{"GET", "/actions/runs/{run_id}", "actions:read", "", (*request).getRun},
	{"GET", "/actions/runs/{run_id}/jobs", "actions:read", "filter", (*request).listJobs},
	{"GET", "/actions/runs/{run_id}/approvals", "actions:read", "", (*request).listApprovals},
	{"GET", "/actions/runs/{run_id}/pending_deployments", "actions:read", "", (*request).listPending},
	{"POST", "/actions/runs/{run_id}/pending_deployments", "deployments:write", "", (*request).reviewPending},
	{"POST", "/actions/runs/{run_id}/cancel", "actions:write", "", (*request).cancelRun},
	{"GET", "/environments", "actions:read", "", (*request).listEnvironments},
	{"GET", "/environments/{environment_name}", "actions:read", "", (*request).getEnvironment},
	{"GET", "/environments/{environment_name}/deployment-branch-policies", "actions:read", "", (*request).listBranchPolicies},
}

const inRepository = "/repos/{owner}/{repo}"

// match finds the route of an escaped path; the first one wins. nil where there is none.
func match(method, escaped string) *matched {
	path := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for i, segment := range path {
		text, err := url.PathUnescape(segment)
		if err != nil {
			return nil
		}
		path[i] = text
	}
	for _, r := range routes {
		r.pattern = inRepository + r.pattern
		if args, ok := fits(strings.Split(r.pattern[1:], "/"), path); ok && r.method == method {
			r.pattern = strings.ReplaceAll(r.pattern, "...", "")
			return &matched{r, args}
		}
	}
	return nil
}

func fits(pattern, path []string) (map[string]string, bool) {
	args := map[string]string{}
	for i, p := range pattern {
		if i >= len(path) {
			return nil, false
		}
		name, isArg := strings.CutPrefix(p, "{")
		name = strings.TrimSuffix(name, "}")
		if rest, many := strings.CutSuffix(name, "..."); many {
			args[rest] = strings.Join(path[i:], "/")
			return args, args[rest] != ""
		}
		switch {
		case isArg && path[i] != "":
			args[name] = path[i]
		case isArg || p != path[i]:
			return nil, false
		}
	}
	return args, len(pattern) == len(path)
}
