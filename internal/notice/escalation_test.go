package notice_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/incident"
	text "github.com/rastup/rekey/internal/report/comment"
)

// onCall is an incident somebody else is called about after half an hour.
func onCall(secret string) incident.Issue {
	calls := text.Calls{Primary: []string{"@rastup/security", "@ana-sec"}, Secondary: []string{"@rastup/sre", "@sam-sre"}, After: 30 * time.Minute}
	i, e := failed(secret, 1)
	v := view(secret, e)
	i.Title, i.Body, _ = text.Incident(v, "stage", "", calls, options)
	body, _ := text.IncidentEscalated(v, "stage", calls)
	i.Escalation = incident.Escalation{Body: body, Assignees: calls.Secondary, After: calls.After}
	i.Brief, _ = text.IncidentBrief(v, "stage", options)
	return i
}

func withPeople(r *rig) *rig {
	r.AddUser("sam-sre", "write", false)
	r.AddUser("dependabot[bot]", "", true)
	return r
}

func (r *rig) escalations(issue int) int { return count(r.bodies(issue), "rekey:incident-escalated") }

func TestWhoIsNextIsCalledOnceNobodyHasReacted(t *testing.T) {
	r := withPeople(newRig(t, 1))
	now := onCall("team/one")
	run := func() { r.settle(func() pass { return r.incidents(nil, []incident.Issue{now}) }) }
	run()
	r.Say(1, "dependabot[bot]", "I am a bot")
	r.clock.Move(20 * time.Minute)
	run()
	if n := r.escalations(1); n != 0 || !slices.Equal(r.Issues()[0].Assignees, []string{"ana-sec"}) {
		t.Fatalf("called too early: %d, %v", n, r.Issues()[0].Assignees)
	}
	r.clock.Move(10 * time.Minute)
	run()
	if n := r.escalations(1); n != 1 || !slices.Equal(r.Issues()[0].Assignees, []string{"ana-sec", "sam-sre"}) {
		t.Fatalf("called %d times, assigned %v", n, r.Issues()[0].Assignees)
	}
	if body := r.bodies(1)[1]; !strings.Contains(body, "@rastup/sre and @sam-sre, nobody has reacted") {
		t.Errorf("%s", body)
	}
	r.Assign(1, "ana-sec", "ana-sec")
	r.clock.Move(24 * time.Hour)
	run()
	if n := r.escalations(1); n != 1 || !slices.Equal(r.Issues()[0].Assignees, []string{"ana-sec"}) {
		t.Errorf("once it was said, assignees are people's: called %d times, assigned %v", n, r.Issues()[0].Assignees)
	}
}

func TestNobodyIsCalledOnceAPersonHasReacted(t *testing.T) {
	for what, react := range map[string]func(r *rig){
		"a comment":             func(r *rig) { r.Say(1, "eve", "on it") },
		"a label":               func(r *rig) { r.Label(1, "ana-sec", incident.Label, "SEV2", "triaged") },
		"another severity":      func(r *rig) { r.Label(1, "ana-sec", incident.Label, "SEV1") },
		"takes it":              func(r *rig) { r.Assign(1, "sam-sre", "ana-sec", "sam-sre") },
		"gives it away":         func(r *rig) { r.Assign(1, "ana-sec") },
		"closes and reopens it": func(r *rig) { r.Close(1, "ana-sec"); r.Reopen(1, "ana-sec") },
		"closes it":             func(r *rig) { r.Close(1, "ana-sec") },
	} {
		t.Run(what, func(t *testing.T) {
			r := withPeople(newRig(t, 1))
			now := onCall("team/one")
			run := func() { r.settle(func() pass { return r.incidents(nil, []incident.Issue{now}) }) }
			run()
			react(r)
			r.clock.Move(time.Hour)
			run()
			if r.escalations(1) != 0 {
				t.Errorf("%q", r.bodies(1))
			}
		})
	}
}

// To be assigned or called is no reaction; to claim in a comment that it was said is one.
func TestAnEscalationIsByTheBot(t *testing.T) {
	r := withPeople(newRig(t, 1))
	now := onCall("team/one")
	r.settle(func() pass { return r.incidents(nil, []incident.Issue{now}) })
	r.Say(1, "dependabot[bot]", now.Escalation.Body)
	r.clock.Move(time.Hour)
	r.settle(func() pass { return r.incidents(nil, []incident.Issue{now}) })
	if n := r.escalations(1); n != 2 {
		t.Errorf("%d", n)
	}
}

func TestAnIncidentThatIsOverIsNotEscalated(t *testing.T) {
	r := withPeople(newRig(t, 1))
	now := onCall("team/one")
	r.settle(func() pass { return r.incidents(nil, []incident.Issue{now}) })
	r.clock.Move(time.Hour)
	success, _ := succeeded("team/one", 2, 3*time.Hour)
	r.settle(func() pass { return r.incidents(nil, []incident.Issue{now}, success) })
	if r.escalations(1) != 0 || r.Issues()[0].State != "closed" {
		t.Errorf("%q", r.bodies(1))
	}
}

func TestWhoCantBeAssignedIsCalledAllTheSame(t *testing.T) {
	r := newRig(t, 1) // there is no sam-sre
	now := onCall("team/one")
	program := func() pass { return r.incidents(nil, []incident.Issue{now}) }
	r.settle(program)
	r.clock.Move(time.Hour)
	tally, err := program()(context.Background())
	if err != nil || r.escalations(1) != 1 || len(tally.Findings) != 1 || !strings.Contains(tally.Findings[0].Text, "can't be assigned to sam-sre") {
		t.Errorf("%v, %+v", err, tally)
	}
}

func TestEscalationsComeRightThroughEveryMisfortune(t *testing.T) {
	one, two := onCall("team/one"), onCall("team/two")
	torture(t, 12, func(t *testing.T, r *rig) (func(func()) pass, func(notice.Tally)) {
		withPeople(r)
		r.settle(func() pass { return r.incidents(nil, []incident.Issue{one, two}) })
		r.Say(2, "ana-sec", "on it")
		r.clock.Move(time.Hour)
		return func(gate func()) pass { return r.incidents(gate, []incident.Issue{one, two}) }, func(last notice.Tally) {
			n := r.escalations(1)
			if n != 1 && !strings.Contains(t.Name(), "two_at_once") || n < 1 || n > 2 || r.escalations(2) != 0 {
				t.Errorf("called %d and %d times", n, r.escalations(2))
			}
			if !slices.Contains(r.Issues()[0].Assignees, "sam-sre") || len(last.Findings) > 0 {
				t.Errorf("%v %+v", r.Issues()[0].Assignees, last.Findings)
			}
		}
	})
}
