package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const canary = `cAn'ary"7/+<&>$x é\%q~Zz!` // every character that somebody escapes

func setOf(values ...string) *Set {
	s := new(Set)
	for _, v := range values {
		s.Add([]byte(v))
	}
	return s
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func trimQuotes(s string) string { return s[1 : len(s)-1] }

// printed is the canary as other programs printed it, not computed by the code under test where that is possible.
var printed = map[string]string{
	"raw":                        canary,
	"JSON":                       trimQuotes(asJSON(canary)),
	"JSON without HTML escaping": `cAn'ary\"7/+<&>$x é\\%q~Zz!`,
	"JSON of Python":             `cAn'ary\"7/+<&>$x \u00e9\\%q~Zz!`,
	"JSON of PHP":                `cAn'ary\"7\/+<&>$x \u00e9\\%q~Zz!`,
	"JSON within JSON":           trimQuotes(asJSON(trimQuotes(asJSON(canary)))),
	"query":                      url.QueryEscape(canary),
	"path":                       url.PathEscape(canary),
	"userinfo":                   strings.TrimPrefix(url.UserPassword("", canary).String(), ":"),
	"encodeURIComponent":         `cAn'ary%227%2F%2B%3C%26%3E%24x%20%C3%A9%5C%25q~Zz!`,
	"percent, lower case":        `cAn%27ary%227%2f%2b%3c%26%3e%24x%20%c3%a9%5c%25q~Zz%21`,
	"base64":                     base64.StdEncoding.EncodeToString([]byte(canary)),
	"base64url":                  base64.RawURLEncoding.EncodeToString([]byte(canary)),
	"hex":                        hex.EncodeToString([]byte(canary)),
	"HEX":                        strings.ToUpper(hex.EncodeToString([]byte(canary))),
	"HTML":                       html.EscapeString(canary),
	"HTML of Python":             `cAn&#x27;ary&quot;7/+&lt;&amp;&gt;$x é\%q~Zz!`,
	"sh -x":                      `cAn'\''ary"7/+<&>$x é\%q~Zz!`,
	"shlex":                      `cAn'"'"'ary"7/+<&>$x é\%q~Zz!`,
	"printf %q":                  `cAn\'ary\"7/+\<\&\>\$x\ é\\%q~Zz\!`,
	"double quotes of sh":        `cAn'ary\"7/+<&>\$x é\\%q~Zz!`,
	"%q":                         trimQuotes(strconv.Quote(canary)),
	"%+q":                        trimQuotes(strconv.QuoteToASCII(canary)),
	"repr of Python":             `cAn\'ary"7/+<&>$x é\\%q~Zz!`,
	"SQL":                        `cAn''ary"7/+<&>$x é\%q~Zz!`,
	"CSV":                        `cAn'ary""7/+<&>$x é\%q~Zz!`,
	"%v of bytes":                trimQuotes(fmt.Sprint([]byte(canary))),
	"% x":                        fmt.Sprintf("% x", canary),
	"list of Python":             trimQuotes(strings.ReplaceAll(fmt.Sprint([]byte(canary)), " ", ", ")),
}

func TestEveryFormIsRemoved(t *testing.T) {
	for _, value := range []string{canary, canary + "\n"} {
		s := setOf(value)
		for name, form := range printed {
			if got := s.String("before " + form + " after"); got != "before [redacted] after" {
				t.Errorf("%s: %s -> %s", name, form, got)
			}
		}
	}
}

func TestEveryFormIsRemovedWhereverTheWritesCutIt(t *testing.T) {
	s := setOf(canary)
	for name, form := range printed {
		text := "x" + form + "y" + form
		for cut := range len(text) + 1 {
			for cut2 := cut; cut2 <= min(cut+3, len(text)); cut2++ {
				if got := written(t, s, text[:cut], text[cut:cut2], text[cut2:]); got != "x[redacted]y[redacted]" {
					t.Fatalf("%s cut at %d and %d: %s", name, cut, cut2, got)
				}
			}
		}
		var bytewise []string
		for i := range len(text) {
			bytewise = append(bytewise, text[i:i+1])
		}
		if got := written(t, s, bytewise...); got != "x[redacted]y[redacted]" {
			t.Errorf("%s byte by byte: %s", name, got)
		}
	}
}

func written(t *testing.T, s *Set, writes ...string) string {
	t.Helper()
	var out bytes.Buffer
	w := s.Writer(&out)
	for _, p := range writes {
		if n, err := io.WriteString(w, p); n != len(p) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestBase64InsideLongerTextIsRemovedInEveryAlignment(t *testing.T) {
	const v = "hunter22-correct-horse"
	s := setOf(v)
	for before := range 7 {
		for after := range 4 {
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
				text := e.EncodeToString([]byte(strings.Repeat("u", before) + v + strings.Repeat("?", after)))
				got := s.String(text)
				if !strings.Contains(got, Mark) {
					t.Fatalf("before %d, after %d: %s", before, after, got)
				}
				// What is left beside the neighbours is a character shared with them at either end.
				if left := len(got) - len(Mark); left > (before*8+5)/6+(after*8+5)/6+2+3 {
					t.Errorf("before %d, after %d: %s leaves %s", before, after, text, got)
				}
			}
		}
	}
	long := strings.Repeat("0123456789abcdefghijklm-", 8)
	whole := base64.StdEncoding.EncodeToString([]byte(long))
	for _, width := range []int{64, 76} {
		wrapped := ""
		for rest := whole; rest != ""; rest = rest[min(width, len(rest)):] {
			wrapped += rest[:min(width, len(rest))] + "\n"
		}
		if got := strings.NewReplacer(Mark, "", "\n", "").Replace(setOf(long).String(wrapped)); got != "" {
			t.Errorf("wrapped at %d: %q is left", width, got)
		}
	}
}

func TestPartsOfAValueAreRemoved(t *testing.T) {
	pem := "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----\n"
	for name, c := range map[string]struct{ value, text, want string }{
		"a line":              {pem, "got BKcwggSjAgEAAoIBAQC7!", "got [redacted]!"},
		"not a PEM header":    {pem, "want -----BEGIN PRIVATE KEY-----", "want -----BEGIN PRIVATE KEY-----"},
		"CRLF":                {strings.ReplaceAll(pem, "\n", "\r\n"), "BKcwggSjAgEAAoIBAQC7", "[redacted]"},
		"a JSON leaf":         {`{"api":{"value":"sk_live_12345678"}}`, "key sk_live_12345678", "key [redacted]"},
		"PEM in JSON":         {asJSON(map[string]string{"pem": pem}), "BKcwggSjAgEAAoIBAQC7", "[redacted]"},
		"JSON in JSON":        {asJSON(map[string]string{"doc": `{"token":"abc-123-def"}`}), "abc-123-def", "[redacted]"},
		"a long number":       {`{"account_pin": 1234567890}`, "1234567890", "[redacted]"},
		"a database":          {`{"engine":"postgres","host":"db.example.com","username":"postgres","password":"corr3ct"}`, "postgres at db.example.com: corr3ct", "postgres at db.example.com: [redacted]"},
		"password of a URL":   {"postgres://app:p%40ss-word@db.example.com/app", "p@ss-word p%40ss-word app", "[redacted] [redacted] app"},
		"a JWK set":           {`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"key-id-2026","x":"public-half-1","d":"private-half-1"}]}`, "key-id-2026 public-half-1 private-half-1", "key-id-2026 public-half-1 [redacted]"},
		"an environment file": {"export A=1\nTOKEN='tok-123456'\n", "tok-123456", "[redacted]"},
		"overlapping values":  {"abcdefghij", "abcdefghijabcdefghij", "[redacted]"},
	} {
		if got := setOf(c.value).String(c.text); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestShortValuesAreCountedAndDestroyNothing(t *testing.T) {
	s := setOf("", " \n", "a", "12345", "12345", "123456")
	if n := s.TooShort(); n != 2 {
		t.Errorf("%d too short, want 2", n)
	}
	if got := s.String("a 12345 123456"); got != "a 12345 [redacted]" {
		t.Errorf("got %q", got)
	}
	for value, want := range map[string]int{
		`{"password":"abc"}`: 1, `{"port":5432,"tls":"on"}`: 0, "mysql://app:pw@db/x": 1, "API_KEY=abc\n": 1, "MODE=on\nLEVEL=3": 0,
	} {
		if n := setOf(value).TooShort(); n != want {
			t.Errorf("%s: %d too short, want %d", value, n, want)
		}
	}
}

func TestAValueCutOffByTheEndIsRemoved(t *testing.T) {
	s := setOf("abcdefghijklmnopqrst")
	for text, want := range map[string]string{
		"x abcdefghijklmnop": "x [redacted]", "x abcdefghij": "x [redacted]", "x abcdefghi": "x abcdefghi", "abcdefghijk x": "abcdefghijk x",
	} {
		if got := s.String(text); got != want {
			t.Errorf("%q -> %q, want %q", text, got, want)
		}
		if got := written(t, s, text[:5], text[5:]); got != want {
			t.Errorf("%q written -> %q, want %q", text, got, want)
		}
	}
}

func TestRedactingTwiceChangesNothing(t *testing.T) {
	s := setOf(canary, "redacted", "[redact", "acted]-")
	for _, form := range printed {
		once := s.String("a " + form + " redacted [redacted]-b")
		if twice := s.String(once); twice != once {
			t.Errorf("%q became %q", once, twice)
		}
	}
}

func TestAnOpenWriterLearnsNewValues(t *testing.T) {
	s := setOf("first-value")
	var out bytes.Buffer
	w := s.Writer(&out)
	fmt.Fprint(w, "first-value first-")
	s.Add([]byte("second-value"))
	s.Add([]byte("first-born"))
	fmt.Fprint(w, "born second-value")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "[redacted] [redacted] [redacted]" {
		t.Errorf("got %q", got)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a closed writer takes more")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestTheErrorOfTheWriterBehindIsPassedOn(t *testing.T) {
	w := new(Set).Writer(broken{})
	if _, err := w.Write([]byte("text")); err != io.ErrShortWrite {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); err != io.ErrShortWrite {
		t.Errorf("close: %v", err)
	}
}

func TestASetTellsNothingAboutItself(t *testing.T) {
	s := setOf("hunter22-correct")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("set", "set", s)
	all := fmt.Sprintf("%v %+v %#v %s %x %d %v", s, s, s, s, s, s, struct{ s *Set }{s}) + asJSON(s) + log.String()
	if strings.Contains(all, "hunter22") || strings.Contains(all, hex.EncodeToString([]byte("hunter22"))) {
		t.Error(all)
	}
}

func TestASetIsSafeForConcurrentUse(t *testing.T) {
	s := setOf(canary)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			w := s.Writer(io.Discard)
			for j := range 20 {
				s.Add(fmt.Appendf(nil, "value-%d-%d", i, j))
				fmt.Fprint(w, s.String(canary))
			}
			_ = w.Close()
		})
	}
	wg.Wait()
}
