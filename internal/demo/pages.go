package demo

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/report/page"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

// pages leaves the pull request behind, and the incidents.
func (t *teller) pages() error {
	p := t.page()
	t.shown = append(t.shown, t.pull)
	if err := t.leave(fmt.Sprintf("pull-request-%d.md", t.pull), page.Markdown(p), 0o644); err != nil {
		return err
	}
	if err := t.leave(fmt.Sprintf("pull-request-%d.html", t.pull), page.HTML(p), 0o644); err != nil {
		return err
	}
	for _, i := range t.incidents() {
		if err := t.leave(fmt.Sprintf("issue-%d.md", i.Number), t.issue(i), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// page is the pull request as it stands, with the runs that rotated something.
func (t *teller) page() page.Page {
	pulls := t.GitHub.Pulls()
	pull := pulls[slices.IndexFunc(pulls, func(p github.Pull) bool { return p.Number == t.pull })]
	p := page.Page{Repository: town.Repository, Number: t.pull, Title: pull.Title, State: page.Open, Author: pull.Author, Branch: pull.Branch,
		Base: pull.Base, Description: pull.Body, At: t.timeline[0].At, Files: t.files, Timeline: slices.Clone(t.timeline)}
	if pull.Merged {
		p.State = page.Merged
	}
	for _, c := range t.GitHub.Comments(t.pull) {
		e := page.Event{What: page.Commented, At: c.CreatedAt, By: c.Author, Bot: strings.HasSuffix(c.Author, "[bot]"), Body: c.Body}
		if !c.UpdatedAt.Equal(c.CreatedAt) {
			e.What, e.Last = page.Edited, c.UpdatedAt
		}
		p.Timeline = append(p.Timeline, e)
	}
	for _, name := range []string{"rotation-plan.yml", "rotate.yml"} {
		for _, r := range t.GitHub.Runs(name) {
			if name == "rotate.yml" && !t.runs[r.ID] || r.CreatedAt.Before(p.At) {
				continue
			}
			p.Timeline = append(p.Timeline, ran(r))
		}
	}
	slices.SortStableFunc(p.Timeline, func(a, b page.Event) int { return a.At.Compare(b.At) })
	return p
}

// signs are how jobs and runs ended, in a character.
var signs = map[string]string{"success": "✔", "failure": "✘", "cancelled": "⊘"}

// ran is a run as an event: what started it, and how its jobs ended.
func ran(r github.Run) page.Event {
	var jobs []string
	for _, j := range r.Jobs {
		if j.Conclusion != "skipped" {
			jobs = append(jobs, j.Name+" "+or(signs[j.Conclusion], j.Status))
		}
	}
	return page.Event{What: page.Ran, At: r.CreatedAt, By: r.Actor, Title: fmt.Sprintf("%s, run %d (%s): %s", strings.TrimSuffix(r.Workflow, ".yml"), r.Number,
		strings.ReplaceAll(r.Event, "_", " "), strings.Join(jobs, ", "))}
}

// issue is an issue and what was said on it.
func (t *teller) issue(i github.Issue) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s #%d\n\n%s · %s · assigned to %s · opened by %s · %s\n\n%s\n", i.Title, i.Number, i.State, strings.Join(i.Labels, ", "),
		or(strings.Join(i.Assignees, ", "), "nobody"), i.Author, stamp(i.CreatedAt), strings.TrimSpace(i.Body))
	for _, c := range t.GitHub.Comments(i.Number) {
		fmt.Fprintf(&b, "\n---\n\n**%s** commented · %s\n\n%s\n", c.Author, stamp(c.CreatedAt), strings.TrimSpace(c.Body))
	}
	return []byte(b.String())
}

func stamp(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") }

var (
	command = regexp.MustCompile(`^::([a-z-]+)(?: [^:]*)?::(.*)$`)
	unsafe  = regexp.MustCompile(`[^A-Za-z0-9.-]+`)
	decoded = strings.NewReplacer("%0A", "\n", "%0D", "", "%25", "%")
)

// keep leaves a job's log behind, its commands as the runner shows them.
func (t *teller) keep(s workflow.Step, text string, err error) {
	var b strings.Builder
	token := ""
	for l := range strings.Lines(text) {
		m := command.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
		switch {
		case token != "" && m != nil && m[1] == strings.ToLower(token), strings.TrimSpace(l) == "::"+token+"::":
			token = ""
		case m == nil || token != "":
			b.WriteString(l)
		case m[1] == "stop-commands":
			token = m[2]
		case m[1] == "endgroup":
		case m[1] == "add-mask":
		default:
			fmt.Fprintf(&b, "##[%s]%s\n", m[1], decoded.Replace(m[2]))
		}
	}
	fmt.Fprintf(&b, "exit status %d\n", map[bool]int{true: 1}[err != nil])
	r, _ := t.GitHub.Run(s.Run)
	folder := fmt.Sprintf("%s-%s-%d", r.CreatedAt.UTC().Format("2006-01-02-1504"), strings.TrimSuffix(s.Workflow, ".yml"), r.Number)
	name := path.Join("runs", folder, strings.Trim(unsafe.ReplaceAllString(s.JobName, "-"), "-")+".log")
	if err := t.leave(name, []byte(b.String()), 0o644); err != nil {
		t.failed = err
	}
}
