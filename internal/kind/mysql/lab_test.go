package mysql

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/rastup/rekey/internal/kind/internal/databasetest"
	"github.com/rastup/rekey/internal/secret"
)

// A scene is one application's account on the real server, and a rotation of it.
type scene struct {
	*databasetest.Lab
	server  *databasetest.Server
	db, app string
}

const first = "the-first-password-1"

func newScene(t testing.TB, app string, target Target) *scene {
	t.Helper()
	s := &scene{server: databasetest.MariaDB(t), app: app, db: "db of " + strings.ReplaceAll(app, `\`, "")} // in a grant a backslash makes a pattern
	target.Secret, target.Admin = databasetest.Secret, databasetest.Admin
	if target.TLS == "verify" { // by what the system trusts
		target.TLS = ""
	} else if target.TLS == "" {
		target.CA = s.server.CA
	}
	at := text(app) + "@'127.0.0.1'"
	s.asAdmin(t, "CREATE DATABASE "+name(s.db), "CREATE TABLE "+name(s.db)+".t (n int)", "INSERT INTO "+name(s.db)+".t VALUES (7)",
		"CREATE USER "+at+" IDENTIFIED BY "+text(first)+" REQUIRE NONE WITH MAX_USER_CONNECTIONS 50", "GRANT SELECT, INSERT ON "+name(s.db)+".* TO "+at,
		"CREATE ROLE IF NOT EXISTS "+name("role of "+app), "GRANT "+name("role of "+app)+" TO "+at, "SET DEFAULT ROLE "+name("role of "+app)+" FOR "+at)
	s.Lab = databasetest.NewLab(t, Kind(), &target, s.document(app, first), s.document(s.server.Admin, s.server.Password))
	return s
}

func (s *scene) document(user, password string) string {
	b, _ := json.Marshal(map[string]any{"engine": "mariadb", "host": s.server.Host, "port": s.server.Port, "dbname": "", "username": user, "password": password})
	return string(b)
}

func connect(server *databasetest.Server, user, password string) (driver.Conn, error) {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.Logger = "tcp", net.JoinHostPort(server.Host, strconv.Itoa(server.Port)), user, password, &mysql.NopLogger{}
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

func (s *scene) login(user, password string) (driver.Conn, error) {
	return connect(s.server, user, password)
}

func (s *scene) asAdmin(t testing.TB, statements ...string) {
	t.Helper()
	c, err := s.login(s.server.Admin, s.server.Password)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, st := range append([]string{"SET SESSION sql_log_off = ON"}, statements...) { // what a person does isn't what is tested
		if err := exec(c, st); err != nil {
			t.Fatalf("%s: %v", st, err)
		}
	}
}

func exec(c driver.Conn, statement string) error {
	_, err := c.(driver.ExecerContext).ExecContext(context.Background(), statement, nil)
	return err
}

func ask(c driver.Conn, query string) (string, error) {
	rows, err := (&conn{c}).Read(context.Background(), query)
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return rows[0][0], nil
}

func (s *scene) must(c driver.Conn, err error) driver.Conn {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { _ = c.Close() }) // one that nothing refers to any more would be closed before
	return c
}

func (s *scene) want(c driver.Conn, query, want string) {
	s.T.Helper()
	if got, err := ask(c, query); err != nil || got != want {
		s.T.Errorf("%s: got %q, %v; want %q", query, got, err, want)
	}
}

func refusedLogin(err error) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my) && my.Number == 1045
}

func (s *scene) said() string { return fmt.Sprint(strings.Join(s.Said, "\n")) }

var (
	forward = []string{"preflight", "create", "set", "test", "promote"}
	through = append(forward[:5:5], "adopted", "decommission", "refused")
)

type keeper struct{}

func (*keeper) known(s string) secret.Value {
	return secret.Keeper{Seen: func([]byte) {}}.Known([]byte(s))
}
