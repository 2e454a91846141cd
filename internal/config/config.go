// Package config owns the house rules, .github/rekey.yml: environments, evidence, policy and the checks that
// hold for every secret. It decides nothing about a rotation and reads no file by itself.
package config

import (
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

	// Tickets says where approval tickets are kept.
	Tickets *Tickets `json:"tickets,omitempty" yaml:"tickets"`
	// Escalation says who is called when a rotation needs a person. Default: the secret's owner alone.
	Escalation *Escalation `json:"escalation,omitempty" yaml:"escalation"`
	// Notifications are places outside GitHub that are told of incidents.
	Notifications []Notification `json:"notifications,omitempty" yaml:"notifications"`

	// Overdue says how the daily look for what is due goes.
	Overdue Overdue `json:"overdue,omitzero" yaml:"overdue"`

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
	// GitHubEnvironment is the GitHub Environment whose job rotates here. Default: rekey- and the name.
	GitHubEnvironment string `json:"github_environment,omitempty" yaml:"github_environment"`
	// ContinueEnvironment is the GitHub Environment, without reviewers and for the default branch only, in which what
	// was approved goes on later: retention, windows, recovery. Default: every visit asks again.
	ContinueEnvironment string `json:"continue_environment,omitempty" yaml:"continue_environment"`
	// Approval says who is asked before a rotation begins here. Default: required, a reviewer of the GitHub
	// Environment; review lets the reviews of the request stand for it, none asks nobody.
	Approval string `json:"approval,omitempty" yaml:"approval" jsonschema:"enum=required,enum=review,enum=none"`
	// Severity labels the incident of a rotation that failed here. Default: SEV2.
	Severity string `json:"severity,omitempty" yaml:"severity" jsonschema:"enum=SEV1,enum=SEV2,enum=SEV3,enum=SEV4"`
	// Entry is the ARN of an IAM role that a workflow's OIDC token is exchanged for; Role is then assumed from it
	// with the operator as source identity. Default: the token is exchanged for Role itself.
	Entry string `json:"entry,omitempty" yaml:"entry"`
	// Preview is the ARN of an IAM role that only reads metadata, for the live preflight of pull requests and the daily
	// look. Default: pull requests have none, and nothing looks how old what is live is.
	Preview string `json:"preview,omitempty" yaml:"preview"`
}

// Who is asked before a rotation begins in an environment.
const (
	ApprovalRequired = "required" // a reviewer of its GitHub Environment
	ApprovalReview   = "review"   // nobody again: the reviews of the request stand
	ApprovalNone     = "none"     // nobody
)

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
	// Reader is the ARN of an IAM role that only reads evidence, for jobs that rotate nothing. Default: Role.
	Reader string `json:"reader,omitempty" yaml:"reader"`
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
	// AdoptionWait is how long after its retention an old credential waits for services and sessions that still use it,
	// before it goes all the same: then they fail. A KMS key that is still used is never given up. Default: for ever.
	AdoptionWait rotation.Duration `json:"adoption_wait,omitempty" yaml:"adoption_wait"`
	// StartWithin is how long after the date in its name a request may still begin. Default: 30d.
	StartWithin rotation.Duration `json:"start_within,omitempty" yaml:"start_within"`
	// Reviews is how many people must have approved the pull request of a request, at the commit that was merged.
	// Default: 1.
	Reviews *int `json:"reviews,omitempty" yaml:"reviews" jsonschema:"minimum=0,maximum=6"`
	// Separation keeps who wrote a request from being counted among its reviewers and approvers. Default: true.
	Separation *bool `json:"separation,omitempty" yaml:"separation"`
	// DirectPush says what becomes of a request that came by no merged pull request. Default: refuse.
	DirectPush string `json:"direct_push,omitempty" yaml:"direct_push" jsonschema:"enum=refuse,enum=allow"`
	// BreakGlass says what becomes of a job that an administrator started past the reviewers of its GitHub Environment,
	// in a run that an administrator started with a reason. Default: refuse.
	BreakGlass string `json:"break_glass,omitempty" yaml:"break_glass" jsonschema:"enum=refuse,enum=allow"`
	// Decommission is covered by the approval of the rotation, or asked for by itself. Default: covered.
	Decommission string `json:"decommission,omitempty" yaml:"decommission" jsonschema:"enum=covered,enum=asked"`
}

// Approvals are what people must approve in an environment; see rotation.Approval.
func (c *Config) Approvals(e Environment) (scopes []string) {
	if e.Approval == ApprovalNone {
		return nil
	}
	scopes = []string{rotation.ApprovesRotation}
	if c.Policy.Decommission == "asked" {
		scopes = append(scopes, rotation.ApprovesDecommission)
	}
	return scopes
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
