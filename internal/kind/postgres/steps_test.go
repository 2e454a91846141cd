package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rastup/rekey/internal/kind/internal/databasetest"
	"github.com/rastup/rekey/internal/rotation"
)

// Hostile names are quoted, wherever they stand.
const hostile = `o'app"; DROP ROLE admin; --\ é`

func TestGrantsAndOwnershipAreRightOnEveryRotation(t *testing.T) {
	s := newScene(t, hostile, Target{})
	before, password := s.Current()
	for round, wantUser := range []string{hostile + "_clone", hostile, hostile + "_clone", hostile} {
		s.Again().Run(through...)
		user, now := s.Current()
		if user != wantUser || now == password {
			t.Fatalf("round %d: %q is live, or the password is the old one", round, user)
		}
		if _, err := s.login(t, before, password); err == nil {
			t.Errorf("round %d: the old login still works", round)
		}
		before, password = user, now
		c := s.must(s.login(t, user, now))
		s.want(c, `SELECT n FROM "of others"`, "7")
		s.want(c, `SHOW search_path`, `"home of app", public`)
		s.want(c, `SHOW DateStyle`, "German, DMY")
		table := string(rune('a' + round))
		for _, st := range []string{"CREATE TABLE made_by_" + table + " (n int)", "INSERT INTO mine VALUES (1)", "ALTER TABLE mine ADD COLUMN " + table + " int"} {
			if err := c.Exec(context.Background(), st).Close(); err != nil {
				t.Errorf("round %d: %s: %v", round, st, err)
			}
		}
		s.want(c, "SELECT tableowner FROM pg_tables WHERE tablename = 'made_by_"+table+"'", hostile)
		s.want(c, "SELECT count(*) FROM pg_tables WHERE tableowner = current_user", string(rune('2'+round)))
		if err := c.Exec(context.Background(), "DISCARD ALL").Close(); err != nil {
			t.Error(err)
		}
		s.want(c, "SELECT current_user", hostile)
		_ = c.Close(context.Background())
	}
	s.Silent(s.server.Log(t))
	if log := s.server.Log(t); !strings.Contains(log, "SCRAM-SHA-256$4096:") {
		t.Error("the server's log shows no statement: the test sees nothing")
	}
}

// What is asked here is what adopted waits for. That it was told to go ahead all the same shows in decommission only.
func TestAdoptedWaitsForSessionsAndDecommissionEndsThem(t *testing.T) {
	for _, strategy := range []string{"alternating-users", "single-user"} {
		s := newScene(t, "ends_"+strategy[:5], Target{Strategy: strategy})
		old := s.must(s.login(t, s.app, "the-first-password-1"))
		s.Run("preflight", "create", "set", "test", "promote")
		user, password := s.Current()
		fresh := s.must(s.login(t, user, password))
		s.want(old, "SELECT 1", "1")
		res, err := s.Ask(t.Context(), "adopted")
		if err != nil || res.Again != rotation.Later || !strings.HasPrefix(res.Wait, fmt.Sprintf("1 session under the old login %q to end: ", s.app)) || !strings.Contains(res.Wait, `application "shop"`) {
			t.Errorf("%s: adopted: %+v, %v", strategy, res, err)
		}
		s.want(old, "SELECT 1", "1")
		s.Run("decommission", "refused")
		if _, err := ask(old, "SELECT 1"); err == nil {
			t.Errorf("%s: the session under the old login goes on", strategy)
		}
		s.want(fresh, "SELECT 1", "1")
		if !strings.Contains(fmtSaid(s), "the old login was tried and refused") {
			t.Errorf("%s: no proof: %s", strategy, fmtSaid(s))
		}
		s.Silent()
	}
}

// A thief's session must not hold up that the login goes.
func TestASessionOfAStolenLoginIsNotWaitedFor(t *testing.T) {
	s := newScene(t, "stolen", Target{})
	old := s.must(s.login(t, s.app, "the-first-password-1"))
	s.Run("preflight", "create", "set", "test", "promote")
	s.Records[0].Claim.Plan.Reason = "compromise"
	s.Run("adopted", "decommission", "refused")
	if s.Fact("adopted", "not_adopted") != "1" || !strings.Contains(fmtSaid(s), `application \"shop\"`) {
		t.Errorf("not listed: %s", fmtSaid(s))
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
			s.must(s.login(t, s.app, "the-first-password-1"))
			if user, password := s.Current(); user != s.app || password != "the-first-password-1" {
				t.Errorf("%s after %s: not restored", strategy, forward[n])
			}
			if user, password := databasetest.Document(is); password != "" {
				if _, err := s.login(t, user, password); err == nil {
					t.Errorf("%s after %s: the new login works", strategy, forward[n])
				}
			}
			s.Silent()
		}
	}
}

func TestASecondRotationAfterOneThatWasTakenBack(t *testing.T) {
	s := newScene(t, "second_try", Target{})
	s.Run("preflight", "create", "set", "test", "promote", "restore", "discard")
	s.Again().Run(through...)
	user, password := s.Current()
	s.want(s.must(s.login(t, user, password)), "SELECT current_user", "second_try")
}

func TestNothingLeavesWithoutAFence(t *testing.T) {
	s := newScene(t, "unfenced", Target{})
	s.Run("preflight", "create")
	if _, err := s.Ask(t.Context(), "set"); !errors.Is(err, rotation.ErrNoLease) {
		t.Errorf("set: %v", err)
	}
	var pg *pgconn.PgError
	if _, err := s.login(t, "unfenced_clone", "x"); !errors.As(err, &pg) || pg.Code != "28P01" {
		t.Errorf("the account was made: %v", err)
	}
	s.Run("set", "test", "promote")
	if _, err := s.Ask(t.Context(), "decommission"); !errors.Is(err, rotation.ErrNoLease) {
		t.Errorf("decommission: %v", err)
	}
	s.must(s.login(t, s.app, "the-first-password-1"))
}

func TestAMovedPointerKeepsTheOldLogin(t *testing.T) {
	s := newScene(t, "moved", Target{})
	s.Run("preflight", "create", "set", "test", "promote")
	if _, err := s.PutByHand(databasetest.Secret, s.document(s.app, "the-first-password-1")); err != nil { // a person goes back by hand
		t.Fatal(err)
	}
	for _, step := range []string{"decommission", "restore"} {
		var f *rotation.Failure
		if err := s.Try(step); !errors.As(err, &f) {
			t.Errorf("%s: %v", step, err)
		}
	}
	s.must(s.login(t, s.app, "the-first-password-1"))
}

func TestWhatIsLiveIsNeverCut(t *testing.T) {
	s := newScene(t, "taken", Target{})
	s.Run("preflight", "create", "set", "test")
	_, password := databasetest.Document(s.Look().Version(s.Fact("create", "new")).Text)
	if _, err := s.PutByHand(databasetest.Secret, s.document("taken_clone", password)); err != nil { // a person takes the second account
		t.Fatal(err)
	}
	s.Run("discard")
	s.must(s.login(t, "taken_clone", password))
}

// A login that is barred for now says nothing of its password: decommission replaces that all the same, and discard.
func TestABarredLoginIsCutAllTheSame(t *testing.T) {
	s := newScene(t, "barred", Target{})
	s.Run(forward...)
	s.asAdmin(t, "postgres", "ALTER ROLE barred NOLOGIN")
	s.Run("adopted", "decommission")
	s.asAdmin(t, "postgres", "ALTER ROLE barred LOGIN")
	s.Run("refused")
	if got := s.Fact("refused", "refused"); got != "28P01" {
		t.Errorf("the old password is still the account's: refused with %q", got)
	}
	s.Again().Run("preflight", "create", "set", "test")
	s.asAdmin(t, "postgres", "ALTER ROLE barred NOLOGIN")
	s.Run("discard")
	s.asAdmin(t, "postgres", "ALTER ROLE barred LOGIN")
	user, password := databasetest.Document(s.Look().Version(s.Fact("create", "new")).Text)
	if _, err := s.login(t, user, password); err == nil {
		t.Error("the new password is still the account's")
	}
}
