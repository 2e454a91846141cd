package postgres

import (
	"crypto/md5" //nolint:gosec // as the query asks
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// answer takes one message. Its error ends the session.
func (x *session) answer(m pgproto3.FrontendMessage) error {
	switch m := m.(type) {
	case *pgproto3.Query:
		tags, rows, err := x.server.change(x, m.String)
		if err != nil {
			return send(x.to, response("ERROR", err), ready)
		}
		for i, tag := range tags {
			if strings.HasPrefix(tag, "SELECT") {
				x.to.Send(describe(rows[i]))
				x.send(rows[i])
			}
			x.to.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
		}
		return send(x.to, ready)
	case *pgproto3.Parse:
		return x.extended(m)
	}
	return refuse("08P01", "a message of this kind was not expected")
}

// extended is one query with its arguments, up to Sync: as drivers send it that prepare nothing.
func (x *session) extended(p *pgproto3.Parse) error {
	query := p.Query
	var args []string
	var rows [][]string
	var refused error
	for {
		m, err := x.to.Receive()
		if err != nil {
			return err
		}
		if _, over := m.(*pgproto3.Sync); !over && refused != nil {
			continue
		}
		switch m := m.(type) {
		case *pgproto3.Bind:
			for _, a := range m.Parameters {
				args = append(args, string(a))
			}
			if rows, refused = x.server.ask(x, query, args); refused == nil {
				x.to.Send(&pgproto3.ParseComplete{})
				x.to.Send(&pgproto3.BindComplete{})
			}
		case *pgproto3.Describe:
			if m.ObjectType != 'P' {
				refused = unknown // nothing is prepared here
				break
			}
			x.to.Send(describe(rows))
		case *pgproto3.Execute:
			x.send(rows)
			x.to.Send(&pgproto3.CommandComplete{CommandTag: fmt.Appendf(nil, "SELECT %d", len(rows))})
		case *pgproto3.Sync:
			return send(x.to, ready)
		default:
			refused = refuse("08P01", "a message of this kind was not expected")
		}
		if refused != nil {
			x.to.Send(response("ERROR", refused))
		}
	}
}

// describe: without a row nobody learns how many columns there would be.
func describe(rows [][]string) pgproto3.BackendMessage {
	d := &pgproto3.RowDescription{}
	if len(rows) > 0 {
		for range rows[0] {
			d.Fields = append(d.Fields, pgproto3.FieldDescription{Name: []byte("?column?"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1})
		}
	}
	return d
}

func (x *session) send(rows [][]string) {
	for _, r := range rows {
		d := &pgproto3.DataRow{}
		for _, col := range r {
			d.Values = append(d.Values, []byte(col))
		}
		x.to.Send(d)
	}
}

// A query is one that is understood, by how it begins and ends, in one line.
type query struct {
	begins, ends string
	args         int
	answer       func(s *Server, x *session, args []string) [][]string
}

var queries = []query{
	{"SELECT 1", "SELECT 1", 0, func(*Server, *session, []string) [][]string { return [][]string{{"1"}} }},
	{"SELECT current_user", "SELECT current_user", 0, func(_ *Server, x *session, _ []string) [][]string { return [][]string{{x.acts}} }},
	{"SELECT set_config('statement_timeout', '15s', false), set_config('lock_timeout', '10s', false),", "THEN set_config('idle_session_timeout', '60s', false) END", 0,
		func(*Server, *session, []string) [][]string {
			return [][]string{{"15s", "10s", "on", "UTF8", "off", "1min"}}
		}},
	{"SELECT rolcanlogin, rolsuper, rolreplication, rolconnlimit, coalesce(rolvaliduntil::text, 'infinity') FROM pg_roles", "WHERE rolname = $1", 1, (*Server).role},
	{"SELECT current_setting('server_version_num'), current_setting('password_encryption'), pg_is_in_recovery(),", "FROM pg_roles WHERE rolname = current_user", 0, (*Server).me},
	{"SELECT count(*) FROM pg_shdepend d JOIN pg_roles r", "WHERE r.rolname = $1 AND d.deptype = 'o'", 1, (*Server).owned},
	{"SELECT n.oid IS NOT NULL, coalesce(pg_has_role(n.oid, o.oid, 'MEMBER'), false)", "LEFT JOIN pg_roles n ON n.rolname = $1 WHERE o.rolname = $2", 2, (*Server).pair},
	{"SELECT r.rolname = $1, coalesce(d.datname, ''), split_part(e, '=', 1), substr(e, strpos(e, '=') + 1)", "WHERE r.rolname IN ($1, $2) ORDER BY 1, 2, 3", 2, (*Server).pairSettings},
	{"SELECT current_user, session_user, count(*), md5(coalesce(string_agg(x, E'\\n' ORDER BY x), '')) FROM (", ") all_of_it", 0, (*Server).rights},
	{"SELECT pid, coalesce(application_name, ''),", "<> current_setting('application_name') ORDER BY backend_start, pid", 1, (*Server).open},
	{"SELECT pid, coalesce(application_name, ''),", "<> current_setting('application_name') AND backend_start < $2::timestamptz ORDER BY backend_start, pid", 2, (*Server).open},
	{"SELECT clock_timestamp()::text", "SELECT clock_timestamp()::text", 0, func(s *Server, _ *session, _ []string) [][]string {
		return [][]string{{s.now().Format(stamp)}}
	}},
}

const stamp = "2006-01-02 15:04:05.999999-07"

// ask answers a query that changes nothing.
func (s *Server) ask(x *session, text string, args []string) ([][]string, error) {
	text = strings.Join(strings.Fields(text), " ")
	i := slices.IndexFunc(queries, func(q query) bool {
		return strings.HasPrefix(text, q.begins) && strings.HasSuffix(text, q.ends) && len(args) == q.args
	})
	if i < 0 {
		return nil, unknown
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return queries[i].answer(s, x, args), nil
}

var unknown = refuse("0A000", "the sandbox doesn't know this statement")

func is(b bool) string { return map[bool]string{true: "t", false: "f"}[b] }

func (s *Server) role(_ *session, args []string) [][]string {
	r := s.roles[args[0]]
	if r == nil {
		return nil
	}
	return [][]string{{is(r.Login), is(r.Super), is(r.replication), fmt.Sprint(r.limit), "infinity"}}
}

func (s *Server) me(x *session, _ []string) [][]string {
	r := s.roles[x.acts]
	return [][]string{{versionNum, "scram-sha-256", "f", is(r.Super), is(r.CreateRole), is(s.member(x.acts, "pg_signal_backend")), x.acts, Version, is(s.member(x.acts, "pg_read_all_stats"))}}
}

func (s *Server) owned(_ *session, args []string) [][]string {
	n := 0
	if r := s.roles[args[0]]; r != nil {
		n = r.Owns
	}
	return [][]string{{fmt.Sprint(n)}}
}

func (s *Server) pair(_ *session, args []string) [][]string {
	if s.roles[args[1]] == nil {
		return nil
	}
	return [][]string{{is(s.roles[args[0]] != nil), is(s.roles[args[0]] != nil && s.member(args[0], args[1]))}}
}

func (s *Server) pairSettings(_ *session, args []string) (rows [][]string) {
	for _, user := range slices.Compact([]string{args[0], args[1]}) {
		if r := s.roles[user]; r != nil {
			for _, set := range r.Settings {
				rows = append(rows, []string{is(user == args[0]), set.Database, set.Name, set.Value})
			}
		}
	}
	slices.SortFunc(rows, slices.Compare[[]string])
	return rows
}

// rights is what the session may do, and what it begins with.
func (s *Server) rights(x *session, _ []string) [][]string {
	all := s.may(x.acts)
	r := s.roles[x.acts]
	all = append(all, fmt.Sprint("is ", x.acts, r.Super, r.CreateRole))
	for _, name := range []string{"search_path", "default_transaction_isolation", "timezone", "datestyle"} {
		all = append(all, "set "+name+"="+x.settings[name])
	}
	return [][]string{{x.acts, x.user, fmt.Sprint(len(all)), fmt.Sprintf("%x", md5.Sum([]byte(strings.Join(all, "\n"))))}} //nolint:gosec // likewise
}

// open are the sessions of an account. Who may not see others' is shown that they are there.
func (s *Server) open(x *session, args []string) (rows [][]string) {
	before := time.Time{}
	if len(args) > 1 {
		before, _ = time.Parse(stamp, args[1])
	}
	sees := s.member(x.acts, "pg_read_all_stats")
	for _, o := range s.of(args[0]) {
		switch {
		case o.pid == x.pid, sees && o.called == x.called, len(args) > 1 && (!sees || !o.began.Before(before)):
		case sees:
			rows = append(rows, []string{fmt.Sprint(o.pid), o.called, o.from, o.database, o.began.Format(time.DateTime) + " UTC"})
		default:
			rows = append(rows, []string{fmt.Sprint(o.pid), "", "local or hidden", o.database, "a time that is hidden"})
		}
	}
	return rows
}
