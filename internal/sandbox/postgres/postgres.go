// Package postgres is a small PostgreSQL 15 inside the process: accounts with SCRAM verifiers, sessions, settings and
// memberships, over the real protocol, with TLS where it has a certificate. It understands the statements that rotating
// an account's password takes, and refuses what PostgreSQL refuses, with PostgreSQL's codes.
//
// It owns no tables: what an account may do is a list of words. It must never take a login whose proof is wrong, nor
// answer a statement it doesn't know; the kind's tests hold it to a real server.
//
// Known differences: sessions that are ended are gone at once; attributes other than those below don't exist; MD5
// passwords, and verifiers with other iterations than their own, are no concern.
package postgres

import (
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Version is what the server says it is.
const (
	Version    = "15.14 (sandbox)"
	versionNum = "150014"
)

// A Role is an account, or a group of them.
type Role struct {
	Name       string
	Password   string   // as people set it; "": nobody logs in with one
	Login      bool     //
	Super      bool     //
	CreateRole bool     //
	Of         []string // roles it is a member of; pg_signal_backend and pg_read_all_stats among them
	Rights     []string // what it may do itself, in words
	Owns       int      // objects
	Settings   []Setting
}

// A Setting is one of ALTER ROLE ... SET.
type Setting struct {
	Database    string // "" for all
	Name, Value string // as pg_db_role_setting has them
}

type role struct {
	Role
	verifier    string
	replication bool
	limit       int // of connections; -1: none
}

func (r *role) clone() *role {
	c := *r
	c.Of, c.Settings = slices.Clone(r.Of), slices.Clone(r.Settings)
	return &c
}

// Server is one server with databases that are all alike. Safe for concurrent use.
type Server struct {
	clock wire.Clock
	tls   *tls.Config

	mu        sync.Mutex
	roles     map[string]*role
	databases []string
	sessions  map[uint32]*session
	last      uint32
}

// New makes a server without accounts. Without cert it speaks no TLS.
func New(clock wire.Clock, cert *tls.Certificate, databases ...string) *Server {
	s := &Server{clock: clock, roles: map[string]*role{}, databases: databases, sessions: map[uint32]*session{}, last: 1000}
	if cert != nil {
		s.tls = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
	}
	return s
}

// Add is a person who makes an account, or changes all of it.
func (s *Server) Add(r Role) error {
	made := &role{Role: r, limit: -1}
	if r.Password != "" {
		v, err := stored(r.Password)
		if err != nil {
			return err
		}
		made.verifier, made.Password = v, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[r.Name] = made
	return nil
}

// Serve answers those who connect, until l is closed.
func (s *Server) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go s.serve(c)
	}
}

// member says whether user is role, or a member of it through others. The caller holds the lock.
func (s *Server) member(user, of string) bool {
	if user == of {
		return true
	}
	r := s.roles[user]
	return r != nil && (r.Super || slices.ContainsFunc(r.Of, func(o string) bool { return s.member(o, of) }))
}

// of are the sessions of an account, oldest first. The caller holds the lock.
func (s *Server) of(user string) (all []*session) {
	for _, pid := range slices.Sorted(maps.Keys(s.sessions)) {
		if s.sessions[pid].user == user {
			all = append(all, s.sessions[pid])
		}
	}
	return all
}

// may is all that somebody may do, in words, sorted. The caller holds the lock.
func (s *Server) may(user string) (all []string) {
	for name, r := range s.roles {
		if !s.member(user, name) {
			continue
		}
		all = append(all, r.Rights...)
		if name != user {
			all = append(all, "role "+name)
		}
	}
	for _, o := range s.roles[user].Of {
		if s.roles[o] == nil {
			all = append(all, "role "+o)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// settings are those that a new session of user begins with. The caller holds the lock.
func (s *Server) settings(user, database string) map[string]string {
	all := map[string]string{"search_path": `"$user", public`, "default_transaction_isolation": "read committed", "timezone": "Etc/UTC", "datestyle": "ISO, MDY"}
	for _, db := range []string{"", database} {
		for _, set := range s.roles[user].Settings {
			if set.Database == db {
				all[strings.ToLower(set.Name)] = set.Value
			}
		}
	}
	return all
}

func (s *Server) now() time.Time { return s.clock.Now().UTC() }
