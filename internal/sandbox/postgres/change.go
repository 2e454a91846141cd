package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A transaction is changes that happen wholly or not at all.
type transaction struct {
	s     *Server
	x     *session
	roles map[string]*role // copies
	end   []uint32         // sessions
}

// change carries out the statements of one message: all of them, or none.
func (s *Server) change(x *session, text string) (tags []string, rows [][][]string, err error) {
	all, err := scan(text)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := &transaction{s: s, x: x, roles: map[string]*role{}}
	for name, r := range s.roles {
		tx.roles[name] = r.clone()
	}
	for _, tokens := range all {
		p := &parser{tokens: tokens}
		tag, found, err := tx.do(p)
		if err != nil {
			return nil, nil, err
		}
		if p.bad || len(p.tokens) > 0 {
			return nil, nil, unknown
		}
		tags, rows = append(tags, tag), append(rows, found)
	}
	s.roles = tx.roles
	for _, pid := range tx.end {
		if o := s.sessions[pid]; o != nil {
			delete(s.sessions, pid)
			last, _ := response("FATAL", refuse("57P01", "terminating connection due to administrator command")).Encode(nil)
			_, _ = o.c.Write(last) // it may be gone
			_ = o.c.Close()
		}
	}
	return tags, rows, nil
}

// do carries out one statement.
func (tx *transaction) do(p *parser) (tag string, rows [][]string, err error) {
	switch p.word() {
	case "CREATE":
		p.expect("ROLE")
		name := p.name()
		if p.done() {
			return "CREATE ROLE", nil, tx.create(name)
		}
	case "GRANT":
		group := p.name()
		p.expect("TO")
		name := p.name()
		if p.done() {
			return "GRANT ROLE", nil, tx.grant(group, name)
		}
	case "ALTER":
		p.expect("ROLE")
		r, err := tx.mine(p.name())
		if err != nil {
			return "", nil, err
		}
		return "ALTER ROLE", nil, tx.alter(r, p)
	case "SELECT":
		return tx.terminate(p)
	}
	return "", nil, unknown
}

// mine is a role that the session may change.
func (tx *transaction) mine(name string) (*role, error) {
	r, me := tx.roles[name], tx.roles[tx.x.acts]
	switch {
	case r == nil:
		return nil, refuse("42704", "role %q does not exist", name)
	case r.Super && !me.Super:
		return nil, refuse("42501", "must be superuser to alter superuser roles or change superuser attribute")
	case !me.Super && !me.CreateRole:
		return nil, refuse("42501", "permission denied")
	}
	return r, nil
}

func (tx *transaction) create(name string) error {
	me := tx.roles[tx.x.acts]
	switch {
	case !me.Super && !me.CreateRole:
		return refuse("42501", "permission denied to create role")
	case tx.roles[name] != nil:
		return refuse("42710", "role %q already exists", name)
	}
	tx.roles[name] = &role{Role: Role{Name: name}, limit: -1}
	return nil
}

func (tx *transaction) grant(group, name string) error {
	me := tx.roles[tx.x.acts]
	g, r := tx.roles[group], tx.roles[name]
	switch {
	case g == nil:
		return refuse("42704", "role %q does not exist", group)
	case r == nil:
		return refuse("42704", "role %q does not exist", name)
	case g.Super && !me.Super:
		return refuse("42501", "must be superuser to alter superusers")
	case !me.Super && !me.CreateRole:
		return refuse("42501", "must have admin option on role %q", group)
	}
	if !slices.Contains(r.Of, group) {
		r.Of = append(r.Of, group)
	}
	return nil
}

// alter is what follows ALTER ROLE and a name.
func (tx *transaction) alter(r *role, p *parser) error {
	database := ""
	if p.at("IN") {
		p.expect("IN", "DATABASE")
		if database = p.name(); !slices.Contains(tx.s.databases, database) {
			return refuse("3D000", "database %q does not exist", database)
		}
	}
	switch {
	case p.at("RESET"):
		p.expect("RESET", "ALL")
		r.Settings = slices.DeleteFunc(r.Settings, func(s Setting) bool { return s.Database == database })
	case p.at("SET"):
		p.expect("SET")
		set := Setting{database, p.dotted(), ""}
		p.expect("TO")
		set.Value = p.values(set.Name)
		r.Settings = slices.DeleteFunc(r.Settings, func(s Setting) bool {
			return s.Database == database && strings.EqualFold(s.Name, set.Name)
		})
		r.Settings = append(r.Settings, set)
	default:
		return tx.attributes(r, p)
	}
	return nil
}

func (tx *transaction) attributes(r *role, p *parser) error {
	for !p.done() {
		switch word := p.word(); word {
		case "LOGIN":
			r.Login = true
		case "REPLICATION", "NOREPLICATION":
			if !tx.roles[tx.x.acts].Super {
				return refuse("42501", "must be superuser to alter replication roles or change replication attribute")
			}
			r.replication = word == "REPLICATION"
		case "CONNECTION":
			p.expect("LIMIT")
			r.limit = p.number()
		case "VALID":
			p.expect("UNTIL")
			if p.text() != "infinity" {
				return unknown
			}
		case "PASSWORD":
			v, err := stored(p.text())
			if err != nil {
				return err
			}
			r.verifier = v
		default:
			return unknown
		}
	}
	return nil
}

// terminate is SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'u' AND pid IN ('1'::int, ...).
func (tx *transaction) terminate(p *parser) (string, [][]string, error) {
	p.expect("PG_TERMINATE_BACKEND", "(", "PID", ")", "FROM", "PG_STAT_ACTIVITY", "WHERE", "USENAME", "=")
	user := p.text()
	p.expect("AND", "PID", "IN", "(")
	var rows [][]string
	for !p.bad {
		pid, err := strconv.ParseUint(p.text(), 10, 32)
		if err != nil {
			return "", nil, refuse("22P02", "invalid input syntax for type integer")
		}
		p.expect(":", ":", "INT")
		if o := tx.s.sessions[uint32(pid)]; o != nil && o.user == user {
			owner, me := tx.roles[user], tx.x.acts
			switch {
			case owner != nil && owner.Super && !tx.roles[me].Super:
				return "", nil, refuse("42501", "must be a superuser to terminate superuser process")
			case !tx.s.member(me, user) && !tx.s.member(me, "pg_signal_backend"):
				return "", nil, refuse("42501", "must be a member of the role whose process is being terminated or member of pg_signal_backend")
			}
			tx.end, rows = append(tx.end, uint32(pid)), append(rows, []string{"t"})
		}
		if !p.at(",") {
			break
		}
		p.expect(",")
	}
	p.expect(")")
	return fmt.Sprintf("SELECT %d", len(rows)), rows, nil
}
