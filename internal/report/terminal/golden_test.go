package terminal_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/rotation"
)

var update = flag.Bool("update", false, "write the goldens anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

// narrow fails where a line is wider than the style allows.
func narrow(t *testing.T, s terminal.Style, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		if n := report.Columns(strings.TrimSuffix(line, "\n")); s.Width > 0 && n > s.Width {
			t.Errorf("%d columns in %d: %q", n, s.Width, line)
		}
	}
}

func TestStatusOfOne(t *testing.T) {
	for _, c := range reporttest.Cases() {
		for _, width := range []int{40, 80, 200} {
			if width != 80 && c.Name != "rolled-back" && c.Name != "hostile" {
				continue
			}
			var b bytes.Buffer
			s := terminal.Style{Width: width}
			if err := terminal.Status(&b, []report.View{c.View()}, s); err != nil {
				t.Fatal(err)
			}
			narrow(t, s, b.String())
			golden(t, fmt.Sprintf("status-%s-%d", c.Name, width), b.String())
		}
	}
}

func TestStatusInColour(t *testing.T) {
	for _, c := range reporttest.Cases() {
		if c.Name == "rolled-back" {
			var b bytes.Buffer
			if err := terminal.Status(&b, []report.View{c.View()}, terminal.Style{Width: 100, Color: true}); err != nil {
				t.Fatal(err)
			}
			golden(t, "status-colour", b.String())
		}
	}
}

func TestStatusOfMany(t *testing.T) {
	var all []report.View
	for _, c := range reporttest.Cases() {
		all = append(all, c.View())
	}
	hundred, _ := reporttest.Many(100)
	for _, width := range []int{0, 40, 80, 200} {
		for name, views := range map[string][]report.View{"cases": all, "hundred": hundred, "none": nil} {
			var b bytes.Buffer
			s := terminal.Style{Width: width}
			if err := terminal.Status(&b, views, s); err != nil {
				t.Fatal(err)
			}
			narrow(t, s, b.String())
			golden(t, fmt.Sprintf("status-%s-%d", name, width), b.String())
		}
	}
}

func TestPlan(t *testing.T) {
	_, hundred := reporttest.Many(100)
	kms := reporttest.Plans("app/key", nil)[:1]
	urgent := reporttest.Plans(reporttest.Secret, urgently)
	late := reporttest.Monday.Add(40 * 24 * time.Hour)
	for _, c := range []struct {
		name  string
		plans []rotation.Plan
		now   time.Time
	}{
		{"three", reporttest.Plans(reporttest.Secret, nil), reporttest.Monday},
		{"urgent", urgent, reporttest.Monday},
		{"night", kms, reporttest.Monday.Add(14 * time.Hour)},
		{"late", reporttest.Plans(reporttest.Secret, nil), late},
		{"hundred", hundred, reporttest.Monday},
		{"none", nil, reporttest.Monday},
	} {
		for _, width := range []int{40, 80, 200} {
			if width != 80 && c.name != "three" {
				continue
			}
			var b bytes.Buffer
			s := terminal.Style{Width: width}
			if err := terminal.Plan(&b, c.plans, []string{"stage: 4 consumers \x1b[2J"}, c.now, s); err != nil {
				t.Fatal(err)
			}
			narrow(t, s, b.String())
			golden(t, fmt.Sprintf("plan-%s-%d", c.name, width), b.String())
		}
	}
}

func TestProgress(t *testing.T) {
	for _, c := range reporttest.Cases() {
		for _, width := range []int{0, 80} {
			var b bytes.Buffer
			print := terminal.Progress(&b, terminal.Style{Width: width, Several: c.Name == "hostile"})
			lines := 0
			for _, e := range c.Environments {
				for i, r := range e.Records {
					wait := rotation.Record{At: r.At, Outcome: rotation.Waiting, Step: r.Step, Text: "a second runner"}
					if i == 4 {
						print(&e.Plan, wait)
						print(&e.Plan, wait)
						lines++
					}
					print(&e.Plan, r)
					lines++
					if r.Hint != "" {
						lines++
					}
				}
			}
			if n := strings.Count(b.String(), "\n"); n != lines {
				t.Errorf("%s: %d lines, want %d", c.Name, n, lines)
			}
			golden(t, fmt.Sprintf("progress-%s-%d", c.Name, width), b.String())
		}
	}
}

func TestTimeline(t *testing.T) {
	for _, width := range []int{0, 40, 100} {
		var b bytes.Buffer
		s := terminal.Style{Width: width}
		for _, c := range reporttest.Cases() {
			fmt.Fprintf(&b, "-- %s\n", c.Name)
			line := terminal.NewTimeline(&b, s)
			line.Event(reporttest.Monday.Add(-21*time.Minute), "scan", "app/database is 97 days old, interval 90 d → pull request #7 opened for @rastup/platform")
			for later := range 2 { // first to the retention, then the rest
				if later == 1 {
					line.Pass(reporttest.Monday.Add(48*time.Hour), "48 hours pass")
				}
				for _, e := range c.Environments {
					for _, r := range e.Records {
						if (later == 1) == (r.At.Sub(e.Records[0].At) > 40*time.Hour) {
							line.Record(&e.Plan, r)
						}
					}
					line.Finish(e.Plan.Chain, strings.Repeat("approved by @bo-sre", 1-later))
				}
			}
			if err := line.Err(); err != nil {
				t.Fatal(err)
			}
		}
		narrow(t, s, b.String())
		golden(t, fmt.Sprintf("timeline-%d", width), b.String())
	}
}

func TestVerify(t *testing.T) {
	chain := func(env string, n int, f ...evidence.Finding) evidence.ChainReport {
		c := rotation.Chain{Environment: env, Secret: reporttest.Secret}
		return evidence.ChainReport{Head: rotation.Head{Chain: c, Seq: n, Digest: rotation.Digest([]byte(env))}, Records: n, Files: 2,
			Rotations: []string{reporttest.Rotation}, Findings: f}
	}
	good := evidence.Report{Chains: []evidence.ChainReport{chain("dev", 14), chain("stage", 15)}, Locks: true,
		Store: evidence.Marker{Lock: evidence.Terms{Mode: "COMPLIANCE", For: rotation.Duration(7 * 365 * 24 * time.Hour)}}}
	anchored := good
	anchored.Chains = []evidence.ChainReport{chain("dev", 14)}
	anchored.Chains[0].Confirmed = []evidence.Confirmation{{Seq: 12, By: "the audit comment of 23 Nov"}}
	anchored.Chains[0].Broken = []evidence.Broken{{Seq: 1, Rotation: "2026-11-23-payments-stripe-webhook", Approval: rotation.Approval{
		For: rotation.ApprovesRotation, By: []string{"ana-sec"}, BreakGlass: "the webhook secret is public since 03:10, and nobody answers"}}}
	anchored.Chains[0].Loose = []string{"rotations/2026/11/x/dev/files/1-create-left.txt"}
	bad := evidence.Report{Chains: []evidence.ChainReport{chain("dev", 14), chain("stage", 15,
		evidence.Finding{Name: "journal/stage/payments~stripe-webhook/000007.json", Seq: 7, Rule: evidence.RuleAltered, Msg: "record 8 continues from sha256:aa, this is sha256:bb"},
		evidence.Finding{Name: "journal/stage/" + reporttest.Hostile, Rule: evidence.RuleForeign, Msg: reporttest.Hostile})}}
	for _, c := range bad.Chains {
		bad.Findings = append(bad.Findings, c.Findings...)
	}
	store := evidence.Report{Findings: evidence.Findings{{Name: "journal/marker.json", Rule: evidence.RuleMarker, Msg: "missing"}}}
	for name, r := range map[string]evidence.Report{"good": good, "anchored": anchored, "bad": bad, "store": store, "empty": {}} {
		for _, width := range []int{40, 80} {
			var b bytes.Buffer
			s := terminal.Style{Width: width}
			if err := terminal.Verify(&b, r, s); err != nil {
				t.Fatal(err)
			}
			narrow(t, s, b.String())
			golden(t, fmt.Sprintf("verify-%s-%d", name, width), b.String())
		}
	}
}

func urgently(in *plan.Input) {
	in.Reason, in.OnFailure, in.Retain = "compromise", "hold", 0
	for i := range in.Targets {
		in.Targets[i].Window, in.Targets[i].Hours = nil, nil
	}
}
