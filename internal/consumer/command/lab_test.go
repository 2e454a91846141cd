//go:build unix

package command

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

// open is a fence that lets everything through and counts; refuse is what it says instead.
type open struct {
	passed int
	refuse error
}

func (o *open) Pass(time.Duration) error { o.passed++; return o.refuse }
func (*open) Unanswered()                {}

// A lab is a checkout with the scripts of a deployment, and the steps of a rotation. What runs with a version is what the
// file "runs" there says; each script notes in "log" what it was told.
type lab struct {
	t       *testing.T
	root    string
	fence   open
	redact  *redact.Set
	armed   int
	armErr  error
	handler rotation.Handler
	plan    rotation.Plan
	records []rotation.Record
	said    []string
}

const (
	tells = `#!/bin/sh
echo "$REKEY_STEP $REKEY_VERSION $1" >>log
`
	deploys = tells + `echo "deploying ` + planted + `"; echo "$REKEY_VERSION" >runs
`
	looks = `#!/bin/sh
[ "$(cat runs)" = "$REKEY_VERSION" ] || { echo "still with another one"; exit 2; }
`
)

func newLab(t *testing.T, shape Shape) *lab {
	t.Helper()
	l := &lab{t: t, root: t.TempDir(), redact: new(redact.Set)}
	l.script("deploy", deploys)
	l.script("look", looks)
	l.write("runs", oldVersion+"\n")
	if shape.Run == nil {
		shape.Run = []string{"./deploy"}
	}
	with, err := json.Marshal(shape)
	if err != nil {
		t.Fatal(err)
	}
	l.plan = rotation.Plan{Chain: rotation.Chain{Environment: "dev", Secret: "shop/api"}, Rotation: "2026-11-25-api"}
	for key, function := range map[string]string{looked: "preflight", deploy: "deploy", adopted: "adopted", back: "back"} {
		l.plan.Steps = append(l.plan.Steps, rotation.Step{ID: "r1/shop/dev/1/" + key, Key: key, Name: function, With: with, Looks: function == "preflight" || function == "adopted",
			Reads: []string{"preflight", "create", "promote", looked, deploy}})
	}
	l.records = []rotation.Record{{Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: l.plan}},
		{Outcome: rotation.Done, Step: "preflight", Facts: map[string]string{"arn": secretARN, "old": oldVersion}},
		{Outcome: rotation.Done, Step: "create", Facts: map[string]string{"new": newVersion}}}
	return l.restart()
}

// restart is another process.
func (l *lab) restart() *lab {
	l.handler = New(consumer.Deps{Now: func() time.Time { return start },
		Programs: program.Place{Checkout: l.root, Lookup: os.LookupEnv, Redact: l.redact, Now: time.Now},
		Arm: func(context.Context, rotation.Past) error {
			l.armed++
			l.redact.Add([]byte(planted))
			return l.armErr
		}})
	return l
}

func (l *lab) write(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.root, name), []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) script(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.root, name), []byte(text), 0o755); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(l.root, name))
	return strings.TrimSpace(string(b))
}

// log is what the scripts were told.
func (l *lab) log() string {
	return strings.NewReplacer(oldVersion, "OLD", newVersion, "NEW", " \n", "\n").Replace(l.read("log") + "\n")
}

var (
	took  = regexp.MustCompile(`after [0-9.]+m?s`)
	token = regexp.MustCompile(`REKEY_TOKEN [0-9a-f]{64}`)
)

// once asks a step, and records what it found.
func (l *lab) once(key string) (rotation.Result, error) {
	l.t.Helper()
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
	for _, f := range res.Files {
		said += "\n    kept: " + f.Name + ": " + strings.TrimSpace(string(f.Data))
	}
	said = token.ReplaceAllString(took.ReplaceAllString(said, "after T"), "REKEY_TOKEN T")
	if l.said = append(l.said, said); strings.Contains(fmt.Sprintf("%s %v %v", said, err, res.Facts), planted) {
		l.t.Errorf("a value shows: %s", said)
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
		case len(res.Facts) == 0:
			return errors.New("waits: " + res.Wait)
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
