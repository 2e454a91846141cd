// Package dispatch is the words between a step that wants a workflow of GitHub's to run and the job that starts it.
//
// The step runs where cloud rights are, and smoke tests: no right to write to GitHub may be there. So it only records an
// Ask, in the journal. Jobs that run no user code read it there, look whether that run has begun, and start it: a
// projection like comments and issues. The step then finds the run by the Ask's key, and watches it. It owns what an Ask
// says and which runs are one's own; it must never hold a secret, nor call GitHub.
package dispatch

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/rotation"
)

// Fact is the name of the fact that holds a step's Ask; once its run is known, Run holds that run's id, and URL its page.
const (
	Fact = "ask"
	Run  = "run"
	URL  = "url"
)

// KeyInput is the workflow's input that gets the key. Its run-name has to show it.
const KeyInput = "rekey"

// Skew is how far GitHub's clock may be behind the one that stamped an Ask.
const Skew = 2 * time.Minute

// An Ask is one run that is wanted, as the journal has it.
type Ask struct {
	Repository string            `json:"repository"` // owner/name
	Workflow   string            `json:"workflow"`   // file name
	Ref        string            `json:"ref"`        // branch or tag
	Inputs     map[string]string `json:"inputs"`     // the key among them; never a secret
	At         time.Time         `json:"at"`         // when it was asked for
}

// Key names the run: the same in every look at the same step, and in no other.
func (a Ask) Key() string { return a.Inputs[KeyInput] }

// Text is the Ask as a fact.
func (a Ask) Text() string {
	b, _ := json.Marshal(a) // plain data: can't fail
	return string(b)
}

// Parse reads a fact.
func Parse(text string) (a Ask, err error) {
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return a, fmt.Errorf("a recorded ask for a run: %w", err)
	}
	if a.Repository == "" || a.Workflow == "" || a.Ref == "" || a.Key() == "" || a.At.IsZero() {
		return a, fmt.Errorf("a recorded ask for a run of %q lacks something", a.Workflow)
	}
	return a, nil
}

// Of is what s has asked for and has no run of yet; false: nothing.
func Of(s rotation.Step, past rotation.Past) (a Ask, ok bool, err error) {
	text := past.Fact(s.Key, Fact)
	if text == "" || past.Fact(s.Key, Run) != "" {
		return Ask{}, false, nil
	}
	a, err = Parse(text)
	return a, err == nil, err
}

// Command starts the run by hand.
func (a Ask) Command() string {
	parts := []string{"gh", "workflow", "run", quote(a.Workflow), "--repo", quote(a.Repository), "--ref", quote(a.Ref)}
	for _, k := range slices.Sorted(maps.Keys(a.Inputs)) {
		parts = append(parts, "-f", quote(k+"="+a.Inputs[k]))
	}
	return strings.Join(parts, " ")
}

// quote is for a shell; what needs none stays as it is.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@+", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Find is the run that answers a among those of its workflow, and those that only look so. Of several, which two jobs at
// the same time can start, the first counts. Others' runs never do: anybody who may start workflows knows the key, or
// could; by are who may have started it, without case.
func Find(a Ask, runs []github.Run, by ...string) (ours *github.Run, foreign []github.Run) {
	for i := range runs {
		r := &runs[i]
		if !shows(r.Title, a.Key()) {
			continue
		}
		known := slices.ContainsFunc(by, func(login string) bool { return login != "" && strings.EqualFold(login, r.Actor.Login) })
		switch {
		case !known, r.Event != "workflow_dispatch", r.Branch != a.Ref, r.CreatedAt.Before(a.At.Add(-Skew)):
			foreign = append(foreign, *r)
		case ours == nil || r.ID < ours.ID:
			ours = r
		}
	}
	return ours, foreign
}

// shows says whether the title has the key as a word.
func shows(title, key string) bool {
	return slices.Contains(strings.FieldsFunc(title, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}), key)
}
