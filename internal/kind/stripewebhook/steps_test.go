package stripewebhook

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox/stripe"
)

func TestARotationFromEndToEnd(t *testing.T) {
	var all strings.Builder
	for _, key := range []string{"", "signing"} {
		for _, steps := range [][]string{forward, append(slices.Clone(forward[:6]), "enable", "restore", "discard")} {
			l := newLab(t, func(t *Target) { t.Key = key }).run(steps...)
			l.silent()
			fmt.Fprintf(&all, "# key %q: %s\n%s\n\n", key, strings.Join(steps, ", "), l.named(strings.Join(l.said, "\n")))
		}
	}
	goldentest.Equal(t, "texts.txt", all.String())
}

// The calls of a rotation that nothing disturbs: a change in their number is to be seen.
func TestTheCallsOfARotation(t *testing.T) {
	l := newLab(t, nil)
	var all strings.Builder
	for _, step := range forward {
		l.sent = nil
		l.run(step)
		n := map[string]int{}
		for _, c := range l.sent {
			n[c]++
		}
		fmt.Fprintf(&all, "%s: %d\n", step, len(l.sent))
		for _, c := range slices.Sorted(maps.Keys(n)) {
			fmt.Fprintf(&all, "    %d %s\n", n[c], c)
		}
	}
	goldentest.Equal(t, "calls.txt", all.String())
}

// creates are the calls that were to make an endpoint.
func (l *lab) creates() (keys []string) {
	for _, c := range l.stripe.Calls() {
		if c.Method == http.MethodPost && c.Path == "/v1/webhook_endpoints" {
			keys = append(keys, c.Key)
		}
	}
	return keys
}

// once makes the first POST of a new endpoint go wrong.
func once(l *lab, how error) {
	done := false
	l.stripe.Fail(func(c stripe.Call) error {
		if done || c.Method != http.MethodPost || c.Path != "/v1/webhook_endpoints" {
			return nil
		}
		done = true
		return how
	})
}

// inForce are the endpoints at the URL that aren't deleted.
func (l *lab) inForce() (all []stripe.Endpoint) {
	for _, e := range l.stripe.Endpoints() {
		if !e.Deleted && e.URL == hookURL {
			all = append(all, e)
		}
	}
	return all
}

func TestALostAnswerIsReplayedWhileStripeKeepsIt(t *testing.T) {
	l := newLab(t, nil).run("preflight")
	once(l, stripe.ErrLost)
	if err := l.try("create"); err == nil || errors.As(err, new(*rotation.Failure)) {
		t.Fatalf("got %v, want an unknown outcome", err)
	}
	l.clock.at = l.clock.at.Add(22 * time.Hour)
	l.run("create", "test")
	if n := len(l.inForce()); n != 2 {
		t.Errorf("%d endpoints, want the old and the new one", n)
	}
	if keys := l.creates(); len(keys) != 2 || keys[0] != keys[1] || keys[0] == "" {
		t.Errorf("keys %q", keys)
	}
	l.silent()
}

func TestAnEndpointWhoseSecretIsLostIsRecordedThenDeletedThenMadeAnew(t *testing.T) {
	for name, later := range map[string]time.Duration{"when Stripe has forgotten the key": 30 * time.Hour, "when it may have": 23*time.Hour + time.Minute} {
		l := newLab(t, nil).run("preflight")
		for range 14 { // no room for a third one of ours beside it
			l.stripe.Add(stripe.Endpoint{URL: "https://shop.test/other", Events: []string{"*"}})
		}
		once(l, stripe.ErrLost)
		_ = l.try("create")
		lost := l.inForce()[1].ID
		l.clock.at = l.clock.at.Add(later)
		res, err := l.ask(t.Context(), "create")
		if err != nil || res.Wait == "" || res.Facts["orphan1"] != lost || l.stripe.Endpoint(lost).Deleted {
			t.Errorf("%s: %+v, %v, deleted %t: want the orphan on record first", name, res, err, l.stripe.Endpoint(lost).Deleted)
		}
		l.run(forward[1:]...)
		if keys := l.creates(); len(keys) != 2 || keys[0] == keys[1] {
			t.Errorf("%s: keys %q", name, keys)
		}
		if all := l.inForce(); len(all) != 1 || all[0].Secret != l.signing(l.look().At("AWSCURRENT")) || !l.stripe.Endpoint(lost).Deleted {
			t.Errorf("%s: %+v", name, all)
		}
		l.silent()
	}
}

func TestAFailureThatStripeKeepsUnderTheKeyIsLeftBehindWithIt(t *testing.T) {
	l := newLab(t, nil).run("preflight")
	once(l, stripe.Broken(true)) // and the endpoint was made
	if err := l.try("create"); err == nil || errors.As(err, new(*rotation.Failure)) {
		t.Fatalf("got %v, want an unknown outcome", err)
	}
	lost := l.inForce()[1].ID
	l.run("create", "test")
	if all := l.inForce(); len(all) != 2 || !l.stripe.Endpoint(lost).Deleted || l.fact("create", "orphan1") != lost || l.fact("create", "keys") != "1" {
		t.Errorf("%+v, orphan %q, keys %q", all, l.fact("create", "orphan1"), l.fact("create", "keys"))
	}
	l.silent()
}

func TestAnAnswerWithoutASecretIsUndone(t *testing.T) {
	l := newLab(t, nil).run("preflight")
	l.alter = func(_ *http.Request, b []byte) []byte {
		return []byte(strings.ReplaceAll(string(b), `"secret"`, `"hidden"`))
	}
	res, err := l.ask(t.Context(), "create")
	if !errors.As(err, new(*rotation.Failure)) || res.Facts["orphan1"] == "" {
		t.Fatalf("%+v, %v", res, err)
	}
	l.alter = nil
	l.run("discard")
	if all := l.inForce(); len(all) != 1 || all[0].ID != l.first.ID {
		t.Errorf("left: %+v", all)
	}
}

// What create had not come to record is found by the rotation's mark, recorded, and only then deleted.
func TestDiscardFindsWhatCreateDidNotRecord(t *testing.T) {
	l := newLab(t, nil).run("preflight")
	once(l, stripe.ErrLost)
	_ = l.try("create")
	lost := l.inForce()[1].ID
	l.run("discard")
	if l.fact("discard", "orphan1") != lost || !l.stripe.Endpoint(lost).Deleted {
		t.Errorf("orphan %q, want %s", l.fact("discard", "orphan1"), lost)
	}
	l.silent()
}

// Every event reaches the processor, whenever it comes, and though answers to it are late: from the first step to the
// last, and back.
func TestNoEventIsLost(t *testing.T) {
	for name, steps := range map[string][]string{"forward": forward, "back": {"preflight", "create", "test", "promote", "restore", "discard"}} {
		l := newLab(t, nil)
		client := &http.Client{Transport: l}
		var events []string
		for _, step := range steps {
			events = append(events, l.stripe.Emit(t.Context(), client, "charge.succeeded"))
			l.run(step)
			l.stripe.Retry(t.Context(), client)
		}
		for i, e := range append(events, l.stripe.Emit(t.Context(), client, "charge.refunded")) {
			if n := l.processor.Took(e); n < 1 || n > 2 {
				t.Errorf("%s: event %d was taken %d times", name, i, n)
			}
		}
	}
}

func TestAProcessorThatIsLateIsWaitedFor(t *testing.T) {
	l := newLab(t, nil).run(forward[:4]...)
	l.processor.Secrets = func() []string { return []string{l.first.Secret} }
	res, err := l.ask(t.Context(), "accepted")
	if err != nil || !strings.Contains(res.Wait, hookURL+" answered 400") {
		t.Errorf("%+v, %v", res, err)
	}
	l.processor.Secrets = l.known
	l.run("accepted")
}

func TestWhereTheSecretWasStolenProcessorsMustRefuseIt(t *testing.T) {
	for reason, fails := range map[string]bool{"compromise": true, "scheduled": false} {
		l := newLab(t, nil)
		l.records[0].Claim.Plan.Reason = reason
		l.run(forward[:7]...)
		l.processor.Secrets = func() []string { return append(l.known(), l.first.Secret) }
		if err := l.try("refused"); (err != nil) != fails {
			t.Errorf("%s: %v", reason, err)
		}
		l.processor.Secrets = l.known
		l.run("refused")
		l.silent()
	}
}

// A processor that gives no answer, or one that says nothing, neither took the old secret nor refused it.
func TestWhereTheSecretWasStolenNoAnswerIsNoRefusal(t *testing.T) {
	for reason, waits := range map[string]bool{"compromise": true, "scheduled": false} {
		for _, status := range []int{0, http.StatusBadGateway, http.StatusNotFound} {
			l := newLab(t, nil)
			l.records[0].Claim.Plan.Reason = reason
			l.run(forward[:7]...)
			l.answers = func() int { return status }
			res, err := l.ask(t.Context(), "refused")
			if err != nil || (res.Wait != "") != waits || strings.Contains(res.Text, "who took it") {
				t.Errorf("%s, %d: %+v, %v", reason, status, res, err)
			}
			l.answers = nil
			l.run("refused")
			l.silent()
		}
	}
}
