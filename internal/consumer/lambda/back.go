package lambda

import (
	"context"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
)

// nothing in factPuts leaves the variable as it is; in factSeen it is that there was none.
const nothing = "nothing"

// back has the function take the old version up again. It is asked after that became the live one, which it takes as the
// time from which caches count: some code may have read the new version whatever deploy came to.
func (h *handler) back(ctx context.Context, c call) (rotation.Result, error) {
	since, err := time.Parse(time.RFC3339, c.own(factSince))
	if err != nil {
		return h.begin(ctx, c)
	}
	if !c.Refresh {
		return h.outlived(c, since, "the old version was back"), nil
	}
	text := ""
	if c.Alias != "" {
		res, err := h.unmove(ctx, c)
		if err != nil || res.Wait != "" {
			return res, err
		}
		text = res.Text + "; "
	}
	res, err := h.unput(ctx, c)
	if err != nil || res.Wait != "" {
		return res, err
	}
	text += res.Text
	if c.Alias != "" { // execution environments of the version that is named again may have read the new one meanwhile
		res := h.outlived(c, since, "the old version was back")
		if res.Wait != "" {
			return res, nil
		}
		text += "; " + res.Text
	}
	return rotation.Result{Text: text}, nil
}

// begin puts on record when, and how the variable is changed: where it was, that is by its old value; where deploy didn't
// come to it, execution environments may have started with the new version all the same, and a value of the way back's own
// has new ones start. Those of a version that is published don't care.
func (h *handler) begin(ctx context.Context, c call) (rotation.Result, error) {
	facts := map[string]string{factSince: h.now().UTC().Truncate(time.Second).Add(time.Second).Format(time.RFC3339)}
	if c.Refresh {
		ours, err := c.value(consumer.Deploy)
		if err != nil {
			return rotation.Result{}, err
		}
		own, err := c.value(consumer.Back)
		if err != nil {
			return rotation.Result{}, err
		}
		l, err := h.latest(ctx, c)
		if err != nil {
			return rotation.Result{}, err
		}
		switch facts[factPuts] = own; {
		case l.vars[Variable] == ours:
			facts[factPuts] = factWas
		case c.Alias != "":
			facts[factPuts] = nothing
		}
	}
	return rotation.Result{Facts: facts, Wait: "it to be on record that " + c.called() + " goes back"}, nil
}

// unmove has the alias name again what it named at preflight, unless somebody moved it since.
func (h *handler) unmove(ctx context.Context, c call) (rotation.Result, error) {
	a, err := h.alias(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	was, made := c.found(factAlias), c.deployed(factVersion)
	switch {
	case a.version == was:
		return rotation.Result{Text: fmt.Sprintf("alias %s names version %s", c.Alias, was)}, nil
	case made == "" || a.version != made:
		return rotation.Result{Text: fmt.Sprintf("alias %s names version %s, which somebody else moved it to: it was left there", c.Alias, a.version)}, nil
	}
	res, err := h.move(ctx, c, a, was)
	if err == nil && res.Wait == "" {
		res.Wait, res.Again = fmt.Sprintf("alias %s to be seen on version %s again", c.Alias, was), poll/3
	}
	return res, err
}

// unput changes the variable, and is done when that is in force. A change that comes late is taken back, too.
func (h *handler) unput(ctx context.Context, c call) (rotation.Result, error) {
	ours, err := c.value(consumer.Deploy)
	if err != nil {
		return rotation.Result{}, err
	}
	l, err := h.latest(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	if wait := l.busy(c); wait != "" {
		return rotation.Result{Wait: wait, Again: poll}, nil
	}
	puts, was := c.own(factPuts), c.found(factWas)
	own := puts != factWas && puts != nothing
	if is := l.vars[Variable]; is == ours || own && is != puts {
		value := was
		if own {
			value = puts
		}
		res, err := h.put(ctx, c, l, value)
		if err == nil && res.Wait == "" {
			res = rotation.Result{Wait: "the configuration of " + c.called() + " to be in force", Again: poll}
		}
		return res, err
	}
	if err := l.failed(c); err != nil {
		return rotation.Result{}, err
	}
	text := map[bool]string{true: "is what it was", false: "is taken out again"}[was != ""]
	if is := l.vars[Variable]; is != was {
		text = "has a value that is newer"
	}
	if own {
		text = "has a new value: execution environments started since read the secret anew"
	}
	return rotation.Result{Text: fmt.Sprintf("%s of %s %s", Variable, c.called(), text)}, nil
}
