package registry

import (
	"strings"
	"testing"
	"time"
)

const head = "| Secret | Kind | Owner | Interval |\n|---|---|---|---|\n"

// Pages of a megabyte, made to keep a Markdown or YAML parser busy, must be answered as soon as honest ones.
func TestHostilePagesAreAnsweredSoon(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, (1<<20-2000)/len(s)) }
	pages := map[string]string{
		"quotes in each other":  fill(">"),
		"quotes, spaced":        fill("> "),
		"quotes, line by line":  fill(strings.Repeat(">", 99) + "x\n"),
		"lists in each other":   fill("- "),
		"lists, line by line":   fill(strings.Repeat("- ", 49) + "x\n"),
		"indented lists":        strings.Repeat("- a\n"+strings.Repeat(" ", 90)+"- b\n", 10000),
		"open brackets":         head + fill("["),
		"open brackets in cell": head + "| " + fill("[") + " | a | b | c |\n",
		"links in cells":        head + fill("| [a](b [c](d | `x | *a **b | ~~c |\n"),
		"open emphasis":         fill("*a _b "),
		"open code":             fill("`a``b```c"),
		"open HTML":             fill("<a <!-- "),
		"escaped pipes in code": head + fill("| `a\\|b\\|c` | k | @o | 90d |\n"),
		"wide table":            fill("|a") + "\n" + strings.Repeat("|-", 1<<18),
		"wide table, many rows": strings.Repeat("a|", 60) + "\n" + strings.Repeat("-|", 60) + "\n" + fill("a\n"),
		"many tables":           fill("a|b\n-|-\n\n"),
		"references":            fill("[a]: b\n"),
		"many headings":         fill("# a\n"),
		"one long heading":      "# " + fill("`a` *b* "),
		"links in cells, fewer": head + strings.Repeat("| [a](b [c](d | `x | *a **b | ~~c |\n", 8000),
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
			begin := time.Now()
			_, l := lint([]byte(page))
			took := time.Since(begin)
			t.Logf("%s, %d problems", took.Round(time.Millisecond), l.Len())
			if took > 20*time.Second {
				t.Errorf("took %s", took)
			}
			begin = time.Now()
			if n := len(l.String()); n > 64<<20 {
				t.Errorf("%d bytes of problems", n)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("sorting took %s", took)
			}
		})
	}
}
