package github_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/sandbox/github"
)

// Operations that the client doesn't have, or not in full, are held against the description, too.
func TestTheOtherOperations(t *testing.T) {
	b := newBench(t)
	first := b.hub.Head("main")
	second := b.hub.Commit("main", "bo", "second", map[string]string{"a/b": "x\n", "a/c/d": "y\n", "README.md": ""})
	b.hub.Commit("topic", "bo", "third", map[string]string{"e": "z\n"})
	b.hub.Commit("release", "bo", "other base", map[string]string{"f": "z\n"})
	n := b.hub.OpenPull("bo", "t", "", "topic", "main", false)
	id := b.hub.Say(n, "ada", "words")
	b.clock.Move(time.Minute)
	for what, c := range map[string]struct {
		method, path string
		body         any
		status       int
		want         []string
	}{
		"a commit with its files": {"GET", "/commits/" + second, nil, 200, []string{`"filename":"a/b"`, `"status":"removed"`, `"total":3`, `"sha":"` + github.Blob("x\n") + `"`}},
		"a commit by branch":      {"GET", "/commits/heads/topic", nil, 200, []string{`"message":"third"`}},
		"the first commit":        {"GET", "/commits/" + first, nil, 200, []string{`"parents":[]`, `"status":"added"`}},
		"by its first digits":     {"GET", "/commits/" + first[:8], nil, 200, []string{first}},
		"commits of a time":       {"GET", "/commits?since=2026-11-23T10:00:30Z&author=bo", nil, 200, []string{"[]"}},
		"a folder":                {"GET", "/contents/a", nil, 200, []string{`"type":"dir"`, `"name":"b"`, `"path":"a/c"`}},
		"a file of a commit":      {"GET", "/contents/README.md?ref=" + first, nil, 200, []string{`"content":"c2hvcAo=\n"`}},
		"a comment":               {"GET", "/issues/comments/" + jsonOf(id), nil, 200, []string{`"body":"words"`, `/pull/` + jsonOf(n) + "#issuecomment-"}},
		"no comment":              {"GET", "/issues/comments/1", nil, 404, nil},
		"an issue that is a pull": {"GET", "/issues/" + jsonOf(n), nil, 200, []string{`"pull_request":{`}},
		"another base":            {"PATCH", "/pulls/" + jsonOf(n), map[string]string{"base": "release"}, 200, []string{`"ref":"release"`}},
		"no base":                 {"PATCH", "/pulls/" + jsonOf(n), map[string]string{"base": "none"}, 422, nil},
		"no title":                {"PATCH", "/pulls/" + jsonOf(n), map[string]string{"title": ""}, 422, nil},
		"not a fast forward":      {"PATCH", "/git/refs/heads/topic", map[string]any{"sha": b.hub.Head("release")}, 422, []string{"Update is not a fast forward"}},
		"assigned to nobody":      {"GET", "/issues?assignee=none&creator=bo&sort=updated&direction=asc", nil, 200, []string{`"number":` + jsonOf(n)}},
		"comments since":          {"GET", "/issues/" + jsonOf(n) + "/comments?since=2026-11-23T10:00:30Z", nil, 200, []string{"[]"}},
		"no pull request":         {"GET", "/pulls/999/files", nil, 404, nil},
		"no run":                  {"GET", "/actions/runs/1/jobs", nil, 404, nil},
	} {
		t.Run(what, func(t *testing.T) {
			text := b.request(c.method, c.path, "app", c.body, c.status)
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %s in %s", want, text)
				}
			}
		})
	}
}

func TestAPersonsHands(t *testing.T) {
	b := newBench(t)
	b.hub.Commit("topic", "bo", "x", map[string]string{"x": "y"})
	n := b.hub.OpenPull("bo", "t", "body", "topic", "main", false)
	b.hub.Review(n, "ada", "approved")
	b.hub.Review(n, "ada", "dismissed")
	b.hub.Review(999, "ada", "approved")
	if l := must(b.c.Reviews(ctx, n))(t); len(l) != 1 || l[0].State != "DISMISSED" {
		t.Errorf("reviews %+v", l)
	}
	b.hub.Close(n, "ada")
	if b.hub.Merge(n, "ada") != "" {
		t.Error("merged what is closed")
	}
	b.hub.Reopen(n, "ada")
	moved := b.hub.Commit("topic", "bo", "z", map[string]string{"x": "z"})
	merge := b.hub.Merge(n, "ada")
	if l := b.hub.Pulls(); len(l) != 1 || l[0] != (github.Pull{Number: n, Title: "t", Body: "body", State: "closed", Author: "bo", Branch: "topic", Base: "main", Head: moved, Merged: true, MergedBy: "ada", Merge: merge}) {
		t.Errorf("pull requests %+v", l)
	}
	if status, _, text := b.raw("PATCH", "/repos/"+repository+"/pulls/"+jsonOf(n), "app", map[string]string{"state": "open"}); status != 422 || !strings.Contains(text, "The pull request is merged") {
		t.Errorf("opened again: %d %s", status, text)
	}
	id := b.hub.Say(n, "ada", "words")
	b.hub.DeleteComment(id)
	if l := b.hub.Comments(n); len(l) != 0 {
		t.Errorf("comments %+v", l)
	}
	run := b.hub.StartRun("rotate.yml", "push", "main", "", "bo")
	if l := b.hub.Runs("rotate.yml"); len(l) != 1 || l[0].ID != run || len(b.hub.Runs("other.yml")) != 0 {
		t.Errorf("runs %+v", l)
	}
	b.hub.SetEnvironment(github.Environment{Name: "e", Protected: true})
	if e, there := b.hub.Environment("E"); !there || e.Name != "e" || b.hub.MayDeploy("e", "topic") || !b.hub.MayDeploy("e", "main") {
		t.Errorf("environment %+v", e)
	}
	b.hub.DropToken("app")
	if status, _, _ := b.raw("GET", "/repos/"+b.hub.Repository(), "app", nil); status != 401 {
		t.Errorf("a token that was dropped: %d", status)
	}
	public := github.New(b.clock, github.Options{Repository: "o/public", Public: true})
	public.Commit("main", "ada", "x", map[string]string{"x": "y"})
	b.hub = public
	if status, header, _ := b.raw("GET", "/repos/o/public/contents/x", "", nil); status != 200 || header.Get("X-Ratelimit-Limit") != "60" {
		t.Errorf("anybody reads what is public: %d", status)
	}
	if status, _, _ := b.raw("POST", "/repos/o/public/issues", "", map[string]string{"title": "x"}); status != 401 {
		t.Errorf("anybody writes: %d", status)
	}
}
