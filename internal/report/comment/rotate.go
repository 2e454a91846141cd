package comment

import (
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
)

// A Proposed is what the pull request of a want says beside it.
type Proposed struct {
	Consumers map[string][]string // by secret: "prod: ecs web", as the registry has them
	Windows   []string            // environments whose window the file proposes: the times stand there, and change with it
	Ticket    string              // that the file names; "" whoever merges it writes one in
	Silent    bool                // the bot's token starts no workflows: checks don't run by themselves
}

// A Rotate is the marker of such a pull request.
type Rotate struct {
	Key string `json:"key"` // of what it is about: overdue.Want.Key
}

// Rotation is the pull request that asks for what is due. Its text has dates, and counts no days: it changes only when
// something has.
func Rotation(w overdue.Want, p Proposed) (title, body string) {
	first := w.Secrets[0]
	title = "Rotate " + report.Cut(report.Line(first.Secret), nameWidth)
	if n := len(w.Secrets); n > 1 {
		title += fmt.Sprintf(" and %d more", n-1)
	}
	title += ": " + string(first.State)
	d := &document{marker: marker(rotateMarker, Rotate{w.Key()})}
	d.add(0, people([]string{w.Owner}, true)+": merge this to rotate "+report.Count(len(w.Secrets), "secret")+". Nothing happens before; each environment asks for its own approval then.")
	var b strings.Builder
	b.WriteString("| secret | state | due | why we think so | consumers |\n|---|---|---|---|---|\n")
	used := Size(d.String()) + 2000
	for i, s := range w.Secrets {
		why := "of unknown age"
		if s.Age != nil {
			why = markdown.Cut(s.Age.Text, lineWidth)
			if s.Age.Text == "" {
				why = fmt.Sprintf("%s, says the %s", s.Age.Since.UTC().Format(time.DateOnly), map[overdue.Source]string{overdue.Live: "service", overdue.Evidence: "journal", overdue.Registry: "registry"}[s.Age.Source])
			}
		}
		if strings.HasPrefix(s.Why, "marked") {
			why = markdown.Cut(s.Why, lineWidth)
		}
		line := row(name(s.Secret), string(s.State), s.Due.UTC().Format(time.DateOnly), why+labelled("; interval", s.Interval.String()), markdown.Cut(strings.Join(p.Consumers[s.Secret], "; "), lineWidth))
		if used += Size(line); used > Most {
			fmt.Fprintf(&b, "\nand %d more: see the file\n", len(w.Secrets)-i)
			break
		}
		b.WriteString(line)
	}
	d.add(0, b.String())
	if len(p.Windows) > 0 {
		d.add(1, "Proposed windows, to be changed in the file: "+markdown.Cut(strings.Join(p.Windows, "; "), lineWidth)+".")
	}
	if p.Ticket == "" {
		d.add(0, "**Your move:** write the approval ticket into the file; `lint` says so until it is there.")
	}
	if p.Silent {
		d.add(2, "<sub>This was opened with the workflow's own token, which starts no workflows: close and open it again to have its checks run. A GitHub App's token does that by itself.</sub>")
	}
	d.add(2, "<sub>Close it, and it isn't opened again until what it says changes. It closes by itself when it is no longer needed.</sub>")
	return title, d.within(Most)
}

// ParseRotation says whether body is such a pull request's, and what it is about.
func ParseRotation(body string) (about Rotate, ok bool) {
	ok = parse(body, rotateMarker, &about) && about.Key != ""
	return about, ok
}

const rotationClosed = "<!-- rekey:rotate-closed -->"

// RotationClosed is a pull request's text when the bot closes it.
func RotationClosed(body, why string) string {
	if IsRotationClosed(body) {
		return body
	}
	return strings.TrimRight(body, "\n") + "\n\n**Closed by Rekey:** " + markdown.Cut(why, lineWidth) + ".\n\n" + rotationClosed + "\n"
}

// IsRotationClosed says whether the bot closed it, not a person.
func IsRotationClosed(body string) bool {
	return strings.HasSuffix(strings.TrimRight(strings.ReplaceAll(body, "\r\n", "\n"), "\n "), rotationClosed)
}
