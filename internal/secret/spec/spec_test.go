package spec

import (
	"math"
	"strings"
	"testing"
)

func TestAlphabetsHoldWhatTheirNamesSay(t *testing.T) {
	for alphabet, size := range map[string]int{"": 62, Alphanumeric: 62, Printable: 94, Hex: 16, Base64URL: 64, Digits: 10} {
		if got := len(Spec{Alphabet: alphabet}.Set()); got != size {
			t.Errorf("%q has %d characters, want %d", alphabet, got, size)
		}
	}
	if got := (Spec{Characters: "cbaab", Exclude: "b"}).Set(); got != "ac" {
		t.Errorf("got %q", got)
	}
}

func TestBitsCountTheValuesThatCanComeOut(t *testing.T) {
	for _, c := range []struct {
		s    Spec
		want float64
	}{
		{Spec{}, 32 * math.Log2(62)}, {Spec{Alphabet: Hex, Length: 16}, 64}, {Spec{Characters: "a"}, 0}, {Spec{Characters: "a", Exclude: "a"}, 0},
		{Spec{Characters: "aA", Length: 2, RequireEachClass: true}, 1}, // aA, Aa
		{Spec{Characters: "aA0", Length: 3, RequireEachClass: true}, math.Log2(6)},
		{Spec{Characters: "aA0", Length: 2, RequireEachClass: true}, 0},
	} {
		if got := c.s.Bits(); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%+v: %f bits, want %f", c.s, got, c.want)
		}
	}
}

func TestABadSpecIsRefusedWithAllItsProblems(t *testing.T) {
	for _, c := range []struct {
		s          Spec
		keys, hint string
	}{
		{Spec{}, "", ""}, {Spec{Alphabet: Hex}, "", ""}, {Spec{Alphabet: Hex, Length: 16}, "", ""},
		{Spec{Alphabet: Hex, Length: 15}, "length", "make it 16 or longer"},
		{Spec{Alphabet: Digits, Length: 19}, "length", "make it 20 or longer"},
		{Spec{Length: -1}, "length", "leave it out"}, {Spec{Length: 4097}, "length", "leave it out"},
		{Spec{Length: -1, Alphabet: "hexadecimal"}, "length alphabet", ""},
		{Spec{Alphabet: "hexadecimal"}, "alphabet", "one of alphanumeric, printable"},
		{Spec{Alphabet: Hex, Characters: "abc"}, "characters", "keep one"},
		{Spec{Characters: "abcdé"}, "characters", "disagree"}, {Spec{Characters: "abc def"}, "characters", "disagree"},
		{Spec{Alphabet: Digits, Exclude: "0123456789"}, "exclude", "exclude fewer"},
		{Spec{Characters: "aaaa"}, "length", "allow more characters"},
		{Spec{Alphabet: Printable, Length: 3, RequireEachClass: true}, "require_each_class", "make it longer"},
	} {
		var keys, hints []string
		for _, p := range c.s.Problems() {
			keys, hints = append(keys, p.Key), append(hints, p.Hint)
		}
		if strings.Join(keys, " ") != c.keys || !strings.Contains(strings.Join(hints, "\n"), c.hint) {
			t.Errorf("%+v: %v with %q", c.s, keys, hints)
		}
		if (c.s.Err() == nil) != (c.keys == "") {
			t.Errorf("%+v: Err says %v", c.s, c.s.Err())
		}
	}
}
