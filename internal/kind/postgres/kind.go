// Package postgres is the kind of PostgreSQL accounts.
//
// With alternating users the second account is a member of the first and takes its role on at login (ALTER ROLE ... SET
// role): what it may do is what the first may, what it makes the first owns, on the first rotation and on every later one,
// and no grant is ever copied. Settings of the live account are copied to the other one.
//
// The server gets a SCRAM verifier made here, never a password: statements may be logged, and the verifier with them,
// which nobody can log in with. It must never drop an account, nor change one that isn't of the pair.
package postgres

import (
	"context"
	"net"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/internal/database"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// Kind is this kind's line in the table.
func Kind() kind.Kind {
	return kind.Kind{
		Name:    "postgres",
		Shape:   func() kind.Target { return new(Target) },
		Recipe:  func(t kind.Target) []rotation.Spec { return database.Recipe((*database.Target)(t.(*Target))) },
		New:     New,
		Overlap: true,
		Refused: true,
	}
}

// A Target is one PostgreSQL account's secret.
type Target database.Target

// Identity is the secret's.
func (t *Target) Identity() string { return (*database.Target)(t).Identity() }

// Check reports what can't be right wherever the account lives.
func (t *Target) Check(r *problem.Report) {
	(*database.Target)(t).CheckFor(r, engine(), database.Alternating, database.SingleUser)
}

// New makes the handler for one environment.
func New(d kind.Deps) rotation.Handler { return database.New(engine(), d) }

func engine() database.Engine {
	return database.Engine{
		Kind: "postgres", Called: "PostgreSQL", Engines: []string{"postgres", "postgresql", "aurora-postgresql"}, Port: 5432,
		LongUser: 63, // NAMEDATALEN - 1
		Open:     open, Fit: fit, Set: put, Back: back, Rights: rights, Cut: cut, Sessions: sessions, End: end,
	}
}

func dialer(d database.Dial) database.Dial {
	if d == nil {
		return (&net.Dialer{Timeout: limit}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return d(ctx, network, addr) }
}
