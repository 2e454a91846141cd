// Package ecs is the part of Amazon ECS that taking up a secret needs: services with their deployments, the tasks that
// these start, and the task definitions that say which secrets a task reads. It owns which version of which secret each
// task runs with, and shows that to nobody but by hand.
//
// A task reads its secrets once, when it is created, from wherever the reader says; ECS never tells it of a later version.
// A rollout goes on with the world's clock: new tasks are created one after the other, each takes an old one's place once
// it runs, and when none is left the deployment is COMPLETED. Tasks that can't start are replaced for ever, which leaves it
// IN_PROGRESS, unless the circuit breaker is on: that makes it FAILED and, where it rolls back, starts a deployment of the
// former task definition, whose tasks read their secrets anew.
//
// The API reference doesn't say whether that is a new deployment or the former one again: Spec.Revives chooses.
//
// Known differences: the clock is looked at when somebody asks, so that a task reads what is live then; a service that is
// steady replaces a task by hand only (Replace); a circuit breaker gives up after three failed tasks, whatever the service's
// size; what the API can set of a service is forceNewDeployment, taskDefinition and desiredCount. It must never let a value in.
package ecs

import (
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// States of a deployment's rollout.
const (
	InProgress = "IN_PROGRESS"
	Completed  = "COMPLETED"
	Failed     = "FAILED"
)

// enough failed tasks make a circuit breaker give a deployment up.
const enough = 3

// kept is how long a stopped task is still shown (Amazon ECS API reference, ListTasks).
const kept = time.Hour

// A Reader finds the version that a starting task gets: of a secret's name or ARN, at a stage or of a version's ID, both
// "" for the live one. Its error is why the task can't start.
type Reader func(p wire.Place, secret, stage, version string, now time.Time) (id string, err error)

// A Pace is how rollouts go: a task is created every Each, runs Starts after that, and what it replaces is gone Drains later.
type Pace struct{ Each, Starts, Drains time.Duration }

// Service is ECS of all accounts and Regions. Safe for concurrent use.
type Service struct {
	mu       sync.Mutex
	random   *wire.Random
	read     Reader
	pace     Pace
	clusters map[wire.Place]map[string]map[string]*service // cluster, then service
	alone    map[wire.Place]map[string][]*task             // of no service, by cluster
	defs     map[string]*definition                        // by ARN
	latest   map[wire.Place]map[string]int                 // revision of each family
}

type service struct {
	Spec
	place       wire.Place
	status      string
	created     time.Time
	deployments []*deployment // the PRIMARY first
	tasks       []*task       // oldest first
	good        string        // task definition of the last completed deployment
	fault       *Fault
	begun       int // deployments so far
}

type deployment struct {
	id, definition string
	created        time.Time
	next           time.Time // when another task may be created
	desired        int
	state, reason  string
	rollback       bool // by a circuit breaker
	fault          Fault
	began          int
}

type task struct {
	id, deployment, definition string
	created, started, stopped  time.Time // zero: not yet known to happen
	reason                     string
	versions                   map[string]string // by valueFrom
}

// New is a service without a cluster. Tasks read their secrets by read.
func New(r *wire.Random, read Reader) *Service {
	return &Service{random: r, read: read, pace: Pace{10 * time.Second, 15 * time.Second, 5 * time.Second},
		clusters: map[wire.Place]map[string]map[string]*service{}, alone: map[wire.Place]map[string][]*task{}, defs: map[string]*definition{}, latest: map[wire.Place]map[string]int{}}
}

// SetPace changes how fast rollouts go.
func (s *Service) SetPace(p Pace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pace = p
}

func arnOf(p wire.Place, rest string) string {
	return "arn:aws:ecs:" + p.Region + ":" + p.Account + ":" + rest
}

func (v *service) arn() string            { return arnOf(v.place, "service/"+v.Cluster+"/"+v.Name) }
func (v *service) clusterARN() string     { return arnOf(v.place, "cluster/"+v.Cluster) }
func (v *service) taskARN(t *task) string { return arnOf(v.place, "task/"+v.Cluster+"/"+t.id) }

// short is the name at the end of an ARN, or of what is none.
func short(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

func (s *Service) cluster(p wire.Place, ref string) (map[string]*service, error) {
	if ref == "" {
		ref = "default"
	}
	c := s.clusters[p][short(ref)]
	if c == nil {
		return nil, wire.Refuse("ClusterNotFoundException", "Cluster not found.")
	}
	return c, nil
}

func (t *task) over(now time.Time) bool { return !t.stopped.IsZero() && !now.Before(t.stopped) }

func (t *task) runs(now time.Time) bool {
	return !t.over(now) && !t.started.IsZero() && !now.Before(t.started)
}
