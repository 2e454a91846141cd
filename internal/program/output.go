package program

import (
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/problem"
)

const (
	quotedLines = 10  // quoted in text
	lineWidth   = 200 // characters of each
)

// Kept is what is kept of a program's output, and its last lines for text. While the redactor knows a value
// that is too short to be found in text, nothing is shown that may hold it.
func (at Place) Kept(output []byte) (file []byte, lines string) {
	if n := at.Redact.TooShort(); n > 0 {
		why := fmt.Sprintf("output withheld: %d of the secrets known here have fewer characters than can be told from ordinary text, and it might hold them", n)
		return []byte(why + "\n"), "; " + why
	}
	// Once more: values that another rotation of this process learned while the program ran.
	file = at.Redact.Bytes(output)
	// And the lines, since taking out colours may have joined what was apart.
	return file, at.Redact.String(last(string(file)))
}

// last is the last lines as they can stand in any text: no control character, and none at the beginning of a
// line, where a job's log would take it for a command.
func last(out string) string {
	var kept []string
	all := strings.Split(out, "\n")
	for i := len(all) - 1; i >= 0 && len(kept) < quotedLines; i-- {
		line := strings.TrimRight(all[i], " \t\r")
		if at := strings.LastIndexByte(line, '\r'); at >= 0 { // a progress line, drawn again and again
			line = line[at+1:]
		}
		if line = problem.Plain(plain(line)); line == "" {
			continue
		}
		if r := []rune(line); len(r) > lineWidth {
			line = string(r[:lineWidth]) + "…"
		}
		kept = append([]string{"\n| " + line}, kept...)
	}
	if len(kept) == 0 {
		return "; no output"
	}
	return "; last lines:" + strings.Join(kept, "")
}

// plain takes out colours and tabs.
func plain(line string) string {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == 0x1b && i+1 < len(line) && line[i+1] == '[':
			for i += 2; i < len(line) && (line[i] < '@' || line[i] > '~'); i++ {
			}
		case c == '\t':
			b.WriteString("    ")
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
