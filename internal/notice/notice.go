// Package notice owns the words that all projections of the journal share: what a pass did, what it found, and what a
// lost answer means for it.
//
// What is projected is rebuilt until it is right: found by hidden marker and author, written only where it differs.
// It must never be read back as state, and a pass that finds everything right writes nothing.
package notice

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/jira"
)

// A Finding is something on GitHub, or in Jira, that a person must see: changed by others, missing, or not to be had.
type Finding struct {
	URL  string // where; "" nowhere yet
	Text string
	Hint string
}

// A Tally is what one pass did. The zero Tally says that all was right.
type Tally struct {
	Created, Edited, Deleted, Closed int
	Findings                         []Finding
	// Again: the answer to a changing call was lost, and its effect isn't to be seen. GitHub's lists may lag, so look
	// again after a minute, by another pass, before it is made anew.
	Again bool
}

// Writes counts the changing calls whose effect is known.
func (t Tally) Writes() int { return t.Created + t.Edited + t.Deleted + t.Closed }

// Add takes another's counts and findings into t.
func (t *Tally) Add(o Tally) {
	t.Created += o.Created
	t.Edited += o.Edited
	t.Deleted += o.Deleted
	t.Closed += o.Closed
	t.Findings = append(t.Findings, o.Findings...)
	t.Again = t.Again || o.Again
}

// Find adds a finding.
func (t *Tally) Find(url, hint, format string, a ...any) {
	t.Findings = append(t.Findings, Finding{URL: url, Text: fmt.Sprintf(format, a...), Hint: hint})
}

// Settle counts a changing call that may be repeated. An unknown outcome is left to another pass, which compares again.
func (t *Tally) Settle(count *int, err error) error {
	switch {
	case err == nil:
		*count++
	case Unknown(err):
		t.Again = true
		return nil
	}
	return err
}

// Unknown says of the error of a changing call that it may have arrived, wherever it went.
func Unknown(err error) bool {
	return errors.Is(err, github.ErrUnknown) || errors.Is(err, jira.ErrUnknown)
}

// Sure is Settle, and says whether the change is known to have happened.
func (t *Tally) Sure(count *int, err error) (bool, error) {
	before := *count
	err = t.Settle(count, err)
	return *count > before, err
}

// Ours says whether u is the bot with that login. Logins don't distinguish case.
func Ours(u github.User, bot string) bool { return bot != "" && strings.EqualFold(u.Login, bot) }

// Plain is a body in the form in which two are compared: GitHub may change line ends, and white space around it.
func Plain(body string) string { return strings.TrimSpace(strings.ReplaceAll(body, "\r\n", "\n")) }
