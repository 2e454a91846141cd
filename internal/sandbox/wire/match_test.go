package wire_test

import (
	"testing"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

func TestPatternsAreIAMs(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true}, {"", "", true}, {"", "a", false}, {"a*c", "abbc", true}, {"a*c", "abbd", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"arn:*:secret:rekey/dev/*", "arn:aws:secretsmanager:us-east-1:1:secret:rekey/dev/a/b-abc", true}, {"rekey/*", "other/rekey/x", false},
		{"*a*b", "xaxbxab", true}, {"*a*b", "xaxbxa", false}, {"a**", "a", true},
	} {
		if got := wire.Match(c.pattern, c.text); got != c.want {
			t.Errorf("match(%q, %q) is %v", c.pattern, c.text, got)
		}
	}
}
