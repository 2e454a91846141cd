package evidence_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/rotation"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// A tampering is a fault somebody makes, and the rules that must name it.
type tampering struct {
	name  string
	do    func(*scene, *evidence.VerifyOptions)
	rules []string
}

func tamperings() []tampering {
	type sco = *evidence.VerifyOptions
	backdate := func(by time.Duration) func(*rotation.Record) {
		return func(r *rotation.Record) { r.At = r.At.Add(-by) }
	}
	retext := func(r *rotation.Record) { r.Text = "nothing to see" }
	return []tampering{
		{"a word of a record", func(s *scene, _ sco) { s.replace(recordName(prod, 3), "step 3", "step 9") }, []string{"altered", "bundle"}},
		{"what a record continues from", func(s *scene, _ sco) {
			s.replace(recordName(prod, 3), `"prev":"sha256:`, `"prev":"sha256!`)
		}, []string{"record"}},
		{"a record rewritten with another predecessor", func(s *scene, _ sco) {
			s.replace(recordName(prod, 3), rotation.Digest(s.get(recordName(prod, 2))), rotation.Digest(nil))
		}, []string{"altered", "bundle"}},
		{"the first record", func(s *scene, _ sco) { s.replace(recordName(prod, 1), "payments", "treasury") }, []string{"altered", "bundle", "rewritten"}},
		{"two records in a row", func(s *scene, _ sco) {
			s.replace(recordName(prod, 3), rotation.Digest(s.get(recordName(prod, 2))), rotation.Digest(nil))
			s.replace(recordName(prod, 4), "step 4", "step 9")
		}, []string{"altered", "bundle"}},
		{"the marker replaced", func(s *scene, _ sco) { s.replace("journal/marker.json", "0001", "ffff") }, []string{"altered"}},
		{"the marker deleted", func(s *scene, _ sco) { s.remove("journal/marker.json") }, []string{"marker"}},
		{"the marker unreadable", func(s *scene, _ sco) { s.set("journal/marker.json", []byte("{}")) }, []string{"marker", "altered"}},
		{"a record missing", func(s *scene, _ sco) { s.remove(recordName(prod, 3)) }, []string{"gap"}},
		{"records missing", func(s *scene, _ sco) { s.remove(recordName(prod, 2), recordName(prod, 3)) }, []string{"gap"}},
		{"the first record missing", func(s *scene, _ sco) { s.remove(recordName(prod, 1)) }, []string{"gap"}},
		{"two records swapped", func(s *scene, _ sco) {
			a, b := s.get(recordName(prod, 3)), s.get(recordName(prod, 4))
			s.set(recordName(prod, 3), b)
			s.set(recordName(prod, 4), a)
		}, []string{"misplaced"}},
		{"a record from another chain", func(s *scene, _ sco) { s.set(recordName(prod, 3), s.get(recordName(dev, 3))) }, []string{"misplaced"}},
		{"a chain copied to another secret", func(s *scene, _ sco) {
			other := rotation.Chain{Environment: "prod", Secret: "app/other"}
			for i := 1; i <= 6; i++ {
				data := strings.Replace(string(s.get(recordName(prod, i))), `"secret":"app/db"`, `"secret":"app/other"`, 2)
				s.set(recordName(other, i), []byte(data))
				s.touch(recordName(other, i), time.Minute)
			}
		}, []string{"altered", "file"}},
		{"a record added at the end", func(s *scene, _ sco) {
			s.set(recordName(prod, 7), []byte(strings.Replace(string(s.get(recordName(prod, 6))), `"seq":6`, `"seq":7`, 1)))
			s.touch(recordName(prod, 7), time.Minute)
		}, []string{"altered"}},
		{"a record dated back, hashes mended", func(s *scene, o sco) {
			s.unanchored(prod)
			s.forge(prod, 4, backdate(time.Hour))
		}, []string{"date"}},
		{"a record dated forth, hashes mended", func(s *scene, o sco) {
			s.unanchored(prod)
			s.forge(prod, 6, backdate(-48*time.Hour))
		}, []string{"date"}},
		{"a record replaced later", func(s *scene, _ sco) { s.touch(recordName(prod, 4), 5*time.Minute) }, []string{"date"}},
		{"records that contradict each other, hashes mended", func(s *scene, _ sco) {
			s.unanchored(prod)
			s.forge(prod, 5, func(r *rotation.Record) { r.Rotation = "2026-11-22-other" })
		}, []string{"order"}},
		{"a record that is no JSON", func(s *scene, _ sco) { s.set(recordName(prod, 3), []byte("<html>\x1b[31m")) }, []string{"record"}},
		{"an unknown outcome", func(s *scene, _ sco) { s.replace(recordName(prod, 3), `"done"`, `"perfect"`) }, []string{"record"}},
		{"an unknown field", func(s *scene, _ sco) { s.replace(recordName(prod, 3), `{"seq"`, `{"note":1,"seq"`) }, []string{"record"}},
		{"a key twice", func(s *scene, _ sco) { s.replace(recordName(prod, 3), `{"seq":3`, `{"seq":3,"seq":3`) }, []string{"record"}},
		{"a huge number", func(s *scene, _ sco) { s.replace(recordName(prod, 3), `"seq":3`, `"seq":1e400`) }, []string{"record"}},
		{"a record too large", func(s *scene, _ sco) { s.set(recordName(prod, 3), make([]byte, evidence.MaxRecord+1)) }, []string{"record"}},
		{"a foreign file in a chain", func(s *scene, _ sco) { s.set("journal/"+prod.Path()+"/000004-b.json", []byte("{}")) }, []string{"foreign"}},
		{"a foreign file with a name that draws", func(s *scene, _ sco) { s.set("journal/\x1b[2J::error::x\n", []byte("hi")) }, []string{"foreign"}},
		{"a foreign file in the journal", func(s *scene, _ sco) { s.set("journal/notes.txt", []byte("hi")) }, []string{"foreign"}},
		{"a foreign file in a bundle", func(s *scene, _ sco) { s.set(bundleName(prod, "notes.txt"), []byte("hi")) }, []string{"foreign"}},
		{"a foreign file among rotations", func(s *scene, _ sco) { s.set("rotations/notes.txt", []byte("hi")) }, []string{"foreign"}},
		{"the end rewritten, against an anchor", func(s *scene, o sco) {
			s.unanchored(prod)
			o.Anchors = []evidence.Anchor{{Head: s.heads[prod], By: "the audit comment"}}
			s.forge(prod, 5, retext)
		}, []string{"rewritten"}},
		{"the end rewritten, against the next environment's claim", func(s *scene, _ sco) { s.unanchored(dev); s.forge(dev, 5, retext) }, []string{"rewritten"}},
		{"the end rewritten, against the bundle", func(s *scene, _ sco) { s.forge(prod, 5, retext) }, []string{"bundle", "rewritten"}},
		{"the end rewritten, against the log stream", func(s *scene, o sco) { s.unanchored(prod); s.forge(prod, 5, retext); o.Logs = s.logs }, []string{"rewritten"}},
		{"the end cut off, against an anchor", func(s *scene, o sco) {
			s.unanchored(prod)
			o.Anchors = []evidence.Anchor{{Head: s.heads[prod]}}
			s.remove(recordName(prod, 5), recordName(prod, 6))
		}, []string{"truncated"}},
		{"the end cut off, against the next environment's claim", func(s *scene, _ sco) { s.unanchored(dev); s.remove(recordName(dev, 6)) }, []string{"truncated"}},
		{"the end cut off, against the bundle", func(s *scene, _ sco) { s.remove(recordName(prod, 6)) }, []string{"bundle", "truncated"}},
		{"the end cut off, against the log stream", func(s *scene, o sco) { s.unanchored(prod); s.remove(recordName(prod, 6)); o.Logs = s.logs }, []string{"truncated"}},
		{"a whole chain gone", func(s *scene, _ sco) {
			for i := 1; i <= 6; i++ {
				s.remove(recordName(prod, i))
			}
		}, []string{"bundle", "truncated"}},
		{"a foreign event in the log stream", func(s *scene, o sco) { o.Logs = logStream{0: {rotation.Digest([]byte("hi"))}} }, []string{"foreign"}},
		{"an evidence file changed", func(s *scene, _ sco) { s.replace(bundleName(prod, "files/1-validate~smoke-output.txt"), "2", "9") }, []string{"file"}},
		{"an evidence file missing", func(s *scene, _ sco) { s.remove(bundleName(prod, "files/1-validate~smoke-output.txt")) }, []string{"file"}},
		{"the copy of the records changed", func(s *scene, _ sco) { s.replace(bundleName(prod, "records-000006.jsonl"), "step 3", "step 9") }, []string{"bundle"}},
		{"the summary changed", func(s *scene, _ sco) { s.replace(bundleName(prod, "summary-000006.md"), "validated", "finished!") }, []string{"bundle"}},
		{"the summary missing", func(s *scene, _ sco) { s.remove(bundleName(prod, "summary-000006.md")) }, []string{"bundle"}},
		{"a pointer to elsewhere", func(s *scene, _ sco) { s.set(bundleName(prod, "claim.json"), s.get(bundleName(dev, "claim.json"))) }, []string{"bundle"}},
		{"a pointer to another attempt", func(s *scene, _ sco) { s.replace(bundleName(prod, "claim.json"), `"attempt":1`, `"attempt":2`) }, []string{"bundle"}},
		{"a pointer with a blank", func(s *scene, _ sco) { s.replace(bundleName(prod, "claim.json"), `,`, `, `) }, []string{"bundle"}},
		{"a pointer unreadable", func(s *scene, _ sco) { s.set(bundleName(prod, "head-000006.json"), []byte("[]")) }, []string{"bundle"}},
		{"the close changed", func(s *scene, _ sco) {
			s.replace("rotations/2026/11/app~db/"+db+"/close.json", "finished", "abandoned")
		}, []string{"bundle"}},
	}
}

func TestEachFaultIsNamed(t *testing.T) {
	var text strings.Builder
	for _, c := range tamperings() {
		t.Run(c.name, func(t *testing.T) {
			s := inDir(t)
			var o evidence.VerifyOptions
			if r := s.verify(o); r.Err() != nil {
				t.Fatalf("before anything was done: %v", r.Err())
			}
			c.do(s, &o)
			r := s.verify(o)
			if got := rules(r.Findings); !slices.Equal(sorted(got), sorted(c.rules)) {
				t.Errorf("found %q, want %q:\n%v", got, c.rules, r.Err())
			}
			fmt.Fprintf(&text, "%s\n", c.name)
			for _, f := range r.Findings {
				fmt.Fprintf(&text, "    %v\n", f)
			}
		})
	}
	golden(t, "tamper.golden", text.String())
}

func sorted(l []string) []string { l = slices.Clone(l); slices.Sort(l); return l }

func TestAnUntouchedStoreIsConfirmedByEverybody(t *testing.T) {
	s := inDir(t)
	r := s.verify(evidence.VerifyOptions{Logs: s.logs, Anchors: []evidence.Anchor{{Head: s.heads[dev], By: "the audit comment"}}})
	must(t, r.Err())
	var text strings.Builder
	for _, c := range r.Chains {
		fmt.Fprintf(&text, "%s: %d records, %d files, rotations %q\n", c.Head.Path(), c.Records, c.Files, c.Rotations)
		if c.Head != s.heads[c.Head.Chain] {
			t.Errorf("head %v, want %v", c.Head, s.heads[c.Head.Chain])
		}
		for _, a := range c.Confirmed {
			fmt.Fprintf(&text, "    record %d: %s\n", a.Seq, a.By)
		}
	}
	golden(t, "confirmed.golden", text.String())
}
