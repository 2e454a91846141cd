package markdown

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/rastup/rekey/internal/report"
)

// Label is any text as a quoted label of a Mermaid diagram, within a fenced block: cut to width columns, on one line,
// and whatever isn't a letter, a digit, a space or one of . / _ - becomes Mermaid's own escape, #NUMBER; (Mermaid
// documentation, flowcharts, "Entity codes to escape characters"). So no text ends the label, the line or the block, is
// read as a directive (%%{init: ...}%%), as HTML, or as Mermaid's own Markdown.
func Label(s string, width int) string {
	var b strings.Builder
	for _, r := range report.Cut(strings.TrimSpace(report.Line(s)), width) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" ./_-", r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return `"` + b.String() + `"`
}
