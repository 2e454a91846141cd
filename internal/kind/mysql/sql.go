package mysql

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/kind/internal/database"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

// An account is one row of mysql.user.
type account struct {
	user, host, plugin, tls string
	limits                  [4]string // an hour's queries, updates and connections; connections at a time
	second                  bool      // it has a second password
}

func (a account) name() string { return name(a.user) + "@" + name(a.host) }

// mariaDB says whether the server is one.
func mariaDB(ctx context.Context, c database.Conn) (bool, error) {
	v, err := c.Read(ctx, "SELECT VERSION()")
	return len(v) == 1 && strings.Contains(v[0][0], "MariaDB"), err
}

// look are all accounts of that name.
func look(ctx context.Context, c database.Conn, maria bool, user string) (all []account, err error) {
	second := "User_attributes->>'$.additional_password' IS NOT NULL"
	if maria {
		second = "0"
	}
	rows, err := c.Read(ctx, "SELECT User, Host, plugin, ssl_type, max_questions, max_updates, max_connections, max_user_connections, "+second+
		" FROM mysql.user WHERE User = ? ORDER BY Host", user)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if len(r) == 9 && r[0] == user { // a collation may take others for the same
			a := account{r[0], r[1], r[2], r[3], [4]string{r[4], r[5], r[6], r[7]}, r[8] == "1"}
			if a.plugin == "" {
				a.plugin = native
			}
			all = append(all, a)
		}
	}
	return all, nil
}

// found is only, on whichever server.
func found(ctx context.Context, c database.Conn, user string) (account, bool, error) {
	maria, err := mariaDB(ctx, c)
	if err != nil {
		return account{}, false, err
	}
	return only(ctx, c, maria, user)
}

// only is the account of that name where there is exactly one.
func only(ctx context.Context, c database.Conn, maria bool, user string) (account, bool, error) {
	all, err := look(ctx, c, maria, user)
	if err != nil || len(all) == 0 {
		return account{}, false, err
	}
	if len(all) > 1 {
		return account{}, false, rotation.Failf("keep one, or rotate it as accounts of different names", "%q has %d accounts, for as many hosts: each has a password of its own", user, len(all))
	}
	return all[0], true, nil
}

func fit(ctx context.Context, c database.Conn, a database.Accounts, t *database.Target, inUse bool, listed func(ctx context.Context, c database.Conn, user, mark string) ([]database.Session, error)) (string, error) {
	rows, err := c.Read(ctx, "SELECT VERSION(), @@read_only, CURRENT_USER()")
	if err != nil {
		return "", err
	}
	version, me := rows[0][0], rows[0][2]
	maria := strings.Contains(version, "MariaDB")
	old, there, err := only(ctx, c, maria, a.Old)
	if err != nil {
		return "", err
	}
	next, spare := old, there
	if !a.Single() {
		if next, spare, err = only(ctx, c, maria, a.New); err != nil {
			return "", err
		}
	}
	_, badPlugin := hash(old.plugin, secret.Value{})
	switch {
	case !there:
		return "", rotation.Failf("see whose secret this is", "the server has no account %q", a.Old)
	case rows[0][1] != "0" && rows[0][1] != "OFF":
		return "", rotation.Failf("name the primary", "the server is read-only")
	case me == old.user+"@"+old.host:
		return "", rotation.Failf("name another account's secret as admin", "the administering account is the one to be rotated")
	case badPlugin != nil:
		return "", badPlugin
	case maria && old.plugin == caching:
		return "", rotation.Failf("have the account use "+native, "MariaDB knows no %s", caching)
	case old.tls == "SPECIFIED":
		return "", rotation.Failf("require SSL or X509 of it instead", "%q must log in with a certificate of its own: only REQUIRE SSL and X509 are copied", a.Old)
	case spare && next.host != old.host:
		return "", rotation.Failf("have both for the same host, or name another pair under users in the registry", "%q logs in from %q, %q from %q", a.Old, old.host, a.New, next.host)
	}
	if t.Plan() == database.Dual {
		return dual(version, maria, old)
	}
	if a.Single() {
		return version + ", one account: new logins with the old password fail from set to the moment consumers read the new one", nil
	}
	if !spare {
		return fmt.Sprintf("%s, %q will be made", version, a.New), nil
	}
	open, err := listed(ctx, c, a.New, "")
	if err != nil {
		return "", err
	}
	if len(open) > 0 && !inUse {
		return "", rotation.Failf("end them when nobody needs them any more, or name another pair under users in the registry",
			"%q, which is to become the live account, has %s open; the first is %s", a.New, database.Count(len(open)), open[0].About)
	}
	return fmt.Sprintf("%s, %q is there", version, a.New), nil
}

func dual(version string, maria bool, old account) (string, error) {
	parts := strings.SplitN(version+"..", ".", 3)
	major, _ := strconv.Atoi(parts[0])
	patch, _ := strconv.Atoi(parts[2][:len(parts[2])-len(strings.TrimLeft(parts[2], "0123456789"))]) // "8.0.36-log"
	switch {
	case maria || major < 8 || parts[0] == "8" && parts[1] == "0" && patch > 0 && patch < 14:
		return "", rotation.Failf("choose alternating-users", "%s keeps no second password: MySQL does from 8.0.14 on", version)
	case old.second:
		return "", rotation.Failf(fmt.Sprintf("ALTER USER %s DISCARD OLD PASSWORD, when nobody logs in with it any more", old.name()),
			"%q has a second password already: somebody else's rotation is half done", old.user)
	}
	return version + ", two passwords of one account; sessions can't be told apart by password", nil
}

// put lets the new login work, last of all.
func put(ctx context.Context, c database.Conn, a database.Accounts, t *database.Target, password secret.Value) (string, error) {
	maria, err := mariaDB(ctx, c)
	if err != nil {
		return "", err
	}
	old, there, err := only(ctx, c, maria, a.Old)
	if err != nil {
		return "", err
	}
	if !there {
		return "", rotation.Failf("see who dropped it", "the server has no account %q any more", a.Old)
	}
	if t.Plan() == database.Dual {
		if !old.second { // else it was done: another time would drop the old password
			err = c.Change(ctx, "set a second password", fmt.Sprintf("ALTER USER %s IDENTIFIED BY %s RETAIN CURRENT PASSWORD", old.name(), text(string(password.Reveal()))))
		}
		return mark(ctx, c, err)
	}
	h, err := hash(old.plugin, password)
	if err != nil {
		return "", err
	}
	if a.Single() {
		return mark(ctx, c, c.Change(ctx, "set the new password", identified(old, h)))
	}
	next, there, err := only(ctx, c, maria, a.New)
	if err != nil {
		return "", err
	}
	var statements []string
	if !there {
		next = account{user: a.New, host: old.host}
		statements = append(statements, fmt.Sprintf("CREATE USER %s IDENTIFIED WITH %s AS %s ACCOUNT LOCK", next.name(), old.plugin, text(h)))
	}
	next.plugin = old.plugin
	granted, err := alike(ctx, c, old, next, there)
	if err != nil {
		return "", err
	}
	roles, err := defaults(ctx, c, maria, old, next)
	if err != nil {
		return "", err
	}
	granted = append(granted, roles...)
	require := map[string]string{"ANY": "SSL", "X509": "X509"}[old.tls]
	if require == "" {
		require = "NONE"
	}
	last := fmt.Sprintf("%s REQUIRE %s WITH MAX_QUERIES_PER_HOUR %s MAX_UPDATES_PER_HOUR %s MAX_CONNECTIONS_PER_HOUR %s MAX_USER_CONNECTIONS %s ACCOUNT UNLOCK",
		identified(next, h), require, old.limits[0], old.limits[1], old.limits[2], old.limits[3])
	return "", c.Change(ctx, "set up the second account", append(append(statements, granted...), last)...)
}

func identified(a account, hash string) string {
	return fmt.Sprintf("ALTER USER %s IDENTIFIED WITH %s AS %s", a.name(), a.plugin, text(hash))
}

// mark is a connection ID: all sessions from before have lower ones.
func mark(ctx context.Context, c database.Conn, err error) (string, error) {
	if err != nil {
		return "", err
	}
	rows, err := c.Read(ctx, "SELECT COALESCE(MAX(ID), 0) + 1 FROM information_schema.PROCESSLIST")
	if err != nil {
		return "", err
	}
	return rows[0][0], nil
}

// alike are the statements that give next the grants of old, and no other.
func alike(ctx context.Context, c database.Conn, old, next account, there bool) (statements []string, err error) {
	want, err := grants(ctx, c, "SHOW GRANTS FOR "+old.name(), old)
	if err != nil {
		return nil, err
	}
	var has []string
	if there {
		if has, err = grants(ctx, c, "SHOW GRANTS FOR "+next.name(), next); err != nil {
			return nil, err
		}
	}
	if slices.Equal(want, has) {
		return nil, nil
	}
	for _, g := range has { // roles first: MariaDB's REVOKE ALL takes them, too, MySQL's doesn't
		if strings.HasPrefix(g, "SET DEFAULT ROLE") {
			statements = append(statements, "SET DEFAULT ROLE NONE FOR "+next.name())
		}
	}
	for _, g := range has {
		if role, ok := strings.CutPrefix(g, "GRANT "); ok && !strings.Contains(g, " ON ") {
			role, _, _ = strings.Cut(role, " TO "+who)
			statements = append(statements, fmt.Sprintf("REVOKE %s FROM %s", role, next.name()))
		}
	}
	if len(has) > 0 {
		statements = append(statements, "REVOKE ALL PRIVILEGES, GRANT OPTION FROM "+next.name())
	}
	for _, g := range want {
		statements = append(statements, strings.ReplaceAll(g, who, next.name()))
	}
	return statements, nil
}

// defaults makes the same roles the default ones in MySQL. MariaDB shows its one among the grants.
func defaults(ctx context.Context, c database.Conn, maria bool, old, next account) ([]string, error) {
	if maria {
		return nil, nil
	}
	rows, err := c.Read(ctx, "SELECT DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST FROM mysql.default_roles WHERE USER = ? AND HOST = ? ORDER BY 1, 2", old.user, old.host)
	if err != nil {
		return nil, err
	}
	roles := []string{"NONE"}
	for i, r := range rows {
		roles = append(roles[:i], account{user: r[0], host: r[1]}.name())
	}
	return []string{fmt.Sprintf("ALTER USER %s DEFAULT ROLE %s", next.name(), strings.Join(roles, ", "))}, nil
}

// who stands for the account in its grants. No name can hold it: they are quoted, and it holds a zero character.
const who = "\x00who"

// grants are an account's, without the password hash and the requirements that MariaDB shows with them, sorted so that
// roles are granted before one of them is made the default.
func grants(ctx context.Context, c database.Conn, query string, a account) (all []string, err error) {
	rows, err := c.Read(ctx, query)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		line := r[0]
		for _, word := range []string{" TO ", " FOR ", " FROM "} {
			before, after, found := strings.Cut(line, word+a.name())
			if !found {
				continue
			}
			line = before + word + who
			for _, option := range []string{"GRANT OPTION", "ADMIN OPTION"} {
				if strings.Contains(after, option) {
					line += " WITH " + option
				}
			}
			break
		}
		if !strings.Contains(line, who) {
			if strings.HasPrefix(line, "SET DEFAULT ROLE NONE") || strings.Contains(line, "TO PUBLIC") {
				continue
			}
			return nil, rotation.Failf("grant it to both accounts by hand, or to neither", "%q has a grant that isn't understood", a.user)
		}
		all = append(all, line)
	}
	slices.Sort(all)
	// MariaDB shows a default role that was revoked since, which can't be made the default of another account.
	return slices.DeleteFunc(all, func(g string) bool {
		role, ok := strings.CutPrefix(g, "SET DEFAULT ROLE ")
		role = "GRANT " + strings.TrimSuffix(role, " FOR "+who) + " TO " + who
		return ok && !slices.ContainsFunc(all, func(g string) bool { return strings.HasPrefix(g, role) })
	}), nil
}

func back(ctx context.Context, c database.Conn, a database.Accounts, t *database.Target, password secret.Value) error {
	old, there, err := found(ctx, c, a.Old)
	if err != nil || !there {
		return err
	}
	h, err := hash(old.plugin, password)
	if err != nil {
		return err
	}
	statements := []string{identified(old, h)}
	if t.Plan() == database.Dual && old.second {
		statements = append(statements, fmt.Sprintf("ALTER USER %s DISCARD OLD PASSWORD", old.name()))
	}
	return c.Change(ctx, "set the old password again", statements...)
}

func cut(ctx context.Context, c database.Conn, _ database.Accounts, user string, random secret.Value) error {
	old, there, err := found(ctx, c, user)
	if err != nil || !there {
		return err
	}
	h, err := hash(old.plugin, random)
	if err != nil {
		return err
	}
	return c.Change(ctx, "replace the password of an account", identified(old, h))
}

func retire(ctx context.Context, c database.Conn, a database.Accounts) error {
	old, there, err := found(ctx, c, a.Old)
	if err != nil || !there || !old.second {
		return err
	}
	return c.Change(ctx, "discard the old password", fmt.Sprintf("ALTER USER %s DISCARD OLD PASSWORD", old.name()))
}

func rights(ctx context.Context, c database.Conn) (digest, what string, err error) {
	rows, err := c.Read(ctx, "SELECT CURRENT_USER(), COALESCE(CURRENT_ROLE(), 'NONE')")
	if err != nil {
		return "", "", err
	}
	at := strings.LastIndex(rows[0][0], "@")
	if at < 0 {
		return "", "", errors.New("MySQL doesn't say who is logged in")
	}
	me := account{user: rows[0][0][:at], host: rows[0][0][at+1:]}
	all, err := grants(ctx, c, "SHOW GRANTS FOR CURRENT_USER()", me)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256([]byte(rows[0][1] + "\n" + strings.Join(all, "\n")))
	return fmt.Sprintf("%x", sum), fmt.Sprintf("logged in as %q, %d grants", rows[0][0], len(all)), nil
}

func sessions(ctx context.Context, c database.Conn, user, mark string) (all []database.Session, err error) {
	query, args := "SELECT ID, HOST, COALESCE(DB, ''), COMMAND, TIME FROM information_schema.PROCESSLIST WHERE USER = ? AND ID <> CONNECTION_ID()", []string{user}
	if mark != "" {
		query, args = query+" AND ID < CAST(? AS UNSIGNED)", append(args, mark)
	}
	rows, err := c.Read(ctx, query+" ORDER BY ID", args...)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		all = append(all, database.Session{ID: r[0], About: fmt.Sprintf("connection %s from %q at database %q, %s for %s s", r[0], r[1], r[2], strings.ToLower(r[3]), r[4])})
	}
	return all, nil
}

// end kills connections, whose IDs are never used again. One that has ended by itself needs nothing.
func end(ctx context.Context, c database.Conn, _ string, open []database.Session) error {
	for _, s := range open {
		if _, err := strconv.ParseUint(s.ID, 10, 64); err != nil {
			return fmt.Errorf("MySQL names a connection without a number")
		}
		err := c.Change(ctx, "end a session", "KILL CONNECTION "+s.ID)
		var e *database.Error
		if errors.As(err, &e) && (e.Class == database.Denied || e.Code == "1095") { // in Amazon RDS nobody may kill others' directly
			err = c.Change(ctx, "end a session", "CALL mysql.rds_kill("+s.ID+")")
		}
		if errors.As(err, &e) && e.Code == "1094" {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
