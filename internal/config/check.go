package config

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// What holds where the configuration says nothing.
const (
	DefaultPath     = ".github/rekey.yml"
	DefaultRegistry = "ops/config/registry.md"
	DefaultRequests = "rotations"
	DefaultSeverity = "SEV2"

	DefaultRetain      = rotation.Duration(48 * time.Hour)
	DefaultStartWithin = rotation.Duration(30 * 24 * time.Hour)
)

// Parse reads a configuration. checks makes fresh shapes of the checks there are, by name. With problems the
// Config holds what could be read; it is never nil.
func Parse(file string, b []byte, checks map[string]func() any, l *problem.List) *Config {
	c := &Config{File: file}
	problem.Decode(problem.Source{File: file, What: "the configuration", Text: b}, c, l)
	if len(c.Registry) == 0 {
		c.Registry = []string{DefaultRegistry}
	}
	if c.Requests == "" {
		c.Requests = DefaultRequests
	}
	for i := range c.Environments {
		e := &c.Environments[i]
		e.GitHubEnvironment = cmp.Or(e.GitHubEnvironment, "rekey-"+e.Name)
		e.Approval, e.Severity = cmp.Or(e.Approval, ApprovalRequired), cmp.Or(e.Severity, DefaultSeverity)
	}
	c.nameNotifications()
	c.Policy.defaults()
	c.readChecks(checks, l)
	return c
}

func (p *Policy) defaults() {
	if p.Retain == 0 {
		p.Retain = max(DefaultRetain, p.RetainLeast)
	}
	if p.RetainLeast == 0 {
		p.RetainLeast = min(DefaultRetain, p.Retain)
	}
	p.StartWithin = cmp.Or(p.StartWithin, DefaultStartWithin)
	if p.Reviews == nil {
		p.Reviews = new(int)
		*p.Reviews = 1
	}
	if p.Separation == nil {
		p.Separation = new(bool)
		*p.Separation = true
	}
	p.DirectPush, p.BreakGlass, p.Decommission = cmp.Or(p.DirectPush, "refuse"), cmp.Or(p.BreakGlass, "refuse"), cmp.Or(p.Decommission, "covered")
}

func (c *Config) readChecks(checks map[string]func() any, l *problem.List) {
	for _, n := range c.ChecksAsWritten {
		if n == nil {
			continue
		}
		var environments []problem.Text
		use, ok := ReadUse(n, "check", checks, map[string]any{"environments": &environments}, l)
		check := Check{Use: use}
		for _, e := range environments {
			if _, known := c.Environment(e.Value); !known {
				l.Add(e.Pos, "unknown-environment", l.SuggestOf(e.Value, "there are", c.Names()), "no environment %s in this file", problem.Quote(e.Value))
			} else if slices.Contains(check.Environments, e.Value) {
				l.Add(e.Pos, "duplicate-item", "remove one of the two", "%s is listed twice", e.Value)
			}
			check.Environments = append(check.Environments, e.Value)
		}
		if ok {
			c.Checks = append(c.Checks, check)
		}
	}
	var uses []Use
	for _, check := range c.Checks {
		uses = append(uses, check.Use)
	}
	Unique(uses, nil, l)
}

var (
	environmentName = lazy(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	regionName      = lazy(`^[a-z]{2}(-[a-z]{2,12}){1,3}-\d{1,2}$`)
	githubName      = lazy(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	repository      = lazy(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$`)
	roleARN         = lazy(`^arn:aws[a-z-]*:iam::(\d{12}):role/[\w+=,.@/-]{1,512}$`)
	bucketName      = lazy(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	logGroupName    = lazy(`^[\w/.#-]{1,512}$`)
)

// Check is what the fields' types can't say; see problem.Checker.
func (c *Config) Check(r *problem.Report) {
	if r.Has("registry") && len(c.Registry) == 0 {
		r.Add("registry", "value", "leave it out for "+DefaultRegistry, "registry lists no file")
	}
	for i, p := range c.Registry {
		if _, err := path.Match(p, ""); err != nil || !relative(p) {
			r.Add(fmt.Sprintf("registry[%d]", i), "file-name", "name it relative to the repository: "+DefaultRegistry, "%s can't be a registry's name", problem.Quote(p))
		}
	}
	if r.Has("requests") && (!relative(c.Requests) || strings.ContainsAny(c.Requests, "*?[")) {
		r.Add("requests", "file-name", "name a folder relative to the repository: "+DefaultRequests, "%s can't be the requests' folder", problem.Quote(c.Requests))
	}
	if len(c.Environments) == 0 {
		r.Add("environments", "value", "name at least one", "there is no environment")
	}
	for i, e := range c.Environments {
		at := fmt.Sprintf("environments[%d].", i)
		if first := slices.IndexFunc(c.Environments, func(o Environment) bool { return o.Name == e.Name }); first < i && e.Name != "" {
			r.Add(at+"name", "duplicate-name", "rename one of the two", "there is already an environment %s", problem.Quote(e.Name))
		}
		c.checkGitHub(r, i)
	}
	c.checkTold(r)
	c.checkLevels(r)
}

// checkGitHub keeps an approval for one environment from opening another.
func (c *Config) checkGitHub(r *problem.Report, i int) {
	e := c.Environments[i]
	for _, key := range []string{"github_environment", "continue_environment"} {
		mine := map[string]string{"github_environment": cmp.Or(e.GitHubEnvironment, "rekey-"+e.Name), "continue_environment": e.ContinueEnvironment}[key]
		for j, o := range c.Environments[:i+1] {
			others := []string{cmp.Or(o.GitHubEnvironment, "rekey-"+o.Name)}
			if j < i {
				others = append(others, o.ContinueEnvironment)
			} else if key == "github_environment" || o.Name == e.Name && j < i {
				continue
			}
			if mine != "" && slices.ContainsFunc(others, func(s string) bool { return strings.EqualFold(s, mine) }) {
				at := fmt.Sprintf("environments[%d]", i)
				if r.Has(at + "." + key) {
					at += "." + key
				}
				r.Add(at, "duplicate-name", "give it one of its own: an approval for one must not open another", "%s is another's GitHub Environment already", problem.Quote(mine))
			}
		}
	}
}

// relative says whether p is a path inside the repository, without detours.
func relative(p string) bool {
	return p != "" && path.Clean(p) == p && p != "." && p != ".." && !strings.HasPrefix(p, "../") && p[0] != '/' && !strings.ContainsAny(p, "\\\x00")
}

// Check is what the fields' types can't say; see problem.Checker.
func (e *Environment) Check(r *problem.Report) {
	if !environmentName().MatchString(e.Name) {
		r.Add("name", "name", "use a-z, 0-9 and hyphens, at most 40", "%s can't be an environment's name", problem.Quote(e.Name))
	}
	checkAWS(r, e.Region, e.Role)
	checkRole(r, "entry", e.Entry)
	checkRole(r, "preview", e.Preview)
	if r.Has("entry") && !r.Has("role") {
		r.Add("entry", "value", "name the role that is assumed from it", "entry leads nowhere without role")
	}
	for _, key := range []string{"github_environment", "continue_environment"} {
		name := map[string]string{"github_environment": e.GitHubEnvironment, "continue_environment": e.ContinueEnvironment}[key]
		if r.Has(key) && !githubName().MatchString(name) {
			r.Add(key, "name", "use letters, digits, hyphens, dots and underscores, at most 100", "%s can't be a GitHub Environment here", problem.Quote(name))
		}
	}
}

func checkRole(r *problem.Report, key, arn string) {
	if r.Has(key) && !roleARN().MatchString(arn) {
		r.Add(key, "value", "write it like arn:aws:iam::111111111111:role/rekey-"+key, "%s isn't the ARN of an IAM role", problem.Quote(arn))
	}
}

func checkAWS(r *problem.Report, region, role string) {
	if r.Has("region") && !regionName().MatchString(region) {
		r.Add("region", "value", "write it like us-east-1", "%s isn't an AWS region", problem.Quote(region))
	}
	if r.Has("role") && !roleARN().MatchString(role) {
		r.Add("role", "value", "write it like arn:aws:iam::111111111111:role/rekey-dev", "%s isn't the ARN of an IAM role", problem.Quote(role))
	}
}

// Account is the AWS account of the environment's role, "" when it isn't known.
func (e *Environment) Account() string {
	if m := roleARN().FindStringSubmatch(e.Role); m != nil {
		return m[1]
	}
	return ""
}

// Check is what the fields' types can't say; see problem.Checker.
func (h *Hours) Check(r *problem.Report) {
	if h.From == h.To && h.From != "" {
		r.Add("to", "value", `for the whole day write from: "00:00", to: "24:00"`, "the hours end when they begin")
	}
	if h.From == "24:00" {
		r.Add("from", "value", `write "00:00"`, "no day begins at 24:00")
	}
}

// Check is what the fields' types can't say; see problem.Checker.
func (e *Evidence) Check(r *problem.Report) {
	bucket, prefix, isS3 := e.Bucket()
	dir, isFile := e.Dir()
	const hint = "write s3://BUCKET, s3://BUCKET/PREFIX or file://DIR"
	switch {
	case !isS3 && !isFile, isS3 && !bucketName().MatchString(bucket), isFile && dir == "",
		isS3 && prefix != "" && !relative(prefix), problem.Plain(e.Store) != e.Store, strings.ContainsAny(e.Store, "?#*\\"):
		r.Add("store", "value", hint, "%s isn't an evidence store", problem.Quote(e.Store))
	case isS3 && e.Lock == nil:
		r.Add("", "missing-key", "for example lock: {mode: COMPLIANCE, retain: 7y}", "evidence lacks lock: without it a bucket's objects can be deleted")
	}
	for _, key := range []string{"lock", "region", "role", "reader"} {
		if isFile && r.Has(key) {
			r.Add(key, "value", "remove it, or use an s3:// store", "a folder has no %s", key)
		}
	}
	if isS3 {
		checkAWS(r, e.Region, e.Role)
		checkRole(r, "reader", e.Reader)
	}
	if r.Has("log_group") && !logGroupName().MatchString(e.LogGroup) {
		r.Add("log_group", "value", "write it like /rekey/audit", "%s isn't a log group's name", problem.Quote(e.LogGroup))
	}
}

// leastWait is the least time in which people can see on the pull request who still uses an old credential, and act.
const leastWait = rotation.Duration(24 * time.Hour)

// Check is what the fields' types can't say; see problem.Checker.
func (p *Policy) Check(r *problem.Report) {
	if _, err := regexp.Compile(p.Ticket); err != nil || r.Has("ticket") && p.Ticket == "" {
		r.Add("ticket", "value", `write a regular expression like 'SEC-\d+'`, "%s isn't a regular expression", problem.Quote(p.Ticket))
		p.Ticket = "" // reported once, not again at every request
	}
	if r.Has("adoption_wait") && p.AdoptionWait < leastWait {
		r.Add("adoption_wait", "out-of-range", "give it at least 1d, or leave it out: then nothing goes while somebody uses it", "adoption_wait is shorter than a day")
	}
	if p.Retain > 0 && p.RetainLeast > p.Retain {
		r.Add("retain", "value", "make them equal, or retain longer", "retain is shorter than retain_least")
	}
}

// lazy compiles on first use: these take longer than all else that a command does before it begins.
func lazy(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}
