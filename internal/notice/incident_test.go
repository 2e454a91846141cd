package notice_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/incident"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	text "github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/rotation"
	world "github.com/rastup/rekey/internal/sandbox/github"
)

func (r *rig) incidents(gate func(), now []incident.Issue, ended ...incident.Success) pass {
	p := &incident.Projector{GitHub: r.program(gate), Bot: bot, Now: r.clock.Now}
	return func(ctx context.Context) (notice.Tally, error) {
		_, t, err := p.Write(ctx, now, ended)
		return t, err
	}
}

// failed is stage of a rotation that was taken back, in its nth attempt.
func failed(secret string, attempt int) (incident.Issue, report.Environment) {
	p := reporttest.Plans(secret, nil)[1]
	p.Attempt = attempt
	one := reporttest.NewPlayer(p, reporttest.Monday)
	one.Answers["validate/smoke"] = reporttest.Answer{Fail: "2 of 2 failed"}
	e := one.Play(reporttest.Monday.Add(time.Hour)).Environment(reporttest.Monday.Add(time.Hour), "")
	v := view(secret, e)
	title, body, _ := text.Incident(v, "stage", "", text.Calls{}, options)
	return incident.Issue{Chain: p.Chain, Title: title, Body: body, Labels: []string{"SEV2"}, Assignees: []string{"@ana-sec", "@rastup/security"}}, e
}

func view(secret string, e report.Environment) report.View {
	return report.New(secret, reporttest.Rotation, []report.Environment{e}, reporttest.Monday.Add(time.Hour))
}

// succeeded is another attempt, whose claim is record 100.
func succeeded(secret string, attempt int, until time.Duration) (incident.Success, report.Environment) {
	p := reporttest.Plans(secret, nil)[1]
	p.Attempt = attempt
	one := reporttest.NewPlayer(p, reporttest.Monday.Add(2*time.Hour)).Play(reporttest.Monday.Add(until))
	for i := range one.Records {
		one.Records[i].Seq += 99
	}
	e := one.Environment(reporttest.Monday.Add(until), "")
	v := report.New(secret, reporttest.Rotation, []report.Environment{e}, reporttest.Monday.Add(until))
	closed, _ := text.IncidentClosed(v, "stage", options)
	return incident.Success{Chain: p.Chain, Before: incident.Ends(e), Closed: closed}, e
}

func keyOf(secret string, attempt int) string {
	return text.IncidentKey(report.View{Secret: secret, Rotation: reporttest.Rotation}, report.Standing{Name: "stage", Attempt: attempt})
}

func TestIncidentsComeRightThroughEveryMisfortune(t *testing.T) {
	one, _ := failed("team/one", 1)
	two, _ := failed("team/two", 1)
	old, _ := failed("team/old", 1)
	ended, _ := succeeded("team/old", 2, 3*time.Hour)
	torture(t, 40, func(t *testing.T, r *rig) (func(func()) pass, func(notice.Tally)) {
		r.settle(func() pass { return r.incidents(nil, []incident.Issue{old}) })
		return func(gate func()) pass { return r.incidents(gate, []incident.Issue{one, two, old}, ended) }, func(last notice.Tally) {
			state := map[string]string{}
			for _, x := range r.Issues() {
				about, _ := text.ParseIncident(x.Body)
				key := about.Key
				switch {
				case x.State == "closed" && x.Reason == "not_planned": // two programs at once: the second of the same
				case state[key] != "":
					t.Errorf("two issues about %s", x.Title)
				default:
					state[key] = x.State + " " + strings.Join(slices.Sorted(slices.Values(x.Labels)), " ") + " @" + strings.Join(x.Assignees, " @")
				}
				if x.State == "open" && x.Body != one.Body && x.Body != two.Body {
					t.Errorf("not as it should be: %q", x.Body)
				}
			}
			const labels = " SEV2 rekey-incident @ana-sec"
			want := map[string]string{keyOf("team/one", 1): "open" + labels, keyOf("team/two", 1): "open" + labels, keyOf("team/old", 1): "closed" + labels}
			if diff := cmp.Diff(want, state); diff != "" || len(last.Findings) > 0 {
				t.Errorf("(-want +got):\n%s\n%+v", diff, last.Findings)
			}
			if n := count(r.bodies(1), "rekey:incident-closed"); n != 1 && !strings.Contains(t.Name(), "two_at_once") || n < 1 || n > 2 {
				t.Errorf("%d closing comments", n)
			}
		}
	})
}

func TestAnIncidentFollowsItsAttempt(t *testing.T) {
	r := newRig(t, 1)
	now, _ := failed("team/one", 1)
	run := func(l []incident.Issue, ended ...incident.Success) []world.Issue {
		r.settle(func() pass { return r.incidents(nil, l, ended...) })
		return r.Issues()
	}
	run([]incident.Issue{now})
	now.Body = strings.Replace(now.Body, "2 of 2 failed", "2 of 2 failed twice", 1)
	all := run([]incident.Issue{now})
	if len(all) != 1 || all[0].Body != now.Body {
		t.Fatalf("not updated in place: %+v", all)
	}
	second, e2 := failed("team/one", 2)
	for i := range e2.Records {
		e2.Records[i].Seq += 40
	}
	if all = run([]incident.Issue{second}); len(all) != 2 || all[0].State != "open" {
		t.Fatalf("a new attempt's failure is a new issue, and the old one stays: %+v", all)
	}
	ended, _ := succeeded("team/one", 3, 3*time.Hour)
	if all = run(nil, ended); len(all) != 2 || all[0].State+all[1].State != "closedclosed" || all[0].Reason != "completed" {
		t.Fatalf("success closes all before it: %+v", all)
	}
	r.Reopen(1, "ana-sec")
	if all = run([]incident.Issue{now}, ended); all[0].State != "open" || count(r.bodies(1), "rekey:incident-closed") != 1 {
		t.Fatalf("what a person opens again stays open: %+v", all)
	}
}

func TestAClosedIncidentIsNeverOpenedAgain(t *testing.T) {
	r := newRig(t, 1)
	now, _ := failed("team/one", 1)
	r.settle(func() pass { return r.incidents(nil, []incident.Issue{now}) })
	r.Close(1, "ana-sec")
	r.settle(func() pass { return r.incidents(nil, []incident.Issue{now}) })
	if all := r.Issues(); len(all) != 1 || all[0].State != "closed" {
		t.Errorf("issues: %+v", all)
	}
}

func TestAnIncidentWithoutItsLabelIsFoundAndGetsItBack(t *testing.T) {
	r := newRig(t, 1)
	now, _ := failed("team/one", 1)
	r.OpenIssue("eve", now.Title, now.Body, incident.Label)
	r.OpenIssue(bot, now.Title, now.Body, "triaged")
	r.settle(func() pass { return r.incidents(nil, []incident.Issue{now}) })
	all := r.Issues()
	if len(all) != 2 || !slices.Contains(all[1].Labels, incident.Label) || !slices.Contains(all[1].Labels, "triaged") || all[0].Author != "eve" {
		t.Errorf("issues: %+v", all)
	}
}

func TestAnUnknownAssigneeIsAFindingAndTheIncidentIsOpened(t *testing.T) {
	r := newRig(t, 1)
	now, _ := failed("team/one", 1)
	now.Assignees = []string{"nobody-here"}
	tally, err := r.incidents(nil, []incident.Issue{now})(context.Background())
	if all := r.Issues(); err != nil || len(all) != 1 {
		t.Fatalf("%v, %+v", err, all)
	}
	if len(r.Issues()[0].Assignees) != 0 || len(tally.Findings) != 1 {
		t.Errorf("findings: %+v", tally.Findings)
	}
	r = newRig(t, 1)
	now.Assignees = []string{"nobody-here", "@ana-sec"}
	tally, err = r.incidents(nil, []incident.Issue{now})(context.Background())
	if all := r.Issues(); err != nil || len(all) != 1 || !slices.Equal(all[0].Assignees, []string{"ana-sec"}) || len(tally.Findings) != 1 || !strings.Contains(tally.Findings[0].Text, "nobody-here") {
		t.Errorf("one who can't be assigned keeps the others from it: %v, %+v, %+v", err, all, tally.Findings)
	}
}

func TestWhichStatesNeedAPerson(t *testing.T) {
	want := map[string]string{
		"success":            "dev success (ends its own), stage success (ends its own), prod success (ends its own)",
		"retention":          "dev success, stage success, prod nothing",
		"window":             "dev success, stage success, prod nothing",
		"refused":            "dev nothing, stage nothing, prod nothing",
		"rolled-back":        "dev success, stage incident, prod nothing",
		"rollback-stuck":     "dev success, stage incident, prod nothing",
		"create-failed":      "dev incident, stage nothing, prod nothing",
		"decommission-stuck": "dev incident, stage success (ends its own), prod success",
		"held":               "dev incident, stage nothing, prod nothing",
	}
	for _, c := range reporttest.Cases() {
		expected, named := want[c.Name]
		if !named {
			continue
		}
		delete(want, c.Name)
		var got []string
		for i, s := range c.View().Environments {
			e := c.Environments[i]
			what := "nothing"
			bad, good := incident.Judge(e, s)
			switch {
			case bad:
				what = "incident"
			case good && incident.Ends(e) > e.Records[0].Seq:
				what = "success (ends its own)"
			case good:
				what = "success"
			}
			got = append(got, s.Name+" "+what)
		}
		if diff := cmp.Diff(expected, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.Name, diff)
		}
	}
	if len(want) > 0 {
		t.Errorf("no such cases: %v", want)
	}
}

func TestARefusalIsAnIncidentOnceItWasApproved(t *testing.T) {
	e := report.Environment{Plan: rotation.Plan{}, Decision: plan.Decision{State: plan.Refused}, Records: []rotation.Record{{Seq: 1, Claim: &rotation.Claim{}}}}
	if bad, _ := incident.Judge(e, report.Standing{}); bad {
		t.Error("nobody waits for it")
	}
	e.Records = append(e.Records, rotation.Record{Seq: 2, Approval: &rotation.Approval{For: rotation.ApprovesRotation}})
	if bad, _ := incident.Judge(e, report.Standing{}); !bad {
		t.Error("people approved it and believe that it goes on")
	}
}

func TestAProgramRemembersIncidentsThatListsDontShowYet(t *testing.T) {
	r := newRig(t, 1)
	r.lag = 1 << 20
	now, _ := failed("team/one", 1)
	run := r.incidents(nil, []incident.Issue{now})
	for range 3 {
		if _, err := run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if l := r.changes(0); len(l) != 1 {
		t.Errorf("changing calls: %q", l)
	}
}

// Another request may succeed where one before it was taken back; what became of other secrets, and of what came after it,
// is none of its business.
func TestASuccessEndsTheIncidentsBeforeItOnItsChain(t *testing.T) {
	r := newRig(t, 1)
	before, _ := failed("team/one", 1)
	other, _ := failed("team/two", 1)
	after, _ := failed("team/one", 2)
	after.Body = strings.Replace(after.Body, `"claim":1}`, `"claim":120}`, 1)
	if _, ok := text.ParseIncident(after.Body); !ok || !strings.Contains(after.Body, `"claim":120}`) {
		t.Fatalf("no claim in %q", after.Body)
	}
	success, _ := succeeded("team/one", 1, 3*time.Hour)
	r.settle(func() pass { return r.incidents(nil, []incident.Issue{before, other, after}) })
	r.settle(func() pass { return r.incidents(nil, nil, success) })
	var states []string
	for _, x := range r.Issues() {
		states = append(states, x.State)
	}
	if !slices.Equal(states, []string{"closed", "open", "open"}) {
		t.Errorf("issues are %v", states)
	}
}

// reviewed is dev of a rotation that somebody let go on without an approval.
func reviewed(secret string) incident.Issue {
	p := reporttest.NewPlayer(reporttest.Plans(secret, nil)[0], reporttest.Monday)
	p.Plan.Approvals = []string{rotation.ApprovesRotation}
	p.Grants = map[string]rotation.Approval{rotation.ApprovesRotation: {For: rotation.ApprovesRotation, By: []string{"ana-sec"}, BreakGlass: "nobody answers since 03:10"}}
	e := p.Play(reporttest.Monday.Add(time.Hour)).Environment(reporttest.Monday.Add(time.Hour), "")
	v := report.New(secret, reporttest.Rotation, []report.Environment{e}, reporttest.Monday.Add(time.Hour))
	title, body, _ := text.AfterReview(v, "dev", v.Environments[0].Broken[0], "", nil, options)
	return incident.Issue{Chain: p.Plan.Chain, Title: title, Body: body, Labels: []string{"SEV4"}, Assignees: []string{"@ana-sec"}}
}

func (r *rig) reviews(gate func(), now ...incident.Issue) pass {
	p := &incident.Projector{GitHub: r.program(gate), Bot: bot, Now: r.clock.Now}
	return func(ctx context.Context) (notice.Tally, error) { return p.Reviews(ctx, now) }
}

func (r *rig) unreviewed() incident.Unreviewed {
	u, err := (&incident.Projector{GitHub: r.program(nil), Bot: bot}).Unreviewed(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

func TestAfterReviewsComeRightThroughEveryMisfortune(t *testing.T) {
	one, two := reviewed("team/one"), reviewed("team/two")
	torture(t, 40, func(t *testing.T, r *rig) (func(func()) pass, func(notice.Tally)) {
		return func(gate func()) pass { return r.reviews(gate, one, two) }, func(last notice.Tally) {
			open := map[string]int{}
			for _, x := range r.Issues() {
				about, _ := text.ParseAfterReview(x.Body)
				if open[about.Secret] += 0; x.State == "open" {
					open[about.Secret]++
				}
			}
			if diff := cmp.Diff(map[string]int{"team/one": 1, "team/two": 1}, open); diff != "" || len(last.Findings) > 0 || len(r.unreviewed().Open) != 2 {
				t.Errorf("(-want +got):\n%s\n%+v", diff, last.Findings)
			}
		}
	})
}

func TestAnAfterReviewIsAPersonsToClose(t *testing.T) {
	r := newRig(t, 1)
	now := reviewed("team/one")
	failing, _ := failed("team/one", 1)
	ended, _ := succeeded("team/one", 2, 3*time.Hour)
	about, _ := text.ParseAfterReview(now.Body)
	r.OpenIssue("eve", now.Title, now.Body, incident.ReviewLabel) // and closes it: nothing comes of that
	r.Close(1, "eve")
	if u := r.unreviewed(); len(u.Open)+len(u.Closed) > 0 {
		t.Errorf("a stranger's issue counts: %+v", u)
	}
	r.settle(func() pass { return r.reviews(nil, now) })
	r.settle(func() pass { return r.incidents(nil, []incident.Issue{failing}, ended) }) // no success ends it
	if u := r.unreviewed(); u.Open[now.Chain] != 2 || len(u.Closed) > 0 {
		t.Fatalf("%+v", u)
	}
	r.settle(func() pass { return r.reviews(nil) })
	r.Close(2, "ana-sec")
	r.settle(func() pass { return r.reviews(nil, now) })
	if u := r.unreviewed(); len(u.Open) > 0 || !u.Closed[about.Key] || len(r.Issues()) != 2 {
		t.Errorf("closed: %+v", u)
	}
	r.Reopen(2, "ana-sec")
	if u := r.unreviewed(); u.Open[now.Chain] != 2 {
		t.Errorf("opened again: %+v", u)
	}
}
