package lambda

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// named is what an alias names.
type named struct {
	version, revision string
	others            []string // versions that a share of the calls goes to
}

func (h *handler) alias(ctx context.Context, c call) (named, error) {
	out, err := h.client.GetAlias(ctx, &lambda.GetAliasInput{FunctionName: &c.Function, Name: &c.Alias})
	if err != nil {
		return named{}, cloud.Judge(err, fmt.Sprintf("look at alias %s of %s", c.Alias, c.called()))
	}
	a := named{version: aws.ToString(out.FunctionVersion), revision: aws.ToString(out.RevisionId)}
	if out.RoutingConfig != nil {
		a.others = slices.Sorted(maps.Keys(out.RoutingConfig.AdditionalVersionWeights))
	}
	if a.version == "" || a.revision == "" {
		return a, errors.New("GetAlias: the answer names no version")
	}
	return a, nil
}

// older is a version that the alias names and that was published before this one; "" when there is none.
func (a named) older(than string) string {
	limit, err := strconv.Atoi(than)
	for _, v := range append([]string{a.version}, a.others...) {
		// $LATEST is no number, and as new as can be.
		if n, bad := strconv.Atoi(v); err != nil || bad == nil && n < limit {
			return v
		}
	}
	return ""
}

// aliased is the version that the alias names, where it may be moved to one published of $LATEST.
func (h *handler) aliased(ctx context.Context, c call, l look) (string, error) {
	a, err := h.alias(ctx, c)
	if err != nil {
		return "", err
	}
	switch {
	case len(a.others) > 0:
		return "", rotation.Failf("finish that deployment first", "alias %s of %s sends a share of the calls to version %s", c.Alias, c.called(), strings.Join(a.others, ", "))
	case a.version == latest:
		return "", rotation.Failf("leave alias out: refresh alone is enough", "alias %s of %s names no published version", c.Alias, c.called())
	}
	return a.version, h.like(ctx, c, l, a.version)
}

const latest = "$LATEST"

// like refuses where a version published of $LATEST would bring callers more than a new variable.
func (h *handler) like(ctx context.Context, c call, l look, version string) error {
	v, err := h.at(ctx, c, version)
	switch {
	case err != nil:
		return cloud.Judge(err, fmt.Sprintf("look at version %s of %s", version, c.called()))
	case v.hidden != "":
		return fmt.Errorf("the environment of version %s of %s isn't shown by Lambda (%s)", version, c.called(), v.hidden)
	}
	if in := l.differs(v); len(in) > 0 {
		return rotation.Failf("deploy $LATEST, or put it back: publishing it would release that with the rotation",
			"$LATEST of %s isn't what alias %s serves, version %s: other %s", c.called(), c.Alias, version, strings.Join(in, ", "))
	}
	return nil
}

// publish has the alias name a version of $LATEST with the variable in force. Which one is on record before the alias moves.
func (h *handler) publish(ctx context.Context, c call, l look, value string) (rotation.Result, error) {
	facts := map[string]string{factInForce: c.deployed(factInForce)}
	version := c.deployed(factVersion)
	if version == "" {
		version, res, err := h.version(ctx, c, l, value)
		if err != nil || res.Wait != "" {
			return res, err
		}
		facts[factVersion] = version
		return rotation.Result{Facts: facts, Wait: "version " + version + " of " + c.called() + " to be on record"}, nil
	}
	facts[factVersion] = version
	v, err := h.at(ctx, c, version)
	if err != nil {
		return rotation.Result{}, cloud.Judge(err, fmt.Sprintf("look at version %s of %s", version, c.called()))
	}
	if wait := v.busy(c); wait != "" {
		return rotation.Result{Wait: "version " + version + ": " + wait, Again: poll}, nil
	}
	if err := v.failed(c); err != nil {
		return rotation.Result{}, err
	}
	a, err := h.alias(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	was := c.found(factAlias)
	switch {
	case a.version == version && len(a.others) == 0:
		return rotation.Result{Facts: facts, Text: fmt.Sprintf("alias %s names version %s, published for this rotation; before it was version %s", c.Alias, version, was)}, nil
	case a.version != was || len(a.others) > 0:
		return rotation.Result{}, rotation.Failf("see who moved it, and to what; it was left there", "alias %s of %s names version %s, and named %s at preflight", c.Alias, c.called(), a.all(), was)
	}
	res, err := h.move(ctx, c, a, version)
	if err == nil && res.Wait == "" {
		res.Wait, res.Again = fmt.Sprintf("alias %s to be seen on version %s", c.Alias, version), poll/3
	}
	return res, err
}

func (a named) all() string { return strings.Join(append([]string{a.version}, a.others...), " and ") }

func (h *handler) move(ctx context.Context, c call, a named, version string) (rotation.Result, error) {
	_, err := h.client.UpdateAlias(ctx, &lambda.UpdateAliasInput{FunctionName: &c.Function, Name: &c.Alias, FunctionVersion: &version, RevisionId: &a.revision}, once)
	return again(err, c, fmt.Sprintf("move alias %s of %s to version %s", c.Alias, c.called(), version))
}

// version is the one that was published for this rotation, or is published now. Lambda makes no second one as long as
// nothing was changed.
func (h *handler) version(ctx context.Context, c call, l look, value string) (string, rotation.Result, error) {
	mark := "rekey " + value
	pages := lambda.NewListVersionsByFunctionPaginator(h.client, &lambda.ListVersionsByFunctionInput{FunctionName: &c.Function})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", rotation.Result{}, cloud.Judge(err, "list the versions of "+c.called())
		}
		for _, v := range page.Versions {
			if aws.ToString(v.Description) == mark && aws.ToString(v.Version) != latest {
				return *v.Version, rotation.Result{}, nil
			}
		}
	}
	if wait := l.busy(c); wait != "" {
		return "", rotation.Result{Wait: wait, Again: poll}, nil
	}
	if err := h.like(ctx, c, l, c.found(factAlias)); err != nil {
		return "", rotation.Result{}, err
	}
	out, err := h.client.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: &c.Function, CodeSha256: l.CodeSha256, RevisionId: l.RevisionId, Description: &mark}, once)
	res, err := again(err, c, "publish a version of "+c.called())
	if err != nil || res.Wait != "" {
		return "", res, err
	}
	if aws.ToString(out.Version) == "" {
		return "", rotation.Result{}, errors.New("PublishVersion: the answer names no version")
	}
	return *out.Version, rotation.Result{}, nil
}
