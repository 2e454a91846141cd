package postgres

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rastup/rekey/internal/kind/internal/databasetest"
	sandbox "github.com/rastup/rekey/internal/sandbox/postgres"
)

type machine struct{}

func (machine) Now() time.Time { return time.Now() }

// newSandbox is newScene on the sandbox's server instead of the real one.
func newSandbox(t *testing.T, app string, target Target) *scene {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	s := &scene{app: app, db: "db of " + app}
	fake := sandbox.New(machine{}, &web.TLS.Certificates[0], "postgres", s.db)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { _ = fake.Serve(l) }()
	s.server = &databasetest.Server{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Admin: "admin", Password: "administers-everything-1",
		CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}))}
	for _, r := range []sandbox.Role{
		{Name: s.server.Admin, Password: s.server.Password, Login: true, Super: true},
		{Name: "rotator", Password: rotator, Login: true, CreateRole: true, Of: []string{"pg_signal_backend", "pg_read_all_stats"}},
		{Name: app, Password: "the-first-password-1", Login: true, Rights: []string{"SELECT on table of others", "owner of mine"}, Owns: 2,
			Settings: []sandbox.Setting{{Name: "search_path", Value: `"home of app", public`}, {Database: s.db, Name: "DateStyle", Value: "German, DMY"}}},
	} {
		if err := fake.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	target.Secret, target.Admin = databasetest.Secret, databasetest.Admin
	target.CA = s.server.CA
	s.Lab = databasetest.NewLab(t, Kind(), &target, s.document(app, "the-first-password-1"), s.document("rotator", rotator))
	return s
}

// TestTheSandboxSaysWhatPostgreSQLSays goes through the rotations of TestWhatARotationSays: the goldens are of the real
// server.
func TestTheSandboxSaysWhatPostgreSQLSays(t *testing.T) {
	s := newSandbox(t, "says", Target{})
	old := s.must(s.login(t, s.app, "the-first-password-1"))
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
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-PostgreSQL +sandbox):\n%s", file, d)
	}
}

// TestTheSandboxRefusesWhatPostgreSQLRefuses sends the same to both, and compares codes.
func TestTheSandboxRefusesWhatPostgreSQLRefuses(t *testing.T) {
	fake := newSandbox(t, "both", Target{})
	real := newScene(t, "both", Target{})
	real.asAdmin(t, "postgres", `ALTER ROLE "rotator" CREATEROLE`, `CREATE ROLE "unable" LOGIN PASSWORD 'the-first-password-1'`)
	for _, st := range []string{`CREATE ROLE "unable"`, `ALTER ROLE "unable" LOGIN PASSWORD 'the-first-password-1'`} {
		if code := fake.code(t, fake.server.Admin, fake.server.Password, fake.db, st); code != "" {
			t.Fatal(st, code)
		}
	}
	for _, c := range []struct{ user, password, db, statement, want string }{
		{"both", "the-first-password-1", "", "", ""},
		{"both", "another", "", "", "28P01"},
		{"nobody", "the-first-password-1", "", "", "28P01"},
		{"both", "the-first-password-1", "no such", "", "3D000"},
		{"both", "the-first-password-1", "", `ALTER ROLE "unable" PASSWORD 'x'`, "42501"},
		{"both", "the-first-password-1", "", `CREATE ROLE "mine"`, "42501"},
		{"rotator", rotator, "", `CREATE ROLE "both"`, "42710"},
		{"rotator", rotator, "", `ALTER ROLE "nobody" PASSWORD 'x'`, "42704"},
		{"rotator", rotator, "", `ALTER ROLE "admin" PASSWORD 'x'`, "42501"},
		{"rotator", rotator, "", `ALTER ROLE "unable" REPLICATION`, "42501"},
		{"rotator", rotator, "", `GRANT "nobody" TO "unable"`, "42704"},
		{"rotator", rotator, "", `ALTER ROLE "unable" IN DATABASE "no such" RESET ALL`, "3D000"},
		{"rotator", rotator, "", "CREATE ROLE \"other\";\nALTER ROLE \"nobody\" PASSWORD 'x'", "42704"},
		{"rotator", rotator, "", `ALTER ROLE "other" PASSWORD 'x'`, "42704"}, // nothing of a message that was refused happened
		{"rotator", rotator, "", `ALTER ROLE "unable" LOGIN CONNECTION LIMIT 0 VALID UNTIL 'infinity' PASSWORD 'second'`, ""},
		{"unable", "second", "", "", "53300"},
		{"unable", "the-first-password-1", "", "", "28P01"},
		{"rotator", rotator, "", `CREATE ROLE "no login"`, ""},
		{"rotator", rotator, "", `ALTER ROLE "no login" PASSWORD 'third'`, ""},
		{"no login", "third", "", "", "28000"},
		{"rotator", rotator, "", `GRANT "both" TO "no login"`, ""},
		{"rotator", rotator, "", `ALTER ROLE "unable" SET search_path TO`, "42601"},
	} {
		db := func(s *scene) string {
			if c.db == "" {
				return s.db
			}
			return c.db
		}
		is, got := real.code(t, c.user, c.password, db(real), c.statement), fake.code(t, c.user, c.password, db(fake), c.statement)
		if is != c.want || got != c.want && (c.want != "42601" || got != "0A000") { // what isn't understood is refused all the same
			t.Errorf("%s: %q: PostgreSQL says %q, the sandbox %q, want %q", c.user, c.statement, is, got, c.want)
		}
	}
}

// code is what the server says to a login, and a statement.
func (s *scene) code(t *testing.T, user, password, db, statement string) string {
	t.Helper()
	c, err := pgconn.ConnectConfig(context.Background(), s.config(t, db, user, password))
	if err == nil && statement != "" {
		err = c.Exec(context.Background(), statement).Close()
	}
	if c != nil {
		_ = c.Close(context.Background())
	}
	var pg *pgconn.PgError
	if err != nil && !errors.As(err, &pg) {
		t.Fatal(err)
	}
	if pg == nil {
		return ""
	}
	return pg.Code
}
