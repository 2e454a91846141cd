package mysql

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A statement is one that is understood.
type statement struct {
	form *regexp.Regexp
	do   func(s *Server, x *session, args []string) (columns int, rows [][]string, r *refusal) // no columns: it changes something
}

// form makes a pattern. NAME? is a quoted name, ACCOUNT? two of them, TEXT? a constant, N? a number, WORDS? are words, ON?
// is what a grant is on, WITH? an option: all are arguments.
func form(text string) *regexp.Regexp {
	return regexp.MustCompile("^(?s:" + places.Replace(regexp.QuoteMeta(text)) + ")$")
}

var places = strings.NewReplacer(`ACCOUNT\?`, "(`(?:[^`]|``)*`@`(?:[^`]|``)*`)", `NAME\?`, "(`(?:[^`]|``)*`)", `TEXT\?`, `'((?:[^'\\]|''|\\.)*)'`,
	`WORDS\?`, `([A-Z][A-Z0-9, ]*)`, `ON\?`, `(\S.*?)`, `N\?`, `(\d+)`, `WITH\?`, `( WITH (?:GRANT|ADMIN) OPTION)?`)

// statements are all there are.
var statements = sync.OnceValue(func() []statement {
	return []statement{
		{form("SELECT 1"), func(*Server, *session, []string) (int, [][]string, *refusal) { return 1, [][]string{{"1"}}, nil }},
		{form("SELECT CONNECTION_ID()"), func(_ *Server, x *session, _ []string) (int, [][]string, *refusal) {
			return 1, [][]string{{fmt.Sprint(x.id)}}, nil
		}},
		{form("SELECT VERSION()"), func(*Server, *session, []string) (int, [][]string, *refusal) {
			return 1, [][]string{{Version}}, nil
		}},
		{form("SELECT VERSION(), @@read_only, CURRENT_USER()"), func(_ *Server, x *session, _ []string) (int, [][]string, *refusal) {
			return 3, [][]string{{Version, "0", x.current()}}, nil
		}},
		{form("SELECT CURRENT_USER(), COALESCE(CURRENT_ROLE(), 'NONE')"), (*Server).whoAmI},
		{form("SELECT User, Host, plugin, ssl_type, max_questions, max_updates, max_connections, max_user_connections, 0 FROM mysql.user WHERE User = TEXT? ORDER BY Host"), (*Server).users},
		{form("SELECT COALESCE(MAX(ID), 0) + 1 FROM information_schema.PROCESSLIST"), (*Server).nextID},
		{form("SELECT ID, HOST, COALESCE(DB, ''), COMMAND, TIME FROM information_schema.PROCESSLIST WHERE USER = TEXT? AND ID <> CONNECTION_ID() ORDER BY ID"), (*Server).list},
		{form("SELECT ID, HOST, COALESCE(DB, ''), COMMAND, TIME FROM information_schema.PROCESSLIST WHERE USER = TEXT? AND ID <> CONNECTION_ID() AND ID < CAST(TEXT? AS UNSIGNED) ORDER BY ID"), (*Server).list},
		{form("SHOW GRANTS FOR CURRENT_USER()"), (*Server).show},
		{form("SHOW GRANTS FOR ACCOUNT?"), (*Server).show},
		{form("CREATE USER ACCOUNT? IDENTIFIED WITH mysql_native_password AS TEXT? ACCOUNT LOCK"), (*Server).create},
		{form("ALTER USER ACCOUNT? IDENTIFIED WITH mysql_native_password AS TEXT?"), (*Server).identify},
		{form("ALTER USER ACCOUNT? IDENTIFIED WITH mysql_native_password AS TEXT? REQUIRE WORDS? WITH MAX_QUERIES_PER_HOUR N? MAX_UPDATES_PER_HOUR N? MAX_CONNECTIONS_PER_HOUR N? MAX_USER_CONNECTIONS N? ACCOUNT UNLOCK"), (*Server).identify},
		{form("GRANT NAME? TO ACCOUNT?WITH?"), (*Server).grantRole},
		{form("GRANT WORDS? ON ON? TO ACCOUNT?WITH?"), (*Server).grant},
		{form("REVOKE NAME? FROM ACCOUNT?"), (*Server).revokeRole},
		{form("REVOKE ALL PRIVILEGES, GRANT OPTION FROM ACCOUNT?"), (*Server).revoke},
		{form("SET DEFAULT ROLE NONE FOR ACCOUNT?"), (*Server).defaultRole},
		{form("SET DEFAULT ROLE NAME? FOR ACCOUNT?"), (*Server).defaultRole},
		{form("KILL CONNECTION N?"), (*Server).kill},
	}
})

// ofSession are the settings that a driver begins with.
var ofSession = regexp.MustCompile(`^SET (?:(?:sql_mode ?= ?'STRICT_ALL_TABLES'|lock_wait_timeout ?= ?10|wait_timeout ?= ?60)(?:, |$))+$`)

// do carries out one statement.
func (s *Server) do(x *session, text string) [][]byte {
	if ofSession.MatchString(text) {
		return [][]byte{okay()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { x.idle = s.now() }()
	for _, st := range statements() {
		m := st.form.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		columns, rows, r := st.do(s, x, m[1:])
		switch {
		case r != nil:
			return [][]byte{failed(r)}
		case columns == 0:
			return [][]byte{okay()}
		}
		return table(columns, rows)
	}
	return [][]byte{failed(refuse(1235, "42000", "The sandbox doesn't know this statement"))}
}

// me is the session's account; one that was dropped may do nothing.
func (s *Server) me(x *session) *account { return cmp.Or(s.accounts[x.account], &account{}) }

// current is CURRENT_USER().
func (x *session) current() string {
	user, host, _ := strings.Cut(x.account, "`@`")
	return unquoted(user) + "@" + unquoted(host)
}

func (s *Server) whoAmI(x *session, _ []string) (int, [][]string, *refusal) {
	return 2, [][]string{{x.current(), cmp.Or(s.me(x).Role, "NONE")}}, nil
}

func plain(constant string) string {
	return strings.NewReplacer("''", "'", `\\`, `\`, `\'`, "'").Replace(constant)
}

func (s *Server) users(x *session, args []string) (int, [][]string, *refusal) {
	if !s.me(x).Admin {
		return 0, nil, refuse(1142, "42000", "SELECT command denied to user '%s'@'%s' for table `mysql`.`user`", x.user, x.host)
	}
	var rows [][]string
	for _, a := range s.accounts {
		if a.User == plain(args[0]) {
			row := []string{a.User, a.Host, native, a.Require}
			for _, n := range a.Limits {
				row = append(row, fmt.Sprint(n))
			}
			rows = append(rows, append(row, "0"))
		}
	}
	slices.SortFunc(rows, slices.Compare[[]string])
	return 9, rows, nil
}

func (s *Server) nextID(*session, []string) (int, [][]string, *refusal) {
	all := s.of("")
	return 1, [][]string{{fmt.Sprint(all[len(all)-1].id + 1)}}, nil
}

// list are sessions. Who may not see others' sees their own.
func (s *Server) list(x *session, args []string) (int, [][]string, *refusal) {
	var rows [][]string
	below := ^uint64(0)
	if len(args) > 1 {
		below, _ = strconv.ParseUint(args[1], 10, 64)
	}
	for _, o := range s.of(plain(args[0])) {
		if o.id != x.id && uint64(o.id) < below && (s.me(x).Admin || o.user == x.user) {
			rows = append(rows, []string{fmt.Sprint(o.id), o.from, o.database, "Sleep", fmt.Sprint(max(0, int(s.now().Sub(o.idle).Seconds())))})
		}
	}
	return 5, rows, nil
}

func (s *Server) show(x *session, args []string) (int, [][]string, *refusal) {
	name := x.account
	if len(args) > 0 {
		name = args[0]
	}
	a := s.accounts[name]
	switch {
	case name != x.account && !s.me(x).Admin:
		return 0, nil, refuse(1044, "42000", "Access denied for user '%s'@'%s' to database 'mysql'", x.user, x.host)
	case a == nil:
		return 0, nil, refuse(1141, "42000", "There is no such grant defined for user %s", name)
	}
	var rows [][]string
	for _, g := range a.grants() {
		rows = append(rows, []string{g})
	}
	return 1, rows, nil
}

func (s *Server) kill(x *session, args []string) (int, [][]string, *refusal) {
	id, err := strconv.ParseUint(args[0], 10, 32)
	o := s.sessions[uint32(id)]
	switch {
	case err != nil || o == nil:
		return 0, nil, refuse(1094, "HY000", "Unknown thread id: %s", args[0])
	case !s.me(x).Admin && o.user != x.user:
		return 0, nil, refuse(1095, "HY000", "You are not owner of thread %d", id)
	}
	delete(s.sessions, o.id)
	_ = o.c.Close()
	return 0, nil, nil
}

// parseHash is what stands behind IDENTIFIED WITH mysql_native_password AS.
func parseHash(text string) ([]byte, *refusal) {
	digits, star := strings.CutPrefix(text, "*")
	b, err := hex.DecodeString(digits)
	if !star || err != nil || len(b) != 20 {
		return nil, refuse(1372, "HY000", "Password hash should be a 41-digit hexadecimal number")
	}
	return b, nil
}
