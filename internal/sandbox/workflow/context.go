package workflow

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

var errNested = fmt.Errorf("the name of a job whose matrix holds lists or objects, without a name: of its own: %w", ErrNotModelled)

// github is the context of that name ("Contexts"); what isn't in it here isn't modelled.
func (r *run) github() *object {
	owner, _, _ := strings.Cut(r.e.o.Repository, "/")
	o := newObject()
	o.closed = "github"
	for _, p := range []struct {
		name string
		v    value
	}{
		{"event_name", r.event.Name}, {"event", r.payload}, {"ref", r.event.Ref}, {"ref_name", r.refName()}, {"ref_type", r.refType()},
		{"sha", r.event.SHA}, {"head_ref", r.event.Head}, {"base_ref", r.baseRef()}, {"repository", r.e.o.Repository}, {"repository_owner", owner},
		{"run_id", strconv.FormatInt(r.id, 10)}, {"run_number", strconv.Itoa(r.number)}, {"run_attempt", strconv.Itoa(r.attempt)},
		{"workflow", r.w.Name}, {"workflow_ref", r.workflowRef()}, {"workflow_sha", r.event.SHA},
		{"actor", r.event.Actor}, {"triggering_actor", r.trigger},
		{"server_url", r.e.o.Server}, {"api_url", r.e.o.API}, {"graphql_url", r.e.o.API + "/graphql"},
	} {
		o.set(p.name, p.v)
	}
	return o
}

// base_ref is there for pull requests only.
func (r *run) baseRef() string {
	if r.event.Name == "pull_request" {
		return r.event.Base
	}
	return ""
}

func (r *run) refName() string {
	for _, p := range []string{"refs/heads/", "refs/tags/", "refs/pull/"} {
		if name, ok := strings.CutPrefix(r.event.Ref, p); ok {
			return name
		}
	}
	return r.event.Ref
}

func (r *run) refType() string {
	if strings.HasPrefix(r.event.Ref, "refs/tags/") {
		return "tag"
	}
	return "branch"
}

func (r *run) workflowRef() string { return r.e.o.Repository + "/" + r.w.Path + "@" + r.event.Ref }

// scope of the workflow's own keys.
func (r *run) scope() scope {
	return scope{contexts: map[string]value{"github": r.github(), "inputs": r.inputs, "vars": sorted(r.e.o.Vars[""])}}
}

// scope of a job's `if` and strategy: needs has what it needs directly.
func (j *jobRun) scope() scope {
	needs := newObject()
	for _, n := range j.job.needs {
		of := j.run.of(n)
		needs.set(n.key, newObject().set("result", of.result).set("outputs", of.outputs))
	}
	return j.run.scope().with("needs", needs)
}

// scope of a job's other keys.
func (l *leg) scope() scope {
	strategy := newObject().set("fail-fast", l.jr.failFast).set("job-index", float64(l.index)).set("job-total", float64(l.of))
	strategy.closed = "strategy"
	matrix := value(nil)
	if l.matrix != nil {
		matrix = l.matrix
	}
	vars := maps.Clone(l.jr.run.e.o.Vars[""])
	if v := l.jr.run.e.o.Vars[l.environment]; v != nil && l.environment != "" {
		if vars == nil {
			vars = map[string]string{}
		}
		maps.Copy(vars, v)
	}
	return l.jr.scope().with("strategy", strategy).with("matrix", matrix).with("vars", sorted(vars))
}

// onRunner is the scope of what the runner evaluates: steps and outputs.
func (l *leg) onRunner() scope {
	r := l.jr.run
	github := r.github().set("job", l.jr.job.key).set("token", l.token)
	job := newObject().set("status", l.statusText())
	job.closed = "job"
	runner := newObject().set("os", "Linux").set("arch", "X64").set("environment", "github-hosted").set("debug", "")
	runner.closed = "runner"
	return l.scope().with("github", github).with("job", job).with("runner", runner).
		with("secrets", l.secrets()).with("steps", l.steps).with("env", l.env)
}

// secrets: the repository's and the environment's; a fork's pull request has its token only.
func (l *leg) secrets() *object {
	all, e := map[string]string{}, l.jr.run.e
	if !l.jr.run.event.Fork {
		maps.Copy(all, e.o.Secrets[""])
		if l.environment != "" {
			maps.Copy(all, e.o.Secrets[l.environment])
		}
	}
	all["GITHUB_TOKEN"] = l.token
	return sorted(all)
}

func sorted(m map[string]string) *object { return stringObject(slices.Sorted(maps.Keys(m)), m) }

func (l *leg) statusText() string {
	switch {
	case l.cancelled:
		return cancelled
	case l.failed:
		return failure
	default:
		return success
	}
}

// variables evaluates an env: into o; it sees what was in s.
func (r *run) variables(s scope, e *actionlint.Env, o *object) error {
	if e == nil {
		return nil
	}
	for _, k := range slices.Sorted(maps.Keys(e.Vars)) {
		v, err := s.value(r.w.template(e.Vars[k].Value.Value))
		if err != nil {
			return fmt.Errorf("env %s: %w", e.Vars[k].Name.Value, err)
		}
		o.set(e.Vars[k].Name.Value, text(v))
	}
	return nil
}

// runnerEnv is what the runner sets ("Variables reference", default environment variables); env: can't change it.
func (l *leg) runnerEnv() map[string]string {
	r := l.jr.run
	m := map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_JOB": l.jr.job.key,
		"RUNNER_OS": "Linux", "RUNNER_ARCH": "X64", "RUNNER_ENVIRONMENT": "github-hosted",
	}
	g := r.github()
	for _, k := range g.keys {
		if v, _ := g.get(k); primitive(v) {
			m["GITHUB_"+strings.ToUpper(k)] = text(v)
		}
	}
	if l.granted["id-token"] == "write" {
		m["ACTIONS_ID_TOKEN_REQUEST_URL"] = l.creds.IDTokenURL
		m["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = l.creds.IDTokenRequests
	}
	return m
}
