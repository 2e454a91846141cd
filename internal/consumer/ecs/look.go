package ecs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
)

// The keys of what is recorded.
const (
	factService    = "service"         // ARN
	factDefinition = "task_definition" // ARN
	factDeployment = "deployment"      // ID: of preflight the one before, of deploy and back the one that is theirs
	factBreaker    = "circuit_breaker" // on, on with rollback, off
	factDesired    = "desired"         // how many tasks
	factAsked      = "asked"           // when UpdateService was about to be called, by AWS's clock
	factBefore     = "before"          // IDs of the deployments there were then
	factBase       = "base"            // ARN of the task definition that the revision is made of
	factRevision   = "revision"        // ARN of that; "" while it isn't there
	factSince      = "since"           // when the first deployment of the step began, by AWS's clock
)

// rollsBack is factBreaker of a service whose circuit breaker starts the former deployment again by itself.
const rollsBack = "on with rollback"

// New makes the handler for one environment.
func New(d consumer.Deps) rotation.Handler {
	h := &handler{ecs: d.ECS, unspent: map[string]bool{}, watched: map[string]bool{}}
	return rotation.Handler{consumer.Preflight: h.preflight, consumer.Deploy: h.deploy, consumer.Adopted: h.adopted, consumer.Back: h.back}
}

type handler struct {
	ecs *ecs.Client

	mu      sync.Mutex
	unspent map[string]bool // intents to call that this process recorded, and hasn't used
	watched map[string]bool // deployments that this process saw under way
}

// look is one DescribeServices.
type look struct {
	types.Service
	now  time.Time // by AWS's clock
	gone string    // "" or why nothing of the service runs any more
}

func (h *handler) look(ctx context.Context, p Shape) (look, error) {
	out, err := h.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &p.Cluster, Services: []string{p.Service}})
	if err != nil {
		return look{}, cloud.Judge(err, "look at the service "+p.Service)
	}
	now, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	switch {
	case !ok || now.IsZero():
		return look{}, errors.New("the answer of Amazon ECS has no date")
	case len(out.Services) == 1:
		l := look{Service: out.Services[0], now: now.UTC()}
		if aws.ToString(l.Status) == "INACTIVE" && l.RunningCount+l.PendingCount == 0 {
			l.gone = "it is deleted"
		}
		return l, nil
	case len(out.Failures) == 1 && aws.ToString(out.Failures[0].Reason) == "MISSING":
		return look{now: now.UTC(), gone: "there is none in " + called(p.Cluster)}, nil
	case len(out.Failures) == 1:
		return look{}, fmt.Errorf("look at the service %s: ECS answered %s", p.Service, cloud.Line(aws.ToString(out.Failures[0].Reason)))
	}
	return look{}, fmt.Errorf("look at the service %s: the answer holds %d services", p.Service, len(out.Services))
}

// primary is the deployment that tasks are started for; nil when the answer shows none.
func (l look) primary() *types.Deployment {
	for i := range l.Deployments {
		if aws.ToString(l.Deployments[i].Status) == "PRIMARY" {
			return &l.Deployments[i]
		}
	}
	return nil
}

func (l look) find(id string) *types.Deployment {
	i := slices.IndexFunc(l.Deployments, func(d types.Deployment) bool { return aws.ToString(d.Id) == id })
	if i < 0 {
		return nil
	}
	return &l.Deployments[i]
}

// ids are those of all deployments, in an order of their own.
func (l look) ids() string {
	var ids []string
	for _, d := range l.Deployments {
		ids = append(ids, aws.ToString(d.Id))
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// steady says whether no rollout is under way, and what is when one is.
func (l look) steady() (string, bool) {
	p := l.primary()
	switch {
	case p == nil:
		return "shows no deployment", false
	case p.RolloutState == types.DeploymentRolloutStateFailed:
		return "has a deployment that failed", false
	case p.RolloutState != types.DeploymentRolloutStateCompleted, len(l.Deployments) > 1:
		return fmt.Sprintf("is being deployed by somebody else (%s): %d of %d tasks run", called(aws.ToString(p.TaskDefinition)), p.RunningCount, p.DesiredCount), false
	}
	return "", true
}

func (l look) breaker() string {
	c := l.DeploymentConfiguration
	switch {
	case c == nil || c.DeploymentCircuitBreaker == nil || !c.DeploymentCircuitBreaker.Enable:
		return "off"
	case c.DeploymentCircuitBreaker.Rollback:
		return rollsBack
	}
	return "on"
}

// called is the end of an ARN: "web:7" of a task definition, "shop" of a cluster.
func called(arn string) string { return cloud.Line(arn[strings.LastIndexByte(arn, '/')+1:]) }

// tasks are those of a service with that desired status.
func (h *handler) tasks(ctx context.Context, p Shape, status types.DesiredStatus) (all []types.Task, err error) {
	pages := ecs.NewListTasksPaginator(h.ecs, &ecs.ListTasksInput{Cluster: &p.Cluster, ServiceName: &p.Service, DesiredStatus: status})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Judge(err, "list the tasks of "+p.Service)
		}
		if len(page.TaskArns) == 0 {
			continue
		}
		out, err := h.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &p.Cluster, Tasks: page.TaskArns})
		if err != nil {
			return nil, cloud.Judge(err, "look at the tasks of "+p.Service)
		}
		for _, f := range out.Failures {
			if reason := aws.ToString(f.Reason); reason != "MISSING" { // that one ended in between
				return nil, fmt.Errorf("look at the tasks of %s: ECS answered %s", p.Service, cloud.Line(reason))
			}
		}
		all = append(all, out.Tasks...)
	}
	return all, nil
}

func stamp(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05 UTC") }
