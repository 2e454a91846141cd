package request

import (
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/registry"
)

// Resolve holds r against registry, configuration and clock, and fills in what they add: the secrets of tags, the
// environments, the retention. What is wrong is added to l.
//
// A request stays in the repository for good, and registry and house rules go on changing. So what they say is
// held against it only while it can still begin, that is until StartWithin after its date: then it is history, and
// only its own text must hold. That a window has passed is no mistake in a file either; see Late.
func (r *Request) Resolve(reg *registry.Registry, c *config.Config, now time.Time, l *problem.List) {
	mayBegin := !r.Date.IsZero() && now.Before(r.Date.Add(time.Duration(c.Policy.StartWithin)))
	if !mayBegin {
		l = nil
	}
	v := resolver{Request: r, reg: reg, config: c, now: now, list: l}
	v.secrets()
	v.environments()
	v.lacking()
	v.windows()
	v.policy()
}

// Late adds what r asks for and can't get any more at now: for a request that isn't merged yet.
func (r *Request) Late(c *config.Config, now time.Time, l *problem.List) {
	if within := c.Policy.StartWithin; !r.Date.IsZero() && !now.Before(r.Date.Add(time.Duration(within))) {
		l.Add(problem.Pos{File: r.Path, Line: 1, Col: 1}, "late", "give it a new date", "a request may begin until %s after the date in its name, and that has passed", days(within))
	}
	for _, f := range r.file.Window {
		if w, ok := r.Windows[f.Name.Value]; ok && !now.Before(w.To) && w.To.After(r.Date) {
			l.Add(f.Value.Pos(), "late", "choose a later one, or leave it out", "the window for %s has passed", f.Name.Value)
		}
	}
}

// Of are the environments of r that a secret is to be rotated in, in the configured order.
func (r *Request) Of(e *registry.Entry) (names []string) {
	for _, name := range r.Environments {
		if e.Environments[name] != nil {
			names = append(names, name)
		}
	}
	return names
}

type resolver struct {
	*Request
	reg     *registry.Registry
	config  *config.Config
	now     time.Time
	list    *problem.List
	entries []*registry.Entry
}

func (v *resolver) secrets() {
	named := v.file.Secrets
	if v.file.Secret.Value != "" {
		named = append([]problem.Text{v.file.Secret}, named...)
	}
	unique(named, v.list)
	v.Secrets = nil
	for _, t := range named {
		v.add(t.Value, t)
	}
	unique(v.file.Tags, v.list)
	var tagged []string
	for _, t := range v.file.Tags {
		found := v.reg.Tagged(t.Value)
		if len(found) == 0 {
			v.list.Add(t.Pos, "unknown-tag", v.list.Suggest(t.Value, v.tags()), "no secret in %s has the tag %s", v.where(), problem.Quote(t.Value))
		}
		tagged = append(tagged, found...)
	}
	for _, name := range v.reg.Names() {
		if slices.Contains(tagged, name) {
			v.add(name, v.file.Tags[0])
		}
	}
	v.derived(append(named, v.file.Tags...))
	if len(v.file.Tags) > 0 && len(v.Secrets) > mostSecrets && len(v.Derived) == 0 {
		v.list.Add(v.file.Tags[0].Pos, "too-many", "name them, in several requests", "these tags stand for %d secrets, at most %d go into one request", len(v.Secrets), mostSecrets)
	}
}

// derived takes in what is derived from secrets that are stolen, unless the request says not to. A registry that changes
// later changes that only for what hasn't begun.
func (v *resolver) derived(named []problem.Text) {
	v.Derived = map[string]string{}
	if v.Reason != "compromise" || v.file.Derived != nil && !*v.file.Derived || len(named) == 0 {
		return
	}
	for _, d := range v.reg.Derived(v.Secrets) {
		v.Derived[d.Secret] = d.From
		v.add(d.Secret, named[0])
	}
	if n := len(v.Secrets); n > mostSecrets && len(v.Derived) > 0 {
		v.list.Add(named[0].Pos, "too-many", "name them, in several requests, with derived: false", "these are %d secrets, with those derived from them; at most %d go into one request", n, mostSecrets)
	}
}

// add takes a secret into the request, where t asks for it.
func (v *resolver) add(name string, t problem.Text) {
	if slices.Contains(v.Secrets, name) || name == "" {
		return
	}
	e, ok := v.reg.Find(name)
	switch {
	case !ok:
		hint := "add a row and a block for it"
		if near, ok := v.reg.Find(v.list.Nearest(name, v.reg.Names())); ok {
			hint = "did you mean " + problem.Quote(near.Secret) + " (" + v.rowOf(near) + ")?"
		}
		v.list.Add(t.Pos, "unknown-secret", hint, "no secret %s in %s", problem.Quote(name), v.where())
		return
	case e.Environments == nil:
		v.list.Add(t.Pos, "no-target", "add a YAML block under a heading with its name ("+v.rowOf(e)+")",
			"%s is only tracked for its age: the registry doesn't say where it lives", problem.Quote(name))
	}
	v.Secrets = append(v.Secrets, name)
	v.entries = append(v.entries, e)
}

// rowOf says where a row is, shortly where there is one registry file.
func (v *resolver) rowOf(e *registry.Entry) string {
	if len(v.reg.Files) == 1 {
		return "row at line " + itoa(e.Pos.Line)
	}
	return "row at " + e.Pos.String()
}

func (v *resolver) where() string {
	if len(v.reg.Files) == 1 {
		return v.reg.Files[0]
	}
	return "the registry"
}

func (v *resolver) tags() (all []string) {
	for i := range v.reg.Entries {
		all = append(all, v.reg.Entries[i].Tags...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// environments puts the requested ones, or all that the secrets have, into the configured order.
func (v *resolver) environments() {
	unique(v.file.Environments, v.list)
	wanted := map[string]bool{}
	for _, t := range v.file.Environments {
		if _, ok := v.config.Environment(t.Value); !ok {
			v.list.Add(t.Pos, "unknown-environment", v.list.SuggestOf(t.Value, "there are", v.config.Names()), "no environment %s in %s", problem.Quote(t.Value), v.config.File)
		}
		wanted[t.Value] = true
	}
	if len(v.file.Environments) == 0 {
		for _, e := range v.entries {
			for name := range e.Environments {
				wanted[name] = true
			}
		}
	}
	v.Environments = slices.DeleteFunc(v.config.Names(), func(name string) bool { return !wanted[name] })
}

// lacking reports environments that were asked for and that a secret hasn't got. Of the secrets that tags stand for
// it is enough that one has it.
func (v *resolver) lacking() {
	for _, t := range v.file.Environments {
		if _, known := v.config.Environment(t.Value); !known {
			continue
		}
		var without []*registry.Entry
		for _, e := range v.entries {
			if _, derived := v.Derived[e.Secret]; !derived && e.Environments != nil && e.Environments[t.Value] == nil {
				without = append(without, e)
			}
		}
		if len(v.file.Tags) > 0 && len(without) < len(v.entries) {
			continue
		}
		for _, e := range without {
			v.list.Add(t.Pos, "unknown-environment", "it has: "+strings.Join(v.all(e, v.config), ", "),
				"%s has no target in %s", problem.Quote(e.Secret), t.Value)
		}
	}
}

func (r *Request) all(e *registry.Entry, c *config.Config) []string {
	return slices.DeleteFunc(c.Names(), func(name string) bool { return e.Environments[name] == nil })
}

func (v *resolver) windows() {
	for _, f := range v.file.Window {
		name := f.Name.Value
		house, known := v.config.Environment(name)
		switch {
		case !known:
			v.list.Add(f.Name.Pos, "unknown-environment", v.list.SuggestOf(name, "there are", v.config.Names()), "no environment %s in %s", problem.Quote(name), v.config.File)
			continue
		case !slices.Contains(v.Environments, name) && len(v.entries) > 0:
			v.list.Add(f.Name.Pos, "window", "remove it, or add "+name+" to environments", "a window for %s, which isn't requested", name)
			continue
		}
		w, ok := v.Windows[name]
		if !ok || v.Reason == "compromise" {
			continue
		}
		at := f.Value.Pos()
		switch _, _, ever := calendar.Opens(&w, house.Hours.Rotation(), w.From); {
		case !w.To.After(v.Date):
			v.list.Add(at, "window", "choose a later one, or leave it out", "the window for %s ends before the date in the request's name", name)
		case !ever:
			v.list.Add(at, "window", "choose one inside "+name+"'s business hours", "the window for %s lies outside its business hours", name)
		case !w.From.Before(v.Date.Add(time.Duration(v.config.Policy.StartWithin))):
			v.list.Add(at, "window", "a request may begin until "+days(v.config.Policy.StartWithin)+" after the date in its name", "the window for %s opens too late", name)
		}
	}
	for _, name := range v.Environments {
		if house, _ := v.config.Environment(name); house.Window == "required" && v.Reason != "compromise" && !v.hasWindow(name) {
			at := problem.Pos{File: v.Path, Line: 1, Col: 1}
			if len(v.file.Window) > 0 {
				at = v.file.Window[0].Name.Pos
			}
			v.list.Add(at, "window", "for example window: {"+name+": "+v.Date.AddDate(0, 0, 2).Format(time.DateOnly)+"T02:00Z/PT2H}", "%s needs a window", name)
		}
	}
}

func (v *resolver) hasWindow(name string) bool {
	return slices.ContainsFunc(v.file.Window, func(f problem.Field) bool { return f.Name.Value == name })
}

func (v *resolver) policy() {
	p := v.config.Policy
	if t := v.file.Ticket; strings.TrimSpace(t.Value) != "" && !p.TicketMatches(t.Value) {
		v.list.Add(t.Pos, "ticket", "the policy asks for "+p.Ticket, "%s isn't an approval ticket", problem.Quote(t.Value))
	} else if hint := v.config.TicketHint(t.Value); strings.TrimSpace(t.Value) != "" && hint != "" {
		v.list.Add(t.Pos, "ticket", hint, "%s isn't an approval ticket", problem.Quote(t.Value))
	}
	if v.file.Retain.Value == "" && v.Reason != "compromise" { // nobody keeps what is stolen, unless they say so
		v.Retain = p.Retain
	}
	if v.Retain < p.RetainLeast && v.Retain > 0 && v.Reason != "compromise" && v.file.Retain.Value != "" {
		v.list.Add(v.file.Retain.Pos, "retain", "keep it "+hours(p.RetainLeast)+" or longer", "the old credential is kept %s, less than the policy allows", hours(v.Retain))
	}
}
