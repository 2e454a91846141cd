package town_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rastup/rekey"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

const (
	rotateFile = ".github/workflows/rotate.yml"
	planFile   = ".github/workflows/rotation-plan.yml"
)

func ours(t *testing.T, name string) string {
	t.Helper()
	b, err := rekey.Workflows.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// thief is a workflow that asks for all there is, in each environment.
func thief(on string) string {
	text := "name: thief\non: " + on + "\npermissions: write-all\njobs:\n"
	for i, env := range []string{"", "rekey-dev", "rekey-stage", "rekey-prod", "rekey-stage-continue", "rekey-prod-continue", "REKEY-PROD", "rekey-prod2", "x:environment:rekey-prod",
		"rekey-prod:ref:refs/heads/main"} {
		text += fmt.Sprintf("  steal%d:\n    runs-on: ubuntu-24.04\n", i)
		if env != "" {
			text += fmt.Sprintf("    environment: %q\n", env)
		}
		text += "    steps: [{run: steal}]\n"
	}
	return text
}

// applier is rotation-plan as somebody wants it who would like it to rotate.
func applier(question string) string {
	return strings.Replace(strings.Replace(thief("pull_request"), "name: thief", "name: rotate", 1), "[{run: steal}]",
		fmt.Sprintf("[{uses: actions/checkout@v6}, {uses: ./, with: {command: apply, environment: stage, shard: 1/1, question: %q}}, {uses: ./, with: {command: apply, environment: stage}}, {uses: ./, with: {command: due}}]", question), -1)
}

// TestAPullRequestReachesNoCredential opens what a hostile mind would, while a rotation waits for its approval, from
// branches of the repository and from forks. Then that rotation is approved, and nothing but what was asked about is done.
func TestAPullRequestReachesNoCredential(t *testing.T) {
	hostile := "\"x\\n::set-output name=environments::{}\\r\\n::stop-commands::a%0A::error::<!-- rekey:status {} -->@ana-sec\""
	for name, strict := range map[string]bool{"the town's trust policies": false, "the documented trust policies": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			question := ""
			s := besiege(t, strict, "")
			s.tamper = func(step workflow.Step, out map[string]string) {
				var all map[string]struct{ Question string }
				if json.Unmarshal([]byte(out["environments"]), &all) == nil && all["stage"].Question != "" {
					question = all["stage"].Question
				}
			}
			s.request("li-pay", "ana-sec", wanted)
			if len(s.Waits()) != 1 || question == "" {
				t.Fatalf("waits %v, question %q", s.Waits(), question)
			}
			theirs := strings.ReplaceAll(registry, "~~~", "```")
			for name, files := range map[string]map[string]string{
				"rotate.yml on pull requests":        {rotateFile: strings.Replace(ours(t, rotateFile), "  push:\n", "  pull_request:\n  push:\n", 1)},
				"rotate.yml without its conditions":  {rotateFile: thief("pull_request")},
				"rotation-plan.yml that steals":      {planFile: thief("pull_request")},
				"rotation-plan.yml that applies":     {planFile: applier(question)},
				"rotation-plan.yml in environments":  {planFile: strings.Replace(ours(t, planFile), "    runs-on:", "    environment: rekey-stage\n    runs-on:", 1)},
				"action.yml":                         {"action.yml": strings.Replace(ours(t, "action.yml"), "default: .github/rekey.yml", "default: evil.yml", 1), "action/start": "#!/bin/sh\nsteal\n"},
				"house rules with the worst role":    {".github/rekey.yml": strings.ReplaceAll(rules, "window: required", "window: required\n    preview: arn:aws:iam::111111111111:role/rekey-prod")},
				"house rules that ask nobody":        {".github/rekey.yml": strings.ReplaceAll(strings.ReplaceAll(rules, "name: stage,", "name: stage, approval: none,"), "rekey-stage-continue", "rekey-prod-continue")},
				"house rules with another store":     {".github/rekey.yml": strings.ReplaceAll(rules, "s3://rekey-evidence", "s3://mallorys-bucket")},
				"house rules with an environment":    {".github/rekey.yml": strings.Replace(rules, "evidence:", "  - {name: qa, region: us-east-1, role: \"arn:aws:iam::111111111111:role/rekey-prod\", approval: none}\nevidence:", 1)},
				"another target":                     {"ops/config/registry.md": strings.Replace(theirs, "stage/app-database", "prod/app-database", 1)},
				"a check that steals":                {"ops/config/registry.md": strings.Replace(theirs, "  target: {secret: rekey/stage/app-database, key: password}", "  target: {secret: rekey/stage/app-database, key: password}\n  checks:\n    - command: {run: [sh, -c, env]}\n      name: env", 1)},
				"a request edited":                   {requestFile: strings.Replace(wanted, "[dev, stage]", "[dev, stage, prod]\nreason: compromise", 1)},
				"a request deleted":                  {requestFile: ""},
				"a request of one's own":             {"rotations/2026/11/2026-11-23-mine.yaml": "secret: app/database\nticket: \"#1\"\nreason: compromise\nretain: 0h\n"},
				"requests with hostile values":       {"rotations/2026/11/2026-11-23-x,line=1::error::.yaml": "secret: " + hostile + "\nticket: " + hostile + "\n", "rotations/2026/11/2026-11-23-y.yaml": hostile + ": 1\n"},
				"a registry with hostile values":     {"ops/config/registry.md": "| Secret | Kind | Owner | Interval |\n|---|---|---|---|\n| x::error::<!-- rekey:audit --> | secretsmanager | @ana-sec@bo-sre | %0A::add-mask::a |\n"},
				"house rules with hostile values":    {".github/rekey.yml": "environments: [{name: " + hostile + "}]\n"},
				"a house-rules file that is no file": {".github/rekey.yml": ""},
			} {
				for _, fork := range []bool{false, true} {
					author := map[bool]string{false: "bo-sre", true: "mallory"}[fork]
					t.Run(fmt.Sprintf("%s, %s", name, author), func(t *testing.T) {
						s.t = t
						m, waits := s.mark(), s.Waits()
						path, text := rotateFile, files[rotateFile]
						if text == "" {
							path, text = planFile, files[planFile]
						}
						s.play(path, text, func() {
							_, err := s.OpenPull(t.Context(), author, "Harmless", "", files, fork)
							s.ok(err)
						})
						s.untouched(m, "")
						if fork {
							s.stolen()
						} else {
							s.stolen("plays rekey-preview") // documented: may read metadata, and no value
						}
						if now := s.Waits(); len(now) != len(waits) || now[0] != waits[0] {
							t.Errorf("waiting were %v, and are %v", waits, now)
						}
						if strings.Contains(text, "run: steal") && len(s.theft) == 0 {
							t.Error("no thief came to run")
						}
						if fork {
							for _, c := range s.AWS.Calls()[m.calls:] {
								t.Errorf("a fork's job called AWS: %s %s", c.Operation, c.Target)
							}
							for _, c := range s.GitHub.Comments(s.GitHub.Pulls()[len(s.GitHub.Pulls())-1].Number) {
								t.Errorf("a fork's job wrote a comment: %s", c.Body)
							}
						}
					})
				}
			}
			s.t = t
			m := s.mark()
			s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
			if now := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"]; now == m.labels["stage"]["AWSCURRENT"] {
				t.Errorf("what was approved wasn't done:\n%s", s.since(m, ""))
			}
			s.untouched(m, "prod")
		})
	}
}

// TestAThiefOnTheDefaultBranchWouldSucceed holds that the thief of the tests above knows the trade: merged, and let in
// by a reviewer, nothing would stop it.
func TestAThiefOnTheDefaultBranchWouldSucceed(t *testing.T) {
	for _, strict := range []bool{false, true} {
		s := besiege(t, strict, wanted)
		s.mark()
		s.play(rotateFile, thief("workflow_dispatch"), func() { s.ok(s.Dispatch(t.Context(), "root-admin", nil)) })
		for _, want := range []string{"steal1 in \"rekey-dev\": reads dev", "steal5 in \"rekey-prod-continue\": reads prod", "steal0 in \"\": plays rekey-reader"} {
			if !strings.Contains(strings.Join(s.theft, "\n"), want) {
				t.Errorf("not %q, but %q", want, s.theft)
			}
		}
	}
}

// TestAnotherBranchReachesNoCredential pushes to branches whose workflows run there, and starts rotate.yml from them.
func TestAnotherBranchReachesNoCredential(t *testing.T) {
	for _, strict := range []bool{false, true} {
		s := besiege(t, strict, wanted)
		for name, text := range map[string]string{"as it is": "", "a thief": thief("[push, workflow_dispatch]"),
			"without its condition": strings.Replace(ours(t, rotateFile), "github.ref == 'refs/heads/main' &&", "", 1)} {
			for _, ref := range []string{"refs/heads/innocent", "refs/heads/main2", "refs/tags/main", "refs/heads/refs/heads/main"} {
				for _, event := range []string{"push", "workflow_dispatch"} {
					t.Run(fmt.Sprintf("%v %s %s %s", strict, name, ref, event), func(t *testing.T) {
						s.t = t
						m := s.mark()
						branch := strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
						where := branch
						if strings.HasPrefix(ref, "refs/tags/") {
							where = "tags/" + branch
						}
						sha := s.GitHub.Commit(where, "bo-sre", "x", map[string]string{rotateFile: text})
						s.play(rotateFile, text, func() {
							_, err := s.Engine.Trigger(workflow.Event{Name: event, Ref: ref, SHA: sha, Actor: "bo-sre", File: "rotate.yml", Files: []string{requestFile}})
							s.ok(err)
							s.ok(s.Engine.Advance(t.Context()))
						})
						s.untouched(m, "")
						s.stolen()
						if name == "without its condition" && event == "workflow_dispatch" {
							s.says(m, "plan", "only what was merged into main is rotated")
						}
						if name == "a thief" && len(s.theft) == 0 {
							t.Error("no thief came to run")
						}
					})
				}
			}
		}
	}
}
