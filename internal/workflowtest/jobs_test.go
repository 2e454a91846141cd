package workflowtest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

var jobRules = []rule{
	{
		Name: "every if says what it does when a run is cancelled", Check: status,
		Mutants: []mutant{
			{File: rotate, After: "  stage:", Old: "!cancelled() &&\n      ", New: ""},
			{File: rotate, After: "  after-prod:", Old: "!cancelled()", New: "always()"},
			{File: rotate, Old: "!cancelled() &&\n      github.ref", New: "github.ref"},
			{File: daily, Old: "!cancelled() &&\n      github.ref", New: "always() &&\n      github.ref"},
			{File: ci, Old: "    runs-on:", New: "    if: github.actor != 'x'\n    runs-on:"},
			{File: ci, Old: "      - run: .ci/run", New: "      - if: matrix.x\n        run: .ci/run"},
		},
	},
	{
		Name: "an if names the result of all that the job needs", Check: results,
		Mutants: []mutant{
			{File: rotate, After: "  stage:", Old: "(needs.after-dev.result == 'success' || needs.after-dev.result == 'skipped') &&\n      ", New: ""},
			{File: rotate, After: "  after-dev:", Old: "needs.dev.result != 'skipped'", New: "true"},
			{File: rotate, After: "  after-prod:", Old: "needs: [plan, continue, prod]", New: "needs: [plan, continue, prod, dev]"},
			{File: rotate, After: "  continue:", Old: "needs: [plan]", New: "needs: [plan, dev]", Also: "the environments of rekey.yml have their jobs, in order"},
		},
	},
	{
		Name: "nothing follows a plan that didn't succeed", Check: planned,
		Mutants: []mutant{
			{File: rotate, After: "  expire:", Old: "needs.plan.result == 'success'", New: "needs.plan.result != 'failure'"},
			{File: rotate, After: "  dev:", Old: "needs.plan.result == 'success' &&", New: "needs.plan.result == 'success' || needs.plan.result == 'skipped' &&"},
		},
	},
	{
		Name: "no concurrency group holds rotations, and the daily look isn't cut short", Check: concurrency,
		Mutants: []mutant{
			{File: rotate, Old: "permissions: {}", New: "concurrency: rotate\n\npermissions: {}"},
			{File: daily, Old: "concurrency:\n  group: rotation-overdue\n", New: ""},
			{File: daily, Old: "  group: rotation-overdue\n", New: "  group: rotation-overdue\n  cancel-in-progress: true\n"},
			{File: rotate, After: "  prod:", Old: "    runs-on:", New: "    concurrency: {group: prod}\n    runs-on:"},
		},
	},
	{
		Name: "a matrix asks once, fails alone and is guarded by what it reads", Check: matrices,
		Mutants: []mutant{
			{File: rotate, After: "  dev:", Old: "fail-fast: false", New: "fail-fast: true"},
			{File: rotate, After: "  prod:", Old: "      fail-fast: false\n", New: ""},
			{File: rotate, After: "  stage:", Old: "      fail-fast: false\n", New: "      fail-fast: false\n      max-parallel: 2\n"},
			{File: rotate, After: "  dev:", Old: ".dev.shards[0]", New: ".dev.shards"},
			{File: rotate, After: "  stage:", Old: ".stage.shards[0]", New: ".prod.shards[0]"},
			{File: rotate, After: "  dev:", Old: ` || '{"dev":{"shards":["0/0"]}}'`, New: ""},
			{File: rotate, After: "  prod:\n", Old: "question: ${{ fromJSON(needs[needs.after-stage.result == 'success' && 'after-stage' || ", New: "question: ${{ fromJSON(needs["},
			{File: rotate, After: "  continue:", Old: "fromJSON(needs.plan.outputs.continue)[0].environment", New: "needs.plan.outputs.continue"},
		},
	},
	{
		Name: "every job has a deadline", Check: deadlines,
		Mutants: []mutant{
			{File: rotate, After: "  dev:", Old: "    timeout-minutes: 60\n", New: ""},
			{File: rotate, After: "  plan:", Old: "timeout-minutes: 60", New: "timeout-minutes: 30"},
			{File: program, Old: "deadline = 50 * time.Minute", New: "deadline = 55 * time.Minute"},
			{File: ci, Old: "timeout-minutes: 90", New: "timeout-minutes: ${{ fromJSON('90') }}"},
		},
	},
	{
		Name: "rotations run on one branch, off the hour", Check: branch,
		Mutants: []mutant{
			{File: rotate, Old: "branches: [main]", New: "branches: [main, release]"},
			{File: rotate, Old: "github.ref == 'refs/heads/main'", New: "github.ref != 'refs/heads/x'"},
			{File: rotate, Old: "vars.REKEY != 'off'", New: "vars.REKEY != 'off' || inputs.again"},
			{File: rotate, Old: `"17 * * * *"`, New: `"0 * * * *"`},
			{File: rotate, Old: `"17 * * * *"`, New: `"*/5 * * * *"`},
			{File: daily, Old: `"41 5 * * *"`, New: `"0 5 * * *"`},
			{File: daily, Old: "github.ref == 'refs/heads/main'", New: "github.ref != 'refs/heads/x'"},
			{File: daily, Old: "vars.REKEY != 'off'", New: "vars.REKEY != 'off' || github.event_name == 'workflow_dispatch'"},
		},
	},
}

func status(r *repo) (found []string) {
	for _, j := range r.jobs() {
		found = append(found, statusOf(j, j.If, j.File == rotate || j.File == daily)...)
		for _, s := range j.Steps {
			if s.If != nil {
				found = append(found, statusOf(j, s.If, false)...)
			}
		}
	}
	return found
}

// statusOf: strict asks for an if, and for !cancelled() first, so that cancelling a run ends it.
func statusOf(j job, cond *actionlint.String, strict bool) []string {
	if cond == nil {
		if strict {
			return []string{j.at("has no if: an implicit one fails with any ancestor")}
		}
		return nil
	}
	n, err := expression(cond.Value)
	if err != nil {
		return []string{j.at("%v", err)}
	}
	var called []string
	visit(n, func(n actionlint.ExprNode) {
		if f, ok := n.(*actionlint.FuncCallNode); ok {
			switch name := strings.ToLower(f.Callee); name {
			case "success", "failure", "always", "cancelled":
				called = append(called, name)
			}
		}
	})
	switch {
	case len(called) == 0:
		return []string{j.at("if without a status function")}
	case strict && (!slices.Equal(called, []string{"cancelled"}) || !strings.HasPrefix(strings.TrimSpace(cond.Value), "!cancelled() &&")):
		return []string{j.at("if doesn't begin with !cancelled()")}
	}
	return nil
}

// results: what chooses the output to read doesn't count, since it stops nothing.
func results(r *repo) (found []string) {
	for _, j := range r.jobs(rotate) {
		n, err := expression(j.condition())
		if err != nil {
			continue // no if: another rule's
		}
		named := map[string]bool{}
		visit(n, func(n actionlint.ExprNode) {
			if c, ok := n.(*actionlint.CompareOpNode); ok && c.Kind.IsEqualityOp() {
				if name, ok := resultOf(c.Left); ok {
					named[name] = true
				}
			}
		})
		got, want := slices.Sorted(maps.Keys(named)), slices.Sorted(slices.Values(j.needs()))
		if !slices.Equal(got, want) {
			found = append(found, j.at("needs %q, its if names the results of %q", want, got))
		}
	}
	return found
}

// resultOf is X of needs.X.result.
func resultOf(n actionlint.ExprNode) (string, bool) {
	result, ok := n.(*actionlint.ObjectDerefNode)
	if !ok || result.Property != "result" {
		return "", false
	}
	name, ok := result.Receiver.(*actionlint.ObjectDerefNode)
	if !ok {
		return "", false
	}
	needs, ok := name.Receiver.(*actionlint.VariableNode)
	return name.Property, ok && needs.Name == "needs"
}

var statusFirst = regexp.MustCompile(`^!?\w+\(\) && `)

func planned(r *repo) (found []string) {
	for _, j := range r.jobs(rotate) {
		cond := statusFirst.ReplaceAllString(j.condition(), "") // another rule's
		if j.ID.Value != "plan" && (!strings.HasPrefix(cond, "needs.plan.result == 'success' && ") || strings.Contains(outside(cond), "||")) {
			found = append(found, j.at("its if doesn't ask first that plan succeeded"))
		}
	}
	return found
}

// outside is s without what is in parentheses or brackets.
func outside(s string) string {
	depth := 0
	return strings.Map(func(c rune) rune {
		switch c {
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		default:
			if depth == 0 {
				return c
			}
		}
		return -1
	}, s)
}

func concurrency(r *repo) (found []string) {
	if r.workflows[rotate].Concurrency != nil {
		found = append(found, rotate+": a run that waits for approval would hold the group for days")
	}
	for _, j := range r.jobs(rotate) {
		if j.Concurrency != nil {
			found = append(found, j.at("has a concurrency group"))
		}
	}
	if c := r.workflows[daily].Concurrency; c == nil || c.Group.Value != "rotation-overdue" || c.CancelInProgress != nil {
		found = append(found, daily+": two looks at a time, or one that ends in the middle")
	}
	return found
}

func matrices(r *repo) (found []string) {
	for _, j := range r.jobs(rotate) {
		s := j.Strategy
		if s == nil {
			continue
		}
		if s.FailFast == nil || s.FailFast.Value || s.FailFast.Expression != nil {
			found = append(found, j.at("one failure would cancel the others"))
		}
		if s.MaxParallel != nil {
			found = append(found, j.at("each wave would ask again"))
		}
		for _, row := range s.Matrix.Rows {
			if row.Expression == nil {
				found = append(found, j.at("a fixed matrix"))
				continue
			}
			found = append(found, j.guarded(row.Expression.Value)...)
		}
	}
	return found
}

var withFallback = regexp.MustCompile(`^\$\{\{ fromJSON\(needs\.plan\.result == 'success' && (.*) \|\| '[{\[][^']+'\)(.*) \}\}$`)

// guarded: a matrix over an empty list is an error on GitHub; act evaluates it before the if, where plan was skipped, too.
func (j job) guarded(matrix string) []string {
	m := withFallback.FindStringSubmatch(matrix)
	if m == nil {
		return []string{j.at("the matrix has nothing to fall back on")}
	}
	list := "fromJSON(" + m[1] + ")" + m[2]
	if !strings.Contains(j.condition(), list+"[0]") {
		return []string{j.at("the if doesn't ask whether %s has anything in it", list)}
	}
	for _, e := range j.rotates() {
		question, asked := input(e, "question"), strings.TrimSuffix(list, ".shards")
		if asked != list && question != "${{ "+asked+".question }}" {
			return []string{j.at("question is of another output than shards: %s", question)}
		}
	}
	return nil
}

var ownDeadline = regexp.MustCompile(`(?m)^\tdeadline = (\d+) \* time\.Minute$`)

// deadlines: the program stops by itself, at a safe point, ten minutes before GitHub would end it anywhere.
func deadlines(r *repo) (found []string) {
	m := ownDeadline.FindStringSubmatch(r.files[program])
	if m == nil {
		return []string{program + ": no deadline"}
	}
	own, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return []string{err.Error()}
	}
	for _, j := range r.jobs() {
		switch {
		case j.TimeoutMinutes == nil || j.TimeoutMinutes.Expression != nil || j.TimeoutMinutes.Value > 90:
			found = append(found, j.at("no deadline, or one later than 90 minutes"))
		case len(j.uses("./")) > 0 && j.TimeoutMinutes.Value != own+10:
			found = append(found, j.at("ends at %v minutes, the program at %v", j.TimeoutMinutes.Value, own))
		}
	}
	return found
}

func branch(r *repo) (found []string) {
	name := ""
	for _, e := range r.workflows[rotate].On {
		switch e := e.(type) {
		case *actionlint.WebhookEvent:
			if e.Branches.IsEmpty() || len(e.Branches.Values) != 1 || strings.ContainsAny(e.Branches.Values[0].Value, "*?[+!") {
				return []string{rotate + ": pushes to more than one branch"}
			}
			name = e.Branches.Values[0].Value
		}
	}
	for file, first := range map[string]string{rotate: "plan", daily: "overdue"} {
		found = append(found, offTheHour(r, file)...)
		j := r.workflows[file].Jobs[first]
		if j == nil || !strings.Contains(job{file, j}.condition(), "github.ref == 'refs/heads/"+name+"' &&") || strings.Contains(job{file, j}.condition(), "||") {
			found = append(found, file+": "+first+" runs on other branches than "+name)
		}
	}
	return found
}

func offTheHour(r *repo, file string) (found []string) {
	for _, e := range r.workflows[file].On {
		if e, ok := e.(*actionlint.ScheduledEvent); ok {
			for _, s := range e.Schedules {
				minute, _, _ := strings.Cut(s.Cron.Value, " ")
				if n, err := strconv.Atoi(minute); err != nil || n%2 == 0 {
					found = append(found, fmt.Sprintf("%s: schedule %q", file, s.Cron.Value))
				}
			}
		}
	}
	return found
}
