package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	ana     = `{"login":"ana-sec","type":"User"}`
	bot     = `{"login":"rekey[bot]","type":"Bot"}`
	webFlow = `{"login":"web-flow","type":"User"}`
	pull    = `{"number":7,"html_url":"https://github.test/7","title":"T","state":"closed","user":` + ana + `,"merged_at":"2026-11-23T09:00:00Z",` +
		`"merge_commit_sha":"m1","base":{"ref":"main"},"head":{"ref":"rotate","sha":"h1","repo":{"full_name":"li/platform"}}`
	trial = `{"number":8,"state":"open","user":null,"merge_commit_sha":"t1","base":{"ref":"main"},"head":{"ref":"x","sha":"h2","repo":null}}`
	run   = `{"id":30,"html_url":"https://github.test/r","run_number":4,"run_attempt":2,"event":"push","head_branch":"main","head_sha":"s1","status":"completed",` +
		`"conclusion":"success","actor":` + ana + `,"triggering_actor":` + bot + `,"created_at":"2026-11-23T09:00:00Z","run_started_at":"2026-11-23T10:00:00Z"}`
	issue = `{"number":12,"html_url":"https://github.test/12","title":"T","body":"B","state":"open","user":` + ana + `,"labels":[{"name":"SEV2"}],` +
		`"assignees":[` + ana + `],"created_at":"2026-11-23T09:00:00Z"}`
	remark = `{"id":5,"html_url":"https://github.test/c","user":` + bot + `,"body":"B","created_at":"2026-11-23T09:00:00Z","updated_at":"2026-11-23T10:00:00Z"}`
)

var (
	nine  = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	ten   = nine.Add(time.Hour)
	aPull = Pull{Number: 7, URL: "https://github.test/7", Title: "T", State: "closed", Author: User{Login: "ana-sec"}, Merged: true, MergedAt: nine,
		Base: "main", Head: "h1", HeadRepo: "li/platform", Merge: "m1", Branch: "rotate"}
	aTrial = Pull{Number: 8, State: "open", Base: "main", Head: "h2", Branch: "x"}
	aRun   = Run{ID: 30, URL: "https://github.test/r", Number: 4, Attempt: 2, Event: "push", Branch: "main", SHA: "s1", Status: "completed", Conclusion: "success",
		Actor: User{Login: "ana-sec"}, Trigger: User{"rekey[bot]", true}, CreatedAt: nine, StartedAt: ten}
	anIssue = Issue{Number: 12, URL: "https://github.test/12", Title: "T", Body: "B", State: "open", Author: User{Login: "ana-sec"},
		Labels: []string{"SEV2"}, Assignees: []string{"ana-sec"}, CreatedAt: nine}
	aComment = Comment{5, "https://github.test/c", User{"rekey[bot]", true}, "B", nine, ten}
	someText = "text"
)

// Each call asks GitHub for what it should and says in our words what GitHub said.
var calls = []struct {
	name  string
	do    func(context.Context, *Client) (any, error)
	reply []string // one for each request, 200
	asked []string // method, path and body
	want  any
}{
	{"Pull", func(ctx context.Context, c *Client) (any, error) { return c.Pull(ctx, 7) },
		[]string{pull + `,"merged":true,"merged_by":` + ana + `}`}, []string{"GET /pulls/7"},
		func() Pull { p := aPull; p.MergedBy = User{Login: "ana-sec"}; return p }()},
	{"PullsOf", func(ctx context.Context, c *Client) (any, error) { return c.PullsOf(ctx, "abc") },
		[]string{"[" + pull + "}," + trial + "]"}, []string{"GET /commits/abc/pulls?per_page=100"}, []Pull{aPull, aTrial}},
	{"PullsFrom", func(ctx context.Context, c *Client) (any, error) { return c.PullsFrom(ctx, "rekey/a", "open") },
		[]string{"[" + trial + "]"}, []string{"GET /pulls?head=rastup%3Arekey%2Fa&per_page=100&state=open"}, []Pull{aTrial}},
	{"CreatePull", func(ctx context.Context, c *Client) (any, error) { return c.CreatePull(ctx, "T", "B<", "x", "main") },
		[]string{trial}, []string{`POST /pulls {"title":"T","head":"x","base":"main","body":"B<"}`}, aTrial},
	{"EditPull", func(ctx context.Context, c *Client) (any, error) { return nil, c.EditPull(ctx, 8, "", "B", "closed") },
		[]string{trial}, []string{`PATCH /pulls/8 {"body":"B","state":"closed"}`}, nil},
	{"FilesOf", func(ctx context.Context, c *Client) (any, error) { return c.FilesOf(ctx, 7) },
		[]string{`[{"filename":"rotations/a b.yaml","status":"added","sha":"b1","patch":"@@"}]`}, []string{"GET /pulls/7/files?per_page=100"},
		[]File{{"rotations/a b.yaml", "added", "b1"}}},
	{"Reviews", func(ctx context.Context, c *Client) (any, error) { return c.Reviews(ctx, 7) },
		[]string{`[{"user":` + ana + `,"state":"APPROVED","commit_id":"h1","submitted_at":"2026-11-23T09:00:00Z"},{"user":null,"state":"PENDING"}]`},
		[]string{"GET /pulls/7/reviews?per_page=100"}, []Review{{User{Login: "ana-sec"}, "APPROVED", "h1", nine}, {State: "PENDING"}}},
	{"CommitsIn", func(ctx context.Context, c *Client) (any, error) { return c.CommitsIn(ctx, 7) },
		[]string{`[{"sha":"s1","author":` + ana + `,"committer":` + webFlow + `},{"sha":"s2","author":null,"committer":null}]`},
		[]string{"GET /pulls/7/commits?per_page=100"}, []Commit{{"s1", User{Login: "ana-sec"}, User{"web-flow", true}, time.Time{}}, {SHA: "s2"}}},
	{"CommitsOf", func(ctx context.Context, c *Client) (any, error) { return c.CommitsOf(ctx, "a/b&c.yaml", "main") },
		[]string{`[{"sha":"s1","author":` + ana + `,"committer":` + bot + `}]`}, []string{"GET /commits?path=a%2Fb%26c.yaml&per_page=100&sha=main"},
		[]Commit{{"s1", User{Login: "ana-sec"}, User{"rekey[bot]", true}, time.Time{}}}},
	{"Permission", func(ctx context.Context, c *Client) (any, error) { return c.Permission(ctx, "rekey[bot]") },
		[]string{`{"permission":"write","role_name":"maintain"}`}, []string{"GET /collaborators/rekey%5Bbot%5D/permission"}, "write"},
	{"DefaultBranch", func(ctx context.Context, c *Client) (any, error) {
		_, _ = c.DefaultBranch(ctx)
		return c.DefaultBranch(ctx)
	},
		[]string{`{"default_branch":"trunk"}`}, []string{"GET "}, "trunk"},
	{"Run", func(ctx context.Context, c *Client) (any, error) { return c.Run(ctx, 30) },
		[]string{run}, []string{"GET /actions/runs/30"}, aRun},
	{"Runs", func(ctx context.Context, c *Client) (any, error) {
		return c.Runs(ctx, "rotate.yml", "waiting", nine.In(time.FixedZone("", 3600)))
	},
		[]string{`{"default_branch":"main"}`, `{"total_count":1,"workflow_runs":[` + run + `,` + run + `]}`},
		[]string{"GET ", "GET /actions/workflows/rotate.yml/runs?branch=main&created=%3E%3D2026-11-23T09%3A00%3A00Z&per_page=100&status=waiting"}, []Run{aRun}},
	{"Runs, all", func(ctx context.Context, c *Client) (any, error) { return c.Runs(ctx, "rotate.yml", "", time.Time{}) },
		[]string{`{"default_branch":"main"}`, `{"total_count":0,"workflow_runs":[]}`}, []string{"GET ", "GET /actions/workflows/rotate.yml/runs?branch=main&per_page=100"}, []Run(nil)},
	{"Dispatched", func(ctx context.Context, c *Client) (any, error) { return c.Dispatched(ctx, "deploy.yml", nine) },
		[]string{`{"total_count":1,"workflow_runs":[` + run[:len(run)-1] + `,"display_title":"deploy rekey-1"}]}`},
		[]string{"GET /actions/workflows/deploy.yml/runs?created=%3E%3D2026-11-23T09%3A00%3A00Z&event=workflow_dispatch&per_page=100"},
		func() []Run { r := aRun; r.Title = "deploy rekey-1"; return []Run{r} }()},
	{"Workflow", func(ctx context.Context, c *Client) (any, error) { return c.Workflow(ctx, "deploy.yml") },
		[]string{`{"id":7,"path":".github/workflows/deploy.yml","state":"active"}`}, []string{"GET /actions/workflows/deploy.yml"},
		Workflow{".github/workflows/deploy.yml", "active"}},
	{"Dispatch", func(ctx context.Context, c *Client) (any, error) {
		return nil, c.Dispatch(ctx, "deploy.yml", "main", map[string]string{"rekey": "k", "version": "v"})
	}, []string{""}, []string{`POST /actions/workflows/deploy.yml/dispatches {"ref":"main","inputs":{"rekey":"k","version":"v"}}`}, nil},
	{"Dispatch, that answers with the run", func(ctx context.Context, c *Client) (any, error) {
		return nil, c.Dispatch(ctx, "deploy.yml", "main", nil)
	}, []string{`{"workflow_run_id":1,"run_url":"u","html_url":"h"}`}, []string{`POST /actions/workflows/deploy.yml/dispatches {"ref":"main"}`}, nil},
	{"Jobs", func(ctx context.Context, c *Client) (any, error) { return c.Jobs(ctx, 30) },
		[]string{`{"jobs":[{"id":3,"name":"prod 1/2","status":"waiting","conclusion":null,"created_at":"2026-11-23T09:00:00Z","started_at":"2026-11-23T10:00:00Z","completed_at":null}]}`},
		[]string{"GET /actions/runs/30/jobs?filter=latest&per_page=100"}, []Job{{ID: 3, Name: "prod 1/2", Status: "waiting", CreatedAt: nine, StartedAt: ten}}},
	{"Approvals", func(ctx context.Context, c *Client) (any, error) { return c.Approvals(ctx, 30) },
		[]string{`[{"state":"approved","comment":"go","user":` + ana + `,"environments":[{"id":1,"name":"rekey-prod"}]}]`},
		[]string{"GET /actions/runs/30/approvals?per_page=100"}, []Approval{{"approved", User{Login: "ana-sec"}, "go", []string{"rekey-prod"}}}},
	{"Comments", func(ctx context.Context, c *Client) (any, error) { return c.Comments(ctx, 12) },
		[]string{"[" + remark + "]"}, []string{"GET /issues/12/comments?per_page=100"}, []Comment{aComment}},
	{"CreateComment", func(ctx context.Context, c *Client) (any, error) { return c.CreateComment(ctx, 12, "B <&>") },
		[]string{remark}, []string{`POST /issues/12/comments {"body":"B <&>"}`}, aComment},
	{"EditComment", func(ctx context.Context, c *Client) (any, error) { return nil, c.EditComment(ctx, 5, "B") },
		[]string{remark}, []string{`PATCH /issues/comments/5 {"body":"B"}`}, nil},
	{"DeleteComment", func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteComment(ctx, 5) },
		[]string{""}, []string{"DELETE /issues/comments/5"}, nil},
	{"Issue", func(ctx context.Context, c *Client) (any, error) { return c.Issue(ctx, 12) },
		[]string{issue}, []string{"GET /issues/12"}, anIssue},
	{"Issues", func(ctx context.Context, c *Client) (any, error) { return c.Issues(ctx, "rekey incident", "open") },
		[]string{`[` + issue + `,{"number":13,"pull_request":{"url":"u"}}]`}, []string{"GET /issues?labels=rekey+incident&per_page=100&state=open"}, []Issue{anIssue}},
	{"CreateIssue", func(ctx context.Context, c *Client) (any, error) {
		return c.CreateIssue(ctx, "T", "B", []string{"SEV2"}, []string{"ana-sec"})
	},
		[]string{issue}, []string{`POST /issues {"title":"T","body":"B","labels":["SEV2"],"assignees":["ana-sec"]}`}, anIssue},
	{"IssueEvents", func(ctx context.Context, c *Client) (any, error) { return c.IssueEvents(ctx, 12) },
		[]string{`[{"event":"labeled","actor":` + bot + `,"created_at":"2026-11-23T09:00:00Z"},{"event":"assigned","actor":` + ana + `,"assignee":` + ana + `,"assigner":` + bot + `,"created_at":"2026-11-23T10:00:00Z"},` +
			`{"event":"closed","actor":null}]`},
		[]string{"GET /issues/12/events?per_page=100"},
		[]IssueEvent{{"labeled", User{"rekey[bot]", true}, nine}, {"assigned", User{"rekey[bot]", true}, ten}, {Kind: "closed"}}},
	{"AddAssignees", func(ctx context.Context, c *Client) (any, error) {
		return c.AddAssignees(ctx, 12, []string{"ana-sec", "li"})
	},
		[]string{issue}, []string{`POST /issues/12/assignees {"assignees":["ana-sec","li"]}`}, []string{"ana-sec"}},
	{"EditIssue", func(ctx context.Context, c *Client) (any, error) {
		closed, why := "closed", "completed"
		return nil, c.EditIssue(ctx, 12, IssueChange{Body: &someText, State: &closed, Reason: &why, Labels: &[]string{}})
	}, []string{issue}, []string{`PATCH /issues/12 {"body":"text","state":"closed","state_reason":"completed","labels":[]}`}, nil},
	{"Content", func(ctx context.Context, c *Client) (any, error) { return c.Content(ctx, "ops/a b#.md", "s1") },
		[]string{`{"type":"file","encoding":"base64","content":"aGVs\nbG8=\n","sha":"b1"}`}, []string{"GET /contents/ops/a%20b%23.md?ref=s1"}, Content{[]byte("hello"), "b1"}},
	{"PutFile", func(ctx context.Context, c *Client) (any, error) {
		return nil, c.PutFile(ctx, "x", "ops/a.md", "M", []byte("hello"), "b1")
	}, []string{"{}"}, []string{`PUT /contents/ops/a.md {"message":"M","content":"aGVsbG8=","sha":"b1","branch":"x"}`}, nil},
	{"PutFile, new and empty", func(ctx context.Context, c *Client) (any, error) { return nil, c.PutFile(ctx, "x", "a", "M", nil, "") },
		[]string{"{}"}, []string{`PUT /contents/a {"message":"M","content":"","branch":"x"}`}, nil},
	{"Branch", func(ctx context.Context, c *Client) (any, error) {
		sha, ok, err := c.Branch(ctx, "rekey/a")
		return fmt.Sprint(sha, ok), err
	}, []string{`{"ref":"refs/heads/rekey/a","object":{"sha":"s1"}}`}, []string{"GET /git/ref/heads/rekey/a"}, "s1true"},
	{"CreateBranch", func(ctx context.Context, c *Client) (any, error) { return nil, c.CreateBranch(ctx, "rekey/a", "s1") },
		[]string{"{}"}, []string{`POST /git/refs {"ref":"refs/heads/rekey/a","sha":"s1"}`}, nil},
	{"MoveBranch", func(ctx context.Context, c *Client) (any, error) { return nil, c.MoveBranch(ctx, "rekey/a", "s2") },
		[]string{"{}"}, []string{`PATCH /git/refs/heads/rekey/a {"force":true,"sha":"s2"}`}, nil},
	{"Environment", func(ctx context.Context, c *Client) (any, error) {
		e, ok, err := c.Environment(ctx, "rekey/prod")
		return []any{e, ok}, err
	}, []string{`{"name":"rekey/prod","can_admins_bypass":false,"protection_rules":[{"type":"wait_timer","wait_timer":30},{"type":"required_reviewers",` +
		`"prevent_self_review":true,"reviewers":[{"type":"User","reviewer":{"login":"ana-sec"}},{"type":"Team","reviewer":{"slug":"sre"}}]},{"type":"branch_policy"}],` +
		`"deployment_branch_policy":{"protected_branches":false,"custom_branch_policies":true}}`, `{"total_count":2,"branch_policies":[{"name":"main"},{"name":"v*","type":"tag"}]}`},
		[]string{"GET /environments/rekey%2Fprod", "GET /environments/rekey%2Fprod/deployment-branch-policies?per_page=100"},
		[]any{Environment{Name: "rekey/prod", Reviewers: 2, Users: []string{"ana-sec"}, PreventSelf: true, WaitMinutes: 30, Branches: []string{"main", "refs/tags/v*"}, Restricted: true}, true}},
	{"Environment, open", func(ctx context.Context, c *Client) (any, error) {
		e, ok, err := c.Environment(ctx, "dev")
		return []any{e, ok}, err
	}, []string{`{"name":"dev","can_admins_bypass":true,"protection_rules":[],"deployment_branch_policy":null}`}, []string{"GET /environments/dev"},
		[]any{Environment{Name: "dev", AdminsBypass: true}, true}},
	{"Environment, protected branches", func(ctx context.Context, c *Client) (any, error) {
		e, ok, err := c.Environment(ctx, "dev")
		return []any{e, ok}, err
	}, []string{`{"name":"dev","deployment_branch_policy":{"protected_branches":true,"custom_branch_policies":false}}`}, []string{"GET /environments/dev"},
		[]any{Environment{Name: "dev", AdminsBypass: true, ProtectedOnly: true, Restricted: true}, true}},
}

func TestEveryCall(t *testing.T) {
	for _, tt := range calls {
		t.Run(tt.name, func(t *testing.T) {
			var script []reply
			for _, r := range tt.reply {
				script = append(script, answer(http.StatusOK, r))
			}
			k := newClock()
			s := serve(t, k, script...)
			got, err := tt.do(t.Context(), client(t, s, k, nil))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var asked []string
			for i, line := range s.calls() {
				line = strings.Replace(line, "/repos/rastup/platform", "", 1)
				if body := strings.TrimSpace(s.bodies()[i]); body != "" {
					line += " " + body
				}
				asked = append(asked, line)
			}
			if diff := cmp.Diff(tt.asked, asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNotThere(t *testing.T) {
	k := newClock()
	c := client(t, serve(t, k, answer(404, `{"message":"Not Found"}`)), k, nil)
	if _, ok, err := c.Environment(t.Context(), "gone"); ok || err != nil {
		t.Errorf("environment: %v %v", ok, err)
	}
	if _, ok, err := c.Environment(t.Context(), ""); ok || err != nil {
		t.Errorf("environment without a name: %v %v", ok, err)
	}
	if _, ok, err := c.Branch(t.Context(), "gone"); ok || err != nil {
		t.Errorf("branch: %v %v", ok, err)
	}
	if err := c.DeleteComment(t.Context(), 1); err != nil {
		t.Errorf("comment: %v", err)
	}
	if may, err := c.Permission(t.Context(), "ghost"); may != "none" || err != nil {
		t.Errorf("permission: %q %v", may, err)
	}
	if may, err := c.Permission(t.Context(), ""); may != "none" || err != nil {
		t.Errorf("nobody's permission: %q %v", may, err)
	}
	if _, err := c.Pull(t.Context(), 1); kind(err) != "refused" {
		t.Errorf("pull request: %v", err)
	}
}

func TestWhatIsNotAFile(t *testing.T) {
	for name, body := range map[string]string{
		"directory": `[{"type":"file"}]`, "submodule": `{"type":"submodule"}`, "symlink": `{"type":"symlink","encoding":"base64","content":""}`,
		"too long": `{"type":"file","encoding":"none","content":""}`,
	} {
		k := newClock()
		if _, err := client(t, serve(t, k, answer(200, body)), k, nil).Content(t.Context(), "a", "main"); kind(err) != "refused" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The link to the next page has a number, a cursor, or a comma in it.
func TestAllPagesAreRead(t *testing.T) {
	for _, next := range []string{"page=2", "after=Y3Vyc29y%3D&per_page=100", "labels=a,b&page=2"} {
		k := newClock()
		s := serve(t, k,
			answer(200, "["+remark+"]", "Link", `<https://api.github.com/repositories/9/issues/1/comments?x=1>; rel="last", <https://api.github.com/repositories/9/y?`+next+`>; rel="next"`),
			answer(200, "["+remark+"]", "Link", `<https://api.github.com/repositories/9/y?page=1>; rel="first"`))
		list, err := client(t, s, k, nil).Comments(t.Context(), 1)
		if err != nil || len(list) != 2 || len(s.calls()) != 2 {
			t.Errorf("%s: %d entries in %q, %v", next, len(list), s.calls(), err)
			continue
		}
		if want := strings.ReplaceAll(next, ",", "%2C"); s.calls()[1] != "GET /repos/rastup/platform/issues/1/comments?"+want {
			t.Errorf("asked %q for %q", s.calls()[1], next)
		}
	}
	k := newClock()
	s := serve(t, k, answer(200, "[]", "Link", `<https://api.github.com/x?page=2>; rel="next"`))
	if _, err := client(t, s, k, nil).Comments(t.Context(), 1); err == nil || len(s.calls()) != mostPages {
		t.Errorf("a list without end: %v after %d pages", err, len(s.calls()))
	}
}

// GitHub lists a thousand runs of a question: what is older is asked for anew.
func TestRunsBeyondAThousandAreRead(t *testing.T) {
	const all = 2345
	at := func(id int) time.Time { return nine.Add(time.Duration(id) * time.Minute) }
	k := newClock()
	s := serve(t, k, func(w http.ResponseWriter, r *http.Request) {
		var from time.Time
		to, page := at(all), 1
		created := r.URL.Query().Get("created")
		if a, b, ok := strings.Cut(created, ".."); ok {
			from, _ = time.Parse(time.RFC3339, a)
			to, _ = time.Parse(time.RFC3339, b)
		} else {
			from, _ = time.Parse(time.RFC3339, strings.TrimPrefix(created, ">="))
		}
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		var list []string
		skip := (page - 1) * 100
		for id := all - 1; id >= 0 && len(list) < 100; id-- {
			if t := at(id); t.Before(from) || t.After(to) {
				continue
			} else if skip--; skip < 0 {
				list = append(list, fmt.Sprintf(`{"id":%d,"created_at":%q}`, id, t.Format(time.RFC3339)))
			}
		}
		if len(list) == 100 && page < 10 {
			q := r.URL.Query()
			q.Set("page", fmt.Sprint(page+1))
			w.Header().Set("Link", `<https://api.github.com/x?`+q.Encode()+`>; rel="next"`)
		}
		if !strings.HasSuffix(r.URL.Path, "/runs") {
			answer(200, `{"default_branch":"main"}`)(w, r)
			return
		}
		if r.URL.Query().Get("branch") != "main" {
			t.Errorf("runs of other branches: %s", r.URL)
		}
		answer(200, `{"workflow_runs":[`+strings.Join(list, ",")+`]}`)(w, r)
	})
	runs, err := client(t, s, k, nil).Runs(t.Context(), "rotate.yml", "", at(45))
	if err != nil || len(runs) != all-45 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for i, r := range runs {
		if r.ID != int64(all-1-i) {
			t.Fatalf("run %d is number %d of the list", r.ID, i)
		}
	}
}
