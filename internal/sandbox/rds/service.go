// Package rds is the part of Amazon RDS that a master user's password needs: it describes instances and clusters, and
// takes another password, which comes into force a while later. It owns which password is in force, and shows it to nobody
// but by hand.
//
// A change goes as RDS's do: for a moment it isn't seen at all, then it is pending while the status still says available,
// then the status is resetting-master-credentials, and at its end the new password is in force and the old one isn't. While
// it is being reset, another change is refused; before that, the later one takes the earlier one's place.
//
// ApplyImmediately makes an instance apply whatever waits for its maintenance window, too: here an upgrade.
//
// It must never let a password out, nor serve what would change anything else of a database.
package rds

import (
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Statuses that a Service makes by itself.
const (
	Available = "available"
	Resetting = "resetting-master-credentials"
)

// A Database is an instance, or a cluster, as a person makes it.
type Database struct {
	ID       string
	Cluster  bool
	Engine   string // default postgres; aurora-postgresql of clusters
	Username string // default master
	Password string // in force
	Status   string // default Available
	Managed  string // ARN of the secret that RDS itself rotates; "" for none
	MemberOf string // the cluster that an instance belongs to
	Source   string // what a read replica copies
	Multi    bool   // multi-tenant
	Upgrade  string // an engine version that waits for the maintenance window
}

// A Pace is how long after it was taken a change is seen as pending, as a status, and in force.
type Pace struct{ Seen, Begins, InForce time.Duration }

// Service is RDS of all accounts and Regions. Safe for concurrent use.
type Service struct {
	mu     sync.Mutex
	random *wire.Random
	pace   Pace
	dbs    map[wire.Place]map[string]*database // by name: see nameOf
}

type database struct {
	Database
	place    wire.Place
	resource string
	former   []string // passwords that were in force before
	next     *change
	foreign  string // shown as pending by hand
}

type change struct {
	password string
	taken    time.Time
	since    time.Time // there is one on its way: of the first that took another's place
}

// New is a service without a database.
func New(r *wire.Random) *Service {
	return &Service{random: r, pace: Pace{3 * time.Second, 20 * time.Second, 45 * time.Second}, dbs: map[wire.Place]map[string]*database{}}
}

// SetPace changes how fast changes go.
func (s *Service) SetPace(p Pace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pace = p
}

// nameOf is "db:ID" or "cluster:ID", as in an ARN. Identifiers aren't case-sensitive.
func nameOf(cluster bool, id string) string {
	if cluster {
		return "cluster:" + strings.ToLower(id)
	}
	return "db:" + strings.ToLower(id)
}

func (d *database) arn() string {
	return arnOf(d.place, nameOf(d.Cluster, d.ID))
}

func arnOf(p wire.Place, name string) string {
	return "arn:aws:rds:" + p.Region + ":" + p.Account + ":" + name
}

// settle brings a change into force whose time has come.
func (s *Service) settle(d *database, now time.Time) {
	if d.next != nil && !now.Before(d.next.taken.Add(s.pace.InForce)) {
		d.take(d.next.password)
	}
}

func (d *database) take(password string) {
	if password != d.Password {
		d.former = append(d.former, d.Password)
	}
	d.Password, d.next = password, nil
}

// status is what the database truly is; a look may be behind.
func (s *Service) status(d *database, now time.Time) string {
	s.settle(d, now)
	if d.next != nil && d.Status == Available && !now.Before(d.next.taken.Add(s.pace.Begins)) {
		return Resetting
	}
	return d.Status
}

// pending says whether a look shows a password that isn't in force yet.
func (s *Service) pending(d *database, now time.Time) bool {
	s.settle(d, now)
	return d.foreign != "" || d.next != nil && !now.Before(d.next.since.Add(s.pace.Seen))
}
