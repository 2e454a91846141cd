package site_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/report/site"
)

func TestGoldens(t *testing.T) {
	files := made(t, sample())
	golden(t, "index.html", files["index.html"])
	golden(t, "secret.html", files["secret/payments-stripe-webhook.html"])
	golden(t, "rotation.html", files["rotation/2026-11-23-payments-stripe-webhook-payments-stripe-webhook.html"])
	golden(t, "badge.svg", files["badge.svg"])
}

// hostile is a scan in which every text is hostile, and names of files would meet.
func hostile() site.Data {
	h := reporttest.Hostile
	names := []string{h, h + "2", "../../etc/passwd", "a/b", "a.b", "A/b", "a-b", "", ".", "..", "index", `"><img src=x onerror=alert(1)>`, "javascript:alert(1)", strings.Repeat("long/", 80), "\u202e\u0301\u0301\u0301"}
	var d site.Data
	d.Scan.At, d.Since, d.Repository, d.History = now, days(9), "javascript:alert(1)//", map[string][]site.Past{}
	for i, name := range names {
		here := overdue.Here{Environment: h, State: overdue.States[i%len(overdue.States)], Why: h, Due: days(i*20 - 100), Age: &overdue.Age{Since: days(i * 30), Source: overdue.Source(h), Text: h},
			Open: &overdue.Open{Rotation: h, Path: h, Pull: 3, Short: h, Why: h, Moved: now}}
		d.Scan.Standings = append(d.Scan.Standings, overdue.Standing{Secret: name, Kind: h, Owner: name, Tags: []string{h}, File: h, Here: here, Places: []overdue.Here{here}})
		d.History[name] = []site.Past{{Rotation: h, Stood: h, Evidence: []site.Evidence{{Environment: h, Label: h, URL: "javascript:alert(1)"}, {Environment: h, Label: h, URL: "http://evil.example/"},
			{Label: h, URL: "https://user@evil.example/"}, {Label: h, URL: `https://a.example/"onclick=alert(1)`}}}}
	}
	d.Scan.Findings = []overdue.Finding{{Rule: h, Secret: h, Environment: h, Text: h, Hint: h, File: h}}
	for _, c := range reporttest.Cases() {
		if c.Name == "hostile" {
			d.Rotations = append(d.Rotations, site.Rotation{View: c.View(), Evidence: []site.Evidence{{Environment: "dev", Label: h, URL: "data:text/html,x"}}})
		}
	}
	return d
}

var (
	fileName = regexp.MustCompile(`^(?:(?:secret|owner|state|rotation)/)?[a-z0-9][a-z0-9-]*(?:\.[0-9]+)?\.(?:html|css|svg|json)$`)
	// what the pages are made of; attributes in quotes
	element  = regexp.MustCompile(`<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z-]+[0-9]?(?:="[^"<>]*")?)*)\s*(/?)>`)
	attr     = regexp.MustCompile(`([a-zA-Z0-9-]+)(?:="([^"]*)")?`)
	elements = " html head meta title link body a header nav ul li main footer p time code h1 h2 h3 span dl div dt dd table caption thead tbody tr th td svg rect line text desc defs pattern figure figcaption details summary "
	attrs    = " lang charset http-equiv content name rel type href class id aria-label aria-labelledby aria-current aria-hidden tabindex datetime role scope data-label width height x y x1 x2 y1 y2 dx dy rx fill patternunits patterntransform "
)

// Whatever things are called, a page is made of its own elements only, loads nothing, and leads to https or to a file.
func TestHostileTextsStayTexts(t *testing.T) {
	for name, d := range map[string]site.Data{"hostile": hostile(), "sample": sample()} {
		files := made(t, d)
		for file, body := range files {
			if !fileName.MatchString(file) && file != ".nojekyll" {
				t.Errorf("%s: file %q", name, file)
			}
			if !strings.HasSuffix(file, ".html") {
				continue
			}
			text := strings.TrimPrefix(string(body), "<!DOCTYPE html>")
			for _, m := range element.FindAllStringSubmatch(text, -1) {
				if !strings.Contains(elements, " "+m[2]+" ") {
					t.Errorf("%s: element %s", file, m[0])
				}
				for _, a := range attr.FindAllStringSubmatch(m[3], -1) {
					if !strings.Contains(attrs, " "+strings.ToLower(a[1])+" ") {
						t.Errorf("%s: attribute %s of %s", file, a[1], m[0])
					}
					if a[1] == "href" {
						leads(t, files, file, a[2])
					}
				}
			}
			if rest := element.ReplaceAllString(text, ""); strings.ContainsAny(rest, "<>") {
				at := strings.IndexAny(rest, "<>")
				t.Errorf("%s: %q outside of elements", file, rest[max(0, at-40):min(len(rest), at+60)])
			}
		}
	}
}

// leads fails where a link goes neither to a file of the site nor to https.
func leads(t *testing.T, files map[string][]byte, from, href string) {
	t.Helper()
	switch {
	case strings.HasPrefix(href, "https://"), strings.HasPrefix(href, "#main"):
	case files[path.Join(path.Dir(from), href)] == nil, strings.Contains(href, ":"):
		t.Errorf("%s leads to %q", from, href)
	}
}

// The images are XML, and say what they show as text, too.
func TestBadge(t *testing.T) {
	state := func(states ...overdue.State) (d site.Data) {
		for i, s := range states {
			d.Scan.Standings = append(d.Scan.Standings, overdue.Standing{Secret: fmt.Sprint("s", i), Here: overdue.Here{State: s}})
		}
		return d
	}
	for want, d := range map[string]site.Data{
		"no secrets #5c6470":         {},
		"all current #1a7f37":        state(overdue.Current, overdue.Exempt, overdue.InProgress),
		"1 due soon #8a5a00":         state(overdue.DueSoon, overdue.Current),
		"1 unknown #8a5a00":          state(overdue.DueSoon, overdue.Unknown),
		"2 overdue #b91c1c":          state(overdue.Overdue, overdue.Overdue, overdue.DueSoon),
		"1 stuck #b91c1c":            state(overdue.Stuck, overdue.Current),
		"1 overdue, 1 stuck #b91c1c": state(overdue.Stuck, overdue.Overdue),
	} {
		files := made(t, d)
		badge := string(files["badge.svg"])
		says, color := want[:len(want)-8], want[len(want)-7:]
		if !strings.Contains(badge, "<title>secret rotation: "+says+"</title>") || !strings.Contains(badge, color) {
			t.Errorf("no %s in %s", want, badge)
		}
		for _, name := range []string{"badge.svg", "icon.svg"} {
			x := xml.NewDecoder(bytes.NewReader(files[name]))
			for {
				if _, err := x.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
	}
}

// data.json is the scan, as `rekey overdue --format json` has it.
func TestDataIsTheScan(t *testing.T) {
	for _, d := range []site.Data{sample(), hostile(), {Scan: overdue.Scan{Standings: []overdue.Standing{}, Findings: []overdue.Finding{}}}} {
		want, err := json.Marshal(d.Scan)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := json.Compact(&got, made(t, d)["data.json"]); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func TestTheSameDataGivesTheSameBytes(t *testing.T) {
	if diff := cmp.Diff(made(t, sample()), made(t, sample())); diff != "" {
		t.Error(diff)
	}
}

// Each page has one first heading, none is left out below it, and tables and plots have names.
func TestPagesCanBeReadAloud(t *testing.T) {
	heading := regexp.MustCompile(`<h([1-6])[ >]`)
	for _, d := range []site.Data{sample(), {}} {
		for name, body := range made(t, d) {
			if !strings.HasSuffix(name, ".html") {
				continue
			}
			text, level := string(body), "0"
			for i, m := range heading.FindAllStringSubmatch(text, -1) {
				if i == 0 && m[1] != "1" || i > 0 && m[1] == "1" || m[1][0] > level[0]+1 {
					t.Errorf("%s: heading %s after %s", name, m[1], level)
				}
				level = m[1]
			}
			if level == "0" {
				t.Errorf("%s has no heading", name)
			}
			if a, b := strings.Count(text, "<table"), strings.Count(text, "<caption>"); a != b {
				t.Errorf("%s: %d tables, %d captions", name, a, b)
			}
			for _, m := range regexp.MustCompile(`<svg[^>]*>`).FindAllString(text, -1) {
				if !strings.Contains(m, `aria-hidden="true"`) && !regexp.MustCompile(`role="img" aria-labelledby="[a-z]+-title [a-z]+-desc"`).MatchString(m) {
					t.Errorf("%s: %s has no name", name, m)
				}
			}
			if regexp.MustCompile(`<th(?: role="[a-z]+")?>`).MatchString(text) {
				t.Errorf("%s: a head of a table doesn't say of what", name)
			}
		}
	}
}

// What is written in the style's colours can be read: WCAG 2.2 wants a contrast of 4.5 for texts, in both dresses.
func TestColorsCanBeReadInBothDresses(t *testing.T) {
	css := string(made(t, sample())["style.css"])
	light, rest, _ := strings.Cut(css, "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "* {")
	checked := 0
	for name, dress := range map[string]string{"light": light, "dark": dark} {
		color := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(dress, -1) {
			color[m[1]] = luminance(t, m[2])
		}
		for _, pair := range []string{"text page", "text raised", "muted page", "muted raised", "link page", "link raised", "bad page", "good page", "open page",
			"bad bad-back", "soon soon-back", "open open-back", "unknown unknown-back", "good good-back", "text bad-back", "text soon-back", "muted bad-back", "link soon-back"} {
			a, b, _ := strings.Cut(pair, " ")
			contrast := (max(color[a], color[b]) + .05) / (min(color[a], color[b]) + .05)
			if contrast < 4.5 {
				t.Errorf("%s: %s on %s has %.2f", name, a, b, contrast)
			}
			checked++
		}
	}
	if checked != 36 {
		t.Errorf("%d pairs checked", checked)
	}
}

// luminance is WCAG's relative luminance of a colour.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	part := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= .04045 {
			return c / 12.92
		}
		return math.Pow((c+.055)/1.055, 2.4)
	}
	return .2126*part(16) + .7152*part(8) + .0722*part(0)
}
