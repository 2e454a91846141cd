package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/kind/internal/database"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

// A role is what is asked of an account.
type role struct {
	there, login, super, replicates bool
	limit, until                    string // CONNECTION LIMIT, VALID UNTIL
}

func look(ctx context.Context, c database.Conn, user string) (role, error) {
	rows, err := c.Read(ctx, `SELECT rolcanlogin, rolsuper, rolreplication, rolconnlimit, coalesce(rolvaliduntil::text, 'infinity') FROM pg_roles WHERE rolname = $1`, user)
	if err != nil || len(rows) == 0 {
		return role{}, err
	}
	r, err := one(rows, 5)
	if err != nil {
		return role{}, err
	}
	return role{true, r[0] == "t", r[1] == "t", r[2] == "t", r[3], r[4]}, nil
}

// fit refuses accounts that can't be rotated by this administrator.
func fit(ctx context.Context, c database.Conn, a database.Accounts, t *database.Target, inUse bool) (string, error) {
	rows, err := c.Read(ctx, `SELECT current_setting('server_version_num'), current_setting('password_encryption'), pg_is_in_recovery(),
		rolsuper, rolcreaterole, rolsuper OR pg_has_role(current_user, 'pg_signal_backend', 'MEMBER'), current_user, current_setting('server_version'),
		rolsuper OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
		FROM pg_roles WHERE rolname = current_user`)
	if err != nil {
		return "", err
	}
	me, err := one(rows, 9)
	if err != nil {
		return "", err
	}
	version, super := me[0], me[3] == "t"
	var now [2]role
	for i, user := range slices.Compact([]string{a.Old, a.New}) {
		if now[i], err = look(ctx, c, user); err != nil {
			return "", err
		}
	}
	old, next := now[0], now[1]
	switch {
	case len(version) < 6 || version < "100000":
		return "", rotation.Failf("use PostgreSQL 10 or later", "PostgreSQL %s knows no SCRAM", me[7])
	case me[2] == "t":
		return "", rotation.Failf("name the primary", "the server is a read-only replica")
	case strings.HasPrefix(me[1], "md5"):
		return "", rotation.Failf("see that all clients know SCRAM, then set password_encryption to scram-sha-256", "the server makes md5 passwords: its clients may not know SCRAM")
	case !super && me[4] != "t":
		return "", rotation.Failf(fmt.Sprintf("ALTER ROLE %s CREATEROLE", name(me[6])), "the administering account %q may not change other accounts", me[6])
	case me[5] != "t":
		return "", rotation.Failf(fmt.Sprintf("GRANT pg_signal_backend TO %s", name(me[6])), "the administering account %q may not end other accounts' sessions", me[6])
	case me[8] != "t" && a.Single(): // else sessions from before the new password can't be told from later ones
		return "", rotation.Failf(fmt.Sprintf("GRANT pg_read_all_stats TO %s", name(me[6])), "the administering account %q isn't shown since when other accounts' sessions are open", me[6])
	case !old.there:
		return "", rotation.Failf("see whose secret this is", "the server has no account %q", a.Old)
	case (old.super || next.super) && !super:
		return "", rotation.Failf("administer it with a superuser, or take that right from an application's account", "%q is a superuser, the administering account isn't", a.Old)
	case me[6] == a.Old || me[6] == a.New:
		return "", rotation.Failf("name another account's secret as admin", "the administering account is the one to be rotated")
	}
	if err := mayManage(ctx, c, a, version, super); err != nil || a.Single() {
		return fmt.Sprintf("PostgreSQL %s, one account: new logins with the old password fail from set to the moment consumers read the new one", me[7]), err
	}
	if !next.there {
		return fmt.Sprintf("PostgreSQL %s, %q will be made", me[7], a.New), nil
	}
	return fmt.Sprintf("PostgreSQL %s, %q is there", me[7], a.New), spare(ctx, c, a, inUse)
}

// mayManage asks for what PostgreSQL 16 wants besides CREATEROLE.
func mayManage(ctx context.Context, c database.Conn, a database.Accounts, version string, super bool) error {
	if super || version < "160000" {
		return nil
	}
	for _, user := range slices.Compact([]string{a.Owner, a.Old, a.New}) {
		rows, err := c.Read(ctx, `SELECT pg_has_role(current_user, rolname, 'MEMBER WITH ADMIN OPTION') FROM pg_roles WHERE rolname = $1`, user)
		if err != nil {
			return err
		}
		if len(rows) == 1 && rows[0][0] != "t" {
			return rotation.Failf(fmt.Sprintf("GRANT %s TO the administering account WITH ADMIN OPTION", name(user)), "the administering account has no admin option on %q, which PostgreSQL 16 asks for", user)
		}
	}
	return nil
}

// spare refuses a second account that somebody uses, or that owns things: then it isn't the other half of a pair.
func spare(ctx context.Context, c database.Conn, a database.Accounts, inUse bool) error {
	open, err := sessions(ctx, c, a.New, "")
	if err != nil {
		return err
	}
	if len(open) > 0 && !inUse {
		return rotation.Failf("end them when nobody needs them any more, or name another pair under users in the registry",
			"%q, which is to become the live account, has %s open; the first is %s", a.New, database.Count(len(open)), open[0].About)
	}
	if a.New == a.Owner {
		return nil
	}
	rows, err := c.Read(ctx, `SELECT count(*) FROM pg_shdepend d JOIN pg_roles r ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid
		WHERE r.rolname = $1 AND d.deptype = 'o'`, a.New)
	if err != nil {
		return err
	}
	if len(rows) == 1 && rows[0][0] != "0" {
		return rotation.Failf(fmt.Sprintf("REASSIGN OWNED BY %s TO %s in its databases, or name the accounts in the other order under users in the registry", name(a.New), name(a.Owner)),
			"%q owns %s objects, though it is %q that owns what the pair makes", a.New, rows[0][0], a.Owner)
	}
	return nil
}

// put makes a.New what a.Old is, and gives it the password: in one transaction.
func put(ctx context.Context, c database.Conn, a database.Accounts, _ *database.Target, password secret.Value) (string, error) {
	v, err := verifier(password)
	if err != nil {
		return "", err
	}
	if a.Single() {
		if err := c.Change(ctx, "set the new password", fmt.Sprintf("ALTER ROLE %s PASSWORD %s", name(a.New), text(v))); err != nil {
			return "", err
		}
		rows, err := c.Read(ctx, `SELECT clock_timestamp()::text`)
		if err != nil {
			return "", err
		}
		return rows[0][0], nil
	}
	statements, err := alike(ctx, c, a)
	if err != nil {
		return "", err
	}
	old, err := look(ctx, c, a.Old)
	if err != nil {
		return "", err
	}
	replicates := "NOREPLICATION" // asked about before a role is taken on, so membership isn't enough
	if old.replicates {
		replicates = "REPLICATION"
	}
	next, err := look(ctx, c, a.New)
	if err != nil {
		return "", err
	}
	alter := fmt.Sprintf("ALTER ROLE %s LOGIN CONNECTION LIMIT %s VALID UNTIL %s PASSWORD %s", name(a.New), old.limit, text(old.until), text(v))
	if old.replicates != next.replicates {
		statements = append(statements, fmt.Sprintf("ALTER ROLE %s %s", name(a.New), replicates))
	}
	return "", c.Change(ctx, "set up the second account", append(statements, alter)...)
}

// alike are the statements that give a.New the rights and settings of a.Old.
func alike(ctx context.Context, c database.Conn, a database.Accounts) (statements []string, err error) {
	rows, err := c.Read(ctx, `SELECT n.oid IS NOT NULL, coalesce(pg_has_role(n.oid, o.oid, 'MEMBER'), false)
		FROM pg_roles o LEFT JOIN pg_roles n ON n.rolname = $1 WHERE o.rolname = $2`, a.New, a.Owner)
	if err != nil {
		return nil, err
	}
	now, err := one(rows, 2)
	if err != nil {
		return nil, err
	}
	if now[0] != "t" {
		statements = append(statements, "CREATE ROLE "+name(a.New))
	}
	if a.New != a.Owner && now[1] != "t" {
		statements = append(statements, fmt.Sprintf("GRANT %s TO %s", name(a.Owner), name(a.New)))
	}
	settings, err := c.Read(ctx, `SELECT r.rolname = $1, coalesce(d.datname, ''), split_part(e, '=', 1), substr(e, strpos(e, '=') + 1)
		FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) e
		WHERE r.rolname IN ($1, $2) ORDER BY 1, 2, 3`, a.Old, a.New)
	if err != nil {
		return nil, err
	}
	in := func(db string) string {
		if db == "" {
			return ""
		}
		return " IN DATABASE " + name(db)
	}
	reset := map[string]bool{}
	for _, s := range settings {
		if s[0] != "t" && !reset[s[1]] {
			reset[s[1]] = true
			statements = append(statements, fmt.Sprintf("ALTER ROLE %s%s RESET ALL", name(a.New), in(s[1])))
		}
	}
	for _, s := range settings {
		if s[0] == "t" && s[2] != "role" {
			statements = append(statements, fmt.Sprintf("ALTER ROLE %s%s SET %s TO %s", name(a.New), in(s[1]), setting(s[2]), value(s[2], s[3])))
		}
	}
	if a.New != a.Owner {
		statements = append(statements, fmt.Sprintf("ALTER ROLE %s SET role TO %s", name(a.New), text(a.Owner)))
	}
	return statements, nil
}

// setting is a setting's name, whose parts a point separates.
func setting(s string) string {
	parts := strings.Split(s, ".")
	for i := range parts {
		parts[i] = name(parts[i])
	}
	return strings.Join(parts, ".")
}

// lists are the settings that hold lists of quoted names: given as one constant they would be one name (GUC_LIST_QUOTE in
// PostgreSQL's sources, and what pg_dump does about them).
var lists = []string{"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"}

func value(setting, v string) string {
	if !slices.Contains(lists, strings.ToLower(setting)) {
		return text(v)
	}
	var out []string
	for rest := strings.TrimSpace(v); rest != ""; {
		var item string
		if rest[0] == '"' {
			for rest = rest[1:]; rest != ""; {
				before, after, _ := strings.Cut(rest, `"`)
				item, rest = item+before, after
				if !strings.HasPrefix(rest, `"`) {
					break
				}
				item, rest = item+`"`, rest[1:]
			}
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			item, rest, _ = strings.Cut(rest, ",")
			item = strings.TrimSpace(item)
		}
		out, rest = append(out, text(item)), strings.TrimSpace(rest)
	}
	if len(out) == 0 {
		return "''"
	}
	return strings.Join(out, ", ")
}

func back(ctx context.Context, c database.Conn, a database.Accounts, _ *database.Target, password secret.Value) error {
	v, err := verifier(password)
	if err != nil {
		return err
	}
	return c.Change(ctx, "set the old password again", fmt.Sprintf("ALTER ROLE %s PASSWORD %s", name(a.Old), text(v)))
}

func cut(ctx context.Context, c database.Conn, _ database.Accounts, user string, random secret.Value) error {
	r, err := look(ctx, c, user)
	if err != nil || !r.there {
		return err
	}
	v, err := verifier(random)
	if err != nil {
		return err
	}
	return c.Change(ctx, "replace the password of an account", fmt.Sprintf("ALTER ROLE %s PASSWORD %s", name(user), text(v)))
}

// rights digests on the server: of a hundred thousand tables only a sum is sent.
func rights(ctx context.Context, c database.Conn) (digest, what string, err error) {
	rows, err := c.Read(ctx, `SELECT current_user, session_user, count(*), md5(coalesce(string_agg(x, E'\n' ORDER BY x), '')) FROM (
		SELECT 'relation ' || c.oid || ' ' || p AS x FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
			unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER']) p
			WHERE c.relkind IN ('r','v','m','p','f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND has_table_privilege(c.oid, p)
		UNION ALL SELECT 'sequence ' || c.oid || ' ' || p FROM pg_class c, unnest(ARRAY['USAGE','SELECT','UPDATE']) p WHERE c.relkind = 'S' AND has_sequence_privilege(c.oid, p)
		UNION ALL SELECT 'owner of ' || c.oid FROM pg_class c WHERE pg_has_role(c.relowner, 'USAGE')
		UNION ALL SELECT 'schema ' || n.oid || ' ' || p FROM pg_namespace n, unnest(ARRAY['USAGE','CREATE']) p WHERE n.nspname !~ '^pg_' AND has_schema_privilege(n.oid, p)
		UNION ALL SELECT 'function ' || f.oid FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
			WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND has_function_privilege(f.oid, 'EXECUTE')
		UNION ALL SELECT 'database ' || d.oid || ' ' || p FROM pg_database d, unnest(ARRAY['CONNECT','CREATE','TEMPORARY']) p WHERE has_database_privilege(d.oid, p)
		UNION ALL SELECT 'role ' || r.oid FROM pg_roles r WHERE r.rolname <> current_user AND pg_has_role(r.oid, 'USAGE')
		UNION ALL SELECT 'is ' || rolname || rolsuper || rolcreaterole || rolcreatedb || rolbypassrls FROM pg_roles WHERE rolname = current_user
		UNION ALL SELECT 'set ' || s || '=' || current_setting(s) FROM unnest(ARRAY['search_path','default_transaction_isolation','TimeZone','DateStyle']) s
	) all_of_it`)
	if err != nil {
		return "", "", err
	}
	r, err := one(rows, 4)
	if err != nil {
		return "", "", err
	}
	return r[0] + " " + r[3], fmt.Sprintf("acts as %q, %s rights", r[0], r[2]), nil
}

func sessions(ctx context.Context, c database.Conn, user, mark string) (all []database.Session, err error) {
	query, args := `SELECT pid, coalesce(application_name, ''), coalesce(host(client_addr), 'local or hidden'), coalesce(datname, ''), coalesce(to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', 'a time that is hidden')
		FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid() AND coalesce(application_name, '') <> current_setting('application_name')`, []string{user}
	if mark != "" {
		query, args = query+` AND backend_start < $2::timestamptz`, append(args, mark)
	}
	rows, err := c.Read(ctx, query+` ORDER BY backend_start, pid`, args...)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		all = append(all, database.Session{ID: r[0], About: fmt.Sprintf("application %q from %s at database %q since %s", r[1], r[2], r[3], r[4])})
	}
	return all, nil
}

// end names the account besides: a process ID may be another's by now.
func end(ctx context.Context, c database.Conn, user string, open []database.Session) error {
	ids := make([]string, len(open))
	for i, s := range open {
		ids[i] = text(s.ID) + "::int"
	}
	return c.Change(ctx, "end sessions", fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND pid IN (%s)", text(user), strings.Join(ids, ", ")))
}
