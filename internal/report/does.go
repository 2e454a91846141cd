package report

import (
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// Does says what a step is for, by the names every recipe uses.
func Does(s rotation.Step) string {
	if strings.HasPrefix(s.Uses, "consumer/") && s.Name == "preflight" {
		return s.Uses + " is looked at: how it stands, and whether it can take the new credential up"
	}
	if text := map[string]string{
		"preflight":    "looks, changes nothing: target, permissions, nothing half-done by others",
		"discover":     "finds who uses the secret, as far as that can be seen, and how the registry differs",
		"baseline":     s.Uses + " must be green before anything is changed",
		"create":       "makes the new credential and stores it as pending",
		"set":          "lets the target system accept the new credential too",
		"test":         "proves the new credential before anyone depends on it",
		"promote":      "makes the new credential the live one; the old one is kept",
		"deploy":       s.Uses + " takes the new credential up",
		"validate":     s.Uses + " must be green with the new credential",
		"accepted":     "every processor takes the new secret",
		"adopted":      "nobody uses the old credential any more",
		"disable":      "switches the old credential off, reversibly",
		"decommission": "removes the old credential",
		"revoked":      "waits for a person to revoke the old credential where it was issued",
		"refused":      "tries the old credential: it must be refused",
		"enable":       "switches the old credential on again",
		"restore":      "makes the old credential the live one again",
		"discard":      "removes the new credential, or keeps and reports it",
	}[s.Name]; s.Lapse > 0 {
		return text + "; waited for " + Span(time.Duration(s.Lapse)) + " at most, by policy"
	} else if s.Name == "create" && s.Ask != nil {
		return "waits for a person to make the new credential and store it as pending"
	} else if text != "" && (s.Phase != rotation.Rollback || s.Name == "enable" || s.Name == "restore" || s.Name == "discard") {
		return text
	}
	if s.Phase == rotation.Rollback && s.Name == "back" {
		return s.Uses + " takes the old credential up again"
	}
	if s.Phase == rotation.Rollback && s.Name == "validate" {
		return s.Uses + " must be green with the old credential"
	}
	return s.Name + " of " + s.Uses
}

// Kept is how long the old credential stays after it was replaced, by the plan: until its step end may begin.
func Kept(p *rotation.Plan, end rotation.Step) (d time.Duration) {
	key := end.Key
	for range p.Steps { // a step comes after one before it: no longer than the plan
		s, ok := p.Step(key)
		if !ok {
			break
		}
		d, key = d+time.Duration(s.Delay), s.After
	}
	return d
}
