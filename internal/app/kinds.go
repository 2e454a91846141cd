package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/check/cloudwatch"
	"github.com/rastup/rekey/internal/check/command"
	"github.com/rastup/rekey/internal/check/http"
	"github.com/rastup/rekey/internal/consumer"
	consumercommand "github.com/rastup/rekey/internal/consumer/command"
	"github.com/rastup/rekey/internal/consumer/ecs"
	"github.com/rastup/rekey/internal/consumer/lambda"
	"github.com/rastup/rekey/internal/consumer/parameter"
	"github.com/rastup/rekey/internal/consumer/terraform"
	"github.com/rastup/rekey/internal/consumer/workflow"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/kms"
	"github.com/rastup/rekey/internal/kind/manual"
	"github.com/rastup/rekey/internal/kind/mysql"
	"github.com/rastup/rekey/internal/kind/postgres"
	"github.com/rastup/rekey/internal/kind/rdsmaster"
	"github.com/rastup/rekey/internal/kind/secretsmanager"
	"github.com/rastup/rekey/internal/kind/stripewebhook"
	"github.com/rastup/rekey/internal/kind/typesense"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/registry"
	"github.com/rastup/rekey/internal/request"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/staging"
)

// Kinds are the kinds of secrets there are: a new one is a package and a line here.
func Kinds() []kind.Kind {
	return []kind.Kind{
		secretsmanager.Kind(),
		kms.Kind(),
		stripewebhook.Kind(),
		typesense.Kind(),
		postgres.Kind(),
		mysql.Kind(),
		manual.Kind(),
		rdsmaster.Kind(),
	}
}

// Checks are the health checks there are.
func Checks() []check.Check {
	return []check.Check{
		http.Check(),
		command.Check(),
		cloudwatch.Check(),
	}
}

// Consumers are what can take up a new version.
func Consumers() []consumer.Consumer {
	return []consumer.Consumer{
		ecs.Consumer(),
		lambda.Consumer(),
		parameter.Consumer(),
		consumercommand.Consumer(),
		terraform.Consumer(),
		workflow.Consumer(),
	}
}

// Shapes are what may stand in registry and configuration.
func Shapes() registry.Shapes {
	s := registry.Shapes{Kinds: map[string]func() any{}, Checks: map[string]func() any{}, Consumers: map[string]func() any{}}
	for _, k := range Kinds() {
		s.Kinds[k.Name] = func() any { return k.Shape() }
	}
	for _, c := range Checks() {
		s.Checks[c.Name] = func() any { return c.Shape() }
	}
	for _, c := range Consumers() {
		s.Consumers[c.Name] = func() any { return c.Shape() }
	}
	return s
}

// input is what people wrote for one secret of a request.
func (a *App) input(r *request.Request, e *registry.Entry) (plan.Input, error) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k kind.Kind) bool { return k.Name == e.Kind })
	if i < 0 {
		return plan.Input{}, fmt.Errorf("%s: no kind %q", e.Secret, e.Kind)
	}
	in := plan.Input{Rotation: r.Rotation, Request: r.Bytes, Date: r.Date, Secret: e.Secret, Kind: e.Kind, Tags: e.Tags, Reason: r.Reason,
		OnFailure: r.OnFailure, Retain: r.Retain, StartIn: a.Inputs.Config.Policy.StartWithin, Adoption: a.Inputs.Config.Policy.AdoptionWait}
	for _, env := range a.Inputs.Config.Environments {
		at := e.Environments[env.Name]
		if at == nil {
			continue
		}
		target := kinds[i].Shape()
		if err := json.Unmarshal(at.Target, target); err != nil {
			return plan.Input{}, fmt.Errorf("%s: target: %w", at.Pos, err)
		}
		discover, err := json.Marshal(plan.Discovery{UsedBy: at.UsedBy})
		if err != nil {
			return plan.Input{}, fmt.Errorf("%s: used_by: %w", at.Pos, err)
		}
		t := plan.Target{Environment: env.Name, Requested: slices.Contains(r.Of(e), env.Name), With: at.Target,
			Recipe: kinds[i].Recipe(target), Hours: env.Hours.Rotation(), Approvals: a.Inputs.Config.Approvals(env), Discover: discover}
		if w, ok := r.Windows[env.Name]; ok {
			t.Window = &w
		}
		for _, u := range append(slices.Clone(at.Checks), a.Inputs.Config.ChecksOf(env.Name)...) {
			use, err := used(u, "check", checkShape)
			if err != nil {
				return plan.Input{}, err
			}
			t.Checks = append(t.Checks, use)
		}
		for _, u := range at.Consumers {
			use, err := used(u, "consumer", consumerShape)
			if err != nil {
				return plan.Input{}, err
			}
			t.Consumers = append(t.Consumers, use)
		}
		in.Targets = append(in.Targets, t)
	}
	return in, nil
}

// A deadlined is the parameters of a check or a consumer.
type deadlined interface{ Deadline() rotation.Duration }

// used is one check or consumer as a plan takes it; shape makes the parameters, nil where there is none of the name.
func used(u registry.Use, what string, shape func(name string) deadlined) (plan.Use, error) {
	with := shape(u.Uses)
	if with == nil {
		return plan.Use{}, fmt.Errorf("%s: no %s %q", u.Pos, what, u.Uses)
	}
	if err := json.Unmarshal(u.With, with); err != nil {
		return plan.Use{}, fmt.Errorf("%s: %w", u.Pos, err)
	}
	use := plan.Use{Name: u.Name, Uses: what + "/" + u.Uses, With: u.With, Within: with.Deadline()}
	if s, ok := with.(consumer.Sharer); ok {
		use.Shared = s.Shared()
	}
	return use, nil
}

func checkShape(name string) deadlined {
	for _, c := range Checks() {
		if c.Name == name {
			return c.Shape()
		}
	}
	return nil
}

func consumerShape(name string) deadlined {
	for _, c := range Consumers() {
		if c.Name == name {
			return c.Shape()
		}
	}
	return nil
}

// handlers are what carries a plan's steps out, on its environment's clients.
func (a *App) handlers(ctx context.Context, c *rotation.Claim) (map[string]rotation.Handler, error) {
	session, err := a.session(ctx, c.Plan.Environment, c.Actors.Operator)
	if err != nil {
		return nil, err
	}
	deps := kind.On(session, a.redact.Add)
	deps.Now, deps.Transport, deps.Dial = a.Clock.Now, a.Services, a.Dial
	deps.Programs = program.Place{Checkout: a.Root, Lookup: a.Lookup, Redact: a.redact, Now: a.Clock.Now}
	all := map[string]rotation.Handler{}
	for _, k := range Kinds() {
		all["kind/"+k.Name] = k.New(deps)
	}
	d := check.Deps{HTTP: a.HTTP, Now: a.Clock.Now, Redact: a.redact, Lookup: a.Lookup, Checkout: a.Root, Arm: a.arm(deps),
		CloudWatch: session.CloudWatch(), Logs: session.Logs()}
	for _, c := range Checks() {
		all["check/"+c.Name] = c.New(d)
	}
	on := consumer.Deps{ECS: session.ECS(), Lambda: session.Lambda(), SSM: session.SSM(), Now: a.Clock.Now, Programs: deps.Programs, Arm: d.Arm,
		GitHub: a.GitHub, Bot: a.Bot}
	for _, c := range Consumers() {
		all["consumer/"+c.Name] = c.New(on)
	}
	all[plan.Discover] = consumer.Discovery(a.finders(c.Plan.Environment, on))
	return all, nil
}

// finders are those of an environment, made once: what they read, whoever acts, all rotations of a run share.
func (a *App) finders(environment string, on consumer.Deps) []consumer.Finder {
	var made []consumer.Finder
	for _, c := range Consumers() {
		if c.Find != nil {
			made = append(made, c.Find(on))
		}
	}
	shared, _ := a.found.LoadOrStore(environment, made)
	return shared.([]consumer.Finder)
}

// arm reads a rotation's recorded versions into the redactor, each once in this process.
func (a *App) arm(d kind.Deps) func(context.Context, rotation.Past) error {
	labels := &staging.Labels{Client: d.SecretsManager, Region: d.Region, Keep: d.Keep}
	return func(ctx context.Context, past rotation.Past) error {
		var asked []string
		err := labels.Arm(ctx, past, func(version string) bool {
			asked = append(asked, version)
			_, seen := a.armed.Load(version)
			return seen
		})
		if err == nil {
			for _, version := range asked {
				a.armed.Store(version, true)
			}
		}
		return err
	}
}
