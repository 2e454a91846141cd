// Package sts is AWS Security Token Service inside the sandbox: roles, who may play them, and the sessions that
// come of it. It owns the roles; keys of sessions are handed to the world. It must never give a session to a
// caller the role doesn't trust, nor to one whose session policy it would have to ignore.
package sts

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// A Role can be played by those whom Policy or Trust lets.
type Role struct {
	ARN        string
	Policy     []Statement   // its trust policy: see ParseTrust
	Trust      []string      // stands for a statement that lets these play it, with source identity and session tags
	MaxSession time.Duration // 0 means an hour
	Created    time.Time
}

// Name is the role's name without its path.
func (r Role) Name() string { return r.ARN[strings.LastIndexByte(r.ARN, '/')+1:] }

// Service is STS. Safe for concurrent use.
type Service struct {
	mu        sync.Mutex
	random    *wire.Random
	roles     map[string]Role
	providers map[string]Provider // by ARN
	outlast   bool
	keep      func(id, secret, token string, who wire.Identity)
}

// New is a service without a role; keep takes the keys of the sessions it makes.
func New(r *wire.Random, keep func(id, secret, token string, who wire.Identity)) *Service {
	return &Service{random: r, roles: map[string]Role{}, providers: map[string]Provider{}, keep: keep}
}

// Outlast makes every session say that it never ends, for a world whose clock isn't the machine's: an SDK holds the end
// against the machine's clock, and would fetch others for each call. The service itself ends them as it would anyway.
func (s *Service) Outlast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outlast = true
}

// AddRole makes a role, or replaces the one with its ARN.
func (s *Service) AddRole(r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[r.ARN] = r
}

// Role finds a role by ARN.
func (s *Service) Role(arn string) (Role, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.roles[arn]
	return r, ok
}

// Roles are all roles.
func (s *Service) Roles() (l []Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.roles {
		l = append(l, r)
	}
	return l
}

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string {
	return []string{"AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"}
}

// Target is the role that is asked for.
func Target(r *wire.Request) string { return r.Query.Get("RoleArn") }

// Serve answers one request: a wire.Result, or a *wire.Error.
func (s *Service) Serve(r *wire.Request) (any, error) {
	switch r.Operation {
	case "GetCallerIdentity":
		return wire.Result{Operation: r.Operation, Value: struct{ Arn, UserId, Account string }{r.Who.ARN, r.Who.UserID, r.Account}}, nil
	case "AssumeRole":
		return s.assumeRole(r)
	case "AssumeRoleWithWebIdentity":
		return s.assumeRoleWithWebIdentity(r)
	}
	return nil, wire.Refuse("InvalidAction", "Could not find operation %s for version 2011-06-15", r.Operation)
}

var sessionName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{2,64}$`) })

func (s *Service) assumeRole(r *wire.Request) (any, error) {
	q := r.Query
	arn, name, source := q.Get("RoleArn"), q.Get("RoleSessionName"), q.Get("SourceIdentity")
	for at, value := range map[string]string{"roleSessionName": name, "sourceIdentity": source} {
		if !sessionName().MatchString(value) && (value != "" || at == "roleSessionName") {
			return nil, malformed(at, value)
		}
	}
	if q.Has("Policy") || q.Has("PolicyArns.member.1.arn") {
		return nil, wire.Refuse("MalformedPolicyDocument", "the sandbox doesn't serve session policies")
	}
	if source == "" {
		source = r.Who.Source
	}
	tags, transitive, err := tagsOf(r)
	if err != nil {
		return nil, err
	}
	actions := []string{"sts:AssumeRole"}
	if source != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	if len(tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	keys := map[string]string{"sts:rolesessionname": name, "aws:principalarn": cmp.Or(r.Who.Role, r.Who.ARN)}
	if source != "" {
		keys["sts:sourceidentity"] = source
	}
	for key, value := range tags {
		keys["aws:requesttag/"+strings.ToLower(key)] = value
	}
	role, known := s.Role(arn)
	for _, a := range actions {
		if !known || !role.allows(caller{who: r.Who, account: r.Account, keys: keys}, a) {
			return nil, denied(r.Who, a, arn)
		}
		if err := r.May(a, arn); err != nil {
			return nil, err
		}
	}
	if r.Who.Source != "" && source != r.Who.Source {
		return nil, denied(r.Who, "sts:SetSourceIdentity", arn)
	}
	length, err := duration(q.Get("DurationSeconds"), role, r.Who)
	if err != nil {
		return nil, err
	}
	return wire.Result{Operation: r.Operation, Value: s.session(r, role, name, wire.Identity{Source: source, Tags: tags, Transitive: transitive}, length)}, nil
}

type credentials struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }

type assumed struct {
	Credentials     credentials
	AssumedRoleUser struct{ AssumedRoleId, Arn string }
	SourceIdentity  string `xml:",omitempty"`
}

// session makes the keys of one; who has its source identity and tags.
func (s *Service) session(r *wire.Request, role Role, name string, who wire.Identity, length time.Duration) assumed {
	who.ARN = "arn:aws:sts::" + strings.Split(role.ARN, ":")[4] + ":assumed-role/" + role.Name() + "/" + name
	who.Role, who.UserID, who.Expires = role.ARN, RoleID(role)+":"+name, r.At.Add(length)
	c := credentials{
		AccessKeyId: "ASIA" + s.random.Text(16, wire.Upper), SecretAccessKey: s.random.Text(40, wire.Letters),
		SessionToken: s.random.Text(160, wire.Letters), Expiration: who.Expires.UTC().Format(time.RFC3339),
	}
	s.mu.Lock()
	if s.outlast {
		c.Expiration = "9999-01-01T00:00:00Z"
	}
	s.mu.Unlock()
	s.keep(c.AccessKeyId, c.SecretAccessKey, c.SessionToken, who)
	out := assumed{Credentials: c, SourceIdentity: who.Source}
	out.AssumedRoleUser.AssumedRoleId, out.AssumedRoleUser.Arn = who.UserID, who.ARN
	return out
}

// RoleID is the unique id that IAM gives a role.
func RoleID(r Role) string {
	id := strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' || c >= '2' && c <= '7' {
			return c
		}
		return -1
	}, strings.ToUpper(r.Name()))
	return "AROA" + (id + strings.Repeat("A", 17))[:17]
}

// duration holds the asked length against the role's and against role chaining's hour (API reference, AssumeRole).
func duration(text string, role Role, who wire.Identity) (time.Duration, error) {
	longest := role.MaxSession
	if longest == 0 {
		longest = time.Hour
	}
	if text == "" {
		return time.Hour, nil
	}
	seconds, err := strconv.Atoi(text)
	d := time.Duration(seconds) * time.Second
	switch {
	case err != nil || seconds < 900 || seconds > 43200:
		return 0, wire.Refuse("ValidationError", "1 validation error detected: Value '%s' at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 43200", text)
	case who.Role != "" && d > time.Hour:
		return 0, wire.Refuse("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	case d > longest:
		return 0, wire.Refuse("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return d, nil
}

func denied(who wire.Identity, action, arn string) error {
	return &wire.Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", who.ARN, action, arn)}
}
