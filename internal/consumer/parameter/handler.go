package parameter

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
)

// Names of facts.
const (
	factVersion = "version" // of the parameter, at preflight
	factValue   = "value"   // what it held: the name of the old version
	factMade    = "made"    // the version of the parameter that deploy made for the label
)

// Parameter Store's words that mean something to us.
const (
	notFound  = "ParameterNotFound"
	noVersion = "ParameterVersionNotFound" // or none with that label
)

type handler struct{ client *ssm.Client }

// A call is one asking of one step.
type call struct {
	Shape
	step rotation.Step
	past rotation.Past
}

// New makes the handler for one environment.
func New(d consumer.Deps) rotation.Handler {
	h := &handler{d.SSM}
	return rotation.Handle(callOf, map[string]func(context.Context, call) (rotation.Result, error){
		consumer.Preflight: h.preflight, consumer.Deploy: h.deploy, consumer.Adopted: h.adopted, consumer.Back: h.back,
	})
}

func callOf(s rotation.Step, past rotation.Past) (call, error) {
	c := call{step: s, past: past}
	err := s.Into(&c.Shape)
	return c, err
}

func (c call) called() string { return "parameter " + c.reads() }

// reads is what readers ask for.
func (c call) reads() string {
	if c.Label != "" {
		return c.Name + ":" + c.Label
	}
	return c.Name
}

func (c call) old() (string, error) {
	return consumer.Held(c.past, c.past.Fact("preflight", "old"), c.Holds, c.called())
}
func (c call) new() (string, error) {
	return consumer.Held(c.past, c.past.Fact("create", "new"), c.Holds, c.called())
}

// look is the parameter as it is; its error is as AWS gave it.
func (h *handler) look(ctx context.Context, c call) (types.Parameter, error) {
	out, err := h.client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(c.reads())})
	if err != nil {
		return types.Parameter{}, err
	}
	if out.Parameter == nil || out.Parameter.Version == 0 {
		return types.Parameter{}, errors.New("GetParameter: the answer has no parameter")
	}
	return *out.Parameter, nil
}

// preflight refuses a parameter that holds anything but the name of the old version.
func (h *handler) preflight(ctx context.Context, c call) (rotation.Result, error) {
	old, err := c.old()
	if err != nil {
		return rotation.Result{}, err
	}
	p, err := h.look(ctx, c)
	if cloud.Code(err) == notFound {
		return rotation.Result{}, rotation.Failf("check name, region and account; or make it, as a String with the value "+old, "there is no %s", c.called())
	}
	if cloud.Code(err) == noVersion {
		return rotation.Result{}, rotation.Failf(fmt.Sprintf("aws ssm label-parameter-version --name %s --parameter-version VERSION --labels %s, of the version that holds %s", c.Name, c.Label, old),
			"no version of parameter %s has the label %s", c.Name, c.Label)
	}
	if err != nil {
		return rotation.Result{}, cloud.Judge(err, "look at "+c.called())
	}
	if err := c.plain(p); err != nil {
		return rotation.Result{}, err
	}
	if aws.ToString(p.Value) != old {
		return rotation.Result{}, rotation.Failf("see what reads it: it should hold "+old, "%s holds something else than the live version's %s (it isn't shown: it could be a secret)", c.called(), c.what())
	}
	return rotation.Result{Facts: map[string]string{factValue: old, factVersion: strconv.FormatInt(p.Version, 10)},
		Text: fmt.Sprintf("%s holds the %s of the live version, in its own version %d", c.called(), c.what(), p.Version)}, nil
}

func (c call) what() string {
	if c.Holds == consumer.HoldsARN {
		return "ARN"
	}
	return "ID"
}

// plain refuses what isn't a String.
func (c call) plain(p types.Parameter) error {
	if p.Type == types.ParameterTypeString {
		return nil
	}
	return rotation.Failf("a parameter that holds a secret's value is no pointer to it: make a String for that, and rotate this one as a secret", "%s is a %s, not a String", c.called(), p.Type)
}

// deploy writes the name of the new version, where the parameter is as preflight saw it.
func (h *handler) deploy(ctx context.Context, c call) (rotation.Result, error) {
	want, err := c.new()
	if err != nil {
		return rotation.Result{}, err
	}
	p, err := h.look(ctx, c)
	if err != nil {
		return rotation.Result{}, cloud.Judge(err, "look at "+c.called())
	}
	if err := c.plain(p); err != nil {
		return rotation.Result{}, err
	}
	seen, value := consumer.Found(c.step, c.past, factVersion), consumer.Found(c.step, c.past, factValue)
	switch {
	case aws.ToString(p.Value) == want:
		return c.written(p), nil
	case seen == "" || value == "":
		return rotation.Result{}, fmt.Errorf("the records hold no preflight of %s", c.called())
	case aws.ToString(p.Value) != value || strconv.FormatInt(p.Version, 10) != seen:
		return rotation.Result{}, rotation.Failf("see who changed it, and why; it was left as it is", "%s was changed since preflight: version %d is there, was %s", c.called(), p.Version, seen)
	}
	if c.Label != "" {
		return h.relabel(ctx, c, want)
	}
	if _, err := h.put(ctx, c, p, want); err != nil {
		return rotation.Result{}, err
	}
	return h.seen(ctx, c, want)
}

// put overwrites the parameter, and says which version that made. There is no token and no condition for that: what another
// one wrote between the look and this is told by the number. Where readers go by a label it makes no difference to them.
func (h *handler) put(ctx context.Context, c call, p types.Parameter, value string) (made int64, err error) {
	out, err := h.client.PutParameter(ctx, &ssm.PutParameterInput{Name: &c.Name, Value: &value, Type: types.ParameterTypeString, DataType: p.DataType,
		Overwrite: aws.Bool(true)}, func(o *ssm.Options) { o.Retryer = cloud.Once() })
	if cloud.Code(err) == "ParameterMaxVersionLimitExceeded" {
		return 0, rotation.Failf("move the label of its oldest version to a newer one", "parameter %s has as many versions as there can be, and the oldest has a label", c.Name)
	}
	if err != nil {
		return 0, cloud.Judge(err, "write parameter "+c.Name)
	}
	if c.Label == "" && out.Version != p.Version+1 {
		return 0, rotation.Failf(fmt.Sprintf("see who wrote version %d of it, and what", out.Version-1), "somebody else changed %s at the same moment: ours is version %d, after %d", c.called(), out.Version, p.Version)
	}
	return out.Version, nil
}

// seen is done when the parameter is seen to hold what was written: what comes next reads it. Not seen yet is an unknown
// outcome.
func (h *handler) seen(ctx context.Context, c call, want string) (rotation.Result, error) {
	p, err := h.look(ctx, c)
	switch {
	case err != nil:
		return rotation.Result{}, cloud.Unknown(err, "look at "+c.called())
	case aws.ToString(p.Value) != want:
		return rotation.Result{}, fmt.Errorf("%s isn't seen yet as it was written", c.called())
	}
	return c.written(p), nil
}

func (c call) written(p types.Parameter) rotation.Result {
	return rotation.Result{Text: fmt.Sprintf("%s holds the %s of the new version, in its own version %d", c.called(), c.what(), p.Version)}
}

// adopted waits while the parameter holds anything but the name of the new version.
func (h *handler) adopted(ctx context.Context, c call) (rotation.Result, error) {
	want, err := c.new()
	if err != nil {
		return rotation.Result{}, err
	}
	p, err := h.look(ctx, c)
	if err != nil {
		return rotation.Result{}, cloud.Judge(err, "look at "+c.called())
	}
	if aws.ToString(p.Value) != want {
		return rotation.Result{Wait: fmt.Sprintf("%s to hold the %s of the new version: its own version %d doesn't", c.called(), c.what(), p.Version), Again: rotation.Later}, nil
	}
	return c.written(p), nil
}

// back writes the name of the old version again, where the new one's stands.
func (h *handler) back(ctx context.Context, c call) (rotation.Result, error) {
	old, err := c.old()
	if err != nil {
		return rotation.Result{}, err
	}
	ours, err := c.new()
	if err != nil {
		return rotation.Result{}, err
	}
	p, err := h.look(ctx, c)
	if cloud.Code(err) == noVersion {
		return rotation.Result{Text: fmt.Sprintf("somebody else took the label %s off parameter %s: it was left so", c.Label, c.Name)}, nil
	}
	if err != nil {
		return rotation.Result{}, cloud.Judge(err, "look at "+c.called())
	}
	switch aws.ToString(p.Value) {
	case ours:
		if c.Label != "" {
			err = h.unlabel(ctx, c, old)
		} else {
			_, err = h.put(ctx, c, p, old)
		}
		if err != nil {
			return rotation.Result{}, err
		}
		if _, err := h.seen(ctx, c, old); err != nil {
			return rotation.Result{}, err
		}
		return rotation.Result{Text: fmt.Sprintf("%s holds the %s of the old version again", c.called(), c.what())}, nil
	case old:
		return rotation.Result{Text: fmt.Sprintf("%s holds the %s of the old version", c.called(), c.what())}, nil
	}
	return rotation.Result{Text: fmt.Sprintf("%s holds what somebody else wrote since, in its own version %d: it was left there", c.called(), p.Version)}, nil
}
