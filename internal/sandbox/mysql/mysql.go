// Package mysql is a small MariaDB 10.11 inside the process: accounts with the hashes of mysql_native_password, grants,
// roles and sessions, over the real protocol, with TLS where it has a certificate. It understands the statements that
// rotating an account's password takes, and refuses what MariaDB refuses, with MariaDB's codes.
//
// It owns no tables: a grant is a line of words. It must never take a login whose proof is wrong, nor answer a statement
// it doesn't know; the kind's tests hold it to a real server.
//
// Known differences: sessions that are killed are gone at once; there is no other plugin; of an hour's limits it keeps
// the numbers alone.
package mysql

import (
	"crypto/sha1" //nolint:gosec // what the plugin stores
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Version is what the server says it is.
const Version = "10.11.14-MariaDB-sandbox"

const native = "mysql_native_password"

// An Account is one user at one host.
type Account struct {
	User, Host string // Host is an address, or % for all
	Password   string // as people set it
	Admin      bool   // may do everything, and grant it
	Require    string // "", ANY (TLS), X509
	Limits     [4]int // an hour's queries, updates and connections; connections at a time
	Grants     []Grant
	Roles      []string // that it may take on
	Role       string   // that it takes on at login
}

// A Grant is privileges on something.
type Grant struct {
	Privileges []string // SELECT, INSERT
	On         string   // `shop`.*
	Option     bool     // it may grant them
}

type account struct {
	Account
	hash   []byte // SHA1(SHA1(password))
	locked bool
	admin  []string // roles that it may grant
}

func (a *account) name() string { return quoted(a.User) + "@" + quoted(a.Host) }
func quoted(s string) string    { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
func unquoted(s string) string  { return strings.ReplaceAll(strings.Trim(s, "`"), "``", "`") }

// Server is one server. Safe for concurrent use.
type Server struct {
	clock wire.Clock
	tls   *tls.Config

	databases []string

	mu       sync.Mutex
	accounts map[string]*account // by user@host, quoted
	sessions map[uint32]*session
	last     uint32
}

// New makes a server without accounts. Without cert it speaks no TLS.
func New(clock wire.Clock, cert *tls.Certificate, databases ...string) *Server {
	s := &Server{clock: clock, databases: databases, accounts: map[string]*account{}, sessions: map[uint32]*session{}, last: 7}
	if cert != nil {
		s.tls = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
	}
	return s
}

// Add is a person who makes an account, or changes all of it.
func (s *Server) Add(a Account) {
	made := &account{Account: a, hash: twice(a.Password)}
	made.Password = ""
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[made.name()] = made
}

func twice(password string) []byte {
	once := sha1.Sum([]byte(password)) //nolint:gosec // likewise
	all := sha1.Sum(once[:])           //nolint:gosec // likewise
	return all[:]
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

// at is the account that somebody logs in to. The caller holds the lock.
func (s *Server) at(user, host string) *account {
	if a := s.accounts[quoted(user)+"@"+quoted(host)]; a != nil {
		return a
	}
	return s.accounts[quoted(user)+"@`%`"]
}

// enters refuses an account at a database. The caller holds the lock.
func (s *Server) enters(a *account, database string) *refusal {
	granted := slices.ContainsFunc(a.Grants, func(g Grant) bool { return strings.HasPrefix(g.On, quoted(database)+".") })
	switch {
	case database == "":
		return nil
	case !a.Admin && !granted:
		return refuse(1044, "42000", "Access denied for user '%s'@'%s' to database '%s'", a.User, a.Host, database)
	case !slices.Contains(s.databases, database):
		return refuse(1049, "42000", "Unknown database '%s'", database)
	}
	return nil
}

// of are sessions, oldest first; user "" is all. The caller holds the lock.
func (s *Server) of(user string) (all []*session) {
	for _, id := range slices.Sorted(maps.Keys(s.sessions)) {
		if x := s.sessions[id]; user == "" || x.user == user {
			all = append(all, x)
		}
	}
	return all
}

// grants are an account's as SHOW GRANTS has them.
func (a *account) grants() (all []string) {
	for _, r := range a.Roles {
		line := "GRANT " + quoted(r) + " TO " + a.name()
		if slices.Contains(a.admin, r) {
			line += " WITH ADMIN OPTION"
		}
		all = append(all, line)
	}
	first := "USAGE"
	if a.Admin {
		first = "ALL PRIVILEGES"
	}
	first = "GRANT " + first + " ON *.* TO " + a.name() + " IDENTIFIED BY PASSWORD '*" + strings.ToUpper(hex.EncodeToString(a.hash)) + "'"
	switch a.Require {
	case "ANY":
		first += " REQUIRE SSL"
	case "X509":
		first += " REQUIRE X509"
	}
	var with []string
	if a.Admin {
		with = append(with, "GRANT OPTION")
	}
	for i, limit := range []string{"MAX_QUERIES_PER_HOUR", "MAX_UPDATES_PER_HOUR", "MAX_CONNECTIONS_PER_HOUR", "MAX_USER_CONNECTIONS"} {
		if n := a.Limits[i]; n > 0 {
			with = append(with, fmt.Sprintf("%s %d", limit, n))
		}
	}
	if len(with) > 0 {
		first += " WITH " + strings.Join(with, " ")
	}
	all = append(all, first)
	for _, g := range a.Grants {
		line := "GRANT " + strings.Join(g.Privileges, ", ") + " ON " + g.On + " TO " + a.name()
		if g.Option {
			line += " WITH GRANT OPTION"
		}
		all = append(all, line)
	}
	if a.Role != "" {
		all = append(all, "SET DEFAULT ROLE "+quoted(a.Role)+" FOR "+a.name())
	}
	return all
}

func (s *Server) now() time.Time { return s.clock.Now().UTC() }
