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

	errand       errand
	ticket, pull int
	tickets      map[int]bool   // of all errands
	issues       map[int]string // as they were when last looked at: number to state
	latest       rotation.Record
	failed       error  // to leave something behind
	approved     string // who let the job go on that runs
	files        []page.File
	timeline     []page.Event
	runs         map[int64]bool               // those that rotated something
	shown        []int                        // pull requests that have pages
	batch        []rotation.Record            // of the job that runs, where it is for several secrets
	told         map[string][]rotation.Record // all of the errand, by secret
}

// An errand is what somebody asks for, from a ticket to its end.
type errand struct {
	title, why  string   // of the ticket
	words       string   // of it, in the timeline
	at, text    string   // the request: its path, and what it says of which ticket
	description string   // of the pull request
	secrets     []string // whose environments are told one by one; several are told together
	meanwhile   func(context.Context) error
}

func newTeller(s *scene, w io.Writer, line *terminal.Timeline, tr *trouble) *teller {
	t := &teller{scene: s, w: w, line: line, trouble: tr, tickets: map[int]bool{}, issues: map[int]string{}}
	s.record = t.recorded
	s.ended = t.jobEnded
	return t
}

// begin leaves what was before to its page.
func (t *teller) begin(e errand) {
	t.errand, t.files, t.timeline, t.runs, t.batch, t.told = e, nil, nil, map[int64]bool{}, nil, map[string][]rotation.Record{}
}

const request = `# The quarterly rotation, a week overdue. prod has its maintenance window at ten.
secret: app/database
ticket: "#%d"
reason: scheduled
window: {prod: 2026-11-23T10:00Z/PT6H}
`

var scheduled = errand{title: "Rotate " + secretName, why: "Its password is 97 days old; the registry says 90.", words: secretName + " is 97 days old, interval 90 d",
	at: requestAt, text: request, description: "Its password is 97 days old; the registry says 90.\n", secrets: []string{secretName}}

// tell is an errand from its ticket to the end.
func (t *teller) tell(ctx context.Context, e errand) error {
	t.begin(e)
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
	e := t.errand
	t.ticket = t.GitHub.OpenIssue("li-pay", e.title, e.why)
	t.issues[t.ticket], t.tickets[t.ticket] = "open", true
	t.line.Event(t.now(), "ticket", fmt.Sprintf("@li-pay opens #%d: %s", t.ticket, e.words))
	t.Clock.Move(2 * time.Minute)
	text := fmt.Sprintf(e.text, t.ticket)
	at := t.now()
	t.files = []page.File{{Path: e.at, Text: text}}
	t.event(page.Event{What: page.Committed, By: "li-pay", Title: e.title})
	t.pull, err = t.OpenPull(ctx, "li-pay", e.title, e.description, map[string]string{e.at: text}, false)
	if err != nil {
		return err
	}
	t.line.Event(at, "request", fmt.Sprintf("@li-pay opens pull request #%d with %s", t.pull, e.at))
	for _, c := range t.GitHub.Comments(t.pull) { // its place is taken by the status later
		t.line.Event(c.CreatedAt, "plan", fmt.Sprintf("%s (comment on #%d)", headline(c.Body), t.pull))
		if err := t.leave(fmt.Sprintf("pull-request-%d-plan.md", t.pull), []byte(c.Body), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) review(ctx context.Context) error {
	t.Clock.Move(9 * time.Minute)
	t.GitHub.Review(t.pull, "ana-sec", "APPROVED")
	t.event(page.Event{What: page.Approved, By: "ana-sec"})
	t.line.Event(t.now(), "review", fmt.Sprintf("@ana-sec approves and merges #%d", t.pull))
	t.Clock.Move(time.Minute)
	t.trouble.happen(t.scene, rotation.Record{})
	t.event(page.Event{What: page.Merge, By: "ana-sec"})
	return t.Merge(ctx, t.pull, "ana-sec", t.errand.at)
}

// carry is what follows: people answer, mend what went wrong, and otherwise the hours pass, until the ticket is closed.
func (t *teller) carry(ctx context.Context) error {
	began := t.now()
	for t.now().Before(began.Add(patience)) {
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
		if t.errand.meanwhile != nil {
			if err := t.errand.meanwhile(ctx); err != nil {
				return err
			}
		}
		if err := t.rest(ctx); err != nil {
			return err
		}
		if err := t.Hour(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("ticket #%d isn't closed: %s", t.ticket, t.now().Format("Mon 2 Jan 2006"))
}

// patience is longer than any errand takes.
const patience = 20 * 24 * time.Hour

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
	d := all[rotation.Chain{Environment: t.trouble.env, Secret: secretName}]
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
	t.told[r.Secret] = append(t.told[r.Secret], r)
	if len(t.errand.secrets) > 1 {
		t.batch = append(t.batch, r)
		return
	}
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
		if len(t.errand.secrets) > 1 {
			t.together(env)
			return
		}
		t.line.Finish(rotation.Chain{Environment: env, Secret: t.errand.secrets[0]}, note)
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
	return slices.DeleteFunc(t.GitHub.Issues(), func(i github.Issue) bool { return t.tickets[i.Number] })
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
