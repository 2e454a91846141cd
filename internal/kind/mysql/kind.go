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
	"context"
	"slices"
	"sync"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/internal/database"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret/spec"
)

// Kind is this kind's line in the table.
func Kind() kind.Kind {
	return kind.Kind{
		Name:    "mysql",
		Shape:   func() kind.Target { return new(Target) },
		Recipe:  func(t kind.Target) []rotation.Spec { return database.Recipe((*database.Target)(t.(*Target))) },
		New:     New,
		Inspect: kind.Stored(func(t kind.Target) (string, string) { return t.(*Target).Secret, "" }),
		Beyond:  "logins of MySQL",
		Overlap: true,
		Refused: true,
	}
}

// A Target is one MySQL or MariaDB account's secret.
type Target struct {
	// Secret is the name or ARN of the account's secret in AWS Secrets Manager: a JSON document with engine, host, port, dbname, username and password.
	Secret string `json:"secret" yaml:"secret" rekey:"required" jsonschema:"required"`
	// Admin is the name or ARN of the secret with the administering account, which has a row of its own in the registry.
	Admin string `json:"admin" yaml:"admin" rekey:"required" jsonschema:"required"`
	// Host that the administering account logs in at, where its own secret names none. The account's secret must name the same.
	Host string `json:"host,omitempty" yaml:"host"`
	// Strategy is alternating-users (default), single-user, or of MySQL from 8.0.14 on dual-password.
	Strategy string `json:"strategy,omitempty" yaml:"strategy" jsonschema:"enum=alternating-users,enum=single-user,enum=dual-password"`
	// Users are the names of the two accounts to alternate between. Left out, the account of the secret and that name with _clone.
	Users []string `json:"users,omitempty" yaml:"users"`
	// TLS is verify (default: certificate and host name), encrypt (neither is verified) or off.
	TLS string `json:"tls,omitempty" yaml:"tls" jsonschema:"enum=verify,enum=encrypt,enum=off"`
	// CA is the certificates, as PEM, that the server's must descend from. Left out, those that the system trusts.
	CA string `json:"ca,omitempty" yaml:"ca"`
	// KMSKey is the key that the secret must be encrypted with: ID, ARN or alias, as the secret names it. Left out, any.
	KMSKey string `json:"kms_key,omitempty" yaml:"kms_key"`
	// Generate says how new passwords look.
	Generate spec.Spec `json:"generate,omitzero" yaml:"generate"`
}

// Identity is the secret's.
func (t *Target) Identity() string { return (*database.Target)(t).Identity() }

// Check reports what can't be right wherever the account lives.
func (t *Target) Check(r *problem.Report) {
	(*database.Target)(t).CheckFor(r, engine())
	if t.Strategy == database.Dual && t.TLS == "off" {
		r.Add("tls", "tls", "leave tls out", "strategy dual-password sends the new password to the server: not without TLS")
	}
}

// New makes the handler for one environment.
func New(d kind.Deps) rotation.Handler { return database.New(engine(), d) }

func engine() database.Engine {
	// IDs of this process's connections, which are never used again: one that has just been closed may still be listed, and
	// is nobody's who hasn't adopted.
	var own sync.Map
	listed := func(ctx context.Context, c database.Conn, user, mark string) ([]database.Session, error) {
		all, err := sessions(ctx, c, user, mark)
		return slices.DeleteFunc(all, func(s database.Session) bool { _, mine := own.Load(s.ID); return mine }), err
	}
	return database.Engine{
		Kind: "mysql", Called: "MySQL", Engines: []string{"mysql", "mariadb", "aurora-mysql"}, Port: 3306,
		LongUser: 32, // of MySQL; MariaDB takes longer ones
		Open: func(ctx context.Context, dial database.Dial, l database.Login) (database.Conn, error) {
			c, id, err := open(ctx, dial, l)
			if err != nil {
				return nil, err
			}
			own.Store(id, true)
			return c, nil
		},
		Fit: func(ctx context.Context, c database.Conn, a database.Accounts, t *database.Target, inUse bool) (string, error) {
			return fit(ctx, c, a, t, inUse, listed)
		},
		Sessions: listed,
		Set:      put, Back: back, Rights: rights, Cut: cut, End: end, Retire: retire,
	}
}
