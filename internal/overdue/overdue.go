// Package overdue owns what state a secret is in: how old what is live there is and by whose word, when it is due, and
// whether a rotation of it is under way or stuck. What it is told comes from the registry, from the services and from the
// journal; it is pure, reads no clock and calls nobody.
//
// An age is a date with its source, never a number by itself. Where sources differ the services are believed, and the
// difference is drift. What nobody can tell is unknown, never current.
package overdue

import (
	"cmp"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/calendar"
)

// A State is what a secret, or one environment of it, is in.
type State string

// The states, the most urgent first.
const (
	Stuck      State = "stuck"       // a rotation is open, and nothing moves
	Overdue    State = "overdue"     // its date has passed, and no rotation is open
	Unknown    State = "unknown"     // nobody can tell how old it is
	DueSoon    State = "due soon"    //
	InProgress State = "in progress" // a rotation is open
	Current    State = "current"     //
	Exempt     State = "exempt"      // it needn't rotate, for a reason and until a day
)

// States are all, the most urgent first.
var States = []State{Stuck, Overdue, Unknown, DueSoon, InProgress, Current, Exempt}

// A Source is whose word an age is.
type Source string

// The sources, the most trusted first.
const (
	Live     Source = "live"     // the service that holds what is live
	Evidence Source = "evidence" // the journal
	Registry Source = "registry" // the column "Last rotated"
)

// An Age is since when what is live is there.
type Age struct {
	Since  time.Time `json:"since"`
	Before bool      `json:"before,omitempty"` // or since before that
	Source Source    `json:"source"`
	Text   string    `json:"text,omitempty"` // what began then: "version 1f3e… of shop/app"
}

// An Open is a rotation that is under way in an environment.
type Open struct {
	Rotation string    `json:"rotation"`
	Path     string    `json:"path,omitempty"`         // of its request
	Pull     int       `json:"pull_request,omitempty"` // 0: unknown
	Short    string    `json:"stands"`                 // "waits for approval"
	Why      string    `json:"why,omitempty"`          // what comes next, or whose move it is
	Moved    time.Time `json:"moved"`                  // its last record, or the day it was asked for
	Until    time.Time `json:"until,omitzero"`         // when it goes on by itself; zero: nobody knows
	Failed   bool      `json:"failed,omitempty"`       // it needs a person
	Retained bool      `json:"retained,omitempty"`     // the new credential is live and proven: only the old one waits
}

// A Place is a secret in one environment. Environment is "" where the registry only tracks its age.
type Place struct {
	Environment string
	Ages        []Age  // by any sources
	Trouble     string // why the service couldn't be asked; "" it could
	Open        *Open
}

// A Mark is a day and why it stands there.
type Mark struct {
	Date time.Time
	Why  string
}

// A Secret is what is known of one.
type Secret struct {
	Name, Kind, Owner string
	Tags              []string
	Interval          calendar.Interval
	Due, Exempt       Mark
	File              string // where its row is
	Line              int
	Places            []Place // in the configured order
}

// Rules are the house's.
type Rules struct {
	Soon  time.Duration // how long before its date a secret is due soon
	Still time.Duration // how long an open rotation may stand still before it is stuck
}

// Default rules.
const (
	DefaultSoon  = 14 * 24 * time.Hour
	DefaultStill = 3 * 24 * time.Hour
)

// A Here is the state of a secret in one environment.
type Here struct {
	Environment string    `json:"environment,omitempty"`
	State       State     `json:"state"`
	Age         *Age      `json:"age,omitempty"` // that was believed; nil: none
	Due         time.Time `json:"due,omitzero"`  // zero: unknown
	Why         string    `json:"why"`
	Open        *Open     `json:"open,omitempty"`
	Since       time.Time `json:"since,omitzero"` // it is stuck or overdue; zero otherwise
}

// A Standing is the state of a secret: its most urgent environment's.
type Standing struct {
	Secret   string            `json:"secret"`
	Kind     string            `json:"kind"`
	Owner    string            `json:"owner"`
	Tags     []string          `json:"tags,omitempty"`
	Interval calendar.Interval `json:"interval"`
	File     string            `json:"file"`
	Line     int               `json:"line"`
	Here                       // of the most urgent environment
	Places   []Here            `json:"places"`
}

// A Scan is the state of all secrets at one time.
type Scan struct {
	At        time.Time  `json:"at"`
	Standings []Standing `json:"secrets"` // the most urgent first
	Findings  []Finding  `json:"findings"`
	Unseen    []string   `json:"unseen,omitempty"` // what nobody looked for: it takes a credential that a scan doesn't have
}

// Judged is a scan of secrets by what was seen of them, which more findings can be added to.
func Judged(secrets []Secret, looks []Look, strays []Stray, more []Finding, r Rules, now time.Time) Scan {
	s := Scan{At: now.UTC(), Standings: make([]Standing, 0, len(secrets)), Findings: append(more, Compare(secrets, looks, strays, now)...)}
	for _, one := range secrets {
		s.Standings = append(s.Standings, Judge(one, r, now))
	}
	slices.SortStableFunc(s.Standings, func(a, b Standing) int {
		switch {
		case a.before(b.Here):
			return -1
		case b.before(a.Here):
			return 1
		}
		return cmp.Compare(a.Secret, b.Secret)
	})
	if s.Findings == nil {
		s.Findings = []Finding{}
	}
	slices.SortStableFunc(s.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Secret, b.Secret), cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Text, b.Text))
	})
	return s
}

// Count is how many secrets are in a state.
func (s Scan) Count(state State) (n int) {
	for _, one := range s.Standings {
		if one.State == state {
			n++
		}
	}
	return n
}
