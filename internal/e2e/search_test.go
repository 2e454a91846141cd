package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	sandboxs3 "github.com/rastup/rekey/internal/sandbox/s3"
)

type versionOfObject = sandboxs3.Version

// A searcher knows values and looks for them in every form in which they may be written.
type searcher struct {
	values map[string]bool
	forms  map[string]string // to what it is
}

// least is the shortest line or leaf that is looked for by itself.
const least = 8

// secret adds a secret's whole value and each leaf of its JSON.
func (s *searcher) secret(t *testing.T, what, text string) {
	t.Helper()
	s.add(what, text)
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	s.leaves(what, v)
}

func (s *searcher) leaves(what string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			// What isn't secret about a login stands in many a text.
			if key == "password" || key == "api" || key == "pem" {
				s.leaves(what+"'s "+key, value)
			}
		}
	case []any:
		for _, value := range v {
			s.leaves(what, value)
		}
	case string:
		s.add(what, v)
	}
}

func (s *searcher) add(what, value string) {
	if s.values == nil {
		s.values, s.forms = map[string]bool{}, map[string]string{}
	}
	if s.values[value] {
		return
	}
	s.values[value] = true
	parts := []string{value}
	if lines := strings.Split(strings.TrimSpace(value), "\n"); len(lines) > 1 {
		for _, line := range lines {
			if len(line) >= least && !strings.HasPrefix(line, "-----") {
				parts = append(parts, line)
			}
		}
	}
	for _, part := range parts {
		for form, text := range formsOf(part) {
			if len(text) >= least {
				s.forms[text] = what + ", " + form
			}
		}
	}
}

// formsOf is a value as programs write it.
func formsOf(v string) map[string]string {
	forms := map[string]string{"raw": v, "hex": hex.EncodeToString([]byte(v)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(v))),
		"query": url.QueryEscape(v), "path": url.PathEscape(v)}
	for name, html := range map[string]bool{"JSON": false, "JSON for HTML": true} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		_ = e.Encode(v)
		text := strings.TrimSpace(b.String())
		forms[name] = text[1 : len(text)-1]
	}
	for name, e := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
		for before := range 3 {
			// Whatever stands before and after: only the characters that depend on nothing else.
			all := e.EncodeToString([]byte(strings.Repeat("\x00", before) + v))
			forms[fmt.Sprintf("%s after %d", name, before)] = all[(before*8+5)/6 : (before+len(v))*8/6]
		}
	}
	return forms
}

func (s *searcher) found(text string) (what []string) {
	for form, of := range s.forms {
		if strings.Contains(text, form) {
			what = append(what, of)
		}
	}
	return what
}

// in fails the test for whatever it finds, and says what and where, never the value.
func (s *searcher) in(t *testing.T, where, text string) {
	t.Helper()
	for _, what := range s.found(text) {
		t.Errorf("%s holds %s", where, what)
	}
}

// TestThePlantedValueIsFoundInEveryForm holds that the search can fail: by itself, inside of other text, and with
// what a command would print.
func TestThePlantedValueIsFoundInEveryForm(t *testing.T) {
	text, err := json.Marshal(planted)
	if err != nil {
		t.Fatal(err)
	}
	s := &searcher{}
	s.secret(t, "planted", string(text))
	if got := s.found("nothing of it, app 5432 -----BEGIN PRIVATE KEY----- Q0FOQVJZ"); len(got) != 0 {
		t.Errorf("found %q where nothing is", got)
	}
	for value := range s.values {
		for before := range 3 {
			for name, line := range printedForms(strings.Repeat("x", before) + value + "y") {
				if len(s.found("12:00 "+name+" "+line+" end")) == 0 {
					t.Errorf("%s after %d isn't found", name, before)
				}
			}
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(pem), "\n")[1:3] {
		if len(s.found("one line: "+line)) == 0 {
			t.Errorf("a line of several isn't found")
		}
	}
	n := newNosyStage(t)
	n.must("init")
	n.world.S3.PutByHand(n.scenario.Bucket, "rotations/2026/11/x/output.txt", []byte("password "+planted["password"].(string)), n.world.Now())
	found := 0
	for _, v := range n.world.S3.Versions(n.scenario.Bucket, "") {
		found += len(n.search.found(string(v.Body)))
	}
	if found == 0 {
		t.Error("a value in the evidence store isn't found")
	}
}

// printedForms is what a command that means no harm prints.
func printedForms(v string) map[string]string {
	j, _ := json.Marshal(v)
	return map[string]string{"raw": v, "json": string(j), "base64": base64.StdEncoding.EncodeToString([]byte(v)),
		"base64url": base64.URLEncoding.EncodeToString([]byte(v)), "hex": hex.EncodeToString([]byte(v)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(v))),
		"query": url.QueryEscape(v), "path": url.PathEscape(v)}
}

// nosy is a smoke test that prints every value it can get hold of, to both streams, and writes down what it was
// given and what its parent was.
func nosy(site, file string) {
	parent, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", os.Getppid()))
	saw, _ := json.Marshal(map[string]any{"args": os.Args, "env": os.Environ(), "parent": string(parent), "err": fmt.Sprint(err)})
	_ = os.WriteFile(file, saw, 0o600)
	res, err := http.Get(site + "/peek")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	all, _ := io.ReadAll(res.Body)
	for value := range strings.SplitSeq(string(all), "\x00") {
		for name, line := range printedForms(value) {
			fmt.Println(name, line)
			fmt.Fprintln(os.Stderr, name, line)
		}
		var leaves map[string]any
		_ = json.Unmarshal([]byte(value), &leaves)
		for key, leaf := range leaves {
			fmt.Printf("%s: %v\n", key, leaf)
			for name, line := range printedForms(fmt.Sprint(leaf)) {
				fmt.Println(name, line)
			}
		}
	}
}
