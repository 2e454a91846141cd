package mysql

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/fence"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/internal/database"
	"github.com/rastup/rekey/internal/kind/internal/databasetest"
	"github.com/rastup/rekey/internal/rotation"
)

// A mysql8 stands in for a server that can't be had here: one account with two passwords, as the MySQL Reference Manual
// says of ALTER USER. It answers the statements of this kind, refuses every other, and keeps what it was told.
type mysql8 struct {
	t              *testing.T
	first, second  string // passwords, or hashes of the native plugin
	changes        []string
	sessions, kill int
}

type session struct {
	s    *mysql8
	user string
}

func (m *mysql8) open(_ context.Context, _ database.Dial, l database.Login) (database.Conn, error) {
	password := string(l.Password.Reveal())
	h, err := hash(native, l.Password)
	if err != nil {
		return nil, err
	}
	if l.TLS.Off {
		m.t.Error("a login without TLS")
	}
	ok := l.User == "admin" && password == "admin-password-1" || l.User == "app" && (h == m.first || m.second != "" && h == m.second)
	if !ok {
		return nil, database.Failed(database.Refused, "1045", "access denied", nil)
	}
	return &session{m, l.User}, nil
}

func (*session) Close() {}

func (s *session) Read(_ context.Context, query string, args ...string) ([][]string, error) {
	second := "0"
	if s.s.second != "" {
		second = "1"
	}
	switch {
	case query == "SELECT VERSION()":
		return [][]string{{"8.0.36"}}, nil
	case strings.HasPrefix(query, "SELECT VERSION(), @@read_only"):
		return [][]string{{"8.0.36", "0", "admin@%"}}, nil
	case strings.Contains(query, "FROM mysql.user WHERE User = ?") && strings.Contains(query, "additional_password"):
		if args[0] != "app" {
			return nil, nil
		}
		return [][]string{{"app", "%", native, "", "0", "0", "0", "0", second}}, nil
	case strings.HasPrefix(query, "SELECT COALESCE(MAX(ID)"):
		return [][]string{{"100"}}, nil
	case strings.HasPrefix(query, "SELECT ID, HOST"):
		if args[0] != "app" || args[1] != "100" {
			s.s.t.Errorf("sessions of %q", args)
		}
		if s.s.sessions == 0 {
			return nil, nil
		}
		return [][]string{{"7", "10.0.0.1:5", "shop", "Sleep", "9"}}, nil
	case strings.HasPrefix(query, "SELECT CURRENT_USER()"):
		return [][]string{{s.user + "@%", "NONE"}}, nil
	case query == "SHOW GRANTS FOR CURRENT_USER()":
		return [][]string{{"GRANT USAGE ON *.* TO `app`@`%`"}, {"GRANT SELECT ON `shop`.* TO `app`@`%`"}}, nil
	}
	s.s.t.Errorf("a query that MySQL 8's stand-in doesn't know: %s", query)
	return nil, database.Failed(database.No, "1064", "", nil)
}

func (s *session) Change(ctx context.Context, what string, statements ...string) error {
	for _, st := range statements {
		err := fence.Statement(ctx, limit, what, func(context.Context) error { return s.s.change(st) }, database.Answered)
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *mysql8) change(st string) error {
	rest, ok := strings.CutPrefix(st, "ALTER USER `app`@`%` ")
	var v string
	switch {
	case ok && rest == "DISCARD OLD PASSWORD":
		m.second = ""
		m.changes = append(m.changes, "DISCARD OLD PASSWORD")
	case ok && strings.HasSuffix(rest, " RETAIN CURRENT PASSWORD"):
		if _, err := fmt.Sscanf(rest, "IDENTIFIED BY '%s RETAIN CURRENT PASSWORD", &v); err != nil {
			return err
		}
		m.second = m.first
		m.first = mustHash(strings.TrimSuffix(v, "'"))
		m.changes = append(m.changes, "RETAIN CURRENT PASSWORD")
	case ok && strings.HasPrefix(rest, "IDENTIFIED WITH mysql_native_password AS '"):
		m.first = strings.TrimSuffix(strings.TrimPrefix(rest, "IDENTIFIED WITH mysql_native_password AS '"), "'")
		m.changes = append(m.changes, "AS hash")
	case st == "KILL CONNECTION 7":
		m.sessions, m.kill = 0, m.kill+1
	default:
		m.t.Errorf("a statement that MySQL 8's stand-in doesn't know: %s", st)
	}
	return nil
}

func newDual(t *testing.T) (*mysql8, *databasetest.Lab) {
	t.Helper()
	m := &mysql8{t: t, first: mustHash(first)}
	e := engine()
	e.Open = m.open
	k := Kind()
	k.New = func(d kind.Deps) rotation.Handler { return database.New(e, d) }
	return m, databasetest.NewLab(t, k, &Target{Secret: databasetest.Secret, Admin: databasetest.Admin, Strategy: database.Dual},
		`{"engine":"mysql","host":"db.example.com","username":"app","password":"`+first+`"}`, `{"host":"db.example.com","username":"admin","password":"admin-password-1"}`)
}

func (m *mysql8) accepts(password string) bool {
	return mustHash(password) == m.first || m.second != "" && mustHash(password) == m.second
}

func mustHash(password string) string {
	h, err := hash(native, (&keeper{}).known(password))
	if err != nil {
		return err.Error()
	}
	return h
}

func TestTwoPasswordsOfOneAccount(t *testing.T) {
	m, l := newDual(t)
	m.sessions = 1
	l.Run("preflight", "create", "set", "set", "test", "promote") // a repeated set must not overwrite the old password
	user, password := l.Current()
	if user != "app" || password == first || !m.accepts(password) || !m.accepts(first) {
		t.Error("old and new don't both work")
	}
	if res, err := l.Ask(t.Context(), "adopted"); err != nil || res.Again != rotation.Later || !strings.HasPrefix(res.Wait, "1 session under the old login \"app\" to end: ") {
		t.Errorf("adopted: %+v, %v", res, err)
	}
	l.Run("decommission", "decommission", "refused")
	if m.accepts(first) || !m.accepts(password) || m.second != "" || m.kill != 1 {
		t.Errorf("after decommission the old one works, the new one doesn't, or %d sessions were ended", m.kill)
	}
	if got := strings.Join(m.changes, ", "); got != "RETAIN CURRENT PASSWORD, DISCARD OLD PASSWORD" {
		t.Error(got)
	}
	l.Silent()
}

func TestASecondPasswordIsTakenBack(t *testing.T) {
	for n := range forward {
		m, l := newDual(t)
		l.Run(forward[:n+1]...)
		_, is := databasetest.Document(l.Look().Version(l.Fact("create", "new")).Text)
		if n >= 4 {
			l.Run("restore")
		}
		if n >= 1 {
			l.Run("discard", "discard")
		}
		if !m.accepts(first) || is != "" && m.accepts(is) || m.second != "" {
			t.Errorf("after %s: the old password doesn't work, or not alone: %q", forward[n], m.changes)
		}
		l.Silent()
	}
}

func TestAHalfDoneDualPasswordIsRefused(t *testing.T) {
	m, l := newDual(t)
	m.second = mustHash("somebody-elses-old-one")
	if err := l.Try("preflight"); err == nil || !strings.Contains(err.Error(), "has a second password already") {
		t.Errorf("got %v", err)
	}
	for version, ok := range map[string]bool{"8.0.13": false, "8.0.14": true, "8.4.0": true, "9.1.0": true, "5.7.44-log": false, "8.0.36-log": true, "8.0.13-log": false} {
		if _, err := dual(version, false, account{}); (err == nil) != ok {
			t.Errorf("%s: %v", version, err)
		}
	}
	if _, err := dual("10.11.6-MariaDB", true, account{}); err == nil {
		t.Error("MariaDB keeps no second password")
	}
}
