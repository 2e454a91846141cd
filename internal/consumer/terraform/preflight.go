package terraform

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/rotation"
)

// preflight refuses a configuration that has changes pending, or wouldn't take the new version up, and records what that is
// to change, as far as a version that isn't there yet shows it.
func (h *handler) preflight(ctx context.Context, c call) (rotation.Result, error) {
	old, err := c.old()
	if err != nil {
		return rotation.Result{}, err
	}
	s, err := h.setting(c)
	if err != nil {
		return rotation.Result{}, err
	}
	if s.value != old {
		return rotation.Result{}, rotation.Failf("see what runs with it: it should be "+c.as(s, old),
			"%s: %s names something else than the live version (it isn't shown: it could be a secret)", s.at(), c.Variable)
	}
	b, err := h.open(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	defer b.close()
	res, err := b.foresee(ctx, s, old)
	res.Files = b.files()
	return res, err
}

func (b *bench) foresee(ctx context.Context, s setting, old string) (res rotation.Result, err error) {
	version, err := b.version(ctx)
	if err != nil {
		return res, err
	}
	var not notInit
	if err := b.init(ctx); errors.As(err, &not) {
		return res, rotation.Failf("see whether its modules and providers can be had, and the lock file is in Git with this platform's sums", "%s", not.why)
	} else if err != nil {
		return res, err
	}
	now, err := b.plan(ctx, "", "")
	switch {
	case err != nil:
		return res, err
	case now.code == 1:
		return res, rotation.Failf("see "+evidence+" in the evidence, and terraform plan", "%s can't plan in %s: %s", b.binary(), b.Dir, b.why(now))
	case now.code == 2:
		return res, rotation.Failf("apply that or take it back; then begin again", "terraform has changes pending in %s that are not this rotation's: %s", b.Dir, in(now.changes))
	}
	then, err := b.plan(ctx, standIn(old), "")
	if err != nil {
		return res, err
	}
	res.Facts = map[string]string{factValue: old}
	res.Text = fmt.Sprintf("%s names the live version, and %s %s has nothing to change in %s; ", s.at(), b.binary(), version, b.Dir)
	switch then.code {
	case 0:
		return rotation.Result{}, rotation.Failf("see whether it is declared there, and what it is used for", "nothing in %s depends on the variable %s: another version would change nothing", b.Dir, b.Variable)
	case 1:
		res.Text += "what a new version changes can't be told before it is there: " + b.why(then)
		return res, nil
	}
	if err := b.refused(then.changes); err != nil {
		return rotation.Result{}, err
	}
	res.Facts[factChanges] = list(then.changes)
	res.Text += fmt.Sprintf("a new version means %s: %s", count(then.changes), in(then.changes))
	return res, nil
}

// standIn is a name as that of a version that isn't there yet.
func standIn(held string) string {
	const none = "00000000-0000-4000-8000-000000000000"
	if i := strings.LastIndexAny(held, ":/"); i >= 0 {
		return held[:i+1] + none
	}
	return none
}
