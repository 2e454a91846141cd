package reporttest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/rotation"
)

// A Case is a rotation at some time.
type Case struct {
	Name             string
	Secret, Rotation string
	Now              time.Time
	Environments     []report.Environment
}

// View is what report makes of it.
func (c Case) View() report.View { return report.New(c.Secret, c.Rotation, c.Environments, c.Now) }

// Hostile is what a command may print, or a file be called.
const Hostile = "\x1b[2J\x1b]8;;http://evil.example\x07x\x1b\\ | <script>alert(1)</script> @rastup/all #1 `rm` [x](http://evil.example)\r\n" +
	"# done\n```mermaid\ngraph\n```\n<!-- --> &amp; $x$ \u202egnp.exe \u200b\u2066 \xff\x9b31m www.evil.example **ok**"

// Cases are the states a rotation can be in.
func Cases() []Case {
	hour := time.Hour
	cases := []Case{
		play("success", 5*24*hour, nil),
		play("retention", 2*hour, nil),
		play("window", 20*time.Minute, nil),
		play("refused", hour, func(ps []*Player) {
			ps[0].Answers["preflight"] = Answer{Fail: "version v-half-done carries AWSPENDING, and nobody is rotating",
				Hint: "find out who put it there; remove the label when it isn't wanted", Took: time.Second}
		}),
		play("rolled-back", hour, func(ps []*Player) {
			ps[1].Answers["validate/smoke"] = Answer{Fail: "`npm test -- security:smoke` ended with 1 after 38 s: expected 200, got 401",
				Hint: "the last lines are in files/1-validate~smoke-output.txt", Took: 38 * time.Second,
				Files: []rotation.FileRef{file("1-validate~smoke-output.txt", 1999)}}
		}),
		play("rollback-stuck", hour, func(ps []*Player) {
			ps[1].Answers["validate/health"] = Answer{Fail: "503 from https://stage.example/health", Took: 5 * time.Minute}
			ps[1].Answers["restore"] = Answer{Fail: "AccessDenied on UpdateSecretVersionStage", Hint: "give the role rekey-stage that right again", Took: time.Second}
		}),
		play("create-failed", hour, func(ps []*Player) {
			ps[0].Answers["create"] = Answer{Fail: "LimitExceeded: 100 versions", Took: time.Second}
		}),
		play("decommission-stuck", 3*24*hour, func(ps []*Player) {
			ps[0].Answers["decommission"] = Answer{Fail: "AWSCURRENT is v-other, not the version this rotation promoted",
				Hint: "somebody rotated by hand; see who with CloudTrail", Took: time.Second}
		}),
		play("held", hour, func(ps []*Player) {
			ps[0].Plan.OnFailure = "hold"
			ps[0].Answers["validate/health"] = Answer{Fail: "503 from https://dev.example/health", Took: 5 * time.Minute}
		}),
	}
	cases = append(cases, play("person", hour, func(ps []*Player) { ps[0].asks("create") }),
		play("person-after", 3*24*hour, func(ps []*Player) { ps[0].asks("refused") }),
		play("waits", 3*24*hour, func(ps []*Player) {
			ps[0].Answers["decommission"] = Answer{Waits: "the old key to have been unused for 24 h: reports used it at 06:12"}
		}),
		adoption(0), adoption(14*24*hour), wentAhead(), backStuck(), discardStuck(),
		gated("approval", 2*hour, nil), gated("approved", 3*hour, map[string]string{"stage": "change window agreed"}),
		broken(), removal(), asked(), again(), stopped(), withdrawn(), superseded(), missed(), hostile(), used())
	return cases
}

// play runs dev, stage and prod for d, each after the one before.
func play(name string, d time.Duration, change func([]*Player)) Case {
	return playing(name, d, nil, change)
}

// playing is play of what in changes.
func playing(name string, d time.Duration, in func(*plan.Input), change func([]*Player)) Case {
	c := Case{Name: name, Secret: Secret, Rotation: Rotation, Now: Monday.Add(d)}
	var ps []*Player
	for i, p := range Plans(Secret, in) {
		ps = append(ps, NewPlayer(p, Monday.Add(time.Duration(i)*5*time.Minute)))
	}
	if change != nil {
		change(ps)
	}
	var before *Player
	for _, p := range ps {
		if before != nil && !plan.Validated(&before.Plan, before.Records, c.Now) && !over(before, c.Now) {
			c.Environments = append(c.Environments, p.Environment(c.Now, before.Plan.Environment+" is not validated in this rotation"))
			if d := &c.Environments[len(c.Environments)-1].Decision; d.State == plan.Deferred {
				d.State, d.Why = plan.Waiting, before.Plan.Environment+" is not validated in this rotation"
			}
		} else {
			p.Play(c.Now)
			c.Environments = append(c.Environments, p.Environment(c.Now, ""))
		}
		before = p
	}
	return c
}

// gated is dev, then stage and prod on approval, of which those in words were given.
func gated(name string, d time.Duration, words map[string]string) Case {
	return play(name, d, func(ps []*Player) {
		for _, p := range ps[1:] {
			p.Plan.Approvals = []string{rotation.ApprovesRotation}
			p.Gate, p.Claim.Actors.Approved = "rekey-"+p.Plan.Environment, nil
			if w, ok := words[p.Plan.Environment]; ok {
				p.grant(rotation.ApprovesRotation, w)
			}
		}
	})
}

func (p *Player) grant(what, comment string) {
	if p.Grants == nil {
		p.Grants = map[string]rotation.Approval{}
	}
	p.Grants[what] = rotation.Approval{For: what, Digest: p.Plan.Digest, Environment: p.Gate,
		Run: "https://github.example/rastup/shop/actions/runs/8123", Count: 1, By: []string{"bo-sre", "@rastup/security"}, Comment: comment}
}

// broken is a rotation that a person let go on without an approval.
func broken() Case {
	p := NewPlayer(Plans(Secret, nil)[0], Monday)
	p.Plan.Approvals = []string{rotation.ApprovesRotation}
	p.Gate, p.Claim.Actors.Approved = "rekey-dev", nil
	p.Grants = map[string]rotation.Approval{rotation.ApprovesRotation: {For: rotation.ApprovesRotation, Digest: p.Plan.Digest,
		Run: "by hand: laptop of ana-sec", By: []string{"ana-sec"}, BreakGlass: "the webhook secret is public since 03:10, and nobody answers"}}
	p.Play(Monday.Add(time.Hour))
	return one("break-glass", p, p.Now)
}

// removal is a rotation whose removal of the old credential is asked for by itself.
func removal() Case {
	p := NewPlayer(Plans(Secret, nil)[0], Monday)
	p.Plan.Approvals = []string{rotation.ApprovesRotation, rotation.ApprovesDecommission}
	p.Gate = "rekey-dev"
	p.grant(rotation.ApprovesRotation, "")
	p.Play(Monday.Add(3 * 24 * time.Hour))
	return one("removal-asked", p, p.Now)
}

// adoption is a rotation that two consumers hold up, and that says so anew when one of them has moved on.
// With wait, policy doesn't wait for them for ever.
func adoption(wait time.Duration) Case {
	p := adopting(wait)
	p.Play(Monday.Add(50 * time.Hour))
	p.Now = p.Records[len(p.Records)-1].At.Add(3 * time.Hour)
	p.Append(rotation.Record{Outcome: rotation.Released, Text: rotation.WaitsFor + "1 of 4 tasks of web to end that run with the old version: of web:17, the first since 23 Nov 2026 09:19 UTC; and for " +
		"1 of 2 tasks of worker to end that run with the old version: of worker:8, the first since 21 Nov 2026 22:04 UTC"})
	p.Append(rotation.Record{Outcome: rotation.Attached, Text: "screenshot of the dashboard, by li-pay", Files: []rotation.FileRef{file("2-attached-dashboard.png", 52000)}})
	if wait > 0 {
		return one("adoption-until", p, p.Now)
	}
	return one("adoption", p, p.Now)
}

// wentAhead is one that policy didn't have wait any longer.
func wentAhead() Case {
	p := adopting(14 * 24 * time.Hour)
	p.Answers["adopted/web"] = Answer{Text: "went ahead by policy (adoption_wait, 14d after the retention), although it still waited for 1 of 4 tasks of web to end that run with the old version: of web:17, the first since 23 Nov 2026 09:19 UTC",
		Facts: map[string]string{rotation.FactAhead: "policy"}}
	p.Answers["adopted/worker"] = Answer{Text: "all 2 tasks of worker began after 23 Nov 2026 09:23:02 UTC, when the new version was the live one"}
	p.Play(Monday.Add(17 * 24 * time.Hour))
	return one("went-ahead", p, p.Now)
}

func adopting(wait time.Duration) *Player {
	p := NewPlayer(Plans(Secret, func(in *plan.Input) {
		in.Adoption = rotation.Duration(wait)
		in.Targets[0].Consumers = []plan.Use{
			{Name: "web", Uses: "consumer/ecs", With: json.RawMessage(`{}`), Within: rotation.Duration(20 * time.Minute)},
			{Name: "worker", Uses: "consumer/ecs", With: json.RawMessage(`{}`), Within: rotation.Duration(20 * time.Minute)}}
	})[0], Monday)
	for key, text := range map[string]string{"consumer/web": "4 tasks of web run, of web:17", "consumer/worker": "2 tasks of worker run, of worker:8",
		"deploy/web": "4 of 4 tasks of web began after 23 Nov 2026 09:21:15 UTC", "deploy/worker": "2 of 2 tasks of worker began after 23 Nov 2026 09:23:02 UTC"} {
		p.Answers[key] = Answer{Text: text, Took: 90 * time.Second}
	}
	p.Answers["adopted/web"] = Answer{Waits: "2 of 4 tasks of web to end that run with the old version: of web:17, the first since 23 Nov 2026 09:19 UTC; and for " +
		"1 of 2 tasks of worker to end that run with the old version: of worker:8, the first since 21 Nov 2026 22:04 UTC"}
	return p
}

// backStuck is a rotation of which one consumer can't be brought back, after the old credential is the live one again.
func backStuck() Case {
	p := NewPlayer(Plans(Secret, func(in *plan.Input) {
		in.Targets[0].Consumers = []plan.Use{{Name: "web", Uses: "consumer/ecs", With: json.RawMessage(`{}`), Within: rotation.Duration(20 * time.Minute)},
			{Name: "worker", Uses: "consumer/ecs", With: json.RawMessage(`{}`), Within: rotation.Duration(20 * time.Minute)}}
	})[0], Monday)
	p.Answers["validate/health"] = Answer{Fail: "503 from https://dev.example/health", Took: 5 * time.Minute}
	p.Answers["back/worker"] = Answer{Text: "2 of 2 tasks of worker began after 23 Nov 2026 09:27:10 UTC"}
	p.Answers["back/web"] = Answer{Fail: "the deployment of web failed: tasks can't pull web:17", Hint: "see that the image is there", Took: time.Minute}
	p.Play(Monday.Add(time.Hour))
	return one("back-stuck", p, p.Now)
}

// discardStuck is one that is back but for the new credential, which nobody lets go.
func discardStuck() Case {
	p := NewPlayer(Plans(Secret, nil)[0], Monday)
	p.Answers["validate/health"] = Answer{Fail: "503 from https://dev.example/health", Took: 5 * time.Minute}
	p.Answers["discard"] = Answer{Fail: "AccessDenied on UpdateSecretVersionStage", Hint: "give the role rekey-dev that right again"}
	p.Play(Monday.Add(time.Hour))
	return one("discard-stuck", p, p.Now)
}

// asks lets a person do what a step waits for, who hasn't yet.
func (p *Player) asks(key string) {
	for i, s := range p.Plan.Steps {
		if s.Key == key {
			p.Plan.Steps[i].Within = rotation.Duration(7 * 24 * time.Hour)
			if s.Phase == rotation.Decommission {
				p.Plan.Steps[i].Within = 0
			}
			p.Plan.Steps[i].Ask = &rotation.Ask{Do: []string{"Ask the partner's console for a key (https://partner.example/keys).", "Store it, from a file; then delete that:"},
				Run: "aws secretsmanager put-secret-value --secret-id " + p.Plan.Secret + " --client-request-token {token}"}
		}
	}
	p.Answers[key] = Answer{Waits: "a person"}
}

func over(p *Player, now time.Time) bool {
	return plan.Next(&p.Plan, p.Records, now).State == plan.Finished
}

func one(name string, p *Player, now time.Time) Case {
	return Case{name, p.Plan.Secret, p.Plan.Rotation, now, []report.Environment{p.Environment(now, "")}}
}

func asked() Case {
	p := NewPlayer(Plans(Secret, nil)[0], Monday).Play(Monday.Add(time.Hour))
	p.runs++
	p.Append(rotation.Record{Outcome: rotation.Asked, Text: "ana-sec: partners still pin the old one"})
	p.Play(p.Now)
	return one("rollback-asked", p, p.Now)
}

func again() Case {
	p := NewPlayer(plan.Attempt(Plans(Secret, nil)[0], 2), Monday).Play(Monday.Add(time.Hour))
	p.Append(rotation.Record{Outcome: rotation.Attached, Text: "screenshot of the dashboard, by li-pay", Files: []rotation.FileRef{file("2-attached-dash board.png", 52000)}})
	return one("again-with-attachment", p, p.Now)
}

func stopped() Case {
	p := NewPlayer(Plans(Secret, nil)[0], Monday).Play(Monday.Add(time.Hour))
	p.Records = p.Records[:6]
	p.Now = p.Records[5].At.Add(time.Minute)
	p.Append(rotation.Record{Outcome: rotation.Noted, Step: "promote", Text: "still at it"})
	p.Append(rotation.Record{Outcome: rotation.Released, Text: "promote: connection reset after the request was sent"})
	return one("stopped", p, p.Now.Add(time.Minute))
}

func withdrawn() Case {
	c := one("withdrawn", NewPlayer(Plans(Secret, nil)[2], Monday), Monday)
	c.Environments[0].Decision = plan.Decision{State: plan.Missed, Why: "its request was withdrawn"}
	return c
}

func superseded() Case {
	c := one("superseded", NewPlayer(Plans(Secret, nil)[0], Monday).Play(Monday.Add(time.Hour)), Monday.Add(2*time.Hour))
	c.Environments[0].Decision = plan.Decision{State: plan.Superseded, Why: "superseded by 2026-11-23-stolen"}
	return c
}

func missed() Case {
	return one("missed", NewPlayer(Plans(Secret, nil)[2], Monday), Monday.Add(4*24*time.Hour))
}

func hostile() Case {
	p := NewPlayer(Plans("pay|ments/*x*<b>@all\u202e", func(in *plan.Input) {
		in.Rotation = "2026-11-23-$(rm -rf ~)`x`"
	})[0], Monday)
	p.Claim.Path = "rotations/2026/11/2026-11-23 $(rm -rf ~)'\n.yaml"
	p.Claim.Ticket, p.Claim.Owner, p.Claim.Tags = Hostile, Hostile, []string{"<img src=x>", "a|b"}
	p.Claim.Actors = rotation.Actors{Operator: "@all", Requested: "[bot]", Approved: []string{Hostile}}
	p.Answers["create"] = Answer{Text: Hostile, Facts: map[string]string{"new|\n": Hostile}}
	p.Answers["validate/smoke"] = Answer{Fail: Hostile, Hint: Hostile, Took: time.Second, Files: []rotation.FileRef{
		{Name: "files/../../x", Digest: "d"}, {Name: "files/a b](javascript:alert(1))|<x>.txt", Digest: Hostile}, {Name: "javascript:alert(1)"}}}
	p.Play(Monday.Add(time.Hour))
	return one("hostile", p, p.Now)
}

// Many are n secrets, of which some need a person.
func Many(n int) (views []report.View, plans []rotation.Plan) {
	now := Monday.Add(time.Hour)
	for i := range n {
		secret := fmt.Sprintf("team-%d/service-%03d", i%7, i)
		ps := Plans(secret, nil)
		plans = append(plans, ps...)
		dev := NewPlayer(ps[0], Monday.Add(time.Duration(i)*time.Second))
		switch {
		case i == 41:
			dev.Answers["validate/health"] = Answer{Fail: "503", Took: time.Minute}
			dev.Answers["restore"] = Answer{Fail: "AccessDenied on UpdateSecretVersionStage", Hint: "give the role that right again"}
		case i == 77:
			dev.Answers["preflight"] = Answer{Fail: "secret is scheduled for deletion"}
		}
		dev.Play(now)
		stage := NewPlayer(ps[1], now)
		if i%2 == 0 && i != 41 && i != 77 {
			stage.Play(now)
		}
		why := ""
		if !plan.Validated(&dev.Plan, dev.Records, now) {
			why = "dev is not validated in this rotation"
		}
		views = append(views, report.New(secret, Rotation, []report.Environment{dev.Environment(now, ""), stage.Environment(now, why)}, now))
	}
	return views, plans
}
