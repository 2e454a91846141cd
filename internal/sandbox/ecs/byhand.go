package ecs

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// A Definition is a task definition as a person registers it.
type Definition struct {
	Family     string
	Containers []Container
}

// A Container is one of a task's, with the secrets that it is given.
type Container struct {
	Name        string
	Secrets     []Secret
	LogSecrets  []Secret // logConfiguration.secretOptions
	Repository  string   // repositoryCredentials.credentialsParameter
	Environment []Variable
}

// A Secret is where the value of a variable comes from.
type Secret struct {
	Name      string `json:"name"`
	ValueFrom string `json:"valueFrom"`
}

// A Variable is one whose value stands in the task definition.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Spec is a service as a person makes it.
type Spec struct {
	Cluster, Name     string
	TaskDefinition    string // ARN, or family:revision
	Desired           int
	Breaker, Rollback bool   // the deployment circuit breaker
	Revives           bool   // it rolls back to the former deployment itself, instead of to a new one like it
	Controller        string // default ECS
	Strategy          string // default ROLLING
}

// A Fault is what befalls the tasks of coming deployments, after the first Good ones of each.
type Fault struct {
	Good        int
	Hang        bool   // they never run
	Stopped     string // they stop at once, with this reason
	Deployments int    // how many deployments it befalls; 0: all
}

// A Task is one that isn't stopped, as a person with every right would see it.
type Task struct {
	ID, Deployment string
	Created        time.Time
	Running        bool
	Versions       map[string]string // the version that it runs with, by the valueFrom that it was read by
}

// RegisterByHand makes another revision of a task definition's family.
func (s *Service) RegisterByHand(p wire.Place, d Definition) (arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []container
	for _, c := range d.Containers {
		made := container{Name: c.Name, Image: "shop/" + c.Name + ":1", Memory: 128, Secrets: c.Secrets, Variables: c.Environment}
		if len(c.LogSecrets) > 0 {
			made.Logs = &logs{"splunk", c.LogSecrets}
		}
		if c.Repository != "" {
			made.Repository = &credentials{c.Repository}
		}
		all = append(all, made)
	}
	family, _ := json.Marshal(d.Family) // text and numbers alone
	containers, _ := json.Marshal(all)
	return s.register(p, d.Family, map[string]json.RawMessage{"family": family, "containerDefinitions": containers}, all, nil).arn
}

// DeregisterByHand makes a task definition INACTIVE: what runs with it goes on, and nothing else may take it up.
func (s *Service) DeregisterByHand(p wire.Place, ref string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.defined(p, ref); d != nil {
		d.inactive = true
	}
}

// Revisions is how many of a family were ever registered.
func (s *Service) Revisions(p wire.Place, family string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest[p][family]
}

// MakeByHand makes a service, and its cluster where there is none, with its first deployment complete.
func (s *Service) MakeByHand(p wire.Place, spec Spec, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.defined(p, spec.TaskDefinition)
	if d == nil {
		return fmt.Errorf("make the service %q by hand: no task definition %q", spec.Name, spec.TaskDefinition)
	}
	if spec.Controller == "" {
		spec.Controller = "ECS"
	}
	if spec.Strategy == "" {
		spec.Strategy = "ROLLING"
	}
	v := &service{Spec: spec, place: p, status: "ACTIVE", created: now, good: d.arn}
	first := s.deploy(v, d.arn, now)
	for range spec.Desired {
		s.start(v, first, now)
	}
	for _, t := range v.tasks {
		if t.started.IsZero() {
			return fmt.Errorf("make the service %q by hand: %s", spec.Name, t.reason)
		}
		t.started = now
	}
	first.state, first.reason = Completed, "ECS deployment "+first.id+" completed."
	if s.clusters[p] == nil {
		s.clusters[p] = map[string]map[string]*service{}
	}
	if s.clusters[p][spec.Cluster] == nil {
		s.clusters[p][spec.Cluster] = map[string]*service{}
	}
	s.clusters[p][spec.Cluster][spec.Name] = v
	return nil
}

// RunByHand starts a task of no service, as RunTask or a schedule does, in a cluster that is made where there is none.
func (s *Service) RunByHand(p wire.Place, cluster, definition string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.defined(p, definition)
	if d == nil {
		return fmt.Errorf("run a task by hand: no task definition %q", definition)
	}
	if s.clusters[p] == nil {
		s.clusters[p] = map[string]map[string]*service{}
	}
	if s.clusters[p][cluster] == nil {
		s.clusters[p][cluster] = map[string]*service{}
	}
	if s.alone[p] == nil {
		s.alone[p] = map[string][]*task{}
	}
	t := &task{id: s.random.Text(32, wire.Hex), definition: d.arn, created: now, started: now, versions: map[string]string{}}
	if err := s.pull(p, t, now); err != nil {
		return fmt.Errorf("run a task by hand: %w", err)
	}
	s.alone[p][cluster] = append(s.alone[p][cluster], t)
	return nil
}

// edit does something to a service as it is now.
func (s *Service) edit(p wire.Place, cluster, name string, now time.Time, f func(*service)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.clusters[p][cluster][name]; v != nil {
		s.settle(v, now)
		f(v)
	}
}

// SetByHand changes a service without a deployment: its breaker, controller or strategy.
func (s *Service) SetByHand(p wire.Place, cluster, name string, now time.Time, change func(*Spec)) {
	s.edit(p, cluster, name, now, func(v *service) {
		change(&v.Spec)
		v.scale(v.Desired, now)
	})
}

// DeployByHand is somebody else's deployment; definition "" forces one of the same task definition.
func (s *Service) DeployByHand(p wire.Place, cluster, name, definition string, now time.Time) (id string) {
	s.edit(p, cluster, name, now, func(v *service) {
		if d := s.defined(p, definition); d != nil {
			definition = d.arn
		} else {
			definition = v.TaskDefinition
		}
		id = s.deploy(v, definition, now).id
	})
	return id
}

// Break has coming deployments go wrong; the zero Fault ends that.
func (s *Service) Break(p wire.Place, cluster, name string, f Fault, now time.Time) {
	s.edit(p, cluster, name, now, func(v *service) {
		v.fault = &f
		if f == (Fault{}) {
			v.fault = nil
		}
	})
}

// Replace stops the oldest task; ECS starts another one of the PRIMARY deployment at once.
func (s *Service) Replace(p wire.Place, cluster, name string, now time.Time) {
	s.edit(p, cluster, name, now, func(v *service) {
		for _, t := range v.tasks {
			if t.runs(now) {
				t.stopped, t.reason = now, "Task failed ELB health checks"
				break
			}
		}
		d := v.deployments[0]
		n := len(v.tasks)
		s.start(v, d, now)
		v.tasks[n].started = now
	})
}

// Remove deletes a service: it is INACTIVE for a while, or forgotten at once.
func (s *Service) Remove(p wire.Place, cluster, name string, forget bool, now time.Time) {
	s.edit(p, cluster, name, now, func(v *service) {
		v.scale(0, now)
		if v.status = "INACTIVE"; forget {
			delete(s.clusters[p][cluster], name)
		}
	})
}

// Begun is how many deployments a service has had, its first included.
func (s *Service) Begun(p wire.Place, cluster, name string, now time.Time) (n int) {
	s.edit(p, cluster, name, now, func(v *service) { n = v.begun })
	return n
}

// Tasks are those of a service that aren't stopped, oldest first. Looking isn't seen.
func (s *Service) Tasks(p wire.Place, cluster, name string, now time.Time) (l []Task) {
	s.edit(p, cluster, name, now, func(v *service) {
		for _, t := range v.tasks {
			if !t.over(now) {
				l = append(l, Task{t.id, t.deployment, t.created, t.runs(now), maps.Clone(t.versions)})
			}
		}
	})
	return l
}
