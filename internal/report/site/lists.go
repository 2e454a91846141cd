package site

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/overdue"
)

// perPage is how many rows one page lists: some 100 kB.
const perPage = 250

// A span is one page of a list, and the way to its neighbours.
type span struct {
	Heading      string
	From, To, Of int    // numbers of its rows
	Before, Next string // pages; "" there is none
	N, Pages     int
}

// rows are those of a span.
func rows[T any](all []T, p span) []T { return all[p.From-1 : p.To] }

// paged adds the pages of a list of n: base.html, base.2.html and so on. No other name has a dot before its ending.
func (s *site) paged(base, nav, title, by string, n int, body func(span) any) {
	pages := max(1, (n+perPage-1)/perPage)
	for i := 1; i <= pages; i++ {
		p := span{Heading: title, From: (i-1)*perPage + 1, To: min(i*perPage, n), Of: n, N: i, Pages: pages}
		if i > 1 {
			p.Before = listName(base, i-1)
		}
		if i < pages {
			p.Next = listName(base, i+1)
		}
		if pages > 1 {
			p.Heading = fmt.Sprintf("%s, page %d of %d", title, i, pages)
		}
		s.html(listName(base, i), nav, p.Heading, by, func() any { return body(p) })
	}
}

func listName(base string, n int) string {
	if n == 1 {
		return base + ".html"
	}
	return fmt.Sprintf("%s.%d.html", base, n)
}

// A list is one page of secrets.
type list struct {
	span
	Lead  string
	Rows  []row
	Leads []link // to all pages, on the first of several
}

// lists adds the pages that list secrets: all by name, each state's, each owner's; and the owners.
func (s *site) lists() {
	all := make([]*overdue.Standing, len(s.Scan.Standings))
	states := map[overdue.State][]*overdue.Standing{}
	owners := map[string][]*overdue.Standing{}
	for i := range s.Scan.Standings {
		one := &s.Scan.Standings[i]
		all[i] = one
		states[one.State] = append(states[one.State], one)
		owners[one.Owner] = append(owners[one.Owner], one)
	}
	slices.SortStableFunc(all, func(a, b *overdue.Standing) int { return cmp.Compare(a.Secret, b.Secret) })
	s.list("secrets", "All secrets", "By name.", all)
	for _, state := range overdue.States {
		if len(states[state]) > 0 {
			s.list("state/"+slug(state), "Secrets: "+string(state), upper(means[state])+". The most urgent first.", states[state])
		}
	}
	for _, owner := range slices.Sorted(maps.Keys(owners)) {
		s.list(s.owner[owner], "Secrets of "+cmp.Or(owner, "nobody"), "The most urgent first.", owners[owner])
	}
	s.paged("owners", "secrets", "Owners", "owners", len(owners), func(p span) any {
		return ownerList{p, rows(s.owners(), p)}
	})
}

func slug(s overdue.State) string { return strings.ReplaceAll(string(s), " ", "-") }

func (s *site) list(base, title, lead string, of []*overdue.Standing) {
	s.paged(base, "secrets", title, "list", len(of), func(p span) any {
		l := list{span: p, Lead: lead}
		for _, one := range rows(of, p) {
			l.Rows = append(l.Rows, s.row(one))
		}
		for n := 1; p.N == 1 && p.Pages > 1 && n <= p.Pages; n++ {
			l.Leads = append(l.Leads, link{of[(n-1)*perPage].Secret, listName(base, n)})
		}
		return l
	})
}

// A row is a secret in a list.
type row struct {
	Secret, Href     string
	State            overdue.State
	Where, Due       string
	Days             int // of age; -1: unknown
	Interval         string
	Owner, OwnerHref string
	Why              string
}

func (s *site) row(one *overdue.Standing) row {
	return row{Secret: one.Secret, Href: s.secret[one.Secret], State: one.State, Where: one.Environment, Due: day(one.Due), Days: s.days(one.Age),
		Interval: one.Interval.String(), Owner: one.Owner, OwnerHref: s.owner[one.Owner] + ".html", Why: one.Why}
}

// days is an age in whole days; -1: nobody knows.
func (s *site) days(a *overdue.Age) int {
	if a == nil {
		return -1
	}
	return int(s.Scan.At.Sub(a.Since).Hours() / 24)
}

// An ownerRow counts one owner's secrets, by state.
type ownerRow struct {
	Owner, Href string
	Total       int
	Counts      []int // in the order of overdue.States
}

type ownerList struct {
	span
	Rows []ownerRow
}

// owners are all, those first whose secrets need somebody.
func (s *site) owners() (all []ownerRow) {
	at := map[string]int{}
	for i := range s.Scan.Standings {
		one := &s.Scan.Standings[i]
		n, known := at[one.Owner]
		if !known {
			n = len(all)
			at[one.Owner] = n
			all = append(all, ownerRow{Owner: one.Owner, Href: s.owner[one.Owner] + ".html", Counts: make([]int, len(overdue.States))})
		}
		all[n].Total++
		all[n].Counts[slices.Index(overdue.States, one.State)]++
	}
	slices.SortFunc(all, func(a, b ownerRow) int {
		return cmp.Or(cmp.Compare(b.Counts[0]+b.Counts[1], a.Counts[0]+a.Counts[1]), cmp.Compare(b.Counts[2]+b.Counts[3], a.Counts[2]+a.Counts[3]), cmp.Compare(a.Owner, b.Owner))
	})
	return all
}

// A rotationRow is a rotation in a list.
type rotationRow struct {
	Rotation, Href     string
	Secret, SecretHref string
	Headline           string
	Over               bool
	Last               time.Time // of its records; zero: none
}

func (s *site) rotationRow(r *Rotation) rotationRow {
	v := rotationRow{Rotation: r.View.Rotation, Href: s.page(of(r)), Secret: r.View.Secret, SecretHref: s.secret[r.View.Secret], Headline: r.View.Headline(), Over: r.View.Over()}
	for _, st := range r.View.Environments {
		if st.At().After(v.Last) {
			v.Last = st.At()
		}
	}
	return v
}

type rotationList struct {
	span
	Rows []rotationRow
}

// order is that of rotations in lists: those that need a person, others under way, then what is over.
func (s *site) order() []*Rotation {
	all := make([]*Rotation, len(s.Rotations))
	for i := range s.Rotations {
		all[i] = &s.Rotations[i]
	}
	slices.SortStableFunc(all, func(a, b *Rotation) int {
		switch over := a.View.Over(); {
		case over == b.View.Over():
			return cmp.Or(cmp.Compare(b.View.Urgent(), a.View.Urgent()), cmp.Compare(b.View.Rotation, a.View.Rotation), cmp.Compare(a.View.Secret, b.View.Secret))
		case over:
			return 1
		}
		return -1
	})
	return all
}

// rotationLists adds the list of rotations.
func (s *site) rotationLists() {
	order := s.order()
	s.paged("rotations", "rotations", "Rotations", "rotations", len(order), func(p span) any {
		l := rotationList{span: p}
		for _, r := range rows(order, p) {
			l.Rows = append(l.Rows, s.rotationRow(r))
		}
		return l
	})
}

// A findingRow is a finding with the page of its secret.
type findingRow struct {
	overdue.Finding
	Href   string
	Source string
}

type findingList struct {
	span
	Rows []findingRow
}

// findingLists adds what differs, by rule.
func (s *site) findingLists() {
	s.paged("findings", "findings", "Findings", "findings", len(s.Scan.Findings), func(p span) any {
		l := findingList{span: p}
		for _, f := range rows(s.Scan.Findings, p) {
			l.Rows = append(l.Rows, findingRow{f, s.secret[f.Secret], s.source(f.File, f.Line)})
		}
		return l
	})
}
