package ecs

import (
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// deploy begins a deployment, which takes the PRIMARY's place. Tasks that aren't up by then never will be.
func (s *Service) deploy(v *service, definition string, at time.Time) *deployment {
	d := &deployment{id: "ecs-svc/" + s.random.Text(19, "123456789"), definition: definition, created: at, next: at.Add(s.pace.Each), desired: v.Desired, state: InProgress}
	d.reason = "ECS deployment " + d.id + " in progress."
	v.begun++
	if f := v.fault; f != nil {
		d.fault = *f
		if f.Deployments--; f.Deployments == 0 {
			v.fault = nil
		}
	}
	for _, before := range v.deployments {
		before.desired = 0
	}
	for _, t := range v.tasks {
		if t.started.IsZero() && (t.stopped.IsZero() || t.stopped.After(at)) {
			t.stopped, t.reason = at, "Scaling activity initiated by (deployment "+d.id+")"
		}
	}
	v.TaskDefinition, v.deployments = definition, append([]*deployment{d}, v.deployments...)
	return d
}

// settle lets a service's rollout go on until now.
func (s *Service) settle(v *service, now time.Time) {
	for v.deployments[0].state == InProgress {
		d := v.deployments[0]
		for !now.Before(d.next) && !s.broken(v, d, d.next) && v.alive(d, d.next) < d.desired {
			s.start(v, d, d.next)
			d.next = d.next.Add(s.pace.Each)
		}
		if s.broken(v, d, now) {
			if !s.giveUp(v, d) {
				return
			}
			continue
		}
		if now.Before(d.created.Add(s.pace.Each)) || v.running(d, now) < d.desired || v.others(d, now) {
			return
		}
		d.state, d.reason = Completed, "ECS deployment "+d.id+" completed."
		v.good, v.deployments = d.definition, []*deployment{d}
	}
}

// start creates one task of a deployment. It reads its secrets here, and never again.
func (s *Service) start(v *service, d *deployment, at time.Time) {
	t := &task{id: s.random.Text(32, wire.Hex), deployment: d.id, definition: d.definition, created: at, versions: map[string]string{}}
	v.tasks = append(v.tasks, t)
	d.began++
	err := s.pull(v.place, t, at)
	bad := d.began > d.fault.Good && (d.fault.Hang || d.fault.Stopped != "")
	switch {
	case err != nil:
		t.stopped, t.reason = at.Add(s.pace.Starts), "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: "+err.Error()+"."
	case bad && d.fault.Hang:
	case bad:
		t.stopped, t.reason = at.Add(s.pace.Starts), d.fault.Stopped
	default:
		t.started = at.Add(s.pace.Starts)
		if i := slices.IndexFunc(v.tasks, func(o *task) bool { return o.deployment != d.id && o.stopped.IsZero() }); i >= 0 {
			v.tasks[i].stopped, v.tasks[i].reason = t.started.Add(s.pace.Drains), "Scaling activity initiated by (deployment "+d.id+")"
		}
	}
}

func (s *Service) pull(p wire.Place, t *task, at time.Time) error {
	for _, from := range s.defs[t.definition].from {
		parts := strings.Split(from, ":")
		var stage, version string
		if len(parts) == 10 {
			from, stage, version = strings.Join(parts[:7], ":"), parts[8], parts[9]
		}
		id, err := s.read(p, from, stage, version, at)
		if err != nil {
			return err
		}
		t.versions[strings.Join(parts, ":")] = id
	}
	return nil
}

// broken says whether a circuit breaker has seen enough.
func (s *Service) broken(v *service, d *deployment, now time.Time) bool {
	return v.Breaker && v.failed(d, now) >= enough
}

// giveUp makes a deployment FAILED, and says whether another one begins for it.
func (s *Service) giveUp(v *service, d *deployment) bool {
	var stops []time.Time
	for _, t := range v.tasks {
		if t.deployment == d.id && t.started.IsZero() && !t.stopped.IsZero() {
			stops = append(stops, t.stopped)
		}
	}
	slices.SortFunc(stops, time.Time.Compare)
	at := stops[enough-1]
	d.state, d.reason = Failed, "ECS deployment circuit breaker: tasks failed to start."
	if !v.Rollback || d.rollback || v.good == "" {
		return false
	}
	if v.Revives {
		v.revive(d, at)
		return true
	}
	r := s.deploy(v, v.good, at)
	r.rollback, r.reason = true, "ECS deployment circuit breaker: rolling back to deploymentId "+r.id+"."
	return true
}

// revive makes the oldest deployment the PRIMARY again: the tasks it still has stay, the others are started anew.
func (v *service) revive(d *deployment, at time.Time) {
	n := len(v.deployments) - 1
	r := v.deployments[n]
	d.desired = 0
	for _, t := range v.tasks {
		if t.deployment == d.id && !t.over(at) {
			t.stopped, t.reason = at, "Scaling activity initiated by (deployment "+r.id+")"
		}
	}
	r.state, r.rollback, r.next, r.desired, r.fault = InProgress, true, at, v.Desired, Fault{}
	r.reason = "ECS deployment circuit breaker: rolling back to deploymentId " + r.id + "."
	v.deployments = append([]*deployment{r}, v.deployments[:n]...)
}

func (v *service) count(f func(*task) bool) (n int) {
	for _, t := range v.tasks {
		if f(t) {
			n++
		}
	}
	return n
}

func (v *service) alive(d *deployment, now time.Time) int {
	return v.count(func(t *task) bool { return t.deployment == d.id && !t.over(now) })
}

func (v *service) running(d *deployment, now time.Time) int {
	return v.count(func(t *task) bool { return t.deployment == d.id && t.runs(now) })
}

func (v *service) failed(d *deployment, now time.Time) int {
	return v.count(func(t *task) bool {
		return t.deployment == d.id && t.started.IsZero() && t.over(now) && !t.replaced()
	})
}

// others says whether tasks of other deployments still run.
func (v *service) others(d *deployment, now time.Time) bool {
	return v.count(func(t *task) bool { return t.deployment != d.id && !t.over(now) }) > 0
}

// replaced says whether a task was stopped because another deployment took its place.
func (t *task) replaced() bool { return strings.HasPrefix(t.reason, "Scaling ") }
