// Package site owns the report as a static site: an overview with due dates and ages, every secret with its history,
// every rotation with its steps, what differs, a badge, and the scan for programs. It needs nothing from outside and no
// scripts: it can lie on GitHub Pages, in an artifact or in a folder.
//
// It is pure: pages are made one at a time when they are asked for, so that memory doesn't grow with their number. Every
// text may be hostile: html/template escapes it where it stands, links lead to https or to a page of the site, and file
// names are letters, digits and hyphens whatever a secret is called.
package site

import (
	"bytes"
	"embed"
	"html/template"
	"io"
	"time"

	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/report"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed templates/style.css
var style []byte

// Data is what the site shows. It isn't changed.
type Data struct {
	Scan       overdue.Scan
	Rotations  []Rotation        // open ones, what can begin, and what was closed lately
	History    map[string][]Past // by secret, the latest first
	Since      time.Time         // what began before isn't in History
	Repository string            // its page: https://github.com/owner/name; "" unknown
}

// A Rotation is one secret's, with where its evidence is.
type Rotation struct {
	View     report.View // lasting: no text of it may count from now
	Evidence []Evidence  // of the environments with records, in order
}

// A Past is a rotation that has begun, as its bundle has it.
type Past struct {
	Rotation string
	Attempt  int
	Closed   time.Time // zero: it is open
	Stood    string    // how it ended, in a few words; "" it hasn't
	Evidence []Evidence
}

// Evidence is where an environment's bundle lies.
type Evidence struct {
	Environment string
	Label       string
	URL         string    // "" it is in no place that has one
	Locked      time.Time // until then nobody can delete it; zero: unknown, or it isn't locked
}

// A Page is one file of the site.
type Page struct {
	Name  string // with "/"; of letters, digits, hyphens and dots
	Write func(io.Writer) error
}

// Pages are all files of the site, the overview first. Each is made when it is written, and in any order; the same data
// gives the same bytes.
func Pages(d Data) ([]Page, error) {
	s, err := newSite(d)
	if err != nil {
		return nil, err
	}
	s.html("index.html", "", "Secret rotation", "index", func() any { return s.overview() })
	s.lists()
	s.rotationLists()
	s.findingLists()
	for i := range d.Scan.Standings {
		one := &d.Scan.Standings[i]
		s.html(s.secret[one.Secret], "secrets", one.Secret, "secret", func() any { return s.onSecret(one) })
	}
	for i := range d.Rotations {
		r := &d.Rotations[i]
		s.html(s.rotationPage[i], "rotations", r.View.Rotation+" of "+r.View.Secret, "rotation", func() any { return s.onRotation(r) })
	}
	s.file("style.css", func(w io.Writer) error { _, err := w.Write(style); return err })
	s.file("icon.svg", func(w io.Writer) error { _, err := io.WriteString(w, icon); return err })
	s.file("badge.svg", s.badge)
	s.file("data.json", s.data)
	s.file(".nojekyll", func(io.Writer) error { return nil }) // GitHub Pages: there is nothing to build
	return s.pages, nil
}

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="5" cy="8" r="3.5" fill="none" stroke="#2563eb" stroke-width="2"/><path d="M8 8h7M12 8v3" stroke="#2563eb" stroke-width="2"/></svg>
`

// A site is the pages to be, and where everything is.
type site struct {
	Data
	pages        []Page
	made         map[string]*template.Template
	secret       map[string]string // page, by name
	owner        map[string]string // likewise
	rotation     map[rotated]int   // which of Rotations
	rotationPage []string          // of each of Rotations
	about        map[string][]int  // findings in the scan, by secret
}

// rotated is one secret's rotation.
type rotated struct{ secret, rotation string }

// page is where a rotation is; "" it has none.
func (s *site) page(r rotated) string {
	if i, ok := s.rotation[r]; ok {
		return s.rotationPage[i]
	}
	return ""
}

func of(r *Rotation) rotated { return rotated{r.View.Secret, r.View.Rotation} }

func newSite(d Data) (*site, error) {
	s := &site{Data: d, made: map[string]*template.Template{}, secret: make(map[string]string, len(d.Scan.Standings)), owner: map[string]string{},
		rotation: map[rotated]int{}, about: map[string][]int{}}
	base, err := template.New("layout.html").Funcs(words).ParseFS(templates, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"index", "list", "secret", "rotation", "rotations", "findings", "owners", "badge"} {
		one, err := base.Clone()
		if err == nil {
			one, err = one.ParseFS(templates, "templates/"+name+".html")
		}
		if err != nil {
			return nil, err
		}
		s.made[name] = one
	}
	var secrets, owners, rotations names
	for _, one := range d.Scan.Standings {
		s.secret[one.Secret] = "secret/" + secrets.take(one.Secret) + ".html"
		if s.owner[one.Owner] == "" {
			s.owner[one.Owner] = "owner/" + owners.take(one.Owner)
		}
	}
	for i := range d.Rotations {
		r := &d.Rotations[i]
		s.rotation[of(r)] = i
		s.rotationPage = append(s.rotationPage, "rotation/"+rotations.take(r.View.Rotation+" "+r.View.Secret)+".html")
	}
	for i, f := range d.Scan.Findings {
		if f.Secret != "" {
			s.about[f.Secret] = append(s.about[f.Secret], i)
		}
	}
	return s, nil
}

func (s *site) file(name string, write func(io.Writer) error) {
	s.pages = append(s.pages, Page{name, write})
}

// A layout is what every page has.
type layout struct {
	Title, Nav string
	Root       string // leads to the folder of index.html
	At         time.Time
	Body       any
}

// html adds a page made by a template. body is called when the page is written.
func (s *site) html(name, nav, title, by string, body func() any) {
	l := layout{Title: title, Nav: nav, At: s.Scan.At}
	for range bytes.Count([]byte(name), []byte("/")) {
		l.Root += "../"
	}
	s.file(name, func(w io.Writer) error {
		l := l
		l.Body = body()
		return s.made[by].ExecuteTemplate(w, "layout.html", l)
	})
}
