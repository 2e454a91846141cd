package lambda

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/usage"
)

// preflight looks whether the function can take a new version up, and records what the way back needs.
func (h *handler) preflight(ctx context.Context, c call) (rotation.Result, error) {
	l, err := h.at(ctx, c, "")
	if cloud.Code(err) == cloud.NotFound {
		return rotation.Result{}, rotation.Failf("check the name, and the environment's region and role in .github/rekey.yml", "there is no %s", c.called())
	}
	if err != nil {
		return rotation.Result{}, cloud.Judge(err, "look at "+c.called())
	}
	if wait := l.busy(c); wait != "" {
		return rotation.Result{Wait: wait, Again: poll}, nil
	}
	if err := l.failed(c); err != nil {
		return rotation.Result{}, err
	}
	if l.State != types.StateActive {
		return rotation.Result{}, rotation.Failf("invoke it once", "%s is %s", c.called(), cloud.Line(string(l.State)))
	}
	if pinned := l.naming(idOf(c.past.Fact("preflight", "old"))); len(pinned) > 0 {
		return rotation.Result{}, rotation.Failf("have it name the secret without a version, or a key by its alias: only "+Variable+" is changed here",
			"%s names the old version itself, in its variable %s, and would go on with it", c.called(), strings.Join(pinned, ", "))
	}
	res := rotation.Result{Facts: map[string]string{factRevision: *l.RevisionId}, Text: c.called() + " is active; " + c.names(l)}
	if !c.Refresh {
		res.Text += fmt.Sprintf("; what its code keeps for %s is waited out", span(time.Duration(or(c.Cache, DefaultCache))))
		return res, nil
	}
	if err := c.refreshable(l); err != nil {
		return rotation.Result{}, err
	}
	res.Facts[factWas] = l.vars[Variable]
	res.Facts[factTimeout] = (time.Duration(aws.ToInt32(l.Timeout)) * time.Second).String()
	res.Text += "; new execution environments start when " + Variable + " is changed"
	if c.Alias != "" {
		version, err := h.aliased(ctx, c, l)
		if err != nil {
			return rotation.Result{}, err
		}
		res.Facts[factAlias] = version
		res.Text += fmt.Sprintf("; alias %s names version %s, which is like $LATEST", c.Alias, version)
	}
	return res, nil
}

// refreshable refuses where the variable can't be changed, or isn't ours to change.
func (c call) refreshable(l look) error {
	value, err := c.value("deploy")
	was := l.vars[Variable]
	switch {
	case err != nil:
		return err
	case l.hidden != "":
		return rotation.Failf("allow kms:Decrypt on the function's key to the role that acts", "Lambda doesn't show the environment of %s (%s), so that it can't be put back with one more variable", c.called(), l.hidden)
	case was != "" && !written.MatchString(was):
		return rotation.Failf("give that another name: the variable is changed by every rotation", "%s of %s holds what was not written by a rotation", Variable, c.called())
	}
	return fits(c, l, value)
}

// names says whether the environment does name the secret. Code may, too: so it isn't refused.
func (c call) names(l look) string {
	arn := c.past.Fact("preflight", "arn")
	if l.hidden != "" || arn == "" {
		return "what of its environment names the secret isn't known"
	}
	var found []string
	for name, value := range l.vars {
		if (usage.Secret{ARN: arn}).In(value) != "" {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	if len(found) > 0 {
		return "its variable " + strings.Join(found, ", ") + " names the secret"
	}
	return "none of its variables names the secret: its code must"
}

// idOf is what a version, or a key by its ARN, is known by.
func idOf(version string) string { return version[strings.LastIndexByte(version, '/')+1:] }
