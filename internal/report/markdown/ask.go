package markdown

import (
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/rotation"
)

const stepWidth = 600 // columns of one thing to do

// Ask is what a person is to do, to be read, and the command line, to be copied; "" for nil.
func Ask(a *rotation.Ask) string {
	if a == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n")
	for i, do := range a.Do {
		fmt.Fprintf(&b, "%d. %s\n", i+1, Cut(do, stepWidth))
	}
	if a.Run != "" {
		b.WriteString("\n" + Code(a.Run) + "\n")
	}
	return b.String()
}
