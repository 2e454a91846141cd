package overdue

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/calendar"
)

var now = time.Date(2026, 11, 22, 6, 17, 0, 0, time.UTC)

func days(n int) time.Time { return now.AddDate(0, 0, -n) }

func secret(places ...Place) Secret {
	return Secret{Name: "shop/app", Kind: "secretsmanager", Owner: "@rastup/shop", Interval: calendar.Interval{Days: 90}, File: "ops/config/registry.md", Line: 7, Places: places}
}

func live(n int) Age {
	return Age{Since: days(n), Source: Live, Text: "version 1f3e of shop/app is of then"}
}

func place(env string, ages ...Age) Place { return Place{Environment: env, Ages: ages} }

// Each case: what is known, and what that makes of the secret.
func TestJudge(t *testing.T) {
	rules := Rules{Soon: DefaultSoon, Still: DefaultStill}
	listed := Age{Since: days(100), Source: Registry}
	proven := Age{Since: days(20), Source: Evidence}
	bound := func(n int) Age { return Age{Since: days(n), Before: true, Source: Live} }
	open := func(o Open) *Open {
		if o.Short == "" {
			o.Short = "waits for approval"
		}
		return &o
	}
	for _, c := range []struct {
		name string
		of   Secret
		want string
	}{
		{"young", secret(place("prod", live(10))), "current in prod, due 2027-02-10: 10 days old, interval 90 days: version 1f3e of shop/app is of then"},
		{"its last day but one", secret(place("prod", live(89))), "due soon in prod, due 2026-11-23: 89 days old, interval 90 days: version 1f3e of shop/app is of then"},
		{"on the day", secret(place("prod", live(90))), "overdue in prod, due 2026-11-22: 90 days old, interval 90 days: version 1f3e of shop/app is of then"},
		{"the service against the registry", secret(place("prod", listed, live(10))), "current in prod, due 2027-02-10: 10 days old, interval 90 days: version 1f3e of shop/app is of then"},
		{"the journal against the registry", secret(place("prod", listed, proven)), "current in prod, due 2027-01-31: 20 days old, interval 90 days: the journal says so"},
		{"only the registry", secret(place("prod", listed)), "overdue in prod, due 2026-11-12: 100 days old, interval 90 days: the registry says so"},
		{"nothing", secret(place("prod")), "unknown in prod: nothing tells how old it is"},
		{"nothing, and why", secret(Place{Environment: "prod", Trouble: "AccessDenied"}), "unknown in prod: AccessDenied"},
		{"no environment", secret(), "unknown in : the registry names no environment of it"},
		{"only tracked", secret(place("", listed)), "overdue in , due 2026-11-12: 100 days old, interval 90 days: the registry says so"},
		{"older than its interval, at least", secret(place("prod", bound(95))), "overdue in prod, due 2026-11-17: 95 days or more old, interval 90 days"},
		{"one key of many, changed lately", secret(place("prod", bound(5))), "unknown in prod, due 2027-02-15: 5 days or more old, interval 90 days"},
		{"one key of many, and the journal knows", secret(place("prod", bound(5), proven)), "current in prod, due 2027-01-31: 20 days old, interval 90 days: the journal says so"},
		{"one key of many, and the registry claims what can't be", secret(place("prod", bound(30), Age{Since: days(3), Source: Registry})), "unknown in prod, due 2027-01-21: 30 days or more old, interval 90 days"},
		{"the most urgent environment", secret(place("dev", live(1)), place("prod", live(200)), place("stage", live(100))), "overdue in prod, due 2026-08-04: 200 days old, interval 90 days: version 1f3e of shop/app is of then"},
		{"under way", secret(Place{Environment: "prod", Ages: []Age{live(88)}, Open: open(Open{Moved: days(1)})}), "in progress in prod, due 2026-11-24: waits for approval"},
		{"under way here, overdue there", secret(Place{Environment: "dev", Ages: []Age{live(100)}, Open: open(Open{Moved: days(1)})}, place("prod", live(100))), "overdue in prod, due 2026-11-12: 100 days old, interval 90 days: version 1f3e of shop/app is of then"},
		{"unapproved", secret(Place{Environment: "prod", Ages: []Age{live(91)}, Open: open(Open{Moved: days(6)})}), "stuck in prod, due 2026-11-21: waits for approval, for 6 days"},
		{"failed", secret(Place{Environment: "prod", Ages: []Age{live(50)}, Open: open(Open{Moved: days(0), Failed: true, Short: "rolled back"})}), "stuck in prod, due 2027-01-01: rolled back"},
		{"its window is in a week", secret(Place{Environment: "prod", Ages: []Age{live(80)}, Open: open(Open{Moved: days(6), Until: days(-7), Short: "waits for its window"})}), "in progress in prod, due 2026-12-02: waits for its window"},
		{"deferred until after its date", secret(Place{Environment: "prod", Ages: []Age{live(95)}, Open: open(Open{Moved: days(6), Until: days(-7), Short: "waits for its window"})}), "stuck in prod, due 2026-11-17: waits for its window, for 6 days, and its date has passed"},
		{"retention", secret(Place{Environment: "prod", Ages: []Age{live(20)}, Open: open(Open{Moved: days(20), Until: days(-10), Retained: true, Short: "validated"})}), "in progress in prod, due 2027-01-31: validated"},
		{"waits for adoption", secret(Place{Environment: "prod", Ages: []Age{live(20)}, Open: open(Open{Moved: days(20), Retained: true, Short: "validated, adopted/web waits"})}), "stuck in prod, due 2027-01-31: validated, adopted/web waits, for 20 days"},
		{"what a window opened for and nobody came", secret(Place{Environment: "prod", Ages: []Age{live(20)}, Open: open(Open{Moved: days(9), Until: days(4), Short: "waits for its window"})}), "stuck in prod, due 2027-01-31: waits for its window, for 9 days"},
		{"read in the clear", with(secret(place("prod", live(10))), Mark{Date: days(2), Why: "read in the clear"}, Mark{}), "overdue in prod, due 2026-11-20: marked due since 2026-11-20: read in the clear"},
		{"read in the clear, and rotated since", with(secret(place("prod", live(1))), Mark{Date: days(2), Why: "read in the clear"}, Mark{}), "current in prod, due 2027-02-19: 1 day old, interval 90 days: version 1f3e of shop/app is of then"},
		{"read in the clear, of unknown age", with(secret(place("prod")), Mark{Date: days(2), Why: "read in the clear"}, Mark{}), "overdue in prod, due 2026-11-20: marked due since 2026-11-20: read in the clear"},
		{"exempt", with(secret(place("prod", live(200))), Mark{}, Mark{Date: days(-30), Why: "the vendor shuts down"}), "exempt in prod, due 2026-08-04: until 2026-12-22: the vendor shuts down"},
		{"exempt no more", with(secret(place("prod", live(200))), Mark{}, Mark{Date: days(1), Why: "the vendor shuts down"}), "overdue in prod, due 2026-08-04: 200 days old, interval 90 days: version 1f3e of shop/app is of then"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Judge(c.of, rules, now)
			due := ""
			if !s.Due.IsZero() {
				due = ", due " + day(s.Due)
			}
			got := fmt.Sprintf("%s in %s%s: %s", s.State, s.Environment, due, s.Why)
			if got = strings.ReplaceAll(got, " 06:17", ""); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Who is told, and when, counts from the day on which somebody should have moved.
func TestSinceWhenASecretIsOverdueOrStuck(t *testing.T) {
	rules := Rules{Soon: DefaultSoon, Still: DefaultStill}
	open := func(age int, o Open) Secret {
		return secret(Place{Environment: "prod", Ages: []Age{live(age)}, Open: &o})
	}
	for _, c := range []struct {
		name string
		of   Secret
		want string // its state, and since when
	}{
		{"young", secret(place("prod", live(1))), "current"},
		{"overdue", secret(place("prod", live(97))), "overdue 2026-11-15"},
		{"marked", with(secret(place("prod", live(1))), Mark{Date: days(1), Why: "read"}, Mark{}), "overdue 2026-11-21"},
		{"nobody moves", open(97, Open{Moved: days(10)}), "stuck 2026-11-15"},
		{"not yet", open(97, Open{Moved: days(2)}), "in progress"},
		{"failed", open(97, Open{Moved: days(2), Failed: true}), "stuck 2026-11-20"},
		{"nobody came to its window", open(20, Open{Moved: days(10), Until: days(6)}), "stuck 2026-11-19"},
		{"deferred past its date, stood already", open(92, Open{Moved: days(10), Until: days(-5)}), "stuck 2026-11-20"},
		{"deferred past its date, moved lately", open(97, Open{Moved: days(4), Until: days(-5)}), "stuck 2026-11-21"},
		{"retained past its date", open(97, Open{Moved: days(10), Until: days(-5), Retained: true}), "in progress"},
	} {
		s := Judge(c.of, rules, now)
		got := string(s.State)
		if !s.Since.IsZero() {
			got += " " + day(s.Since)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func with(s Secret, due, exempt Mark) Secret {
	// A mark is a day of the calendar.
	s.Due, s.Exempt = due, exempt
	for _, m := range []*Mark{&s.Due, &s.Exempt} {
		if !m.Date.IsZero() {
			m.Date = m.Date.Truncate(24 * time.Hour)
		}
	}
	return s
}

func TestCompare(t *testing.T) {
	whole := func(l Look) Look { l.Secret, l.Environment, l.Whole = "shop/app", "prod", true; return l }
	listed := Age{Since: days(100), Source: Registry}
	busy := Place{Environment: "prod", Open: &Open{Short: "at create"}}
	stray := Stray{Environment: "prod", Name: "Legacy/FTP", Kind: "secretsmanager", Since: days(2000), Target: "{secret: Legacy/FTP}"}
	for _, c := range []struct {
		name   string
		of     Secret
		look   Look
		strays []Stray
		want   string
	}{
		{"all right", secret(place("prod", listed)), whole(Look{Since: days(101), Stamped: "20260813"}), nil, ""},
		{"gone", secret(place("prod")), whole(Look{Missing: true}), nil, "row-without-secret: it isn't in prod (mend its target, or remove the row)"},
		{"rotated by somebody", secret(place("prod")), whole(Look{Since: days(10), Stamped: "20260814"}), nil,
			"rotated-past-rekey: what is live was made on 2026-11-12, after the last rotation by Rekey (2026-08-14) (rotate it by a request, or tell who did it)"},
		{"a key of a document that others write, too", secret(place("prod")), Look{Secret: "shop/app", Environment: "prod", Since: days(10), Before: true, Stamped: "20260814"}, nil, ""},
		{"never by Rekey", secret(place("prod")), whole(Look{Since: days(10)}), nil, ""},
		{"dates", secret(place("prod", listed)), whole(Look{Since: days(10)}), nil, "dates-differ: the registry says 2026-08-14, what is live was made on 2026-11-12 (the services' date counts; correct the column)"},
		{"half-done", secret(place("prod")), whole(Look{Pending: "abcd"}), nil, "pending-left: version abcd is labelled AWSPENDING, and no rotation is open (see whose it is; AWS refuses rotations of its own while it is there)"},
		{"half-done by a rotation", secret(busy), whole(Look{Pending: "abcd", Labels: []string{"ROLLBACK-12345678"}}), nil, ""},
		{"a label", secret(place("prod")), whole(Look{Labels: []string{"ROLLBACK-12345678"}}), nil,
			"label-left: the label ROLLBACK-12345678 still holds an old version, and no rotation is open (see whether somebody still needs the old version; then remove the label)"},
		{"no row", secret(place("prod")), whole(Look{Since: days(10)}), []Stray{stray},
			"secret-without-row: Legacy/FTP, made on 2021-06-01, is in the account, and no row of the registry names it (add a row like | legacy/ftp | secretsmanager | @OWNER | 90 days | 2021-06-01 | and a block with prod: {target: {secret: Legacy/FTP}})"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, f := range Compare([]Secret{c.of}, []Look{c.look}, c.strays, now) {
				got = append(got, fmt.Sprintf("%s: %s (%s)", f.Rule, f.Text, f.Hint))
			}
			if diff := cmp.Diff(c.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
