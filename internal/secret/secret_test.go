package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/redact"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/secret/spec"
	"gopkg.in/yaml.v3"
)

const canary = "hunter22-correct-horse"

func known(t *testing.T, s string) secret.Value {
	t.Helper()
	return secret.Keeper{Seen: func([]byte) {}}.Known([]byte(s))
}

type holder struct {
	Open   secret.Value
	hidden secret.Value
	ptr    *secret.Value
	list   []secret.Value
	any    any
}

func TestAValueNeverPrints(t *testing.T) {
	v := known(t, canary)
	h := holder{v, v, &v, []secret.Value{v}, v}
	var seen redact.Set // finds every encoding, so that a leaf in hex isn't overlooked
	seen.Add([]byte(canary))
	check := func(how, got string, marked bool) {
		t.Helper()
		if clean := seen.String(strings.ReplaceAll(got, secret.Mark, "")); strings.Contains(clean, secret.Mark) {
			t.Errorf("%s tells it: %s", how, got)
		}
		if marked && !strings.Contains(got, secret.Mark) {
			t.Errorf("%s doesn't say %s: %s", how, secret.Mark, got)
		}
	}
	for _, verb := range []string{"v", "+v", "#v", "s", "q", "x", "X", "d", "t", "c", "U", "08.3s", "p", "w", "%!"} {
		check("%"+verb, fmt.Sprintf("%"+verb, v), verb != "p" && verb != "w" && verb != "%!")
		check("%"+verb+" of a pointer", fmt.Sprintf("%"+verb, &v), false)
		check("%"+verb+" of a struct", fmt.Sprintf("%"+verb, h), false)
		check("%"+verb+" of a map", fmt.Sprintf("%"+verb, map[string]any{"v": v, "h": &h}), false)
	}
	check("Sprint", fmt.Sprint(v), true)
	check("Errorf", fmt.Errorf("x: %v", v).Error(), true)

	j, err := json.Marshal(map[string]any{"v": v, "p": &v, "h": struct{ V secret.Value }{v}})
	check("JSON", string(j), err == nil)
	y, err := yaml.Marshal(map[string]any{"v": v, "p": &v, "h": struct{ V secret.Value }{v}})
	check("YAML", string(y), err == nil)
	x, err := xml.Marshal(struct {
		XMLName xml.Name     `xml:"x"`
		A       secret.Value `xml:"a,attr"`
		V       secret.Value
	}{A: v, V: v})
	check("XML", string(x), err == nil)
	var g bytes.Buffer
	if err := gob.NewEncoder(&g).Encode(struct{ V secret.Value }{v}); err != nil {
		t.Error(err)
	}
	check("gob", g.String(), true)
	var l bytes.Buffer
	slog.New(slog.NewTextHandler(&l, nil)).Info("m", "v", v, "p", &v, "h", h, slog.Group("g", "v", v))
	slog.New(slog.NewJSONHandler(&l, nil)).Info("m", "v", v, "h", h)
	check("slog", l.String(), true)
}

func TestAValueIsEqualToTheSameSecretOnly(t *testing.T) {
	var zero secret.Value
	for _, c := range []struct {
		a, b secret.Value
		want bool
	}{
		{known(t, "a"), known(t, "a"), true}, {known(t, "a"), known(t, "b"), false}, {known(t, "a"), known(t, "ab"), false},
		{zero, zero, true}, {zero, known(t, ""), true}, {zero, known(t, "a"), false},
	} {
		if c.a.Equal(c.b) != c.want || c.b.Equal(c.a) != c.want {
			t.Errorf("%q, %q: want %v", c.a.Reveal(), c.b.Reveal(), c.want)
		}
	}
	if !zero.Empty() || known(t, "a").Empty() {
		t.Error("Empty is wrong")
	}
}

func TestAValueCannotBeChangedFromOutside(t *testing.T) {
	b := []byte("abc")
	v := secret.Keeper{Seen: func(seen []byte) { seen[0] = 'x' }}.Known(b)
	b[1] = 'x'
	v.Reveal()[2] = 'x'
	if got := string(v.Reveal()); got != "abc" {
		t.Errorf("got %q", got)
	}
}

func TestEveryValueIsAnnouncedBeforeAnybodyHasIt(t *testing.T) {
	var seen []string
	k := secret.Keeper{Seen: func(b []byte) { seen = append(seen, string(b)) }}
	a := k.Known([]byte("abc"))
	b, err := k.Generate(spec.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[0] != string(a.Reveal()) || seen[1] != string(b.Reveal()) {
		t.Errorf("seen %q", seen)
	}
	if _, err := k.Generate(spec.Spec{Length: 3}); err == nil || len(seen) != 2 {
		t.Errorf("a refused spec: %v, seen %d", err, len(seen))
	}
}

func TestGeneratedValuesFollowTheirSpec(t *testing.T) {
	k := secret.Keeper{Seen: func([]byte) {}}
	for _, s := range []spec.Spec{
		{}, {Alphabet: spec.Hex, Length: 64}, {Alphabet: spec.Digits, Length: 20}, {Alphabet: spec.Base64URL, Length: 4096},
		{Alphabet: spec.Printable, Exclude: `"@/\`, RequireEachClass: true, Length: 12}, {Characters: "ab", Length: 64},
		{Characters: "abcdefghijA0!", RequireEachClass: true, Length: 20},
	} {
		for range 50 {
			v, err := k.Generate(s)
			if err != nil {
				t.Fatal(err)
			}
			got := string(v.Reveal())
			if len(got) != s.Len() || strings.Trim(got, s.Set()) != "" {
				t.Errorf("%+v: %q", s, got)
			}
			for _, class := range s.Classes() {
				if !strings.ContainsAny(got, class) {
					t.Errorf("%+v: %q has none of %q", s, got, class)
				}
			}
		}
	}
}

// With 62 characters the modulo of a byte would make the first eight a quarter likelier: 5 draws out of 256
// rather than 4. Chi-squared over 62 characters is above 140 by chance in fewer than one of ten million runs;
// with that bias it would be about 4,000.
func TestNoCharacterIsLikelierThanAnother(t *testing.T) {
	k, counts := secret.Keeper{Seen: func([]byte) {}}, map[byte]float64{}
	const runs = 100
	for range runs {
		v, err := k.Generate(spec.Spec{Length: spec.MaxLength})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range v.Reveal() {
			counts[c]++
		}
	}
	want, chi := float64(runs*spec.MaxLength)/62, 0.0
	for _, n := range counts {
		chi += (n - want) * (n - want) / want
	}
	if len(counts) != 62 || chi > 140 {
		t.Errorf("%d characters, chi-squared %.0f", len(counts), chi)
	}
}

func TestARefusedSpecNamesTheKey(t *testing.T) {
	_, err := secret.Keeper{Seen: func([]byte) {}}.Generate(spec.Spec{Alphabet: "hexx"})
	var e *spec.Error
	if !errors.As(err, &e) || e.Key != "alphabet" {
		t.Errorf("got %v", err)
	}
}
