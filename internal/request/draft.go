package request

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/problem"
)

// A Draft is a request to be proposed.
type Draft struct {
	Secrets []string
	Ticket  string // "" leaves it to a person: lint says so until it is there
	Why     string // one line, as a comment
	Windows []Proposal
}

// A Proposal is a window for one environment.
type Proposal struct {
	Environment string
	From        time.Time
}

// long is how long a proposed window is open: scheduled runs come late.
const long = 2 * time.Hour

// Propose is a window for each environment that needs one, of those that a secret of the draft has: the next working
// night, or where there are hours their next opening, from after on.
func Propose(c *config.Config, has func(environment string) bool, after time.Time) (all []Proposal) {
	for _, e := range c.Environments {
		if e.Window == "" || !has(e.Name) {
			continue
		}
		from := time.Date(after.Year(), after.Month(), after.Day()+1, 2, 0, 0, 0, time.UTC)
		for from.Weekday() == time.Saturday || from.Weekday() == time.Sunday || from.Weekday() == time.Monday {
			from = from.AddDate(0, 0, 1) // the night before a working day, and a working day before it
		}
		if h := e.Hours.Rotation(); h != nil {
			if at, _, ever := calendar.Opens(nil, h, from); ever {
				from = at.UTC()
			}
		}
		all = append(all, Proposal{e.Name, from})
	}
	return all
}

// Text is the request as YAML. Names of secrets and environments need no quotes; the ticket has them.
func (d Draft) Text() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", strings.Join(strings.Fields(d.Why), " "))
	if len(d.Secrets) == 1 {
		fmt.Fprintf(&b, "secret: %s\n", d.Secrets[0])
	} else {
		b.WriteString("secrets:\n")
		for _, s := range d.Secrets {
			fmt.Fprintf(&b, "  - %s\n", s)
		}
	}
	if d.Ticket == "" {
		b.WriteString("ticket: # the approval ticket goes here\n")
	} else {
		fmt.Fprintf(&b, "ticket: %q\n", d.Ticket)
	}
	b.WriteString("reason: scheduled\n")
	for i, w := range d.Windows {
		if i == 0 {
			b.WriteString("window:\n")
		}
		fmt.Fprintf(&b, "  %s: %s/PT%dH\n", w.Environment, w.From.UTC().Format("2006-01-02T15:04Z"), int(long.Hours()))
	}
	return []byte(b.String())
}

// Stands says whether a request that was proposed before is still good for these secrets at now: it names just them, can
// still begin for as long as half of what the house allows, and none of its windows is about to pass. What people wrote
// into it besides stays theirs.
func Stands(c *config.Config, path string, text []byte, secrets []string, now time.Time) bool {
	var found problem.List
	r := Parse(c.Requests, path, text, &found)
	if r.Date.IsZero() || now.After(r.Date.Add(time.Duration(c.Policy.StartWithin)/2)) {
		return false
	}
	var named []string
	for _, t := range r.file.Secrets {
		named = append(named, t.Value)
	}
	if r.file.Secret.Value != "" {
		named = append(named, r.file.Secret.Value)
	}
	slices.Sort(named)
	if !slices.Equal(named, slices.Sorted(slices.Values(secrets))) {
		return false
	}
	for _, w := range r.Windows {
		if !now.Add(12 * time.Hour).Before(w.To) {
			return false
		}
	}
	return true
}
