package ecs

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// preflight refuses a service that couldn't take a new version up, and records what it is now.
func (h *handler) preflight(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var p Shape
	if err := s.Into(&p); err != nil {
		return rotation.Result{}, err
	}
	l, err := h.look(ctx, p)
	if err != nil {
		return rotation.Result{}, err
	}
	if err := deployed(p, l); err != nil {
		return rotation.Result{}, err
	}
	d := l.primary()
	if d != nil && d.RolloutState == types.DeploymentRolloutStateFailed {
		return rotation.Result{}, rotation.Failf("deploy it until it is healthy: a rollout that fails anyway would take the rotation back",
			"the last deployment of %s failed: %s", p.Service, cloud.Line(aws.ToString(d.RolloutStateReason)))
	}
	if under, ok := l.steady(); !ok {
		return rotation.Result{Wait: p.Service + " " + under, Again: rotation.Later}, nil
	}
	if l.RunningCount != l.DesiredCount {
		return rotation.Result{Wait: fmt.Sprintf("all tasks of %s to run: %d of %d do", p.Service, l.RunningCount, l.DesiredCount), Again: rotation.Later}, nil
	}
	uses, err := h.examine(ctx, p, aws.ToString(l.TaskDefinition), past)
	if err != nil {
		return rotation.Result{}, err
	}
	text := fmt.Sprintf("%d of %d tasks of %s run; %s", l.RunningCount, l.DesiredCount, p.Service, uses)
	if l.DesiredCount == 0 {
		text = fmt.Sprintf("no task of %s is wanted (desired count 0): nothing is restarted, and what is started later reads what %s; %s", p.Service, p.later(), uses)
	}
	switch l.breaker() {
	case "off":
		text += "; no circuit breaker: a rollout that goes wrong is given up after " + p.Deadline().String()
	case "on":
		text += "; circuit breaker on"
	default:
		text += "; circuit breaker on, and starts the former deployment again by itself"
	}
	return rotation.Result{Text: text, Facts: map[string]string{factService: aws.ToString(l.ServiceArn), factDefinition: aws.ToString(l.TaskDefinition),
		factDeployment: aws.ToString(d.Id), factBreaker: l.breaker(), factDesired: strconv.Itoa(int(l.DesiredCount))}}, nil
}

// later is what tasks read that are started after the step.
func (s *Shape) later() string {
	if s.Revision {
		return "its task definition pins"
	}
	return "is live then"
}

// deployed refuses what UpdateService wouldn't roll over as it should.
func deployed(p Shape, l look) error {
	switch {
	case l.gone != "":
		return rotation.Failf("check cluster, service, region and account, or take it out of the registry's consumers", "no service %s: %s", p.Service, l.gone)
	case aws.ToString(l.Status) != "ACTIVE":
		return rotation.Failf("take it out of the registry's consumers when it is to go", "the service %s is %s, not ACTIVE", p.Service, cloud.Line(aws.ToString(l.Status)))
	case l.DeploymentController != nil && l.DeploymentController.Type != "" && l.DeploymentController.Type != types.DeploymentControllerTypeEcs:
		return rotation.Failf("take it out of the registry's consumers, and have its deployment restart it during the retention",
			"%s is deployed by %s, not by ECS: this consumer can't restart it", p.Service, cloud.Line(string(l.DeploymentController.Type)))
	case l.DeploymentConfiguration != nil && l.DeploymentConfiguration.Strategy != "" && l.DeploymentConfiguration.Strategy != types.DeploymentStrategyRolling:
		return rotation.Failf("take it out of the registry's consumers, and have its deployment restart it during the retention",
			"%s is deployed with the strategy %s: this consumer knows rolling updates only", p.Service, cloud.Line(string(l.DeploymentConfiguration.Strategy)))
	}
	return nil
}
