package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// An Input is what people wrote, checked and resolved for one secret: request, registry entry and configuration.
type Input struct {
	Rotation  string            // the request's file name without ".yaml"
	Request   []byte            // its bytes
	Date      time.Time         // the day it is named after
	Secret    string            //
	Kind      string            //
	Tags      []string          //
	Reason    string            // scheduled, compromise, personnel, request
	OnFailure string            // rollback, hold
	Retain    rotation.Duration // how long the old credential is kept after promote
	StartIn   rotation.Duration // how long after Date it may still begin; 0: for ever
	Adoption  rotation.Duration // how long after the retention those who still use the old credential are waited for; 0: for ever
	Targets   []Target          // every environment the entry has, in the configured order
}

// A Target is where the secret lives in one environment.
type Target struct {
	Environment string
	Requested   bool             // the request is for it
	With        json.RawMessage  // the kind's own block
	Recipe      []rotation.Spec  // the kind's steps for it
	Checks      []Use            // in order
	Consumers   []Use            // in order
	Discover    json.RawMessage  // parameters of the step that finds who uses the secret: see Discovery; nil: nobody looks
	Window      *rotation.Window // from the request
	Hours       *rotation.Hours  // from the configuration
	Approvals   []string         // what people must approve, from the configuration; see rotation.Approval.For
}

// Discover is the key, the name and the handler of the step that finds who uses the secret, whatever its kind.
const Discover = "discover"

// A Discovery is the parameters of that step.
type Discovery struct {
	UsedBy []string `json:"used_by,omitempty"` // users that people name, because nothing finds them
}

// A Use is a check or a consumer of a target. Its name is unique among them.
type Use struct {
	Name   string
	Uses   string            // the handler, "check/http", "consumer/ecs"
	With   json.RawMessage   // its block
	Within rotation.Duration // until when it may become green, or have taken up what is live
	Shared string            // of a consumer: what is restarted, see rotation.Step; "" nothing
}

// Default deadlines. Preconditions wait for nothing, decommission and rollback are tried until they are done.
var within = map[rotation.Phase]rotation.Duration{
	rotation.Create: rotation.Duration(15 * time.Minute),
	rotation.Deploy: rotation.Duration(15 * time.Minute),
}

// Build makes the plans of a request for one secret, one for each environment it is for, in order.
//
// reason "compromise" waives windows, business hours, the order of environments and a rotation still in its
// retention: what is stolen is stolen in all of them now.
func Build(in Input) ([]rotation.Plan, error) {
	var plans []rotation.Plan
	urgent, before := in.Reason == "compromise", Target{}
	for _, t := range in.Targets {
		if t.Requested {
			b := builder{in: in, target: t, plan: rotation.Plan{
				Chain:    rotation.Chain{Environment: t.Environment, Secret: in.Secret},
				Rotation: in.Rotation, Attempt: 1, Kind: in.Kind, Reason: in.Reason, OnFailure: in.OnFailure,
				Digest: digest(in, t), Supersede: urgent, Approvals: t.Approvals,
			}}
			if !urgent {
				b.plan.Needs, b.plan.NeedsThis = before.Environment, before.Requested
			}
			if in.StartIn > 0 {
				b.plan.StartBy = in.Date.Add(time.Duration(in.StartIn))
			}
			if err := b.build(urgent); err != nil {
				return nil, fmt.Errorf("%s: %w", b.plan.Chain, err)
			}
			plans = append(plans, b.plan)
		}
		before = t
	}
	return plans, nil
}

// Overlaps says whether old and new both work for a while. Where restore undoes more than what made the new one live, the
// old one is refused from before that.
func Overlaps(p *rotation.Plan) bool {
	return !slices.ContainsFunc(p.Undo, func(u rotation.Step) bool {
		s, ok := p.Step(u.Undoes)
		return u.Name == "restore" && ok && s.Phase != rotation.Deploy
	})
}

// Attempt is p as another attempt: its steps have new IDs, so that no token of a former one comes to life again.
func Attempt(p rotation.Plan, n int) rotation.Plan {
	p.Attempt = n
	p.Steps, p.Undo = slices.Clone(p.Steps), slices.Clone(p.Undo)
	identify(&p)
	return p
}

func identify(p *rotation.Plan) {
	for _, list := range [][]rotation.Step{p.Steps, p.Undo} {
		for i := range list {
			list[i].ID = fmt.Sprintf("%s/%s/%s/%d/%s", p.Rotation, rotation.PathName(p.Secret), p.Environment, p.Attempt, list[i].Key)
		}
	}
}

// Fingerprint is what people are asked about: the request, where it points, and all that would be done, checks
// included. Unlike Digest it changes when a check is mended; it is the same for every attempt.
func Fingerprint(p *rotation.Plan) string {
	parts := []any{p.Digest, p.Reason, p.OnFailure, p.Approvals}
	for _, list := range [][]rotation.Step{p.Steps, p.Undo} {
		for _, s := range list {
			s.ID = ""
			parts = append(parts, s)
		}
	}
	b, _ := json.Marshal(parts) // plain data: can't fail
	return rotation.Digest(b)
}

// digest covers what must stay as it was claimed: the request and where it points. Checks may be mended.
func digest(in Input, t Target) string {
	b, _ := json.Marshal([]any{string(in.Request), in.Secret, in.Kind, t.With, in.Tags}) // plain data: can't fail
	return rotation.Digest(b)
}

type builder struct {
	in     Input
	target Target
	plan   rotation.Plan
}

func (b *builder) build(urgent bool) error {
	for _, phase := range rotation.Phases {
		begin := len(b.plan.Steps)
		if phase == rotation.Decommission { // nothing of the old credential goes while somebody runs with it
			b.consumers(&b.plan.Steps, rotation.Step{Phase: phase, Name: "adopted", Looks: true})
		}
		for _, s := range b.target.Recipe {
			if s.Phase == phase {
				b.plan.Steps = append(b.plan.Steps, b.step(s))
			}
		}
		switch phase {
		case rotation.Deploy:
			b.consumers(&b.plan.Steps, rotation.Step{Phase: phase, Name: "deploy"})
		case rotation.Preconditions:
			if b.target.Discover != nil { // before the consumers, which may refuse
				b.plan.Steps = append(b.plan.Steps, rotation.Step{Key: Discover, Phase: phase, Name: Discover, Uses: Discover, With: b.target.Discover, Looks: true,
					Reads: []string{"preflight"}})
			}
			b.consumers(&b.plan.Steps, rotation.Step{Phase: phase, Name: "preflight", Looks: true})
			b.checks(&b.plan.Steps, phase, "baseline", "baseline", "")
		case rotation.Validate:
			b.checks(&b.plan.Steps, phase, "validate", "validate", "")
		}
		if begin < len(b.plan.Steps) && !urgent && phase != rotation.Validate && !b.prepared(phase) { // a validation belongs to its deployment
			first := &b.plan.Steps[begin]
			first.Hours = b.target.Hours
			if phase != rotation.Decommission { // the request's window is for the change, not for two days later
				first.Window = b.target.Window
			}
		}
	}
	for _, s := range b.target.Recipe {
		if s.Phase != rotation.Rollback {
			continue
		}
		b.plan.Undo = append(b.plan.Undo, b.step(s))
		if s.Name == "restore" { // who took up the new one takes up the old one; then prove that the old one works before the new one goes
			b.consumers(&b.plan.Undo, rotation.Step{Phase: rotation.Rollback, Name: "back"})
			b.checks(&b.plan.Undo, rotation.Rollback, "validate", "after-restore", s.Undoes)
		}
	}
	identify(&b.plan)
	return b.sound()
}

// prepared says whether a phase is before the change, and a person has a part in that: it may take them days, which no
// window holds.
func (b *builder) prepared(phase rotation.Phase) bool {
	return (phase == rotation.Preconditions || phase == rotation.Create) &&
		slices.ContainsFunc(b.target.Recipe, func(s rotation.Spec) bool { return s.Ask != nil && s.Phase == rotation.Create })
}

func (b *builder) step(s rotation.Spec) rotation.Step {
	step := rotation.Step{Key: s.Name, Phase: s.Phase, Name: s.Name, Uses: "kind/" + b.in.Kind, With: b.target.With, Looks: s.Looks,
		After: s.After, Delay: s.Delay, Within: s.Within, Undoes: s.Undoes, Reads: s.Reads, Final: s.Final, Ask: s.Ask}
	if step.Delay == rotation.Retain {
		step.Delay = b.in.Retain
	}
	if step.Within == 0 {
		step.Within = within[s.Phase]
	}
	if s.Lapses {
		step.Lapse = b.in.Adoption
	}
	return step
}

// consumers are a step like s for each consumer. What they read is what the kind recorded of old and new, and their own.
func (b *builder) consumers(list *[]rotation.Step, s rotation.Step) {
	for _, c := range b.target.Consumers {
		at, deploy, look := s, "deploy/"+c.Name, "consumer/"+c.Name
		at.Uses, at.With, at.Within, at.Reads = c.Uses, c.With, c.Within, []string{"preflight", "create", "promote", look, deploy}
		switch at.Key = s.Name + "/" + c.Name; s.Name {
		case "deploy":
			at.Shared = c.Shared
		case "preflight":
			at.Key, at.Within = look, 0
		case "adopted":
			at.Within, at.After, at.Delay, at.Lapse = 0, b.after(), b.in.Retain, b.in.Adoption
		case "back":
			at.Undoes, at.Within, at.Shared = deploy, 0, c.Shared // tried until it is done
		}
		*list = append(*list, at)
	}
}

// after is the step from which the kind counts the retention; "" where it has none.
func (b *builder) after() string {
	for _, s := range b.target.Recipe {
		if s.Phase == rotation.Decommission && s.After != "" {
			return s.After
		}
	}
	return ""
}

// checks read what preflight and create recorded to know which versions must never be printed and what the secret is
// called, and of the others when it was that consumers could meet what is checked.
func (b *builder) checks(list *[]rotation.Step, phase rotation.Phase, name, prefix, undoes string) {
	reads := []string{"preflight", "create"}
	switch phase {
	case rotation.Validate:
		reads = append(reads, "promote")
		for _, c := range b.target.Consumers {
			reads = append(reads, "deploy/"+c.Name)
		}
	case rotation.Rollback:
		reads = append(reads, "promote", "restore")
		for _, c := range b.target.Consumers {
			reads = append(reads, "back/"+c.Name)
		}
	}
	for _, c := range b.target.Checks {
		*list = append(*list, rotation.Step{Key: prefix + "/" + c.Name, Phase: phase, Name: name, Uses: c.Uses, With: c.With,
			Within: c.Within, Undoes: undoes, Reads: reads})
	}
}

// sound refuses a plan that Next couldn't follow: a recipe's mistake, found before anything begins.
func (b *builder) sound() error {
	at := map[string]int{}
	for i, s := range b.plan.Steps {
		if _, twice := at[s.Key]; twice {
			return fmt.Errorf("step %s is in the recipe twice", s.Key)
		}
		if _, known := at[s.After]; s.After != "" && !known {
			return fmt.Errorf("step %s comes after %q, which isn't before it", s.Key, s.After)
		}
		at[s.Key] = i
	}
	if len(at) == 0 {
		return fmt.Errorf("kind %s has no steps", b.in.Kind)
	}
	for _, u := range b.plan.Undo {
		if _, known := at[u.Undoes]; !known {
			return fmt.Errorf("undo step %s undoes %q, which isn't a step", u.Key, u.Undoes)
		}
		if _, twice := at[u.Key]; twice {
			return fmt.Errorf("step %s is in the recipe twice", u.Key)
		}
		at[u.Key] = -1
	}
	return nil
}
