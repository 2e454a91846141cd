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
	step    string           // of the cue; "" is before anything
	outcome rotation.Outcome //
	do      func(s *scene, env string)
	mend    func(s *scene, env string) string // before the next run; nil: nothing needs to
	happend bool
}

var (
	refused = act{step: "promote", outcome: rotation.Done, do: func(s *scene, env string) {
		s.consumer.Accept(env, s.first[env]) // as when nobody told the database the new password
	}}
	pinned = "PINNED-BY-BATCH"
)

// deny refuses the next calls of one operation, as many as leave together, as a changed permission does.
func deny(operation string, calls int, step string, outcome rotation.Outcome) act {
	return act{step: step, outcome: outcome, do: func(s *scene, env string) {
		left := calls
		var mu sync.Mutex
		s.world.Fail(func(c sandbox.Call) error {
			mu.Lock()
			defer mu.Unlock()
			if c.Operation != operation || !strings.Contains(c.Target, s.scenario.Secrets[env]) || left == 0 {
				return nil
			}
			left--
			return &sandbox.Error{Status: 400, Code: "AccessDeniedException", Message: fmt.Sprintf(
				"User: %s is not authorized to perform: secretsmanager:%s on resource: %s because no identity-based policy allows the secretsmanager:%s action",
				c.Principal, operation, c.Target, operation)}
		})
	}, mend: func(*scene, string) string { return "the permission is back" }}
}

// troubles by step. Those of the way back need something to go back for.
var troubles = map[string][]act{
	"preflight": {{do: func(s *scene, env string) {
		_, _ = s.world.PutByHand(s.scenario.Secrets[env], `{"password":"a colleague's"}`, "AWSPENDING") // it is there
	}}},
	"baseline": {{do: func(s *scene, env string) { s.consumer.Break(env, 503) }}},
	"create":   {deny("PutSecretValue", 1, "preflight", rotation.Done)},
	"test":     {deny("GetSecretValue", 2, "create", rotation.Done)},
	"promote":  {deny("UpdateSecretVersionStage", 1, "test", rotation.Done)},
	"validate": {refused},
	"restore":  {refused, deny("UpdateSecretVersionStage", 1, "validate/health", rotation.Failed)},
	"after-restore": {refused, {step: "restore", outcome: rotation.Done,
		do:   func(s *scene, env string) { s.consumer.Break(env, 503) },
		mend: func(s *scene, env string) string { s.consumer.Break(env, 0); return "somebody mended the application" }}},
	"discard": {refused, deny("UpdateSecretVersionStage", 1, "after-restore/health", rotation.Done)},
	"decommission": {{step: "validate/health", outcome: rotation.Done,
		do: func(s *scene, env string) {
			name := s.scenario.Secrets[env]
			_ = s.world.SecretsManager.MoveByHand(sandbox.Home, name, pinned, s.first[env], s.now()) // both are there
		},
		mend: func(s *scene, env string) string {
			name := s.scenario.Secrets[env]
			_ = s.world.SecretsManager.MoveByHand(sandbox.Home, name, pinned, "", s.now()) // it is there
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

func troubleOf(fail string) (*trouble, error) {
	if fail == "" {
		return nil, nil
	}
	step, env, _ := strings.Cut(fail, "@")
	acts, ok := troubles[step]
	if !ok || !slices.Contains([]string{"dev", "stage", "prod"}, env) {
		return nil, &BadFail{fail}
	}
	return &trouble{env: env, acts: slices.Clone(acts)}, nil
}

// watch lets each act happen at its cue, after the record was shown.
func (t *trouble) watch(s *scene, next func(*rotation.Plan, rotation.Record)) func(*rotation.Plan, rotation.Record) {
	t.happen(s, rotation.Record{})
	return func(p *rotation.Plan, r rotation.Record) {
		next(p, r)
		if p.Environment == t.env {
			t.happen(s, r)
		}
	}
}

func (t *trouble) happen(s *scene, r rotation.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.acts {
		if a := &t.acts[i]; !a.happend && a.step == r.Step && a.outcome == r.Outcome {
			a.happend = true
			a.do(s, t.env)
		}
	}
}

// mend is what people do before the next run; it says what that was.
func (t *trouble) mend(s *scene) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.acts {
		if a.happend && a.mend != nil {
			return a.mend(s, t.env)
		}
	}
	return "an hour later"
}
