package typesense

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
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox/typesense"
)

func TestARotationFromEndToEnd(t *testing.T) {
	var all strings.Builder
	for _, key := range []string{"", "search"} {
		for _, steps := range [][]string{forward, append(slices.Clone(forward[:5]), "restore", "discard")} {
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

// once makes the first POST of a new key go wrong.
func once(l *lab, how error) {
	done := false
	l.ts.Fail(func(c typesense.Call) error {
		if done || c.Method != http.MethodPost {
			return nil
		}
		done = true
		return how
	})
}

func TestALostAnswerMakesNoSecondKey(t *testing.T) {
	l := newLab(t, nil).run("preflight", "create")
	once(l, typesense.ErrLost)
	if err := l.try("set"); err == nil || errors.As(err, new(*rotation.Failure)) {
		t.Fatalf("got %v, want an unknown outcome", err)
	}
	l.run("set", "test")
	if made, _ := l.ours(); len(made) != 1 || fmt.Sprint(made[0].ID) != l.fact("set", "id") {
		t.Errorf("%+v, on record %q", made, l.fact("set", "id"))
	}
	l.silent()
}

func TestDiscardFindsWhatSetDidNotRecord(t *testing.T) {
	l := newLab(t, nil).run("preflight", "create")
	once(l, typesense.ErrLost)
	_ = l.try("set")
	made, _ := l.ours()
	l.run("discard")
	if _, left := l.ours(); len(left) != 0 || l.fact("discard", "id") != fmt.Sprint(made[0].ID) {
		t.Errorf("left %+v, on record %q", left, l.fact("discard", "id"))
	}
}

func TestNodesThatLagAreWaitedFor(t *testing.T) {
	l := newLab(t, nil)
	l.clock.at = l.clock.at.Add(time.Hour)
	l.ts.Lag("node2.test", 10*time.Second)
	l.run(forward[:3]...)
	if res, err := l.ask(t.Context(), "test"); err != nil || !strings.Contains(res.Wait, "node2.test") {
		t.Errorf("%+v, %v", res, err)
	}
	l.run(forward[3:6]...)
	if res, err := l.ask(t.Context(), "refused"); err != nil || !strings.Contains(res.Wait, "node2.test to refuse the old value") {
		t.Errorf("%+v, %v", res, err)
	}
	l.run("refused")
}

func TestTheOldKeyIsKeptUntilScopedKeysHaveRunOut(t *testing.T) {
	specs := Kind().Recipe(&Target{Scoped: rotation.Duration(72 * time.Hour)})
	i := slices.IndexFunc(specs, func(s rotation.Spec) bool { return s.Name == "adopted" })
	j := slices.IndexFunc(specs, func(s rotation.Spec) bool { return s.Name == "decommission" })
	if i < 0 || i > j || specs[i].After != "promote" || specs[i].Delay != rotation.Duration(72*time.Hour) {
		t.Errorf("%+v", specs)
	}
	l := newLab(t, func(t *Target) { t.Scoped = rotation.Duration(72 * time.Hour) }).run(forward[:5]...)
	l.run("adopted", "decommission", "refused")
	l.silent()
}

// A definite no of every kind: what people read, and that nothing was changed.
var refusals = []struct {
	name   string
	target func(*Target)
	after  []string
	world  func(*lab)
	step   string
}{
	{"no such secret", func(t *Target) { t.Secret = "search/none" }, nil, nil, "preflight"},
	{"no such admin key", func(t *Target) { t.Admin.Secret = "search/none" }, nil, nil, "preflight"},
	{"value with a line end", nil, nil, func(l *lab) { must(l.aws.PutByHand(stored, l.first.Value+"\n")) }, "preflight"},
	{"admin key deleted", nil, nil, func(l *lab) { l.ts.Remove(l.admin.ID) }, "preflight"},
	{"bootstrap key", nil, nil, func(l *lab) { must(l.aws.PutByHand(stored, "sandbox-only-typesense-bootstrap")) }, "preflight"},
	{"no key of this cluster", nil, nil, func(l *lab) { must(l.aws.PutByHand(stored, "none-planted-key-0000000000000001")) }, "preflight"},
	{"two keys that begin alike", nil, nil, func(l *lab) {
		l.ts.Add(typesense.Key{Value: "frst-other", Actions: []string{"*"}, Collections: []string{"*"}})
	}, "preflight"},
	{"another key is named", func(t *Target) { t.ID = new(int64) }, nil, nil, "preflight"},
	{"key that expires soon", nil, nil, func(l *lab) {
		k := l.ts.Add(typesense.Key{Value: "q7so-planted", Actions: []string{"documents:search"}, Collections: []string{"*"}, Expires: start.Add(time.Hour).Unix()})
		must(l.aws.PutByHand(stored, k.Value))
	}, "preflight"},
	{"parent of scoped keys that may do more", func(t *Target) { t.Scoped = rotation.Duration(time.Hour) }, nil, func(l *lab) {
		k := l.ts.Add(typesense.Key{Value: "q7mo-planted", Actions: []string{"documents:*"}, Collections: []string{"*"}})
		must(l.aws.PutByHand(stored, k.Value))
	}, "preflight"},
	{"proof that the key doesn't allow", func(t *Target) { t.Proof = "/collections" }, nil, nil, "preflight"},
	{"proof of a collection that isn't there", func(t *Target) { t.Proof = "/collections/products2/documents/search?q=*" }, nil, nil, "preflight"},
	{"admin key deleted before set", nil, forward[:2], func(l *lab) { l.ts.Remove(l.admin.ID) }, "set"},
	{"moved before decommission", nil, forward[:5], func(l *lab) { must(l.aws.PutByHand(stored, "hand-planted-00000")) }, "decommission"},
	{"new key deleted before decommission", nil, forward[:5], func(l *lab) { made, _ := l.ours(); l.ts.Remove(made[0].ID) }, "decommission"},
	{"discard of the live key", nil, forward[:5], nil, "discard"},
}

func TestRefusals(t *testing.T) {
	var all strings.Builder
	for _, tt := range refusals {
		l := newLab(t, tt.target).run(tt.after...)
		if tt.world != nil {
			tt.world(l)
		}
		before := l.state()
		_, err := l.ask(t.Context(), tt.step)
		var f *rotation.Failure
		if !errors.As(err, &f) || f.Hint == "" {
			t.Errorf("%s: got %v, want a failure with a hint", tt.name, err)
		}
		if l.state() != before {
			t.Errorf("%s: changed to\n%s\nwas\n%s", tt.name, l.state(), before)
		}
		l.silent()
		text := l.said[len(l.said)-1]
		if strings.Contains(text, "planted") {
			t.Errorf("%s: a value shows", tt.name)
		}
		if i := strings.Index(text, " (request "); i >= 0 {
			j := strings.Index(text[i:], ")")
			text = text[:i] + text[i+j+1:]
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, l.named(text))
	}
	goldentest.Equal(t, "refusals.txt", all.String())
}

func TestMistakesInATargetAreAllReported(t *testing.T) {
	const good = "secret: search/key\nnodes: [https://n1.example.com:8108]\nadmin: {secret: search/admin}\nproof: /collections/p/documents/search?q=*\n"
	for _, tt := range []struct{ yaml, want string }{
		{good, ""},
		{good + "key: search\nid: 0\nscoped: 72h\ngenerate: {length: 24}\n", ""},
		{"secret: a\n", "t.yaml:1:1: it lacks admin [missing-key]\nt.yaml:1:1: it lacks nodes [missing-key]\nt.yaml:1:1: it lacks proof [missing-key]"},
		{"secret: a\nadmin: {secret: a}\nnodes:\n  - n1:8108\n  - https://u:p@n2\n  - https://n3\n  - https://n3/\nproof: /health\nscoped: 3000h\ngenerate: {length: 40}\n",
			`t.yaml:2:8: the admin key and the rotated one are in the same place [same-secret]
    hint: name a key that may list, make and delete keys, and isn't rotated here
t.yaml:4:5: "n1:8108" is no address of a node [url]
    hint: such as https://node1.example.com:8108
t.yaml:5:5: the address holds credentials [url-credentials]
    hint: addresses are printed: let it have no credentials in it
t.yaml:7:5: "https://n3/" is named twice [duplicate]
    hint: leave it out here
t.yaml:8:8: "/health" proves nothing: it needs no key, or has one in it [path]
    hint: name an operation that the key allows
t.yaml:9:9: scoped is not between 0 and 90 days [out-of-range]
    hint: give it at most 2160h (90 days)
t.yaml:10:20: 40 characters: servers take a longer value for a scoped key [generate]
    hint: leave it out for 32`},
	} {
		var list problem.List
		problem.Decode(problem.Source{File: "t.yaml", Text: []byte(tt.yaml)}, new(Target), &list)
		var got []string
		for _, p := range list.Sorted() {
			got = append(got, p.String())
		}
		if s := strings.Join(got, "\n"); s != tt.want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", tt.yaml, s, tt.want)
		}
	}
}
