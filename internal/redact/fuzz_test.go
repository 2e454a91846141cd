package redact

import (
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// naive is the rule, said differently: every occurrence of every form is covered, and so is the longest
// beginning of a form at the end, when enough of it is there.
func naive(s *Set, text string) string {
	covered := make([]bool, len(text)+1)
	cut := 0
	for f := range s.forms {
		for i := 0; i+len(f) <= len(text); i++ {
			if text[i:i+len(f)] == f {
				for j := range len(f) {
					covered[i+j] = true
				}
			}
		}
		for n := min(len(f)-1, len(text)); n >= leastCut && 2*n >= len(f); n-- {
			if strings.HasSuffix(text, f[:n]) {
				cut = max(cut, n)
				break
			}
		}
	}
	for i := len(text) - cut; i < len(text); i++ {
		covered[i] = true
	}
	var out strings.Builder
	for i := range len(text) {
		if !covered[i] {
			out.WriteByte(text[i])
		} else if i == 0 || !covered[i-1] {
			out.WriteString(Mark)
		}
	}
	return out.String()
}

func FuzzWriterEqualsString(f *testing.F) {
	f.Add("abcdef", "bcdefg", "xabcdefgy abcdeabcdef", uint64(1))
	f.Add("aaaaaa", "aaaaaaaaaaaa", "baaaaaaaaaaaaaaaaac", uint64(2))
	f.Add("[redac", "ted]xyz", "[redacted]xyz", uint64(3))
	f.Add("{\"a\":\"longvalue\"}", "line one\nline two", "longvalue line one", uint64(4))
	f.Add("abcabcabcabcX", "cabcabY", "abcabcabcabcabcabYcabc", uint64(5))
	f.Fuzz(func(t *testing.T, a, b, text string, seed uint64) {
		if len(a)+len(b) > 200 || len(text) > 2000 {
			return
		}
		s := setOf(a, b)
		rnd := rand.New(rand.NewPCG(seed, 0))
		text += a[:rnd.IntN(len(a)+1)] + b + text
		want := s.String(text)
		if ref := naive(s, text); want != ref {
			t.Fatalf("String gives %q, the rule %q", want, ref)
		}
		var writes []string
		for rest := text; rest != ""; {
			n := 1 + rnd.IntN(min(len(rest), 7))
			writes, rest = append(writes, rest[:n]), rest[n:]
		}
		if got := written(t, s, writes...); got != want {
			t.Fatalf("written in %q: %q, whole %q", writes, got, want)
		}
	})
}

func FuzzEveryFormIsRemoved(f *testing.F) {
	for _, v := range []string{canary, "abcdef", "a b\tc\nd", "\x00\xff\xfe\x80abc", "日本語のパスワード", strings.Repeat("long-", 60), "&&&&&&", "''", "=======", "%2F%2f%"} {
		f.Add(v, "pre", "post")
	}
	f.Fuzz(func(t *testing.T, v, before, after string) {
		if len(strings.TrimSpace(v)) < Least || len(v) > 400 || len(before)+len(after) > 100 {
			return
		}
		s := setOf(v)
		for name, form := range map[string]string{
			"raw": v, "JSON": trimQuotes(asJSON(v)), "query": url.QueryEscape(v), "path": url.PathEscape(v), "%q": trimQuotes(strconv.Quote(v)),
			"%+q": trimQuotes(strconv.QuoteToASCII(v)), "HTML": html.EscapeString(v), "hex": fmt.Sprintf("%x", v), "HEX": fmt.Sprintf("%X", v),
			"base64": base64.StdEncoding.EncodeToString([]byte(v)), "base64url": base64.URLEncoding.EncodeToString([]byte(v)),
		} {
			if got := s.String("\n" + form + "\n"); strings.Contains(got, form) && !strings.Contains(Mark, form) {
				t.Errorf("%s: %q -> %q", name, form, got)
			}
		}
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
			text, from := e.EncodeToString([]byte(before+v+after)), (len(before)*8+5)/6
			core := text[from : (len(before)+len(v))*8/6]
			if got := s.String(text); strings.Contains(got, core) {
				t.Errorf("base64 of %q: %q is left in %q", before+v+after, core, got)
			}
		}
	})
}

func benchmarkSet() *Set {
	s := new(Set)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		v := make([]byte, 32)
		for i := range v {
			v[i] = byte('!' + rnd.IntN(94))
		}
		s.Add(v)
	}
	return s
}

func BenchmarkTenMegabytesHundredSecrets(b *testing.B) {
	s := benchmarkSet()
	line := "2026-11-23T09:00:00Z INFO GET /v1/orders/8123?expand=lines answered 200 in 41 ms {\"user\":\"ana\"}\n"
	text := []byte(strings.Repeat(line, 10<<20/len(line)))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		w := s.Writer(io.Discard)
		for i := 0; i < len(text); i += 32 << 10 {
			_, _ = w.Write(text[i:min(len(text), i+32<<10)])
		}
		_ = w.Close()
	}
}

func BenchmarkLearnTenPrivateKeys(b *testing.B) {
	b.ReportAllocs()
	rnd := rand.New(rand.NewPCG(1, 1))
	var keys []string
	for range 10 {
		der := make([]byte, 1200)
		for i := range der {
			der[i] = byte(rnd.Uint32())
		}
		text := base64.StdEncoding.EncodeToString(der)
		var lines []string
		for ; len(text) > 64; text = text[64:] {
			lines = append(lines, text[:64])
		}
		keys = append(keys, "-----BEGIN PRIVATE KEY-----\n"+strings.Join(lines, "\n")+"\n-----END PRIVATE KEY-----\n")
	}
	for b.Loop() {
		setOf(keys...).automaton()
	}
}

func BenchmarkLearnHundredSecrets(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		benchmarkSet().automaton()
	}
}
