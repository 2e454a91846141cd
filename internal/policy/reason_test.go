package policy_test

import (
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/policy"
)

func TestAReasonTellsAReviewerSomething(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"   urgent     ":                "",
		"a\nb\tc             ":          "",
		strings.Repeat("because ", 63):  "",
		" the key is public\n since 3 ": "the key is public since 3",
		"leaked: \x1b[2J in a log":      `leaked: \u001b[2J in a log`,
	} {
		got, err := policy.Reason(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
