package workflow

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

// An Event may start runs.
type Event struct {
	Name    string // push, pull_request, merge_group, schedule, workflow_dispatch, workflow_run
	Action  string // of pull_request, merge_group and workflow_run; "" means opened, checks_requested and completed
	Ref     string // refs/heads/main, refs/tags/v1, refs/pull/12/merge
	SHA     string // what is run: for a pull request the merge of its head and base
	Actor   string // login
	Base    string // branch that a pull request or merge group goes into
	Head    string // branch of a pull request
	Fork    bool   // the pull request comes from a fork: nothing may be written and no secret read
	Files   []string
	Cron    string            // the schedule that is due, as it is written in the file
	File    string            // of workflow_dispatch: the workflow's file name
	Inputs  map[string]string // of workflow_dispatch
	Of      string            // of workflow_run: the name of the workflow whose run it is about
	Payload []byte            // JSON that the event's file holds; inputs and schedule are added
}

func (e Event) branch() string { return strings.TrimPrefix(e.Ref, "refs/heads/") }

var events = []string{"push", "pull_request", "merge_group", "schedule", "workflow_dispatch", "workflow_run"}

func (l *loader) events() {
	for _, on := range l.w.file.On {
		if !slices.Contains(events, on.EventName()) {
			l.notModelled(nil, "event "+on.EventName())
		}
		w, ok := on.(*actionlint.WebhookEvent)
		if !ok {
			continue
		}
		if on.EventName() == "workflow_run" && (w.Branches != nil || w.BranchesIgnore != nil) {
			l.notModelled(nil, "branches of workflow_run")
		}
		for _, f := range []*actionlint.WebhookEventFilter{w.Branches, w.BranchesIgnore, w.Tags, w.TagsIgnore, w.Paths, w.PathsIgnore} {
			if f == nil {
				continue
			}
			for _, p := range f.Values {
				if _, err := pattern(strings.TrimPrefix(p.Value, "!")); err != nil {
					l.errorf(p.Pos, "pattern %q: %w", p.Value, ErrNotModelled)
				}
			}
		}
	}
}

// starts says whether the event starts a run of the workflow.
func (w *Workflow) starts(e Event) bool {
	for _, on := range w.file.On {
		if on.EventName() != e.Name {
			continue
		}
		switch on := on.(type) {
		case *actionlint.ScheduledEvent:
			return slices.ContainsFunc(on.Schedules, func(s *actionlint.ScheduleEntry) bool { return s.Cron.Value == e.Cron })
		case *actionlint.WorkflowDispatchEvent:
			return e.File == w.base()
		case *actionlint.WebhookEvent:
			return matches(on, e)
		}
	}
	return false
}

func (w *Workflow) base() string { return w.Path[strings.LastIndexByte(w.Path, '/')+1:] }

// matches: types, branches or tags, and paths must all fit ("Workflow syntax", on.push; "Events that trigger
// workflows": default activity types).
func matches(on *actionlint.WebhookEvent, e Event) bool {
	switch e.Name {
	case "push":
		return pushed(on, e)
	case "pull_request":
		return typed(on, e.Action, "opened", "synchronize", "reopened") &&
			allowed(on.Branches, on.BranchesIgnore, e.Base) && touched(on, e.Files)
	case "merge_group":
		return typed(on, e.Action, "checks_requested") && allowed(on.Branches, on.BranchesIgnore, e.Base)
	case "workflow_run": // its file and its ref are always the default branch's
		return typed(on, e.Action, "completed") &&
			slices.ContainsFunc(on.Workflows, func(w *actionlint.String) bool { return w.Value == e.Of })
	default:
		return false
	}
}

func pushed(on *actionlint.WebhookEvent, e Event) bool {
	branches := on.Branches != nil || on.BranchesIgnore != nil
	tags := on.Tags != nil || on.TagsIgnore != nil
	if tag, ok := strings.CutPrefix(e.Ref, "refs/tags/"); ok {
		// Paths aren't looked at for tags; a filter for branches only leaves tags out.
		return allowed(on.Tags, on.TagsIgnore, tag) && (tags || !branches)
	}
	return allowed(on.Branches, on.BranchesIgnore, e.branch()) && (branches || !tags) && touched(on, e.Files)
}

func typed(on *actionlint.WebhookEvent, action string, defaults ...string) bool {
	if action == "" {
		action = defaults[0]
	}
	if len(on.Types) == 0 {
		return slices.Contains(defaults, action)
	}
	return slices.ContainsFunc(on.Types, func(t *actionlint.String) bool { return t.Value == action })
}

func allowed(only, ignore *actionlint.WebhookEventFilter, name string) bool {
	return (only == nil || included(only, name)) && (ignore == nil || !included(ignore, name))
}

// touched: "If there are no files changed, the workflow will not run."
func touched(on *actionlint.WebhookEvent, files []string) bool {
	if on.Paths == nil && on.PathsIgnore == nil {
		return true
	}
	return slices.ContainsFunc(files, func(f string) bool { return allowed(on.Paths, on.PathsIgnore, f) })
}

// included: patterns are looked at one after the other and a later one undoes an earlier one.
func included(f *actionlint.WebhookEventFilter, name string) (in bool) {
	for _, p := range f.Values {
		text, negated := strings.CutPrefix(p.Value, "!")
		if re, err := pattern(text); err == nil && re.MatchString(name) {
			in = !negated
		}
	}
	return in
}

// pattern is GitHub's filter pattern ("Workflow syntax", filter pattern cheat sheet) as a regular expression.
func pattern(p string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString("^(?s:")
	for i := 0; i < len(p); i++ {
		switch c := p[i]; c {
		case '*':
			switch {
			case strings.HasPrefix(p[i:], "**/") && (i == 0 || p[i-1] == '/'):
				b.WriteString("(?:.*/)?")
				i += 2
			case strings.HasPrefix(p[i:], "**"):
				b.WriteString(".*")
				i++
			default:
				b.WriteString("[^/]*")
			}
		case '?', '+':
			b.WriteByte(c)
		case '[':
			end := strings.IndexByte(p[i:], ']')
			if end < 2 || !alphanumeric.MatchString(p[i+1:i+end]) {
				return nil, fmt.Errorf("bad range in %q", p)
			}
			b.WriteString(p[i : i+end+1])
			i += end
		case '\\':
			return nil, fmt.Errorf("escape in %q", p)
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteString(")$")
	return regexp.Compile(b.String())
}

var alphanumeric = regexp.MustCompile(`^[0-9A-Za-z-]+$`)

// inputs are workflow_dispatch's, defaults filled in: once as text, as github.event.inputs has them, once with
// booleans and numbers as themselves, as inputs has them ("Events that trigger workflows", workflow_dispatch).
func (w *Workflow) inputs(e Event) (asText map[string]string, typed *object, err error) {
	asText, typed = map[string]string{}, newObject()
	var declared map[string]*actionlint.DispatchInput
	for _, on := range w.file.On {
		if d, ok := on.(*actionlint.WorkflowDispatchEvent); ok && e.Name == "workflow_dispatch" {
			declared = d.Inputs
		}
	}
	given := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(e.Inputs)) {
		if declared[strings.ToLower(k)] == nil {
			return nil, nil, fmt.Errorf("unexpected input %q", k)
		}
		given[strings.ToLower(k)] = e.Inputs[k]
	}
	for _, k := range slices.Sorted(maps.Keys(declared)) {
		in := declared[k]
		v, ok := given[k]
		if !ok && in.Default != nil {
			v = in.Default.Value
		}
		if in.Required != nil && in.Required.Value && v == "" {
			return nil, nil, fmt.Errorf("required input %q isn't provided", in.Name.Value)
		}
		t, err := typedInput(in, v)
		if err != nil {
			return nil, nil, err
		}
		asText[in.Name.Value] = text(t)
		typed.set(in.Name.Value, t)
	}
	return asText, typed, nil
}

func typedInput(in *actionlint.DispatchInput, v string) (value, error) {
	switch in.Type {
	case actionlint.WorkflowDispatchEventInputTypeBoolean:
		if v != "" && v != "true" && v != "false" {
			return nil, fmt.Errorf("input %q: %q isn't a boolean", in.Name.Value, v)
		}
		return v == "true", nil
	case actionlint.WorkflowDispatchEventInputTypeNumber:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil && v != "" {
			return nil, fmt.Errorf("input %q: %q isn't a number", in.Name.Value, v)
		}
		return f, nil
	case actionlint.WorkflowDispatchEventInputTypeChoice:
		if v == "" && in.Default == nil {
			return nil, fmt.Errorf("input %q: a choice that isn't given and has no default: %w", in.Name.Value, ErrNotModelled)
		}
		if !slices.ContainsFunc(in.Options, func(o *actionlint.String) bool { return o.Value == v }) {
			return nil, fmt.Errorf("input %q: %q isn't one of its options", in.Name.Value, v)
		}
	}
	return v, nil
}
