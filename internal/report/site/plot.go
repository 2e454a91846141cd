package site

import (
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/overdue"
)

// Plots are bars that stretch with the page: places and widths are in percent, so that texts keep their size on a phone.
// Two libraries were tried instead. gonum's plot adds 8 MB to the program (fonts, PDF and LaTeX with it), go-analyze's
// charts 3 MB; both write fixed colours and sizes as style attributes, which the site's policy refuses, know no dark
// dress, and give a reader no names.

// A plot is bars beside each other; its table says the same.
type plot struct {
	ID          string
	Title, Desc string
	Bars        []bar
	Mark        string // percent where a line stands; "" none
	MarkText    string
	Edge        bool // labels stand at the left edges of their bars
	Table       table
}

// AnyOpen says whether a bar has a part that is being rotated.
func (p plot) AnyOpen() bool {
	return slices.ContainsFunc(p.Bars, func(b bar) bool { return b.Open > 0 })
}

// Named says whether the table names secrets.
func (p plot) Named() bool { return len(p.Table.Head) > 3 }

// A bar is one of a plot, in percent of the width and in pixels of the height.
type bar struct {
	X, W, Mid, Left string
	Y, H            int
	Open, OpenY     int // the part of H whose rotation is under way, drawn apart
	Class           string
	Label           string // under it; "" none
	Between         bool   // its label is left out where there is no room: the neighbours' tell
	Count           int
}

// A table is what a plot says, for those who can't see it and those who want numbers.
type table struct {
	Caption string
	Head    []string
	Rows    []tableRow
}

type tableRow struct {
	Name  string
	Cells []string
	Links []link
	More  int // that aren't among Links
}

type link struct{ Text, Href string }

const (
	plotHeight = 132 // pixels of the highest bar
	plotTop    = 22  // room for its number
	mostLinks  = 8   // in one row of a plot's table
)

// drawn gives bars their places.
func drawn(bars []bar) []bar {
	most := 1
	for _, b := range bars {
		most = max(most, b.Count)
	}
	each := 100 / float64(len(bars))
	for i := range bars {
		b := &bars[i]
		b.X, b.W = percent(each*(float64(i)+.1)), percent(each*.8)
		b.Mid, b.Left = percent(each*(float64(i)+.5)), percent(each*float64(i))
		if b.Count > 0 {
			b.H = max(3, b.Count*plotHeight/most)
			b.OpenY = plotTop + plotHeight - b.Open*b.H/b.Count
			b.Open = b.Open * b.H / b.Count
		}
		b.Y = plotTop + plotHeight - b.H
	}
	return bars
}

func percent(f float64) string { return fmt.Sprintf("%.2f%%", f) }

// A slot is a span of the timeline.
type slot struct {
	label, name string
	until       time.Time // zero: no end
	class       string
	count, open int
	first       []link
}

// timeline says when secrets are due: what has passed, the coming twelve months, and later.
func (s *site) timeline() plot {
	now := s.Scan.At
	slots := []slot{{label: "past", name: "Date has passed", until: now, class: "bad"}}
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	for i := range 12 {
		m := month.AddDate(0, i, 0)
		name := m.Format("January 2006")
		if i == 0 {
			name = "Rest of " + name
		}
		slots = append(slots, slot{label: m.Format("Jan"), name: name, until: month.AddDate(0, i+1, 0), class: "due"})
	}
	slots = append(slots, slot{label: "later", name: "Later", class: "due"})
	none := 0
	for i := range s.Scan.Standings {
		one := &s.Scan.Standings[i]
		if one.Due.IsZero() {
			none++
			continue
		}
		n := 0
		for !slots[n].until.IsZero() && !one.Due.Before(slots[n].until) && (n > 0 || one.Due.After(now)) {
			n++
		}
		at := &slots[n]
		at.count++
		if one.Open != nil {
			at.open++
		}
		if len(at.first) < mostLinks {
			at.first = append(at.first, link{one.Secret, s.secret[one.Secret]})
		}
	}
	p := plot{ID: "due", Title: "When secrets are due", Table: table{Caption: "When secrets are due", Head: []string{"When", "Secrets", "Being rotated", "Which"}}}
	coming := 0
	for i, at := range slots {
		p.Bars = append(p.Bars, bar{Label: at.label, Count: at.count, Open: at.open, Class: at.class, Between: i%2 == 1 && i < len(slots)-1 || i == len(slots)-2}) // past, every second month, later
		p.Table.Rows = append(p.Table.Rows, tableRow{at.name, []string{fmt.Sprint(at.count), fmt.Sprint(at.open)}, at.first, at.count - len(at.first)})
		if i > 0 && i <= 12 {
			coming += at.count
		}
	}
	p.Bars = drawn(p.Bars)
	p.Desc = fmt.Sprintf("A bar for each month. Passed: %d. Within twelve months: %d. Later: %d. Unknown: %d.", slots[0].count, coming, slots[13].count, none)
	return p
}

// ages holds ages against intervals: each secret once, by its most urgent environment, in tenths of its interval.
func (s *site) ages() plot {
	const bins = 16 // the last one for all beyond 150 %
	var counts, open [bins]int
	none, beyond := 0, 0
	for i := range s.Scan.Standings {
		one := &s.Scan.Standings[i]
		share, known := s.share(one.Here, one)
		if !known {
			none++
			continue
		}
		n := min(max(share/10, 0), bins-1)
		if counts[n]++; one.Open != nil {
			open[n]++
		}
		if share >= 100 {
			beyond++
		}
	}
	p := plot{ID: "ages", Title: "Ages against intervals", Mark: percent(100 * 10 / float64(bins)), MarkText: "interval", Edge: true,
		Table: table{Caption: "Ages against intervals", Head: []string{"Age, of the interval", "Secrets", "Being rotated"}}}
	for i := range bins {
		b := bar{Count: counts[i], Open: open[i], Class: "good"}
		name := fmt.Sprintf("%d to %d %%", i*10, i*10+10)
		switch {
		case i == bins-1:
			name, b.Class = "150 % and more", "bad"
		case i >= 10:
			b.Class = "bad"
		case i == 9:
			b.Class = "soon"
		}
		if i%5 == 0 {
			b.Label = fmt.Sprintf("%d%%", i*10)
		}
		p.Bars = append(p.Bars, b)
		p.Table.Rows = append(p.Table.Rows, tableRow{Name: name, Cells: []string{fmt.Sprint(counts[i]), fmt.Sprint(open[i])}})
	}
	p.Bars = drawn(p.Bars)
	p.Desc = fmt.Sprintf("Each secret by how much of its interval has passed, a bar for each tenth. Older than the interval: %d. Younger: %d. Unknown: %d.", beyond,
		len(s.Scan.Standings)-beyond-none, none)
	return p
}

// share is how old something is in percent of its interval.
func (s *site) share(h overdue.Here, one *overdue.Standing) (n int, known bool) {
	if h.Age == nil || one.Interval.IsZero() {
		return 0, false
	}
	whole := one.Interval.After(h.Age.Since).Sub(h.Age.Since)
	return int(100 * s.Scan.At.Sub(h.Age.Since) / whole), true
}
