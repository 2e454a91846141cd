package terminal_test

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/rotation"
)

var colours = regexp.MustCompile(`\x1b\[(?:31|32|33|1|2|0)m`)

func harmless(t *testing.T, what, out string) {
	t.Helper()
	if !utf8.ValidString(out) {
		t.Errorf("%s: not UTF-8: %q", what, out)
	}
	for _, r := range out {
		if r != '\n' && (!unicode.IsPrint(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)) {
			t.Errorf("%s: %U in %q", what, r, out)
			return
		}
	}
}

// everywhere is s in each place that holds text.
func everywhere(s string) (report.Environment, evidence.Report) {
	in := func(i *plan.Input) {
		i.Rotation, i.Kind, i.Reason, i.OnFailure = s, s, s, s
		for j := range i.Targets {
			i.Targets[j].Environment = s
			i.Targets[j].Checks = []plan.Use{{Name: s, Uses: s}}
			i.Targets[j].Hours = nil
		}
	}
	p := reporttest.NewPlayer(reporttest.Plans(s, in)[0], reporttest.Monday)
	p.Claim = rotation.Claim{Path: s, Ticket: s, Owner: s, Tags: []string{s}, Identity: s, Commit: s, Program: s, Request: s,
		Actors: rotation.Actors{Operator: s, Requested: s, Reviewed: []string{s, s}, Approved: []string{s}}, Previous: &rotation.Head{Chain: p.Plan.Chain, Digest: s}}
	a := reporttest.Answer{Text: s, Hint: s, Facts: map[string]string{s: s}, Files: []rotation.FileRef{{Name: s, Digest: s}}}
	for k := range p.Answers {
		p.Answers[k] = a
	}
	a.Fail = s + "!"
	p.Answers["validate/"+s] = a
	p.Play(reporttest.Monday.Add(time.Hour))
	p.Append(rotation.Record{Outcome: rotation.Outcome(s), Step: s, Text: s, Runner: rotation.Runner{ID: s}})
	p.Append(rotation.Record{Outcome: rotation.Released, Text: s})
	e := p.Environment(p.Now, s)
	e.Name, e.Head.Digest, e.Decision.Why = s, s, s
	f := evidence.Finding{Name: s, Msg: s, Rule: s}
	return e, evidence.Report{Findings: evidence.Findings{f}, Locks: true, Store: evidence.Marker{Lock: evidence.Terms{Mode: s}},
		Chains: []evidence.ChainReport{{Head: e.Head, Loose: []string{s}, Confirmed: []evidence.Confirmation{{By: s}}, Findings: evidence.Findings{f}}}}
}

// Whatever the texts hold, nothing controls the terminal but our own line breaks and colours.
func FuzzNothingControlsTheTerminal(f *testing.F) {
	for _, s := range []string{"", "x", reporttest.Hostile, "\x1b[31m", "\x1b[0m\r\n\x00", "e\u0301\u0301\u0301\u0301", "日本語 ✔ 👩‍👩", "\u2028\u2029\u00a0\u3164\u2800\ufeff\U000e0041"} {
		f.Add(s, 40)
	}
	f.Fuzz(func(t *testing.T, s string, width int) {
		e, v := everywhere(s)
		now := reporttest.Monday.Add(2 * time.Hour)
		view := report.New(s, s, []report.Environment{e}, now)
		for _, colour := range []bool{true, false} {
			style := terminal.Style{Color: colour, Width: width % 300, Several: true}
			outs := map[string]func(*bytes.Buffer) error{
				"status": func(b *bytes.Buffer) error { return terminal.Status(b, []report.View{view}, style) },
				"table":  func(b *bytes.Buffer) error { return terminal.Status(b, []report.View{view, view}, style) },
				"plan": func(b *bytes.Buffer) error {
					return terminal.Plan(b, []rotation.Plan{e.Plan, e.Plan}, []string{s}, now, style)
				},
				"verify": func(b *bytes.Buffer) error { return terminal.Verify(b, v, style) },
				"progress": func(b *bytes.Buffer) error {
					print := terminal.Progress(b, style)
					for _, r := range e.Records {
						print(&e.Plan, r)
					}
					return nil
				},
				"timeline": func(b *bytes.Buffer) error {
					l := terminal.NewTimeline(b, style)
					l.Event(now, s, s)
					l.Pass(now, s)
					for _, r := range e.Records {
						l.Record(&e.Plan, r)
					}
					l.Finish(e.Plan.Chain, s)
					return l.Err()
				},
			}
			for name, print := range outs {
				var b bytes.Buffer
				if err := print(&b); err != nil {
					t.Fatal(err)
				}
				out := b.String()
				if colour {
					out = colours.ReplaceAllString(out, "")
				}
				harmless(t, name, out)
			}
		}
	})
}

func TestProgressIsSafeForConcurrentUse(t *testing.T) {
	var b bytes.Buffer
	print := terminal.Progress(&b, terminal.Style{})
	p := reporttest.Plans("a", nil)[0]
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				print(&p, rotation.Record{Outcome: rotation.Done, Step: "create", Text: "x", Hint: "y"})
			}
		})
	}
	wg.Wait()
	for i, l := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		if want := []string{"✔ create", "hint: y"}[i%2]; !strings.Contains(l, want) {
			t.Fatalf("line %d: %q, want %q", i, l, want)
		}
	}
}

func TestWaitingIsPrintedWhenItsTextChanges(t *testing.T) {
	var b bytes.Buffer
	print := terminal.Progress(&b, terminal.Style{})
	ps := reporttest.Plans("a", nil)
	wait := func(p rotation.Plan, text string) {
		print(&p, rotation.Record{Outcome: rotation.Waiting, Step: "create", Text: text})
	}
	wait(ps[0], "1 of 2")
	wait(ps[1], "1 of 2")
	wait(ps[0], "1 of 2")
	print(&ps[0], rotation.Record{Outcome: rotation.Noted, Step: "create", Text: "still at it"})
	wait(ps[0], "1 of 2")
	wait(ps[0], "2 of 2")
	print(&ps[0], rotation.Record{Outcome: rotation.Done, Step: "create"})
	wait(ps[0], "2 of 2")
	if n := strings.Count(b.String(), "\n"); n != 6 {
		t.Errorf("%d lines, want 6:\n%s", n, b.String())
	}
}
