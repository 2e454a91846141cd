package notice_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/notice/ticket"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	site "github.com/rastup/rekey/internal/sandbox/jira"
)

var update = flag.Bool("update", false, "write the goldens anew")

// Whatever keeps Jira from moving a ticket is said before anything is sent, in words that a person can do something with.
func TestWhatKeepsATicketFromBeingMoved(t *testing.T) {
	resolution := func(required, standard bool) []site.Field {
		return []site.Field{{ID: "resolution", Name: "Resolution", Required: required, Default: standard, Allowed: []string{"Done", "Won't Do"}}}
	}
	done := site.Transition{ID: "31", Name: "Done", To: "Closed"}
	with := func(fields ...site.Field) site.Transition {
		return site.Transition{ID: "31", Name: "Done", To: "Closed", Fields: fields}
	}
	var text strings.Builder
	for _, c := range []struct {
		what                   string
		workflow               []site.Transition
		transition, resolution string
		moves                  bool
	}{
		{"by name, in other letters", []site.Transition{done}, "DONE", "", true},
		{"by number", []site.Transition{done, {ID: "41", Name: "31", To: "Doing"}}, "31", "", true},
		{"with a resolution", []site.Transition{with(resolution(true, false)...)}, "Done", "Won't Do", true},
		{"with a resolution of its own", []site.Transition{with(resolution(true, true)...)}, "Done", "", true},
		{"not from here", []site.Transition{{ID: "11", Name: "Start", To: "Doing"}, {ID: "31", Name: "Done", From: []string{"Doing"}, To: "Closed"}, {ID: "41", Name: "Won't [do]\x1b", To: "Closed"}}, "Done", "", false},
		{"not for this account", nil, "Done", "", false},
		{"two of that name", []site.Transition{done, {ID: "32", Name: "done", To: "Closed"}}, "Done", "", false},
		{"to a status that isn't done", []site.Transition{{ID: "31", Name: "Done", To: "Doing"}}, "Done", "", false},
		{"it asks for a resolution", []site.Transition{with(resolution(true, false)...)}, "Done", "", false},
		{"it has another resolution", []site.Transition{with(resolution(false, false)...)}, "Done", "Fixed", false},
		{"it takes no resolution", []site.Transition{done}, "Done", "Done", false},
		{"it asks for more", []site.Transition{with(site.Field{ID: "customfield_10020", Name: "Root cause", Required: true})}, "Done", "", false},
	} {
		s := site.New(sandbox.NewClock(reporttest.Monday), true)
		s.AddUser("rekey", "rekey@example.com", "token")
		s.Workflow([]site.Status{{ID: "1", Name: "Open", Category: "new"}, {ID: "2", Name: "Doing", Category: "indeterminate"}, {ID: "3", Name: "Closed", Category: "done"}}, c.workflow)
		s.Open("SEC-1", "Rotate")
		p := &path{to: s}
		j := jiraAt(t, p, sandbox.NewClock(reporttest.Monday), true)
		j.Transition, j.Resolution = c.transition, c.resolution
		tally, _, err := (&ticket.Projector{Tracker: j}).Write(t.Context(), []ticket.Ticket{{Name: "SEC-1", Rotations: []ticket.Rotation{over(inJira(0))}}})
		if moved := s.Issue("SEC-1").Status == "Closed"; err != nil || moved != c.moves || len(s.Issue("SEC-1").Comments) != 1 || c.moves == (len(tally.Findings) > 0) {
			t.Errorf("%s: moved is %v, %+v, %v", c.what, moved, tally, err)
		}
		if n := p.changes(0); n > 2 || !c.moves && n > 1 {
			t.Errorf("%s: %q", c.what, p.calls)
		}
		for _, f := range tally.Findings {
			fmt.Fprintf(&text, "%s\n  %s\n  hint: %s\n  %s\n", c.what, f.Text, f.Hint, f.URL)
		}
	}
	const file = "testdata/jira-findings.golden"
	if *update {
		if err := os.WriteFile(file, []byte(text.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if d := cmp.Diff(string(want), text.String()); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

func over(r ticket.Rotation) ticket.Rotation {
	r.Over = true
	return r
}

// What a rotation's summary is sent as must be found again: else it would be said with each pass.
func TestASummaryWithoutItsKeyIsntSaid(t *testing.T) {
	for where, at := range places {
		p := at(t)
		r := over(p.of(0))
		r.Closed.Text = "x"
		n := p.open()
		var definite *rotation.Failure
		_, untold, err := p.pass(t.Context(), ticket.Ticket{Name: n, Rotations: []ticket.Rotation{r}})
		if err == nil || errors.As(err, &definite) || len(untold) != 1 || len(p.bodies(n)) > 0 {
			t.Errorf("%s: %v", where, err)
		}
	}
}
