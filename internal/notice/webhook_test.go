package notice_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/incident"
	"github.com/rastup/rekey/internal/notice/webhook"
	text "github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/reporttest"
	world "github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/hooks"
)

const (
	slackPath = "/services/T000/B000/c4n4ryurl"
	slackURL  = "https://hooks.slack.com" + slackPath
	pagerKey  = "c4n4rykeyc4n4rykeyc4n4rykeyc4n4r"
)

// hooked is what is told, without a socket.
type hooked struct {
	slack *hooks.Slack
	pager *hooks.PagerDuty
}

func newPlaces() hooked { return hooked{hooks.NewSlack(slackPath), hooks.NewPagerDuty(pagerKey)} }

func (p hooked) RoundTrip(req *http.Request) (res *http.Response, err error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	defer func() {
		if cut := recover(); cut != nil {
			res, err = nil, io.ErrUnexpectedEOF
		}
	}()
	out := httptest.NewRecorder()
	switch req.URL.Host {
	case "hooks.slack.com":
		p.slack.ServeHTTP(out, req)
	case "events.pagerduty.com":
		p.pager.ServeHTTP(out, req)
	default:
		return nil, errors.New("no such host: " + req.URL.String())
	}
	return out.Result(), nil
}

func channels() []webhook.Channel {
	all := func(string) bool { return true }
	return []webhook.Channel{
		webhook.Slack("slack", "SLACK_WEBHOOK", slackURL, "S0614TZR7", all),
		webhook.PagerDuty("pagerduty", "PAGERDUTY_KEY", "https://events.pagerduty.com", pagerKey, repository, all),
	}
}

// told is a pass of incidents and of what is told of them.
func (r *rig) told(gate func(), to http.RoundTripper, now []incident.Issue, ended ...incident.Success) pass {
	program := r.program(gate)
	i := &incident.Projector{GitHub: program, Bot: bot, Now: r.clock.Now}
	w := &webhook.Projector{GitHub: program, Bot: bot, Repository: repository, Channels: channels(), HTTP: to, Clock: r.clock}
	return func(ctx context.Context) (notice.Tally, error) {
		cases, t, err := i.Write(ctx, now, ended)
		var all []webhook.Subject
		for _, c := range cases {
			if c.Incident != nil {
				all = append(all, webhook.Subject{Brief: c.Incident.Brief, Severity: "SEV1", Issue: c.Issue})
			}
		}
		more, failed := w.Write(ctx, all)
		t.Add(more)
		return t, errors.Join(err, failed)
	}
}

func (p hooked) texts() (l []string) {
	for _, m := range p.slack.Messages() {
		head, _, _ := strings.Cut(m.Text, "\n")
		l = append(l, head)
	}
	return l
}

const (
	saidOpened    = ":rotating_light: *SEV1 · Rotation of team/one in stage: rolled back*"
	saidEscalated = "<!subteam^S0614TZR7> :rotating_light: *SEV1 · nobody has reacted yet: Rotation of team/one in stage: rolled back*"
	saidOver      = ":white_check_mark: *Over: the incident of team/one in stage*"
)

// An incident's life is told once, in order, whatever is run again.
func TestAnIncidentIsToldOutside(t *testing.T) {
	r, p := withPeople(newRig(t, 1)), newPlaces()
	now := onCall("team/one")
	run := func(ended ...incident.Success) {
		t.Helper()
		if last := r.settle(func() pass { return r.told(nil, p, []incident.Issue{now}, ended...) }); len(last.Findings) > 0 {
			t.Fatalf("%+v", last.Findings)
		}
	}
	run()
	r.clock.Move(time.Hour)
	run()
	success, _ := succeeded("team/one", 2, 3*time.Hour)
	run(success)
	if d := cmp.Diff([]string{saidOpened, saidEscalated, saidOver}, p.texts()); d != "" {
		t.Errorf("Slack (-want +got):\n%s", d)
	}
	alerts := p.pager.Alerts()
	if len(alerts) != 1 || !alerts[0].Resolved || alerts[0].Triggers != 1 || alerts[0].Severity != "critical" || alerts[0].Links[0] != "https://github.com/rastup/shop/issues/1" {
		t.Errorf("PagerDuty: %+v", alerts)
	}
	calls := len(p.slack.Calls()) + len(p.pager.Calls())
	r.clock.Move(webhook.Recent)
	before := len(r.Calls())
	run(success)
	if n := len(p.slack.Calls()) + len(p.pager.Calls()); n != calls || slices.ContainsFunc(r.Calls()[before:], func(c world.Call) bool { return strings.HasSuffix(c.Path, "/comments") }) {
		t.Errorf("what is over for long is looked at again: %d calls more", n-calls)
	}
}

// Who closes an issue by hand says that it is seen to: then nobody is called at night.
func TestAnIssueClosedByHandIsOverOutside(t *testing.T) {
	r, p := withPeople(newRig(t, 1)), newPlaces()
	now := onCall("team/one")
	program := func() pass { return r.told(nil, p, []incident.Issue{now}) }
	r.settle(program)
	r.Close(1, "ana-sec")
	r.settle(program)
	if d := cmp.Diff([]string{saidOpened, saidOver}, p.texts()); d != "" || !p.pager.Alerts()[0].Resolved {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// What was closed before a place could be told of it isn't told at all.
func TestNothingIsToldOfWhatIsOverAlready(t *testing.T) {
	r, p := withPeople(newRig(t, 1)), newPlaces()
	now := onCall("team/one")
	r.settle(func() pass { return r.incidents(nil, []incident.Issue{now}) })
	r.Close(1, "ana-sec")
	r.settle(func() pass { return r.told(nil, p, []incident.Issue{now}) })
	if len(p.slack.Calls())+len(p.pager.Calls())+len(r.Comments(1)) != 0 {
		t.Errorf("%v %v %v", p.slack.Calls(), p.pager.Calls(), r.Comments(1))
	}
}

func answer(status int, header ...string) *hooks.Answer {
	a := &hooks.Answer{Status: status, Body: "c4n4rybody", Header: http.Header{}}
	for i := 0; i+1 < len(header); i += 2 {
		a.Header.Set(header[i], header[i+1])
	}
	return a
}

// then gives these answers to the first calls, and lets the others pass.
func then(all ...error) func(hooks.Call) error {
	return func(hooks.Call) error {
		if len(all) == 0 {
			return nil
		}
		first := all[0]
		all = all[1:]
		return first
	}
}

func TestAMessageIsTriedAgainWhereItMayHelp(t *testing.T) {
	for what, c := range map[string]struct {
		fail     func(hooks.Call) error
		calls    int
		waited   time.Duration // of this pass
		messages int
		problem  string
	}{
		"at once":              {then(), 1, 0, 1, ""},
		"too many":             {then(answer(429, "Retry-After", "30")), 2, 30 * time.Second, 1, ""},
		"too many, until then": {then(answer(429, "Retry-After", reporttest.Monday.Add(20*time.Second).UTC().Format(http.TimeFormat))), 2, 20 * time.Second, 1, ""},
		"too many for long":    {then(answer(429, "Retry-After", "61")), 1, 0, 0, "it answered 429"},
		"too many, no word":    {then(answer(429), answer(429)), 3, 3 * time.Second, 1, ""},
		"trouble, then fine":   {then(answer(500), answer(503)), 3, 3 * time.Second, 1, ""},
		"trouble":              {then(answer(500), answer(500), answer(500), answer(502), answer(500)), 4, 7 * time.Second, 0, "it answered 502"},
		"a lost answer":        {then(hooks.ErrLost), 2, time.Second, 2, ""},
		"a lost call":          {then(errors.New("cut")), 2, time.Second, 1, ""},
		"only lost calls":      {then(errors.New("cut"), errors.New("cut"), errors.New("cut"), errors.New("cut")), 4, 7 * time.Second, 0, "the connection broke"},
		"a no":                 {then(answer(403)), 1, 0, 0, "it answered 403"},
		"elsewhere":            {then(answer(302, "Location", "https://evil.example/")), 1, 0, 0, "it answered 302, and a redirect isn't followed"},
	} {
		t.Run(what, func(t *testing.T) {
			r, p := newRig(t, 1), newPlaces()
			now := []incident.Issue{onCall("team/one")}
			p.slack.Fail(c.fail)
			start := r.clock.Now()
			tally, err := r.told(nil, p, now)(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if got := r.clock.Now().Sub(start); got != c.waited || len(p.slack.Calls()) != c.calls || len(p.slack.Messages()) != c.messages {
				t.Errorf("%d calls, %d messages, waited %s", len(p.slack.Calls()), len(p.slack.Messages()), got)
			}
			problem := ""
			if len(tally.Findings) > 0 {
				_, problem, _ = strings.Cut(tally.Findings[0].Text, "slack was not told that incident #1 is opened: ")
			}
			note := r.bodies(1)[0]
			if problem != c.problem || problem != "" && !strings.Contains(strings.ToLower(note), "slack, opened: **not told.** "+problem) || len(p.pager.Alerts()) != 1 || !strings.Contains(note, "✅ pagerduty, opened") {
				t.Errorf("%+v, %v, %s", tally.Findings, p.pager.Alerts(), note)
			}
			if s := note + strings.Join(findings(tally), " "); strings.Contains(s, "c4n4ry") {
				t.Errorf("something of an answer or an address is told: %s", s)
			}
			p.slack.Fail(nil)
			r.settle(func() pass { return r.told(nil, p, now) })
			if l := p.texts(); l[len(l)-1] != saidOpened || len(l) != max(c.messages, 1) || strings.Contains(r.bodies(1)[0], "not told") || len(p.pager.Calls()) != 1 {
				t.Errorf("the next run: %q, %q", l, r.bodies(1))
			}
		})
	}
}

func findings(t notice.Tally) (l []string) {
	for _, f := range t.Findings {
		l = append(l, f.Text+" "+f.Hint)
	}
	return l
}

// A place that refuses for good is said once on the issue, and in each run's warnings; nothing is written anew.
func TestAPlaceThatRefusesForGood(t *testing.T) {
	for word, want := range map[string]string{
		"invalid_token": "Slack answered 403 invalid_token", "no_service": "Slack answered 404 no_service", "channel_is_archived": "Slack answered 410 channel_is_archived",
		"channel_not_found": "Slack answered 404 channel_not_found", "action_prohibited": "Slack answered 403 action_prohibited",
	} {
		r, p := newRig(t, 1), newPlaces()
		p.slack.Refuse(slackPath, word)
		last := r.settle(func() pass { return r.told(nil, p, []incident.Issue{onCall("team/one"), onCall("team/two")}) })
		if len(last.Findings) != 2 || !strings.HasSuffix(last.Findings[0].Text, want) || last.Findings[0].Hint == "" || last.Writes() != 0 {
			t.Errorf("%s: %+v", word, last)
		}
	}
}

// A place that doesn't answer is left alone for the rest of a pass, and doesn't keep others from being told.
func TestAPlaceThatDoesntAnswerHoldsNobodyUp(t *testing.T) {
	r, p := newRig(t, 1), newPlaces()
	p.slack.Fail(func(hooks.Call) error { return answer(503) })
	var all []incident.Issue
	for _, name := range []string{"team/one", "team/two", "team/three", "team/four"} {
		all = append(all, onCall(name))
	}
	start := r.clock.Now()
	tally, err := r.told(nil, p, all)(context.Background())
	if err != nil || len(p.slack.Calls()) != 4 || r.clock.Now().Sub(start) > time.Minute || len(tally.Findings) != 4 || len(p.pager.Alerts()) != 4 {
		t.Errorf("%v: %d calls, %s, %d findings, %d alerts", err, len(p.slack.Calls()), r.clock.Now().Sub(start), len(tally.Findings), len(p.pager.Alerts()))
	}
}

// A place that is slow, but takes what it is told, has a minute a run; what is left is told by the next ones.
func TestASlowPlaceHasAMinute(t *testing.T) {
	r, p := newRig(t, 1), newPlaces()
	var all []incident.Issue
	for n := range 9 {
		all = append(all, onCall(fmt.Sprintf("team/%d", n)))
	}
	p.slack.Fail(func(hooks.Call) error { r.clock.Move(9 * time.Second); return nil })
	start := r.clock.Now()
	tally, err := r.told(nil, p, all)(context.Background())
	if took := r.clock.Now().Sub(start); err != nil || took > 64*time.Second || len(p.slack.Messages()) != 7 || len(tally.Findings) < 2 || !strings.Contains(tally.Findings[0].Text, "no time left") {
		t.Errorf("%v: %s, %d messages, %+v", err, took, len(p.slack.Messages()), tally.Findings)
	}
	if last := r.settle(func() pass { return r.told(nil, p, all) }); len(p.slack.Messages()) != 9 || len(p.pager.Alerts()) != 9 || len(last.Findings) > 0 {
		t.Errorf("%d messages, %d alerts, %+v", len(p.slack.Messages()), len(p.pager.Alerts()), last.Findings)
	}
}

// However programs die and answers are lost: everybody is told at least once, PagerDuty of one alert, and what was told
// is told no more.
func TestTellingComesRightThroughEveryMisfortune(t *testing.T) {
	one := onCall("team/one")
	torture(t, 12, func(t *testing.T, r *rig) (func(func()) pass, func(notice.Tally)) {
		withPeople(r)
		p := newPlaces()
		lost := 3
		fail := func(hooks.Call) error {
			switch n := r.rnd.IntN(8); {
			case lost > 0 && n == 0:
				lost--
				return hooks.ErrLost
			case lost > 0 && n == 1:
				lost--
				return answer(503)
			}
			return nil
		}
		if r.lag > 0 {
			p.slack.Fail(fail)
			p.pager.Fail(fail)
		}
		return func(gate func()) pass { return r.told(gate, p, []incident.Issue{one}) }, func(last notice.Tally) {
			n := len(p.slack.Messages())
			if calm := r.lag == 0 && strings.Contains(t.Name(), "undisturbed"); n < 1 || calm && n != 1 {
				t.Errorf("said %d times", n)
			}
			if a := p.pager.Alerts(); len(a) == 0 || len(a) > 1 && !strings.Contains(t.Name(), "two_at_once") || len(last.Findings) > 0 {
				t.Errorf("%+v %+v", a, last.Findings)
			}
		}
	})
}

// leaking fails with all that it was given, as some transports do.
type leaking struct{}

func (leaking) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	return nil, errors.New("POST " + req.URL.String() + " with " + string(body) + " failed")
}

func TestNoAddressAndNoKeyIsEverShown(t *testing.T) {
	r := newRig(t, 1)
	tally, err := r.told(nil, leaking{}, []incident.Issue{onCall("team/one")})(context.Background())
	var all strings.Builder
	all.WriteString(strings.Join(findings(tally), "\n") + strings.Join(r.bodies(1), "\n"))
	for _, c := range r.Calls() {
		all.WriteString(c.Body)
	}
	for _, c := range channels() {
		all.WriteString(fmt.Sprintf("%v %+v %#v %v", c, c, c, []webhook.Channel{c}))
	}
	if err != nil || len(tally.Findings) != 2 || strings.Contains(all.String(), "c4n4ry") || strings.Contains(all.String(), "services/T000") {
		t.Errorf("%v %+v\n%s", err, tally, all.String())
	}
}

// A variable that isn't there, or holds something else, is a finding that names it and doesn't show it.
func TestAVariableThatHoldsNoAddress(t *testing.T) {
	all := func(string) bool { return true }
	for what, c := range map[string]webhook.Channel{
		"WEBHOOK is empty in this job":        webhook.Slack("x", "WEBHOOK", "", "", all),
		"WEBHOOK is not the URL of a webhook": webhook.Slack("x", "WEBHOOK", "http://c4n4ry.example/x", "", all),
		"WEBHOOK is not the URL":              webhook.Slack("x", "WEBHOOK", "c4n4ry", "", all),
		"KEY is empty in this job":            webhook.PagerDuty("x", "KEY", "https://events.pagerduty.com", "", repository, all),
		"KEY is not an integration key":       webhook.PagerDuty("x", "KEY", "https://events.pagerduty.com", "c4n4ry", repository, all),
		"it doesn't know the integration key": webhook.PagerDuty("x", "KEY", "https://events.pagerduty.com", strings.Repeat("0", 32), repository, all),
		"it answered 404":                     webhook.PagerDuty("x", "KEY", "https://events.pagerduty.com/v1", pagerKey, repository, all),
		"Slack answered 404 no_service":       webhook.Slack("x", "WEBHOOK", slackURL+"x", "", all),
	} {
		r, p := newRig(t, 1), newPlaces()
		now := onCall("team/one")
		program := r.program(nil)
		i := &incident.Projector{GitHub: program, Bot: bot, Now: r.clock.Now}
		cases, _, err := i.Write(context.Background(), []incident.Issue{now}, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := &webhook.Projector{GitHub: program, Bot: bot, Repository: repository, Channels: []webhook.Channel{c}, HTTP: p, Clock: r.clock}
		tally, err := w.Write(context.Background(), []webhook.Subject{{Brief: now.Brief, Severity: "SEV1", Issue: cases[0].Issue}})
		if s := strings.Join(findings(tally), ""); err != nil || !strings.Contains(s, what) || strings.Contains(s, "c4n4ry") || strings.Contains(r.bodies(1)[0], "c4n4ry") {
			t.Errorf("%s: %v, %q", what, err, s)
		}
	}
}

// A channel that isn't told of a severity is told once a person makes it one that it is told of.
func TestOnlyTheSeveritiesOfAChannelAreTold(t *testing.T) {
	r, p := newRig(t, 1), newPlaces()
	now := onCall("team/one")
	program := r.program(nil)
	i := &incident.Projector{GitHub: program, Bot: bot, Now: r.clock.Now}
	cases, _, err := i.Write(context.Background(), []incident.Issue{now}, nil)
	if err != nil {
		t.Fatal(err)
	}
	only := func(s string) bool { return s == "SEV1" }
	w := &webhook.Projector{GitHub: program, Bot: bot, Channels: []webhook.Channel{webhook.Slack("slack", "W", slackURL, "", only)}, HTTP: p, Clock: r.clock}
	for _, c := range []struct {
		severity string
		want     int
	}{{"SEV2", 0}, {"SEV1", 1}, {"SEV2", 1}} {
		if _, err := w.Write(context.Background(), []webhook.Subject{{Brief: now.Brief, Severity: c.severity, Issue: cases[0].Issue}}); err != nil || len(p.slack.Messages()) != c.want {
			t.Errorf("%s: %v, %d messages", c.severity, err, len(p.slack.Messages()))
		}
	}
}

// What leaves GitHub, byte for byte; and whatever a secret is called, it calls nobody and links nothing.
func TestWhatIsToldOutside(t *testing.T) {
	r, p := newRig(t, 1), newPlaces()
	calm := onCall("team/one")
	hostile := calm
	hostile.Brief.Key = "0123456789abcdef"
	for _, s := range []*string{&hostile.Brief.Chain, &hostile.Brief.Summary, &hostile.Brief.Old, &hostile.Brief.Owner, &hostile.Brief.Ticket, &hostile.Brief.Evidence} {
		*s = "<!channel> <@U024BE7LH> @channel @here <https://evil.example|x> & `a` *b*\n" + reporttest.Hostile + strings.Repeat("&", 900)
	}
	program := r.program(nil)
	i := &incident.Projector{GitHub: program, Bot: bot, Now: r.clock.Now}
	cases, _, err := i.Write(context.Background(), []incident.Issue{calm}, nil)
	if err != nil {
		t.Fatal(err)
	}
	write := func(b text.Brief, state string) {
		w := &webhook.Projector{GitHub: program, Bot: bot, Repository: repository, Channels: channels(), HTTP: p, Clock: r.clock}
		x := cases[0].Issue
		x.State, x.ClosedAt = state, r.clock.Now()
		if tally, err := w.Write(context.Background(), []webhook.Subject{{Brief: b, Severity: "SEV3", Issue: x}}); err != nil || len(tally.Findings) > 0 {
			t.Fatalf("%v %+v", err, tally)
		}
	}
	write(calm.Brief, "open")
	r.Say(1, bot, calm.Escalation.Body)
	write(calm.Brief, "open")
	write(calm.Brief, "closed")
	write(hostile.Brief, "open")
	write(hostile.Brief, "closed")
	for name, calls := range map[string][]hooks.Call{"slack": p.slack.Calls(), "pagerduty": p.pager.Calls()} {
		var all strings.Builder
		for _, c := range calls {
			var b bytes.Buffer
			if err := json.Indent(&b, []byte(strings.ReplaceAll(c.Body, pagerKey, "…")), "", "  "); err != nil {
				t.Fatal(err)
			}
			all.WriteString(b.String() + "\n")
		}
		golden(t, name+".json", all.String())
	}
	for _, m := range p.slack.Messages()[3:] {
		left := m.Text + strings.Join(m.Blocks, "")
		for _, ours := range []string{"<https://github.com/rastup/shop/issues/1|incident #1>", "<!subteam^S0614TZR7>"} {
			left = strings.ReplaceAll(left, ours, "")
		}
		if regexp.MustCompile("[<>]|@[A-Za-z]").MatchString(left) {
			t.Errorf("calls somebody: %q", left)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o777), os.WriteFile(file, []byte(got), 0o666)); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}
