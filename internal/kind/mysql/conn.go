package mysql

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/rastup/rekey/internal/fence"
	"github.com/rastup/rekey/internal/kind/internal/database"
)

// limit of one call.
const limit = 20 * time.Second

// conn is the driver's own connection: database/sql would try again over another one.
type conn struct{ c driver.Conn }

// open answers the connection's ID, too.
func open(ctx context.Context, dial database.Dial, l database.Login) (database.Conn, string, error) {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
	cfg.User, cfg.Passwd, cfg.DBName, cfg.TLS = l.User, string(l.Password.Reveal()), l.Database, l.TLS.Config(l.Host)
	cfg.InterpolateParams, cfg.Logger, cfg.Timeout = true, &mysql.NopLogger{}, limit
	cfg.ConnectionAttributes = "program_name:rekey"
	// A statement waits for a lock for less time than its call may take, and a session that a stalled runner left is
	// closed, so that nothing is sent over it hours later. The mode is what constants here are quoted for.
	cfg.Params = map[string]string{"sql_mode": "'STRICT_ALL_TABLES'", "lock_wait_timeout": "10", "wait_timeout": "60"}
	if dial == nil {
		dial = (&net.Dialer{Timeout: limit}).DialContext
	}
	cfg.DialFunc = dial
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, "", database.Failed(database.No, "", "the account's settings can't be used", nil)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, "", unconnected(err)
	}
	out := &conn{c}
	id, err := out.Read(ctx, "SELECT CONNECTION_ID()")
	if err != nil {
		out.Close()
		return nil, "", err
	}
	return out, id[0][0], nil
}

func (c *conn) Close() { _ = c.c.Close() }

func (c *conn) Read(ctx context.Context, query string, args ...string) (out [][]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	rows, err := c.c.(driver.QueryerContext).QueryContext(ctx, query, named)
	if err != nil {
		return nil, failed(err)
	}
	defer func() { _ = rows.Close() }()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, failed(err)
		}
		var texts []string
		for _, v := range row {
			switch v := v.(type) {
			case nil:
				texts = append(texts, "")
			case []byte:
				texts = append(texts, string(v))
			default:
				texts = append(texts, fmt.Sprint(v))
			}
		}
		out = append(out, texts)
	}
}

// Change sends one statement after another: MySQL commits each by itself.
func (c *conn) Change(ctx context.Context, what string, statements ...string) error {
	for _, s := range statements {
		err := fence.Statement(ctx, limit, "MySQL: "+what, func(ctx context.Context) error {
			if _, err := c.c.(driver.ExecerContext).ExecContext(ctx, s, nil); err != nil {
				return failed(err)
			}
			return nil
		}, database.Answered)
		if err != nil {
			return err
		}
	}
	return nil
}

// unconnected judges why no session came about.
func unconnected(err error) error {
	var my *mysql.MySQLError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &my) && my.Number == 1698: // it has no password at all
		return database.Failed(database.Barred, "1698", "access denied", err)
	case errors.As(err, &my) && my.Number == 1045:
		return database.Failed(database.Refused, strconv.Itoa(int(my.Number)), "access denied", err)
	case errors.As(err, &my):
		return failed(err)
	case errors.As(err, &cert):
		return database.Failed(database.No, "", "the server's certificate isn't trusted: name its issuer as ca in the registry", err)
	case errors.Is(err, mysql.ErrNoTLS):
		return database.Failed(database.No, "", "the server speaks no TLS: have it do so, or say tls: off in the registry", err)
	}
	return database.Failed(database.Unmade, "", "no connection: is the address right, and may we reach it", err)
}

// failed is an answer of the server, by its code alone, or none.
func failed(err error) error {
	var my *mysql.MySQLError
	if !errors.As(err, &my) {
		// The driver says ErrBadConn where it believes that nothing was sent; whoever stands between may know better.
		return database.Failed(database.Lost, "", "", err)
	}
	code := strconv.Itoa(int(my.Number))
	switch my.Number {
	case 4151, 3118:
		return database.Failed(database.Barred, code, "the account is locked", err)
	case 1044, 1045, 1130, 1142, 1143, 1227, 1370, 1410, 1419:
		return database.Failed(database.Denied, code, "", err)
	case 1040, 1203, 1205, 1213, 1226, 1317, 1053, 1969, 3024:
		return database.Failed(database.Busy, code, "", err)
	case 1290, 1836:
		return database.Failed(database.No, code, "the server is read-only: is this a replica?", err)
	}
	return database.Failed(database.No, code, "", err)
}

// text quotes a string constant, for the mode that every session here has.
func text(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(s, "\x00", ""), `\`, `\\`), "'", "''") + "'"
}

func name(s string) string {
	return "`" + strings.ReplaceAll(strings.ReplaceAll(s, "\x00", ""), "`", "``") + "`"
}
