package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/sandbox"
)

const (
	secretKey = "CANARY+aws/secret/key/7Hq2Zt9Lr4"
	pem       = "-----BEGIN PRIVATE KEY-----\nCANARYpem1MC4CAQAwBQYDK2VwBCIEIFu5\nCANARYpem2xZk9TqLw3vN8yB6mR1dHj0/+sP\n-----END PRIVATE KEY-----\n"
)

// planted are the leaves of dev's secret; password is the one that is rotated.
var planted = map[string]any{
	"username": "app", "password": `CANARY"old\pass<word>&4f9a`, "api": map[string]any{"keys": []any{"CANARY-api-key-%/?=31c7", "CANARY-zweiter-schlüssel-5"}}, "pem": pem,
}

// A nosyStage has canaries wherever a secret can be, and a smoke test that prints all it can find.
type nosyStage struct {
	*stage
	search   *searcher
	saw      string // file of the smoke test
	evidence int    // objects searched
}

func newNosyStage(t *testing.T) *nosyStage {
	t.Helper()
	n := &nosyStage{search: &searcher{}, saw: filepath.Join(t.TempDir(), "saw.json")}
	check := strings.Replace(smokeCheck, `E2E_SMOKE: "SITE"`, `E2E_SMOKE: "SITE", E2E_NOSY: "`+n.saw+`"`, 1)
	n.stage = newStage(t, files(check, slowly))
	text, err := json.Marshal(planted)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.world.PutByHand(n.scenario.Secrets["dev"], string(text)); err != nil {
		t.Fatal(err)
	}
	n.first = n.secret().Labels["AWSCURRENT"]
	n.search.secret(t, "the old value", string(text))
	n.search.add("the process's key", secretKey)
	return n
}

// generated adds what came to be on the way: every version's value, and the keys of the roles played.
func (n *nosyStage) generated() {
	of := n.world.Secret(n.scenario.Secrets["dev"])
	for i, v := range of.Versions[1:] { // the first is the scenario's own
		n.search.secret(n.t, fmt.Sprintf("version %d", i+2), v.Text)
	}
	for i, m := range regexp.MustCompile(`<(?:SecretAccessKey|SessionToken)>([^<]+)<`).FindAllStringSubmatch(n.sts(), -1) {
		n.search.add(fmt.Sprintf("part %d of the sessions", i), m[1])
	}
}

// run runs the program and searches what it says.
func (n *nosyStage) run(args ...string) said {
	n.t.Helper()
	r := n.rekey(args...)
	n.generated()
	n.search.in(n.t, fmt.Sprintf("standard output of rekey %q", args), r.out)
	n.search.in(n.t, fmt.Sprintf("standard error of rekey %q", args), r.err)
	return r
}

// everywhere searches all that is left.
func (n *nosyStage) everywhere() {
	n.t.Helper()
	n.generated()
	versions := n.world.S3.Versions(n.scenario.Bucket, "")
	for _, v := range versions {
		n.search.in(n.t, "object "+v.Key, v.Key+"\n"+string(v.Body))
	}
	n.evidence = len(versions)
	for line := range n.events() {
		n.search.in(n.t, "the log group", line)
	}
	n.folder(n.dir)
	if b, err := os.ReadFile(n.saw); err == nil {
		n.search.in(n.t, "arguments, variables, or the parent's, of a command", string(b))
		if !strings.Contains(string(b), `"--mode"`) || !strings.Contains(string(b), "REKEY_ENVIRONMENT=dev") {
			n.t.Errorf("the smoke test saw less than it should: %s", b)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		n.t.Error(err)
	}
}

func (n *nosyStage) folder(dir string) {
	n.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		n.search.in(n.t, "file "+path, path+"\n"+string(b))
		return err
	})
	if err != nil {
		n.t.Error(err)
	}
}

// TestNoSecretIsAnywhereAfterwards goes through a rotation and its end with a smoke test that prints the live value,
// the pending one and the former in every form it knows.
func TestNoSecretIsAnywhereAfterwards(t *testing.T) {
	t.Parallel()
	n := newNosyStage(t)
	for _, args := range [][]string{{"init"}, {"lint"}, {"plan", "--live"}, {"apply", "-e", "dev"}, {"apply", "-e", "dev", "--json"},
		{"status"}, {"status", "--json"}, {"verify"}, {"attach", "-e", "dev", requestPath(), filepath.Join(n.dir, "ops/config/registry.md")},
		{"rollback", "-e", "dev", requestPath()}, {"apply", "-e", "dev", "--again"}, {"verify", "--json"}} {
		if r := n.run(args...); r.code != 0 {
			t.Errorf("rekey %q ended with %d:\n%s%s", args, r.code, r.out, r.err)
		}
	}
	n.everywhere()
	of := n.world.Secret(n.scenario.Secrets["dev"])
	if len(of.Versions) != 4 || of.Labels["AWSCURRENT"] == n.first || n.evidence < 30 || !n.smokePrinted() {
		t.Errorf("there was too little to look at: %d versions, %d objects", len(of.Versions), n.evidence)
	}
	t.Logf("%d canaries in %d forms, %d objects of evidence", len(n.search.values), len(n.search.forms), n.evidence)
}

// smokePrinted says whether there is output of the smoke test, with its values taken out.
func (n *nosyStage) smokePrinted() bool {
	return slices.ContainsFunc(n.world.S3.Versions(n.scenario.Bucket, "rotations/"), func(v versionOfObject) bool {
		return strings.Contains(string(v.Body), "raw [redacted]") && strings.Contains(string(v.Body), "base64")
	})
}

// TestNoSecretIsAnywhereAfterAFailure refuses each operation at its first, second and third call, with an error that
// quotes the value where the service could have seen it.
func TestNoSecretIsAnywhereAfterAFailure(t *testing.T) {
	for _, op := range []string{"DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage", "TagResource", "AssumeRole", "PutObject", "PutLogEvents"} {
		for k := int32(1); k <= 3; k++ {
			if !full() && k != 1+int32(len(op))%3 {
				continue
			}
			t.Run(fmt.Sprintf("%s %d", op, k), func(t *testing.T) {
				t.Parallel()
				n := newNosyStage(t)
				n.run("init")
				var seen atomic.Int32
				n.world.Fail(func(c sandbox.Call) error {
					if c.Operation != op || c.Service == "s3" && strings.Contains(c.Target, "marker") || seen.Add(1) != k {
						return nil
					}
					quoted := "" // only who was sent the value can
					if slices.Contains([]string{"PutSecretValue", "UpdateSecretVersionStage", "TagResource"}, op) {
						quoted = n.world.Secret(n.scenario.Secrets["dev"]).At("AWSCURRENT").Text
					}
					return &sandbox.Error{Status: 400, Code: "InvalidParameterException", Message: "this isn't valid: " + quoted}
				})
				n.run("apply", "-e", "dev")
				n.clock.move(20 * time.Minute)
				n.run("apply", "-e", "dev")
				n.run("status")
				n.everywhere()
			})
		}
	}
	t.Run("validation", func(t *testing.T) {
		t.Parallel()
		n := newNosyStage(t)
		n.run("init")
		n.app.Accept("dev", n.first)
		if r := n.run("apply", "-e", "dev"); r.code != 1 || !strings.Contains(r.out, "rolled back") {
			t.Errorf("ended with %d:\n%s%s", r.code, r.out, r.err)
		}
		n.everywhere()
		if !n.smokePrinted() {
			t.Error("the smoke test printed nothing")
		}
	})
}

// TestNoSecretIsAnywhereAfterAResumedRun kills a process once the new value is live; the one after it runs the smoke
// test, and has never had the values in its hands.
func TestNoSecretIsAnywhereAfterAResumedRun(t *testing.T) {
	t.Parallel()
	probe := newNosyStage(t)
	probe.must("init")
	probe.gate.set(0, false)
	probe.must("apply", "-e", "dev")
	for i, name := range probe.gate.calls() {
		if name != "secretsmanager.UpdateSecretVersionStage" {
			continue
		}
		n := newNosyStage(t)
		n.run("init")
		n.gate.set(i+1, true)
		c := n.command("apply", "-e", "dev")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		<-n.gate.arrived
		_ = c.Process.Kill()
		_ = c.Wait()
		close(n.gate.gone)
		if err := os.Remove(n.saw); err != nil { // the first process ran it before
			t.Fatal(err)
		}
		n.clock.move(20 * time.Minute)
		if r := n.run("apply", "-e", "dev"); r.code != 0 || !strings.Contains(r.err, "resumed") {
			t.Errorf("ended with %d:\n%s%s", r.code, r.out, r.err)
		}
		if _, err := os.Stat(n.saw); err != nil {
			t.Error("the second process didn't run the smoke test")
		}
		n.everywhere()
	}
}

// TestTheDemoLeavesNoSecretBehind searches what it leaves for the values its sandbox begins with, which are the same
// in every sandbox, and for its key.
func TestTheDemoLeavesNoSecretBehind(t *testing.T) {
	t.Parallel()
	n := newNosyStage(t)
	for _, name := range n.scenario.Secrets {
		n.search.secret(t, name, n.world.Secret(name).Versions[0].Text)
	}
	n.search.add("the sandbox's key", sandbox.SecretAccessKey)
	for _, fail := range []string{"", "validate@dev", "test@stage", "decommission@prod"} {
		n.run("demo", "--fail", fail, "--out", "demo")
		n.folder(filepath.Join(n.dir, "demo"))
	}
}

// sts is what was answered to AssumeRole.
func (s *stage) sts() string {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return string(s.assumed)
}

// watch keeps the answers that hold keys of a session.
func (s *stage) watch(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			h.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		s.gate.mu.Lock()
		s.assumed = append(s.assumed, rec.Body.Bytes()...)
		s.gate.mu.Unlock()
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

// TestAParentThatIsntSealedIsSeenThrough holds that the smoke test would have found the program's variables: a shell
// doesn't hide its own.
func TestAParentThatIsntSealedIsSeenThrough(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("only Linux shows a process's variables in /proc")
	}
	t.Parallel()
	n := newNosyStage(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sh", "-c", `E2E_SMOKE="$1" E2E_NOSY="$2" AWS_SECRET_ACCESS_KEY= "$0" --mode smoke; true`, self, n.site, n.saw)
	c.Env = n.env
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	saw, err := os.ReadFile(n.saw)
	if err != nil {
		t.Fatal(err)
	}
	if found := n.search.found(string(saw)); len(found) == 0 || !strings.Contains(found[0], "the process's key") {
		t.Errorf("found %q", found)
	}
}
