//go:build unix

package terraform

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/redact"
	"github.com/rastup/rekey/internal/rotation"
)

// realConfig needs no provider but terraform's own. A change of web is stopped for ever while the file hold is there, and
// its terraform is killed where the file kill is.
const realConfig = `
terraform {
  required_version = ">= 1.4"
  backend "local" { path = "STORE/terraform.tfstate" }
}
variable "v" { type = string }
variable "password" {
  type      = string
  default   = "planted-hunter2"
  sensitive = true
}
resource "terraform_data" "parameter" { input = var.v }
resource "terraform_data" "web" {
  triggers_replace = [var.v, terraform_data.parameter.id]
  input            = var.password
  provisioner "local-exec" {
    command = "if [ -e STORE/hold ]; then echo held >STORE/held; read x <STORE/hold; fi; if [ -e STORE/kill ]; then rm STORE/kill; kill -9 $PPID; fi"
  }
}
resource "terraform_data" "queue" { input = "jobs" }
output "version" { value = var.v }
`

// newReal is a lab with the real terraform, all applied with the old version.
func newReal(t *testing.T) *lab {
	t.Helper()
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("no terraform here: see make optional")
	}
	l := &lab{t: t, root: t.TempDir(), store: t.TempDir(), path: os.Getenv("PATH"), temp: t.TempDir(), redact: new(redact.Set)}
	t.Setenv("TMPDIR", l.temp)
	l.write("infra/main.tf", strings.ReplaceAll(realConfig, "STORE", l.store))
	l.merge(oldVersion)
	l.byHand("init", "-input=false")
	l.byHand("apply", "-input=false", "-auto-approve")
	return l.steps(Shape{Replace: []string{"terraform_data.web"}})
}

// hand is terraform as a person of the team runs it.
func (l *lab) hand(args ...string) *exec.Cmd {
	c := exec.Command("terraform", args...)
	c.Dir = filepath.Join(l.root, "infra")
	c.Env = []string{"PATH=" + l.path, "CHECKPOINT_DISABLE=1", "TF_DATA_DIR=" + filepath.Join(l.store, "data")}
	return c
}

func (l *lab) byHand(args ...string) {
	l.t.Helper()
	if out, err := l.hand(args...).CombinedOutput(); err != nil {
		l.t.Fatalf("terraform %s: %v\n%s", args, err, out)
	}
}

func (l *lab) output() string {
	l.t.Helper()
	out, err := l.hand("output", "-raw", "version").Output()
	l.ok(err)
	return string(out)
}

func TestRealTerraformTakesItUpAndGoesBack(t *testing.T) {
	l := newReal(t).run(looked, deploy)
	if got := l.output(); got != newVersion {
		t.Errorf("runs with %s", got)
	}
	l.leaves(adopted)
	l.merge(newVersion)
	l.run(adopted)
	l.byHand("plan", "-input=false", "-detailed-exitcode") // nothing is left to do for the team
	l.leaves(back)
	if got := l.output(); got != oldVersion {
		t.Errorf("runs with %s", got)
	}
	l.merge(oldVersion)
	l.run(back)
	l.byHand("plan", "-input=false", "-detailed-exitcode")
	goldentest.Equal(t, "real.txt", l.all())
}

func TestRealTerraformKilledInTheMiddleOfAnApply(t *testing.T) {
	l := newReal(t).run(looked)
	l.ok(os.WriteFile(filepath.Join(l.store, "kill"), nil, 0o600))
	_, _ = l.once(deploy)
	if _, err := l.once(deploy); err == nil || !strings.Contains(err.Error(), "signal (killed)") {
		t.Fatalf("%v", err)
	}
	l.restart().run(deploy)
	if got := l.output(); got != newVersion {
		t.Errorf("runs with %s", got)
	}
	l.ok(os.WriteFile(filepath.Join(l.store, "kill"), nil, 0o600))
	_, _ = l.once(back)
	_, _ = l.once(back)
	l.restart().run(back)
	if got := l.output(); got != oldVersion {
		t.Errorf("runs with %s", got)
	}
	l.byHand("plan", "-input=false", "-detailed-exitcode")
}

func TestRealTerraformRefusesWhatIsNotTheRotations(t *testing.T) {
	for name, change := range map[string]func(*lab){
		"terraform has changes pending in infra that are not this rotation's: update terraform_data.queue": func(l *lab) {
			l.write("infra/main.tf", strings.ReplaceAll(strings.ReplaceAll(realConfig, "STORE", l.store), `"jobs"`, `"other"`))
		},
		"the new version would replace terraform_data.web in infra": func(l *lab) { l.steps(Shape{}) },
		"the new version would have terraform do more in infra than create, update and replace: delete terraform_data.each[\"" + oldVersion + "\"]": func(l *lab) {
			l.write("infra/each.tf", "resource \"terraform_data\" \"each\" { for_each = toset([var.v]) }\n")
			l.byHand("apply", "-input=false", "-auto-approve")
		},
		"infra/prod.auto.tfvars gives v no value": func(l *lab) { l.write("infra/prod.auto.tfvars", "") },
		"terraform can't plan in infra: Reference to undeclared input variable (infra.tf:1)": func(l *lab) {
			l.write("infra/infra.tf", "output \"x\" { value = var.nothing }\n")
		},
		"nothing in infra depends on the variable v: another version would change nothing": func(l *lab) {
			l.write("infra/main.tf", strings.ReplaceAll(strings.ReplaceAll(realConfig, "STORE", l.store), "var.v", `"1"`))
			l.byHand("apply", "-input=false", "-auto-approve")
		},
	} {
		l := newReal(t)
		change(l)
		var f *rotation.Failure
		if err := l.drive(looked); !errors.As(err, &f) || f.Msg != name {
			t.Errorf("got  %v\nwant %s", err, name)
		}
	}
}

// A person's apply has the lock: it is waited for, and is nothing to fail on.
func TestRealTerraformWaitsForALock(t *testing.T) {
	l := newReal(t).run(looked)
	hold := filepath.Join(l.store, "hold")
	if out, err := exec.Command("mkfifo", hold, filepath.Join(l.store, "held")).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	person := l.hand("apply", "-input=false", "-auto-approve", "-replace=terraform_data.web")
	l.ok(person.Start())
	held, err := os.ReadFile(filepath.Join(l.store, "held")) // blocks until it has the lock
	if err != nil || len(held) == 0 {
		t.Fatalf("%q %v", held, err)
	}
	b := &bench{handler: &handler{}, call: call{Shape: Shape{Dir: "infra"}}}
	p := new(plan)
	out, _ := l.hand("plan", "-json", "-input=false").Output()
	_, _ = p.events.Write(out)
	wait, again, err := b.stopped(p, "plan")
	if err != nil || again != every || !strings.HasPrefix(wait, "the lock of the state of infra: ") || !strings.Contains(wait, " for apply, with the ID ") {
		t.Errorf("%q %v", wait, err)
	}
	l.ok(os.WriteFile(hold, []byte("go\n"), 0o600))
	l.ok(person.Wait())
	l.ok(os.Remove(hold))
}
