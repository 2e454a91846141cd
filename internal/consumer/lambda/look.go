package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// Lambda's words that mean something to us.
const (
	conflict     = "ResourceConflictException"
	precondition = "PreconditionFailedException"
)

// maxEnvironment is in bytes (Lambda developer guide, quotas); the measure is that of its JSON, which Lambda's own refusal
// shows.
const maxEnvironment = 4096

// A look is a version's configuration. Its variables must not leave this package.
type look struct {
	*lambda.GetFunctionConfigurationOutput
	vars   map[string]string
	hidden string // why the environment wasn't shown
}

// at reads the configuration of a version; "" is $LATEST. Its error is as AWS gave it.
func (h *handler) at(ctx context.Context, c call, version string) (look, error) {
	in := &lambda.GetFunctionConfigurationInput{FunctionName: &c.Function}
	if version != "" {
		in.Qualifier = &version
	}
	out, err := h.client.GetFunctionConfiguration(ctx, in)
	if err != nil {
		return look{}, err
	}
	if aws.ToString(out.RevisionId) == "" {
		return look{}, errors.New("GetFunctionConfiguration: the answer has no revision")
	}
	l := look{GetFunctionConfigurationOutput: out}
	if e := out.Environment; e != nil {
		if l.vars = e.Variables; e.Error != nil { // its message may quote what it is about
			l.hidden = cloud.Line("environment: " + aws.ToString(e.Error.ErrorCode))
		}
	}
	return l, nil
}

// latest is $LATEST, for a step that goes on with it: an environment that isn't shown can't be put back.
func (h *handler) latest(ctx context.Context, c call) (look, error) {
	l, err := h.at(ctx, c, "")
	if err == nil && l.hidden != "" {
		return l, fmt.Errorf("the environment of %s isn't shown by Lambda (%s)", c.called(), l.hidden)
	}
	return l, cloud.Judge(err, "look at "+c.called())
}

// busy is what keeps a version from being changed or used for now.
func (l look) busy(c call) string {
	switch {
	case l.State == types.StatePending:
		return c.called() + " to become active"
	case l.LastUpdateStatus == types.LastUpdateStatusInProgress:
		return "an update of " + c.called() + " to end"
	}
	return ""
}

// failed refuses where the last update did.
func (l look) failed(c call) error {
	if l.LastUpdateStatus != types.LastUpdateStatusFailed && l.State != types.StateFailed {
		return nil
	}
	code := string(l.LastUpdateStatusReasonCode)
	if l.State == types.StateFailed {
		code = string(l.StateReasonCode)
	}
	return rotation.Failf("aws lambda get-function-configuration says why; mend that first", "the last update of %s failed (%s)", c.called(), cloud.Line(code))
}

// with is the environment with the variable at value; "" takes it out.
func (l look) with(value string) map[string]string {
	vars := map[string]string{} // never nil: that would leave all as it is
	maps.Copy(vars, l.vars)
	if delete(vars, Variable); value != "" {
		vars[Variable] = value
	}
	return vars
}

// size is what Lambda measures of an environment, in bytes.
func size(vars map[string]string) int {
	text, _ := json.Marshal(vars) // strings: can't fail
	return len(text)
}

// fits refuses an environment that would be too big with the variable at value.
func fits(c call, l look, value string) error {
	if n := size(l.with(value)); n > maxEnvironment {
		return rotation.Failf("take out variables that nobody needs", "the environment of %s would have %d bytes with %s, and %d are allowed", c.called(), n, Variable, maxEnvironment)
	}
	return nil
}

// naming are the variables in whose values one of these texts is.
func (l look) naming(texts ...string) (names []string) {
	for name, value := range l.vars {
		if slices.ContainsFunc(texts, func(text string) bool { return text != "" && strings.Contains(value, text) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// differs says in what $LATEST isn't what a published version is, but for the variable.
func (l look) differs(v look) (in []string) {
	layers := func(l look) (arns []string) {
		for _, layer := range l.Layers {
			arns = append(arns, aws.ToString(layer.Arn))
		}
		return arns
	}
	network := func(l look) (ids []string) {
		if l.VpcConfig != nil {
			ids = append(slices.Sorted(slices.Values(l.VpcConfig.SubnetIds)), slices.Sorted(slices.Values(l.VpcConfig.SecurityGroupIds))...)
		}
		return ids
	}
	for _, part := range []struct {
		what string
		same bool
	}{
		{"code", aws.ToString(l.CodeSha256) == aws.ToString(v.CodeSha256)},
		{"environment", maps.Equal(l.with(""), v.with(""))},
		{"handler", aws.ToString(l.Handler) == aws.ToString(v.Handler)},
		{"runtime", l.Runtime == v.Runtime},
		{"role", aws.ToString(l.Role) == aws.ToString(v.Role)},
		{"timeout", aws.ToInt32(l.Timeout) == aws.ToInt32(v.Timeout)},
		{"memory", aws.ToInt32(l.MemorySize) == aws.ToInt32(v.MemorySize)},
		{"layers", slices.Equal(layers(l), layers(v))},
		{"network", slices.Equal(network(l), network(v))},
	} {
		if !part.same {
			in = append(in, part.what)
		}
	}
	return in
}

// put gives the variable a value, in the environment as l has it and only while that is what there is. Done is an empty
// Wait: the update is under way then, and no more.
func (h *handler) put(ctx context.Context, c call, l look, value string) (rotation.Result, error) {
	if err := fits(c, l, value); err != nil {
		return rotation.Result{}, err
	}
	_, err := h.client.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: &c.Function,
		RevisionId: l.RevisionId, Environment: &types.Environment{Variables: l.with(value)}}, once)
	if cloud.Code(err) == "InvalidParameterValueException" {
		return rotation.Result{}, rotation.Failf("change that variable by hand to read why: Lambda's words may quote the environment and are left out here",
			"Lambda doesn't take the environment of %s with another %s", c.called(), Variable)
	}
	return again(err, c, "change "+Variable+" of "+c.called())
}

// again has a Wait where a changing call wasn't taken because something else changed, or is being changed.
func again(err error, c call, doing string) (rotation.Result, error) {
	switch cloud.Code(err) {
	case precondition:
		return rotation.Result{Wait: "another look at " + c.called() + ", which was changed meanwhile", Again: poll}, nil
	case conflict:
		return rotation.Result{Wait: "an update of " + c.called() + " to end", Again: poll}, nil
	}
	return rotation.Result{}, cloud.Judge(err, doing)
}
