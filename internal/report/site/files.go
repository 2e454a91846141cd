package site

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/rastup/rekey/internal/overdue"
)

// A shield is the badge: two texts beside each other.
type shield struct {
	Name, Says       string
	Color            string
	Left, Right, All int // widths in pixels
	LeftMid          int
	RightMid         int
}

// badge says in a few words and a colour how things are. GitHub shows it by its address in a README.
func (s *site) badge(w io.Writer) error {
	b := shield{Name: "secret rotation", Says: "no secrets", Color: "#5c6470"}
	stuck, late := s.Scan.Count(overdue.Stuck), s.Scan.Count(overdue.Overdue)
	unknown, soon := s.Scan.Count(overdue.Unknown), s.Scan.Count(overdue.DueSoon)
	switch {
	case stuck > 0 && late > 0:
		b.Says, b.Color = fmt.Sprintf("%d overdue, %d stuck", late, stuck), "#b91c1c"
	case stuck > 0:
		b.Says, b.Color = fmt.Sprintf("%d stuck", stuck), "#b91c1c"
	case late > 0:
		b.Says, b.Color = fmt.Sprintf("%d overdue", late), "#b91c1c"
	case unknown > 0:
		b.Says, b.Color = fmt.Sprintf("%d unknown", unknown), "#8a5a00"
	case soon > 0:
		b.Says, b.Color = fmt.Sprintf("%d due soon", soon), "#8a5a00"
	case len(s.Scan.Standings) > 0:
		b.Says, b.Color = "all current", "#1a7f37"
	}
	const letter = 65 // tenths of a pixel, of an average letter at 11 px
	b.Left, b.Right = 12+utf8.RuneCountInString(b.Name)*letter/10, 12+utf8.RuneCountInString(b.Says)*letter/10
	b.All, b.LeftMid, b.RightMid = b.Left+b.Right, b.Left/2, b.Left+b.Right/2
	return s.made["badge"].ExecuteTemplate(w, "badge.html", b)
}

// data is the scan as `rekey overdue --format json` prints it, a secret a line: so it is never in memory as a whole.
func (s *site) data(w io.Writer) error {
	at, err := json.Marshal(s.Scan.At)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, `{"at":%s,"secrets":[`, at); err != nil {
		return err
	}
	comma := "\n"
	for i := range s.Scan.Standings {
		if err := item(w, comma, &s.Scan.Standings[i]); err != nil {
			return err
		}
		comma = ",\n"
	}
	if _, err := io.WriteString(w, `],"findings":[`); err != nil {
		return err
	}
	comma = "\n"
	for i := range s.Scan.Findings {
		if err := item(w, comma, &s.Scan.Findings[i]); err != nil {
			return err
		}
		comma = ",\n"
	}
	_, err = io.WriteString(w, "]}\n")
	return err
}

func item(w io.Writer, comma string, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s%s", comma, b)
	}
	return err
}
