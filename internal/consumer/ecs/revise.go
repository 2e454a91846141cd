package ecs

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	// stepTag is the tag of a revision, with the ID of the step that registered it.
	stepTag = "rekey:step"
	// newest is how many revisions of a family are looked at for one that is there already.
	newest = 10
)

// revise puts on record which task definition pins the step's version, and is like base in everything else: base itself,
// one that is there already, or else a new revision.
//
// RegisterTaskDefinition takes no token either: what a call without an answer registered is found again as the revision
// that has the step's tag, and is just what would be registered. Where it isn't shown yet one more is registered, which
// nothing runs with. It goes by what the service runs with now, not by what preflight recorded: another secret's rotation
// may have registered a revision of its own since.
func (h *handler) revise(ctx context.Context, r roll, base string) (rotation.Result, error) {
	out, err := h.define(ctx, base, types.TaskDefinitionFieldTags)
	if err != nil {
		return rotation.Result{}, err
	}
	from, to := r.past.Fact("preflight", "old"), r.past.Fact("create", "new")
	if !r.forward {
		from, to = to, from
	} else if _, err := r.examined(out.TaskDefinition, r.past); err != nil {
		return rotation.Result{}, err
	}
	if to == "" {
		return rotation.Result{}, errors.New("the records hold no version to pin")
	}
	if !repin(out.TaskDefinition, r.past.Fact("preflight", "arn"), from, to) {
		return r.revised(base, base), nil
	}
	want := registration(out)
	want.Tags = append(slices.DeleteFunc(want.Tags, func(t types.Tag) bool { return aws.ToString(t.Key) == stepTag }), types.Tag{Key: aws.String(stepTag), Value: aws.String(r.tag())})
	there, err := h.registered(ctx, r, out.TaskDefinition, want)
	switch {
	case err != nil:
		return rotation.Result{}, err
	case there != "":
		return r.revised(base, there), nil
	case r.base != base:
		return rotation.Result{Facts: map[string]string{factBase: base, factRevision: "", factAsked: ""},
			Wait: "it to be on record that a revision of " + called(base) + " is about to be registered"}, nil
	}
	made, err := h.ecs.RegisterTaskDefinition(ctx, want, func(o *ecs.Options) { o.Retryer = cloud.Once() })
	switch {
	case err != nil:
		return rotation.Result{}, cloud.Judge(err, "register a revision of "+called(base))
	case made.TaskDefinition == nil || aws.ToString(made.TaskDefinition.TaskDefinitionArn) == "":
		return rotation.Result{}, fmt.Errorf("register a revision of %s: the answer holds none", called(base))
	}
	return r.revised(base, *made.TaskDefinition.TaskDefinitionArn), nil
}

// deployable says whether a service that runs with base can be deployed with a revision that is on record.
func (h *handler) deployable(ctx context.Context, revision, base string) (bool, error) {
	if revision == "" || revision == base { // what runs can be INACTIVE by now: it is forced, and not named
		return revision == base, nil
	}
	out, err := h.define(ctx, revision)
	return err == nil && out.TaskDefinition.Status == types.TaskDefinitionStatusActive, err
}

// revised puts on record what is to be deployed. No call of UpdateService goes by it yet.
func (r roll) revised(base, revision string) rotation.Result {
	return rotation.Result{Facts: map[string]string{factBase: base, factRevision: revision, factAsked: ""},
		Wait: fmt.Sprintf("it to be on record that %s is to be deployed for %s", called(revision), r.version())}
}

// tag is the step's ID, as far as a tag's value goes.
func (r roll) tag() string { return r.step.ID[max(0, len(r.step.ID)-256):] }

// repin has a task definition pin another version of the secret wherever it pins from, and says whether it did anywhere.
func repin(d *types.TaskDefinition, arn, from, to string) (done bool) {
	for _, p := range places(d) {
		if m, ok := names(*p.ref, arn); ok && m.version != "" && m.version == from {
			*p.ref = strings.TrimSuffix(*p.ref, from) + to // it stands last
			done = true
		}
	}
	return done
}

// registration has all of a task definition that can be registered. What AWS adds by itself isn't: ARN, revision, status,
// times, who registered it, what it requires and is compatible with, and its own tags, such as CloudFormation's.
func registration(out *ecs.DescribeTaskDefinitionOutput) *ecs.RegisterTaskDefinitionInput {
	d := out.TaskDefinition
	in := &ecs.RegisterTaskDefinitionInput{ContainerDefinitions: d.ContainerDefinitions, Family: d.Family, Cpu: d.Cpu, EnableFaultInjection: d.EnableFaultInjection,
		EphemeralStorage: d.EphemeralStorage, ExecutionRoleArn: d.ExecutionRoleArn, IpcMode: d.IpcMode, Memory: d.Memory,
		NetworkMode: d.NetworkMode, PidMode: d.PidMode, PlacementConstraints: d.PlacementConstraints, ProxyConfiguration: d.ProxyConfiguration,
		RequiresCompatibilities: d.RequiresCompatibilities, RuntimePlatform: d.RuntimePlatform, TaskRoleArn: d.TaskRoleArn, Volumes: d.Volumes}
	in.InferenceAccelerators = d.InferenceAccelerators //lint:ignore SA1019 what has some is refused by AWS, and not changed without a word
	for _, t := range out.Tags {
		if !strings.HasPrefix(strings.ToLower(aws.ToString(t.Key)), "aws:") {
			in.Tags = append(in.Tags, t)
		}
	}
	return in
}

// registered is a task definition that is just what would be registered: on the way back preflight's, whatever its tags
// are, or else a revision that the step registered; "" when there is none. One that is INACTIVE can't be deployed.
func (h *handler) registered(ctx context.Context, r roll, base *types.TaskDefinition, want *ecs.RegisterTaskDefinitionInput) (string, error) {
	if old := consumer.Found(r.step, r.past, factDefinition); !r.forward {
		out, err := h.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &old})
		switch {
		case err != nil && cloud.Code(err) != "ClientException": // that is one that was deleted
			return "", cloud.Judge(err, "look at the task definition "+called(old))
		case err == nil && same(out, want, false):
			return old, nil
		}
	}
	list, err := h.ecs.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{FamilyPrefix: base.Family, Sort: types.SortOrderDesc, MaxResults: aws.Int32(newest)})
	if err != nil {
		return "", cloud.Judge(err, "list the revisions of "+cloud.Line(aws.ToString(base.Family)))
	}
	for _, arn := range list.TaskDefinitionArns {
		if n, err := strconv.Atoi(arn[strings.LastIndexByte(arn, ':')+1:]); err != nil || n <= int(base.Revision) {
			continue
		}
		out, err := h.define(ctx, arn, types.TaskDefinitionFieldTags)
		if err != nil {
			return "", err
		}
		if same(out, want, true) {
			return arn, nil
		}
	}
	return "", nil
}

// same says whether a task definition can be deployed, and is what would be registered.
func same(out *ecs.DescribeTaskDefinitionOutput, want *ecs.RegisterTaskDefinitionInput, tags bool) bool {
	if out.TaskDefinition == nil || out.TaskDefinition.Status != types.TaskDefinitionStatusActive {
		return false
	}
	a, b := *registration(out), *want
	if tags && !reflect.DeepEqual(sorted(a.Tags), sorted(b.Tags)) {
		return false
	}
	a.Tags, b.Tags = nil, nil
	return reflect.DeepEqual(a, b)
}

func sorted(tags []types.Tag) []types.Tag {
	return slices.SortedFunc(slices.Values(tags), func(a, b types.Tag) int { return strings.Compare(aws.ToString(a.Key), aws.ToString(b.Key)) })
}
