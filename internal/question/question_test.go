package question

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/rotation"
)

func items(n int) (list []Item) {
	for i := range n {
		list = append(list, Item{
			Rotation: fmt.Sprintf("2026-11-%02d-payments-processor-database-%d", 1+i%28, i), Secret: fmt.Sprintf("payments/processor/database-%d", i),
			Environment: "prod", For: rotation.ApprovesRotation, Digest: rotation.Digest(fmt.Append(nil, i)), Attempt: 1,
			Since: monday.Add(time.Duration(i) * time.Second),
		})
	}
	return list
}

func TestAQuestionOfFiveHundredTravelsWhole(t *testing.T) {
	list := items(Most)
	text, err := Encode(list)
	if err != nil || len(text) > MostText {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	got, err := Decode(text)
	if d := cmp.Diff(list, got); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	for range 3 {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list[0].Since = list[0].Since.In(time.FixedZone("", 3600))
		if again, err := Encode(list); again != text || err != nil {
			t.Errorf("the same items are another text: %v", err)
		}
	}
}

func TestFitTakesTheOldestThatOneQuestionHolds(t *testing.T) {
	list := items(Most + 100)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if got := Fit(list); len(got) != Most || got[0].Since != monday || got[Most-1].Since != monday.Add((Most-1)*time.Second) {
		t.Errorf("%d items", len(got))
	}
	for i := range list { // names that don't pack
		var b [150]byte
		for k := range b {
			b[k] = byte(33 + rand.IntN(90))
		}
		list[i].Secret = string(b[:])
	}
	got := Fit(list)
	if text, err := Encode(got); err != nil || len(got) >= Most || len(got) < Most/3 {
		t.Errorf("%d items, %d bytes, %v", len(got), len(text), err)
	}
	if _, err := Encode(list[:Most]); err == nil {
		t.Error("more than fits was encoded")
	}
	if got := Fit(nil); len(got) != 0 {
		t.Errorf("nothing: %v", got)
	}
}

func packed(raw string, more ...byte) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(raw))
	_ = z.Close()
	return base64.StdEncoding.EncodeToString(append(b.Bytes(), more...))
}

func TestDecodeRefuses(t *testing.T) {
	raw, err := json.Marshal(items(2))
	if err != nil {
		t.Fatal(err)
	}
	good := string(raw)
	if _, err := Decode(packed(good)); err != nil {
		t.Fatal(err)
	}
	with := func(old, now string) string { return packed(strings.Replace(good, old, now, 1)) }
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                  {"", "empty"},
		"no items":                 {packed("[]"), "empty"},
		"null":                     {packed("null"), "empty"},
		"too long":                 {strings.Repeat("A", MostText+4), "longer than 65536"},
		"no base64":                {"%%%", "base64"},
		"a line break":             {packed(good)[:8] + "\n" + packed(good)[8:], "base64"},
		"no gzip":                  {base64.StdEncoding.EncodeToString(raw), "unpack"},
		"cut off":                  {packed(good)[:80], "unpack"},
		"a bomb":                   {packed(strings.Repeat(" ", 20<<20)), "longer than 1048576"},
		"something after it":       {packed(good, 'x'), "after it"},
		"a second gzip after it":   {packed(good, func() []byte { b, _ := base64.StdEncoding.DecodeString(packed(good)); return b }()...), "after it"},
		"not a list":               {packed(`{"rotation":"x"}`), "list"},
		"an unknown field":         {with(`"rotation"`, `"extra":1,"rotation"`), "list"},
		"another spelling":         {with(`"rotation"`, `"ROTATION"`), "spelt"},
		"a field twice":            {with(`"attempt":1`, `"attempt":2,"attempt":1`), "spelt"},
		"space":                    {packed(good + "\n"), "spelt"},
		"a second value":           {packed(good + "[]"), "spelt"},
		"no secret":                {with(`"secret":"payments/processor/database-0"`, `"secret":""`), "lacks rotation"},
		"no digest":                {with(`"digest":"sha256:`, `"digest":"`), "lacks digest"},
		"no attempt":               {with(`"attempt":1`, `"attempt":0`), "lacks digest"},
		"no time":                  {with(`,"since":"2026-11-23T00:00:00Z"`, ``), "spelt"},
		"for something else":       {with(`"for":"rotation"`, `"for":"fun"`), `for "fun"`},
		"two environments":         {with(`"environment":"prod"`, `"environment":"dev"`), `"dev" and "prod"`},
		"out of order":             {with(`T00:00:00Z`, `T01:00:00Z`), "order"},
		"more than one holds":      {packed(mustJSON(t, items(Most+1))), "more than 500"},
		"the same twice":           {packed(mustJSON(t, []Item{items(1)[0], items(1)[0]})), "twice"},
		"the same twice, later on": {packed(mustJSON(t, []Item{items(1)[0], later(items(1)[0])})), "twice"},
	} {
		got, err := Decode(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d items, %v", name, len(got), err)
		}
	}
}

func later(i Item) Item {
	i.Since = i.Since.Add(time.Hour)
	return i
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	if _, err := Encode(nil); err == nil {
		t.Error("an empty question")
	}
	two := items(2)
	two[1].Environment = "dev"
	if _, err := Encode(two); err == nil {
		t.Error("two environments")
	}
}

// Whatever comes: no panic, no more than a question holds, and what is read is what would be written.
func FuzzDecode(f *testing.F) {
	text, err := Encode(items(3))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, false)
	f.Add(`[{"rotation":"r","secret":"s","environment":"dev","for":"rotation","digest":"sha256:00","attempt":1,"since":"2026-11-23T00:00:00Z"}]`, true)
	f.Add(mustText(f), true)
	f.Add("H4sIAAAAAAAA/w==", false)
	f.Fuzz(func(t *testing.T, text string, pack bool) {
		if pack {
			text = packed(text)
		}
		list, err := Decode(text)
		if err != nil {
			return
		}
		again, err := Encode(list)
		if err != nil || len(list) == 0 || len(list) > Most {
			t.Fatalf("%d items, %v", len(list), err)
		}
		back, err := Decode(again)
		if err != nil || !cmp.Equal(list, back) {
			t.Errorf("%v: %s", err, cmp.Diff(list, back))
		}
	})
}

func mustText(f *testing.F) string {
	b, err := json.Marshal(items(2))
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}

func TestShards(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 25: 1, 49: 1, 50: 2, 74: 2, 75: 3, 199: 7, 200: 8, 500: 8} {
		if got := Shards(n, 0); len(got) != want || want > 0 && got[want-1] != fmt.Sprintf("%d/%d", want, want) {
			t.Errorf("%d: %q", n, got)
		}
	}
	if got := Shards(500, 20); len(got) != 20 {
		t.Errorf("twenty at most: %q", got)
	}
	for n := range Most + 1 {
		list, seen := items(n), 0
		for _, s := range Shards(n, 0) {
			mine, err := Mine(list, s)
			if err != nil || len(mine) == 0 || mine[0] != list[seen] {
				t.Fatalf("%s of %d: %d items, %v", s, n, len(mine), err)
			}
			seen += len(mine)
		}
		if seen != n {
			t.Errorf("%d of %d items are somebody's", seen, n)
		}
	}
	for _, s := range []string{"", "0/0", "0/1", "2/1", "1", "1/2/3", "a/b", " 1/2", "1/2\n", "01/2", "1/9999", "-1/2", "1/6"} {
		if mine, err := Mine(items(5), s); err == nil {
			t.Errorf("%q: %d items", s, len(mine))
		}
	}
}
