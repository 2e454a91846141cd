package mysql

import (
	"slices"
	"strconv"
	"strings"
)

// MySQL commits each statement by itself.

// may refuses those who may not change accounts.
func (s *Server) may(x *session) *refusal {
	if s.me(x).Admin {
		return nil
	}
	return refuse(1227, "42000", "Access denied; you need (at least one of) the CREATE USER privilege(s) for this operation")
}

func (s *Server) create(x *session, args []string) (int, [][]string, *refusal) {
	if r := s.may(x); r != nil {
		return 0, nil, r
	}
	if s.accounts[args[0]] != nil {
		return 0, nil, refuse(1396, "HY000", "Operation CREATE USER failed for %s", args[0])
	}
	hash, r := parseHash(args[1])
	if r != nil {
		return 0, nil, r
	}
	user, host, _ := strings.Cut(args[0], "`@`")
	s.accounts[args[0]] = &account{Account: Account{User: unquoted(user), Host: unquoted(host)}, hash: hash, locked: true}
	return 0, nil, nil
}

// identify gives an account a password, and where more is said, its requirements and limits.
func (s *Server) identify(x *session, args []string) (int, [][]string, *refusal) {
	if r := s.may(x); r != nil {
		return 0, nil, r
	}
	a := s.accounts[args[0]]
	if a == nil {
		return 0, nil, refuse(1396, "HY000", "Operation ALTER USER failed for %s", args[0])
	}
	hash, r := parseHash(args[1])
	if r != nil {
		return 0, nil, r
	}
	a.hash = hash
	if len(args) == 2 {
		return 0, nil, nil
	}
	a.Require = map[string]string{"NONE": "", "SSL": "ANY", "X509": "X509"}[args[2]]
	for i := range a.Limits {
		a.Limits[i], _ = strconv.Atoi(args[3+i])
	}
	a.locked = false
	return 0, nil, nil
}

// changed is the account that a grant is for.
func (s *Server) changed(x *session, name, what string) (*account, *refusal) {
	a := s.accounts[name]
	switch {
	case !s.me(x).Admin && what == "":
		return nil, refuse(1044, "42000", "Access denied for user '%s'@'%s' to database", x.user, x.host)
	case !s.me(x).Admin:
		return nil, s.may(x)
	case a == nil && what == "":
		return nil, refuse(1133, "28000", "Can't find any matching row in the user table")
	case a == nil:
		return nil, refuse(1396, "HY000", "Operation %s failed for %s", what, name)
	}
	return a, nil
}

func (s *Server) grant(x *session, args []string) (int, [][]string, *refusal) {
	a, r := s.changed(x, args[2], "")
	if r != nil || args[0] == "USAGE" {
		return 0, nil, r
	}
	option := args[3] != ""
	if args[1] == "*.*" {
		a.Admin = a.Admin || args[0] == "ALL PRIVILEGES" && option
		return 0, nil, nil
	}
	i := slices.IndexFunc(a.Grants, func(g Grant) bool { return g.On == args[1] })
	if i < 0 {
		a.Grants, i = append(a.Grants, Grant{On: args[1]}), len(a.Grants)
	}
	g := &a.Grants[i]
	g.Option = g.Option || option
	for privilege := range strings.SplitSeq(args[0], ", ") {
		if !slices.Contains(g.Privileges, privilege) {
			g.Privileges = append(g.Privileges, privilege)
		}
	}
	return 0, nil, nil
}

func (s *Server) revoke(x *session, args []string) (int, [][]string, *refusal) {
	a, r := s.changed(x, args[0], "REVOKE")
	if r == nil {
		a.Grants, a.Roles, a.admin, a.Admin = nil, nil, nil, false
	}
	return 0, nil, r
}

func (s *Server) grantRole(x *session, args []string) (int, [][]string, *refusal) {
	a, r := s.changed(x, args[1], "GRANT ROLE")
	if r != nil {
		return 0, nil, r
	}
	role := unquoted(args[0])
	if !slices.Contains(a.Roles, role) {
		a.Roles = append(a.Roles, role)
	}
	if args[2] != "" && !slices.Contains(a.admin, role) {
		a.admin = append(a.admin, role)
	}
	return 0, nil, nil
}

func (s *Server) revokeRole(x *session, args []string) (int, [][]string, *refusal) {
	a, r := s.changed(x, args[1], "REVOKE ROLE")
	if r == nil {
		role := unquoted(args[0])
		a.Roles = slices.DeleteFunc(a.Roles, func(o string) bool { return o == role })
		a.admin = slices.DeleteFunc(a.admin, func(o string) bool { return o == role })
	}
	return 0, nil, r
}

// defaultRole is the one that an account takes on at login; none without one.
func (s *Server) defaultRole(x *session, args []string) (int, [][]string, *refusal) {
	a, r := s.changed(x, args[len(args)-1], "SET DEFAULT ROLE")
	if r != nil {
		return 0, nil, r
	}
	role := ""
	if len(args) > 1 {
		role = unquoted(args[0])
	}
	if role != "" && !slices.Contains(a.Roles, role) {
		return 0, nil, refuse(1959, "OP000", "Invalid role specification %s", args[0])
	}
	a.Role = role
	return 0, nil, nil
}
