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
	"crypto/rand"
	"net"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/internal/database"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret/spec"
)

// Kind is this kind's line in the table.
func Kind() kind.Kind {
	return kind.Kind{
		Name:    "postgres",
		Shape:   func() kind.Target { return new(Target) },
		Recipe:  func(t kind.Target) []rotation.Spec { return database.Recipe((*database.Target)(t.(*Target))) },
		New:     New,
		Inspect: kind.Stored(func(t kind.Target) (string, string) { return t.(*Target).Secret, "" }),
		Beyond:  "logins of PostgreSQL",
		Overlap: true,
		Refused: true,
	}
}

// A Target is one PostgreSQL account's secret.
type Target struct {
	// Secret is the name or ARN of the account's secret in AWS Secrets Manager: a JSON document with engine, host, port, dbname, username and password.
	Secret string `json:"secret" yaml:"secret" rekey:"required" jsonschema:"required"`
	// Admin is the name or ARN of the secret with the administering account, which has a row of its own in the registry.
	Admin string `json:"admin" yaml:"admin" rekey:"required" jsonschema:"required"`
	// Host that the administering account logs in at, where its own secret names none. The account's secret must name the same.
	Host string `json:"host,omitempty" yaml:"host"`
	// Strategy is alternating-users (default) or single-user.
	Strategy string `json:"strategy,omitempty" yaml:"strategy" jsonschema:"enum=alternating-users,enum=single-user"`
	// Users are the two accounts to alternate between, the first of which has the rights and owns what is made. Left out, the account of the secret and that name with _clone.
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
}

// New makes the handler for one environment.
func New(d kind.Deps) rotation.Handler { return database.New(engine(), d) }

func engine() database.Engine {
	// Sessions of this process are known by a name that nobody else can choose: those that have just been closed may still
	// be listed, and are nobody's who hasn't adopted.
	own := "rekey " + rand.Text()
	return database.Engine{
		Kind: "postgres", Called: "PostgreSQL", Engines: []string{"postgres", "postgresql", "aurora-postgresql"}, Port: 5432,
		LongUser: 63, // NAMEDATALEN - 1
		Open: func(ctx context.Context, dial database.Dial, l database.Login) (database.Conn, error) {
			return open(ctx, dial, l, own)
		},
		Fit: fit, Set: put, Back: back, Rights: rights, Cut: cut, Sessions: sessions, End: end,
	}
}

func dialer(d database.Dial) database.Dial {
	if d == nil {
		return (&net.Dialer{Timeout: limit}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return d(ctx, network, addr) }
}
