package mysql

import (
	"database/sql/driver"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/kind/internal/databasetest"
	sandbox "github.com/rastup/rekey/internal/sandbox/mysql"
)

type machine struct{}

func (machine) Now() time.Time { return time.Now() }

// newSandbox is newScene on the sandbox's server instead of the real one.
func newSandbox(t *testing.T, app string, target Target) *scene {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	s := &scene{app: app, db: "db of " + app}
	fake := sandbox.New(machine{}, &web.TLS.Certificates[0], s.db)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { _ = fake.Serve(l) }()
	s.server = &databasetest.Server{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Admin: "admin", Password: "administers-everything-1",
		CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}))}
	fake.Add(sandbox.Account{User: s.server.Admin, Host: "%", Password: s.server.Password, Admin: true})
	fake.Add(sandbox.Account{User: app, Host: "127.0.0.1", Password: first, Limits: [4]int{3: 50}, Roles: []string{"role of " + app}, Role: "role of " + app,
		Grants: []sandbox.Grant{{Privileges: []string{"SELECT", "INSERT"}, On: name(s.db) + ".*"}}})
	target.Secret, target.Admin, target.CA = databasetest.Secret, databasetest.Admin, s.server.CA
	s.Lab = databasetest.NewLab(t, Kind(), &target, s.document(app, first), s.document(s.server.Admin, s.server.Password))
	return s
}

// TestTheSandboxSaysWhatMariaDBSays goes through the rotations of TestWhatARotationSays: the goldens are of the real server.
func TestTheSandboxSaysWhatMariaDBSays(t *testing.T) {
	s := newSandbox(t, "says", Target{})
	old := s.must(s.login(s.app, first))
	s.want(old, "SELECT 1", "1")
	s.Run(forward[:5]...).Held("adopted").Run("decommission", "refused").Again().Run(append(forward[:5:5], "restore", "discard")...)
	if got, err := ask(old, "SELECT 1"); err == nil {
		t.Errorf("the old session was ended, and still answers %q", got)
	}
	same(t, "story.txt", s.Story(s.server))
	one := newSandbox(t, "says_one", Target{Strategy: "single-user"})
	one.Run(through...).Again().Run(append(forward[:5:5], "restore", "discard")...)
	same(t, "story-single.txt", one.Story(one.server))
}

func same(t *testing.T, file, got string) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), digits(got)); d != "" {
		t.Errorf("%s (-MariaDB +sandbox):\n%s", file, d)
	}
}

// TestTheSandboxRefusesAndGrantsWhatMariaDBDoes sends the same to both, and compares codes and rows.
func TestTheSandboxRefusesAndGrantsWhatMariaDBDoes(t *testing.T) {
	fake, real := newSandbox(t, "both", Target{}), newScene(t, "both", Target{})
	const (
		alter  = "ALTER USER `spare`@`127.0.0.1` IDENTIFIED WITH mysql_native_password AS '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'" // "password"
		unlock = " REQUIRE NONE WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0 MAX_USER_CONNECTIONS 0 ACCOUNT UNLOCK"
		create = "CREATE USER `spare`@`127.0.0.1` IDENTIFIED WITH mysql_native_password AS '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19' ACCOUNT LOCK"
		x509   = " REQUIRE X509 WITH MAX_QUERIES_PER_HOUR 1 MAX_UPDATES_PER_HOUR 2 MAX_CONNECTIONS_PER_HOUR 3 MAX_USER_CONNECTIONS 4 ACCOUNT UNLOCK"
	)
	admin, password := real.server.Admin, real.server.Password
	for _, c := range []struct{ user, password, db, statement, want string }{
		{"both", first, "", "", ""},
		{"both", "another", "", "", "1045"},
		{"nobody", first, "", "", "1045"},
		{"both", first, "no such", "", "1044"},
		{admin, password, "no such", "", "1049"},
		{"both", first, "", create, "1227"},
		{"both", first, "", alter, "1227"},
		{"both", first, "", "SHOW GRANTS FOR `admin`@`%`", "1044"},
		{"both", first, "", "SELECT User, Host, plugin, ssl_type, max_questions, max_updates, max_connections, max_user_connections, 0 FROM mysql.user WHERE User = 'both' ORDER BY Host", "1142"},
		{"both", first, "", "KILL CONNECTION 99999999", "1094"},
		{admin, password, "", alter, "1396"},
		{admin, password, "", "SHOW GRANTS FOR `spare`@`127.0.0.1`", "1141"},
		{admin, password, "", create, ""},
		{admin, password, "", create, "1396"},
		{"spare", "password", "", "", "4151"},
		{"spare", "wrong", "", "", "1045"},
		{admin, password, "", alter + unlock, ""},
		{"spare", "password", "", "SHOW GRANTS FOR CURRENT_USER()", "GRANT USAGE ON *.* TO `spare`@`127.0.0.1` IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'"},
		{admin, password, "", "GRANT SELECT, INSERT ON `db of both`.* TO `spare`@`127.0.0.1`", ""},
		{admin, password, "", "GRANT SELECT, UPDATE ON `db of both`.* TO `spare`@`127.0.0.1` WITH GRANT OPTION", ""},
		{admin, password, "", "SET DEFAULT ROLE `role of both` FOR `spare`@`127.0.0.1`", "1959"},
		{admin, password, "", "GRANT `role of both` TO `spare`@`127.0.0.1` WITH ADMIN OPTION", ""},
		{admin, password, "", "SET DEFAULT ROLE `role of both` FOR `spare`@`127.0.0.1`", ""},
		{admin, password, "", "SHOW GRANTS FOR `spare`@`127.0.0.1`", "GRANT SELECT, INSERT, UPDATE ON `db of both`.* TO `spare`@`127.0.0.1` WITH GRANT OPTION; " +
			"GRANT USAGE ON *.* TO `spare`@`127.0.0.1` IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'; " +
			"GRANT `role of both` TO `spare`@`127.0.0.1` WITH ADMIN OPTION; SET DEFAULT ROLE `role of both` FOR `spare`@`127.0.0.1`"},
		{"spare", "password", "", "SELECT CURRENT_USER(), COALESCE(CURRENT_ROLE(), 'NONE')", "spare@127.0.0.1,role of both"},
		{admin, password, "", alter + x509, ""},
		{"spare", "password", "", "", "1045"},
		{admin, password, "", "SELECT User, Host, plugin, ssl_type, max_questions, max_updates, max_connections, max_user_connections, 0 FROM mysql.user WHERE User = 'spare' ORDER BY Host",
			"spare,127.0.0.1,mysql_native_password,X509,1,2,3,4,0"},
		{admin, password, "", "SET DEFAULT ROLE NONE FOR `spare`@`127.0.0.1`", ""},
		{admin, password, "", "REVOKE `role of both` FROM `spare`@`127.0.0.1`", ""},
		{admin, password, "", "REVOKE ALL PRIVILEGES, GRANT OPTION FROM `spare`@`127.0.0.1`", ""},
		{admin, password, "", "SHOW GRANTS FOR `spare`@`127.0.0.1`", "GRANT USAGE ON *.* TO `spare`@`127.0.0.1` IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'" +
			" REQUIRE X509 WITH MAX_QUERIES_PER_HOUR 1 MAX_UPDATES_PER_HOUR 2 MAX_CONNECTIONS_PER_HOUR 3 MAX_USER_CONNECTIONS 4"},
	} {
		is, got := real.answer(t, c.user, c.password, c.db, c.statement), fake.answer(t, c.user, c.password, c.db, c.statement)
		if is != c.want || got != c.want {
			t.Errorf("%s: %q:\nMariaDB     %q\nthe sandbox %q\nwant        %q", c.user, c.statement, is, got, c.want)
		}
	}
}

// answer is the code that the server says to a login, and a statement, or the rows, sorted.
func (s *scene) answer(t *testing.T, user, password, db, statement string) string {
	t.Helper()
	rows, err := s.asked(t, user, password, db, statement)
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return fmt.Sprint(my.Number)
	}
	if err != nil {
		t.Fatalf("%s: %q: %v", user, statement, err)
	}
	return strings.Join(rows, "; ")
}

func (s *scene) asked(t *testing.T, user, password, db, statement string) (all []string, err error) {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.DBName, cfg.Logger = "tcp", net.JoinHostPort(s.server.Host, strconv.Itoa(s.server.Port)), user, password, db, &mysql.NopLogger{}
	to, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	c, err := to.Connect(t.Context())
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if !strings.HasPrefix(statement, "SELECT") && !strings.HasPrefix(statement, "SHOW") {
		if statement != "" {
			err = exec(c, statement)
		}
		return nil, err
	}
	rows, err := c.(driver.QueryerContext).QueryContext(t.Context(), statement, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(row); errors.Is(err, io.EOF) {
			slices.Sort(all)
			return all, nil
		} else if err != nil {
			return nil, err
		}
		var texts []string
		for _, v := range row {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			texts = append(texts, fmt.Sprint(v))
		}
		all = append(all, strings.Join(texts, ","))
	}
}
