package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	sql "database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/sandbox/mysql"
	"github.com/rastup/rekey/internal/sandbox/postgres"
	"github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

// A login is a database account's secret.
type login struct {
	Engine   string `json:"engine"`
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Database string `json:"dbname"`
	Username string `json:"username"`
	Password string `json:"password"`
}

func (l login) String() string {
	b, _ := json.Marshal(l) // plain data
	return string(b)
}

// current is the one that consumers read.
func current(s *scene, stored string) (l login, err error) {
	err = json.Unmarshal([]byte(s.AWS.Secret(stored).At(secretsmanager.Current).Text), &l)
	return l, err
}

// trusted is what a client of the town's hosts verifies certificates by.
func trusted(host string) *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(town.Authority()))
	return &tls.Config{ServerName: host, RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// databaseTarget is how the registry writes an account whose server has a certificate of the town's authority.
func databaseTarget(stored, admin string) string {
	return "secret: " + stored + "\nadmin: " + admin + "\nca: |\n  " + strings.ReplaceAll(strings.TrimSpace(town.Authority()), "\n", "\n  ")
}

func postgresAccount() other {
	const stored, admin = "rekey/dev/orders-database", "rekey/dev/orders-admin"
	old := login{"postgres", "orders.example", 5432, "orders", "orders", "sandbox-only-orders-2026-10"}
	rotator := login{"postgres", "orders.example", 5432, "orders", "rotator", "sandbox-only-rotator-of-orders"}
	var report *pgconn.PgConn // under the old login for so long that decommission waits for it
	return other{kind: "postgres", secret: "orders/database", service: "PostgreSQL", target: databaseTarget(stored, admin),
		stand: func(ctx context.Context, s *scene) error {
			cert, err := town.Certificate(old.Host)
			if err != nil {
				return err
			}
			server := postgres.New(s.Clock, &cert, old.Database)
			err1 := server.Add(postgres.Role{Name: old.Username, Password: old.Password, Login: true, Owns: 12, Rights: []string{"owner of 12 tables"}})
			err2 := server.Add(postgres.Role{Name: rotator.Username, Password: rotator.Password, Login: true, CreateRole: true, Of: []string{"pg_signal_backend", "pg_read_all_stats"}})
			_, err3 := s.AWS.PutByHand(stored, old.String())
			_, err4 := s.AWS.PutByHand(admin, rotator.String())
			if err := errors.Join(err1, err2, err3, err4, s.Host(ctx, "orders.example:5432", server.Serve)); err != nil {
				return err
			}
			report, err = old.postgres(ctx, s, "nightly-report")
			return err
		},
		meanwhile: func(ctx context.Context, s *scene) error { // on the day after the retention, who reads the page starts it again
			if s.Clock.Now().Weekday() == time.Friday {
				return report.Close(ctx)
			}
			return nil
		},
		says: func(ctx context.Context, s *scene) (string, error) {
			now, err := current(s, stored)
			if err != nil {
				return "", err
			}
			c, err := now.postgres(ctx, s, "a person")
			if err != nil {
				return "", err
			}
			defer func() { _ = c.Close(ctx) }()
			res := c.ExecParams(ctx, "SELECT current_user", nil, nil, nil, nil).Read()
			if res.Err != nil {
				return "", res.Err
			}
			text := fmt.Sprintf("%q is let in with what is stored, and acts as %q", now.Username, res.Rows[0][0])
			var refused *pgconn.PgError
			switch c, err := old.postgres(ctx, s, "a person"); {
			case errors.As(err, &refused):
				text += fmt.Sprintf("; %q with the old password: %s (%s)", old.Username, refused.Message, refused.Code)
			case err != nil:
				return "", err
			default:
				_ = c.Close(ctx)
				text += fmt.Sprintf("; %q is let in with the old password, too", old.Username)
			}
			if err := report.Exec(ctx, "SELECT current_user").Close(); err == nil {
				text += "; a session from before still answers"
			}
			return text, report.Close(ctx)
		}}
}

// postgres logs in.
func (l login) postgres(ctx context.Context, s *scene, called string) (*pgconn.PgConn, error) {
	cfg, err := pgconn.ParseConfig("host=127.0.0.1 user=nobody password=none passfile=/dev/null sslmode=disable")
	if err != nil {
		return nil, err
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = l.Host, uint16(l.Port), l.Database, l.Username, l.Password
	cfg.TLSConfig, cfg.Fallbacks, cfg.DialFunc = trusted(l.Host), nil, s.Dial
	cfg.RuntimeParams = map[string]string{"application_name": called}
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	return pgconn.ConnectConfig(ctx, cfg)
}

func mysqlAccount() other {
	const stored, admin = "rekey/dev/billing-database", "rekey/dev/billing-admin"
	old := login{"mariadb", "billing.example", 3306, "billing", "billing", "sandbox-only-billing-2026-10"}
	rotator := old
	rotator.Database, rotator.Username, rotator.Password = "mysql", "rotator", "sandbox-only-rotator-of-billing"
	return other{kind: "mysql", secret: "billing/database", service: "MariaDB", target: databaseTarget(stored, admin),
		stand: func(ctx context.Context, s *scene) error {
			cert, err := town.Certificate(old.Host)
			if err != nil {
				return err
			}
			server := mysql.New(s.Clock, &cert, old.Database, rotator.Database)
			server.Add(mysql.Account{User: old.Username, Host: "%", Password: old.Password, Require: "ANY",
				Grants: []mysql.Grant{{Privileges: []string{"SELECT", "INSERT", "UPDATE", "DELETE"}, On: "`billing`.*"}}})
			server.Add(mysql.Account{User: rotator.Username, Host: "%", Password: rotator.Password, Admin: true})
			_, err1 := s.AWS.PutByHand(stored, old.String())
			_, err2 := s.AWS.PutByHand(admin, rotator.String())
			return errors.Join(err1, err2, s.Host(ctx, "billing.example:3306", server.Serve))
		},
		says: func(ctx context.Context, s *scene) (string, error) {
			now, err := current(s, stored)
			if err != nil {
				return "", err
			}
			c, err := now.mysql(ctx, s)
			if err != nil {
				return "", err
			}
			text := fmt.Sprintf("%q is let in with what is stored", now.Username)
			var refused *driver.MySQLError
			switch c, err := old.mysql(ctx, s); {
			case errors.As(err, &refused):
				text += fmt.Sprintf("; with the old password: %s (%d)", refused.Message, refused.Number)
			case err != nil:
				return "", err
			default:
				_ = c.Close()
				text += fmt.Sprintf("; %q is let in with the old password, too", old.Username)
			}
			return text, c.Close()
		}}
}

// mysql logs in.
func (l login) mysql(ctx context.Context, s *scene) (sql.Conn, error) {
	cfg := driver.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.DBName = "tcp", net.JoinHostPort(l.Host, strconv.Itoa(l.Port)), l.Username, l.Password, l.Database
	cfg.TLS, cfg.DialFunc, cfg.Logger = trusted(l.Host), s.Dial, &driver.NopLogger{}
	to, err := driver.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return to.Connect(ctx)
}
