package ecs

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// An operation answers with the lock held.
type operation func(*Service, *wire.Request) (any, error)

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string {
	var l []string
	for name := range operations() {
		l = append(l, name)
	}
	slices.Sort(l)
	return l
}

func operations() map[string]operation {
	return map[string]operation{
		"DescribeServices": (*Service).describeServices, "DescribeTaskDefinition": (*Service).describeTaskDefinition,
		"UpdateService": (*Service).updateService, "ListTasks": (*Service).listTasks, "DescribeTasks": (*Service).describeTasks,
		"ListClusters": (*Service).listClusters, "ListServices": (*Service).listServices,
		"RegisterTaskDefinition": (*Service).registerTaskDefinition, "ListTaskDefinitions": (*Service).listTaskDefinitions,
	}
}

// Target is what the caller names: the service, the cluster, the task definition or its family.
func Target(r *wire.Request) string {
	var in struct {
		Cluster, Service, ServiceName, TaskDefinition, Family, FamilyPrefix string
		Services                                                            []string
	}
	if json.Unmarshal(r.Body, &in) != nil {
		return ""
	}
	for _, name := range append(in.Services, in.Service, in.ServiceName) {
		if name != "" {
			return short(in.Cluster) + "/" + short(name)
		}
	}
	if in.Cluster != "" {
		return short(in.Cluster)
	}
	return in.TaskDefinition + in.Family + in.FamilyPrefix // one of them
}

// Serve answers one request: a value to write as JSON, or a *wire.Error.
func (s *Service) Serve(r *wire.Request) (any, error) {
	op, ok := operations()[r.Operation]
	if !ok {
		return nil, wire.Refuse("UnknownOperationException", "the sandbox doesn't serve %s", r.Operation)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return op(s, r)
}

// updateService begins a deployment when it is forced, or when the task definition changes.
func (s *Service) updateService(r *wire.Request) (any, error) {
	var members map[string]json.RawMessage
	var in struct {
		Cluster, Service, TaskDefinition string
		ForceNewDeployment               bool
		DesiredCount                     *int
	}
	if err := r.Into(&members); err != nil {
		return nil, err
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	for name := range members {
		if !slices.Contains([]string{"cluster", "service", "taskDefinition", "forceNewDeployment", "desiredCount"}, name) {
			return nil, wire.Refuse("InvalidParameterException", "the sandbox doesn't serve UpdateService with %s", name)
		}
	}
	v, err := s.open(r, in.Cluster, in.Service)
	switch {
	case err != nil:
		return nil, err
	case v.status != "ACTIVE":
		return nil, wire.Refuse("ServiceNotActiveException", "Service was not ACTIVE.")
	case v.Controller != "ECS" && in.ForceNewDeployment:
		return nil, wire.Refuse("InvalidParameterException", "Unable to force a new deployment on services with a %s deployment controller. Use AWS CodeDeploy to trigger a deployment.", v.Controller)
	}
	definition := v.TaskDefinition
	if in.TaskDefinition != "" {
		d := s.defined(r.Place, in.TaskDefinition)
		if d == nil {
			return nil, wire.Refuse("ClientException", "TaskDefinition not found.")
		}
		if d.inactive {
			return nil, wire.Refuse("ClientException", "TaskDefinition is inactive")
		}
		definition = d.arn
	}
	if in.DesiredCount != nil {
		v.scale(*in.DesiredCount, r.At)
	}
	if in.ForceNewDeployment || definition != v.TaskDefinition {
		s.deploy(v, definition, r.At)
	}
	return struct {
		Service shown `json:"service"`
	}{s.show(v, r.At)}, nil
}

// open is the service that the caller names, as it is now, and may act on.
func (s *Service) open(r *wire.Request, cluster, name string) (*service, error) {
	if name == "" {
		return nil, wire.Refuse("InvalidParameterException", "Service cannot be empty.")
	}
	if cluster == "" {
		cluster = "default"
	}
	if err := r.May("ecs:"+r.Operation, arnOf(r.Place, "service/"+short(cluster)+"/"+short(name))); err != nil {
		return nil, err
	}
	c, err := s.cluster(r.Place, cluster)
	if err != nil {
		return nil, err
	}
	v := c[short(name)]
	if v == nil {
		return nil, wire.Refuse("ServiceNotFoundException", "Service not found.")
	}
	s.settle(v, r.At)
	return v, nil
}

func (v *service) scale(desired int, now time.Time) {
	v.Desired, v.deployments[0].desired = desired, desired
	for _, t := range v.tasks {
		if v.count(func(t *task) bool { return !t.over(now) }) <= desired {
			return
		}
		if !t.over(now) {
			t.stopped, t.reason = now, "Scaling activity initiated by deployment "+v.deployments[0].id
		}
	}
}
