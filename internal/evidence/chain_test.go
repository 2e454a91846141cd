package evidence_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/evidence/folder"
	"github.com/rastup/rekey/internal/rotation"
)

var (
	t0    = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	chain = rotation.Chain{Environment: "prod", Secret: "payments/stripe-webhook"}
)

// A clock that moves a second with every look, whoever looks.
type clock struct{ t time.Time }

var looking sync.Mutex

func (c *clock) now() time.Time {
	looking.Lock()
	defer looking.Unlock()
	c.t = c.t.Add(time.Second)
	return c.t
}

func inFolder(t testing.TB) (*folder.Store, string, *clock) {
	t.Helper()
	dir, c := t.TempDir(), &clock{t0}
	s, err := folder.Open(dir, c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir, c
}

func claim(c rotation.Chain, name string, attempt int, at time.Time) rotation.Record {
	return rotation.Record{
		Rotation: name, Attempt: attempt, At: at, Runner: rotation.Runner{ID: "run 1", Nonce: "n1"}, Outcome: rotation.Claimed,
		Claim: &rotation.Claim{Plan: rotation.Plan{Chain: c, Rotation: name, Attempt: attempt, Steps: []rotation.Step{}, Undo: []rotation.Step{}},
			Path: "rotations/2026/11/" + name + ".yaml", Request: "secret: " + c.Secret + "\n", Owner: "@rastup/payments"},
	}
}

func note(of rotation.Record, text string, at time.Time) rotation.Record {
	return rotation.Record{Rotation: of.Rotation, Attempt: of.Attempt, At: at, Runner: of.Runner, Outcome: rotation.Done, Step: "create", Text: text,
		Facts: map[string]string{"new": "v2"}}
}

const request = "2026-11-22-payments-stripe-webhook"

// ready is a journal with a marker.
func ready(t testing.TB, s evidence.Store) *evidence.Journal {
	t.Helper()
	j := evidence.New(s, evidence.Options{})
	if err := j.Init(context.Background(), t0); err != nil {
		t.Fatal(err)
	}
	return j
}

// write opens c and appends an attempt of n records.
func write(t testing.TB, j *evidence.Journal, clk *clock, c rotation.Chain, name string, attempt, n int) *evidence.Chain {
	t.Helper()
	ch, err := j.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	first := claim(c, name, attempt, clk.now())
	add(t, ch, first)
	for i := 1; i < n; i++ {
		add(t, ch, note(first, fmt.Sprintf("step %d <ok> & done", i), clk.now()))
	}
	return ch
}

func add(t testing.TB, ch *evidence.Chain, r rotation.Record) {
	t.Helper()
	if err := ch.Append(context.Background(), &r); err != nil {
		t.Fatal(err)
	}
}

func TestOpenReadsTheLatestAttempt(t *testing.T) {
	s, _, clk := inFolder(t)
	j := ready(t, s)
	if ch, err := j.Open(context.Background(), chain); err != nil || ch.Head().Seq != 0 || ch.Head().Digest == "" || len(ch.Records) != 0 {
		t.Fatalf("empty chain: %+v, %v", ch, err)
	}
	write(t, j, clk, chain, request, 1, 4)
	was := write(t, j, clk, chain, request, 2, 3)
	ch, err := j.Open(context.Background(), chain)
	if err != nil {
		t.Fatal(err)
	}
	if len(ch.Records) != 3 || ch.Records[0].Seq != 5 || ch.Records[0].Claim == nil || ch.Records[2].ClaimSeq != 5 {
		t.Errorf("records: %+v", ch.Records)
	}
	if ch.Head() != was.Head() {
		t.Errorf("head %v, was %v", ch.Head(), was.Head())
	}
	if ch.LastStored().IsZero() || !ch.StoreNow().After(ch.LastStored()) {
		t.Errorf("stored %v, now %v", ch.LastStored(), ch.StoreNow())
	}
	all, err := ch.After(context.Background(), 2)
	if err != nil || len(all) != 5 || all[0].Record.Seq != 3 || all[4].Digest != ch.Head().Digest {
		t.Errorf("after 2: %v, %v", all, err)
	}
}

func TestOfTwoRunnersOneGoesOn(t *testing.T) {
	s, _, clk := inFolder(t)
	j := ready(t, s)
	write(t, j, clk, chain, request, 1, 2)
	a, _ := j.Open(context.Background(), chain)
	b, _ := j.Open(context.Background(), chain)
	ra, rb := note(a.Records[0], "a", clk.now()), note(b.Records[0], "b", clk.now())
	if err := a.Append(context.Background(), &ra); err != nil {
		t.Fatal(err)
	}
	err := b.Append(context.Background(), &rb)
	if !errors.Is(err, evidence.ErrTaken) {
		t.Fatalf("b: %v", err)
	}
	if len(b.Records) != 2 || rb.Seq != 0 {
		t.Errorf("the loser kept the record: %v", b.Records)
	}
	// The winner repeats what it isn't sure about.
	again := note(a.Records[0], "b", rb.At)
	if err := a.Append(context.Background(), &again); err != nil {
		t.Fatal(err)
	}
	if err := b.Append(context.Background(), &rb); !errors.Is(err, evidence.ErrTaken) {
		t.Fatalf("b went on after it had lost: %v", err)
	}
}

func TestNothingRunsWithoutAMarker(t *testing.T) {
	s, _, clk := inFolder(t)
	_, err := evidence.New(s, evidence.Options{}).Open(context.Background(), chain)
	var f evidence.Finding
	if !errors.As(err, &f) || f.Rule != evidence.RuleMarker {
		t.Fatalf("open: %v", err)
	}
	j := ready(t, s)
	if err := j.Init(context.Background(), clk.now()); !errors.Is(err, evidence.ErrExists) {
		t.Fatalf("second init: %v", err)
	}
}

func TestAChainIsListedWhileTheMarkerIsRead(t *testing.T) {
	s := newMemory()
	ready(t, s)
	j := evidence.New(meet(t, s, "list journal/marker.json", "list journal/prod/"), evidence.Options{})
	ch, err := j.Open(t.Context(), chain)
	must(t, err)
	if again, err := j.Marker(t.Context()); err != nil || ch.Head().Seq != 0 || again.Store == "" {
		t.Errorf("%+v, %+v, %v", ch.Head(), again, err)
	}
	if s.calls["list"] != 3 || s.calls["read"] != 1 { // Init lists once
		t.Errorf("calls: %v", s.calls)
	}
}

func TestAFindingInTheMarkerComesBeforeTheListing(t *testing.T) {
	s := newMemory()
	write(t, ready(t, s), &clock{t0}, chain, request, 1, 2)
	s.objects["journal/prod/payments~stripe-webhook/stray"] = nil
	delete(s.objects, "journal/marker.json")
	for name, store := range map[string]evidence.Store{"listed with a finding": s, "not listed": unlisted{s}} {
		got, err := evidence.New(store, evidence.Options{}).Open(t.Context(), chain)
		var f evidence.Findings
		if got != nil || !errors.As(err, &f) || len(f) != 1 || f[0].Rule != evidence.RuleMarker {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// unlisted answers for the marker only.
type unlisted struct{ *memory }

func (u unlisted) List(ctx context.Context, prefix string) (evidence.Listing, error) {
	if prefix != "journal/marker.json" {
		return evidence.Listing{}, errors.New("access denied")
	}
	return u.memory.List(ctx, prefix)
}
