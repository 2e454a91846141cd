package secretsmanager

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

var forward = []string{"preflight", "create", "test", "promote", "decommission"}

func targets() map[string]Target { return map[string]Target{"whole": {}, "key": {Key: "password"}} }

// prepared is a lab whose secret has the value, tags and former versions that a busy one has.
func prepared(t *testing.T, target Target) *lab {
	l := newLab(t, target)
	l.put(`{"user":"app","password":"old-planted-password", "n": 1e2}`)
	l.ok(l.world.SecretsManager.TagByHand(here, name, start, sm.Tag{Key: "version", Value: "20260101"}, sm.Tag{Key: "team", Value: "pay"}))
	return l
}

func TestARotationFromEndToEnd(t *testing.T) {
	var all strings.Builder
	for _, key := range []string{"", "password"} {
		l := prepared(t, Target{Key: key}).run(forward...)
		old, made := l.fact("preflight", "old"), l.fact("create", "new")
		if got, want := l.state(), "AWSCURRENT="+made+" rotated_by:ana-sec team:pay version:20261125"; got != want {
			t.Errorf("ended as %q, want %q", got, want)
		}
		if v := l.secret().Version(made).Text; key == "" && len(v) != 32 || v == l.secret().Version(old).Text {
			t.Error("the new value isn't one of 32 characters")
		}
		if v := l.secret().Version(made).Text; key != "" && (!strings.HasPrefix(v, `{"user":"app","password":"`) || !strings.HasSuffix(v, `", "n": 1e2}`)) {
			t.Error("the JSON around the key is not what it was")
		}
		l.silent()
		text := strings.NewReplacer(old, "OLD", made, "NEW", l.fact("preflight", "previous"), "BEFORE", made[:8], "TOKEN").Replace(strings.Join(l.said, "\n"))
		fmt.Fprintf(&all, "%s\n\n", text)
	}
	goldentest.Equal(t, "texts.txt", all.String())
}

// Each answer is held back until all that are asked for at the same time have arrived.
func TestReadsThatNeedNoOtherLeaveTogether(t *testing.T) {
	for _, tt := range []struct {
		step     string
		together []string
	}{
		{"preflight", []string{"GetSecretValue", ""}}, // IAM names its operations elsewhere
		{"create", []string{"DescribeSecret", "GetSecretValue", "GetSecretValue"}},
		{"test", []string{"DescribeSecret", "GetSecretValue", "GetSecretValue", "ListSecretVersionIds"}},
	} {
		l := prepared(t, Target{}).run(forward[:slices.Index(forward, tt.step)]...)
		if _, err := l.ask(t.Context(), "preflight"); err != nil { // assumes the role
			t.Fatal(err)
		}
		waiting, all := slices.Clone(tt.together), make(chan struct{})
		l.alter = func(op string, b []byte) []byte {
			l.mu.Lock()
			i := slices.Index(waiting, op)
			if i >= 0 {
				waiting = slices.Delete(waiting, i, i+1)
				if len(waiting) == 0 {
					close(all)
				}
			}
			l.mu.Unlock()
			if i < 0 {
				return b
			}
			select {
			case <-all:
			case <-time.After(10 * time.Second):
				t.Errorf("%s: %s is waited for before %v leave", tt.step, op, tt.together)
			}
			return b
		}
		l.run(tt.step)
	}
}

func TestEachStepTwiceIsTheSameAsOnce(t *testing.T) {
	for name, target := range targets() {
		t.Run(name, func(t *testing.T) {
			l := prepared(t, target)
			for _, step := range forward {
				l.run(step)
				once, n := l.state(), len(l.secret().Versions)
				l.records = l.records[:len(l.records)-1] // as if the record had been lost
				l.run(step)
				if l.state() != once || len(l.secret().Versions) != n {
					t.Errorf("%s twice: %q, want %q", step, l.state(), once)
				}
			}
		})
	}
}

func TestNothingChangesWithoutALease(t *testing.T) {
	for i, step := range []string{"preflight", "create", "test", "promote", "decommission", "restore", "discard"} {
		t.Run(step, func(t *testing.T) {
			l := prepared(t, Target{}).run(forward[:min(i, 4)]...)
			if step == "discard" {
				l.run("restore")
			}
			before, changes := l.state(), l.changes()
			_, err := l.ask(t.Context(), step)
			looks := step == "preflight" || step == "test"
			if looks && err != nil || !looks && !errors.Is(err, rotation.ErrNoLease) {
				t.Errorf("got %v", err)
			}
			if l.state() != before || l.changes() != changes {
				t.Errorf("%d calls left, state %q, was %q", l.changes()-changes, l.state(), before)
			}
		})
	}
}

// expired is refused by AWS and means nothing for the rotation; the SDK doesn't try again.
var expired = &sandbox.Error{Status: 400, Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}

// Each changing call is stopped before it arrives, or its answer is lost, and with it the process. The next one
// carries the rotation on to its end, or takes it back.
func TestARotationCutAtAnyCallIsCarriedOnOrTakenBack(t *testing.T) {
	for how, fault := range map[string]error{"before": expired, "answer lost": sandbox.ErrLost} {
		for _, back := range []bool{false, true} {
			for at := 1; ; at++ {
				l := prepared(t, Target{})
				was := l.state()
				step := l.cut(at, fault)
				if step == "" {
					if at < 7 {
						t.Errorf("only %d calls were cut", at-1)
					}
					break
				}
				here := fmt.Sprintf("%s call %d, in %s", how, at, step)
				if back && step != "decommission" {
					l.run("restore", "discard")
					if l.state() != was {
						t.Errorf("%s: taken back to %q, want %q", here, l.state(), was)
					}
					continue
				}
				for _, s := range forward[slices.Index(forward, step):] {
					l.run(s)
				}
				if got := l.secret().Labels; len(got) != 1 || got["AWSCURRENT"] != l.fact("create", "new") {
					t.Errorf("%s: ended with labels %v", here, got)
				}
				if n := len(l.secret().Versions); n != 3 {
					t.Errorf("%s: %d versions, want 3: a second credential was made", here, n)
				}
				l.silent()
			}
		}
	}
}

func TestTakingBackCutAtAnyCallIsCarriedOn(t *testing.T) {
	for how, fault := range map[string]error{"before": expired, "answer lost": sandbox.ErrLost} {
		for at := 1; ; at++ {
			l := prepared(t, Target{})
			was := l.state()
			l.run(forward[:4]...)
			step := l.cut(at, fault, "restore", "discard")
			if step == "" {
				if at < 5 {
					t.Errorf("only %d calls were cut", at-1)
				}
				break
			}
			if step == "restore" {
				l.run("restore")
			}
			if l.run("discard"); l.state() != was {
				t.Errorf("%s call %d, in %s: taken back to %q, want %q", how, at, step, l.state(), was)
			}
		}
	}
}

// cut lets the process die at the n-th changing call of steps, forward by default, and answers in which step that
// was; "" when there is no such call.
func (l *lab) cut(n int, fault error, steps ...string) string {
	l.t.Helper()
	seen, dead := 0, false
	l.world.Fail(func(c sandbox.Call) error {
		if dead {
			return expired
		}
		if c.Service == "secretsmanager" && !cloud.Reads("Secrets Manager", c.Operation) {
			if seen++; seen == n {
				dead = true
				return fault
			}
		}
		return nil
	})
	defer l.world.Fail(nil)
	if len(steps) == 0 {
		steps = forward
	}
	for _, step := range steps {
		err := l.try(step)
		if f := (*rotation.Failure)(nil); errors.As(err, &f) {
			l.t.Errorf("%s: an unknown outcome was taken for a definite one: %v", step, err)
		}
		if err != nil {
			return step
		}
		if dead {
			l.t.Fatalf("%s goes on after the process died", step)
		}
	}
	return ""
}

func TestTakenBackFromEveryStep(t *testing.T) {
	for i := range forward[:4] {
		l := prepared(t, Target{Key: "password"})
		was := l.state()
		l.run(forward[:i+1]...).run("restore", "discard")
		if l.state() != was {
			t.Errorf("after %s: %q, want %q", forward[i], l.state(), was)
		}
		l.silent()
	}
}

func TestTagsThatWereNotThereAreRemovedAgain(t *testing.T) {
	l := newLab(t, Target{})
	was := l.state()
	l.run("preflight", "create", "test", "promote", "restore", "discard")
	if l.state() != was {
		t.Errorf("%q, want %q", l.state(), was)
	}
}

func TestDiscardRecordsAnOrphanBeforeItTouchesIt(t *testing.T) {
	l := newLab(t, Target{}).run("preflight", "create")
	l.records = l.records[:2] // create was never recorded
	changes := l.changes()
	res, err := l.ask(rotation.WithFence(t.Context(), open{}), "discard")
	if err != nil || res.Wait == "" || res.Facts["new"] == "" {
		t.Fatalf("%+v, %v", res, err)
	}
	if l.changes() != changes {
		t.Error("it was touched before it was on record")
	}
	l.run("discard")
	if l.secret().Labels["AWSPENDING"] != "" {
		t.Error("AWSPENDING was left behind")
	}
}

func TestANewAttemptMakesANewVersion(t *testing.T) {
	l := newLab(t, Target{}).run("preflight", "create", "restore", "discard")
	before := l.fact("create", "new")
	l.records[0].Claim.Plan = planOf(t, Target{Secret: name}, 2)
	l.plan, l.records = l.records[0].Claim.Plan, l.records[:1]
	l.run(forward...)
	if l.fact("create", "new") == before {
		t.Error("a discarded credential came back to life")
	}
}

func TestDecommissionAlsoDropsWhatASupersededRotationKept(t *testing.T) {
	l := newLab(t, Target{}).run("preflight", "create", "test", "promote")
	inherits := []rotation.Fact{{Step: "preflight", Key: "old", Value: l.fact("preflight", "old")}, {Step: "promote", Key: "kept_by", Value: l.fact("promote", "kept_by")}}
	l.records[0].Claim.Plan = planOf(t, Target{Secret: name}, 2)
	l.records[0].Claim.Inherits = inherits
	l.plan, l.records = l.records[0].Claim.Plan, l.records[:1]
	l.run(forward...)
	if got := l.secret().Labels; len(got) != 1 {
		t.Errorf("labels left: %v", got)
	}
}

// Secrets Manager's reads are eventually consistent: right after a change, a look may be older than it.
func TestALookOlderThanTheLastChangeMisleadsNobody(t *testing.T) {
	stale := func(l *lab) (still func()) {
		var old []byte
		l.alter = func(op string, b []byte) []byte {
			if op != "DescribeSecret" {
				return b
			}
			if old == nil {
				old = b
			}
			return old
		}
		_, err := l.ask(t.Context(), "preflight")
		l.ok(err)
		return func() { l.alter = nil }
	}
	t.Run("restore after promote", func(t *testing.T) {
		l := newLab(t, Target{}).run("preflight", "create", "test")
		still := stale(l)
		l.run("promote")
		err := l.try("restore")
		if f := (*rotation.Failure)(nil); errors.As(err, &f) {
			t.Fatal(err)
		}
		if l.secret().Labels["AWSCURRENT"] != l.fact("preflight", "old") {
			t.Error("restored by an old look: the new version is still live")
		}
		still()
		l.run("restore", "discard")
	})
	t.Run("promote again", func(t *testing.T) {
		l := newLab(t, Target{}).run("preflight", "create", "test")
		still := stale(l)
		l.run("promote")
		err := l.try("promote")
		if f := (*rotation.Failure)(nil); errors.As(err, &f) {
			t.Fatalf("its own move was taken for somebody else's: %v", err)
		}
		still()
		l.run("promote", "decommission")
	})
	t.Run("discard after create", func(t *testing.T) {
		l := newLab(t, Target{}).run("preflight")
		still := stale(l)
		l.run("create", "discard")
		still()
		if at := l.secret().Labels["AWSPENDING"]; at != "" {
			t.Error("AWSPENDING was left behind")
		}
	})
}

func TestArmAnnouncesOldNewAndTheKeysValue(t *testing.T) {
	l := prepared(t, Target{Key: "password"}).run("preflight", "create")
	l.values = nil
	l.ok(l.labels.Arm(t.Context(), rotation.PastOf(l.records), nil))
	for _, want := range []string{"old-planted-password", l.minted(), l.secret().Version(l.fact("create", "new")).Text} {
		if !slices.ContainsFunc(l.values, func(v []byte) bool { return string(v) == want }) {
			t.Errorf("a value isn't announced")
		}
	}
}
