//go:build unix

package secretsmanager

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/internal/vaulttest"
	"github.com/rastup/rekey/internal/kind/kindtest"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/redact"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
)

func sh(script string) []string { return []string{"sh", "-c", script} }

// place is where commands of a test run, in a folder of their own, with a redactor that is told every value.
func (l *lab) place() program.Place {
	l.t.Helper()
	return program.Place{Checkout: l.t.TempDir(), Lookup: os.LookupEnv, Redact: &l.redact, Now: time.Now}
}

// commanded is a lab whose secret is made by a script.
func commanded(t *testing.T, script string, change func(*Target)) *lab {
	target := Target{Command: &Command{Run: []string{"./new-value"}}} // the script isn't shown, as its arguments would be
	if change != nil {
		change(&target)
	}
	l := newLab(t, target)
	l.deps.Programs = l.place()
	l.ok(os.WriteFile(filepath.Join(l.deps.Programs.Checkout, "new-value"), []byte("#!/bin/sh\n"+script), 0o755))
	l.handler = New(l.deps)
	return l
}

const answers = `printf '{"value":"made-%s"}' "$REKEY_TOKEN"; echo "asked in $REKEY_ENVIRONMENT" >&2`

func TestACommandMakesTheValue(t *testing.T) {
	l := commanded(t, answers, nil)
	l.run("preflight", "create", "test", "promote", "decommission")
	if v := l.secret().At("AWSCURRENT").Text; v != "made-"+l.fact("create", "new") {
		t.Errorf("live is %q", v)
	}
	if n := l.fact("create", "runs"); n != "1" {
		t.Errorf("%s runs on record", n)
	}
	l.silent()

	l = commanded(t, `echo '{"value":{"user":"a","pass":"made-1234"}}'`, nil)
	l.run("preflight", "create", "test")
	if v := l.secret().At("AWSPENDING").Text; v != `{"user":"a","pass":"made-1234"}` {
		t.Errorf("a document: %q", v)
	}

	l = commanded(t, answers, func(t *Target) { t.Key = "api" })
	l.put(`{"host": "a", "api":"old-value-1234"}`)
	l.run("preflight", "create", "test")
	if v := l.secret().At("AWSPENDING").Text; v != `{"host": "a", "api":"made-`+l.fact("create", "new")+`"}` {
		t.Errorf("a part: %q", v)
	}
}

// Whatever happens between the run of a command and the storing of its value: that it ran is on record before.
func TestALostValueOfACommandIsOnRecordAsARun(t *testing.T) {
	l := commanded(t, answers, nil)
	l.run("preflight")
	l.world.Fail(func(c sandbox.Call) error {
		if c.Operation == "PutSecretValue" {
			return expired // as if the process had died with the answer in its hands
		}
		return nil
	})
	if err := l.try("create"); err == nil {
		t.Fatal("stored without PutSecretValue")
	}
	if n := l.fact("create", "runs"); n != "1" {
		t.Errorf("%q runs on record", n)
	}
	l.world.Fail(nil)
	l.handler = New(l.deps) // another process
	l.run("create")
	said := l.said[len(l.said)-1]
	if n := l.fact("create", "runs"); n != "2" || !strings.Contains(said, "begun 2 times with REKEY_TOKEN "+l.fact("create", "new")) {
		t.Errorf("%s runs; %s", n, said)
	}
	l.run("discard")
	if said := l.said[len(l.said)-1]; !strings.Contains(said, "is to be revoked there") {
		t.Error(said)
	}
}

func TestACommandThatMakesNothingChangesNothing(t *testing.T) {
	var out strings.Builder
	for _, c := range []struct{ name, script string }{
		{"fails", `echo "no licence left" >&2; exit 3`},
		{"fails and quotes what it has", `echo '{"value":"made-1234"}'; echo "made-1234 is refused" >&2; exit 1`},
		{"says nothing", `true`},
		{"no JSON", `echo made-1234`},
		{"JSON of another shape", `echo '{"secret":"made-1234"}'`},
		{"more than asked", `echo '{"value":"made-1234","note":"x"}'`},
		{"two answers", `echo '{"value":"made-1234"}'; echo '{"value":"made-5678"}'`},
		{"an empty value", `echo '{"value":""}'`},
		{"a number", `echo '{"value":12345678}'`},
		{"too much", `yes made-1234 | head -c 2000000`},
		{"ended", `kill -9 $$`},
		{"the old value", `echo '{"value":"` + first + `"}'`},
	} {
		l := commanded(t, c.script, nil)
		l.run("preflight")
		was := l.changes()
		err := l.try("create")
		if err == nil {
			err = l.try("test")
		} else if l.changes() != was {
			t.Errorf("%s: something was changed", c.name)
		}
		if err == nil {
			t.Errorf("%s: not refused", c.name)
		}
		fmt.Fprintf(&out, "%s\n  %s\n", c.name, l.said[len(l.said)-1])
		l.silent()
	}
	l := commanded(t, "true", func(t *Target) { t.Command.Run = []string{"no-such-program", "-x"} })
	_, _ = l.ask(t.Context(), "preflight")
	fmt.Fprintf(&out, "not there\n  %s\n", l.said[len(l.said)-1])
	l = commanded(t, "true", func(t *Target) { t.Command.Run, t.Command.Dir = []string{"./make"}, "tools" })
	l.ok(os.Mkdir(filepath.Join(l.deps.Programs.Checkout, "tools"), 0o755))
	l.ok(os.WriteFile(filepath.Join(l.deps.Programs.Checkout, "tools", "make"), nil, 0o644))
	_, _ = l.ask(t.Context(), "preflight")
	fmt.Fprintf(&out, "not to be run\n  %s\n", l.said[len(l.said)-1])
	if strings.Contains(out.String(), "made-1234") {
		t.Errorf("a value shows in\n%s", &out)
	}
	goldentest.Equal(t, "commands.txt", out.String())
}

// TestConformanceOfACommand: the whole suite, with a command that answers the same for the same token.
func TestConformanceOfACommand(t *testing.T) {
	kindtest.Run(t, kindtest.World{Kind: Kind(), Of: "made by a command", Stride: 97, New: func(clock func() time.Time) kindtest.Instance {
		v, err := vaulttest.New(clock, "oldest-value-0000", "old-value-11111111", "partner-value-0000")
		if err != nil {
			panic(err)
		}
		target, err := json.Marshal(Target{Secret: vaulttest.Name, Command: &Command{Run: sh(answers)}})
		if err != nil {
			panic(err)
		}
		return kindtest.Instance{Target: target, Service: v.World.Handler(),
			Handler: func(rt http.RoundTripper, seen func([]byte)) (rotation.Handler, func(context.Context, rotation.Past) error, error) {
				s, arm, err := vaulttest.Session(rt, seen)
				if err != nil {
					return nil, nil, err
				}
				d := kind.On(s, seen)
				d.Programs = program.Place{Checkout: t.TempDir(), Lookup: os.LookupEnv, Redact: new(redact.Set), Now: time.Now}
				return New(d), arm, nil
			},
			Reads: vaulttest.Reads, Name: vaulttest.Operation,
			State: v.State, Live: v.Live, Always: v.Always, Destroyed: v.Destroyed, Value: v.Value,
			Promoted: func() string { return v.Promoted("by-hand-222222222") },
			Begun:    func() func() error { return v.Begun("by-hand-333333333") },
			Happened: v.Happened, Finished: v.Finished, Restored: v.Restored,
		}
	}})
}
