package github_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/sandbox/github"
)

const request = "rotations/2026/11/2026-11-23-app.yaml"

func TestAPullRequestFromItsBranchToItsMerge(t *testing.T) {
	b := newBench(t)
	head := b.hub.Commit("rotate-app", "bo", "ask for a rotation", map[string]string{request: "secret: app\n", "README.md": "shop\nmore\n"})
	n := b.hub.OpenPull("bo", "Rotate app", "please", "rotate-app", "main", false)
	b.hub.Review(n, "ada", "changes_requested")
	b.hub.Review(n, "cy", "APPROVED")
	p := must(b.c.Pull(ctx, n))(t)
	if p.State != "open" || p.Merged || p.Head != head || p.Author.Login != "bo" || p.Base != "main" || p.Branch != "rotate-app" || p.HeadRepo != repository {
		t.Errorf("open: %+v", p)
	}
	files := must(b.c.FilesOf(ctx, n))(t)
	want := []client.File{{Path: "README.md", Status: "modified", Blob: github.Blob("shop\nmore\n")}, {Path: request, Status: "added", Blob: github.Blob("secret: app\n")}}
	if !slices.Equal(files, want) {
		t.Errorf("files %+v", files)
	}
	later := b.hub.Commit("rotate-app", "bo", "after the review", map[string]string{request: "secret: app\nretain: 2d\n"})
	reviews := must(b.c.Reviews(ctx, n))(t)
	if len(reviews) != 2 || reviews[1].State != "APPROVED" || reviews[1].Commit != head || reviews[0].State != "CHANGES_REQUESTED" || reviews[0].User.Login != "ada" {
		t.Errorf("reviews %+v", reviews)
	}
	b.clock.Move(time.Minute)
	merge := b.hub.Merge(n, "ada")
	b.hub.Commit("main", "ada", "something else", map[string]string{"other": "x"})
	p = must(b.c.Pull(ctx, n))(t)
	if !p.Merged || p.MergedBy.Login != "ada" || p.Head != later || p.Merge != merge || p.State != "closed" || !p.MergedAt.Equal(start.Add(time.Minute)) {
		t.Errorf("merged: %+v", p)
	}
	b.hub.DeleteBranch("rotate-app")
	for _, sha := range []string{merge, later, head} {
		if l := must(b.c.PullsOf(ctx, sha))(t); len(l) != 1 || l[0].Number != n || !l[0].Merged || l[0].MergedBy.Login != "" {
			t.Errorf("pull requests of %s: %+v", sha, l)
		}
	}
	commits := must(b.c.CommitsOf(ctx, request, "main"))(t)
	if len(commits) != 2 || commits[0].SHA != later || commits[1].SHA != head || commits[1].Author.Login != "bo" {
		t.Errorf("commits of the request: %+v", commits)
	}
	in := must(b.c.CommitsIn(ctx, n))(t)
	if len(in) != 2 || in[0].SHA != head || in[1].SHA != later {
		t.Errorf("commits of the pull request: %+v", in)
	}
	if l := must(b.c.FilesOf(ctx, n))(t); len(l) != 2 || l[1].Blob != github.Blob("secret: app\nretain: 2d\n") {
		t.Errorf("files of the merged one: %+v", l)
	}
	if b.hub.Merge(n, "ada") != "" {
		t.Error("merged twice")
	}
}

func TestDirectPushesSquashesForksAndStrangers(t *testing.T) {
	b := newBench(t)
	direct := b.hub.Commit("main", "nobody", "pushed", map[string]string{request: "x"})
	if l := must(b.c.PullsOf(ctx, direct))(t); len(l) != 0 {
		t.Errorf("a direct push has %+v", l)
	}
	c := must(b.c.CommitsOf(ctx, request, "main"))(t)
	if len(c) != 1 || c[0].Author.Login != "" {
		t.Errorf("an author who is nobody: %+v", c)
	}
	b.hub.Commit("one", "bo", "rename", map[string]string{request: "", request + "l": "x"})
	one := b.hub.OpenPull("bo", "Rename", "", "one", "main", false)
	if l := must(b.c.FilesOf(ctx, one))(t); len(l) != 1 || l[0].Status != "renamed" || l[0].Path != request+"l" {
		t.Errorf("renamed: %+v", l)
	}
	squash := b.hub.Squash(one, "ada")
	if l := must(b.c.PullsOf(ctx, squash))(t); len(l) != 1 || l[0].Merge != squash {
		t.Errorf("squashed: %+v", l)
	}
	if c := must(b.c.CommitsOf(ctx, request+"l", "main"))(t); len(c) != 1 || c[0].SHA != squash || c[0].Author.Login != "bo" || c[0].Committer.Login != "web-flow" {
		t.Errorf("commits after the squash: %+v", c)
	}
	fork := b.hub.Commit("eve:patch", "eve", "from outside", map[string]string{"new": "y"})
	two := b.hub.OpenPull("eve", "Outside", "", "patch", "main", true)
	if p := must(b.c.Pull(ctx, two))(t); p.HeadRepo != "eve/shop" || p.Head != fork || p.Branch != "patch" {
		t.Errorf("fork: %+v", p)
	}
	b.hub.DropFork(two)
	b.hub.DropUser("eve")
	b.hub.Merge(two, "ada")
	if l := must(b.c.PullsOf(ctx, fork))(t); len(l) != 1 || l[0].HeadRepo != "" {
		t.Errorf("the fork is gone: %+v", l)
	}
	if b.hub.OpenPull("bo", "nothing", "", "nowhere", "main", false) != 0 || b.hub.OpenPull("bo", "nothing", "", "main", "main", false) != 0 {
		t.Error("opened a pull request of nothing")
	}
}

func TestWhatIsInConflictIsNotMerged(t *testing.T) {
	b := newBench(t)
	b.hub.Commit("main", "ada", "text", map[string]string{"text": "1\n2\n3\n4\n5\n"})
	b.hub.Commit("one", "bo", "first line", map[string]string{"text": "one\n2\n3\n4\n5\n"})
	b.hub.Commit("two", "bo", "first line, too", map[string]string{"text": "two\n2\n3\n4\n5\n"})
	b.hub.Commit("three", "bo", "last line", map[string]string{"text": "1\n2\n3\n4\nfive\n"})
	var pulls []int
	for _, branch := range []string{"one", "two", "three"} {
		pulls = append(pulls, b.hub.OpenPull("bo", branch, "", branch, "main", false))
	}
	for i, want := range []bool{true, false, true} {
		text := b.request("GET", "/pulls/"+jsonOf(pulls[i]), "app", nil, 200)
		if got := strings.Contains(text, `"mergeable":true`); got != want {
			t.Errorf("#%d can be merged: %v", pulls[i], got)
		}
		if got := b.hub.Merge(pulls[i], "ada") != ""; got != want {
			t.Errorf("#%d was merged: %v", pulls[i], got)
		}
	}
	if got := b.hub.Files("main")["text"]; got != "one\n2\n3\n4\nfive\n" {
		t.Errorf("merged to %q", got)
	}
}

func TestABranchAFileAndItsPullRequest(t *testing.T) {
	b := newBench(t)
	main, _, err := b.c.Branch(ctx, "main")
	check(t, err)
	if branch := must(b.c.DefaultBranch(ctx))(t); branch != "main" {
		t.Errorf("default branch %q", branch)
	}
	if _, there, err := b.c.Branch(ctx, "rekey/next"); there || err != nil {
		t.Errorf("a branch that isn't there: %v %v", there, err)
	}
	check(t, b.c.CreateBranch(ctx, "rekey/next", main))
	if err := b.c.CreateBranch(ctx, "rekey/next", main); err == nil {
		t.Error("made a branch twice")
	}
	check(t, b.c.PutFile(ctx, "rekey/next", "a/b c.yaml", "add", []byte("one\n"), ""))
	was := must(b.c.Content(ctx, "a/b c.yaml", "rekey/next"))(t)
	if string(was.Text) != "one\n" || was.Blob != github.Blob("one\n") {
		t.Errorf("read %q %s", was.Text, was.Blob)
	}
	check(t, b.c.PutFile(ctx, "rekey/next", "a/b c.yaml", "change", []byte("two\n"), was.Blob))
	if err := b.c.PutFile(ctx, "rekey/next", "a/b c.yaml", "change", []byte("three\n"), was.Blob); err == nil {
		t.Error("replaced a file by an old blob")
	}
	if err := b.c.PutFile(ctx, "rekey/next", "a/b c.yaml", "change", []byte("three\n"), ""); err == nil {
		t.Error("replaced a file without naming it")
	}
	if _, err := b.c.Content(ctx, "none", "main"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a file that isn't there: %v", err)
	}
	p := must(b.c.CreatePull(ctx, "Next", "body", "rekey/next", "main"))(t)
	if p.Author != (client.User{Login: "rekey[bot]", Bot: true}) {
		t.Errorf("opened by %+v", p.Author)
	}
	if _, err := b.c.CreatePull(ctx, "Next", "body", "rekey/next", "main"); err == nil {
		t.Error("two open pull requests of one branch")
	}
	check(t, b.c.EditPull(ctx, p.Number, "Later", "other", "closed"))
	l := must(b.c.PullsFrom(ctx, "rekey/next", "all"))(t)
	if len(l) != 1 || l[0].Title != "Later" || l[0].State != "closed" {
		t.Errorf("pull requests of the branch: %+v", l)
	}
	if l := must(b.c.PullsFrom(ctx, "rekey/next", "open"))(t); len(l) != 0 {
		t.Errorf("open ones: %+v", l)
	}
	check(t, b.c.MoveBranch(ctx, "rekey/next", main))
	if got := b.hub.Files("rekey/next"); got["a/b c.yaml"] != "" || b.hub.Head("rekey/next") != main {
		t.Errorf("moved back: %v", got)
	}
}

func TestIssuesAndComments(t *testing.T) {
	b := newBench(t)
	i := must(b.c.CreateIssue(ctx, "Prod rolled back", "body", []string{"incident", "SEV2"}, []string{"bo"}))(t)
	if !slices.Equal(i.Labels, []string{"SEV2", "incident"}) || !slices.Equal(i.Assignees, []string{"bo"}) || i.State != "open" {
		t.Errorf("made %+v", i)
	}
	b.hub.OpenIssue("eve", "noise", "")
	b.hub.Commit("x", "bo", "x", map[string]string{"x": "x"})
	b.hub.OpenPull("bo", "a pull request isn't an issue", "", "x", "main", false)
	if l := must(b.c.Issues(ctx, "incident", "open"))(t); len(l) != 1 || l[0].Number != i.Number {
		t.Errorf("by label: %+v", l)
	}
	if l := must(b.c.Issues(ctx, "", "all"))(t); len(l) != 2 {
		t.Errorf("all: %+v", l)
	}
	closed, reason := "closed", "not_planned"
	check(t, b.c.EditIssue(ctx, i.Number, client.IssueChange{State: &closed, Reason: &reason}))
	if l := b.hub.Issues(); l[0].State != "closed" || l[0].Reason != "not_planned" || l[0].Title != "Prod rolled back" {
		t.Errorf("closed: %+v", l[0])
	}
	for n := range 7 {
		b.hub.Say(i.Number, "bo", fmt.Sprint("words ", n))
	}
	mine := must(b.c.CreateComment(ctx, i.Number, "status"))(t)
	b.clock.Move(time.Minute)
	check(t, b.c.EditComment(ctx, mine.ID, "status, later"))
	l := must(b.c.Comments(ctx, i.Number))(t)
	last := l[len(l)-1]
	if len(l) != 8 || last.Body != "status, later" || !last.Author.Bot || last.Author.Login != "rekey[bot]" || !last.UpdatedAt.Equal(start.Add(time.Minute)) || !last.CreatedAt.Equal(start) {
		t.Errorf("comments %+v", last)
	}
	b.hub.EditComment(mine.ID, "somebody else's words")
	check(t, b.c.DeleteComment(ctx, mine.ID))
	check(t, b.c.DeleteComment(ctx, mine.ID))
	if l := b.hub.Comments(i.Number); len(l) != 7 {
		t.Errorf("%d are left", len(l))
	}
	other := b.hub.In("rastup/tickets")
	n := other.OpenIssue("bo", "SEC-1", "")
	if _, err := b.c.In("rastup/tickets").Issue(ctx, n); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a token of another repository sees it: %v", err)
	}
	other.AddToken("app", "rekey[bot]", map[string]string{"issues": "read"})
	if i := must(b.c.In("rastup/tickets").Issue(ctx, n))(t); i.Title != "SEC-1" || i.State != "open" {
		t.Errorf("ticket %+v", i)
	}
}

func TestLongListsComeInPages(t *testing.T) {
	b := newBench(t, func(o *github.Options) { o.Limits.PointsPerMinute = -1 })
	n := b.hub.OpenIssue("bo", "long", "")
	for i := range 234 {
		b.hub.Say(n, "bo", fmt.Sprint(i))
	}
	l := must(b.c.Comments(ctx, n))(t)
	for i, c := range l {
		if c.Body != fmt.Sprint(i) {
			t.Fatalf("comment %d says %q", i, c.Body)
		}
	}
	if len(l) != 234 || len(b.hub.Calls()) != 3 {
		t.Errorf("%d comments in %d calls", len(l), len(b.hub.Calls()))
	}
	files := map[string]string{}
	for i := range 250 {
		files[fmt.Sprintf("f/%03d", i)] = "x"
	}
	b.hub.Commit("many", "bo", "many", files)
	p := b.hub.OpenPull("bo", "many", "", "many", "main", false)
	if l := must(b.c.FilesOf(ctx, p))(t); len(l) != 250 {
		t.Errorf("%d files", len(l))
	}
}

func TestPermissionsOfPeople(t *testing.T) {
	b := newBench(t)
	for login, want := range map[string]string{"ada": "admin", "bo": "write", "cy": "write", "di": "read", "eve": "none"} {
		if got := must(b.c.Permission(ctx, login))(t); got != want {
			t.Errorf("%s has %q, want %q", login, got, want)
		}
	}
	for _, login := range []string{"rekey[bot]", "unheard-of"} {
		status, _, text := b.raw("GET", "/repos/"+repository+"/collaborators/"+login+"/permission", "app", nil)
		if status != 404 {
			t.Errorf("%s: %d %s", login, status, text)
		}
	}
}
