package demo_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/demo"
	"github.com/rastup/rekey/internal/report/terminal"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	port    = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	request = regexp.MustCompile(`\(request\s+[0-9a-f-]{36}\)`)
)

// TestTheStoryOfEachTrouble holds what the demo tells against its golden, which people read: in every one, what
// the services say at the end must be what the story says.
func TestTheStoryOfEachTrouble(t *testing.T) {
	stories := map[string]string{"": "all-well"}
	for _, step := range demo.Steps() {
		stories[step+"@dev"] = step
	}
	stories["validate@prod"] = "validate-prod"
	for fail, name := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "demo")
			var b bytes.Buffer
			if err := demo.Run(t.Context(), &b, demo.Options{Out: out, Fail: fail, Program: "test", Style: terminal.Style{Width: 100}}); err != nil {
				t.Fatalf("%v\n%s", err, b.String())
			}
			got := strings.ReplaceAll(b.String(), filepath.ToSlash(out), "demo")
			got = request.ReplaceAllString(port.ReplaceAllString(got, "127.0.0.1:8080"), "(request …)")
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("differs from %s:\n%s", golden, got)
			}
			transcript, err := os.ReadFile(filepath.Join(out, "transcript.txt"))
			if err != nil || !bytes.Equal(transcript, b.Bytes()) {
				t.Errorf("the transcript isn't what was shown: %v", err)
			}
		})
	}
}

func TestADemoTakesNothingOfSomebodyElseAway(t *testing.T) {
	out := t.TempDir()
	mine := filepath.Join(out, "notes.txt")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := demo.Run(t.Context(), &bytes.Buffer{}, demo.Options{Out: out}); err == nil {
		t.Error("accepted a folder with other things")
	}
	if b, err := os.ReadFile(mine); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
}
