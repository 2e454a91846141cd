// Package ecs is the consumer that is an Amazon ECS service. A task reads its secrets once, when it starts, so that taking
// up a new version is a new deployment of the same task definition, watched until no other task runs. Where that pins the
// version, it is one of a new revision that differs in just that (revise.go).
//
// UpdateService takes no token: that it is about to be called is on record before it leaves, with the deployments there
// are, and a call without an answer is looked for among those that weren't there before it is made again. It must never
// change anything of a service but that: no other task definition, no count, no task is stopped.
package ecs

import (
	"regexp"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// Defaults and bounds of a Shape.
const (
	DefaultWithin = rotation.Duration(20 * time.Minute)
	LeastWithin   = rotation.Duration(time.Minute)
	MostWithin    = rotation.Duration(2 * time.Hour)
)

// Consumer is this consumer's line in the table.
func Consumer() consumer.Consumer {
	return consumer.Consumer{Name: "ecs", Shape: func() consumer.Shape { return new(Shape) }, New: New, Find: Find}
}

// A Shape says which ECS service runs with the secret.
type Shape struct {
	// Cluster that the service is in: its name or ARN, in the environment's account and region.
	Cluster string `json:"cluster" yaml:"cluster" rekey:"required" jsonschema:"required"`
	// Service is the name of the service. It must be deployed by ECS itself, as a rolling update.
	Service string `json:"service" yaml:"service" rekey:"required" jsonschema:"required"`
	// Revision is for a task definition that pins the version: a copy of it that pins the new one is registered and
	// deployed. Default: false, and one that pins a version is refused.
	Revision bool `json:"revision,omitempty" yaml:"revision"`
	// Within is how long a rollout may take until every task runs with the new version, at least 1m and at most 2h. Default: 20m.
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
}

// Deadline is Within or its default.
func (s *Shape) Deadline() rotation.Duration {
	if s.Within == 0 {
		return DefaultWithin
	}
	return s.Within
}

// Shared is the service; but each secret that is pinned needs a revision of its own.
func (s *Shape) Shared() string {
	if s.Revision {
		return ""
	}
	return called(s.Cluster) + "/" + s.Service
}

var (
	name       = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	clusterARN = regexp.MustCompile(`^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]{1,255}$`)
)

// Check reports what can't be right whatever there is in AWS.
func (s *Shape) Check(r *problem.Report) {
	switch {
	case !r.Has("cluster"):
	case s.Cluster == "":
		r.Add("cluster", "cluster", "write its name, such as shop, or its ARN", "cluster is empty")
	case !name.MatchString(s.Cluster) && !clusterARN.MatchString(s.Cluster):
		r.Add("cluster", "cluster", "write its name, such as shop, or arn:aws:ecs:REGION:ACCOUNT:cluster/NAME", "%s is neither the name nor the ARN of a cluster", problem.Quote(s.Cluster))
	}
	switch {
	case !r.Has("service"):
	case s.Service == "":
		r.Add("service", "service", "write its name, such as web", "service is empty")
	case !name.MatchString(s.Service):
		r.Add("service", "service", "write its name alone, such as web: letters, digits, - and _", "%s is no name of a service", problem.Quote(s.Service))
	}
	switch {
	case s.Within > MostWithin:
		r.Add("within", "out-of-range", "give it at most 2h", "within is longer than two hours")
	case s.Within != 0 && s.Within < LeastWithin:
		r.Add("within", "out-of-range", "leave it out for 20m", "within is shorter than a minute: no rollout is that fast")
	}
}
