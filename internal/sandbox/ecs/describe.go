package ecs

import (
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

type failure struct {
	ARN    string `json:"arn"`
	Reason string `json:"reason"`
}

type shown struct {
	ARN            string `json:"serviceArn"`
	Name           string `json:"serviceName"`
	Cluster        string `json:"clusterArn"`
	Status         string `json:"status"`
	Desired        int    `json:"desiredCount"`
	Running        int    `json:"runningCount"`
	Pending        int    `json:"pendingCount"`
	TaskDefinition string `json:"taskDefinition"`
	Scheduling     string `json:"schedulingStrategy"`
	Controller     struct {
		Type string `json:"type"`
	} `json:"deploymentController"`
	Configuration struct {
		Breaker struct {
			Enable   bool `json:"enable"`
			Rollback bool `json:"rollback"`
		} `json:"deploymentCircuitBreaker"`
		Strategy string `json:"strategy"`
	} `json:"deploymentConfiguration"`
	Deployments []shownDeployment `json:"deployments"`
	Created     wire.Epoch        `json:"createdAt"`
}

type shownDeployment struct {
	ID             string     `json:"id"`
	Status         string     `json:"status"`
	TaskDefinition string     `json:"taskDefinition"`
	Desired        int        `json:"desiredCount"`
	Running        int        `json:"runningCount"`
	Pending        int        `json:"pendingCount"`
	Failed         int        `json:"failedTasks"`
	Created        wire.Epoch `json:"createdAt"`
	State          string     `json:"rolloutState,omitempty"`
	Reason         string     `json:"rolloutStateReason,omitempty"`
}

func (s *Service) describeServices(r *wire.Request) (any, error) {
	var in struct {
		Cluster  string
		Services []string
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if n := len(in.Services); n == 0 || n > 10 {
		return nil, wire.Refuse("InvalidParameterException", "Services must have between 1 and 10 elements.")
	}
	var out struct {
		Services []shown   `json:"services"`
		Failures []failure `json:"failures"`
	}
	out.Services, out.Failures = []shown{}, []failure{}
	for _, name := range in.Services {
		v, err := s.open(r, in.Cluster, name)
		if e, ok := err.(*wire.Error); ok && e.Code == "ServiceNotFoundException" {
			cluster := short(in.Cluster)
			if cluster == "" {
				cluster = "default"
			}
			out.Failures = append(out.Failures, failure{arnOf(r.Place, "service/"+cluster+"/"+short(name)), "MISSING"})
			continue
		}
		if err != nil {
			return nil, err
		}
		out.Services = append(out.Services, s.show(v, r.At))
	}
	return out, nil
}

func (s *Service) show(v *service, now time.Time) shown {
	out := shown{ARN: v.arn(), Name: v.Name, Cluster: v.clusterARN(), Status: v.status, Desired: v.Desired, TaskDefinition: v.TaskDefinition,
		Scheduling: "REPLICA", Created: wire.Epoch(v.created), Deployments: []shownDeployment{}}
	out.Controller.Type, out.Configuration.Strategy = v.Controller, v.Strategy
	out.Configuration.Breaker.Enable, out.Configuration.Breaker.Rollback = v.Breaker, v.Rollback
	for i, d := range v.deployments {
		sd := shownDeployment{ID: d.id, Status: "ACTIVE", TaskDefinition: d.definition, Desired: d.desired, Running: v.running(d, now), Failed: v.failed(d, now),
			Created: wire.Epoch(d.created)}
		sd.Pending = v.alive(d, now) - sd.Running
		if i == 0 {
			sd.Status = "PRIMARY"
		}
		if v.Controller == "ECS" {
			sd.State, sd.Reason = d.state, d.reason
		}
		out.Running, out.Pending, out.Deployments = out.Running+sd.Running, out.Pending+sd.Pending, append(out.Deployments, sd)
	}
	return out
}
