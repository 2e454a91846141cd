package mysql

import (
	"bytes"
	"crypto/sha1"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

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
	server := databasetest.MariaDB(t)
	c, err := connect(server, server.Admin, server.Password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	do := func(statements ...string) {
		for _, st := range append([]string{"SET SESSION sql_log_off = ON"}, statements...) {
			if err := exec(c, st); err != nil {
				panic(fmt.Sprintf("%s: %v", st, err))
			}
		}
	}
	prefix := fmt.Sprintf("world %d ", worlds.Add(1))
	target := map[string]any{"tls": "off", "strategy": "single-user"}
	if !single {
		target = map[string]any{"tls": "off"}
	}
	full := func(user string) string {
		if strings.HasPrefix(user, prefix) {
			return user
		}
		return prefix + user
	}
	document := func(user, password string) string {
		b, _ := json.Marshal(map[string]any{"engine": "mysql", "host": server.Host, "port": server.Port, "username": user, "password": password})
		return string(b)
	}
	return databasetest.World(Kind(), databasetest.Accounts{
		Make: func(user, password string) {
			do(fmt.Sprintf("CREATE USER %s@'%%' IDENTIFIED BY %s", text(full(user)), text(password)))
		},
		Change: func(user, password string) {
			do(fmt.Sprintf("ALTER USER %s@'%%' IDENTIFIED BY %s", text(user), text(password)))
		},
		Accepts: func(user, password string) bool { return accepts(c, user, password) },
		State: func(users ...string) (out string) {
			for _, u := range users {
				got, err := ask(c, "SELECT GROUP_CONCAT(Priv) FROM mysql.global_priv WHERE User = "+text(full(u)))
				out += fmt.Sprint(u, got, err)
			}
			return out
		},
		Document: func(user, password string) string { return document(full(user), password) },
		Admin:    document(server.Admin, server.Password), Sent: sent,
	}, target, single)
}

func accepts(c driver.Conn, user, password string) bool {
	stored, err := ask(c, "SELECT CONCAT(JSON_VALUE(Priv, '$.authentication_string'), IF(JSON_VALUE(Priv, '$.account_locked'), ' locked', '')) FROM mysql.global_priv WHERE User = "+text(user))
	if err != nil {
		panic(err)
	}
	once := sha1.Sum([]byte(password))
	return stored == fmt.Sprintf("*%X", sha1.Sum(once[:]))
}

// sent tells what a message is, in MySQL's protocol without TLS: four bytes of header, then the command.
func sent(b []byte) (string, bool) {
	const quit, query = 1, 3
	switch {
	case len(b) < 5 || b[3] == 0 && b[4] == quit:
		return "", false
	case b[3] != 0:
		return "MySQL login", false
	case b[4] != query:
		return "MySQL asks", false
	}
	verb, _, _ := bytes.Cut(b[5:], []byte(" "))
	switch v := strings.ToUpper(string(verb)); v {
	case "SELECT", "SHOW":
		return "MySQL reads", false
	case "SET":
		if !bytes.HasPrefix(b[5:], []byte("SET DEFAULT ROLE")) {
			return "MySQL settings", false
		}
		fallthrough
	default:
		return "MySQL " + v, true
	}
}

func TestCosts(t *testing.T) {
	kindtest.Golden(t, *goldentest.Update, kindtest.Costs(t, world(t, false), nil), kindtest.Costs(t, world(t, true), map[string]string{
		"decommission: DescribeSecret": "the last look before labels go; sessions may have been ended since the first",
	}))
}
