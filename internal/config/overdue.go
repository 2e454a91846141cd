package config

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// Overdue says how the daily look for what is due goes.
type Overdue struct {
	// Soon is how long before its date a secret is due soon, and its request is opened. Default: 14d.
	Soon rotation.Duration `json:"soon,omitempty" yaml:"soon"`
	// Still is how long an open rotation may stand still before it is shown as stuck. Default: 3d.
	Still rotation.Duration `json:"still,omitempty" yaml:"still"`
	// Report is the address of the published report, for the status issue. Default: none.
	Report string `json:"report,omitempty" yaml:"report" jsonschema:"pattern=^https://."`
	// Requests says which requests are opened as pull requests for what is due. Default: none are.
	Requests *Requests `json:"requests,omitempty" yaml:"requests"`
	// Escalate says who of escalation is told what stays overdue or stuck, and after how long. Default: the owner alone.
	Escalate *Escalate `json:"escalate,omitempty" yaml:"escalate"`
	// Heartbeat is a metric in CloudWatch that each look puts a value of, so that an alarm outside GitHub notices when the
	// looks stop. Default: none.
	Heartbeat *Heartbeat `json:"heartbeat,omitempty" yaml:"heartbeat"`
}

// Heartbeat is where each look says that it was there: metrics Scans, Overdue and Stuck, without dimensions.
type Heartbeat struct {
	// Namespace of the metrics, like Rekey.
	Namespace string `json:"namespace" yaml:"namespace" rekey:"required"`
	// Region of AWS. Default: the standard configuration's.
	Region string `json:"region,omitempty" yaml:"region"`
	// Role is the ARN of an IAM role that puts the values, and can do nothing else. Default: the credentials that are there.
	Role string `json:"role,omitempty" yaml:"role"`
}

// Check is what the fields' types can't say; see problem.Checker.
func (h *Heartbeat) Check(r *problem.Report) {
	if r.Has("namespace") && (!namespaceName().MatchString(h.Namespace) || strings.HasPrefix(h.Namespace, "AWS/")) {
		r.Add("namespace", "name", "use letters, digits and . - _ / # : not at its beginning, at most 255, and none of AWS's own", "%s can't be a namespace of metrics", problem.Quote(h.Namespace))
	}
	if r.Has("region") && !regionName().MatchString(h.Region) {
		r.Add("region", "value", "write it like us-east-1", "%s isn't an AWS region", problem.Quote(h.Region))
	}
	checkRole(r, "role", h.Role)
}

var namespaceName = lazy(`^[\w.\-/#][\w.\-/#:]{0,254}$`)

// Escalate says how long after its date, or after its rotation got stuck, who is told of a secret besides its owner. Who
// that is stands in escalation.
type Escalate struct {
	// Primary is told after so long. Default: not at all.
	Primary rotation.Duration `json:"primary,omitempty" yaml:"primary"`
	// Secondary is told after so long. Default: not at all.
	Secondary rotation.Duration `json:"secondary,omitempty" yaml:"secondary"`
	// Liaison is who is named there for a tag of the secret, told after so long. Default: not at all.
	Liaison rotation.Duration `json:"liaison,omitempty" yaml:"liaison"`
}

// Check is what the fields' types can't say; see problem.Checker.
func (e *Escalate) Check(r *problem.Report) {
	if *e == (Escalate{}) && !slices.ContainsFunc([]string{"primary", "secondary", "liaison"}, r.Has) {
		r.Add("", "missing-key", "write escalate: {primary: 7d}, or remove it", "escalate names no level: nobody would be told")
	}
	if e.Primary > 0 && e.Secondary > 0 && e.Secondary < e.Primary {
		r.Add("secondary", "value", "make it longer than primary", "secondary would be told before primary")
	}
}

// A Level is who is told of a secret that stays overdue or stuck.
type Level struct {
	Name  string // primary, secondary, liaison
	Who   []string
	After time.Duration
}

// Levels are those to whom a secret with these tags is told in time, the first to be told first.
func (c *Config) Levels(tags []string) (all []Level) {
	e := c.Overdue.Escalate
	if e == nil {
		return nil
	}
	on := c.OnCall("", tags)
	for _, l := range []Level{{"primary", on.Primary, time.Duration(e.Primary)}, {"secondary", on.Secondary, time.Duration(e.Secondary)}, {"liaison", on.Liaison, time.Duration(e.Liaison)}} {
		if len(l.Who) > 0 && l.After > 0 {
			all = append(all, l)
		}
	}
	slices.SortStableFunc(all, func(a, b Level) int { return cmp.Compare(a.After, b.After) })
	return all
}

// checkLevels holds the levels against escalation.
func (c *Config) checkLevels(r *problem.Report) {
	if c.Overdue.Escalate == nil {
		return
	}
	var on Escalation
	if c.Escalation != nil {
		on = *c.Escalation
	}
	for _, l := range []struct {
		name, like string
		after      rotation.Duration
		who        int
	}{
		{"primary", `["@rastup/security-oncall"]`, c.Overdue.Escalate.Primary, len(on.Primary)},
		{"secondary", `["@rastup/platform-sre"]`, c.Overdue.Escalate.Secondary, len(on.Secondary)},
		{"liaison", `{pci: ["@rastup/audit"]}`, c.Overdue.Escalate.Liaison, len(on.Liaison)},
	} {
		if l.after > 0 && l.who == 0 {
			r.Add("overdue.escalate."+l.name, "value", "write escalation: {"+l.name+": "+l.like+"}, or remove it", "nobody is named as %s: there would be nobody to tell", l.name)
		}
	}
}

// Requests says how requests for what is due are opened.
type Requests struct {
	// Limit is how many of them may be open at a time. Default: 10.
	Limit int `json:"limit,omitempty" yaml:"limit" jsonschema:"minimum=1,maximum=100"`
	// Group is secret, a pull request for each, or owner, one for all that an owner has due. Default: secret.
	Group string `json:"group,omitempty" yaml:"group" jsonschema:"enum=secret,enum=owner"`
	// Ticket is the standing approval ticket that they name. Default: none; whoever merges one writes it in.
	Ticket string `json:"ticket,omitempty" yaml:"ticket"`
}

// MostOpen is the limit, or its default.
func (r *Requests) MostOpen() int {
	if r.Limit == 0 {
		return 10
	}
	return r.Limit
}
