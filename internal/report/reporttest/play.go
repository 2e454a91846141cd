// Package reporttest makes rotations to report on: plans as plan.Build makes them, played by plan.Next. It is for
// tests only, and must never touch the world.
package reporttest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/rotation"
)

// An Answer is what the world says to a step.
type Answer struct {
	Fail, Hint string // Fail: a definite no
	Text       string
	Facts      map[string]string
	Files      []rotation.FileRef
	Took       time.Duration
	Waits      string // for what, longer than a run does
}

// A Player runs one environment.
type Player struct {
	Plan    rotation.Plan
	Claim   rotation.Claim
	Answers map[string]Answer
	Records []rotation.Record
	Now     time.Time
	Grants  map[string]rotation.Approval // what people approve when they are asked, by Approval.For
	Gate    string                       // the GitHub Environment that asks
	runs    int
	tried   map[string]bool
}

// Monday is when the samples begin.
var Monday = time.Date(2026, 11, 23, 9, 21, 7, 0, time.UTC)

const (
	// Secret, Rotation and Path are those of the samples.
	Secret   = "payments/stripe-webhook"
	Rotation = "2026-11-23-payments-stripe-webhook"
	Path     = "rotations/2026/11/" + Rotation + ".yaml"
	Merge    = "4f1c2d9e0c3b7a58d6f1e2a3b4c5d6e7f8091a2b"
)

// Recipe is a kind's with an overlap; disabling, with a soak before the end.
func Recipe(disabling bool) []rotation.Spec {
	specs := []rotation.Spec{
		{Phase: rotation.Preconditions, Name: "preflight", Looks: true},
		{Phase: rotation.Create, Name: "create"},
		{Phase: rotation.Create, Name: "test", Looks: true},
		{Phase: rotation.Deploy, Name: "promote"},
		{Phase: rotation.Decommission, Name: "decommission", After: "promote", Delay: rotation.Retain, Final: true},
		{Phase: rotation.Decommission, Name: "refused", Looks: true},
		{Phase: rotation.Rollback, Name: "restore", Undoes: "promote"},
		{Phase: rotation.Rollback, Name: "discard", Undoes: "create"},
	}
	if disabling {
		specs[4] = rotation.Spec{Phase: rotation.Decommission, Name: "disable", After: "promote", Delay: rotation.Retain}
		specs[5] = rotation.Spec{Phase: rotation.Decommission, Name: "decommission", After: "disable",
			Delay: rotation.Duration(7 * 24 * time.Hour), Final: true}
	}
	return specs
}

// Plans are those of the sample request for dev, stage and prod; change may be nil.
func Plans(secret string, change func(*plan.Input)) []rotation.Plan {
	hours := &rotation.Hours{Days: []string{"mon", "tue", "wed", "thu", "fri"}, From: "08:00", To: "17:00", Zone: "Europe/Berlin"}
	checks := []plan.Use{
		{Name: "health", Uses: "check/http", Within: rotation.Duration(5 * time.Minute)},
		{Name: "smoke", Uses: "check/command", Within: rotation.Duration(10 * time.Minute)},
	}
	in := plan.Input{
		Rotation: Rotation, Request: []byte("secret: " + secret + "\n"), Date: Monday.Truncate(24 * time.Hour), Secret: secret,
		Kind: "secretsmanager", Reason: "scheduled", OnFailure: "rollback", Retain: rotation.Duration(48 * time.Hour),
		StartIn: rotation.Duration(30 * 24 * time.Hour),
	}
	for _, e := range []string{"dev", "stage", "prod"} {
		t := plan.Target{Environment: e, Requested: true, With: json.RawMessage(`{}`), Recipe: Recipe(false), Checks: checks, Hours: hours}
		if e == "prod" {
			from := time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)
			t.Hours, t.Window = nil, &rotation.Window{From: from, To: from.Add(2 * time.Hour)}
		}
		in.Targets = append(in.Targets, t)
	}
	if change != nil {
		change(&in)
	}
	plans, err := plan.Build(in)
	if err != nil {
		panic(err) // a mistake in this file
	}
	return plans
}

// NewPlayer has the usual people and answers.
func NewPlayer(p rotation.Plan, at time.Time) *Player {
	return &Player{Plan: p, Now: at, tried: map[string]bool{}, Claim: rotation.Claim{
		Path: Path, Request: "secret: " + p.Secret + "\n", Ticket: "SEC-1423", Owner: "@rastup/payments", Tags: []string{"pci"},
		Actors:   rotation.Actors{Operator: "ana-sec", Requested: "li-pay", Merged: "ana-sec", Reviewed: []string{"ana-sec"}, Approved: approvers(p)},
		Identity: "arn:aws:sts::111122223333:assumed-role/rekey-" + p.Environment + "/8123", Commit: Merge, Program: "rekey v1.0.0",
		Origin: &rotation.Origin{Repository: "rastup/shop", PullRequest: 7, URL: "https://github.example/rastup/shop/pull/7",
			Head: "8a5edab282632443219e051e4ade2d1d5bbc671c", Merge: Merge, MergedAt: Monday.Add(-time.Minute)},
	}, Answers: map[string]Answer{
		"preflight":       {Text: "target as expected, 4 consumers, smoke tests found", Took: 2 * time.Second, Facts: map[string]string{"arn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:" + p.Secret, "old": "v-old-b2"}},
		"baseline/health": {Text: "3 of 3 healthy", Took: time.Second},
		"baseline/smoke":  {Text: "2 of 2 passed", Took: 41 * time.Second},
		"create":          {Text: "stored as version v-new-x9, tagged version=20261123", Took: 3 * time.Second, Facts: map[string]string{"new": "v-new-x9"}},
		"test":            {Text: "read back, accepted", Took: time.Second},
		"promote":         {Text: "AWSCURRENT moved to v-new-x9; v-old-b2 kept as rekey-kept", Took: 2 * time.Second, Facts: map[string]string{"kept_by": "rekey-kept"}},
		"validate/health": {Text: "3 of 3 healthy", Took: 5 * time.Second, Files: []rotation.FileRef{file("1-validate~health-answers.txt", 212)}},
		"validate/smoke":  {Text: "2 of 2 passed", Took: 2*time.Minute + 5*time.Second, Files: []rotation.FileRef{file("1-validate~smoke-output.txt", 10240)}},
		"decommission":    {Text: "labels removed from v-old-b2", Took: time.Second},
		"refused":         {Text: "the old credential was refused (401)", Took: time.Second},
		"restore":         {Text: "AWSCURRENT is v-old-b2 again", Took: 2 * time.Second},
		"discard":         {Text: "v-new-x9 removed", Took: time.Second},
	}}
}

func approvers(p rotation.Plan) []string {
	if p.Environment == "dev" {
		return nil
	}
	return []string{"bo-sre"}
}

func file(name string, size int64) rotation.FileRef {
	return rotation.FileRef{Name: "files/" + name, Digest: rotation.Digest([]byte(name)), Size: size}
}

// Play goes on until until, or to where nothing is due: a failed step is tried once.
func (p *Player) Play(until time.Time) *Player {
	working := false
	for range 200 {
		d := plan.Next(&p.Plan, p.Records, p.Now)
		if d.State == plan.Deferred && !d.Until.After(until) {
			p.Now, working = d.Until, false
			continue
		}
		if a, ok := p.Grants[d.Approval]; ok {
			a.SeenAt = p.Now
			if len(p.Records) == 0 {
				if p.Claim.Approval = &a; a.BreakGlass == "" {
					p.Claim.Actors.Approved = a.By
				}
				p.begin()
				working = true
			} else {
				p.Append(rotation.Record{Outcome: rotation.Approved, Approval: &a})
			}
			continue
		}
		if !d.Due() || p.tried[d.Step.Key] {
			break
		}
		if !working {
			p.begin()
			working = true
		}
		if what := p.Answers[d.Step.Key].Waits; what != "" {
			p.Append(rotation.Record{Outcome: rotation.Released, Text: rotation.WaitsFor + what})
			break
		}
		p.step(d.Step)
	}
	if until.After(p.Now) {
		p.Now = until
	}
	return p
}

func (p *Player) begin() {
	p.runs++
	if len(p.Records) > 0 {
		p.Append(rotation.Record{Outcome: rotation.Resumed})
		return
	}
	p.Claim.Plan = p.Plan
	p.Append(rotation.Record{Outcome: rotation.Claimed, Claim: &p.Claim})
}

func (p *Player) step(s rotation.Step) {
	a := p.Answers[s.Key]
	if s.Final {
		p.Append(rotation.Record{Step: s.Key, Outcome: rotation.Begun})
	}
	p.Now = p.Now.Add(a.Took)
	r := rotation.Record{Step: s.Key, Outcome: rotation.Done, Text: a.Text, Facts: a.Facts, Files: a.Files}
	if a.Fail != "" {
		r.Outcome, r.Text, r.Hint = rotation.Failed, a.Fail, a.Hint
	}
	p.Append(r)
	if d := plan.Next(&p.Plan, p.Records, p.Now); d.State == plan.Stuck || d.State == plan.Refused {
		p.tried[d.Step.Key] = true
	}
}

// Append fills in what the journal would.
func (p *Player) Append(r rotation.Record) {
	r.Seq, r.ClaimSeq, r.Chain, r.Rotation, r.Attempt = len(p.Records)+1, 1, p.Plan.Chain, p.Plan.Rotation, p.Plan.Attempt
	if len(p.Records) > 0 {
		r.Prev = p.digest()
	}
	r.At = p.Now
	if r.Runner.ID == "" {
		r.Runner = rotation.Runner{ID: fmt.Sprintf("run %d", 8122+p.runs), Nonce: fmt.Sprint(p.runs)}
	}
	p.Records = append(p.Records, r)
}

// digest stands for the last record's.
func (p *Player) digest() string {
	return rotation.Digest([]byte(strings.Repeat(p.Plan.Environment, len(p.Records))))
}

// Environment is where it stands at now. why, if any, is what it waits for that isn't in the plan.
func (p *Player) Environment(now time.Time, why string) report.Environment {
	e := report.Environment{Gate: p.Gate, Name: p.Plan.Environment, Plan: p.Plan, Records: p.Records, Decision: plan.Next(&p.Plan, p.Records, now)}
	if why != "" && e.Decision.State == plan.Open {
		e.Decision.State, e.Decision.Why = plan.Waiting, why
	}
	e.Head = rotation.Head{Chain: p.Plan.Chain, Seq: len(p.Records), Digest: p.digest()}
	return e
}
