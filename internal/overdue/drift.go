package overdue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// A Finding is where the registry and what is there differ, or where something was left behind.
type Finding struct {
	Rule        string `json:"rule"` // its name, for looking it up
	Secret      string `json:"secret,omitempty"`
	Environment string `json:"environment,omitempty"`
	Text        string `json:"text"`
	Hint        string `json:"hint,omitempty"`
	File        string `json:"file,omitempty"` // the row it is about; "" none
	Line        int    `json:"line,omitempty"`
}

// Trouble is the finding that an error makes: what is definitely wrong is one by rule, and of anything else it says that
// doing, such as "whether evidence is locked", couldn't be looked at. clean keeps values out of such a text.
func Trouble(rule, environment, doing string, err error, clean func(string) string) Finding {
	var no *rotation.Failure
	if errors.As(err, &no) {
		return Finding{Rule: rule, Environment: environment, Text: no.Msg, Hint: no.Hint}
	}
	return Finding{Rule: RuleNotSeen, Environment: environment, Text: doing + " couldn't be looked at: " + clean(err.Error())}
}

// The rules of findings.
const (
	RuleRowWithoutSecret = "row-without-secret"
	RuleSecretWithoutRow = "secret-without-row"
	RuleDatesDiffer      = "dates-differ"
	RulePastRekey        = "rotated-past-rekey"
	RulePendingLeft      = "pending-left"
	RuleLabelLeft        = "label-left"
	RuleKeyDisabled      = "key-disabled"
	RuleKeyOrphaned      = "key-orphaned"
	RuleOwner            = "owner"
	RuleGate             = "gate"
	RuleLock             = "evidence-lock"
	RuleHeartbeat        = "heartbeat"
	RuleNotSeen          = "not-seen" // what couldn't be looked at
)

// A Look is what a service says of one secret's target in one environment, without its value.
type Look struct {
	Secret, Environment string
	Missing             bool      // it isn't there
	ID                  string    // of what is live
	Since               time.Time // it was made; zero: not told
	Before              bool      // or before
	Text                string    //
	Stamped             string    // day that the bot's tag tells, YYYYMMDD; "" no tag
	Pending             string    // ID of what was left as the next one; "" nothing
	Labels              []string  // of ours that hold an old one
	Whole               bool      // Since is that of this secret alone
	Trouble             string    // why it couldn't be looked at; "" it was
}

// A Stray is what is in an account without a row.
type Stray struct {
	Environment string
	Name        string
	Kind        string
	Since       time.Time
	Target      string // as YAML, in braces
}

// Compare is what differs. looks are by secret and environment, in no order.
func Compare(secrets []Secret, looks []Look, strays []Stray, now time.Time) []Finding {
	of := make(map[string]*Secret, len(secrets))
	for i := range secrets {
		of[secrets[i].Name] = &secrets[i]
	}
	var all []Finding
	newest := map[string]time.Time{}
	for _, l := range looks {
		s := of[l.Secret]
		if s == nil {
			continue
		}
		all = append(all, s.compare(l, now)...)
		if l.Whole && l.Since.After(newest[l.Secret]) {
			newest[l.Secret] = l.Since
		}
	}
	for i := range secrets {
		if f, ok := secrets[i].dates(newest[secrets[i].Name]); ok {
			all = append(all, f)
		}
	}
	for _, s := range strays {
		text := fmt.Sprintf("%s is in the account, and no row of the registry names it", s.Name)
		if !s.Since.IsZero() {
			text = fmt.Sprintf("%s, made on %s, is in the account, and no row of the registry names it", s.Name, day(s.Since))
		}
		all = append(all, Finding{Rule: RuleSecretWithoutRow, Environment: s.Environment, Text: text, Hint: s.row()})
	}
	return all
}

func (s *Secret) finding(rule, environment, hint, format string, a ...any) Finding {
	return Finding{Rule: rule, Secret: s.Name, Environment: environment, Text: fmt.Sprintf(format, a...), Hint: hint, File: s.File, Line: s.Line}
}

func (s *Secret) compare(l Look, now time.Time) (all []Finding) {
	if l.Missing {
		return []Finding{s.finding(RuleRowWithoutSecret, l.Environment, "mend its target, or remove the row", "it isn't in %s", l.Environment)}
	}
	open := slices.ContainsFunc(s.Places, func(p Place) bool { return p.Environment == l.Environment && p.Open != nil })
	if open {
		return nil
	}
	if l.Stamped != "" && l.Whole && !l.Since.IsZero() {
		// A tag tells the day of the rotation, and a rotation may take days between making a value and having it live.
		if at, err := time.Parse("20060102", l.Stamped); err == nil && l.Since.After(at.AddDate(0, 0, 2)) {
			all = append(all, s.finding(RulePastRekey, l.Environment, "rotate it by a request, or tell who did it",
				"what is live was made on %s, after the last rotation by Rekey (%s)", day(l.Since), day(at)))
		}
	}
	if l.Pending != "" {
		all = append(all, s.finding(RulePendingLeft, l.Environment, "see whose it is; AWS refuses rotations of its own while it is there",
			"version %s is labelled AWSPENDING, and no rotation is open", l.Pending))
	}
	for _, label := range l.Labels {
		all = append(all, s.finding(RuleLabelLeft, l.Environment, "see whether somebody still needs the old version; then remove the label",
			"the label %s still holds an old version, and no rotation is open", label))
	}
	return all
}

// dates compares the registry's column with what is live: newest is what of it was made last.
func (s *Secret) dates(newest time.Time) (f Finding, differ bool) {
	listed := time.Time{}
	for _, p := range s.Places {
		if p.Open != nil {
			return f, false // the column follows when the rotation is over
		}
		for _, a := range p.Ages {
			if a.Source == Registry {
				listed = a.Since
			}
		}
	}
	const near = 3 * 24 * time.Hour // an environment after the other, and a window between
	if newest.IsZero() || listed.IsZero() || newest.Sub(listed).Abs() < near {
		return f, false
	}
	return s.finding(RuleDatesDiffer, "", "the services' date counts; correct the column", "the registry says %s, what is live was made on %s", day(listed), day(newest)), true
}

// row is a line for the registry, to copy and complete.
func (s Stray) row() string {
	name := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '/', r == '-', r == '_', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, s.Name), "/-_.")
	last := "never"
	if !s.Since.IsZero() {
		last = day(s.Since)
	}
	return fmt.Sprintf("add a row like | %s | %s | @OWNER | 90 days | %s | and a block with %s: {target: %s}", name, s.Kind, last, s.Environment, s.Target)
}
