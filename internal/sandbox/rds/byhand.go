package rds

import (
	"cmp"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// MakeByHand makes a database, or another one in the place of the one with its name.
func (s *Service) MakeByHand(p wire.Place, d Database) (arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	prefix, engine := "db-", "postgres"
	if d.Cluster {
		prefix, engine = "cluster-", "aurora-postgresql"
	}
	d.Engine, d.Username, d.Status = cmp.Or(d.Engine, engine), cmp.Or(d.Username, "master"), cmp.Or(d.Status, Available)
	if s.dbs[p] == nil {
		s.dbs[p] = map[string]*database{}
	}
	made := &database{Database: d, place: p, resource: prefix + s.random.Text(26, wire.Upper)}
	s.dbs[p][nameOf(d.Cluster, d.ID)] = made
	return made.arn()
}

// SetByHand changes what change says, at once. A password that it sets is a person's: what was on its way is dropped.
func (s *Service) SetByHand(p wire.Place, cluster bool, id string, now time.Time, change func(*Database)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dbs[p][nameOf(cluster, id)]
	if d == nil {
		return
	}
	s.settle(d, now)
	made := d.Database
	change(&made)
	if made.Password != d.Password {
		d.take(made.Password)
	}
	d.Database = made
}

// PendByHand shows a password of somebody else's as pending for ever; "" no longer.
func (s *Service) PendByHand(p wire.Place, cluster bool, id, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.dbs[p][nameOf(cluster, id)]; d != nil {
		d.foreign = password
	}
}

// A State is a database seen without being seen.
type State struct {
	Password string   // in force
	Former   []string // that were, oldest first
	Next     string   // on its way; "" for none
	Status   string
	Upgrade  string // that still waits
}

// Accepts says whether somebody could log in now.
func (s State) Accepts(password string) bool { return password != "" && password == s.Password }

// Look is the database now; the zero State when there is none.
func (s *Service) Look(p wire.Place, cluster bool, id string, now time.Time) (out State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dbs[p][nameOf(cluster, id)]
	if d == nil {
		return State{}
	}
	out.Status, out.Upgrade = s.status(d, now), d.Upgrade
	out.Password, out.Former = d.Password, slices.Clone(d.former)
	if d.next != nil {
		out.Next = d.next.password
	}
	return out
}
