package plan_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

var day = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// recipe has a step of every sort.
var recipe = []rotation.Spec{
	{Phase: rotation.Preconditions, Name: "preflight", Looks: true},
	{Phase: rotation.Create, Name: "create", Reads: []string{"preflight"}},
	{Phase: rotation.Create, Name: "test"},
	{Phase: rotation.Deploy, Name: "promote"},
	{Phase: rotation.Decommission, Name: "decommission", After: "promote", Delay: rotation.Retain, Final: true},
	{Phase: rotation.Rollback, Name: "restore", Undoes: "promote"},
	{Phase: rotation.Rollback, Name: "discard", Undoes: "create"},
}

func input() plan.Input {
	in := plan.Input{Rotation: "2026-11-23-app", Request: []byte("secret: app\n"), Date: day, Secret: "app/db", Kind: "toy",
		Reason: "scheduled", OnFailure: "rollback", Retain: rotation.Duration(48 * time.Hour), StartIn: rotation.Duration(720 * time.Hour)}
	for _, env := range []string{"dev", "stage", "prod"} {
		in.Targets = append(in.Targets, plan.Target{Environment: env, Requested: true, With: json.RawMessage(`{"at":"` + env + `"}`),
			Recipe: recipe, Checks: []plan.Use{{Name: "health", Uses: "check/http", Within: rotation.Duration(time.Minute)}}})
	}
	return in
}

func build(t *testing.T, in plan.Input) []rotation.Plan {
	t.Helper()
	plans, err := plan.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return plans
}

func keys(steps []rotation.Step) string {
	var l []string
	for _, s := range steps {
		l = append(l, s.Key)
	}
	return strings.Join(l, " ")
}

func TestBuildOrdersStepsByPhaseAndUndoBesideThem(t *testing.T) {
	p := build(t, input())[0]
	if got, want := keys(p.Steps), "preflight baseline/health create test promote validate/health decommission"; got != want {
		t.Errorf("steps %s\nwant  %s", got, want)
	}
	if got, want := keys(p.Undo), "restore after-restore/health discard"; got != want {
		t.Errorf("undo %s\nwant %s", got, want)
	}
	if s := p.Steps[2]; s.ID != "2026-11-23-app/app~db/dev/1/create" {
		t.Errorf("ID %s", s.ID)
	}
}

// Who uses the secret is found before consumers are looked at, which may refuse, and by what the kind found alone.
func TestUsersAreFoundBeforeConsumersAreLookedAt(t *testing.T) {
	in := input()
	in.Targets[0].Consumers = []plan.Use{{Name: "web", Uses: "consumer/ecs"}}
	in.Targets[0].Discover = json.RawMessage(`{"used_by":["a batch job"]}`)
	p := build(t, in)[0]
	if got, want := keys(p.Steps[:4]), "preflight discover consumer/web baseline/health"; got != want {
		t.Errorf("steps %s\nwant  %s", got, want)
	}
	if s := p.Steps[1]; !s.Looks || s.Uses != plan.Discover || s.Name != plan.Discover || strings.Join(s.Reads, " ") != "preflight" || string(s.With) != `{"used_by":["a batch job"]}` {
		t.Errorf("%+v", s)
	}
}

func TestConsumersFollowWhatIsLiveBothWays(t *testing.T) {
	in := input()
	in.Targets = in.Targets[:1]
	in.Targets[0].Hours = &rotation.Hours{Days: []string{"thu"}, From: "00:00", To: "23:00", Zone: "UTC"}
	in.Targets[0].Consumers = []plan.Use{{Name: "web", Uses: "consumer/ecs", Within: rotation.Duration(20 * time.Minute)}, {Name: "jobs", Uses: "consumer/lambda"}}
	p := build(t, in)[0]
	if got, want := keys(p.Steps), "preflight consumer/web consumer/jobs baseline/health create test promote deploy/web deploy/jobs validate/health adopted/web adopted/jobs decommission"; got != want {
		t.Errorf("steps %s\nwant  %s", got, want)
	}
	if got, want := keys(p.Undo), "restore back/web back/jobs after-restore/health discard"; got != want {
		t.Errorf("undo %s\nwant %s", got, want)
	}
	deploy, _ := p.Step("deploy/web")
	adopted, _ := p.Step("adopted/web")
	back, _ := p.Step("back/web")
	switch {
	case deploy.Looks || deploy.Within != rotation.Duration(20*time.Minute) || deploy.Hours != nil:
		t.Errorf("deploy: %+v", deploy)
	case !adopted.Looks || adopted.Within != 0 || adopted.After != "promote" || adopted.Delay != in.Retain || adopted.Hours == nil:
		t.Errorf("adopted: %+v", adopted)
	case back.Undoes != "deploy/web" || back.Within != 0:
		t.Errorf("back: %+v", back)
	}
}

// A check that looks back must know since when: its step may read when what it proves came about.
func TestChecksReadSinceWhenThereIsSomethingToProve(t *testing.T) {
	in := input()
	in.Targets = in.Targets[:1]
	in.Targets[0].Consumers = []plan.Use{{Name: "web", Uses: "consumer/ecs"}}
	p := build(t, in)[0]
	for key, want := range map[string]string{
		"baseline/health": "preflight create", "validate/health": "preflight create promote deploy/web",
		"after-restore/health": "preflight create promote restore back/web",
	} {
		if s, ok := p.Step(key); !ok || strings.Join(s.Reads, " ") != want {
			t.Errorf("%s reads %v, want %s", key, s.Reads, want)
		}
	}
}

func TestWhatAPersonPreparesWaitsForNoWindow(t *testing.T) {
	in := input()
	in.Targets = in.Targets[:1]
	in.Targets[0].Window = &rotation.Window{From: day.Add(72 * time.Hour), To: day.Add(74 * time.Hour)}
	in.Targets[0].Hours = &rotation.Hours{Days: []string{"thu"}, From: "00:00", To: "23:00", Zone: "UTC"}
	in.Targets[0].Recipe = slices.Clone(recipe)
	in.Targets[0].Recipe[1].Ask = &rotation.Ask{Do: []string{"make one"}, Run: "store it as {token}"}
	p := build(t, in)[0]
	var held []string
	for _, s := range p.Steps {
		if s.Window != nil || s.Hours != nil {
			held = append(held, s.Key)
		}
	}
	if got := strings.Join(held, " "); got != "promote decommission" {
		t.Errorf("held back: %s", got)
	}
	create, _ := p.Step("create")
	token := rotation.PastOf([]rotation.Record{{Claim: &rotation.Claim{Plan: p}}}).Token("create", "value")
	if got := create.Asks().Run; got != "store it as "+token {
		t.Errorf("asked to %s, the token is %s", got, token)
	}
	second := plan.Attempt(p, 2)
	if again, _ := second.Step("create"); again.Asks().Run == create.Asks().Run {
		t.Error("another attempt asks for the same token")
	}
}

func TestBuildOrderOfEnvironments(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*plan.Input)
		want   string
	}{
		"all":                 {func(*plan.Input) {}, "dev< stage<dev(this) prod<stage(this)"},
		"prod alone":          {func(in *plan.Input) { in.Targets[0].Requested, in.Targets[1].Requested = false, false }, "prod<stage"},
		"stolen: all at once": {func(in *plan.Input) { in.Reason = "compromise" }, "dev< stage< prod<"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input()
			c.change(&in)
			var got []string
			for _, p := range build(t, in) {
				s := p.Environment + "<" + p.Needs
				if p.NeedsThis {
					s += "(this)"
				}
				got = append(got, s)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
		})
	}
}

func TestBuildRefusesRecipesThatNextCouldNotFollow(t *testing.T) {
	for name, spec := range map[string]rotation.Spec{
		"twice":        {Phase: rotation.Create, Name: "create"},
		"after itself": {Phase: rotation.Create, Name: "x", After: "later"},
		"undoes what":  {Phase: rotation.Rollback, Name: "x", Undoes: "y"},
	} {
		in := input()
		in.Targets[0].Recipe = append(append([]rotation.Spec{}, recipe...), spec)
		if _, err := plan.Build(in); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// past makes records from "key:outcome" words, a minute apart, beginning at day+9h.
func past(p *rotation.Plan, words string) (l []rotation.Record) {
	at := day.Add(9 * time.Hour)
	for _, w := range strings.Fields("claim:claimed " + words) {
		key, outcome, _ := strings.Cut(w, ":")
		r := rotation.Record{At: at, Step: key, Outcome: rotation.Outcome(outcome), Text: key + " text"}
		if outcome == "" {
			r.Outcome = rotation.Done
		}
		if r.Outcome == rotation.Claimed {
			r.Step, r.Claim = "", &rotation.Claim{Plan: *p}
		}
		l, at = append(l, r), at.Add(time.Minute)
	}
	return l
}

func TestNext(t *testing.T) {
	const ready = "preflight baseline/health "
	const created = ready + "create test "
	const validated = created + "promote validate/health "
	window := rotation.Window{From: day.Add(20 * time.Hour), To: day.Add(22 * time.Hour)}
	nine := day.Add(9*time.Hour + 30*time.Minute)
	withWindow := func(in *plan.Input) { in.Targets[0].Window = &window }
	hold := func(in *plan.Input) { in.Reason, in.OnFailure = "compromise", "hold" }
	for _, c := range []struct {
		name   string
		change func(*plan.Input)
		past   string
		now    time.Time
		want   string
	}{
		{"begins with looking", nil, "-", nine, "open preflight"},
		{"claimed, nothing else", nil, "", nine, "open preflight"},
		{"refused is tried again", nil, "preflight:failed", nine, "refused preflight"},
		{"goes on where it was", nil, ready, nine, "open create"},
		{"notes and resumption change nothing", nil, ready + "create:noted x:resumed x:released", nine, "open create"},
		{"create failed: only what it did is undone", nil, ready + "create:failed", nine, "open discard"},
		{"create failed and undone", nil, ready + "create:failed discard", nine, "rolled back"},
		{"validate failed: restore first", nil, created + "promote validate/health:failed", nine, "open restore"},
		{"then prove the old one", nil, created + "promote validate/health:failed restore", nine, "open after-restore/health"},
		{"a rollback that fails is tried again", nil, created + "promote validate/health:failed restore after-restore/health:failed", nine, "stuck after-restore/health"},
		{"then the new one goes", nil, created + "promote validate/health:failed restore after-restore/health", nine, "open discard"},
		{"hours that end within the window close it", func(in *plan.Input) {
			withWindow(in)
			in.Targets[0].Hours = &rotation.Hours{Days: []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, From: "09:00", To: "21:00", Zone: "UTC"}
		}, created, day.Add(21*time.Hour + 30*time.Minute), "open restore"},
		{"retention counts from promote", nil, validated, nine, "deferred decommission 2026-11-25T09:05"},
		{"retention over", nil, validated, day.Add(58 * time.Hour), "open decommission"},
		{"decommission stuck", nil, validated + "decommission:begun decommission:failed", day.Add(58 * time.Hour), "stuck decommission"},
		{"finished", nil, validated + "decommission:begun decommission", day.Add(58 * time.Hour), "finished"},
		{"asked for during the retention", nil, validated + "x:rollback-asked", nine, "open restore"},
		{"asked for too late", nil, validated + "decommission:begun x:rollback-asked", day.Add(58 * time.Hour), "open decommission"},
		{"asked for before promote", nil, created + "x:rollback-asked", nine, "open restore"},
		{"window ahead", withWindow, "-", nine, "deferred preflight 2026-11-23T20:00"},
		{"window open", withWindow, "-", window.From, "open preflight"},
		{"window passed, never begun", withWindow, "-", window.To, "missed"},
		{"window passed before promote, which may have begun: taken back", withWindow, created, window.To, "open restore"},
		{"window passed after promote: goes on", withWindow, created + "promote", window.To, "open validate/health"},
		{"window closed by the last runner's clock, not by this one's", withWindow, created + "restore", window.From, "open after-restore/health"},
		{"never began in time", nil, "-", day.Add(721 * time.Hour), "missed"},
		{"refused for too long", nil, "preflight:failed", day.Add(721 * time.Hour), "missed"},
		{"begun in time goes on for ever", nil, validated, day.Add(721 * time.Hour), "open decommission"},
		{"stolen: a failed validation isn't undone", hold, created + "promote validate/health:failed", nine, "stuck validate/health"},
		{"stolen: a failed creation is", hold, ready + "create:failed", nine, "open discard"},
		{"stolen: a person may have it back", hold, created + "promote validate/health:failed x:rollback-asked", nine, "open restore"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := input()
			if c.change != nil {
				c.change(&in)
			}
			p := build(t, in)[0]
			var records []rotation.Record
			if c.past != "-" {
				records = past(&p, c.past)
			}
			d := plan.Next(&p, records, c.now)
			got := string(d.State)
			if d.Step.Key != "" {
				got += " " + d.Step.Key
			}
			if d.State == plan.Deferred {
				got += d.Until.Format(" 2006-01-02T15:04")
			}
			if got != c.want {
				t.Errorf("%s, want %s (%s)", got, c.want, d.Why)
			}
		})
	}
}

func TestAttemptSharesNoIDWithTheOneBefore(t *testing.T) {
	p := build(t, input())[0]
	q := plan.Attempt(p, 2)
	for i := range p.Steps {
		if p.Steps[i].ID == q.Steps[i].ID {
			t.Errorf("%s", p.Steps[i].ID)
		}
	}
}
