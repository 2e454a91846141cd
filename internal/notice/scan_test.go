package notice_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/scan"
	"github.com/rastup/rekey/internal/overdue"
	text "github.com/rastup/rekey/internal/report/comment"
)

func scanAt(at time.Time, secrets ...string) overdue.Scan {
	s := overdue.Scan{At: at}
	for _, name := range secrets {
		s.Standings = append(s.Standings, overdue.Standing{Secret: name, Owner: "@ana-sec",
			Here: overdue.Here{State: overdue.Overdue, Due: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Why: "the registry says so"}})
	}
	return s
}

func escalations(s overdue.Scan) (all []text.Escalation) {
	for _, one := range s.Standings {
		all = append(all, text.Escalation{Standing: one, Level: "primary", Who: []string{"@oncall-sec"}, After: "7 days"})
	}
	return all
}

// scans is a program that scans when it starts.
func (r *rig) scans(gate func(), secrets ...string) pass {
	p := &scan.Projector{GitHub: r.program(gate), Bot: bot}
	return func(ctx context.Context) (notice.Tally, error) {
		s := scanAt(r.clock.Now(), secrets...)
		return p.Write(ctx, text.Overdue(s, text.OverdueOptions{}), escalations(s))
	}
}

func TestTheStatusIssueComesRightThroughEveryMisfortune(t *testing.T) {
	torture(t, 12, func(t *testing.T, r *rig) (func(func()) pass, func(notice.Tally)) {
		r.OpenIssue("eve", "mine", text.Overdue(scanAt(r.clock.Now()), text.OverdueOptions{}), scan.Label) // not ours
		return func(gate func()) pass { return r.scans(gate, "team/one", "team/two") }, func(last notice.Tally) {
			ours := 0
			for _, x := range r.Issues() {
				if x.Author == bot {
					ours++
					if !strings.Contains(x.Body, "2 overdue") {
						t.Errorf("body %s", x.Body)
					}
				} else if strings.Contains(x.Body, "2 overdue") {
					t.Error("an issue of another's was touched")
				}
			}
			// Lists lag: two programs at the same moment can make two issues. The older is kept, and the other stays as it was.
			if ours < 1 || ours > 2 {
				t.Errorf("%d issues", ours)
			}
		}
	})
}

func TestTheStatusIssueTellsOnceADayThatNothingChanged(t *testing.T) {
	r := newRig(t, 1)
	r.settle(func() pass { return r.scans(nil, "team/one") })
	edits := func() (n int) {
		for _, c := range r.Calls() {
			if c.Method == "PATCH" {
				n++
			}
		}
		return n
	}
	before := edits()
	r.clock.Move(3 * time.Hour)
	r.settle(func() pass { return r.scans(nil, "team/one") })
	if n := edits() - before; n != 0 {
		t.Errorf("%d edits where only the time was another", n)
	}
	r.clock.Move(20 * time.Hour)
	r.settle(func() pass { return r.scans(nil, "team/one") })
	if n := edits() - before; n != 1 {
		t.Errorf("%d edits a day later, want 1", n)
	}
}

// Whoever it writes as: the time is that of an App's issue, never that of a person's.
func TestWhenTheLookWasThereLast(t *testing.T) {
	r := newRig(t, 1)
	ask := func() time.Time {
		t.Helper()
		at, err := scan.Looked(t.Context(), r.program(nil))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if at := ask(); !at.IsZero() {
		t.Errorf("%s, without any issue", at)
	}
	first := r.clock.Now().UTC().Truncate(time.Second)
	r.settle(func() pass { return r.scans(nil, "team/one") })
	r.OpenIssue("eve", "mine", text.Overdue(scanAt(first.AddDate(1, 0, 0)), text.OverdueOptions{}), scan.Label)
	if at := ask(); at.Before(first) || at.After(r.clock.Now()) {
		t.Errorf("%s, want some time from %s on", at, first)
	}
}

func TestPeopleAreToldOnce(t *testing.T) {
	r := newRig(t, 1)
	r.settle(func() pass { return r.scans(nil, "team/one") })
	r.settle(func() pass { return r.scans(nil, "team/one", "team/two") })
	r.settle(func() pass { return r.scans(nil, "team/one", "team/two") })
	l := r.bodies(1)
	if len(l) != 2 || !strings.Contains(l[0], "team/one") || strings.Contains(l[1], "team/one") || !strings.Contains(l[1], "@oncall-sec: team/two has been overdue since 2026-11-01") {
		t.Errorf("%q", l)
	}
	r.Close(1, "ana-sec")
	last := r.settle(func() pass { return r.scans(nil, "team/one") })
	if len(last.Findings) != 1 || len(r.Issues()) != 1 {
		t.Errorf("%+v, %d issues", last.Findings, len(r.Issues()))
	}
}
