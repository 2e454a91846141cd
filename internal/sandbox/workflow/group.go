package workflow

import (
	"strings"

	"github.com/rhysd/actionlint"
)

// A group is one concurrency group: one of it runs, one at most is pending.
type group struct{ holder, waiter *member }

// A member is a run or a job in a concurrency group; one without a group is always in.
type member struct {
	group string
	in    bool
	evict func()
}

// join lets m in, or makes it the pending one, in whose place none other stays.
func (e *Engine) join(m *member, cancelInProgress bool) {
	g := e.groups[m.group]
	switch {
	case m.group == "":
		m.in = true
		return
	case g == nil:
		m.in = true
		e.groups[m.group] = &group{holder: m}
		return
	}
	if old := g.waiter; old != nil {
		old.evict()
	}
	g.waiter = m
	if cancelInProgress {
		g.holder.evict()
	}
}

// leave lets the pending one in.
func (e *Engine) leave(m *member) {
	g := e.groups[m.group]
	switch {
	case g == nil:
	case g.waiter == m:
		g.waiter = nil
	case g.holder == m:
		if g.holder, g.waiter = g.waiter, nil; g.holder == nil {
			delete(e.groups, m.group)
		} else {
			g.holder.in = true
		}
	}
}

// concurrency evaluates the group and whether it cancels what is in progress. Names ignore case.
func (w *Workflow) concurrency(s scope, c *actionlint.Concurrency) (name string, cancel bool, err error) {
	if c == nil {
		return "", false, nil
	}
	v, err := s.value(w.template(c.Group.Value))
	if err != nil {
		return "", false, err
	}
	cancel, err = w.boolean(s, c.CancelInProgress)
	return strings.ToLower(text(v)), cancel, err
}

// boolean evaluates a key that is true, false or an expression; false where it isn't there.
func (w *Workflow) boolean(s scope, b *actionlint.Bool) (bool, error) {
	if b == nil {
		return false, nil
	}
	if b.Expression == nil {
		return b.Value, nil
	}
	v, err := s.value(w.template(b.Expression.Value))
	return truthy(v), err
}
