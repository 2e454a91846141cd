// Package database is what kinds of database accounts share: the secret is a JSON document in AWS Secrets Manager that
// consumers log in with ({"engine", "host", "port", "dbname", "username", "password"}), of which only username and
// password ever change. It owns the order of the steps and what must hold before each; an Engine owns the statements.
//
//   - A new password is stored, AWSPENDING, before any account has it.
//   - Rotations alternate between two accounts with the same rights, so that the old login works until decommission; or
//     change one account's password, where the engine keeps no second one: then restore sets the old one again.
//   - An account's password is replaced only while what consumers read names another account.
//
// It must never send an administering credential to a server that the administering secret, or the registry, doesn't
// name, nor put a statement, a server's words or a value into an error.
package database

import (
	"context"
	"net"

	"github.com/rastup/rekey/internal/secret"
)

// Dial makes a connection, as net.Dialer.DialContext does.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// A Login is an account at a server.
type Login struct {
	Host     string // name, address, or the folder of a Unix socket
	Port     int
	Database string // "" where it doesn't matter
	User     string
	Password secret.Value
	TLS      TLS
}

// A Conn is one session at a server. Its errors are *Error.
type Conn interface {
	// Read asks something that changes nothing, or nothing beyond the session. Columns come as text, NULL as "".
	Read(ctx context.Context, query string, args ...string) ([][]string, error)
	// Change passes the fence, then sends all statements. what says in words what they do.
	Change(ctx context.Context, what string, statements ...string) error
	Close()
}

// Accounts are the two that a rotation goes between. With a single one, Old is New.
type Accounts struct {
	Owner    string // whose rights both have: the first of the pair
	Old, New string
}

// Single says whether there is but one account.
func (a Accounts) Single() bool { return a.Old == a.New }

// A Session is one that is open at the server.
type Session struct {
	ID    string
	About string // where from, what, since when: as the client says, so not to be trusted
}

// An Engine is the statements of one kind of server. All get an administrator's session but for those that say otherwise.
type Engine struct {
	Kind     string   // of the rotation: "postgres"
	Called   string   // as people write it: "PostgreSQL"
	Engines  []string // what a document's "engine" may say
	Port     int      // where the document names none
	LongUser int      // bytes in an account's name, at most
	Open     func(context.Context, Dial, Login) (Conn, error)

	// Fit refuses what can't be rotated, in words of a *rotation.Failure; text says what was found.
	Fit func(ctx context.Context, c Conn, a Accounts, t *Target, inUse bool) (text string, err error)
	// Set gives a.New the rights of a.Old and the password. mark tells sessions opened before from later ones.
	Set func(ctx context.Context, c Conn, a Accounts, t *Target, password secret.Value) (mark string, err error)
	// Back gives the one account its old password again.
	Back func(ctx context.Context, c Conn, a Accounts, t *Target, password secret.Value) error
	// Rights is what the account that c is logged in as may do: equal for two sessions exactly when they may do the same.
	Rights func(ctx context.Context, c Conn) (digest, text string, err error)
	// Cut replaces an account's password by one that nobody knows. An account that isn't there needs nothing.
	Cut func(ctx context.Context, c Conn, a Accounts, user string, random secret.Value) error
	// Sessions are those that user has open, from before mark where there is one.
	Sessions func(ctx context.Context, c Conn, user, mark string) ([]Session, error)
	// End closes sessions.
	End func(ctx context.Context, c Conn, user string, s []Session) error
	// Retire, where not nil, takes the old one of two passwords of a single account away.
	Retire func(ctx context.Context, c Conn, a Accounts) error
}
