package database

import (
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// A document is what a database account's secret says. Only the password is secret.
type document struct {
	engine, host, name, user string
	port                     int
	password                 secret.Value
}

// read takes a version's content apart. called names the secret in refusals, which quote nothing of it.
func (h *handler) read(c staging.Content, called string) (document, error) {
	const hint = `have it stored as {"engine":"…","host":"…","port":…,"dbname":"…","username":"…","password":"…"}`
	var raw struct {
		Engine, Host, Dbname, Username, Password string
		Port                                     json.RawMessage
	}
	if c.Empty() || c.Binary || json.Unmarshal(c.Reveal(), &raw) != nil {
		return document{}, rotation.Failf(hint, "%s isn't a JSON document that tells how to log in", called)
	}
	d := document{engine: raw.Engine, host: raw.Host, name: raw.Dbname, user: raw.Username, port: h.engine.Port, password: h.keep.Known([]byte(raw.Password))}
	if port := strings.Trim(string(raw.Port), `"`); port != "" && port != "null" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return document{}, rotation.Failf(hint, "%s names no port between 1 and 65535", called)
		}
		d.port = n
	}
	switch {
	case d.user == "" || d.password.Empty():
		return document{}, rotation.Failf(hint, "%s lacks username or password", called)
	case d.engine != "" && !slices.Contains(h.engine.Engines, d.engine):
		return document{}, rotation.Failf("choose the kind of that engine, or have the document say "+strings.Join(h.engine.Engines, " or "),
			"%s is of another engine than %s", called, h.engine.Called)
	case strings.ContainsRune(d.user+d.name+d.host, 0):
		return document{}, rotation.Failf(hint, "%s holds a zero character", called)
	}
	return d, nil
}

func (d document) login(t *Target) Login {
	return Login{Host: d.host, Port: d.port, Database: d.name, User: d.user, Password: d.password, TLS: t.secure()}
}

func (d document) server() string { return net.JoinHostPort(d.host, strconv.Itoa(d.port)) }

// rewrite is the document for another user and password; every other byte stays.
func (h *handler) rewrite(old staging.Content, user string, password secret.Value) (secret.Value, error) {
	doc, err := staging.Replace(old.Reveal(), "username", user)
	if err != nil {
		return secret.Value{}, err
	}
	if doc, err = staging.Replace(doc, "password", string(password.Reveal())); err != nil {
		return secret.Value{}, err
	}
	return h.keep.Known(doc), nil
}
