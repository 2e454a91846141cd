// Package config owns the house rules, .github/rekey.yml: environments, evidence, policy and the checks that
// hold for every secret. It decides nothing about a rotation and reads no file by itself.
package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// Config is the house rules of a repository.
type Config struct {
	// Registry names the Markdown files that list the secrets; * stands for any part of one name.
	// Default: ops/config/registry.md.
	Registry []string `json:"registry,omitempty" yaml:"registry"`
	// Requests is the folder of the rotation requests. Default: rotations.
	Requests string `json:"requests,omitempty" yaml:"requests"`
	// Environments in the order in which a rotation goes through them.
	Environments []Environment `json:"environments" yaml:"environments" rekey:"required"`
	// Evidence says where the journal lies, which nobody can alter.
	Evidence Evidence `json:"evidence" yaml:"evidence" rekey:"required"`
	// Policy is what every request must keep.
	Policy Policy `json:"policy,omitzero" yaml:"policy"`
	// ChecksAsWritten are smoke checks for every secret: one check, and optionally its name and the
	// environments it is for.
	ChecksAsWritten []*problem.Node `json:"checks,omitempty" yaml:"checks"`

	// Checks is ChecksAsWritten, read.
	Checks []Check `json:"-" yaml:"-"`
	// File is where the configuration stands.
	File string `json:"-" yaml:"-"`
}

// An Environment is one place where secrets live.
type Environment struct {
	// Name in registry and requests: a-z, 0-9 and hyphens.
	Name string `json:"name" yaml:"name" rekey:"required" jsonschema:"pattern=^[a-z0-9][a-z0-9-]*$"`
	// Region of AWS. Default: the standard configuration's.
	Region string `json:"region,omitempty" yaml:"region"`
	// Role is the ARN of the IAM role that rotates. Default: the credentials that are there.
	Role string `json:"role,omitempty" yaml:"role"`
	// Hours are the times of the week at which a phase may start. Default: any time.
	Hours *Hours `json:"hours,omitempty" yaml:"hours"`
	// Window says that a request must name a window for this environment. It is waived for reason compromise.
	Window string `json:"window,omitempty" yaml:"window" jsonschema:"enum=required"`
}

// Hours are the times of the week at which a phase may start.
type Hours struct {
	// Days like mon-fri or mon,wed,fri.
	Days calendar.Days `json:"days" yaml:"days" rekey:"required"`
	// From is when they begin, like "09:00".
	From calendar.Clock `json:"from" yaml:"from" rekey:"required"`
	// To is when they end; before From it is on the next day.
	To calendar.Clock `json:"to" yaml:"to" rekey:"required"`
	// Zone is a time zone's IANA name, like Europe/Berlin.
	Zone calendar.ZoneName `json:"zone" yaml:"zone" rekey:"required"`
}

// Rotation is the hours as a plan holds them; nil for nil.
func (h *Hours) Rotation() *rotation.Hours {
	if h == nil {
		return nil
	}
	return &rotation.Hours{Days: h.Days, From: string(h.From), To: string(h.To), Zone: string(h.Zone)}
}

// Evidence says where the journal lies.
type Evidence struct {
	// Store is s3://BUCKET, s3://BUCKET/PREFIX or file://DIR.
	Store string `json:"store" yaml:"store" rekey:"required" jsonschema:"pattern=^(s3|file)://."`
	// Region of the bucket. Default: the standard configuration's.
	Region string `json:"region,omitempty" yaml:"region"`
	// Role is the ARN of the IAM role that writes evidence. Default: the credentials that are there.
	Role string `json:"role,omitempty" yaml:"role"`
	// Lock keeps every object from being changed or deleted. A bucket must have it, a folder can't.
	Lock *Lock `json:"lock,omitempty" yaml:"lock"`
	// LogGroup of CloudWatch Logs that gets a copy of every record. Default: no copy.
	LogGroup string `json:"log_group,omitempty" yaml:"log_group"`
}

// Lock is S3 Object Lock.
type Lock struct {
	// Mode: COMPLIANCE can be lifted by nobody, GOVERNANCE by those with a special right.
	Mode string `json:"mode" yaml:"mode" rekey:"required" jsonschema:"enum=COMPLIANCE,enum=GOVERNANCE"`
	// Retain is how long, like 7y.
	Retain calendar.Interval `json:"retain" yaml:"retain" rekey:"required"`
}

// Bucket is the bucket and prefix of an s3:// store; the prefix has no slash at its ends.
func (e Evidence) Bucket() (bucket, prefix string, ok bool) {
	rest, ok := strings.CutPrefix(e.Store, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	return bucket, strings.Trim(prefix, "/"), ok
}

// Dir is the folder of a file:// store, relative to the working directory unless it begins with a slash.
func (e Evidence) Dir() (dir string, ok bool) { return strings.CutPrefix(e.Store, "file://") }

// Policy is what every request must keep.
type Policy struct {
	// Ticket is a regular expression (RE2) that the whole approval ticket must match. Default: anything.
	Ticket string `json:"ticket,omitempty" yaml:"ticket"`
	// Retain is how long the old credential is kept where a request doesn't say. Default: 48h.
	Retain rotation.Duration `json:"retain,omitempty" yaml:"retain"`
	// RetainLeast is the least a request may ask for, except for reason compromise. Default: 48h.
	RetainLeast rotation.Duration `json:"retain_least,omitempty" yaml:"retain_least"`
	// StartWithin is how long after the date in its name a request may still begin. Default: 30d.
	StartWithin rotation.Duration `json:"start_within,omitempty" yaml:"start_within"`
}

// TicketMatches says whether the whole of ticket is what the policy asks for.
func (p Policy) TicketMatches(ticket string) bool {
	if p.Ticket == "" {
		return ticket != ""
	}
	if _, err := regexp.Compile(p.Ticket); err != nil { // alone: "a)|(b" becomes valid between other parentheses
		return false
	}
	re, err := regexp.Compile(`\A(?:` + p.Ticket + `)\z`)
	return err == nil && re.MatchString(ticket)
}

// A Check is a smoke check for every secret.
type Check struct {
	Use
	Environments []string // nil: all
}

// Environment finds an environment by name.
func (c *Config) Environment(name string) (*Environment, bool) {
	for i := range c.Environments {
		if c.Environments[i].Name == name {
			return &c.Environments[i], true
		}
	}
	return nil, false
}

// Names are the environments' names, in order.
func (c *Config) Names() []string {
	names := make([]string, len(c.Environments))
	for i, e := range c.Environments {
		names[i] = e.Name
	}
	return names
}

// ChecksOf are the smoke checks of an environment, in the order written.
func (c *Config) ChecksOf(environment string) (uses []Use) {
	for _, check := range c.Checks {
		if check.Environments == nil || slices.Contains(check.Environments, environment) {
			uses = append(uses, check.Use)
		}
	}
	return uses
}
