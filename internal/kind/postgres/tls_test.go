package postgres

import (
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/kind/internal/database"
	"github.com/rastup/rekey/internal/problem"
)

func TestTLSIsOnUnlessSaidOtherwise(t *testing.T) {
	for tls, want := range map[string]string{"": "t", "encrypt": "t", "off": "f"} {
		s := newScene(t, "tls_"+tls, Target{TLS: tls})
		l := database.Login{Host: s.server.Host, Port: s.server.Port, Database: s.db, User: s.app, Password: s.Deps.Keep.Known([]byte("the-first-password-1")),
			TLS: database.TLS{CA: s.server.CA, Off: tls == "off", Unverified: tls == "encrypt"}}
		c, err := open(t.Context(), nil, l, "rekey")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := c.Read(t.Context(), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
		if err != nil || rows[0][0] != want {
			t.Errorf("tls %q: %v, %v", tls, rows, err)
		}
		c.Close()
		s.Run("preflight")
	}
}

func TestBadTargetsAreToldWithTheirPlaces(t *testing.T) {
	for yaml, want := range map[string]string{
		"secret: a b\nadmin: arn:nonsense":                                 "1:9: \"a b\" is no name of a secret [secret-name]|2:8: \"arn:nonsense\" is no ARN of a secret [secret-name]",
		"secret: a\nadmin: a":                                              "2:8: the account can't administer its own rotation [admin]",
		"secret: a\nadmin: b\nstrategy: dual-password":                     "3:11: strategy can't be \"dual-password\" [value]",
		"secret: a\nadmin: b\nusers: [x]":                                  "3:8: 1 accounts can't alternate [users]",
		"secret: a\nadmin: b\nstrategy: single-user\nusers: [x, y]":        "4:8: strategy single-user has one account [users]",
		"secret: a\nadmin: b\ntls: maybe":                                  "3:6: tls can't be \"maybe\" [value]",
		"secret: a\nadmin: b\ntls: off\nca: x":                             "4:5: tls is off, so no certificate is verified [tls]",
		"secret: a\nadmin: b\nca: x":                                       "3:5: ca holds no certificate [tls]",
		"secret: a\nadmin: b\nusers: [" + strings.Repeat("x", 64) + ", y]": "3:8: \"" + strings.Repeat("x", 60) + "…\" is too long for PostgreSQL [users]",
	} {
		var l problem.List
		problem.Decode(problem.Source{File: "t.yaml", Text: []byte(yaml)}, new(Target), &l)
		var all []string
		for _, p := range l.Sorted() {
			line, _, _ := strings.Cut(p.String(), "\n")
			all = append(all, strings.TrimPrefix(line, "t.yaml:"))
		}
		got := strings.Join(all, "|")
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", yaml, got, want)
		}
	}
}
