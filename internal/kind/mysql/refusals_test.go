package mysql

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/kind/internal/databasetest"
	"github.com/rastup/rekey/internal/rotation"
)

// What preflight refuses, in its words.
func TestRefusals(t *testing.T) {
	var all strings.Builder
	n := 0
	tell := func(what string, target Target, arrange func(*scene)) {
		n++
		s := newScene(t, "no"+string(rune('a'+n)), target)
		if arrange != nil {
			arrange(s)
		}
		err := s.Try("preflight")
		var f *rotation.Failure
		if !errors.As(err, &f) {
			t.Errorf("%s: got %v, want a failure", what, err)
			return
		}
		text := what + "\n    " + f.Msg + "\n    hint: " + f.Hint + "\n"
		all.WriteString(strings.NewReplacer(s.server.Host+":"+strconv.Itoa(s.server.Port), "SERVER", strconv.Itoa(s.server.Port), "PORT").Replace(text))
		s.Silent(all.String())
	}
	set := func(key string, v any) func(*scene) {
		return func(s *scene) {
			m := map[string]any{}
			if err := json.Unmarshal([]byte(s.document(s.app, first)), &m); err != nil {
				t.Fatal(err)
			}
			m[key] = v
			b, _ := json.Marshal(m)
			if _, err := s.PutByHand(databasetest.Secret, string(b)); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := func(user string) string { return text(user) + "@'127.0.0.1'" }
	tell("another engine", Target{}, set("engine", "postgres"))
	tell("another server than the administering secret's", Target{}, set("host", "evil.example.com"))
	tell("the wrong password", Target{}, set("password", "another-password-2"))
	tell("a locked account", Target{}, func(s *scene) { s.asAdmin(t, "ALTER USER "+at(s.app)+" ACCOUNT LOCK") })
	tell("a certificate nobody trusts", Target{TLS: "verify"}, nil)
	tell("dual password of MariaDB", Target{Strategy: "dual-password"}, nil)
	tell("accounts for two hosts", Target{}, func(s *scene) { s.asAdmin(t, "CREATE USER "+text(s.app)+"@'10.%' IDENTIFIED BY 'x'") })
	tell("a second account for another host", Target{}, func(s *scene) { s.asAdmin(t, "CREATE USER "+text(s.app+"_clone")+"@'%' IDENTIFIED BY 'x'") })
	tell("a second account that is in use", Target{}, func(s *scene) {
		s.asAdmin(t, "CREATE USER "+at(s.app+"_clone")+" IDENTIFIED BY 'somebody-elses-password'")
		s.must(s.login(s.app+"_clone", "somebody-elses-password"))
	})
	tell("a second name that is too long", Target{}, set("username", strings.Repeat("x", 30)))
	tell("an account that administers itself", Target{}, func(s *scene) {
		if _, err := s.PutByHand(databasetest.Secret, s.document(s.server.Admin, s.server.Password)); err != nil {
			t.Fatal(err)
		}
	})
	golden(t, "refusals.txt", all.String())
}

// digits takes out what is another number on each run.
func digits(s string) string {
	for _, r := range []struct{ re, is string }{{`connection \d+`, "connection ID"}, {`127\.0\.0\.1:\d+`, "ADDRESS"}, {`for \d+ s`, "for N s"}, {`\d+\.\d+\.\d+-MariaDB[^ ]*`, "VERSION"}} {
		s = regexp.MustCompile(r.re).ReplaceAllString(s, r.is)
	}
	return s
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	goldentest.Equal(t, name, digits(got))
}
