package actions

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rastup/rekey/internal/problem"
)

// most annotations of one kind that GitHub shows of a step; what is beyond is in the log and the summary.
const most = 10

// annotate puts each problem at its line.
func (j *job) annotate(found *problem.List) {
	all := found.Sorted()
	for i, p := range all {
		if i == most-1 && len(all) > most {
			j.gha.Errorf("%d more problems: the job's summary has them all", len(all)-i)
			break
		}
		at := map[string]string{"file": p.File, "title": p.Rule}
		if p.Line > 0 {
			at["line"], at["col"] = fmt.Sprint(p.Line), fmt.Sprint(max(p.Col, 1))
		}
		text := problem.Plain(p.Msg)
		if p.Hint != "" {
			text += "\nhint: " + problem.Plain(p.Hint)
		}
		j.gha.WithFieldsMap(at).Errorf("%s", text)
	}
	if len(all) > 0 {
		quote(j.gha, func() { fmt.Fprint(j.Out, found) })
		j.summary(fmt.Sprintf("### %s in registry, requests or house rules\n\n%s\n", count(len(all), "problem"), fenced(found.String())))
	}
}

// fenced is text as a code block that nothing in it can end.
func fenced(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + "text\n" + strings.TrimRight(text, "\n") + "\n" + fence
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func token() string { return rand.Text() }

// commit is what is checked out at root. A job may check out the tip of the branch, which isn't the commit that
// started the run; otherwise is the answer where root is no clone.
func commit(root, otherwise string) string {
	head, err := os.ReadFile(filepath.Join(root, ".git", "HEAD"))
	if err != nil {
		return otherwise
	}
	text := strings.TrimSpace(string(head))
	name, isRef := strings.CutPrefix(text, "ref: ")
	if !isRef {
		return text
	}
	if b, err := os.ReadFile(filepath.Join(root, ".git", filepath.FromSlash(name))); err == nil {
		return strings.TrimSpace(string(b))
	}
	packed, err := os.ReadFile(filepath.Join(root, ".git", "packed-refs"))
	if err != nil {
		return otherwise
	}
	for line := range strings.Lines(string(packed)) {
		if sha, ref, ok := strings.Cut(strings.TrimSpace(line), " "); ok && ref == name {
			return sha
		}
	}
	return otherwise
}
