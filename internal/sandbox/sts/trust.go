package sts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// A Statement of a role's trust policy. Condition's operators must all hold, and of a key's values one must fit.
type Statement struct {
	Deny      bool
	AWS       []string // ARNs of users, roles and sessions; an account's id or root, or *, stands for everybody in it
	Federated []string // ARNs of identity providers
	Actions   []string // sts:AssumeRole, sts:TagSession, ...; sts:* and * stand for all
	Condition map[string]map[string][]string
}

// operators of conditions, on one value and one pattern. Those with Not hold, too, where the key isn't there.
var operators = map[string]func(value, pattern string) bool{
	"StringEquals":              func(v, p string) bool { return v == p },
	"StringEqualsIgnoreCase":    strings.EqualFold,
	"StringLike":                func(v, p string) bool { return wire.Match(p, v) },
	"StringNotEquals":           func(v, p string) bool { return v == p },
	"StringNotEqualsIgnoreCase": strings.EqualFold,
	"StringNotLike":             func(v, p string) bool { return wire.Match(p, v) },
}

// many reads an element that may be one text or a list of them.
type many []string

func (m *many) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*m = many{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(m))
}

// ParseTrust reads a trust policy as IAM's AssumeRolePolicyDocument has it. What the sandbox doesn't know is an
// error, never ignored: a condition that isn't checked would trust too many.
func ParseTrust(document []byte) ([]Statement, error) {
	var in struct {
		Version   string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	if err := strict(document, &in); err != nil {
		return nil, fmt.Errorf("read the trust policy: %w", err)
	}
	type statement struct {
		Sid, Effect string
		Principal   struct{ AWS, Federated many }
		Action      many
		Condition   map[string]map[string]many
	}
	var list []statement
	if bytes.HasPrefix(bytes.TrimSpace(in.Statement), []byte("{")) {
		list = make([]statement, 1)
		if err := strict(in.Statement, &list[0]); err != nil {
			return nil, fmt.Errorf("read the trust policy: %w", err)
		}
	} else if err := strict(in.Statement, &list); err != nil {
		return nil, fmt.Errorf("read the trust policy: %w", err)
	}
	if in.Version != "2012-10-17" || len(list) == 0 {
		return nil, errors.New("read the trust policy: its Version must be 2012-10-17, and it needs a Statement")
	}
	var out []Statement
	for i, s := range list {
		if s.Effect != "Allow" && s.Effect != "Deny" || len(s.Action) == 0 || len(s.Principal.AWS)+len(s.Principal.Federated) == 0 {
			return nil, fmt.Errorf("read the trust policy: statement %d needs Effect, Principal and Action", i+1)
		}
		o := Statement{Deny: s.Effect == "Deny", AWS: s.Principal.AWS, Federated: s.Principal.Federated, Actions: s.Action, Condition: map[string]map[string][]string{}}
		for operator, keys := range s.Condition {
			if operators[operator] == nil {
				return nil, fmt.Errorf("read the trust policy: statement %d: the sandbox doesn't know the operator %s", i+1, operator)
			}
			o.Condition[operator] = map[string][]string{}
			for key, values := range keys {
				o.Condition[operator][key] = values
			}
		}
		out = append(out, o)
	}
	return out, nil
}

func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// caller is who asks to play a role: a principal of AWS, or an identity provider's word.
type caller struct {
	who       wire.Identity
	account   string
	federated string            // ARN of the provider
	keys      map[string]string // of the request, for conditions; names in small letters
}

// allows says whether the role trusts the caller to do action: some statement allows it and none denies it.
func (role Role) allows(c caller, action string) bool {
	statements := role.Policy
	if len(role.Trust) > 0 {
		statements = append(slices.Clone(statements), Statement{AWS: role.Trust, Actions: []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}})
	}
	allowed := false
	for _, s := range statements {
		if !s.isAbout(c, action) || !s.holds(c.keys) {
			continue
		}
		if s.Deny {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s Statement) isAbout(c caller, action string) bool {
	if !slices.ContainsFunc(s.Actions, func(a string) bool { return wire.Match(strings.ToLower(a), strings.ToLower(action)) }) {
		return false
	}
	if c.federated != "" {
		return slices.Contains(s.Federated, c.federated)
	}
	return slices.ContainsFunc(s.AWS, func(t string) bool {
		return t == "*" || t == c.who.ARN || t == c.who.Role && t != "" || t == c.account || t == "arn:aws:iam::"+c.account+":root"
	})
}

func (s Statement) holds(keys map[string]string) bool {
	for operator, wanted := range s.Condition {
		fits, not := operators[operator], strings.Contains(operator, "Not")
		for key, patterns := range wanted {
			value, there := keys[strings.ToLower(key)]
			if !there && !not {
				return false
			}
			if there && slices.ContainsFunc(patterns, func(p string) bool { return fits(value, p) }) == not {
				return false
			}
		}
	}
	return true
}
