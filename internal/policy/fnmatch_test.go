package policy

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"main", "main", true},
		{"main", "Main", false},
		{"", "", true},
		{"", "main", false},
		{"m*n", "main", true},
		{"*", "main", true},
		{"*", "release/1", false},
		{"release/*", "release/1", true},
		{"release/*", "release/1/2", false},
		{"release/*/*", "release/1/2", true},
		{"**", "release/1", false},
		{"**/*", "main", true},
		{"**/*", "a/b/c", true},
		{"a/**/c", "a/c", true},
		{"a/**/c", "a/b/b/c", true},
		{"a/**/c", "a/bc", false},
		{"a**/c", "a/c", true},
		{"a**/c", "ab/x/c", false},
		{"mai?", "main", true},
		{"mai?", "mai/", false},
		{"m?in", "mäin", true},
		{"mai[a-n]", "main", true},
		{"mai[!n]", "main", false},
		{"mai[^x]", "main", true},
		{"a[/]b", "a/b", false},
		{"a[!x]b", "a/b", false},
		{"mai[n", "mai[n", true},
		{`mai\n`, "main", true},
		{`\*`, "*", true},
		{`\*`, "x", false},
		{`x\`, `x\`, true},
		{"[]x]", "]", true},
		{strings.Repeat("*a", 40) + "b", strings.Repeat("a", 200), false},
		{"main", "main2", false},
		{"main2", "main", false},
	} {
		if got := match(c.pattern, c.name); got != c.want {
			t.Errorf("%q, %q: %v", c.pattern, c.name, got)
		}
	}
}

func TestLiteral(t *testing.T) {
	for pattern, want := range map[string]string{"main": "main", `m\ain`: "main", "mai[n]": "main", "a/b": "a/b",
		"*": "", "main*": "", "mai?": "", "mai[mn]": "", "mai[!x]": "", "{main,x}": "", "**/main": "", "a[/]": ""} {
		if got, ok := literal(pattern); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", pattern, got, ok)
		}
	}
}

// Whatever the pattern: it ends, and a pattern that is said to mean one branch lets that one deploy and no other.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"main", "*", "**/x", "[a-z]", `\`, "[!]", "{a,b}", "rele?se/**"} {
		f.Add(s, "main")
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got := match(pattern, name)
		one, ok := literal(pattern)
		if ok && (!match(pattern, one) || got != (name == one)) {
			t.Errorf("%q is said to mean %q only; matches %q: %v", pattern, one, name, got)
		}
		if !strings.ContainsAny(pattern, `*?[\`) && got != (pattern == name) {
			t.Errorf("%q has nothing special in it and matches %q: %v", pattern, name, got)
		}
	})
}
