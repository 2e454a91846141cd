package postgres

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/kind/internal/databasetest"
	"github.com/rastup/rekey/internal/rotation"
)

// What preflight refuses, in its words. Nothing was changed, and no administering password left for where it may not go.
func TestRefusals(t *testing.T) {
	var all strings.Builder
	n := 0
	tell := func(what string, target Target, arrange func(*scene)) {
		n++
		s := newScene(t, "no"+string(rune('a'+n)), target)
		s.asAdmin(t, "postgres", "ALTER ROLE rotator CREATEROLE")
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
		for was, is := range map[string]string{s.server.Host: "HOST", portOf(s): "PORT"} {
			text = strings.ReplaceAll(text, was, is)
		}
		all.WriteString(dates.ReplaceAllString(text, "DATE"))
		s.Silent(all.String())
	}
	doc := func(change func(map[string]any)) func(*scene) {
		return func(s *scene) {
			var m map[string]any
			if err := json.Unmarshal([]byte(s.document(s.app, "the-first-password-1")), &m); err != nil {
				t.Fatal(err)
			}
			change(m)
			b, _ := json.Marshal(m)
			_, err := s.PutByHand(databasetest.Secret, string(b))
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	set := func(key string, v any) func(*scene) { return doc(func(m map[string]any) { m[key] = v }) }
	tell("another engine", Target{}, set("engine", "oracle"))
	tell("no password", Target{}, doc(func(m map[string]any) { delete(m, "password") }))
	tell("no server", Target{}, doc(func(m map[string]any) { delete(m, "host") }))
	tell("another server than the administering secret's", Target{}, set("host", "evil.example.com"))
	tell("another server in the registry than in the administering secret", Target{Host: "db.example.com"}, nil)
	tell("a port that is none", Target{}, set("port", "5432; DROP"))
	tell("a zero character", Target{}, set("username", "a\x00b"))
	tell("the wrong password", Target{}, set("password", "another-password-2"))
	tell("another account than the pair's", Target{Users: []string{"a", "b"}}, nil)
	tell("a second name that is too long", Target{}, set("username", strings.Repeat("x", 60)))
	tell("a certificate nobody trusts", Target{TLS: "verify"}, nil)
	tell("no JSON", Target{}, func(s *scene) { _, _ = s.PutByHand(databasetest.Secret, "just a password") })
	tell("an administrator without rights", Target{}, func(s *scene) { s.asAdmin(t, "postgres", "ALTER ROLE rotator NOCREATEROLE") })
	tell("an account that administers itself", Target{}, func(s *scene) {
		_, _ = s.PutByHand(databasetest.Admin, s.document(s.server.Admin, s.server.Password))
		_, _ = s.PutByHand(databasetest.Secret, s.document(s.server.Admin, s.server.Password))
	})
	tell("a superuser", Target{}, func(s *scene) { s.asAdmin(t, "postgres", "ALTER ROLE "+name(s.app)+" SUPERUSER") })
	tell("a second account that is in use", Target{}, func(s *scene) {
		s.asAdmin(t, "postgres", "CREATE ROLE "+name(s.app+"_clone")+" LOGIN PASSWORD 'somebody-elses-password'")
		s.must(s.login(t, s.app+"_clone", "somebody-elses-password"))
	})
	tell("a second account that owns things", Target{}, func(s *scene) {
		s.asAdmin(t, s.db, "CREATE ROLE "+name(s.app+"_clone"), "CREATE TABLE theirs (n int)", "ALTER TABLE theirs OWNER TO "+name(s.app+"_clone"))
	})
	tell("a password that couldn't be restored", Target{Strategy: "single-user"}, set("password", "pässword-of-somebody"))
	goldentest.Equal(t, "refusals.txt", all.String())
}

var dates = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)

func portOf(s *scene) string {
	b, _ := json.Marshal(s.server.Port)
	return string(b)
}
