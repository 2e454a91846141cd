package github

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

type steady struct{ at time.Time }

func (s *steady) Now() time.Time { s.at = s.at.Add(time.Second); return s.at }

// repositoryOf hands all commits of a service to git itself.
func repositoryOf(t *testing.T, s *Service) (git func(...string) string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("git is missing")
		}
		t.Skip("git is missing: its own words weren't compared")
	}
	dir := t.TempDir()
	run := func(in string, args ...string) string {
		t.Helper()
		c := exec.Command("git", append([]string{"-C", dir, "-c", "core.quotePath=false"}, args...)...)
		c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		c.Stdin = strings.NewReader(in)
		var fault bytes.Buffer
		c.Stderr = &fault
		out, err := c.Output()
		if err != nil {
			t.Fatalf("git %s: %v: %s", args, err, &fault)
		}
		return strings.TrimSpace(string(out))
	}
	run("", "init", "-q")
	var stream strings.Builder
	var all []*commit
	for _, c := range s.repo.commits {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *commit) int { return a.order - b.order })
	data := func(text string) { fmt.Fprintf(&stream, "data %d\n%s\n", len(text), text) }
	for _, c := range all {
		fmt.Fprintf(&stream, "commit refs/heads/at-%s\nmark :%d\n", c.sha, c.order)
		fmt.Fprintf(&stream, "author %s <%s> %d +0000\ncommitter %s <%s> %d +0000\n", c.author, address(c.author), c.at.Unix(), c.committer, address(c.committer), c.at.Unix())
		data(c.message)
		for i, p := range c.parents {
			fmt.Fprintf(&stream, "%s :%d\n", []string{"from", "merge"}[i], s.repo.commits[p].order)
		}
		stream.WriteString("deleteall\n")
		for path, text := range c.files {
			fmt.Fprintf(&stream, "M 100644 inline %s\n", path)
			data(text)
		}
	}
	run(stream.String(), "fast-import", "--quiet")
	return func(args ...string) string { t.Helper(); return run("", args...) }
}

// wordsOf are different texts of which parts are the same, for renames.
func wordsOf(r *rand.Rand) string {
	var b strings.Builder
	for range 4 + r.IntN(4) {
		fmt.Fprintf(&b, "line %d\n", r.IntN(12))
	}
	return b.String()
}

// TestSameAsGit makes random histories, with merges, and holds names, path histories and changed files against git.
func TestSameAsGit(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := New(&steady{time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}, Options{Repository: "o/r"})
		paths := []string{"a", "a.b", "a0/x", "b/c/d", "b/c.d", "b/c0", "ä"}
		s.Commit("main", "ada", "first", map[string]string{"shared": strings.Repeat("a line\n", 30), "a": wordsOf(r), "b/c/d": wordsOf(r)})
		var pulls []int
		refused := 0
		for step := range 40 {
			k := r.IntN(3)
			branch := []string{"main", "one", "two"}[k]
			change := map[string]string{}
			for range 1 + r.IntN(2) {
				at := []int{0, 3, 5}[k] + r.IntN(2)
				if r.IntN(15) == 0 {
					at = r.IntN(len(paths)) // where another branch is at work, too
				}
				change[paths[at]] = []string{"", wordsOf(r)}[min(1, r.IntN(4))]
			}
			text := s.Files(branch)["shared"]
			if text == "" {
				text = s.Files("main")["shared"]
			}
			l := strings.SplitAfter(text, "\n")
			l[10*k+r.IntN(5)] = fmt.Sprint(branch, " at ", step, "\n")
			change["shared"] = strings.Join(l, "")
			s.Commit(branch, []string{"ada", "bo"}[r.IntN(2)], fmt.Sprint("step ", step), change)
			if r.IntN(4) == 0 && branch != "main" {
				if n := s.OpenPull("bo", fmt.Sprint("pull ", step), "", branch, "main", false); n != 0 {
					if s.Merge(n, "ada") != "" {
						pulls = append(pulls, n)
					} else {
						refused++
						s.Close(n, "ada")
					}
				}
			}
		}
		git := repositoryOf(t, s)
		for line := range strings.Lines(git("show-ref")) {
			name, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
			if sha := strings.TrimPrefix(ref, "refs/heads/at-"); sha != name {
				t.Fatalf("seed %d: %q is %s here and %s for git", seed, s.repo.commits[sha].message, sha, name)
			}
		}
		for _, path := range append(paths, "b", "b/c", "shared", "none") {
			var got []string
			for _, c := range s.repo.history(s.Head("main"), path) {
				got = append(got, c.sha)
			}
			want := strings.Fields(git("log", "--format=%H", s.Head("main"), "--", path))
			if !slices.Equal(got, want) {
				t.Errorf("seed %d: commits that touched %s:\n%s\ngit says\n%s", seed, path, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		for _, n := range pulls {
			p := s.repo.threads[n].pull
			base := git("merge-base", p.start, p.head)
			if ours := s.repo.mergeBase(p.start, p.head).sha; ours != base {
				t.Errorf("seed %d: #%d begins at %s, for git at %s", seed, n, ours, base)
			}
			tree := s.repo.commits[p.merge].tree
			if theirs := git("merge-tree", "--write-tree", p.start, p.head); theirs != tree {
				t.Errorf("seed %d: #%d merges to %s, for git to %s", seed, n, tree, theirs)
			}
			var got []string
			for path := range changes(s.repo.commits[base].files, s.repo.commits[p.head].files) {
				got = append(got, path)
			}
			slices.Sort(got)
			want := strings.FieldsFunc(git("diff", "--name-only", "--no-renames", base, p.head), func(c rune) bool { return c == '\n' })
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("seed %d: #%d changes %q, for git %q", seed, n, got, want)
			}
		}
		t.Logf("seed %d: %d commits, %d merges, %d refused", seed, len(s.repo.commits), len(pulls), refused)
	}
}

func TestKnownNames(t *testing.T) {
	for text, want := range map[string]string{"": "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "what is up, doc?": "bd9dbf5aae1a3862dd1526723246b20206e5fc37"} {
		if got := Blob(text); got != want {
			t.Errorf("%q is %s", text, got)
		}
	}
	if got := treeOf(nil); got != "4b825dc642cb6eb9a060e54bf8d69288fbee4904" {
		t.Errorf("the empty tree is %s", got)
	}
}

func TestRenames(t *testing.T) {
	text := strings.Repeat("the same line\n", 8)
	for what, c := range map[string]struct {
		before, after map[string]string
		want          string
	}{
		"moved":          {map[string]string{"a": text}, map[string]string{"b": text}, "renamed b from a"},
		"moved, changed": {map[string]string{"a": text}, map[string]string{"b": text + "more\n"}, "renamed b from a"},
		"another":        {map[string]string{"a": text}, map[string]string{"b": "nothing alike\n"}, "removed a; added b"},
		"copied":         {map[string]string{"a": text}, map[string]string{"a": text, "b": text}, "added b"},
		"two from one":   {map[string]string{"a": text}, map[string]string{"b": text, "c": text}, "renamed b from a; added c"},
	} {
		var got []string
		for _, d := range difference(c.before, c.after) {
			line := d.status + " " + d.path
			if d.was != "" {
				line += " from " + d.was
			}
			got = append(got, line)
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%s: %s, want %s", what, s, c.want)
		}
	}
}
