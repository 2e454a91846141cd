package evidence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/rotation"
)

// random writes a journal of random rotations with their bundles, and gives the heads that somebody noted.
func random(rt *rapid.T, t *testing.T) (*memory, []evidence.Anchor) {
	ctx, s, clk := context.Background(), newMemory(), &clock{t0}
	j, b := evidence.New(s, evidence.Options{}), evidence.NewBundle(s, evidence.Options{})
	must(t, j.Init(ctx, t0))
	text := rapid.StringN(0, 40, 200)
	var anchors []evidence.Anchor
	for i := range rapid.IntRange(1, 3).Draw(rt, "chains") {
		c := rotation.Chain{Environment: "prod", Secret: fmt.Sprintf("app/s%d", i)}
		for k := range rapid.IntRange(1, 2).Draw(rt, "rotations") {
			name := fmt.Sprintf("2026-11-2%d-app", k)
			ch, err := j.Open(ctx, c)
			must(t, err)
			first := claim(c, name, 1, clk.now())
			first.Claim.Request = strings.ToValidUTF8(text.Draw(rt, "request"), "?")
			add(t, ch, first)
			must(t, b.Point(ctx, &first.Claim.Plan, ch.Head()))
			for range rapid.IntRange(0, 4).Draw(rt, "records") {
				r := note(first, strings.ToValidUTF8(text.Draw(rt, "text"), "?"), clk.now())
				if rapid.Bool().Draw(rt, "file") {
					r.Files, err = b.Keep(ctx, &first.Claim.Plan, rotation.Step{Key: "test"}, []rotation.File{{Name: "out.txt", Data: []byte("x" + text.Draw(rt, "data"))}})
					must(t, err)
				}
				add(t, ch, r)
			}
			_, err = b.Write(ctx, ch, []byte("summary"))
			must(t, err)
			must(t, b.Close(ctx, c.Secret, name, encode(t, map[string]string{"why": text.Draw(rt, "why")})))
			if k == 0 {
				continue
			}
			anchors = append(anchors, evidence.Anchor{Head: ch.Head()})
		}
	}
	return s, anchors
}

// Without any lock, clock or version: hashes alone find it.
func TestAnyChangedByteIsFound(t *testing.T) {
	ctx := context.Background()
	plausible := 0
	rapid.Check(t, func(rt *rapid.T) {
		s, anchors := random(rt, t)
		verify := func() error {
			r, err := evidence.Verify(ctx, s, evidence.VerifyOptions{Anchors: anchors})
			must(t, err)
			return r.Err()
		}
		if err := verify(); err != nil {
			rt.Fatalf("before anything was done: %v", err)
		}
		names := slices.Sorted(maps.Keys(s.objects))
		for range 8 {
			name := rapid.SampledFrom(names).Draw(rt, "name")
			was := s.objects[name]
			data := bytes.Clone(was)
			if len(data) == 0 {
				continue
			}
			at := rapid.IntRange(0, len(data)-1).Draw(rt, "at")
			data[at] ^= byte(rapid.IntRange(1, 255).Draw(rt, "bits"))
			s.objects[name] = data
			if err := verify(); err == nil {
				rt.Fatalf("%s: byte %d changed from %q to %q, and nothing was found", name, at, was[at], data[at])
			}
			if strings.HasPrefix(name, "journal/prod/") && reasonable(data) {
				plausible++
			}
			s.objects[name] = was
		}
		missing := rapid.SampledFrom(names).Draw(rt, "missing")
		was := s.objects[missing]
		delete(s.objects, missing)
		if err := verify(); err == nil && !strings.HasSuffix(missing, "/claim.json") && !strings.Contains(missing, "/head-") && !strings.HasSuffix(missing, "/close.json") {
			rt.Fatalf("%s was taken away, and nothing was found", missing)
		}
		s.objects[missing] = was
	})
	if plausible == 0 {
		t.Error("no change left a record that reads as one: hashes weren't needed, and this test proves nothing")
	}
	t.Logf("%d of the changes were such that only the hashes tell", plausible)
}

// reasonable is a check that knows no hashes: what it lets pass shows that the hashes are what finds it.
func reasonable(data []byte) bool {
	var r rotation.Record
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(&r) == nil && r.Outcome != "" && r.Seq > 0
}

// The same, for what a runner looks at before it goes on.
func TestNothingRunsOnAChangedTail(t *testing.T) {
	ctx, s, clk := context.Background(), newMemory(), &clock{t0}
	j := ready(t, s)
	write(t, j, clk, chain, request, 1, 4)
	write(t, j, clk, chain, request, 2, 4)
	for seq := 4; seq <= 7; seq++ { // the claim's predecessor, the claim, and what follows; the last needs an anchor
		name := recordName(chain, seq)
		was := s.objects[name]
		s.objects[name] = bytes.Replace(was, []byte("2026-11-23T09"), []byte("2026-11-23T08"), 1)
		if bytes.Equal(was, s.objects[name]) {
			t.Fatal("nothing was changed")
		}
		var f evidence.Finding
		if _, err := j.Open(ctx, chain); !errors.As(err, &f) || f.Rule != evidence.RuleAltered {
			t.Errorf("record %d was changed, and open says %v", seq, err)
		}
		s.objects[name] = was
	}
	if records, err := j.Before(ctx, chain, 5); err != nil || len(records) != 4 || records[0].Claim == nil {
		t.Errorf("before the second attempt: %d records, %v", len(records), err)
	}
	s.objects[recordName(chain, 2)] = bytes.Replace(s.objects[recordName(chain, 2)], []byte("step 1"), []byte("step 9"), 1)
	if _, err := j.Before(ctx, chain, 5); err == nil {
		t.Error("a changed record of the former attempt was read")
	}
}

func TestALostAnswerIsSuccessAndAFailureIsTriedThreeTimes(t *testing.T) {
	ctx, s, clk := context.Background(), newMemory(), &clock{t0}
	j := ready(t, s)
	ch := write(t, j, clk, chain, request, 1, 1)
	s.lose = 1
	add(t, ch, note(ch.Records[0], "lost", clk.now()))
	s.refuse = 2
	add(t, ch, note(ch.Records[0], "refused twice", clk.now()))
	s.refuse = 3
	r := note(ch.Records[0], "refused thrice", clk.now())
	if err := ch.Append(ctx, &r); err == nil || errors.Is(err, evidence.ErrTaken) || ch.Head().Seq != 3 {
		t.Errorf("%v, head %v", err, ch.Head())
	}
	if err := ch.Append(ctx, &r); err != nil || ch.Head().Seq != 4 || len(ch.Records) != 4 {
		t.Errorf("the same again: %v, head %v", err, ch.Head())
	}
	if _, err := j.Open(ctx, chain); err != nil {
		t.Error(err)
	}
}
