// Package iam is the part of AWS IAM that a preflight asks: what a principal may do. It owns nothing, it answers
// from the world's rules and roles; it must never change them.
package iam

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/sts"
	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Service is IAM.
type Service struct {
	roles  *sts.Service
	decide func(who wire.Identity, action, resource string) string
}

// New answers from the roles and from decide, which speaks the simulator's words: allowed, explicitDeny, implicitDeny.
func New(roles *sts.Service, decide func(wire.Identity, string, string) string) *Service {
	return &Service{roles, decide}
}

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string { return []string{"GetRole", "SimulatePrincipalPolicy"} }

// Target is the principal that is asked about.
func Target(r *wire.Request) string {
	return cmp.Or(r.Query.Get("PolicySourceArn"), r.Query.Get("RoleName"))
}

// Serve answers one request: a wire.Result, or a *wire.Error.
func (s *Service) Serve(r *wire.Request) (any, error) {
	switch r.Operation {
	case "SimulatePrincipalPolicy":
		return s.simulate(r)
	case "GetRole":
		return s.getRole(r)
	}
	return nil, wire.Refuse("InvalidAction", "Could not find operation %s for version 2010-05-08", r.Operation)
}

// members reads Name.member.1, Name.member.2 and so on.
func members(q url.Values, name string) (l []string) {
	for i := 1; q.Has(name + ".member." + strconv.Itoa(i)); i++ {
		l = append(l, q.Get(name+".member."+strconv.Itoa(i)))
	}
	return l
}

type evaluation struct {
	EvalActionName       string
	EvalResourceName     string
	EvalDecision         string
	MatchedStatements    struct{}
	MissingContextValues struct{}
}

func (s *Service) simulate(r *wire.Request) (any, error) {
	arn := r.Query.Get("PolicySourceArn")
	if err := r.May("iam:SimulatePrincipalPolicy", arn); err != nil {
		return nil, err
	}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "iam" || !strings.Contains(parts[5], "/") {
		return nil, wire.Refuse("InvalidInput", "Invalid Entity Arn: %s does not clearly define entity type and name.", arn)
	}
	name := arn[strings.LastIndexByte(arn, '/')+1:]
	who := wire.Identity{ARN: arn}
	if strings.HasPrefix(parts[5], "role/") {
		if _, ok := s.roles.Role(arn); !ok {
			return nil, noRole(name)
		}
		who.Role = arn
	}
	actions, resources := members(r.Query, "ActionNames"), members(r.Query, "ResourceArns")
	if len(actions) == 0 {
		return nil, wire.Refuse("ValidationError", "1 validation error detected: Value null at 'actionNames' failed to satisfy constraint: Member must not be null")
	}
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	var out struct {
		EvaluationResults struct {
			Members []evaluation `xml:"member"`
		}
		IsTruncated bool
	}
	for _, a := range actions {
		for _, res := range resources {
			out.EvaluationResults.Members = append(out.EvaluationResults.Members, evaluation{EvalActionName: a, EvalResourceName: res, EvalDecision: s.decide(who, a, res)})
		}
	}
	return wire.Result{Operation: r.Operation, Value: out}, nil
}

func noRole(name string) error {
	return &wire.Error{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: "The role with name " + name + " cannot be found."}
}

func (s *Service) getRole(r *wire.Request) (any, error) {
	name := r.Query.Get("RoleName")
	if err := r.May("iam:GetRole", "arn:aws:iam::"+r.Account+":role/"+name); err != nil {
		return nil, err
	}
	for _, role := range s.roles.Roles() {
		parts := strings.SplitN(role.ARN, ":", 6)
		if role.Name() != name || parts[4] != r.Account {
			continue
		}
		type doc struct {
			Path, RoleName, RoleId, Arn, CreateDate string
			MaxSessionDuration                      int
		}
		path := strings.TrimSuffix(strings.TrimPrefix(parts[5], "role"), name)
		longest := role.MaxSession
		if longest == 0 {
			longest = time.Hour
		}
		return wire.Result{Operation: r.Operation, Value: struct{ Role doc }{doc{path, name, sts.RoleID(role), role.ARN, role.Created.UTC().Format(time.RFC3339), int(longest.Seconds())}}}, nil
	}
	return nil, noRole(name)
}
