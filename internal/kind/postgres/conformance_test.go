package postgres

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/kind/internal/databasetest"
	"github.com/rastup/rekey/internal/kind/kindtest"
)

// The suite runs against the real server: each message to it can be stopped, cut off, or arrive late.
func TestConformance(t *testing.T) {
	kindtest.Run(t, world(t, false))
}

func TestConformanceWithOneAccount(t *testing.T) {
	kindtest.Run(t, world(t, true))
}

// worlds are numbered: all have their accounts at one server.
var worlds atomic.Int32

func world(t *testing.T, single bool) kindtest.World {
	server := databasetest.Postgres(t)
	cfg, err := pgconn.ParseConfig("sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = server.Host, uint16(server.Port), "postgres", server.Admin, server.Password
	c, err := pgconn.ConnectConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	do := func(statements ...string) {
		for _, st := range append([]string{"SET log_statement = none"}, statements...) {
			if err := c.Exec(context.Background(), st).Close(); err != nil {
				panic(fmt.Sprintf("%s: %v", st, err))
			}
		}
	}
	w := &watcher{c: c}
	prefix := fmt.Sprintf("world %d ", worlds.Add(1))
	target := map[string]any{"tls": "off", "strategy": "single-user"}
	if !single {
		target = map[string]any{"tls": "off"}
	}
	full := func(user string) string { return prefix + user }
	document := func(user, password string) string {
		b, _ := json.Marshal(map[string]any{"engine": "postgres", "host": server.Host, "port": server.Port, "dbname": "postgres", "username": user, "password": password})
		return string(b)
	}
	return databasetest.World(Kind(), databasetest.Accounts{
		Make: func(user, password string) {
			do(fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD %s", name(full(user)), text(password)))
		},
		Change:  func(user, password string) { do(fmt.Sprintf("ALTER ROLE %s PASSWORD %s", name(user), text(password))) },
		Accepts: w.accepts,
		State: func(users ...string) string {
			out := ""
			for _, u := range users {
				got, err := ask(c, "SELECT row(rolcanlogin, rolpassword, rolconfig, rolvaliduntil)::text FROM pg_authid LEFT JOIN (SELECT oid AS o, rolconfig FROM pg_roles) r ON o = oid WHERE rolname = "+text(full(u)))
				out += fmt.Sprint(u, got, err)
			}
			return out
		},
		Document: func(user, password string) string {
			if !strings.HasPrefix(user, prefix) {
				user = full(user)
			}
			return document(user, password)
		},
		Admin: document(server.Admin, server.Password), Sent: sent,
	}, target, single)
}

// sent tells what a message is, in PostgreSQL's protocol without TLS.
func sent(b []byte) (string, bool) {
	switch {
	case len(b) < 8 || b[0] == 'X':
		return "", false
	case b[0] == 0 || b[0] == 'p':
		return "PostgreSQL login", false
	case b[0] == 'Q':
		verb, _, _ := bytes.Cut(b[5:], []byte(" "))
		return "PostgreSQL " + string(bytes.ToUpper(verb)), true
	}
	return "PostgreSQL reads", false
}

// A watcher knows what the server stores, and remembers what it has worked out.
type watcher struct {
	c    *pgconn.PgConn
	memo sync.Map
}

var stored = regexp.MustCompile(`^SCRAM-SHA-256\$4096:([^$]+)\$`)

func (w *watcher) accepts(user, password string) bool {
	v, err := ask(w.c, "SELECT coalesce(rolpassword, '') FROM pg_authid WHERE rolcanlogin AND rolname = "+text(user))
	if err != nil {
		panic(err)
	}
	m := stored.FindStringSubmatch(v)
	if m == nil {
		return false
	}
	key := v + " " + password
	if known, ok := w.memo.Load(key); ok {
		return known.(bool)
	}
	salt, err := base64.StdEncoding.DecodeString(m[1])
	if err != nil {
		panic(err)
	}
	mine, err := salted(password, salt)
	w.memo.Store(key, err == nil && mine == v)
	return err == nil && mine == v
}

func TestCosts(t *testing.T) {
	kindtest.Golden(t, *goldentest.Update, kindtest.Costs(t, world(t, false), nil), kindtest.Costs(t, world(t, true), map[string]string{
		"decommission: DescribeSecret": "the last look before labels go; sessions may have been ended since the first",
	}))
}
