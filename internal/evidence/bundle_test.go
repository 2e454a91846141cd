package evidence_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/rotation"
)

func TestABundleLiesWherePeopleLook(t *testing.T) {
	s := inDir(t)
	l, err := s.store.List(context.Background(), "rotations/")
	must(t, err)
	var got []string
	for _, o := range l.Objects {
		got = append(got, o.Name)
	}
	var want []string
	for _, env := range []string{"dev", "prod"} {
		for _, f := range []string{"claim.json", "files/1-validate~smoke-output.txt", "head-000006.json", "records-000006.jsonl", "summary-000006.md"} {
			want = append(want, "rotations/2026/11/app~db/2026-11-22-app-db/"+env+"/"+f)
		}
	}
	want = append(want, "rotations/2026/11/app~db/2026-11-22-app-db/close.json")
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if n := strings.Count(string(s.get(bundleName(prod, "records-000006.jsonl"))), "\n"); n != 6 {
		t.Errorf("%d lines of 6 records", n)
	}
	if got := string(s.get("rotations/2026/11/app~db/" + db + "/close.json")); got != `{"outcome":"finished","digest":"`+rotation.Digest([]byte(`{"outcome":"finished"}`))+`"}` {
		t.Errorf("close.json: %s", got)
	}
}

func TestWritingABundleAgainChangesNothing(t *testing.T) {
	ctx, s, clk := context.Background(), newMemory(), &clock{t0}
	j, b := ready(t, s), evidence.NewBundle(s, evidence.Options{MaxFile: 100})
	ch := write(t, j, clk, chain, request, 1, 3)
	p := &ch.Records[0].Claim.Plan
	first := ch.Head()
	must(t, b.Point(ctx, p, first))
	add(t, ch, note(ch.Records[0], "more", clk.now()))
	must(t, b.Point(ctx, p, ch.Head())) // a later run, that can't know whether the pointer was left
	for _, summary := range []string{"first", "second"} {
		folder, err := b.Write(ctx, ch, []byte(summary))
		if err != nil || folder != "rotations/2026/11/payments~stripe-webhook/"+request+"/prod/" {
			t.Fatalf("%s: %v", folder, err)
		}
		if got := string(s.objects[folder+"summary-000004.md"]); got != "first" {
			t.Errorf("summary: %q", got)
		}
	}
	r, err := evidence.Verify(ctx, s, evidence.VerifyOptions{})
	must(t, err)
	must(t, r.Err())
	if c := r.Chains[0].Confirmed; len(c) != 2 || c[0].Seq != first.Seq {
		t.Errorf("confirmed %+v", c)
	}
	// A pointer that says something else was not left by us.
	p2 := *p
	p2.Attempt = 2
	s.objects["rotations/2026/11/payments~stripe-webhook/"+request+"/prod/claim-2.json"] = []byte(`{}`)
	var f evidence.Findings
	if err := b.Point(ctx, &p2, ch.Head()); !errors.As(err, &f) {
		t.Errorf("%v", err)
	}
}

// meeting is a store on which calls that begin with one of the prefixes wait for one another.
type meeting struct {
	*memory
	t    *testing.T
	meet [2]string
	came [2]chan struct{}
	fail string // the name of a Create that is refused
}

func meet(t *testing.T, s *memory, a, b string) *meeting {
	return &meeting{s, t, [2]string{a, b}, [2]chan struct{}{make(chan struct{}), make(chan struct{})}, ""}
}

func (m *meeting) wait(call string) {
	for i := range m.meet {
		if strings.HasPrefix(call, m.meet[i]) {
			close(m.came[i])
			select {
			case <-m.came[1-i]:
			case <-time.After(10 * time.Second):
				m.t.Errorf("%s waits in vain for %s", call, m.meet[1-i])
			}
		}
	}
}

func (m *meeting) Create(ctx context.Context, name string, data []byte) error {
	m.wait("create " + name)
	if m.fail != "" && strings.Contains(name, m.fail) {
		return errors.New("no space left")
	}
	return m.memory.Create(ctx, name, data)
}

func (m *meeting) List(ctx context.Context, prefix string) (evidence.Listing, error) {
	m.wait("list " + prefix)
	return m.memory.List(ctx, prefix)
}

func TestTheHeadOfABundleComesAfterBothFilesItVouchesFor(t *testing.T) {
	const folder = "rotations/2026/11/payments~stripe-webhook/" + request + "/prod/"
	for _, refused := range []string{"", "/records-", "/summary-"} {
		ctx, s, clk := context.Background(), newMemory(), &clock{t0}
		ch := write(t, ready(t, s), clk, chain, request, 1, 3)
		m := meet(t, s, "create "+folder+"records-", "create "+folder+"summary-")
		if m.fail = refused; refused != "" {
			m.meet = [2]string{"none", "none"} // a refused call is repeated
		}
		_, err := evidence.NewBundle(m, evidence.Options{}).Write(ctx, ch, []byte("summary"))
		if (err != nil) != (refused != "") {
			t.Errorf("%q refused: %v", refused, err)
		}
		if _, there := s.objects[folder+"head-000003.json"]; there != (refused == "") {
			t.Errorf("%q refused: the head is there %t", refused, there)
		}
	}
}

func TestFilesOfARepeatedStepAreKeptBesideEachOther(t *testing.T) {
	ctx, s, clk := context.Background(), newMemory(), &clock{t0}
	j, b := ready(t, s), evidence.NewBundle(s, evidence.Options{MaxFile: 100})
	ch := write(t, j, clk, chain, request, 1, 1)
	p := &ch.Records[0].Claim.Plan
	keep := func(name, data string) ([]rotation.FileRef, error) {
		return b.Keep(ctx, p, rotation.Step{Key: "validate/smoke"}, []rotation.File{{Name: name, Data: []byte(data)}})
	}
	var names []string
	for _, data := range []string{"red", "red", "green", "green"} {
		refs, err := keep("out.txt", data)
		must(t, err)
		names = append(names, refs[0].Name)
		if refs[0].Digest != rotation.Digest([]byte(data)) || refs[0].Size != int64(len(data)) {
			t.Errorf("%+v", refs)
		}
	}
	want := []string{"files/1-validate~smoke-out.txt", "files/1-validate~smoke-out.txt", "files/1-validate~smoke-a88a2d3aa4c4-out.txt", "files/1-validate~smoke-a88a2d3aa4c4-out.txt"}
	want[2] = "files/1-validate~smoke-" + rotation.Digest([]byte("green"))[7:19] + "-out.txt"
	want[3] = want[2]
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
	for name, data := range map[string]string{"../up": "x", "a/b": "x", "": "x", "a\x1b[2J": "x", "big": strings.Repeat("x", 101), strings.Repeat("n", 300): "x"} {
		if refs, err := keep(name, data); err == nil {
			t.Errorf("%q was kept: %+v", name, refs)
		}
	}
}

// dated is a store that knows when everything was stored.
type dated struct {
	*memory
	at time.Time
}

func (d dated) List(ctx context.Context, prefix string) (evidence.Listing, error) {
	l, err := d.memory.List(ctx, prefix)
	for i := range l.Objects {
		l.Objects[i].StoredAt = d.at
	}
	return l, err
}

func TestACloseIsReadAsItWasWritten(t *testing.T) {
	ctx, s := context.Background(), newMemory()
	b := evidence.NewBundle(s, evidence.Options{})
	must(t, b.Close(ctx, "app/key", "2026-11-23-app-key", []byte(`{"a":1}`)))
	got, err := b.ReadClose(ctx, "app/key", "2026-11-23-app-key", 1)
	must(t, err)
	if want := `{"a":1,"digest":"sha256:`; !strings.HasPrefix(string(got), want) {
		t.Errorf("got %s, want %s…", got, want)
	}
	if _, err := b.ReadClose(ctx, "app/key", "2026-11-23-app-key", 2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an attempt that wasn't closed: %v", err)
	}
	if _, err := b.ReadClose(ctx, "app/key", "no-date", 1); err == nil {
		t.Error("a rotation without a date was read")
	}
	must(t, s.Create(ctx, "rotations/2026/11/app~old/2026-11-01-app-old/close.json", []byte(strings.Replace(string(got), "1", "2", 1))))
	var found evidence.Findings
	if _, err := b.ReadClose(ctx, "app/old", "2026-11-01-app-old", 1); !errors.As(err, &found) || found[0].Rule != evidence.RuleAltered {
		t.Errorf("an altered one: %v", err)
	}
}

func TestOneListingAMonthFindsEveryOpenRotation(t *testing.T) {
	ctx, s := context.Background(), newMemory()
	b := evidence.NewBundle(s, evidence.Options{})
	point := func(env, secret, name string, attempt int) {
		c := rotation.Chain{Environment: env, Secret: secret}
		must(t, b.Point(ctx, &rotation.Plan{Chain: c, Rotation: name, Attempt: attempt}, rotation.Head{Chain: c, Seq: 1, Digest: rotation.Digest(nil)}))
	}
	point("dev", "app/db", "2026-10-31-app-db", 1)
	point("dev", "app/db", "2026-11-22-app-db", 1)
	point("prod", "app/db", "2026-11-22-app-db", 1)
	point("dev", "app/key", "2026-11-23-app-key", 1)
	must(t, b.Close(ctx, "app/key", "2026-11-23-app-key", []byte(`{"a":1}`)))
	must(t, b.Close(ctx, "app/key", "2026-11-23-app-key", []byte(`{"a":2}`))) // somebody else noticed, too
	must(t, b.Close(ctx, "app/gone", "2026-11-01-app-gone", []byte(`{}`)))    // withdrawn before it began
	open := func(from, to time.Time) (names []string) {
		s.calls["list"] = 0
		l, err := b.OpenRotations(ctx, from, to)
		must(t, err)
		for _, o := range l {
			names = append(names, o.Secret+" "+o.Rotation+" "+strings.Join(o.Environments, ","))
		}
		return names
	}
	oct, nov := time.Date(2026, 10, 31, 23, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	want := []string{"app/db 2026-10-31-app-db dev", "app/db 2026-11-22-app-db dev,prod"}
	if got := open(oct, nov); !slices.Equal(got, want) || s.calls["list"] != 2 {
		t.Errorf("%q in %d listings", got, s.calls["list"])
	}
	if got := open(nov, nov); !slices.Equal(got, want[1:]) || s.calls["list"] != 1 {
		t.Errorf("%q in %d listings", got, s.calls["list"])
	}
	// What was closed lately is told from what is open, and what was closed before isn't there.
	dated := evidence.NewBundle(dated{s, nov}, evidence.Options{})
	early, err := dated.Recent(ctx, nov, nov, nov.Add(-time.Hour))
	must(t, err)
	late, err := dated.Recent(ctx, nov, nov, nov)
	must(t, err)
	if len(early) != 2 || !early[0].Closed.IsZero() || early[1].Secret != "app/key" || !early[1].Closed.Equal(nov) || len(late) != 1 {
		t.Errorf("closed lately %+v, before %+v", early, late)
	}
	// Another attempt opens it again, until that is closed.
	point("dev", "app/key", "2026-11-23-app-key", 2)
	if got := open(nov, nov); len(got) != 2 {
		t.Errorf("%q", got)
	}
	must(t, b.Close(ctx, "app/key", "2026-11-23-app-key", []byte(`{"a":3}`)))
	if got := open(nov, nov); len(got) != 1 {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"no-date", "2026-13-01-x", "../2026-11-22", ""} {
		if err := b.Close(ctx, "app/db", bad, []byte(`{}`)); err == nil {
			t.Errorf("closed %q", bad)
		}
	}
	if err := b.Close(ctx, "app/db", db, []byte(`[]`)); err == nil {
		t.Error("closed with a list")
	}
}

// Reading a chain costs by its latest attempt, not by its age.
func TestOpeningAnOldChainTakesNoMoreCalls(t *testing.T) {
	calls := func(attempts int) map[string]int {
		s, clk := newMemory(), &clock{t0}
		j := ready(t, s)
		for i := range attempts {
			write(t, j, clk, chain, request, i+1, 10)
		}
		_, err := j.Open(context.Background(), chain) // the marker is read once in a journal's life
		must(t, err)
		clear(s.calls)
		_, err = j.Open(context.Background(), chain)
		must(t, err)
		return s.calls
	}
	if d := cmp.Diff(map[string]int{"list": 1, "read": 10}, calls(1)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]int{"list": 1, "read": 11}, calls(50)); d != "" {
		t.Error(d)
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, c := range []struct {
		name     string
		attempts int
	}{{"10 records", 1}, {"500 records", 50}} {
		b.Run(c.name, func(b *testing.B) {
			s, clk := newMemory(), &clock{t0}
			j := ready(b, s)
			for i := range c.attempts {
				write(b, j, clk, chain, request, i+1, 10)
			}
			clear(s.calls)
			n := 0
			for b.Loop() {
				if _, err := j.Open(context.Background(), chain); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(s.calls["list"]+s.calls["read"])/float64(n), "calls/op")
		})
	}
}

// Verifying one chain reads that one and its bundles, and those an anchor is about.
func TestVerifyingOneChainLeavesOthersAlone(t *testing.T) {
	s := inDir(t)
	s.replace(recordName(dev, 3), "step 3", "step 9")
	r := s.verify(evidence.VerifyOptions{Chains: []rotation.Chain{prod}})
	must(t, r.Err())
	if len(r.Chains) != 1 || r.Chains[0].Head != s.heads[prod] {
		t.Errorf("%+v", r.Chains)
	}
	r = s.verify(evidence.VerifyOptions{Chains: []rotation.Chain{prod}, Anchors: []evidence.Anchor{{Head: s.heads[dev]}}})
	if len(r.Chains) != 2 || r.Err() == nil {
		t.Errorf("the anchored chain wasn't read: %+v", r.Chains)
	}
	if _, err := evidence.Verify(context.Background(), s.store, evidence.VerifyOptions{Chains: []rotation.Chain{{Environment: "..", Secret: "x"}}}); err == nil {
		t.Error("a chain outside of the journal was read")
	}
}

// A chain that isn't there is no fault; one that somebody knows is.
func TestAnUnknownChainIsEmptyAndAKnownOneIsMissed(t *testing.T) {
	s := inDir(t)
	other := rotation.Chain{Environment: "prod", Secret: "app/other"}
	must(t, s.verify(evidence.VerifyOptions{Chains: []rotation.Chain{other}}).Err())
	r := s.verify(evidence.VerifyOptions{Anchors: []evidence.Anchor{{Head: rotation.Head{Chain: other, Seq: 3, Digest: rotation.Digest(nil)}, By: "the audit comment"}}})
	want := "journal/prod/app~other/000003.json: is missing at the end of the chain: the audit comment knows it as " + rotation.Digest(nil) + " [truncated]"
	if r.Err() == nil || r.Err().Error() != want {
		t.Errorf("got %v, want %s", r.Err(), want)
	}
}
