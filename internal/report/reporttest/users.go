package reporttest

import (
	"encoding/json"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/usage"
)

// Used has each target name consumers, and who else uses the secret.
func Used(in *plan.Input) {
	for i := range in.Targets {
		in.Targets[i].Discover = json.RawMessage(`{"used_by":["batch job nightly-export"]}`)
		in.Targets[i].Consumers = []plan.Use{
			{Name: "web", Uses: "consumer/ecs", With: json.RawMessage(`{"cluster":"payments","service":"processor"}`)},
			{Name: "ingest", Uses: "consumer/lambda", With: json.RawMessage(`{"function":"stripe-ingest"}`)},
		}
	}
}

// Users are who was found in an environment: as the registry says, or with all that can differ, hostile names among it.
func Users(differs bool) usage.Found {
	f := usage.Found{Users: []usage.User{
		{Uses: "ecs", With: map[string]string{"cluster": "payments", "service": "processor"}, What: "ECS service", Name: "payments/processor", Found: []string{"app (STRIPE_WEBHOOK)"}, Now: "processor:41, 4 tasks"},
		{Uses: "lambda", With: map[string]string{"function": "stripe-ingest"}, What: "Lambda function", Name: "stripe-ingest", Found: []string{"by ARN in WEBHOOK_SECRET"}, Now: "$LATEST of 2026-11-02"},
	}}
	if !differs {
		return f
	}
	f.Users[1] = usage.User{Uses: "parameter", With: map[string]string{"name": "/payments/stripe/version"}, What: "parameter", Name: "/payments/stripe/version", Found: []string{"by its live version in its value"}, Now: "its version 7"}
	f.Users = append(f.Users,
		usage.User{Uses: "ecs", With: map[string]string{"cluster": "payments", "service": "replayer"}, What: "ECS service", Name: "payments/replayer", Found: []string{"app (STRIPE_WEBHOOK)", "app (log option token)", "app (repository credentials)"}, Now: "replayer:7, 1 task"},
		usage.User{What: "event source", Name: "b-1 of function orders", Found: []string{"BASIC_AUTH"}, Now: "state Enabled"},
		usage.User{What: "ECS task of no service", Name: "x\"]\n```\n%%{init: {\"theme\": \"x\"}}%% --> y; @rastup/all <img src=x> | " + Hostile, Found: []string{Hostile}, Now: Hostile})
	f.Gaps = []usage.Gap{{Uses: "parameter", What: "the parameters of Systems Manager", Why: "GetParametersByPath: AccessDeniedException"}}
	return f
}

func used() Case {
	return playing("users", 2*time.Hour, Used, func(ps []*Player) {
		for i, p := range ps {
			p.Answers[plan.Discover] = Answer{Text: Users(i > 0).String(), Facts: Users(i > 0).Facts(), Took: time.Second}
			p.Answers["consumer/web"] = Answer{Text: "4 of 4 tasks of processor run"}
		}
	})
}
