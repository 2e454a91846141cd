package summary_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	renderer "github.com/yuin/goldmark/renderer/html"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/report/summary"
	"github.com/rastup/rekey/internal/rotation"
)

var update = flag.Bool("update", false, "write the goldens anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
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

func TestSummaries(t *testing.T) {
	for _, c := range reporttest.Cases() {
		for _, e := range c.Environments {
			got := summary.Markdown(e)
			if len(e.Records) == 0 {
				if got != nil {
					t.Errorf("%s in %s: a summary without records", c.Name, e.Name)
				}
				continue
			}
			if e.Name == "dev" || c.Name == "rolled-back" && e.Name == "stage" {
				golden(t, c.Name+"-"+e.Name+".md", string(got))
			}
			structure(t, c.Name, got)
		}
	}
}

// The same records give the same bytes, whatever was decided since.
func TestSummaryKnowsNoTimeButTheRecords(t *testing.T) {
	for _, c := range reporttest.Cases() {
		for _, e := range c.Environments {
			was := summary.Markdown(e)
			then := e.Decision.State
			e.Decision = plan.Next(&e.Plan, e.Records, c.Now.Add(100*24*time.Hour))
			if then == plan.Superseded || then == plan.Missed || e.Decision.State == plan.Missed {
				continue
			}
			if d := cmp.Diff(string(was), string(summary.Markdown(e))); d != "" {
				t.Errorf("%s in %s:\n%s", c.Name, e.Name, d)
			}
		}
	}
}

var github = goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithRendererOptions(renderer.WithUnsafe()))

func render(t *testing.T, md string) string {
	t.Helper()
	var b bytes.Buffer
	if err := github.Convert([]byte(md), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var tags = regexp.MustCompile(`<[^>]*>`)

// ours are the elements a summary is made of.
var ours = regexp.MustCompile(`^</?(?:p|h2|strong|code|table|thead|tbody|tr|ul|ol|li|(?:th|td)(?: style="text-align:(?:center|right)")?|input(?: checked="")? disabled="" type="checkbox"|a(?: href="(?:files/[A-Za-z0-9%._~/-]*|https://github.example/rastup/shop/pull/7)")?)>$`)

// structure fails where a text became markup: an element that isn't ours, a row of another width, a heading of another name.
func structure(t *testing.T, name string, md []byte) {
	t.Helper()
	out := render(t, string(md))
	for _, tag := range tags.FindAllString(out, -1) {
		if !ours.MatchString(tag) {
			t.Errorf("%s: %s in the summary", name, tag)
		}
	}
	for _, row := range regexp.MustCompile(`(?s)<table>.*?</table>`).FindAllString(out, -1) {
		heads := strings.Count(row, "<th ") + strings.Count(row, "<th>")
		cells := strings.Count(row, "<td ") + strings.Count(row, "<td>")
		rows := strings.Count(row, "<tr>") - 1
		if cells != heads*rows {
			t.Errorf("%s: %d cells in %d rows of %d", name, cells, rows, heads)
		}
	}
	for h := range strings.Lines(out) {
		if title, ok := strings.CutPrefix(h, "<h2"); ok && !regexp.MustCompile(`^[^>]*>(?:What went wrong|What a person is asked to do|Steps|Checks: \d+ of \d+ green|Who, and on whose word|Facts|Files|Also on record|Checklist of the runbook, for ?.*|How to verify)</h2>`).MatchString(title) {
			t.Errorf("%s: heading %q", name, h)
		}
	}
}

// A whole summary of hostile texts has only our elements.
func FuzzSummaryKeepsItsStructure(f *testing.F) {
	f.Add(reporttest.Hostile)
	f.Add("|")
	f.Add("# x\n\n<b>")
	f.Fuzz(func(t *testing.T, s string) {
		p := reporttest.NewPlayer(reporttest.Plans(s, func(in *plan.Input) {
			in.Rotation, in.Kind, in.Reason = s, s, s
			in.Targets[0].Checks = []plan.Use{{Name: s, Uses: "check/" + s}}
		})[0], reporttest.Monday)
		p.Claim = rotation.Claim{Path: s, Ticket: s, Owner: s, Tags: []string{s, s}, Identity: s, Commit: s, Program: s, Supersedes: s,
			Actors: rotation.Actors{Operator: s, Requested: s, Reviewed: []string{s}, Approved: []string{s, s}}, Previous: &rotation.Head{Digest: s}}
		a := reporttest.Answer{Text: s, Hint: s, Facts: map[string]string{s: s}, Files: []rotation.FileRef{{Name: "files/" + s, Digest: s}}}
		p.Answers = map[string]reporttest.Answer{"preflight": a, "create": a, "validate/" + s: {Fail: s + "!", Hint: s, Files: a.Files}, "restore": a}
		p.Play(reporttest.Monday.Add(time.Hour))
		p.Append(rotation.Record{Outcome: rotation.Attached, Step: s, Text: s, Files: a.Files, Runner: rotation.Runner{ID: s}})
		e := p.Environment(p.Now, "")
		e.Name, e.Head.Digest = s, s
		structure(t, "fuzz", summary.Markdown(e))
	})
}
