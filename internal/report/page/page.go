// Package page owns a pull request's page as one file: HTML that looks like the page people know, and the same as
// Markdown. It is for demonstrations and archives: what was said, by whom and when, with nothing to load.
//
// It must never let what people wrote become more than GitHub makes of it: of raw HTML only the few elements that
// comments are made of, no scripts, no resources from anywhere.
package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
)

// A Page is a pull request as it stands.
type Page struct {
	Repository  string // owner/name
	Number      int
	Title       string
	State       State
	Author      string
	Branch      string // of the head
	Base        string
	Description string // Markdown
	At          time.Time
	Files       []File
	Timeline    []Event // in order of time
}

// A State of a pull request.
type State string

const (
	Open   State = "open"
	Merged State = "merged"
	Closed State = "closed"
)

// A File is one of the changed files.
type File struct {
	Path string
	Text string // as the pull request has it
}

// A What is what an event is.
type What string

const (
	Committed What = "commit"
	Commented What = "comment"
	Edited    What = "edited comment" // one that was edited since: At is when it was written, Last when it was changed
	Approved  What = "review approved"
	Requested What = "changes requested"
	Merge     What = "merge"
	Close     What = "close"
	Deployed  What = "deployment approved" // in Title's environment
	Rejected  What = "deployment rejected"
	Ran       What = "run" // of a workflow
	Other     What = "other"
)

// An Event is one thing of the timeline.
type Event struct {
	What  What
	At    time.Time
	Last  time.Time // of Edited
	By    string    // login
	Bot   bool
	Title string // commit: its message; run: its name and outcome; deployment: the environment
	Body  string // Markdown: of comments, and what reviewers said
}

// says is what an event's line tells, after who did it.
func (e Event) says() string {
	return map[What]string{
		Committed: "committed", Commented: "commented", Edited: "commented", Approved: "approved these changes",
		Requested: "requested changes", Merge: "merged this pull request", Close: "closed this pull request",
		Deployed: "approved the deployment to", Rejected: "rejected the deployment to", Ran: "ran", Other: "",
	}[e.What]
}

func stamp(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") }

// Markdown is the page as Markdown. Comments stand in it as they were written.
func Markdown(p Page) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s #%d\n\n", markdown.Text(p.Title), p.Number)
	fmt.Fprintf(&b, "%s · %s wants %s in %s · %s\n\n%s\n", p.State, markdown.Name(p.Author), markdown.Code(p.Branch), markdown.Code(p.Base),
		markdown.Text(p.Repository), strings.TrimSpace(p.Description))
	for _, f := range p.Files {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", markdown.Code(f.Path), fenced(f.Text))
	}
	b.WriteString("\n## Timeline\n")
	for _, e := range p.Timeline {
		fmt.Fprintf(&b, "\n---\n\n%s", strings.TrimSpace(fmt.Sprintf("**%s** %s", markdown.Name(e.By), e.says())))
		if e.Title != "" {
			fmt.Fprintf(&b, " %s", markdown.Text(e.Title))
		}
		fmt.Fprintf(&b, " · %s", stamp(e.At))
		if e.What == Edited {
			fmt.Fprintf(&b, ", edited %s", stamp(e.Last))
		}
		b.WriteString("\n")
		if body := strings.TrimSpace(e.Body); body != "" {
			fmt.Fprintf(&b, "\n%s\n", body)
		}
	}
	return []byte(b.String())
}

// fenced is text as a block of code, by a fence that isn't in it.
func fenced(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	var lines []string
	for l := range strings.Lines(text) {
		lines = append(lines, report.Line(l))
	}
	return fence + "\n" + strings.Join(lines, "\n") + "\n" + fence
}
