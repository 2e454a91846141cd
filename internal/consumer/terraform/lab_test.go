//go:build unix

package terraform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/redact"
	"github.com/rastup/rekey/internal/rotation"
)

var start = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)

const (
	planted    = "planted-hunter2"
	oldVersion = "11111111-1111-4111-a111-111111111111"
	newVersion = "22222222-2222-4222-a222-222222222222"
	secretARN  = "arn:aws:secretsmanager:us-east-1:111111111111:secret:shop/api-AbCdEf"

	looked, deploy, adopted, back = "consumer/web", "deploy/web", "adopted/web", "back/web"
)

// open is a fence that lets everything through.
type open struct{ refuse error }

func (o *open) Pass(time.Duration) error { return o.refuse }
func (*open) Unanswered()                {}

// A lab is a checkout with a configuration, what it has deployed, and the steps of a rotation.
type lab struct {
	t       *testing.T
	root    string // the checkout
	path    string // where programs are looked for
	store   string // folder of the state, of the fake or of the real one
	kept    string // the evidence that the last step left
	temp    string
	fence   open
	redact  *redact.Set
	handler rotation.Handler
	plan    rotation.Plan
	records []rotation.Record
	said    []string
}

// newLab is a lab with the fake, all applied with the old version.
func newLab(t *testing.T, shape Shape) *lab {
	t.Helper()
	l := &lab{t: t, root: t.TempDir(), store: t.TempDir(), path: t.TempDir(), temp: t.TempDir(), redact: new(redact.Set)}
	l.ok(os.Symlink(asTerraform(t), filepath.Join(l.path, "terraform")))
	t.Setenv("TMPDIR", l.temp)
	l.write("infra/prod.auto.tfvars", "# the token of the shop\nv = \""+oldVersion+"\" # rotated\n")
	l.config(map[string]fakeResource{"aws_ecs_service.web": {"var", "update"}, "aws_ecs_task_definition.web": {"var", "replace"}, "aws_sqs_queue.jobs": {"jobs", "update"}})
	l.state(map[string]string{"aws_ecs_service.web": oldVersion, "aws_ecs_task_definition.web": oldVersion, "aws_sqs_queue.jobs": "jobs"})
	if shape.Replace == nil {
		shape.Replace = []string{"aws_ecs_task_definition.web"}
	}
	if shape.Set == nil {
		shape.Set = map[string]string{}
	}
	shape.Set["FAKE"] = l.store
	return l.steps(shape)
}

func (l *lab) steps(shape Shape) *lab {
	l.t.Helper()
	shape.Dir = "infra"
	if shape.VarFile == "" {
		shape.VarFile = "prod.auto.tfvars"
	}
	shape.Variable = "v"
	with, err := json.Marshal(shape)
	l.ok(err)
	l.plan = rotation.Plan{Chain: rotation.Chain{Environment: "dev", Secret: "shop/api"}, Rotation: "2026-11-25-api"}
	for key, function := range map[string]string{looked: "preflight", deploy: "deploy", adopted: "adopted", back: "back"} {
		l.plan.Steps = append(l.plan.Steps, rotation.Step{ID: "r1/shop/dev/1/" + key, Key: key, Name: function, With: with, Looks: function == "preflight" || function == "adopted",
			Reads: []string{"preflight", "create", "promote", looked, deploy}})
	}
	l.kind(secretARN, oldVersion, newVersion)
	return l.restart()
}

// kind is what the kind recorded.
func (l *lab) kind(arn, old, made string) {
	l.records = []rotation.Record{{Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: l.plan}},
		{Outcome: rotation.Done, Step: "preflight", Facts: map[string]string{"arn": arn, "old": old}},
		{Outcome: rotation.Done, Step: "create", Facts: map[string]string{"new": made}}}
}

// restart is another process.
func (l *lab) restart() *lab {
	l.handler = New(consumer.Deps{Now: func() time.Time { return start },
		Programs: program.Place{Checkout: l.root, Redact: l.redact, Now: time.Now, Lookup: func(name string) (string, bool) {
			if name == "PATH" {
				return l.path, true
			}
			return planted, name == "AWS_SESSION_TOKEN" || name == "TF_CLI_ARGS"
		}},
		Arm: func(context.Context, rotation.Past) error { l.redact.Add([]byte(planted)); return nil }})
	return l
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) write(name, text string) {
	l.t.Helper()
	l.ok(os.MkdirAll(filepath.Dir(filepath.Join(l.root, name)), 0o755))
	l.ok(os.WriteFile(filepath.Join(l.root, name), []byte(text), 0o644))
}

// merge has Git name a version.
func (l *lab) merge(version string) {
	l.write("infra/prod.auto.tfvars", "# the token of the shop\nv = \""+version+"\" # rotated\n")
}

func (l *lab) config(c map[string]fakeResource) {
	store(filepath.Join(l.root, "infra", "fake.json"), c)
}

func (l *lab) state(values map[string]string) {
	var s fakeState
	load(filepath.Join(l.store, "state"), &s)
	store(filepath.Join(l.store, "state"), fakeState{s.Serial + 1, values})
}

func (l *lab) values() map[string]string {
	var s fakeState
	load(filepath.Join(l.store, "state"), &s)
	return s.Values
}

// runs holds that everything that goes by the variable has a version, and nothing else was touched.
func (l *lab) runs(version string) {
	l.t.Helper()
	if diff := cmp.Diff(map[string]string{"aws_ecs_service.web": version, "aws_ecs_task_definition.web": version, "aws_sqs_queue.jobs": "jobs"}, l.values()); diff != "" {
		l.t.Errorf("(-want +got)\n%s", diff)
	}
}

func (l *lab) fail(faults ...fakeFault) { store(filepath.Join(l.store, "faults"), faults) }

// log is what terraform was asked since it was last looked at.
func (l *lab) log() string {
	b, _ := os.ReadFile(filepath.Join(l.store, "log"))
	_ = os.Remove(filepath.Join(l.store, "log"))
	return strings.Join(strings.Fields(strings.ReplaceAll(string(b), " unlocked", "-unlocked")), " ")
}

var took = regexp.MustCompile(`after [0-9.]+m?s`)

// once asks a step, and records what it found.
func (l *lab) once(key string) (rotation.Result, error) {
	l.t.Helper()
	before := l.tree()
	s, ok := l.plan.Step(key)
	if !ok {
		l.t.Fatalf("no step %q", key)
	}
	ctx := l.t.Context()
	if !s.Looks {
		ctx = rotation.WithFence(ctx, &l.fence)
	}
	res, err := l.handler[s.Name](ctx, s, rotation.PastOf(l.records).For(s))
	said := key + ": " + res.Text
	if res.Wait != "" {
		said = key + " waits: " + res.Wait
	}
	var f *rotation.Failure
	if errors.As(err, &f) {
		said = fmt.Sprintf("%s: refused: %s\n    hint: %s", key, f.Msg, f.Hint)
	} else if err != nil {
		said = fmt.Sprintf("%s: unknown: %v", key, err)
	}
	l.said = append(l.said, took.ReplaceAllString(said, "after T"))
	kept := ""
	for _, f := range res.Files {
		kept += string(f.Data)
	}
	if strings.Contains(fmt.Sprintf("%s %v %v %s", said, err, res.Facts, kept), planted) {
		l.t.Errorf("a value shows: %s\n%s", said, kept)
	}
	if kept != "" {
		l.kept = strings.NewReplacer(oldVersion, "OLD", newVersion, "NEW").Replace(took.ReplaceAllString(kept, "after T"))
	}
	if diff := cmp.Diff(before, l.tree()); diff != "" {
		l.t.Errorf("%s changed the checkout, or left something behind (-before +after)\n%s", key, diff)
	}
	if err == nil && (res.Wait == "" || len(res.Facts) > 0) {
		outcome := rotation.Done
		if res.Wait != "" {
			outcome = rotation.Noted
		}
		l.records = append(l.records, rotation.Record{At: start, Step: key, Outcome: outcome, Facts: res.Facts, Text: res.Text})
	}
	return res, err
}

// tree is all files of the checkout and of the folder for temporary ones.
func (l *lab) tree() map[string]string {
	all := map[string]string{}
	for _, root := range []string{l.root, l.temp} {
		l.ok(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				b, _ := os.ReadFile(path)
				all[path] = string(b)
			}
			return err
		}))
	}
	return all
}

// drive asks a step as the loop does: it goes on when facts were recorded, and asks again after an unknown outcome.
func (l *lab) drive(key string) error {
	l.t.Helper()
	for try := 0; try < 3; {
		res, err := l.once(key)
		var f *rotation.Failure
		switch {
		case errors.As(err, &f):
			return err
		case err != nil:
			try++
		case res.Wait == "":
			return nil
		case len(res.Facts) > 0:
		case res.Again == rotation.Later:
			return errors.New("left: " + res.Wait)
		default:
			try++
		}
	}
	return errors.New("unknown outcome: " + l.said[len(l.said)-1])
}

func (l *lab) run(keys ...string) *lab {
	l.t.Helper()
	for _, key := range keys {
		if err := l.drive(key); err != nil {
			l.t.Fatalf("%s: %v\n%s", key, err, strings.Join(l.said, "\n"))
		}
	}
	return l
}

func (l *lab) leaves(key string) *lab {
	l.t.Helper()
	if err := l.drive(key); err == nil || !strings.HasPrefix(err.Error(), "left: ") {
		l.t.Fatalf("%s: %v\n%s", key, err, strings.Join(l.said, "\n"))
	}
	return l
}

func (l *lab) all() string {
	s := strings.Join(l.said, "\n") + "\n"
	return strings.NewReplacer(secretARN, "ARN", oldVersion, "OLD", newVersion, "NEW").Replace(s)
}
