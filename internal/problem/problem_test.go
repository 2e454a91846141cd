package problem_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

func TestListShowsProblemsInOrderEachOnce(t *testing.T) {
	l := &problem.List{}
	l.Add(problem.Pos{File: "b.yaml", Line: 2, Col: 10}, "late", "", "second")
	l.Add(problem.Pos{File: "b.yaml", Line: 2, Col: 9}, "unknown-secret", `did you mean "x" (row at line 14)?`, "no secret %q in %s", "y", "r.md")
	l.Add(problem.Pos{File: "b.yaml", Line: 2, Col: 10}, "late", "", "second")
	l.Add(problem.Pos{File: "a.yaml"}, "no-file", "", "forged\n::error::x\x1b[31m\u202e")
	want := "a.yaml: forged\\u000a::error::x\\u001b[31m\\u202e [no-file]\n" +
		"b.yaml:2:9: no secret \"y\" in r.md [unknown-secret]\n    hint: did you mean \"x\" (row at line 14)?\n" +
		"b.yaml:2:10: second [late]\n"
	if diff := cmp.Diff(want, l.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNearest(t *testing.T) {
	all := []string{"payments/stripe-webhook", "app/database", "prod", "stage", "dev", "secret", "secrets"}
	for name, want := range map[string]string{
		"payments/stripe": "payments/stripe-webhook", "app/databsae": "app/database", "prd": "prod", "PROD": "prod", "dve": "dev",
		"secert": "secret", "qa": "", "": "", "nothing/like/it": "", "webhook": "payments/stripe-webhook", strings.Repeat("x", 10000): "",
	} {
		if got := problem.Nearest(name, all); got != want {
			t.Errorf("%.20q: %q, want %q", name, got, want)
		}
	}
}

func TestReadStaysInsideTheRepository(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(outside, "secret.yaml"), "a: b\n")
	write(filepath.Join(dir, "plain.yaml"), "a: b\n")
	for name, to := range map[string]string{"out.yaml": filepath.Join(outside, "secret.yaml"), "in.yaml": "plain.yaml", "folder": outside, "gone.yaml": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for sort, fsys := range map[string]fs.FS{"dir": os.DirFS(dir), "root": root.FS()} {
		for name, rule := range map[string]string{
			"plain.yaml": "", "out.yaml": "symlink", "in.yaml": "symlink", "folder/secret.yaml": "symlink", "gone.yaml": "symlink",
			"../x": "file-name", "/etc/passwd": "file-name", `a\b`: "file-name", "a/../plain.yaml": "file-name", "": "file-name", ".": "no-file", "none.yaml": "no-file",
		} {
			l := &problem.List{}
			b, ok := problem.Read(fsys, name, l)
			got := ""
			if all := l.Sorted(); len(all) > 0 {
				got = all[0].Rule
			}
			if got != rule || ok != (rule == "") || !ok && b != nil {
				t.Errorf("%s %q: %q, %v, want %q", sort, name, got, ok, rule)
			}
		}
	}
}

func TestReadRefusesTooMuch(t *testing.T) {
	l := &problem.List{}
	fsys := fstest.MapFS{"just": {Data: make([]byte, problem.MostBytes+1)}, "fits": {Data: []byte(strings.Repeat("#", problem.MostBytes))}}
	if _, ok := problem.Read(fsys, "just", l); ok || l.Sorted()[0].Rule != "too-large" {
		t.Error(l)
	}
	if _, ok := problem.Read(fsys, "fits", l); !ok {
		t.Error("a file of exactly the limit is refused")
	}
}

type inner struct {
	Length int    `yaml:"length" jsonschema:"minimum=8,maximum=64"`
	Mode   string `yaml:"mode" jsonschema:"enum=fast,enum=slow"`
}

type embedded struct {
	Note string `yaml:"note"`
}

type shape struct {
	embedded
	Name   string            `yaml:"name" rekey:"required"`
	On     bool              `yaml:"on"`
	Ratio  float64           `yaml:"ratio"`
	Within rotation.Duration `yaml:"within"`
	Inner  *inner            `yaml:"inner"`
	List   []inner           `yaml:"list"`
	Map    map[string]int    `yaml:"map"`
	Later  *problem.Node     `yaml:"later"`
	Where  problem.Text      `yaml:"where"`
}

func (s *shape) Check(r *problem.Report) {
	for i, e := range s.List {
		if e.Mode == "slow" {
			r.Add("list["+string(rune('0'+i))+"].mode", "slow", "hurry", "too slow")
		}
	}
	if s.Inner != nil && s.Inner.Length < 8 {
		r.Add("inner.length", "again", "", "reported once only")
	}
	if !r.Has("on") {
		r.Add("on", "absent", "", "on the whole")
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"all there", "name: x\non: true\nratio: 0.5\nwithin: 2d\ninner: {length: 8, mode: fast}\nlist: [{length: 9}]\nmap: {a: -1}\nlater: [x]\nwhere: 2026-11-25\n", ""},
		{"an alias", "name: &n x\non: true\nwhere: *n\n", ""},
		{"bounds", "name: x\non: true\ninner: {length: 7}\nlist: [{length: 65, mode: slow}]\n",
			"f:3:17: length must be at least 8 [value]\nf:4:17: length must be at most 64 [value]\nf:4:27: too slow [slow]\n    hint: hurry\n"},
		{"booleans", "name: x\non: yes\n", "f:2:5: on must be true or false, not \"yes\" [type]\n    hint: write true or false\n"},
		{"capital booleans", "name: x\non: True\n", "f:2:5: on must be true or false, not True [type]\n    hint: write true or false\n"},
		{"numbers", "name: x\non: true\nratio: .inf\nmap: {a: 010, b: 1e3, c: 0o7, d: 9223372036854775808, e: -0, f: 1.0, g: 0}\n",
			"f:3:8: ratio must be a number, not the number .inf [type]\n    hint: write plain decimal digits, without quotes\n" +
				"f:4:10: a must be a whole number, not the number 010 [type]\n    hint: write plain decimal digits, without quotes\n" +
				"f:4:18: b must be a whole number, not the number 1e3 [type]\n    hint: write plain decimal digits, without quotes\n" +
				"f:4:26: c must be a whole number, not the number 0o7 [type]\n    hint: write plain decimal digits, without quotes\n" +
				"f:4:34: d must be a whole number, not the number 9223372036854775808 [type]\n    hint: write plain decimal digits, without quotes\n" +
				"f:4:65: f must be a whole number, not the number 1.0 [type]\n    hint: write plain decimal digits, without quotes\n"},
		{"missing", "on: true\n", "f:1:1: it lacks name [missing-key]\n"},
		{"at the whole", "name: x\n", "f:1:1: on the whole [absent]\n"},
		{"meant", "nmae: x\non: true\n", "f:1:1: it has no key \"nmae\" [unknown-key]\n    hint: did you mean \"name\"?\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s shape
			l := &problem.List{}
			ok := problem.Decode(problem.Source{File: "f", Text: []byte(c.yaml)}, &s, l)
			if diff := cmp.Diff(c.want, l.String()); diff != "" || ok != (c.want == "") {
				t.Errorf("%v -want +got:\n%s", ok, diff)
			}
		})
	}
}

// Each is a few bytes that stand for very much, or that a YAML library stumbles over. It takes at most so many times
// what an honest document takes; what is quadratic takes hundreds of times.
func TestHostileYAMLIsAnsweredSoon(t *testing.T) {
	const most, size = 60, 128 << 10
	least := func(text string, honest time.Duration) (took time.Duration, l *problem.List) { // of a few, in processor time: what else a machine does adds little
		took = time.Hour
		for i := 0; i < 3 && took > most*honest; i++ {
			var s shape
			l = &problem.List{}
			begin := busy(t)
			problem.Decode(problem.Source{File: "f", Text: []byte(text)}, &s, l)
			took = min(took, busy(t)-begin)
		}
		return took, l
	}
	honest, _ := least("list:\n"+strings.Repeat("- {length: 12, mode: fast}\n", size/27), 0)
	honest = max(honest, 5*time.Millisecond)
	bomb := "a0: &a0 [x, x]\n"
	for i := 1; i < 60; i++ {
		n := string(rune('0'+i/10)) + string(rune('0'+i%10))
		last := "a0"
		if i > 1 {
			last = "a" + string(rune('0'+(i-1)/10)) + string(rune('0'+(i-1)%10))
		}
		bomb += "a" + n + ": &a" + n + " [*" + last + ", *" + last + "]\n"
	}
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for name, text := range map[string]string{
		"bomb": bomb, "loop": "&a [*a]", "loop by key": "&a {b: *a}", "deep": fill("["), "deep mappings": fill("{a: "), "deep blocks": fill("- "),
		"keys": fill("? "), "comments": fill("#\n"), "commented items": fill("- #\n"), "anchors": fill("&a "), "tags": fill("! "), "quotes": fill(`"`), "escapes": `"` + fill(`\x41`),
		"folded": "a: >\n" + fill(" x\n\n"), "long key": fill("a") + ": b", "documents": fill("---\n"), "directives": fill("%YAML 1.1\n"),
		"commas": "[" + fill(",") + "]", "colons": fill(": "), "merge": "<<: [" + fill("{a: b},") + "]", "panics": "#\n - - - - - - - -\n  &\n", "nulls": fill("~: ~\n"),
		"empty keys": "? \n? \n", "alias key": "&a a: b\n*a : c", "flow comments": fill("[#\n"),
	} {
		if took, l := least(text, honest); took > most*honest || l.Len() == 0 {
			t.Errorf("%s took %s, an honest document %s; %d problems", name, took, honest, l.Len())
		}
	}
}

// busy is the processor time this process has used.
func busy(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
