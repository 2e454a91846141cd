package github_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/sandbox/github"
)

func runPath(id int64) string { return "/actions/runs/" + jsonOf(id) }

func jsonOf(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func idOf(t *testing.T, text string) int64 {
	t.Helper()
	var d struct{ ID int64 }
	check(t, json.Unmarshal([]byte(text), &d))
	return d.ID
}

// request goes through the description, for operations the client doesn't have.
func (b *bench) request(method, path, token string, body any, want int) string {
	b.t.Helper()
	var text []byte
	if body != nil {
		text = []byte(jsonOf(body))
	}
	r := must(http.NewRequestWithContext(ctx, method, b.url+"/repos/"+repository+path, strings.NewReader(string(text))))(b.t)
	r.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	out := must(http.DefaultClient.Do(r))(b.t)
	defer func() { _ = out.Body.Close() }()
	got := must(io.ReadAll(out.Body))(b.t)
	if out.StatusCode != want {
		b.t.Errorf("%s %s: %d, want %d: %s", method, path, out.StatusCode, want, got)
	}
	return string(got)
}

func TestWhatATokenMayNot(t *testing.T) {
	b := newBench(t)
	n := b.hub.OpenIssue("bo", "issue", "")
	b.hub.Commit("x", "bo", "x", map[string]string{"x": "x"})
	p := b.hub.OpenPull("bo", "pull", "", "x", "main", false)
	id := b.hub.StartRun("rotate.yml", "push", "main", "", "bo")
	for name, permissions := range map[string]map[string]string{"none": {}, "pulls": {"pull-requests": "write"}, "reads": {"issues": "read", "contents": "read", "actions": "read", "pull_requests": "read"}} {
		b.hub.AddToken(name, "github-actions[bot]", permissions)
	}
	at := func(path string) string { return "/repos/" + repository + path }
	say := map[string]string{"body": "words"}
	for what, c := range map[string]struct {
		method, path, token string
		body                any
		status              int
		message             string
	}{
		"no token":                       {"GET", at(""), "", nil, 404, "Not Found"},
		"a wrong token":                  {"GET", at(""), "wrong", nil, 401, "Bad credentials"},
		"metadata":                       {"GET", at(""), "none", nil, 200, ""},
		"another repository":             {"GET", "/repos/rastup/none", "app", nil, 404, "Not Found"},
		"contents":                       {"GET", at("/contents/README.md"), "none", nil, 403, "Resource not accessible by integration"},
		"actions":                        {"GET", at(runPath(id)), "pulls", nil, 403, "Resource not accessible by integration"},
		"cancel":                         {"POST", at(runPath(id) + "/cancel"), "reads", nil, 403, "Resource not accessible by integration"},
		"issue comment with pulls only":  {"POST", at("/issues/" + jsonOf(n) + "/comments"), "pulls", say, 403, "Resource not accessible by integration"},
		"pull's comment with pulls only": {"POST", at("/issues/" + jsonOf(p) + "/comments"), "pulls", say, 201, ""},
		"comment with read only":         {"POST", at("/issues/" + jsonOf(n) + "/comments"), "reads", say, 403, "Resource not accessible by integration"},
		"actions opens a pull request":   {"POST", at("/pulls"), "pulls", map[string]string{"title": "t", "head": "x", "base": "main"}, 403, "GitHub Actions is not permitted to create or approve pull requests."},
		"workflow file":                  {"PUT", at("/contents/.github/workflows/x.yml"), "app2", map[string]string{"message": "m", "content": ""}, 403, "refusing to allow a GitHub App to create or update workflow `.github/workflows/x.yml` without `workflows` permission"},
	} {
		t.Run(what, func(t *testing.T) {
			b.hub.AddToken("app2", "rekey[bot]", map[string]string{"contents": "write"})
			status, _, text := b.raw(c.method, c.path, c.token, c.body)
			if status != c.status || !strings.Contains(text, c.message) {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	if len(b.hub.Unknown()) != 0 {
		t.Errorf("unknown: %v", b.hub.Unknown())
	}
}

func TestWhatIsInvalid(t *testing.T) {
	b := newBench(t)
	n := b.hub.OpenIssue("bo", "issue", "")
	main := b.hub.Head("main")
	at := "/repos/" + repository
	say := at + "/issues/" + jsonOf(n) + "/comments"
	long := strings.Repeat("ä", 65536)
	if status, _, text := b.raw("POST", say, "app", map[string]string{"body": long}); status != 201 {
		t.Errorf("65,536 characters: %d %s", status, text)
	}
	for what, c := range map[string]struct {
		method, path string
		body         any
		status       int
		want         string
	}{
		"not JSON":          {"POST", say, "{", 400, `"message":"Problems parsing JSON"`},
		"too long":          {"POST", say, map[string]string{"body": long + "x"}, 422, `{"code":"unprocessable","field":"data","message":"Body is too long (maximum is 65536 characters)","resource":"IssueComment"}`},
		"blank":             {"POST", say, map[string]string{"body": " "}, 422, "Body cannot be blank"},
		"no body":           {"POST", say, map[string]string{}, 422, "body"},
		"on nothing":        {"POST", at + "/issues/999/comments", map[string]string{"body": "x"}, 404, "Not Found"},
		"no title":          {"POST", at + "/issues", map[string]string{}, 422, `"code":"missing_field","field":"title"`},
		"assignee":          {"POST", at + "/issues", map[string]any{"title": "t", "assignees": []string{"eve"}}, 422, `"field":"assignees"`},
		"issue too long":    {"PATCH", at + "/issues/" + jsonOf(n), map[string]string{"body": long + "x"}, 422, "body is too long"},
		"no such state":     {"PATCH", at + "/issues/" + jsonOf(n), map[string]string{"state": "done"}, 422, `"field":"state"`},
		"a ref that exists": {"POST", at + "/git/refs", map[string]string{"ref": "refs/heads/main", "sha": main}, 422, "Reference already exists"},
		"a ref to nothing":  {"POST", at + "/git/refs", map[string]string{"ref": "refs/heads/x", "sha": strings.Repeat("0", 40)}, 422, "Object does not exist"},
		"no ref":            {"PATCH", at + "/git/refs/heads/x", map[string]any{"sha": main}, 422, "Reference does not exist"},
		"no sha":            {"PUT", at + "/contents/README.md", map[string]string{"message": "m", "content": ""}, 422, `sha\" wasn't supplied`},
		"wrong sha":         {"PUT", at + "/contents/README.md", map[string]string{"message": "m", "content": "", "sha": main}, 409, "does not match " + main},
		"no branch":         {"PUT", at + "/contents/new", map[string]string{"message": "m", "content": "", "branch": "none"}, 404, "Branch none not found"},
		"not base64":        {"PUT", at + "/contents/new", map[string]string{"message": "m", "content": "?"}, 422, "content is not valid Base64"},
		"no commits":        {"POST", at + "/pulls", map[string]string{"title": "t", "head": "main", "base": "main"}, 422, "No commits between main and main"},
		"no head":           {"POST", at + "/pulls", map[string]string{"title": "t", "head": "x", "base": "main"}, 422, `"field":"head"`},
		"commit":            {"GET", at + "/commits/nothing", nil, 422, "No commit found for SHA: nothing"},
		"ref of a list":     {"GET", at + "/commits?sha=nothing", nil, 404, "Not Found"},
		"ref of a file":     {"GET", at + "/contents/README.md?ref=nothing", nil, 404, "No commit found for the ref nothing"},
		"time":              {"GET", at + "/actions/runs?created=yesterday", nil, 422, "Validation Failed"},
	} {
		t.Run(what, func(t *testing.T) {
			status, _, text := b.raw(c.method, c.path, "app", c.body)
			if status != c.status || !strings.Contains(text, c.want) || !strings.Contains(text, `"documentation_url"`) {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	if got := b.hub.Files("main")["README.md"]; got != "shop\n" {
		t.Errorf("refused calls changed README.md to %q", got)
	}
}

func TestUnknownRoutesAreRecorded(t *testing.T) {
	b := newBench(t)
	for _, path := range []string{"/user", "/repos/" + repository + "/branches/main", "/repos/" + repository + "/issues?milestone=1", "/repos/" + repository + "//pulls"} {
		if status, _, _ := b.raw("GET", path, "app", nil); status != 404 && status != 422 {
			t.Errorf("%s: %d", path, status)
		}
	}
	if l := b.hub.Unknown(); len(l) != 4 || l[0] != "GET /user" {
		t.Errorf("unknown: %q", l)
	}
}

func TestRateLimits(t *testing.T) {
	b := newBench(t)
	n := b.hub.OpenIssue("bo", "issue", "")
	say := "/repos/" + repository + "/issues/" + jsonOf(n) + "/comments"
	post := func() (int, http.Header) {
		status, header, _ := b.raw("POST", say, "app", map[string]string{"body": "x"})
		return status, header
	}
	for range 80 {
		if status, _ := post(); status != 201 {
			t.Fatalf("the first 80: %d", status)
		}
	}
	b.clock.Move(20 * time.Second)
	status, header := post()
	if status != 403 || header.Get("Retry-After") != "40" {
		t.Errorf("the 81st: %d, Retry-After %q", status, header.Get("Retry-After"))
	}
	if status, header, _ := b.raw("GET", say, "app", nil); status != 200 || header.Get("X-Ratelimit-Limit") != "5000" || header.Get("X-Ratelimit-Used") != "82" {
		t.Errorf("a read: %d %v", status, header)
	}
	before := len(b.hub.Comments(n))
	must(b.c.CreateComment(ctx, n, "patience"))(t)
	if len(b.hub.Comments(n)) != before+1 || !b.clock.Now().Equal(start.Add(time.Minute)) {
		t.Errorf("the client waited until %v", b.clock.Now())
	}
	small := newBench(t, func(o *github.Options) { o.Limits = github.Limits{PerHour: 2, PointsPerMinute: 6} })
	if status, _, _ := small.raw("POST", "/repos/"+repository+"/issues", "app", map[string]string{"title": "t"}); status != 201 {
		t.Fatal(status)
	}
	small.raw("GET", "/repos/"+repository, "app", nil)
	if status, header, text := small.raw("GET", "/repos/"+repository, "app", nil); status != 403 || header.Get("X-Ratelimit-Remaining") != "0" || !strings.Contains(text, "API rate limit exceeded") {
		t.Errorf("the third in an hour: %d %s", status, text)
	}
}

func TestFaultsAreInjected(t *testing.T) {
	b := newBench(t)
	n := b.hub.OpenIssue("bo", "issue", "")
	b.hub.Fail(func(c github.Call) error {
		if c.Method == "POST" {
			return github.ErrLost
		}
		return nil
	})
	if _, err := b.c.CreateComment(ctx, n, "lost"); !errors.Is(err, client.ErrUnknown) {
		t.Errorf("a lost answer: %v", err)
	}
	if l := b.hub.Comments(n); len(l) != 1 || l[0].Body != "lost" {
		t.Errorf("comments %+v", l)
	}
	b.hub.Fail(func(github.Call) error { return github.Broken(502) })
	if _, err := b.c.CreateComment(ctx, n, "broken"); !errors.Is(err, client.ErrUnknown) {
		t.Errorf("a 502: %v", err)
	}
	calls := 0
	b.hub.Fail(func(github.Call) error {
		if calls++; calls == 1 {
			return github.Throttled(7 * time.Second)
		}
		return nil
	})
	before := b.clock.Now()
	must(b.c.Issue(ctx, n))(t)
	if waited := b.clock.Now().Sub(before); waited < 7*time.Second {
		t.Errorf("waited %v", waited)
	}
	l := b.hub.Calls()
	if last := l[len(l)-1]; last.Route != "GET /repos/{owner}/{repo}/issues/{issue_number}" || last.Login != "rekey[bot]" || last.Status != 200 {
		t.Errorf("the last call: %+v", last)
	}
}

func TestManyAtOnce(t *testing.T) {
	b := newBench(t, func(o *github.Options) {
		o.Limits = github.Limits{PerHour: -1, PointsPerMinute: -1, CreatePerMinute: -1, CreatePerHour: -1}
	})
	b.hub.SetEnvironment(protected("rekey-prod"))
	n := b.hub.OpenIssue("bo", "issue", "")
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 4 {
				name := "b" + jsonOf(worker) + "-" + jsonOf(i)
				b.hub.Commit(name, "bo", name, map[string]string{name: "x"})
				p := b.hub.OpenPull("bo", name, "", name, "main", false)
				b.raw("POST", "/repos/"+repository+"/issues/"+jsonOf(n)+"/comments", "app", map[string]string{"body": name})
				b.raw("GET", "/repos/"+repository+"/pulls?per_page=5", "app", nil)
				if b.hub.Merge(p, "ada") == "" {
					t.Errorf("%s wasn't merged", name)
				}
				id := b.hub.StartRun("rotate.yml", "push", "main", "", "bo")
				b.hub.WaitFor(id, "rekey-prod")
				if err := b.hub.Approve(id, "rekey-prod", "ada", ""); err != nil {
					t.Error(err)
				}
				b.raw("GET", "/repos/"+repository+runPath(id), "app", nil)
				_, _ = b.hub.Run(id)
			}
		})
	}
	all.Wait()
	if c, f := b.hub.Comments(n), b.hub.Files("main"); len(c) != 32 || len(f) != 34 {
		t.Errorf("%d comments, %d files", len(c), len(f))
	}
	one := b.hub.StartRun("rotate.yml", "push", "main", "", "bo")
	b.hub.WaitFor(one, "rekey-prod")
	granted := make(chan error, 10)
	for range 10 {
		all.Go(func() { granted <- b.hub.Approve(one, "rekey-prod", "ada", "") })
	}
	all.Wait()
	close(granted)
	yes := 0
	for err := range granted {
		if err == nil {
			yes++
		}
	}
	if yes != 1 || len(b.hub.Approvals(one)) != 1 {
		t.Errorf("%d of ten approvals at once counted", yes)
	}
}
