package actions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/requests"
	"github.com/rastup/rekey/internal/notice/scan"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/registry"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/request"
	"github.com/rastup/rekey/internal/rotation"
)

// overdue is the daily job: it looks how old everything is, opens the requests for what is due, keeps the status issue
// right and tells whose time has come.
func (j *job) overdue(ctx context.Context) error {
	if j.hub == nil {
		return errors.New("input token: without it nothing can be opened")
	}
	if err := j.onDefaultBranch(ctx); err != nil {
		return err
	}
	fails, err := overdue.Failing(j.input("fail_on"))
	if err != nil {
		return fmt.Errorf("input fail_on: %w", err)
	}
	found := j.app.Load()
	if j.annotate(found); !j.app.Ruled(found) {
		return errSaid
	}
	s, err := j.app.Scan(ctx)
	if err != nil {
		return err
	}
	d := &daily{job: j, scan: s, bot: j.bot()}
	d.owners(ctx)
	d.gates(ctx)
	d.beat(ctx)
	err = errors.Join(d.open(ctx), d.tell(ctx))
	if found.Len() > 0 {
		err = errors.Join(err, errSaid)
	}
	if err == nil && fails(d.scan) {
		err = errors.New("secrets are in a state that this job is to fail on: see the summary")
	}
	return err
}

// daily is one such run.
type daily struct {
	*job
	scan  overdue.Scan
	bot   string
	pulls map[string]int // open requests, by secret
}

// owners that GitHub doesn't know. Teams can't be seen with a workflow's token.
func (d *daily) owners(ctx context.Context) {
	seen, teams := map[string]bool{}, false
	for _, one := range d.scan.Standings {
		login, person := strings.CutPrefix(one.Owner, "@")
		teams = teams || strings.Contains(login, "/")
		if !person || strings.Contains(login, "/") || seen[one.Owner] {
			continue
		}
		seen[one.Owner] = true
		f := overdue.Finding{Secret: one.Secret, File: one.File, Line: one.Line}
		switch permission, err := d.hub.Permission(ctx, login); {
		case errors.Is(err, github.ErrNotFound):
			f.Rule, f.Text, f.Hint = overdue.RuleOwner, "its owner "+one.Owner+" doesn't exist on GitHub", "name somebody who does"
		case err != nil:
			f.Rule, f.Text = overdue.RuleNotSeen, "whether its owner "+one.Owner+" exists couldn't be looked up: "+err.Error()
		case permission == "none":
			f.Rule, f.Text, f.Hint = overdue.RuleOwner, "its owner "+one.Owner+" can't see this repository", "name somebody who can; where they left, mark it due"
		default:
			continue
		}
		d.scan.Findings = append(d.scan.Findings, f)
	}
	if teams {
		d.scan.Unseen = append(d.scan.Unseen, "whether the teams that own something exist")
	}
}

// gates are the GitHub Environments, which should be as protected as they were.
func (d *daily) gates(ctx context.Context) {
	people := d.people()
	for _, e := range d.app.Inputs.Config.Environments {
		add := func(err error) {
			if err != nil {
				d.scan.Findings = append(d.scan.Findings, overdue.Trouble(overdue.RuleGate, e.Name, "its GitHub Environment", err, d.app.Scrub))
			}
		}
		if e.Approval == config.ApprovalRequired {
			_, err := people.Protected(ctx, e.GitHubEnvironment, e.Approval)
			add(err)
		}
		if e.ContinueEnvironment != "" {
			_, err := people.Continues(ctx, e.ContinueEnvironment)
			add(err)
		}
	}
}

// beat says outside GitHub that a look was there. What becomes of that stops nothing.
func (d *daily) beat(ctx context.Context) {
	err := d.app.Beat(ctx, d.scan)
	if err == nil {
		return
	}
	f := overdue.Finding{Rule: overdue.RuleHeartbeat, Text: cloud.Line(d.app.Scrub("the heartbeat wasn't put: " + err.Error())), Hint: "an alarm on it may go off though this look was there"}
	var no *rotation.Failure
	if errors.As(err, &no) && no.Hint != "" {
		f.Hint = no.Hint
	}
	d.warn(f.Text + " (" + f.Hint + ")")
	d.scan.Findings = append(d.scan.Findings, f)
}

// open keeps the pull requests for what is due right.
func (d *daily) open(ctx context.Context) error {
	c := d.app.Inputs.Config
	rules := c.Overdue.Requests
	if rules == nil {
		return nil
	}
	wants := overdue.Wants(d.scan, rules.Group == "owner", func(secret string) bool {
		e, ok := d.app.Inputs.Registry.Find(secret)
		return ok && e.Environments != nil
	}, registry.Slug)
	var offers []requests.Offer
	for _, w := range wants {
		offers = append(offers, d.offer(w, rules))
	}
	p := &requests.Projector{GitHub: d.hub, Repository: d.Getenv("GITHUB_REPOSITORY"), Bot: d.bot, Limit: rules.MostOpen()}
	open, t, err := p.Write(ctx, offers)
	d.said("requests", t)
	d.pulls = map[string]int{}
	for _, w := range wants {
		for _, s := range w.Secrets {
			if n := open[w.Slug]; n > 0 {
				d.pulls[s.Secret] = n
			}
		}
	}
	return err
}

// offer is the request for a want: file, title and text.
func (d *daily) offer(w overdue.Want, rules *config.Requests) requests.Offer {
	c := d.app.Inputs.Config
	has := map[string]bool{}
	var names []string
	consumers := map[string][]string{}
	for _, s := range w.Secrets {
		names = append(names, s.Secret)
		e, ok := d.app.Inputs.Registry.Find(s.Secret)
		if !ok {
			continue
		}
		for _, env := range c.Environments {
			if at := e.Environments[env.Name]; at != nil {
				has[env.Name] = true
				for _, u := range at.Consumers {
					consumers[s.Secret] = append(consumers[s.Secret], env.Name+": "+u.Uses+" "+u.Name)
				}
			}
		}
	}
	first := w.Secrets[0]
	draft := request.Draft{Secrets: names, Ticket: rules.Ticket, Windows: request.Propose(c, func(env string) bool { return has[env] }, d.Clock.Now().Add(24*time.Hour)),
		Why: fmt.Sprintf("Proposed by Rekey: %s is due on %s.", first.Secret, first.Due.UTC().Format(time.DateOnly))}
	var windows []string
	for _, p := range draft.Windows {
		windows = append(windows, p.Environment)
	}
	o := requests.Offer{Slug: w.Slug, Path: request.Name(c.Requests, d.Clock.Now().UTC(), w.Slug), File: draft.Text(),
		Stands: func(path string, text []byte) bool { return request.Stands(c, path, text, names, d.Clock.Now()) }}
	o.Title, o.Body = comment.Rotation(w, comment.Proposed{Consumers: consumers, Windows: windows, Ticket: rules.Ticket, Silent: d.bot == actionsBot})
	return o
}

// tell keeps the status issue right, and shows the same in the job's summary.
func (d *daily) tell(ctx context.Context) error {
	p := &scan.Projector{GitHub: d.hub, Bot: d.bot}
	o := comment.OverdueOptions{Requests: map[string]string{}, Report: d.app.Inputs.Config.Overdue.Report, Next: nextScan(d.scan.At)}
	for secret, n := range d.pulls {
		o.Requests[secret] = fmt.Sprintf("#%d", n)
	}
	last, err := p.Last(ctx)
	if err == nil && !last.IsZero() && d.scan.At.Sub(last) > late {
		o.Late = d.scan.At.Sub(last) - 24*time.Hour
	}
	all, told := d.escalations()
	o.Told = told
	body := comment.Overdue(d.scan, o)
	d.summary(body)
	t, err2 := p.Write(ctx, body, all)
	d.said("status issue", t)
	return errors.Join(err, err2)
}

// late is how old the last scan is when the schedule must have stopped.
const late = 48 * time.Hour

// nextScan is a day later, as the workflow's schedule has it.
func nextScan(at time.Time) time.Time { return at.AddDate(0, 0, 1).Truncate(time.Minute) }

// escalations are those whose time has come. told says of each secret whom that is.
func (d *daily) escalations() (all []comment.Escalation, told map[string]string) {
	told = map[string]string{}
	for _, one := range d.scan.Standings {
		if one.Since.IsZero() {
			continue
		}
		var levels []string
		for _, l := range d.app.Inputs.Config.Levels(one.Tags) {
			if d.scan.At.Before(one.Since.Add(l.After)) {
				continue
			}
			levels = append(levels, l.Name)
			all = append(all, comment.Escalation{Standing: one, Level: l.Name, Who: l.Who, After: days(l.After)})
		}
		if len(levels) > 0 {
			told[one.Secret] = report.And(levels) + " told"
		}
	}
	return all, told
}

// days is a length of time in days where it is some.
func days(d time.Duration) string {
	if n := int(d / (24 * time.Hour)); n > 0 && d%(24*time.Hour) == 0 {
		return report.Count(n, "day")
	}
	return report.Span(d)
}

// said tells what a projection did.
func (d *daily) said(what string, t notice.Tally) {
	d.findings(t, lostAnswer)
	d.gha.Infof("%s: %d written, %d edited, %d closed", what, t.Created, t.Edited, t.Closed)
}
