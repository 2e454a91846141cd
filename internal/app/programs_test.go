package app_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
)

const rotated = "2026-11-23-db"

// newCustom is a town whose secret in dev is taken up by one consumer, an item of the registry's list; an alarm watches it.
func newCustom(t *testing.T, consumer string) *town {
	w := newTown(t)
	w.lookup = func(name string) (string, bool) { return os.Getenv("PATH"), name == "PATH" }
	at := "dev:\n  target: {secret: " + stored + ", key: password}\n"
	w.write("ops/config/registry.md", strings.ReplaceAll(strings.Replace(page, at, at+"  consumers:\n    - "+consumer+"\n  checks:\n    - {cloudwatch: {alarms: [errors]}, name: alarms}\n", 1), "~~~", "```"))
	w.request(rotated, "secret: app/database\nticket: SEC-1\nreason: scheduled\nenvironments: [dev]\n")
	w.world.CloudWatch.MakeAlarm(sandbox.Home, "errors", false, w.clock.Now())
	w.world.CloudWatch.SetState(sandbox.Home, "errors", "OK", w.clock.Now())
	w.clock.Move(time.Hour)
	return w
}

// redden has the alarm go red once after the version that is live now was replaced.
func (w *town) redden() {
	was := w.live()
	var red atomic.Bool
	w.world.Fail(func(c sandbox.Call) error {
		if c.Operation == "DescribeAlarmHistory" && w.live() != was && red.CompareAndSwap(false, true) {
			w.world.CloudWatch.SetState(sandbox.Home, "errors", "ALARM", w.clock.Now())
		}
		return nil
	})
}

// comesTo applies, with the alarm green again from the second time on, until the rotation is in a state.
func (w *town) comesTo(want plan.State) {
	w.t.Helper()
	var states []plan.State
	for range 6 {
		states = append(states, w.apply("dev", app.Options{ByHand: true})[rotated])
		if states[len(states)-1] == want {
			return
		}
		w.world.CloudWatch.SetState(sandbox.Home, "errors", "OK", w.clock.Now())
		w.clock.Move(time.Hour)
	}
	w.t.Fatalf("states %v, want %s", states, want)
}

func (w *town) read(path string) string {
	b, _ := os.ReadFile(filepath.Join(w.root, path))
	return strings.TrimSpace(string(b))
}

// script is a program of the repository.
func (w *town) script(path, text string) {
	w.write(path, text)
	if err := os.Chmod(filepath.Join(w.root, path), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

func newStack(t *testing.T) *town {
	w := newCustom(t, "{command: {run: [./deploy], look: [./look]}, name: stack}")
	w.script("deploy", "#!/bin/sh\necho $REKEY_STEP >>log\necho $REKEY_VERSION >runs\n")
	w.script("look", "#!/bin/sh\n[ \"$(cat runs)\" = $REKEY_VERSION ] || exit 2\n")
	w.write("runs", w.live()+"\n")
	return w
}

func TestACommandTakesUpWhatIsLive(t *testing.T) {
	w := newStack(t)
	was := w.live()
	w.want("dev", rotated, plan.Deferred)
	if w.live() == was || w.read("runs") != w.live() {
		t.Errorf("runs with %s; %s is live, was %s", w.read("runs"), w.live(), was)
	}
	w.clock.Move(49 * time.Hour)
	w.want("dev", rotated, plan.Finished)
	if got := w.read("log"); got != "deploy" {
		t.Errorf("run for %s", got)
	}
	w.verified()
}

func TestACommandGoesBackWithItsRotation(t *testing.T) {
	w := newStack(t)
	was := w.live()
	w.redden()
	w.comesTo(plan.RolledBack)
	if w.live() != was || w.read("runs") != was || w.read("log") != "deploy\nback" {
		t.Errorf("runs with %s; %s is live, was %s; run for %q", w.read("runs"), w.live(), was, w.read("log"))
	}
	w.verified()
}

// What consumers look at before a rotation hangs on what the kind found, also where nothing is claimed yet.
func TestALivePlanAsksConsumersToo(t *testing.T) {
	w := newStack(t)
	a := w.process()
	tasks, err := a.Tasks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var plans []rotation.Plan
	for _, task := range tasks {
		for _, j := range task.Jobs {
			plans = append(plans, j.Claim.Plan)
		}
	}
	notes := a.Preflight(t.Context(), plans)
	if len(notes) != 1 || !notes[0].OK || !strings.HasSuffix(notes[0].Text, "; ./deploy can be started; everything runs with the live version, says ./look") {
		t.Errorf("%+v", notes)
	}
	if w.read("log") != "" {
		t.Error("a plan deployed")
	}
	a = w.process()
	a.World.Preview = true
	w.script("look", "#!/bin/sh\necho look >>log\n")
	notes = a.Preflight(t.Context(), plans)
	if len(notes) != 1 || !notes[0].OK || !strings.HasSuffix(notes[0].Text, "; ./deploy was not looked at: nothing of a pull request is run") || w.read("log") != "" {
		t.Errorf("%+v; run for %q", notes, w.read("log"))
	}
}

const infra = `
terraform {
  backend "local" { path = "STATE" }
}
variable "token_version" { type = string }
resource "terraform_data" "web" { input = var.token_version }
output "runs" { value = terraform_data.web.output }
`

// newInfra has what runs deployed by the real terraform, with the version that is live.
func newInfra(t *testing.T) *town {
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("no terraform here: see make optional")
	}
	w := newCustom(t, "{terraform: {dir: infra, var_file: dev.auto.tfvars, variable: token_version}, name: infra}")
	w.write("infra/main.tf", strings.Replace(infra, "STATE", filepath.Join(t.TempDir(), "terraform.tfstate"), 1))
	w.merge(w.live())
	w.terraform("init", "-input=false")
	w.terraform("apply", "-input=false", "-auto-approve")
	return w
}

func (w *town) merge(version string) {
	w.write("infra/dev.auto.tfvars", "token_version = \""+version+"\"\n")
}

func (w *town) terraform(args ...string) string {
	w.t.Helper()
	c := exec.Command("terraform", args...)
	c.Dir, c.Env = filepath.Join(w.root, "infra"), []string{"PATH=" + os.Getenv("PATH"), "CHECKPOINT_DISABLE=1", "TF_DATA_DIR=" + filepath.Join(w.root, ".data")}
	out, err := c.CombinedOutput()
	if err != nil {
		w.t.Fatalf("terraform %s: %v\n%s", args, err, out)
	}
	return string(out)
}

// The old version stays until Git names the new one.
func TestTerraformTakesUpWhatIsLive(t *testing.T) {
	w := newInfra(t)
	was := w.live()
	w.want("dev", rotated, plan.Deferred)
	if got := w.terraform("output", "-raw", "runs"); got != w.live() || got == was {
		t.Errorf("runs with %s; %s is live, was %s", got, w.live(), was)
	}
	w.clock.Move(49 * time.Hour)
	w.want("dev", rotated, plan.Waiting)
	if len(w.world.Secret(stored).Version(was).Labels) == 0 {
		t.Errorf("the old version is gone: %v", w.labels("dev"))
	}
	w.merge(w.live())
	w.want("dev", rotated, plan.Finished)
	w.verified()
}

func TestTerraformGoesBackWithItsRotation(t *testing.T) {
	w := newInfra(t)
	was := w.live()
	w.redden()
	w.comesTo(plan.RolledBack)
	if got := w.terraform("output", "-raw", "runs"); got != was || w.live() != was {
		t.Errorf("runs with %s; %s is live, was %s", got, w.live(), was)
	}
	w.terraform("plan", "-input=false", "-detailed-exitcode")
	w.verified()
}

// A person takes it back during the retention, when Git has followed already: it is over when Git went back as well.
func TestTerraformsWayBackWaitsForGit(t *testing.T) {
	w := newInfra(t)
	was := w.live()
	w.want("dev", rotated, plan.Deferred)
	w.merge(w.live())
	w.clock.Move(time.Hour)
	if got := w.apply("dev", app.Options{ByHand: true, RollBack: "ana: wrong one"})[rotated]; got == plan.RolledBack {
		t.Errorf("over while Git names the new version")
	}
	if got := w.terraform("output", "-raw", "runs"); got != was || w.live() != was {
		t.Errorf("runs with %s; %s is live, was %s", got, w.live(), was)
	}
	w.clock.Move(time.Hour)
	w.merge(was)
	w.comesTo(plan.RolledBack)
	w.verified()
}
