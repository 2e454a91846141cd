package database

import (
	"crypto/tls"
	"crypto/x509"
	"strings"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/secret/spec"
	"github.com/rastup/rekey/internal/staging"
)

// Strategies.
const (
	Alternating = "alternating-users"
	SingleUser  = "single-user"
	Dual        = "dual-password" // MySQL 8.0.14 and later
)

// A Target is one database account's secret: the kinds' own have the same fields, and comments for the schema.
type Target struct {
	// Secret is the name or ARN of the account's secret in AWS Secrets Manager: a JSON document with engine, host, port, dbname, username and password.
	Secret string `json:"secret" yaml:"secret" rekey:"required" jsonschema:"required"`
	// Admin is the name or ARN of the secret with the administering account, which has a row of its own in the registry.
	Admin string `json:"admin" yaml:"admin" rekey:"required" jsonschema:"required"`
	// Host that the administering account logs in at, where its own secret names none. The account's secret must name the same.
	Host string `json:"host,omitempty" yaml:"host"`
	// Strategy is alternating-users (default) or single-user; for MySQL 8 also dual-password.
	Strategy string `json:"strategy,omitempty" yaml:"strategy" jsonschema:"enum=alternating-users,enum=single-user,enum=dual-password"`
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
func (t *Target) Identity() string { return staging.Identity(t.Secret) }

// Plan is the strategy, or its default.
func (t *Target) Plan() string {
	if t.Strategy == "" {
		return Alternating
	}
	return t.Strategy
}

// Accounts are those of a rotation away from user.
func (t *Target) Accounts(user string) (Accounts, bool) {
	if t.Plan() != Alternating {
		return Accounts{Owner: user, Old: user, New: user}, true
	}
	first, second := strings.TrimSuffix(user, clone), strings.TrimSuffix(user, clone)+clone
	if len(t.Users) == 2 {
		first, second = t.Users[0], t.Users[1]
	}
	switch user {
	case first:
		return Accounts{first, first, second}, true
	case second:
		return Accounts{first, second, first}, true
	}
	return Accounts{}, false
}

// clone is what Secrets Manager's own rotation functions call the second account, too.
const clone = "_clone"

// CheckFor reports what can't be right wherever the account lives.
func (t *Target) CheckFor(r *problem.Report, e Engine) {
	for _, at := range []struct{ key, name string }{{"secret", t.Secret}, {"admin", t.Admin}} {
		if msg, hint := staging.CheckName(at.name); msg != "" {
			r.Add(at.key, "secret-name", hint, "%s %s", problem.Quote(at.name), msg)
		}
	}
	if t.Secret != "" && t.Identity() == staging.Identity(t.Admin) {
		r.Add("admin", "admin", "name the secret of an account that may change others' passwords", "the account can't administer its own rotation")
	}
	t.checkUsers(r, e)
	t.checkTLS(r)
	for _, p := range t.Generate.Problems() {
		r.Add("generate."+p.Key, "generate", p.Hint, "%s", p.Msg)
	}
}

func (t *Target) checkUsers(r *problem.Report, e Engine) {
	switch {
	case len(t.Users) == 0:
	case t.Plan() != Alternating:
		r.Add("users", "users", "leave them out", "strategy %s has one account", t.Plan())
	case len(t.Users) != 2 || t.Users[0] == t.Users[1]:
		r.Add("users", "users", "two different names, the one that owns what is made first", "%d accounts can't alternate", len(t.Users))
	}
	for _, u := range t.Users {
		if msg := badUser(u, e); msg != "" {
			r.Add("users", "users", "rename the account", "%s %s", problem.Quote(u), msg)
		}
	}
}

// badUser says what is wrong with an account's name.
func badUser(name string, e Engine) string {
	switch {
	case name == "":
		return "is no name"
	case strings.ContainsRune(name, 0):
		return "holds a zero character"
	case len(name) > e.LongUser:
		return "is too long for " + e.Called
	}
	return ""
}

func (t *Target) checkTLS(r *problem.Report) {
	if t.CA == "" {
		return
	}
	if t.TLS == "encrypt" || t.TLS == "off" {
		r.Add("ca", "tls", "leave tls out to have the certificate verified", "tls is %s, so no certificate is verified", t.TLS)
	}
	if t.TLS != "encrypt" && t.TLS != "off" && !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)) {
		r.Add("ca", "tls", "-----BEGIN CERTIFICATE----- and so on, as a block: ca: |", "ca holds no certificate")
	}
}

// TLS says how a connection is protected. The zero TLS verifies.
type TLS struct {
	Off, Unverified bool
	CA              string // PEM; "": the system's
}

func (t *Target) secure() TLS {
	return TLS{Off: t.TLS == "off", Unverified: t.TLS == "encrypt", CA: t.CA}
}

// Config is for crypto/tls; nil when it is off.
func (t TLS) Config(host string) *tls.Config {
	if t.Off {
		return nil
	}
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Unverified}
	if t.CA != "" {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(t.CA))
	}
	return c
}
