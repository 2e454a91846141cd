// Package mysql is the kind of MySQL 8 and MariaDB accounts.
//
// With alternating users the second account gets, at each rotation, the grants, requirements and limits that the live one
// has then; what it has beyond them is revoked. Views and routines keep their definer, which is never dropped.
//
// The server gets a hash made here, never a password, so that no log of statements can hold one. MySQL's dual password
// is the exception: RETAIN CURRENT PASSWORD takes the password alone (MySQL Reference Manual, ALTER USER), so it goes out
// only under TLS, and MySQL writes "<secret>" in its place into its logs unless it runs with --log-raw. It must never drop
// an account, nor change one that isn't of the pair.
package mysql

import (
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/internal/database"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// Kind is this kind's line in the table.
func Kind() kind.Kind {
	return kind.Kind{
		Name:    "mysql",
		Shape:   func() kind.Target { return new(Target) },
		Recipe:  func(t kind.Target) []rotation.Spec { return database.Recipe((*database.Target)(t.(*Target))) },
		New:     New,
		Overlap: true,
		Refused: true,
	}
}

// A Target is one MySQL or MariaDB account's secret.
type Target database.Target

// Identity is the secret's.
func (t *Target) Identity() string { return (*database.Target)(t).Identity() }

// Check reports what can't be right wherever the account lives.
func (t *Target) Check(r *problem.Report) {
	(*database.Target)(t).CheckFor(r, engine(), database.Alternating, database.SingleUser, database.Dual)
	if t.Strategy == database.Dual && t.TLS == "off" {
		r.Add("tls", "tls", "leave tls out", "strategy dual-password sends the new password to the server: not without TLS")
	}
}

// New makes the handler for one environment.
func New(d kind.Deps) rotation.Handler { return database.New(engine(), d) }

func engine() database.Engine {
	return database.Engine{
		Kind: "mysql", Called: "MySQL", Engines: []string{"mysql", "mariadb", "aurora-mysql"}, Port: 3306,
		LongUser: 32, // of MySQL; MariaDB takes longer ones
		Open:     open, Fit: fit, Set: put, Back: back, Rights: rights, Cut: cut, Sessions: sessions, End: end, Retire: retire,
	}
}
