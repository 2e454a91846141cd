package town_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/question"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

// asked rewrites the question of an environment in what a due job said.
func asked(t *testing.T, out map[string]string, env string, change func([]question.Item) (shards []string, text string)) {
	t.Helper()
	var all map[string]struct {
		Shards   []string `json:"shards"`
		Question string   `json:"question"`
	}
	if json.Unmarshal([]byte(out["environments"]), &all) != nil || all[env].Question == "" {
		return
	}
	items, err := question.Decode(all[env].Question)
	if err != nil {
		t.Fatal(err)
	}
	of := all[env]
	of.Shards, of.Question = change(items)
	all[env] = of
	b, _ := json.Marshal(all)
	out["environments"] = string(b)
}

func encode(t *testing.T, items []question.Item) string {
	t.Helper()
	text, err := question.Encode(items)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestATamperedQuestionRotatesNothing changes what travels from the job that asks to the job that was approved.
func TestATamperedQuestionRotatesNothing(t *testing.T) {
	one := []string{"1/1"}
	for name, c := range map[string]struct {
		change func(t *testing.T, items []question.Item) ([]string, string)
		why    string // of the job in stage; "" where GitHub starts none
	}{
		"another digest": {func(t *testing.T, items []question.Item) ([]string, string) {
			items[0].Digest = rotation.Digest([]byte("another plan"))
			return one, encode(t, items)
		}, "was changed after it was asked about"},
		"another environment": {func(t *testing.T, items []question.Item) ([]string, string) {
			items[0].Environment = "prod"
			return one, encode(t, items)
		}, "input question is about prod, and this job is stage's"},
		"another rotation": {func(t *testing.T, items []question.Item) ([]string, string) {
			items[0].Rotation = "2026-11-23-another"
			return one, encode(t, items)
		}, "nothing to do here any more"},
		"another scope": {func(t *testing.T, items []question.Item) ([]string, string) {
			items[0].For = rotation.ApprovesDecommission
			return one, encode(t, items)
		}, "it hasn't begun"},
		"shard 0": {func(t *testing.T, items []question.Item) ([]string, string) { return []string{"0/1"}, encode(t, items) }, "input shard"},
		"shard beyond": {func(t *testing.T, items []question.Item) ([]string, string) {
			return []string{"2/1"}, encode(t, items)
		}, "input shard"},
		"a shard that is a command": {func(t *testing.T, items []question.Item) ([]string, string) {
			return []string{"1/1\n::set-env name=A::b"}, encode(t, items)
		}, "input shard"},
		"an empty question":        {func(t *testing.T, items []question.Item) ([]string, string) { return one, "" }, "an output was lost on the way"},
		"no question and no shard": {func(t *testing.T, items []question.Item) ([]string, string) { return []string{""}, "" }, ""},
		"no shards":                {func(t *testing.T, items []question.Item) ([]string, string) { return []string{}, encode(t, items) }, ""},
		"something after it": {func(t *testing.T, items []question.Item) ([]string, string) {
			return one, encode(t, items) + "AAAA"
		}, "input question"},
		"no base64": {func(t *testing.T, items []question.Item) ([]string, string) { return one, "$(id)" }, "input question"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := besiege(t, true, "")
			s.tamper = func(_ workflow.Step, out map[string]string) {
				asked(t, out, "stage", func(items []question.Item) ([]string, string) { return c.change(t, items) })
			}
			s.request("li-pay", "ana-sec", wanted)
			m := s.mark()
			err := s.Approve(t.Context(), "rekey-stage", "ana-sec", "")
			if waited := err == nil; waited != (c.why != "") {
				t.Errorf("approve: %v", err)
			}
			s.untouched(m, "stage")
			if c.why != "" {
				s.says(m, "stage", c.why)
			}
		})
	}
}

// TestWhatChangesAfterItWasAskedIsAskedAnew merges a change while the question waits for its answer.
func TestWhatChangesAfterItWasAskedIsAskedAnew(t *testing.T) {
	theirs := strings.ReplaceAll(registry, "~~~", "```")
	for name, c := range map[string]struct {
		files map[string]string
		why   string
	}{
		"request edited":             {map[string]string{requestFile: wanted + "retain: 96h\n"}, "its request was edited after it had begun in dev"},
		"request deleted":            {map[string]string{requestFile: ""}, "nothing to do here any more"},
		"target repointed":           {map[string]string{"ops/config/registry.md": strings.Replace(theirs, "stage/app-database", "stage/another", 1)}, "was changed after it was asked about"},
		"row gone":                   {map[string]string{"ops/config/registry.md": strings.Replace(theirs, "| app/database |", "| app/other |", 1)}, "unknown-secret"},
		"environment gone":           {map[string]string{".github/rekey.yml": strings.Replace(rules, "name: stage,", "name: staging, github_environment: rekey-stage,", 1)}, "no \"stage\" in .github/rekey.yml"},
		"house rules broken":         {map[string]string{".github/rekey.yml": "environments: 7\n"}, "::error"},
		"another github environment": {map[string]string{".github/rekey.yml": strings.Replace(rules, "name: stage,", "name: stage, github_environment: rekey-dev,", 1)}, "rekey-dev"},
	} {
		for _, how := range []string{"merged", "pushed"} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				s := besiege(t, true, wanted)
				if how == "merged" {
					n, err := s.OpenPull(t.Context(), "bo-sre", "A change", "", c.files, false)
					s.ok(err)
					s.GitHub.Review(n, "ana-sec", "APPROVED")
					s.GitHub.Merge(n, "ana-sec")
				} else {
					s.GitHub.Commit("main", "bo-sre", "A change", c.files)
				}
				m := s.mark()
				s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
				s.untouched(m, "stage")
				why := c.why
				if how == "pushed" && name == "request edited" {
					why = "it was pushed directly"
				}
				s.says(m, "stage", why)
			})
		}
	}
}

// TestAnApprovalThatIsNoneRotatesNothing has the wrong people approve, or nobody.
func TestAnApprovalThatIsNoneRotatesNothing(t *testing.T) {
	stage := github.Environment{Name: "rekey-stage", Branches: []string{"main"}, Reviewers: []string{"ana-sec", "bo-sre", "li-pay", "robot[bot]", "root-admin"}}
	approve := func(by string) func(s *siege) error {
		return func(s *siege) error { return s.Approve(s.t.Context(), "rekey-stage", by, "") }
	}
	bypass := func(listed bool) func(s *siege) error {
		return func(s *siege) error {
			return errors.Join(s.GitHub.Bypass(s.Waits()[0].Run, "rekey-stage", "root-admin", "", listed), s.Engine.Advance(s.t.Context()))
		}
	}
	with := func(change func(*github.Environment)) github.Environment {
		e := stage
		change(&e)
		return e
	}
	for name, c := range map[string]struct {
		stage github.Environment
		after *github.Environment // what it is when the job starts
		how   func(s *siege) error
		why   string
	}{
		"the author":         {stage, nil, approve("li-pay"), "@li-pay asked for it or wrote it"},
		"who wrote a commit": {stage, nil, approve("bo-sre"), "@bo-sre asked for it or wrote it"},
		"a bot":              {stage, nil, approve("robot[bot]"), "@robot[bot] is no person"},
		"an admin's bypass":  {with(func(e *github.Environment) { e.AdminsBypass = true }), nil, bypass(false), "nobody approved it"},
		"rejected before": {stage, nil, func(s *siege) error {
			return errors.Join(s.Reject(s.t.Context(), "rekey-stage", "ana-sec", "no"), rerun(s), approve("ana-sec")(s))
		}, "was rejected in run"},
		"reviewers taken away":   {stage, &github.Environment{Name: "rekey-stage", Branches: []string{"main"}}, approve("ana-sec"), "it requires no reviewers"},
		"branch rule taken away": {stage, &github.Environment{Name: "rekey-stage", Reviewers: stage.Reviewers}, approve("ana-sec"), "every branch may deploy to it"},
		"another branch let in":  {stage, &github.Environment{Name: "rekey-stage", Reviewers: stage.Reviewers, Branches: []string{"main", "release/*"}}, approve("ana-sec"), "other branches may deploy to it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := besiege(t, true, "")
			s.GitHub.AddUser("robot[bot]", "write", true)
			s.GitHub.SetEnvironment(c.stage)
			s.GitHub.Commit("change-1", "bo-sre", "A word of mine", map[string]string{"README.md": "x"})
			s.request("li-pay", "ana-sec", wanted)
			s.before = func(step workflow.Step) {
				if c.after != nil && step.Job == "stage" {
					s.GitHub.SetEnvironment(*c.after)
				}
			}
			m := s.mark()
			s.ok(c.how(s))
			s.untouched(m, "stage")
			s.says(m, "stage", c.why)
		})
	}
}

func rerun(s *siege) error {
	runs := s.Engine.Runs()
	i := slices.IndexFunc(runs, func(r workflow.RunState) bool {
		return slices.ContainsFunc(r.Jobs, func(j workflow.JobState) bool { return j.Environment == "rekey-stage" })
	})
	return errors.Join(s.Engine.Rerun(runs[i].ID, "bo-sre", false), s.Engine.Advance(s.t.Context()))
}

// TestNobodyIsAskedBehindAGateThatIsNone leaves an environment unprotected when its question would be asked.
func TestNobodyIsAskedBehindAGateThatIsNone(t *testing.T) {
	for name, c := range map[string]struct {
		stage github.Environment
		why   string
	}{
		"no reviewers":   {github.Environment{Name: "rekey-stage", Branches: []string{"main"}}, "it requires no reviewers"},
		"no branch rule": {github.Environment{Name: "rekey-stage", Reviewers: []string{"ana-sec"}}, "every branch may deploy to it"},
		"nothing at all": {github.Environment{Name: "rekey-stage"}, "it requires no reviewers; every branch may deploy to it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := besiege(t, true, "")
			s.GitHub.SetEnvironment(c.stage)
			m := s.mark()
			s.request("li-pay", "ana-sec", wanted)
			s.untouched(m, "stage")
			s.says(m, "after-dev", c.why)
			if w := s.Waits(); len(w) > 0 {
				t.Errorf("waits %v", w)
			}
		})
	}
}

// TestAGateThatIsMissedRotatesNothing has a workflow on the default branch that names another GitHub Environment than
// the house rules do: a misspelt one, which GitHub makes and lets everybody through; the one of another environment;
// the one that asks nobody.
func TestAGateThatIsMissedRotatesNothing(t *testing.T) {
	for env, why := range map[string]string{"rekey-stagee": "Not authorized to perform sts:AssumeRoleWithWebIdentity", "rekey-dev": "nobody approved it in run",
		"rekey-stage-continue": "nobody approved it in run"} {
		for _, strict := range []bool{false, true} {
			t.Run(env, func(t *testing.T) {
				t.Parallel()
				s := besiege(t, strict, "")
				m := s.mark()
				s.play(rotateFile, strings.Replace(ours(t, rotateFile), "environment: rekey-stage\n", "environment: "+env+"\n", 1), func() { s.request("li-pay", "ana-sec", wanted) })
				s.untouched(m, "stage")
				s.says(m, "stage", why)
			})
		}
	}
}

// TestARunAgainDoesNotDoWhatNoLongerStands runs old runs again after main moved on: all their jobs, and those that
// failed, with the outputs of then.
func TestARunAgainDoesNotDoWhatNoLongerStands(t *testing.T) {
	for name, files := range map[string]map[string]string{"as it was": nil, "edited": {requestFile: wanted + "retain: 96h\n"}, "deleted": {requestFile: ""}} {
		for _, all := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := besiege(t, true, wanted)
				// The evidence store is out of reach while stage's job runs: it fails, and nothing is changed.
				s.AWS.Fail(func(c sandbox.Call) error {
					if c.Service == "s3" && strings.HasPrefix(c.Operation, "Put") {
						return &sandbox.Error{Status: 403, Code: "AccessDenied", Message: "no"}
					}
					return nil
				})
				run := s.Waits()[0].Run
				m := s.mark()
				s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
				s.untouched(m, "stage")
				s.AWS.Fail(nil)
				if files != nil {
					s.GitHub.Commit("main", "bo-sre", "A change", files)
				}
				s.Clock.Move(time.Hour)
				m = s.mark()
				s.ok(s.Engine.Rerun(run, "mallory", all))
				s.ok(s.Engine.Advance(t.Context()))
				s.untouched(m, "stage")
				if name == "as it was" {
					return
				}
				if w := s.Waits(); len(w) > 0 {
					s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
				}
				s.untouched(m, "stage")
			})
		}
	}
}

// TestAnApprovalServesOneAttempt runs a run again whose rotation rolled back: what was approved was the attempt that
// failed.
func TestAnApprovalServesOneAttempt(t *testing.T) {
	s := besiege(t, true, wanted)
	s.AWS.Fail(func(c sandbox.Call) error {
		if c.Operation == "UpdateSecretVersionStage" && strings.Contains(c.Target, "stage") {
			return &sandbox.Error{Status: 400, Code: "AccessDeniedException", Message: "no"}
		}
		return nil
	})
	run := s.Waits()[0].Run
	live := maps.Clone(s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels)
	s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	s.AWS.Fail(nil)
	s.Clock.Move(time.Hour)
	m := s.mark()
	s.ok(s.Engine.Rerun(run, "li-pay", false))
	s.ok(s.Engine.Advance(t.Context()))
	if w := s.Waits(); len(w) > 0 {
		s.ok(s.Approve(t.Context(), "rekey-stage", "ana-sec", ""))
	}
	now := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels
	if now["AWSCURRENT"] != live["AWSCURRENT"] {
		t.Errorf("labels %v, were %v:\n%s", now, live, s.since(m, ""))
	}
	t.Log(s.since(m, "stage"))
}
