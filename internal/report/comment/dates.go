package comment

import (
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
)

// A Change is one date of the registry that the journal knows better.
type Change struct {
	Secret   string
	File     string    // the registry's
	Was      time.Time // zero: it had none
	Is       time.Time // when the last rotation was validated in its last environment
	Rotation string    // that rotation
}

// Dates is the pull request that brings the registry's dates up to date. The body begins with its marker.
func Dates(changes []Change) (title, body string) {
	d := &document{marker: marker(datesMarker, struct{}{})}
	d.add(0, "The journal knows later dates than the registry. This pull request changes the column **Last rotated** of "+
		report.Count(len(changes), "row")+" and nothing else; it is kept up to date until it is merged.")
	var b strings.Builder
	b.WriteString("| secret | was | is | by | file |\n|---|---|---|---|---|\n")
	used := Size(d.String()) + Size(b.String()) + 200
	for i, c := range changes {
		was := "none"
		if !c.Was.IsZero() {
			was = c.Was.UTC().Format(time.DateOnly)
		}
		line := row(name(c.Secret), was, c.Is.UTC().Format(time.DateOnly), name(c.Rotation), markdown.Code(report.Cut(report.Line(c.File), nameWidth)))
		if used += Size(line); used > Most {
			fmt.Fprintf(&b, "\nand %d more: see the files changed\n", len(changes)-i)
			break
		}
		b.WriteString(line)
	}
	d.add(0, b.String())
	return "Registry: dates of " + report.Count(len(changes), "rotation"), d.String()
}
