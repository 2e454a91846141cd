package demo

import (
	"context"
	"fmt"
	"html"
	"regexp"
	"strings"

	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

var asked = regexp.MustCompile(`(?s)<code>(aws secretsmanager [^<]*)</code>`)

// byHand is a secret that only a person can make. Theirs is li-pay, who reads the pull request once an hour, and does what
// it asks.
func byHand() other {
	const stored, value = "rekey/dev/partner-key", "sandbox-only-partner-key-2026"
	var old string
	done := map[string]bool{} // command lines
	return other{kind: "manual", secret: "partner/key", service: "Secrets Manager", target: `
secret: ` + stored + `
steps: [Ask for a new key in the partner's console., Copy it into the file new-value.]
revoke: [Delete the old key in the partner's console.]`,
		stand: func(_ context.Context, s *scene) (err error) {
			old, err = s.AWS.PutByHand(stored, "sandbox-only-partner-key-2025")
			return err
		},
		meanwhile: func(_ context.Context, s *scene) error {
			for _, p := range s.GitHub.Pulls() {
				for _, c := range s.GitHub.Comments(p.Number) {
					for _, m := range asked.FindAllStringSubmatch(c.Body, -1) {
						line := html.UnescapeString(strings.ReplaceAll(m[1], `\_`, "_"))
						if !strings.Contains(line, stored) || done[line] {
							continue
						}
						done[line] = true
						if err := s.AWS.SecretsManager.TypeByHand(sandbox.Home, line, value, s.now()); err != nil {
							return err
						}
					}
				}
			}
			return nil
		},
		says: func(_ context.Context, s *scene) (string, error) {
			v, live, before := s.AWS.Secret(stored), "something else", "is still labelled"
			if v.At(secretsmanager.Current).Text == value {
				live = "what the person stored"
			}
			if len(v.Version(old).Labels) == 0 {
				before = "has no label"
			}
			return fmt.Sprintf("AWSCURRENT is on %s; the version before it %s", live, before), nil
		}}
}
