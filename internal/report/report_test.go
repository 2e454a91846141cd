package report_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/rotation"
)

func TestTheAnswerOfEachState(t *testing.T) {
	type answer struct{ Headline, Old string }
	want := map[string]answer{
		"success":               {"dev, stage and prod finished", "gone since 25 Nov 09:21 UTC"},
		"retention":             {"dev and stage validated, prod waits for its window", "goes 25 Nov 09:21 UTC"},
		"window":                {"dev and stage validated, prod waits for its window", "goes 25 Nov 09:21 UTC"},
		"refused":               {"dev refused, stage waits for dev, prod waits for stage", "live"},
		"rolled-back":           {"stage rolled back, dev validated, prod waits for stage", "goes 25 Nov 09:21 UTC"},
		"rollback-stuck":        {"stage stuck rolling back, at restore, dev validated, prod waits for stage", "goes 25 Nov 09:21 UTC"},
		"create-failed":         {"dev rolled back, stage waits for dev, prod waits for stage", "live, was never replaced"},
		"decommission-stuck":    {"dev stuck at decommission, stage finished, prod validated", "not proven gone: its removal has begun, and decommission failed"},
		"held":                  {"dev held at validate/health, stage waits for dev, prod waits for stage", "kept until a person decides"},
		"approval":              {"dev validated, stage waits for approval, prod waits for stage", "goes 25 Nov 09:21 UTC"},
		"approved":              {"dev and stage validated, prod waits for its window", "goes 25 Nov 09:21 UTC"},
		"removal-asked":         {"dev validated, decommission waits for approval", "kept until decommission is approved"},
		"break-glass":           {"dev validated", "goes 25 Nov 09:21 UTC"},
		"rollback-asked":        {"dev rolled back", "live again since 23 Nov 10:21 UTC"},
		"again-with-attachment": {"dev validated", "goes 25 Nov 09:21 UTC"},
		"stopped":               {"dev at promote", "safe, live or kept: promote is under way"},
		"withdrawn":             {"prod never began: its request was withdrawn", "live"},
		"person":                {"dev waits for a person, stage waits for dev, prod waits for stage", "live"},
		"person-after":          {"dev validated, refused waits for a person, stage finished, prod validated", "out of use since 25 Nov 09:21 UTC, to be revoked by a person"},
		"waits":                 {"dev validated, decommission waits, stage finished, prod validated", "kept until decommission is done"},
		"adoption":              {"dev validated, adopted/web waits", "kept until adopted/web is done"},
		"adoption-until":        {"dev validated, adopted/web waits", "kept until adopted/web is done"},
		"went-ahead":            {"dev finished", "gone since 25 Nov 09:24 UTC"},
		"back-stuck":            {"dev stuck rolling back, at back/web", "live again since 23 Nov 09:26 UTC"},
		"discard-stuck":         {"dev stuck rolling back, at discard", "live again since 23 Nov 09:26 UTC"},
		"users":                 {"dev and stage validated, prod waits for its window", "goes 25 Nov 09:21 UTC"},
		"superseded":            {"dev superseded by 2026-11-23-stolen", "kept by the rotation that took over"},
		"missed":                {"prod never began: its window has passed", "live"},
		"hostile":               {"dev rolled back", "live again since 23 Nov 09:22 UTC"},
	}
	got := map[string]answer{}
	for _, c := range reporttest.Cases() {
		v := c.View()
		got[c.Name] = answer{v.Headline(), v.Environments[0].Old}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Where approval stands, who gave it, and that nobody is told to sit and wait while it is asked.
func TestApprovals(t *testing.T) {
	type answer struct{ Stage, By, Prod, Next string }
	want := map[string]answer{
		"success":  {"", "bo-sre", "", "Nothing to do: it is over."},
		"approval": {"asked in rekey-stage", "", "not asked yet", "stage waits for approval: it is asked in rekey-stage"},
		"approved": {"", "bo-sre and @rastup/security", "asked from 25 Nov 02:00 UTC",
			"prod waits for its window, opens 25 Nov 02:00 UTC (in 1 d 13 h); approval is asked in rekey-prod then"},
	}
	got := map[string]answer{}
	for _, c := range reporttest.Cases() {
		v := c.View()
		if _, ok := want[c.Name]; ok {
			stage, prod := v.Environments[1], v.Environments[2]
			next := v.Next()[0]
			if c.Name == "approved" {
				next = prod.Next
			}
			got[c.Name] = answer{stage.Approval, report.And(stage.Approvers), prod.Approval, next}
		}
		if next := v.Next(); v.Asked() && next[len(next)-1] == "Nothing to do until then." {
			t.Errorf("%s: %q while people are asked", c.Name, next)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// While nothing is decided anew, a lasting view says the same whenever it is made.
func TestLastingKnowsNoTimeOfDay(t *testing.T) {
	for _, c := range reporttest.Cases() {
		said := func(now time.Time) (all []string) {
			v := report.New(c.Secret, c.Rotation, c.Environments, now).Lasting()
			all = append(v.Next(), v.Headline())
			for _, i := range v.Checklist {
				all = append(all, i.Why)
			}
			for _, s := range v.Environments {
				all = append(all, s.Old, s.Short, s.Next, s.Move, s.Approval)
			}
			return all
		}
		was := said(c.Now)
		for _, later := range []time.Duration{time.Minute, 6 * time.Hour} {
			if d := cmp.Diff(was, said(c.Now.Add(later))); d != "" {
				t.Errorf("%s, %s later:\n%s", c.Name, later, d)
			}
		}
		if text := strings.Join(was, "\n"); strings.Contains(text, "(in ") || strings.Contains(text, " ago)") {
			t.Errorf("%s tells how far off something is:\n%s", c.Name, text)
		}
	}
}

// A line is ticked only when each environment has a record of each of the phase's steps.
func TestChecklistIsTickedByRecordsOnly(t *testing.T) {
	ticks := func(c reporttest.Case) (s string) {
		for _, i := range c.View().Checklist {
			if i.Why == "" {
				t.Errorf("%s: %s has no reason", c.Name, i.Text)
			}
			s += map[bool]string{true: "x", false: "-"}[i.Ticked]
		}
		return s
	}
	p := reporttest.Plans(reporttest.Secret, nil)[0]
	all := reporttest.NewPlayer(p, reporttest.Monday).Play(reporttest.Monday.Add(72 * time.Hour)).Records
	for n, want := range map[int]string{0: "------", 1: "------", 4: "------", 5: "------", 6: "x-----", 7: "xx----", 8: "xx----", 9: "xxx---", 11: "xxx---", 12: "xxx---", 13: "xxxxx-"} {
		player := reporttest.NewPlayer(p, reporttest.Monday)
		player.Records = all[:n]
		c := reporttest.Case{Name: want, Now: reporttest.Monday.Add(73 * time.Hour), Environments: []report.Environment{player.Environment(reporttest.Monday.Add(73*time.Hour), "")}}
		if got := ticks(c); got != want {
			t.Errorf("%d records: %s, want %s", n, got, want)
		}
	}
	none := reporttest.Case{Name: "none", Now: reporttest.Monday}
	if got := ticks(none); got != "------" {
		t.Errorf("without environments: %s", got)
	}
}

func TestForecastEndsWithThePlan(t *testing.T) {
	p := reporttest.Plans("a", func(in *plan.Input) { in.Targets[2].Recipe = reporttest.Recipe(true) })[2]
	got := map[string]time.Time{}
	for _, f := range report.Forecast(&p, nil, reporttest.Monday) {
		got[f.Step.Key] = f.At
	}
	from := p.Steps[0].Window.From
	for key, want := range map[string]time.Time{"create": from, "disable": from.Add(48 * time.Hour), "decommission": from.Add(9 * 24 * time.Hour)} {
		if !got[key].Equal(want) {
			t.Errorf("%s at %s, want %s", key, got[key], want)
		}
	}
	if len(got) != len(p.Steps) {
		t.Errorf("%d steps, want %d", len(got), len(p.Steps))
	}
}

// The wait for a retention or a window isn't the step's own time.
func TestTookLeavesWaitingOut(t *testing.T) {
	p := reporttest.NewPlayer(reporttest.Plans("a", nil)[2], reporttest.Monday).Play(reporttest.Monday.Add(7 * 24 * time.Hour))
	for i := range p.Records { // one patient runner, which waited in between
		p.Records[i].Runner = rotation.Runner{ID: "one"}
	}
	p.Records = append(p.Records[:9:9], p.Records[10:]...) // and needed no resuming
	v := report.New("a", "r", []report.Environment{p.Environment(p.Now, "")}, p.Now)
	for _, s := range v.Environments[0].Steps {
		if s.Mark != report.Done || s.Took > 3*time.Minute || s.Took == 0 {
			t.Errorf("%s %s took %s", s.Key, s.Mark, s.Took)
		}
	}
}

func TestTimesForPeople(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		t    time.Time
		want string
	}{
		{now, "23 Nov 09:00 UTC (now)"},
		{now.Add(41 * time.Hour), "25 Nov 02:00 UTC (in 1 d 17 h)"},
		{now.Add(-90 * time.Second), "23 Nov 08:58 UTC (1 min 30 s ago)"},
		{now.AddDate(1, 0, 0), "23 Nov 2027 09:00 UTC (in 365 d)"},
	} {
		if got := report.When(c.t, now); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0 s", -1: "0 s", 41 * time.Second: "41 s", 60 * time.Minute: "1 h", 48 * time.Hour: "2 d", 24*time.Hour + time.Minute: "1 d"} {
		if got := report.Span(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add(reporttest.Hostile, 10)
	f.Add("\n\u0301", 1)
	f.Add("日本語", 3)
	f.Fuzz(func(t *testing.T, s string, width int) {
		l := report.Line(s)
		if !utf8.ValidString(l) || strings.ContainsAny(l, "\x1b\n\r\t\u200b\u202e\u2028") {
			t.Errorf("%q became %q", s, l)
		}
		if again := report.Line(l); again != l {
			t.Errorf("%q became %q, and then %q", s, l, again)
		}
		if width = width % 100; width >= 0 && report.Columns(report.Cut(l, width)) > width {
			t.Errorf("%q cut to %d: %q", l, width, report.Cut(l, width))
		}
	})
}
