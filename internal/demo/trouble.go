package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
)

// A trouble is what goes wrong at one step in one environment: in the services, never in the program.
type trouble struct {
	env  string
	acts []act
	mu   sync.Mutex
}

// An act is one thing that happens once its cue, a record, is seen.
type act struct {
	step     string           // of the cue; "" is before anything
	outcome  rotation.Outcome //
	do       func(s *scene, env string)
	mend     func(s *scene, env string) string // what people do about it, and say
	happened bool
	mended   bool
}

var (
	refused = act{step: "promote", outcome: rotation.Done,
		do: func(s *scene, env string) { s.App.Accept(env, s.first[env]) }, // as when nobody told the database the new password
		mend: func(s *scene, env string) string {
			s.App.AcceptAll(env)
			return "the database follows its secret again: its trigger was switched off"
		}}
	broken = act{
		do: func(s *scene, env string) { s.App.Break(env, 503) },
		mend: func(s *scene, env string) string {
			s.App.Break(env, 0)
			return "the application was restarted, and is healthy"
		}}
	pinned = "PINNED-BY-BATCH"
)

// label moves a staging label, as a person does in the console; both are there.
func label(s *scene, env, name, version string) {
	_ = s.AWS.SecretsManager.MoveByHand(sandbox.Home, s.Scenario.Secrets[env], name, version, s.now())
}

// deny refuses the next calls of one operation, as many as leave together, as a changed permission does.
func deny(operation string, calls int, step string, outcome rotation.Outcome) act {
	return act{step: step, outcome: outcome, do: func(s *scene, env string) {
		left := calls
		var mu sync.Mutex
		s.AWS.Fail(func(c sandbox.Call) error {
			mu.Lock()
			defer mu.Unlock()
			if c.Operation != operation || !strings.Contains(c.Target, s.Scenario.Secrets[env]) || left == 0 {
				return nil
			}
			left--
			return &sandbox.Error{Status: 400, Code: "AccessDeniedException", Message: fmt.Sprintf(
				"User: %s is not authorized to perform: secretsmanager:%s on resource: %s because no identity-based policy allows the secretsmanager:%s action",
				c.Principal, operation, c.Target, operation)}
		})
	}, mend: func(_ *scene, env string) string {
		return "role rekey-" + env + " may secretsmanager:" + operation + " again"
	}}
}

func (a act) at(step string, outcome rotation.Outcome) act {
	a.step, a.outcome = step, outcome
	return a
}

// troubles by step. Those of the way back need something to go back for.
var troubles = map[string][]act{
	"preflight": {{
		do: func(s *scene, env string) {
			_, _ = s.AWS.PutByHand(s.Scenario.Secrets[env], `{"password":"a colleague's"}`, "AWSPENDING") // it is there
		},
		mend: func(s *scene, env string) string {
			label(s, env, "AWSPENDING", "")
			return "it was a colleague's trial: they removed label AWSPENDING"
		}}},
	"baseline":      {broken},
	"create":        {deny("PutSecretValue", 1, "preflight", rotation.Done)},
	"test":          {deny("GetSecretValue", 2, "create", rotation.Done)},
	"promote":       {deny("UpdateSecretVersionStage", 1, "test", rotation.Done)},
	"validate":      {refused},
	"restore":       {refused, deny("UpdateSecretVersionStage", 1, "validate/health", rotation.Failed)},
	"after-restore": {refused, broken.at("restore", rotation.Done)},
	"discard":       {refused, deny("UpdateSecretVersionStage", 1, "after-restore/health", rotation.Done)},
	"decommission": {{step: "validate/health", outcome: rotation.Done,
		do: func(s *scene, env string) { label(s, env, pinned, s.first[env]) },
		mend: func(s *scene, env string) string {
			label(s, env, pinned, "")
			return "the batch job's owner removed label " + pinned
		}}},
}

// Steps are what Options.Fail may name.
func Steps() []string { return slices.Sorted(maps.Keys(troubles)) }

// A BadFail is a --fail that can't be meant.
type BadFail struct{ Fail string }

func (b *BadFail) Error() string {
	return fmt.Sprintf("--fail %q: STEP@ENV is wanted; steps are %s, environments dev, stage and prod", b.Fail, strings.Join(Steps(), ", "))
}

// troubleOf is what --fail asks for; without it one in which nothing happens.
func troubleOf(fail string) (*trouble, error) {
	if fail == "" {
		return &trouble{}, nil
	}
	step, env, _ := strings.Cut(fail, "@")
	acts, ok := troubles[step]
	if !ok || !slices.Contains([]string{"dev", "stage", "prod"}, env) {
		return nil, &BadFail{fail}
	}
	return &trouble{env: env, acts: slices.Clone(acts)}, nil
}

// happen lets the acts happen whose cue r is.
func (t *trouble) happen(s *scene, r rotation.Record) {
	if r.Outcome != "" && r.Environment != t.env {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.acts {
		if a := &t.acts[i]; !a.happened && a.step == r.Step && a.outcome == r.Outcome {
			a.happened = true
			a.do(s, t.env)
		}
	}
}

// mend is what people do next about what happened, the latest first; false: there is nothing left.
func (t *trouble) mend(s *scene) (what string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range slices.Backward(t.acts) {
		if a := &t.acts[i]; a.happened && !a.mended {
			a.mended = true
			return a.mend(s, t.env), true
		}
	}
	return "", false
}
