// Package sts is AWS Security Token Service inside the sandbox: roles, who may play them, and the sessions that
// come of it. It owns the roles; keys of sessions are handed to the world. It must never give a session to a
// caller the role doesn't trust, nor to one whose session policy it would have to ignore.
package sts

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// A Role can be played by those in Trust.
type Role struct {
	ARN        string
	Trust      []string      // ARNs of users and roles; an account's root stands for everybody in it
	MaxSession time.Duration // 0 means an hour
	Created    time.Time
}

// Name is the role's name without its path.
func (r Role) Name() string { return r.ARN[strings.LastIndexByte(r.ARN, '/')+1:] }

// Service is STS. Safe for concurrent use.
type Service struct {
	mu     sync.Mutex
	random *wire.Random
	roles  map[string]Role
	keep   func(id, secret, token string, who wire.Identity)
}

// New is a service without a role; keep takes the keys of the sessions it makes.
func New(r *wire.Random, keep func(id, secret, token string, who wire.Identity)) *Service {
	return &Service{random: r, roles: map[string]Role{}, keep: keep}
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
func Operations() []string { return []string{"AssumeRole", "GetCallerIdentity"} }

// Target is the role that is asked for.
func Target(r *wire.Request) string { return r.Query.Get("RoleArn") }

// Serve answers one request: a wire.Result, or a *wire.Error.
func (s *Service) Serve(r *wire.Request) (any, error) {
	switch r.Operation {
	case "GetCallerIdentity":
		return wire.Result{Operation: r.Operation, Value: struct{ Arn, UserId, Account string }{r.Who.ARN, r.Who.UserID, r.Account}}, nil
	case "AssumeRole":
		return s.assumeRole(r)
	}
	return nil, wire.Refuse("InvalidAction", "Could not find operation %s for version 2011-06-15", r.Operation)
}

var sessionName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{2,64}$`) })

func (s *Service) assumeRole(r *wire.Request) (any, error) {
	q := r.Query
	arn, name, source := q.Get("RoleArn"), q.Get("RoleSessionName"), q.Get("SourceIdentity")
	for at, value := range map[string]string{"roleSessionName": name, "sourceIdentity": source} {
		if !sessionName().MatchString(value) && (value != "" || at == "roleSessionName") {
			return nil, wire.Refuse("ValidationError", `1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`, value, at)
		}
	}
	if q.Has("Policy") || q.Has("PolicyArns.member.1.arn") {
		return nil, wire.Refuse("MalformedPolicyDocument", "the sandbox doesn't serve session policies")
	}
	role, known := s.Role(arn)
	if !known || !role.trusts(r.Who, r.Account) {
		return nil, denied(r.Who, "sts:AssumeRole", arn)
	}
	actions := []string{"sts:AssumeRole"}
	if source != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	if q.Has("Tags.member.1.Key") {
		actions = append(actions, "sts:TagSession")
	}
	for _, a := range actions {
		if err := r.May(a, arn); err != nil {
			return nil, err
		}
	}
	if r.Who.Source != "" && source != "" && source != r.Who.Source {
		return nil, denied(r.Who, "sts:SetSourceIdentity", arn)
	}
	if source == "" {
		source = r.Who.Source
	}
	length, err := duration(q.Get("DurationSeconds"), role, r.Who)
	if err != nil {
		return nil, err
	}
	return wire.Result{Operation: r.Operation, Value: s.session(r, role, name, source, length)}, nil
}

type credentials struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }

type assumed struct {
	Credentials     credentials
	AssumedRoleUser struct{ AssumedRoleId, Arn string }
	SourceIdentity  string `xml:",omitempty"`
}

func (s *Service) session(r *wire.Request, role Role, name, source string, length time.Duration) assumed {
	account := strings.Split(role.ARN, ":")[4]
	who := wire.Identity{
		ARN:  "arn:aws:sts::" + account + ":assumed-role/" + role.Name() + "/" + name,
		Role: role.ARN, UserID: RoleID(role) + ":" + name, Source: source, Expires: r.At.Add(length),
	}
	c := credentials{
		AccessKeyId: "ASIA" + s.random.Text(16, wire.Upper), SecretAccessKey: s.random.Text(40, wire.Letters),
		SessionToken: s.random.Text(160, wire.Letters), Expiration: who.Expires.UTC().Format(time.RFC3339),
	}
	s.keep(c.AccessKeyId, c.SecretAccessKey, c.SessionToken, who)
	out := assumed{Credentials: c, SourceIdentity: source}
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

func (role Role) trusts(who wire.Identity, account string) bool {
	return slices.ContainsFunc(role.Trust, func(t string) bool {
		return t == who.ARN || t == who.Role && t != "" || t == "arn:aws:iam::"+account+":root"
	})
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
