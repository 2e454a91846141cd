package sandbox

import (
	"net/http"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// A rule is one statement of an identity's policy.
type rule struct {
	allow                       bool
	principal, action, resource string
}

// Deny refuses what matches, explicitly. principal is the ARN of a user, role or session, or "*"; action and
// resource may hold IAM's wildcards (* crosses "/" and ":").
func (w *World) Deny(principal, action, resource string) {
	w.addRule(rule{false, principal, action, resource})
}

// Allow permits what matches. A principal without any Allow of its own may do everything; with one, only that.
func (w *World) Allow(principal, action, resource string) {
	w.addRule(rule{true, principal, action, resource})
}

// Permit takes back every Deny with exactly these words.
func (w *World) Permit(principal, action, resource string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var left []rule
	for _, r := range w.rules {
		if r != (rule{false, principal, action, resource}) {
			left = append(left, r)
		}
	}
	w.rules = left
}

func (w *World) addRule(r rule) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules = append(w.rules, r)
}

// decide answers as IAM's simulator words it: allowed, explicitDeny, implicitDeny.
func (w *World) decide(who wire.Identity, action, resource string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	restricted, allowed := false, false
	for _, r := range w.rules {
		if !wire.Match(r.principal, who.ARN) && !(who.Role != "" && wire.Match(r.principal, who.Role)) {
			continue
		}
		hit := wire.Match(strings.ToLower(r.action), strings.ToLower(action)) && wire.Match(r.resource, resource)
		if hit && !r.allow {
			return "explicitDeny"
		}
		restricted = restricted || r.allow
		allowed = allowed || hit && r.allow
	}
	if restricted && !allowed {
		return "implicitDeny"
	}
	return "allowed"
}

// may refuses in the service's own words.
func (w *World) may(service string, who wire.Identity, action, resource string) error {
	decision := w.decide(who, action, resource)
	if decision == "allowed" {
		return nil
	}
	reason := "with an explicit deny in an identity-based policy"
	if decision == "implicitDeny" {
		reason = "because no identity-based policy allows the " + action + " action"
	}
	e := &wire.Error{Status: http.StatusBadRequest, Code: "AccessDeniedException"}
	switch service {
	case "s3":
		e.Status, e.Code, resource = http.StatusForbidden, "AccessDenied", `"`+resource+`"`
	case "lambda":
		e.Status = http.StatusForbidden
	case "sts", "iam", "rds", "monitoring":
		e.Status, e.Code = http.StatusForbidden, "AccessDenied"
	}
	e.Message = "User: " + who.ARN + " is not authorized to perform: " + action + " on resource: " + resource + " " + reason
	return e
}
