package ecs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// watch follows the step's deployment to its end.
//
// Whatever began after it reads what is live, too: a deployment of the same task definition that takes its place (another
// rotation's, say) is followed instead. One of another task definition was looked at by nobody, and fails the step.
func (h *handler) watch(ctx context.Context, r roll, l look) (rotation.Result, error) {
	ours, d := l.find(r.own), l.primary()
	if r.forward && !r.past.Done(r.step.Key).IsZero() {
		return r.holds(ours, d)
	}
	switch {
	case d == nil:
		return rotation.Result{}, fmt.Errorf("%s shows no primary deployment", r.Service)
	case aws.ToString(d.Id) == r.own && d.RolloutState == types.DeploymentRolloutStateFailed, (r.forward || r.Revision) && ours != nil && ours.RolloutState == types.DeploymentRolloutStateFailed:
		return h.failed(ctx, r, l, ours)
	case aws.ToString(d.Id) == r.own:
		return h.progress(ctx, r, l, d)
	case ours == nil && slices.Contains(r.before, aws.ToString(d.Id)) && l.now.Sub(r.since) < settling:
		return rotation.Result{Wait: fmt.Sprintf("the deployment %s of %s to be shown", r.own, r.Service), Again: every}, nil
	case slices.Contains(r.before, aws.ToString(d.Id)):
		return h.failed(ctx, r, l, ours)
	case r.forward && r.foreign(d):
		return rotation.Result{}, r.replaced(d)
	case r.foreign(d):
		return h.intend(ctx, r, l)
	}
	return r.adopt(d), nil
}

// holds says whether what was done is still so. Later deployments start tasks with what is live as well.
func (r roll) holds(ours, d *types.Deployment) (rotation.Result, error) {
	switch {
	case d == nil:
		return rotation.Result{}, fmt.Errorf("%s shows no primary deployment", r.Service)
	case ours == nil && aws.ToTime(d.CreatedAt).Before(r.since), d.RolloutState == types.DeploymentRolloutStateFailed:
		return rotation.Result{}, rotation.Failf("see who took it back", "%s runs with the deployment %s, not with one that began after %s", r.Service, aws.ToString(d.Id), stamp(r.since))
	}
	return rotation.Result{Text: r.Service + " still runs with a deployment that began after the version became the live one"}, nil
}

func (r roll) version() string {
	if r.forward {
		return "the new version"
	}
	return "the old version"
}

// progress is done when no task of another deployment is left.
func (h *handler) progress(ctx context.Context, r roll, l look, d *types.Deployment) (rotation.Result, error) {
	if d.RolloutState == types.DeploymentRolloutStateCompleted && len(l.Deployments) == 1 && d.RunningCount == d.DesiredCount {
		text := fmt.Sprintf("all %d tasks of %s run with %s, since %s (%s)", d.RunningCount, r.Service, r.version(), stamp(r.since), aws.ToString(d.Id))
		if d.DesiredCount == 0 {
			text = fmt.Sprintf("no task of %s is wanted: what is started later reads what %s", r.Service, r.later())
		}
		if r.Revision {
			text += "; task definition " + called(r.definition)
			if !r.forward {
				text += ", and the revisions that were registered stay"
			}
		}
		return rotation.Result{Text: text}, nil
	}
	h.saw(r.own)
	wait := fmt.Sprintf("%d of %d tasks of %s run with %s", d.RunningCount, d.DesiredCount, r.Service, r.version())
	if d.RunningCount == d.DesiredCount {
		wait += ", and ECS says the rollout goes on"
	}
	if d.FailedTasks > 0 {
		wait += fmt.Sprintf("; %d could not be started%s", d.FailedTasks, h.reasons(ctx, r))
		if l.breaker() == rollsBack {
			wait += "; " + rereads(r)
		}
	}
	if !r.forward && l.now.Sub(aws.ToTime(d.CreatedAt)) > time.Duration(r.Deadline()) { // there is no other deadline on the way back
		return rotation.Result{}, rotation.Failf("see why its tasks don't start; ECS goes on trying, and so does the rotation", "after %s %s", r.Deadline(), wait)
	}
	return rotation.Result{Wait: wait, Again: every}, nil
}

// rereads warns of what a circuit breaker does by itself.
func rereads(r roll) string {
	live := "the new one, until it is taken back"
	switch {
	case r.Revision:
		return "its circuit breaker may start tasks of the former task definition by itself, and they read the version that it pins"
	case !r.forward:
		live = "the old one"
	}
	return "its circuit breaker may start tasks of the former deployment by itself, and they read what is live then: " + live
}

// failed is a rollout that ECS gave up. On the way back a later process, or this one asked again, begins another.
func (h *handler) failed(ctx context.Context, r roll, l look, ours *types.Deployment) (rotation.Result, error) {
	if !r.forward && !h.forget(r.own) {
		return h.intend(ctx, r, l)
	}
	why := "ECS went back to a deployment from before"
	if ours != nil && ours.RolloutState == types.DeploymentRolloutStateFailed {
		why = cloud.Line(aws.ToString(ours.RolloutStateReason))
	}
	msg := fmt.Sprintf("%s did not take up %s: %s%s", r.Service, r.version(), strings.TrimSuffix(why, "."), h.reasons(ctx, r))
	if l.breaker() == rollsBack {
		msg += "; " + rereads(r)
	}
	return rotation.Result{}, rotation.Failf("see why its tasks stopped (aws ecs describe-tasks), and whether they can read the secret and its KMS key", "%s", msg)
}

// replaced is somebody else's deployment, of a task definition that nobody looked at.
func (r roll) replaced(d *types.Deployment) error {
	return rotation.Failf("see what that deployment is for; begin again when it is complete",
		"somebody else deployed %s of %s (%s) while it was to take up the new version with %s", called(aws.ToString(d.TaskDefinition)), r.Service, aws.ToString(d.Id), called(r.definition))
}

// reasons are why tasks of the step's deployment stopped. They only explain: that they can't be read changes nothing.
func (h *handler) reasons(ctx context.Context, r roll) string {
	all, err := h.tasks(ctx, r.Shape, types.DesiredStatusStopped)
	if err != nil {
		return " (why can't be read now)"
	}
	var why []string
	for _, t := range all {
		reason := cloud.Line(aws.ToString(t.StoppedReason))
		if aws.ToString(t.StartedBy) == r.own && t.StopCode != types.TaskStopCodeServiceSchedulerInitiated && reason != "" && !slices.Contains(why, reason) && len(why) < 2 {
			why = append(why, reason)
		}
	}
	if len(why) == 0 {
		return ""
	}
	return " (" + strings.Join(why, "; ") + ")"
}
