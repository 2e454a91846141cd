// Package registry owns ops/config/registry.md: which secrets there are, who owns them, how often they rotate and
// where they live. People read the page on GitHub; this package reads what they see. It calls nothing, and a row
// it can't understand is a problem, never a guess.
package registry

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/problem"
)

// A Registry is all rows of all its files, in order.
type Registry struct {
	Entries []Entry
	Files   []string // paths, in the order read

	at       map[string]int
	children map[string][]string // by secret: those derived from it, in the order of their rows
}

// An Entry is one secret.
type Entry struct {
	Secret      string            // its name: payments/stripe-webhook
	Kind        string            // how it rotates: secretsmanager
	Owner       string            // @user or @org/team
	Interval    calendar.Interval // how often
	LastRotated time.Time         // midnight UTC; zero where the page says never, or nothing
	Tags        []string          //
	Due         Mark              // it is due since that day, whatever its age, until it was rotated after that
	Exempt      Mark              // until that day it needn't rotate
	Extra       map[string]string // further columns by header, as written; empty cells left out
	Pos         problem.Pos       // of the name in its row
	// DerivedFrom are the secrets that it is made from, or that whoever has them can get it by.
	DerivedFrom []string
	// Environments says where it lives. nil: no block, the secret is tracked for age and can't be rotated.
	Environments map[string]*Environment

	derived        []problem.Text // DerivedFrom, as written
	page           *page
	kindAt, lastAt int // bytes in the page
	lastEnd        int // where the cell of LastRotated ends; 0: there is none, or nobody can tell what it says
}

// A Mark is a day, midnight UTC, and why a person wrote it there. The zero Mark is none.
type Mark struct {
	Date time.Time
	Why  string
}

// An Environment is where a secret lives in one environment.
type Environment struct {
	Target      json.RawMessage // the kind's shape as JSON; the same text for the same meaning
	TargetShape any             // the kind's shape
	Consumers   []Use           // in order
	Checks      []Use           // in order
	UsedBy      []string        // users that nothing finds, in words, in order
	Pos         problem.Pos     // of the environment's name in the block
}

// A Use is one check or consumer.
type Use = config.Use

// Shapes makes fresh shapes to decode into, by name: of kinds, consumers and checks. What isn't in it is unknown.
// See problem.Decode for what a shape is; one that is Identified can be recognised in two rows.
type Shapes struct {
	Kinds, Consumers, Checks map[string]func() any
}

// Identified is a shape that can say which one thing it names: two targets with the same identity in one account
// and region are one target.
type Identified interface{ Identity() string }

// A File is a registry file to parse.
type File struct {
	Path  string
	Bytes []byte
}

// Find finds a secret by name.
func (r *Registry) Find(secret string) (*Entry, bool) {
	i, ok := r.at[secret]
	if !ok {
		return nil, false
	}
	return &r.Entries[i], true
}

// Names are all secrets, in the order of their rows.
func (r *Registry) Names() []string {
	names := make([]string, len(r.Entries))
	for i := range r.Entries {
		names[i] = r.Entries[i].Secret
	}
	return names
}

// Tagged are the secrets with a tag, in the order of their rows.
func (r *Registry) Tagged(tag string) (names []string) {
	for i := range r.Entries {
		if slices.Contains(r.Entries[i].Tags, tag) {
			names = append(names, r.Entries[i].Secret)
		}
	}
	return names
}

// Slug is a secret's name as part of a file name: payments-stripe-webhook. No two entries share one.
func Slug(secret string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '.' || r == '_' {
			return '-'
		}
		return r
	}, secret)
}

// Parse reads the registry's files. What is wrong in them is added to l; rows without a usable name are left out.
func Parse(files []File, shapes Shapes, l *problem.List) *Registry {
	r := &Registry{at: map[string]int{}}
	slugs := map[string]int{}
	var blocks []block
	for _, f := range files {
		r.Files = append(r.Files, f.Path)
		p := newPage(f, l)
		rows := p.read()
		if r.Entries = slices.Grow(r.Entries, len(rows)); len(r.at) == 0 {
			r.at, slugs = make(map[string]int, len(rows)), make(map[string]int, len(rows))
		}
		for _, e := range rows {
			e.page = p
			first, twice := r.at[e.Secret]
			slug := Slug(e.Secret)
			other, sameSlug := slugs[slug]
			switch {
			case twice:
				l.Add(e.Pos, "duplicate-row", "remove one of the two", "%s is already in the registry (%s)",
					problem.Quote(e.Secret), r.Entries[first].Pos)
				continue
			case sameSlug:
				l.Add(e.Pos, "duplicate-row", "their requests would have the same file name; rename one",
					"%s is too like %s (%s)", problem.Quote(e.Secret), problem.Quote(r.Entries[other].Secret), r.Entries[other].Pos)
			}
			r.at[e.Secret], slugs[slug] = len(r.Entries), len(r.Entries)
			r.Entries = append(r.Entries, e)
		}
		blocks = append(blocks, p.blocks...)
	}
	r.kinds(shapes, l)
	r.blocks(blocks, shapes, l)
	r.derivations(l)
	return r
}

func (r *Registry) kinds(shapes Shapes, l *problem.List) {
	for i := range r.Entries {
		e := &r.Entries[i]
		if _, known := shapes.Kinds[e.Kind]; !known && e.Kind != "" {
			l.Add(e.page.pos(e.kindAt), "unknown-kind", l.SuggestOf(e.Kind, "there are", names(shapes.Kinds)), "no kind %s", problem.Quote(e.Kind))
		}
	}
}
