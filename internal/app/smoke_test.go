package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
)

// newSmoke is a town with the smoke commands of this repository's own house rules, as another has them: real Python, real npm.
// Both print what is in leak.txt; what the second ends with is in status.txt.
func newSmoke(t *testing.T) *town {
	w := newTown(t)
	home := t.TempDir()
	w.lookup = func(name string) (string, bool) {
		if name == "HOME" {
			return home, true // npm keeps logs there
		}
		return os.LookupEnv(name)
	}
	w.write(".github/rekey.yml", rules+`checks:
  - command: {run: [python, tools/validate_event_contracts.py, --mode, smoke], within: 10m}
    name: contracts
    environments: [dev]
  - command: {run: [npm, test, --, "security:smoke"], within: 10m}
    name: security
    environments: [dev]
`)
	w.write("tools/validate_event_contracts.py", `import argparse, pathlib, sys
p = argparse.ArgumentParser()
p.add_argument("--mode", required=True)
mode = p.parse_args().mode
leak = pathlib.Path("leak.txt").read_text()
print(f"mode {mode}: 3 contracts hold")
print(f"connected with {leak}", file=sys.stderr)
`)
	w.write("package.json", `{"name": "shop", "version": "1.0.0", "private": true, "scripts": {"test": "node tools/test.js"}}`)
	w.write(".npmrc", "update-notifier=false\n")
	w.write("tools/test.js", `const { readFileSync } = require("fs");
const suite = process.argv[2];
console.log("suite " + suite + " with " + readFileSync("leak.txt", "utf8"));
const status = Number(readFileSync("status.txt", "utf8"));
if (status) console.error("FAIL " + suite + ": login refused");
process.exit(status);
`)
	w.write("leak.txt", "nothing yet")
	w.write("status.txt", "0")
	w.request(smoked, "secret: app/database\nticket: SEC-1\nenvironments: [dev]\n")
	return w
}

const smoked = "2026-11-23-smoke"

// password is the part of a version that is rotated.
func (w *town) password(version string) string {
	var v struct{ Password string }
	if err := json.Unmarshal([]byte(w.world.Secret(stored).Version(version).Text), &v); err != nil {
		w.t.Fatal(err)
	}
	return v.Password
}

// outputs are the kept outputs of commands, by attempt and step; what the store has that holds one of the texts is an error.
func (w *town) outputs(texts ...string) map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for _, v := range w.world.S3.Versions("rekey-evidence", "") {
		if name, ok := strings.CutSuffix(filepath.Base(v.Key), "-output.txt"); ok {
			all[name] = string(v.Body)
		}
		for _, text := range texts {
			if strings.Contains(string(v.Body), text) {
				w.t.Errorf("%s holds what must not be seen", v.Key)
			}
		}
	}
	return all
}

// leaks has whoever is asked after create read the new value from leak.txt, and the second command end with a status.
func (w *town) leaks(status string) {
	w.world.Fail(func(c sandbox.Call) error {
		if s := w.world.Secret(stored); c.Operation == "UpdateSecretVersionStage" && s.Labels["AWSPENDING"] != "" {
			w.write("leak.txt", w.password(s.Labels["AWSPENDING"]))
			w.write("status.txt", status)
		}
		return nil
	})
}

func TestSmokeCommandsRunAsConfigured(t *testing.T) {
	w := newSmoke(t)
	old := w.live()
	w.write("leak.txt", w.password(old))
	w.leaks("0")
	w.want("dev", smoked, plan.Deferred)
	if w.live() == old {
		t.Fatal("nothing was promoted")
	}
	all := w.outputs(w.password(old), w.password(w.live()))
	for step, lines := range map[string][]string{
		"contracts": {"mode smoke: 3 contracts hold", "connected with [redacted]"},
		"security":  {"suite security:smoke with [redacted]"},
	} {
		for _, of := range []string{"baseline", "validate"} {
			out, found := all["1-"+of+"~"+step]
			for _, line := range lines {
				if !strings.Contains(out, line) {
					t.Errorf("the output of %s/%s (%t) lacks %q:\n%s", of, step, found, line, out)
				}
			}
		}
	}
}

func TestASmokeCommandThatFailsSaysHowAndTakesItBack(t *testing.T) {
	w := newSmoke(t)
	old := w.live()
	w.leaks("4")
	var failed rotation.Record
	w.progress = func(_ *rotation.Plan, r rotation.Record) {
		if r.Outcome == rotation.Failed && r.Step == "validate/security" {
			failed = r
			w.write("status.txt", "0") // the old value is taken
		}
	}
	w.want("dev", smoked, plan.RolledBack)
	if w.live() != old {
		t.Errorf("%s is live, want %s", w.live(), old)
	}
	for _, part := range []string{"npm test -- security:smoke ended with 4 after ", "last lines:", "| suite security:smoke with [redacted]", "| FAIL security:smoke: login refused"} {
		if !strings.Contains(failed.Text, part) {
			t.Errorf("the failure lacks %q: %s", part, failed.Text)
		}
	}
	if !slices.ContainsFunc(failed.Files, func(f rotation.FileRef) bool { return strings.HasSuffix(f.Name, "output.txt") }) {
		t.Errorf("files %v", failed.Files)
	}
	w.outputs(w.password(w.world.Secret(stored).Versions[1].ID))
	if got := w.apply("dev", app.Options{ByHand: true}); got[smoked] != plan.RolledBack {
		t.Errorf("%v", got)
	}
}
