package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rastup/rekey/internal/fence"
	"github.com/rastup/rekey/internal/kind/internal/database"
)

// limit of one call; the server gives up a statement earlier, so that none outlives its call, waiting for a lock.
const limit = 20 * time.Second

// setup bounds what the server does for us by its own clock. A session that a stalled runner left is closed, so that
// nothing is sent over it hours later (idle_session_timeout: PostgreSQL 14 and later).
const setup = `SELECT set_config('statement_timeout', '15s', false), set_config('lock_timeout', '10s', false),
	set_config('standard_conforming_strings', 'on', false), set_config('client_encoding', 'UTF8', false),
	set_config('default_transaction_read_only', 'off', false),
	CASE WHEN current_setting('server_version_num')::int >= 140000 THEN set_config('idle_session_timeout', '60s', false) END`

type conn struct{ c *pgconn.PgConn }

// open names the session: see own in engine.
func open(ctx context.Context, dial database.Dial, l database.Login, own string) (database.Conn, error) {
	// What the environment says (PGHOST and the like) is overwritten: a connection goes where the secret says.
	cfg, err := pgconn.ParseConfig("host=127.0.0.1 port=5432 user=rekey password=none passfile=/dev/null sslmode=disable connect_timeout=10 target_session_attrs=any")
	if err != nil {
		return nil, database.Failed(database.No, "", "the environment's settings for PostgreSQL (PG...) can't be read", nil)
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = l.Host, uint16(l.Port), l.Database, l.User, string(l.Password.Reveal())
	cfg.TLSConfig, cfg.Fallbacks, cfg.ValidateConnect, cfg.ConnectTimeout = l.TLS.Config(l.Host), nil, nil, limit
	cfg.RuntimeParams = map[string]string{"application_name": own}
	cfg.DialFunc = pgconn.DialFunc(dialer(dial))
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, unconnected(err)
	}
	out := &conn{c}
	if _, err := out.Read(ctx, setup); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

func (c *conn) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_ = c.c.Close(ctx) // waits until the server has ended the session
}

func (c *conn) Read(ctx context.Context, query string, args ...string) ([][]string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	res := c.c.ExecParams(ctx, query, params, nil, nil, nil).Read()
	if res.Err != nil {
		return nil, failed(res.Err)
	}
	out := make([][]string, len(res.Rows))
	for i, row := range res.Rows {
		for _, col := range row {
			out[i] = append(out[i], string(col))
		}
	}
	return out, nil
}

// Change sends all in one message: one transaction, which happens wholly or not at all.
func (c *conn) Change(ctx context.Context, what string, statements ...string) error {
	return fence.Statement(ctx, limit, "PostgreSQL: "+what, func(ctx context.Context) error {
		if err := c.c.Exec(ctx, strings.Join(statements, ";\n")).Close(); err != nil {
			return failed(err)
		}
		return nil
	}, database.Answered)
}

// unconnected judges why no session came about.
func unconnected(err error) error {
	var pg *pgconn.PgError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &pg):
		return failed(err)
	case errors.As(err, &cert):
		return database.Failed(database.No, "", "the server's certificate isn't trusted: name its issuer as ca in the registry", err)
	}
	return database.Failed(database.Unmade, "", "no connection: is the address right, may we reach it, does it speak TLS (else say tls: off in the registry)", err)
}

// failed is an answer of the server, by its code alone, or none.
func failed(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return database.Failed(database.Lost, "", "", err)
	}
	words := conditions[pg.Code]
	switch class := pg.Code[:min(2, len(pg.Code))]; {
	case pg.Code == "28P01":
		return database.Failed(database.Refused, pg.Code, words, err)
	case class == "28":
		return database.Failed(database.Barred, pg.Code, words, err)
	case pg.Code == "42501":
		return database.Failed(database.Denied, pg.Code, words, err)
	case class == "53", class == "57", class == "55", class == "40", class == "25":
		return database.Failed(database.Busy, pg.Code, words, err)
	case class == "08", class == "XX", class == "58":
		return database.Failed(database.Lost, pg.Code, words, err)
	}
	return database.Failed(database.No, pg.Code, words, err)
}

// conditions are names of PostgreSQL's error codes (PostgreSQL documentation, appendix A).
var conditions = map[string]string{
	"28P01": "invalid password", "28000": "invalid authorization", "42501": "insufficient privilege", "3D000": "no such database",
	"53300": "too many connections", "57P03": "cannot connect now", "55P03": "lock not available", "57014": "canceled",
	"25006": "read-only: is this a replica?", "42704": "undefined object", "42710": "duplicate object",
}

// name quotes an identifier.
func name(s string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(s, "\x00", ""), `"`, `""`) + `"`
}

// text quotes a string constant: with a backslash in it, in the form that means the same whatever
// standard_conforming_strings says.
func text(s string) string {
	q := "'" + strings.ReplaceAll(strings.ReplaceAll(s, "\x00", ""), "'", "''") + "'"
	if strings.Contains(q, `\`) {
		q = " E" + strings.ReplaceAll(q, `\`, `\\`)
	}
	return q
}

func one(rows [][]string, n int) ([]string, error) {
	if len(rows) != 1 || len(rows[0]) != n {
		return nil, fmt.Errorf("PostgreSQL answered %d rows where one was asked for", len(rows))
	}
	return rows[0], nil
}
