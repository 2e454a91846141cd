package registry

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/problem"
)

const head = "| Secret | Kind | Owner | Interval |\n|---|---|---|---|\n"

// Pages made to keep a Markdown or YAML parser busy take at most so many times what an honest one of their size takes.
// What is quadratic takes a hundred times.
func TestHostilePagesAreAnsweredSoon(t *testing.T) {
	const most = 60
	fill := func(s string) string { return strings.Repeat(s, 256<<10/len(s)) }
	least := func(b []byte, honest time.Duration) (took time.Duration, l *problem.List) { // of a few, in processor time: what else a machine does adds little
		took = time.Hour
		for i := 0; i < 3 && took > most*honest; i++ {
			begin := busy(t)
			_, l = lint(b)
			took = min(took, busy(t)-begin)
		}
		return took, l
	}
	honest, _ := least(document(2800, false), 0)
	honest = max(honest, 5*time.Millisecond)
	pages := map[string]string{
		"quotes in each other":  fill(">"),
		"quotes, spaced":        fill("> "),
		"quotes, line by line":  fill(strings.Repeat(">", 99) + "x\n"),
		"lists in each other":   fill("- "),
		"lists, line by line":   fill(strings.Repeat("- ", 49) + "x\n"),
		"indented lists":        strings.Repeat("- a\n"+strings.Repeat(" ", 90)+"- b\n", 2500),
		"open brackets":         head + fill("["),
		"open brackets in cell": head + "| " + fill("[") + " | a | b | c |\n",
		"links in cells":        head + fill("| [a](b [c](d | `x | *a **b | ~~c |\n"),
		"open emphasis":         fill("*a _b "),
		"open code":             fill("`a``b```c"),
		"open HTML":             fill("<a <!-- "),
		"escaped pipes in code": head + fill("| `a\\|b\\|c` | k | @o | 90d |\n"),
		"wide table":            fill("|a") + "\n" + strings.Repeat("|-", 1<<16),
		"wide table, many rows": strings.Repeat("a|", 60) + "\n" + strings.Repeat("-|", 60) + "\n" + fill("a\n"),
		"many tables":           fill("a|b\n-|-\n\n"),
		"references":            fill("[a]: b\n"),
		"many headings":         fill("# a\n"),
		"one long heading":      "# " + fill("`a` *b* "),
		"links in cells, fewer": head + strings.Repeat("| [a](b [c](d | `x | *a **b | ~~c |\n", 5000),
		"empty rows":            head + fill("|\n"),
		"wrong rows":            head + fill("| A | b | c | d |\n"),
		"blocks without rows":   head + "\n" + fill("# x\n```yaml\na: b\n```\n"),
		"one deep block":        head + "| a | secretsmanager | @o | 90d |\n\n# a\n```yaml\n" + fill("[") + "\n```\n",
		"one long block":        head + "| a | secretsmanager | @o | 90d |\n\n# a\n```yaml\n" + fill("- a\n") + "```\n",
		"one block of comments": head + "| a | secretsmanager | @o | 90d |\n\n# a\n```yaml\n" + fill("#\n") + "```\n",
		"open mappings":         head + "| a | secretsmanager | @o | 90d |\n\n# a\n```yaml\n" + fill("{a: ") + "\n```\n",
		"open keys":             head + "| a | secretsmanager | @o | 90d |\n\n# a\n```yaml\n" + fill("? ") + "\n```\n",
		"anchors":               head + "| a | secretsmanager | @o | 90d |\n\n# a\n```yaml\n" + fill("&a ") + "\n```\n",
		"duplicate keys":        head + "| a | secretsmanager | @o | 90d |\n\n# a\n```yaml\n" + fill("a: 1\n") + "```\n",
		"tabs":                  fill("\t"),
		"one line of cells":     head + fill("|a "),
	}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			took, l := least([]byte(page), honest)
			t.Logf("%s, %d problems, an honest page %s", took.Round(time.Millisecond), l.Len(), honest.Round(time.Millisecond))
			if took > most*honest {
				t.Errorf("took %s, an honest page %s", took, honest)
			}
		})
	}
}

// busy is the processor time this process has used.
func busy(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
