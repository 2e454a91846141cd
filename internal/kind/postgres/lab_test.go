package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rastup/rekey/internal/kind/internal/databasetest"
)

// A scene is one application's database on the real server, and a rotation of its account.
type scene struct {
	*databasetest.Lab
	server  *databasetest.Server
	db, app string
}

const rotator = "rotator-of-accounts-1"

// newScene makes a database that app owns a table in, and another owner's table that app may read.
func newScene(t testing.TB, app string, target Target) *scene {
	t.Helper()
	s := &scene{server: databasetest.Postgres(t), app: app, db: "db of " + app}
	target.Secret, target.Admin = databasetest.Secret, databasetest.Admin
	if target.TLS == "verify" { // by what the system trusts
		target.TLS = ""
	} else if target.TLS == "" {
		target.CA = s.server.CA
	}
	s.asAdmin(t, "postgres", "DROP ROLE IF EXISTS "+name("rotator"), "CREATE ROLE "+name("rotator")+" LOGIN CREATEROLE PASSWORD "+text(rotator)+" IN ROLE pg_signal_backend, pg_read_all_stats")
	s.asAdmin(t, "postgres", "CREATE ROLE "+name(app)+" LOGIN PASSWORD 'the-first-password-1'")
	s.asAdmin(t, "postgres", "CREATE DATABASE "+name(s.db))
	s.asAdmin(t, s.db, `CREATE TABLE "of others" (n int)`, `INSERT INTO "of others" VALUES (7)`, `GRANT SELECT ON "of others" TO `+name(app),
		`CREATE SCHEMA "home of app" AUTHORIZATION `+name(app), `CREATE TABLE "home of app".mine (n int)`, `ALTER TABLE "home of app".mine OWNER TO `+name(app),
		`ALTER ROLE `+name(app)+` SET search_path TO "home of app", public`, `ALTER ROLE `+name(app)+` IN DATABASE `+name(s.db)+` SET DateStyle TO 'German, DMY'`)
	s.Lab = databasetest.NewLab(t, Kind(), &target, s.document(app, "the-first-password-1"), s.document("rotator", rotator))
	return s
}

func (s *scene) document(user, password string) string {
	b, _ := json.Marshal(map[string]any{"engine": "postgres", "host": s.server.Host, "port": s.server.Port, "dbname": s.db, "username": user, "password": password, "masterarn": "x"})
	return string(b)
}

func (s *scene) config(t testing.TB, db, user, password string) *pgconn.Config {
	t.Helper()
	cfg, err := pgconn.ParseConfig("sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = s.server.Host, uint16(s.server.Port), db, user, password
	return cfg
}

// login opens a session of a consumer's.
func (s *scene) login(t testing.TB, user, password string) (*pgconn.PgConn, error) {
	t.Helper()
	cfg := s.config(t, s.db, user, password)
	cfg.RuntimeParams = map[string]string{"application_name": "shop"}
	return pgconn.ConnectConfig(context.Background(), cfg)
}

func ask(c *pgconn.PgConn, query string) (string, error) {
	res := c.ExecParams(context.Background(), query, nil, nil, nil, nil).Read()
	if res.Err != nil {
		return "", res.Err
	}
	if len(res.Rows) == 0 {
		return "", nil
	}
	return string(res.Rows[0][0]), nil
}

func (s *scene) asAdmin(t testing.TB, db string, statements ...string) {
	t.Helper()
	c, err := pgconn.ConnectConfig(context.Background(), s.config(t, db, s.server.Admin, s.server.Password))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	for _, st := range append([]string{"SET log_statement = none"}, statements...) { // what a person does isn't what is tested
		if err := c.Exec(context.Background(), st).Close(); err != nil && !strings.HasPrefix(st, "DROP") {
			if !strings.Contains(st, name("rotator")) { // shared by all scenes
				t.Fatalf("%s: %v", st, err)
			}
		}
	}
}

var forward = []string{"preflight", "create", "set", "test", "promote"}
var through = append(forward[:5:5], "adopted", "decommission", "refused")

func (s *scene) must(c *pgconn.PgConn, err error) *pgconn.PgConn {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { _ = c.Close(context.Background()) }) // one that nothing refers to any more would be closed before
	return c
}

func (s *scene) want(c *pgconn.PgConn, query, want string) {
	s.T.Helper()
	if got, err := ask(c, query); err != nil || got != want {
		s.T.Errorf("%s: got %q, %v; want %q", query, got, err, want)
	}
}

func fmtSaid(s *scene) string { return fmt.Sprint(strings.Join(s.Said, "\n")) }
