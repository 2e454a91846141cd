package demo

import (
	"context"
	"fmt"
	"html"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report/page"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

// A teller lets people act, and tells what is to be seen of what comes of it.
type teller struct {
	*scene
	w       io.Writer
	line    *terminal.Timeline
	trouble *trouble

	ticket, pull int
	issues       map[int]string // as they were when last looked at: number to state
	latest       rotation.Record
	failed       error  // to leave something behind
	approved     string // who let the job go on that runs
	files        []page.File
	timeline     []page.Event
	runs         map[int64]bool // those that rotated something
}

func newTeller(s *scene, w io.Writer, line *terminal.Timeline, tr *trouble) *teller {
	t := &teller{scene: s, w: w, line: line, trouble: tr, issues: map[int]string{}, runs: map[int64]bool{}}
	s.record = t.recorded
	s.ended = t.jobEnded
	return t
}

const request = `# The quarterly rotation, a week overdue. prod has its maintenance window at ten.
secret: app/database
ticket: "#%d"
reason: scheduled
window: {prod: 2026-11-23T10:00Z/PT6H}
`

func (t *teller) tell(ctx context.Context) error {
	fmt.Fprintf(t.w, "Some days of a company, in a sandbox on this machine. Clock: %s.\n\n", start.Format("Mon 2 Jan 2006 15:04 UTC"))
	if err := t.ask(ctx); err != nil {
		return err
	}
	if err := t.review(ctx); err != nil {
		return err
	}
	return t.carry(ctx)
}

// ask is the request: a ticket, and a pull request that names it.
func (t *teller) ask(ctx context.Context) (err error) {
	t.ticket = t.GitHub.OpenIssue("li-pay", "Rotate app/database", "Its password is 97 days old; the registry says 90.")
	t.issues[t.ticket] = "open"
	t.line.Event(t.now(), "ticket", fmt.Sprintf("@li-pay opens #%d: %s is 97 days old, interval 90 d", t.ticket, secretName))
	t.Clock.Move(2 * time.Minute)
	text := fmt.Sprintf(request, t.ticket)
	at := t.now()
	t.files = []page.File{{Path: requestAt, Text: text}}
	t.event(page.Event{What: page.Committed, By: "li-pay", Title: "Rotate app/database"})
	t.pull, err = t.OpenPull(ctx, "li-pay", "Rotate app/database", description, map[string]string{requestAt: text}, false)
	if err != nil {
		return err
	}
	t.line.Event(at, "request", fmt.Sprintf("@li-pay opens pull request #%d with %s", t.pull, requestAt))
	for _, c := range t.GitHub.Comments(t.pull) { // its place is taken by the status later
		t.line.Event(c.CreatedAt, "plan", fmt.Sprintf("%s (comment on #%d)", headline(c.Body), t.pull))
		if err := t.leave(fmt.Sprintf("pull-request-%d-plan.md", t.pull), []byte(c.Body), 0o644); err != nil {
			return err
		}
	}
	return nil
}

const description = "Its password is 97 days old; the registry says 90.\n"

func (t *teller) review(ctx context.Context) error {
	t.Clock.Move(9 * time.Minute)
	t.GitHub.Review(t.pull, "ana-sec", "APPROVED")
	t.event(page.Event{What: page.Approved, By: "ana-sec"})
	t.line.Event(t.now(), "review", fmt.Sprintf("@ana-sec approves and merges #%d", t.pull))
	t.Clock.Move(time.Minute)
	t.trouble.happen(t.scene, rotation.Record{})
	t.event(page.Event{What: page.Merge, By: "ana-sec"})
	return t.Merge(ctx, t.pull, "ana-sec", requestAt)
}

// carry is what follows: people answer, mend what went wrong, and otherwise the hours pass, until the ticket is closed.
func (t *teller) carry(ctx context.Context) error {
	for range 5 * 24 {
		if err := t.answer(ctx); err != nil {
			return err
		}
		done, err := t.help(ctx)
		if err != nil {
			return err
		}
		if t.issues[t.ticket] == "closed" {
			return nil
		}
		if done {
			continue
		}
		if err := t.rest(ctx); err != nil {
			return err
		}
		if err := t.Hour(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("after five days ticket #%d isn't closed", t.ticket)
}

// answers are who lets an environment's job go on, how soon, and with which words.
var answers = map[string]struct {
	by, says string
	after    time.Duration
}{
	"rekey-stage": {"ana-sec", "change window agreed", 4 * time.Minute},
	"rekey-prod":  {"bo-sre", "I am watching it", 2 * time.Minute},
}

func (t *teller) answer(ctx context.Context) error {
	for waits := t.Waits(); len(waits) > 0; waits = t.Waits() {
		w := waits[0]
		a := answers[w.Environment]
		t.Clock.Move(a.after)
		t.approved = a.by
		t.line.Event(t.now(), "approve", fmt.Sprintf("@%s lets run %d of rotate go on in %s: “%s”", a.by, t.number(w.Run), w.Environment, a.says))
		t.event(page.Event{What: page.Deployed, By: a.by, Title: w.Environment, Body: a.says})
		if err := t.Approve(ctx, w.Environment, a.by, a.says); err != nil {
			return err
		}
		t.approved = ""
	}
	return nil
}

// number is what GitHub shows a run by.
func (t *teller) number(run int64) int {
	r, _ := t.GitHub.Run(run)
	return r.Number
}

// help is what people do about trouble: mend what was wrong, and run the workflow again, as the incident tells them to.
func (t *teller) help(ctx context.Context) (bool, error) {
	if t.trouble.env == "" || t.latest.Outcome == "" {
		return false, nil
	}
	all, err := t.standings(ctx)
	d := all[t.trouble.env]
	if err != nil || !slices.Contains([]plan.State{plan.Refused, plan.Stuck, plan.RolledBack, plan.Waiting}, d.State) {
		return false, err
	}
	what, ok := t.trouble.mend(t.scene)
	if !ok && d.State != plan.RolledBack {
		return false, nil
	}
	if ok {
		t.Clock.Move(17 * time.Minute)
		t.line.Event(t.now(), "mend", what)
		for _, i := range t.incidents() {
			if i.State == "open" {
				t.GitHub.Say(i.Number, "li-pay", strings.ToUpper(what[:1])+what[1:]+".")
			}
		}
	}
	t.Clock.Move(3 * time.Minute)
	inputs := map[string]string{"rotation": requestAt}
	how := "@li-pay runs the workflow"
	if d.State == plan.RolledBack {
		inputs["again"] = "true"
		how += " with again"
	}
	t.line.Event(t.now(), "run", how)
	return true, t.Dispatch(ctx, "li-pay", inputs)
}

// rest lets time pass up to some hours before anything can be due: what the workflow finds until then is nothing.
func (t *teller) rest(ctx context.Context) error {
	all, err := t.standings(ctx)
	if err != nil {
		return err
	}
	var next time.Time
	for _, d := range all {
		switch {
		case d.State == plan.Deferred && (next.IsZero() || d.Until.Before(next)):
			next = d.Until
		case d.State != plan.Deferred && !d.State.Over() && !strings.Contains(d.Why, "is not validated"):
			return nil
		}
	}
	if pass := next.Sub(t.now()).Truncate(time.Hour) - 2*time.Hour; pass > 0 {
		t.Clock.Move(pass)
		if pass > 24*time.Hour {
			t.line.Pass(next, fmt.Sprintf("%d hours pass", int((pass+2*time.Hour).Hours())))
		}
	}
	return nil
}

// recorded is called once a record is in the journal.
func (t *teller) recorded(r rotation.Record) {
	t.latest = r
	t.line.Record(&rotation.Plan{Chain: r.Chain}, r)
	t.trouble.happen(t.scene, r)
}

// jobEnded is called once a job's program ended.
func (t *teller) jobEnded(s workflow.Step, text string, err error) {
	t.keep(s, text, err)
	switch s.With["command"] {
	case "apply":
		t.runs[s.Run] = true
		note := ""
		if t.approved != "" {
			note = "approved by @" + t.approved
		}
		env := s.With["environment"]
		t.line.Finish(rotation.Chain{Environment: env, Secret: secretName}, note)
	case "due":
		t.look()
		t.looked()
	}
}

// looked tells what became of issues since the last time.
func (t *teller) looked() {
	for _, i := range t.GitHub.Issues() {
		was := t.issues[i.Number]
		if was == i.State {
			continue
		}
		t.issues[i.Number] = i.State
		switch {
		case i.Number == t.ticket:
			t.line.Event(t.now(), "ticket", fmt.Sprintf("#%d is %s: %s", i.Number, i.State, t.lastWord(i.Number)))
			t.event(page.Event{What: page.Other, By: bot, Bot: true, Title: fmt.Sprintf("closed ticket #%d", i.Number)})
		case was == "":
			title := fmt.Sprintf("#%d (%s): %s", i.Number, strings.Join(severities(i), ", "), i.Title)
			t.line.Event(t.now(), "incident", title)
			if m := move.FindString(i.Body); m != "" {
				t.line.Event(t.now(), "", said(m))
			}
			t.event(page.Event{What: page.Other, By: bot, Bot: true, Title: "opened incident " + title})
		default:
			t.line.Event(t.now(), "incident", fmt.Sprintf("#%d is %s: %s", i.Number, i.State, t.lastWord(i.Number)))
			t.event(page.Event{What: page.Other, By: bot, Bot: true, Title: fmt.Sprintf("closed incident #%d", i.Number)})
		}
	}
}

const bot = "github-actions[bot]"

// severities are an incident's labels that say how bad it is.
func severities(i github.Issue) []string {
	return slices.DeleteFunc(slices.Clone(i.Labels), func(l string) bool { return !strings.HasPrefix(l, "SEV") })
}

// lastWord is the first line of the last comment.
func (t *teller) lastWord(issue int) string {
	all := t.GitHub.Comments(issue)
	if len(all) == 0 {
		return "nobody said why"
	}
	return headline(all[len(all)-1].Body)
}

// incidents are the issues that nobody opened.
func (t *teller) incidents() []github.Issue {
	return slices.DeleteFunc(t.GitHub.Issues(), func(i github.Issue) bool { return i.Number == t.ticket })
}

func (t *teller) event(e page.Event) {
	e.At = t.now()
	t.timeline = append(t.timeline, e)
}

var (
	move   = regexp.MustCompile(`(?m)^\*\*Your move.*$`)
	marks  = regexp.MustCompile("<[^>]*>|[*`#]+")
	joiner = strings.NewReplacer("\u2060", "")
)

// headline is a comment's first line, as text.
func headline(body string) string {
	for l := range strings.Lines(body) {
		if l = said(l); l != "" {
			return l
		}
	}
	return ""
}

// said is a line of Markdown as people read it.
func said(line string) string {
	return strings.TrimSpace(joiner.Replace(html.UnescapeString(strings.ReplaceAll(marks.ReplaceAllString(line, ""), `\`, ""))))
}
