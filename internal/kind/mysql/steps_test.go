package mysql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/kind/internal/databasetest"
	"github.com/rastup/rekey/internal/rotation"
)

// Hostile names are quoted, wherever they stand.
const hostile = "o'a`p\"; --\\ é"

func TestGrantsAreRightOnEveryRotation(t *testing.T) {
	s := newScene(t, hostile, Target{})
	before, password := s.Current()
	for round, want := range []string{hostile + "_clone", hostile, hostile + "_clone", hostile} {
		switch at := text(before) + "@'127.0.0.1'"; round { // grants change while an account is the live one
		case 1:
			s.asAdmin(t, "GRANT DELETE ON "+name(s.db)+".t TO "+at+" WITH GRANT OPTION", "REVOKE INSERT ON "+name(s.db)+".* FROM "+at)
		case 2:
			s.asAdmin(t, "REVOKE "+name("role of "+hostile)+" FROM "+at)
		}
		s.Again().Run(through...)
		user, now := s.Current()
		if user != want || now == password {
			t.Fatalf("round %d: %q is live, or the password is the old one", round, user)
		}
		if _, err := s.login(before, password); !refusedLogin(err) {
			t.Errorf("round %d: the old login: %v", round, err)
		}
		before, password = user, now
		c := s.must(s.login(user, now))
		s.want(c, "SELECT n FROM "+name(s.db)+".t", "7")
		role := ""
		if round < 2 {
			role = "role of " + hostile
		}
		s.want(c, "SELECT COALESCE(CURRENT_ROLE(), '')", role)
		if err := exec(c, "INSERT INTO "+name(s.db)+".t VALUES (8)"); (err == nil) != (round < 1) {
			t.Errorf("round %d: insert: %v", round, err)
		}
		if err := exec(c, "DELETE FROM "+name(s.db)+".t WHERE n = 8"); (err == nil) != (round > 0) {
			t.Errorf("round %d: delete: %v", round, err)
		}
		s.want(c, "SELECT @@max_user_connections", "50")
		_ = c.Close()
	}
	s.Silent(s.server.Log(t))
	if !strings.Contains(s.server.Log(t), "IDENTIFIED WITH mysql_native_password AS") {
		t.Error("the server's log shows no statement: the test sees nothing")
	}
}

// What is asked here is what adopted waits for. That it was told to go ahead all the same shows in decommission only.
func TestAdoptedWaitsForSessionsAndDecommissionEndsThem(t *testing.T) {
	for _, strategy := range []string{"alternating-users", "single-user"} {
		s := newScene(t, "ends_"+strategy[:5], Target{Strategy: strategy})
		old := s.must(s.login(s.app, first))
		s.Run("preflight", "create", "set", "test", "promote")
		fresh := s.must(s.login(s.Current()))
		s.want(old, "SELECT 1", "1")
		res, err := s.Ask(t.Context(), "adopted")
		if err != nil || res.Again != rotation.Later || !strings.HasPrefix(res.Wait, fmt.Sprintf("1 session under the old login %q to end: ", s.app)) || !strings.Contains(res.Wait, `from "127.0.0.1:`) {
			t.Errorf("%s: adopted: %+v, %v", strategy, res, err)
		}
		s.want(old, "SELECT 1", "1")
		s.Run("decommission", "refused")
		if _, err := ask(old, "SELECT 1"); err == nil {
			t.Errorf("%s: the session under the old login goes on", strategy)
		}
		s.want(fresh, "SELECT 1", "1")
		if !strings.Contains(s.said(), "the old login was tried and refused") {
			t.Errorf("%s: no proof: %s", strategy, s.said())
		}
		s.Silent()
	}
}

// A thief's session must not hold up that the login goes.
func TestASessionOfAStolenLoginIsNotWaitedFor(t *testing.T) {
	s := newScene(t, "stolen", Target{})
	old := s.must(s.login(s.app, first))
	s.Run("preflight", "create", "set", "test", "promote")
	s.Records[0].Claim.Plan.Reason = "compromise"
	s.Run("adopted", "decommission", "refused")
	if s.Fact("adopted", "not_adopted") != "1" || !strings.Contains(s.said(), `from \"127.0.0.1:`) {
		t.Errorf("not listed: %s", s.said())
	}
	if _, err := ask(old, "SELECT 1"); err == nil {
		t.Error("the session under the stolen login goes on")
	}
}

func TestWhatIsTakenBackLeavesTheOldLoginAlone(t *testing.T) {
	for _, strategy := range []string{"alternating-users", "single-user"} {
		for n := range forward {
			s := newScene(t, "back_"+strategy[:5]+string(rune('a'+n)), Target{Strategy: strategy})
			s.Run(forward[:n+1]...)
			is := s.Look().Version(s.Fact("create", "new")).Text
			if n >= 4 || n >= 2 && strategy == "single-user" {
				s.Run("restore")
			}
			if n >= 1 {
				s.Run("discard")
			}
			s.must(s.login(s.app, first))
			if user, password := s.Current(); user != s.app || password != first {
				t.Errorf("%s after %s: not restored", strategy, forward[n])
			}
			if user, password := databasetest.Document(is); password != "" {
				if _, err := s.login(user, password); !refusedLogin(err) {
					t.Errorf("%s after %s: the new login: %v", strategy, forward[n], err)
				}
			}
			s.Silent()
		}
	}
}

func TestNothingLeavesWithoutAFence(t *testing.T) {
	s := newScene(t, "unfenced", Target{})
	s.Run("preflight", "create")
	if _, err := s.Ask(t.Context(), "set"); !errors.Is(err, rotation.ErrNoLease) {
		t.Errorf("set: %v", err)
	}
	s.Run("set", "test", "promote")
	if _, err := s.Ask(t.Context(), "decommission"); !errors.Is(err, rotation.ErrNoLease) {
		t.Errorf("decommission: %v", err)
	}
	s.must(s.login(s.app, first))
}

func TestAMovedPointerKeepsTheOldLogin(t *testing.T) {
	s := newScene(t, "moved", Target{})
	s.Run("preflight", "create", "set", "test", "promote")
	if _, err := s.PutByHand(databasetest.Secret, s.document(s.app, first)); err != nil { // a person goes back by hand
		t.Fatal(err)
	}
	for _, step := range []string{"decommission", "restore"} {
		var f *rotation.Failure
		if err := s.Try(step); !errors.As(err, &f) {
			t.Errorf("%s: %v", step, err)
		}
	}
	s.must(s.login(s.app, first))
}

// A login that is barred for now says nothing of its password: decommission replaces that all the same, and discard.
func TestABarredLoginIsCutAllTheSame(t *testing.T) {
	s := newScene(t, "barred", Target{})
	s.Run(forward...)
	s.asAdmin(t, "ALTER USER barred@'127.0.0.1' ACCOUNT LOCK")
	s.Run("adopted", "decommission")
	s.asAdmin(t, "ALTER USER barred@'127.0.0.1' ACCOUNT UNLOCK")
	s.Run("refused")
	if got := s.Fact("refused", "refused"); got != "1045" {
		t.Errorf("the old password is still the account's: refused with %q", got)
	}
	s.Again().Run("preflight", "create", "set", "test")
	s.asAdmin(t, "ALTER USER barred@'127.0.0.1' ACCOUNT LOCK")
	s.Run("discard")
	s.asAdmin(t, "ALTER USER barred@'127.0.0.1' ACCOUNT UNLOCK")
	user, password := databasetest.Document(s.Look().Version(s.Fact("create", "new")).Text)
	if _, err := s.login(user, password); err == nil {
		t.Error("the new password is still the account's")
	}
}
