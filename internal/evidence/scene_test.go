package evidence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/evidence/folder"
	"github.com/rastup/rekey/internal/rotation"
)

const marker = `{"format":1,"store":"000102030405060708090a0b0c0d0e0f","created":"2026-11-01T00:00:00Z","lock":{"mode":"COMPLIANCE","for":"48h0m0s"}}`

var (
	dev  = rotation.Chain{Environment: "dev", Secret: "app/db"}
	prod = rotation.Chain{Environment: "prod", Secret: "app/db"}
)

const db = "2026-11-22-app-db"

// A scene is a store with two chains of one rotation, both with bundles, closed.
type scene struct {
	t     *testing.T
	dir   string
	store evidence.Store
	heads map[rotation.Chain]rotation.Head
	logs  logStream
}

type logStream map[int][]string

func (l logStream) Digests(_ context.Context, c rotation.Chain) (map[int][]string, error) {
	if c == prod {
		return l, nil
	}
	return nil, nil
}

func inDir(t *testing.T) *scene {
	dir, clk := t.TempDir(), &clock{t0}
	s, err := folder.Open(dir, clk.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	sc := &scene{t: t, dir: dir, store: s}
	sc.fill(clk, 6)
	return sc
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill writes the scene; prod gets n records.
func (sc *scene) fill(clk *clock, n int) {
	t, ctx := sc.t, context.Background()
	must(t, sc.store.Create(ctx, "journal/marker.json", []byte(marker)))
	j, b := evidence.New(sc.store, evidence.Options{}), evidence.NewBundle(sc.store, evidence.Options{})
	sc.heads = map[rotation.Chain]rotation.Head{}
	var previous *rotation.Head
	for _, c := range []rotation.Chain{dev, prod} {
		ch, err := j.Open(ctx, c)
		must(t, err)
		first := claim(c, db, 1, clk.now())
		first.Claim.Previous = previous
		add(t, ch, first)
		p := &first.Claim.Plan
		must(t, b.Point(ctx, p, ch.Head()))
		for i := 2; i <= n; i++ {
			r := note(first, fmt.Sprintf("step %d <ok> & done", i), clk.now())
			if i == 3 {
				r.Files, err = b.Keep(ctx, p, rotation.Step{Key: "validate/smoke"}, []rotation.File{{Name: "output.txt", Data: []byte("2 passed\n")}})
				must(t, err)
			}
			add(t, ch, r)
		}
		_, err = b.Write(ctx, ch, []byte("# "+c.String()+": validated\n"))
		must(t, err)
		h := ch.Head()
		previous, sc.heads[c] = &h, h
	}
	must(t, b.Close(ctx, "app/db", db, []byte(`{"outcome": "finished"}`)))
	data, err := sc.store.Read(ctx, recordName(prod, n))
	must(t, err)
	sc.logs = logStream{n: {rotation.Digest(data)}}
}

func recordName(c rotation.Chain, seq int) string {
	return fmt.Sprintf("journal/%s/%06d.json", c.Path(), seq)
}

func bundleName(c rotation.Chain, inside string) string {
	return "rotations/2026/11/app~db/" + db + "/" + c.Environment + "/" + inside
}

func (sc *scene) path(name string) string { return filepath.Join(sc.dir, name) }

func (sc *scene) get(name string) []byte {
	data, err := os.ReadFile(sc.path(name))
	must(sc.t, err)
	return data
}

// set writes over a file and leaves its times as they were, as a careful forger does.
func (sc *scene) set(name string, data []byte) {
	at := t0
	if info, err := os.Stat(sc.path(name)); err == nil {
		at = info.ModTime()
		must(sc.t, os.Remove(sc.path(name)))
	}
	must(sc.t, os.MkdirAll(filepath.Dir(sc.path(name)), 0o755))
	must(sc.t, os.WriteFile(sc.path(name), data, 0o444))
	must(sc.t, os.Chtimes(sc.path(name), at, at))
}

func (sc *scene) replace(name, old, new string) {
	data := sc.get(name)
	if !bytes.Contains(data, []byte(old)) {
		sc.t.Fatalf("%s holds no %q: %s", name, old, data)
	}
	sc.set(name, bytes.Replace(data, []byte(old), []byte(new), 1))
}

func (sc *scene) remove(names ...string) {
	for _, n := range names {
		must(sc.t, os.Remove(sc.path(n)))
	}
}

// forge rewrites a chain from a record on, hashes and all.
func (sc *scene) forge(c rotation.Chain, from int, edit func(*rotation.Record)) {
	prev := rotation.Digest(sc.get(recordName(c, from-1)))
	for seq := from; ; seq++ {
		if _, err := os.Stat(sc.path(recordName(c, seq))); err != nil {
			return
		}
		var r rotation.Record
		must(sc.t, json.Unmarshal(sc.get(recordName(c, seq)), &r))
		r.Prev = prev
		if seq == from {
			edit(&r)
		}
		data := encode(sc.t, r)
		sc.set(recordName(c, seq), data)
		prev = rotation.Digest(data)
	}
}

func encode(t testing.TB, v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	must(t, enc.Encode(v))
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// unanchored takes away what lies outside the chain and knows it.
func (sc *scene) unanchored(c rotation.Chain) {
	sc.remove(bundleName(c, "claim.json"), bundleName(c, "head-000006.json"), bundleName(c, "summary-000006.md"), bundleName(c, "records-000006.jsonl"))
}

func (sc *scene) touch(name string, by time.Duration) {
	info, err := os.Stat(sc.path(name))
	must(sc.t, err)
	must(sc.t, os.Chtimes(sc.path(name), info.ModTime().Add(by), info.ModTime().Add(by)))
}

func (sc *scene) verify(o evidence.VerifyOptions) evidence.Report {
	r, err := evidence.Verify(context.Background(), sc.store, o)
	must(sc.t, err)
	return r
}

func rules(f evidence.Findings) (l []string) {
	for _, x := range f {
		if !slices.Contains(l, x.Rule) {
			l = append(l, x.Rule)
		}
	}
	return l
}
