// Package rdsmaster is the kind of master users' passwords of RDS instances and Aurora clusters, kept in AWS Secrets
// Manager. RDS changes one by ModifyDBInstance or ModifyDBCluster, applies that a while later, and never shows it.
//
//   - A new value is stored before RDS hears of it.
//   - Old and new don't overlap: from when RDS applies the new one until it is promoted, new logins with what consumers
//     read are refused, and likewise on the way back. Nothing stands between the two but the proof.
//   - RDS says when a change is applied, not which password is in force. So a process goes by what it sent itself, and
//     sends again what another one may have sent: the same password twice is one password.
//   - That the new one logs in, and the old one doesn't, is for the checks to show: nothing here connects to a database.
//
// It must never send a password that isn't stored, nor to another database than the one that preflight saw, nor change one
// that RDS rotates itself.
package rdsmaster

import (
	"regexp"
	"strings"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/secret/spec"
	"github.com/rastup/rekey/internal/staging"
)

// forbidden are the printable characters, besides the space, that RDS takes in no password (RDS API reference, ModifyDBInstance).
const forbidden = `/"@`

// Bounds of a password, of all engines together. A generated one is longer than the shortest in any case: see spec.LeastBits.
const (
	shortest = 8
	longest  = 128
)

var identifier = regexp.MustCompile(`^[A-Za-z](-?[A-Za-z0-9]){0,62}$`)

// A Target is one master user's password.
type Target struct {
	// Secret is the name or ARN of the secret in AWS Secrets Manager that holds the master user's password, in a JSON object.
	Secret string `json:"secret" yaml:"secret" rekey:"required" jsonschema:"required"`
	// Key of the JSON object that holds the password, by default password.
	Key string `json:"key,omitempty" yaml:"key"`
	// Instance is the identifier of the DB instance, where it belongs to no cluster.
	Instance string `json:"instance,omitempty" yaml:"instance"`
	// Cluster is the identifier of the DB cluster, instead of an instance.
	Cluster string `json:"cluster,omitempty" yaml:"cluster"`
	// KMSKey is the key that the secret must be encrypted with: ID, ARN or alias, as the secret names it. Left out, any.
	KMSKey string `json:"kms_key,omitempty" yaml:"kms_key"`
	// Generate says how new passwords look: 8 to 128 characters, for MySQL and MariaDB to 41. The characters / " @ are never in one.
	Generate spec.Spec `json:"generate,omitzero" yaml:"generate"`
}

// Identity is the secret's.
func (t *Target) Identity() string { return staging.Identity(t.Secret) }

func (t *Target) stored() staging.Secret { return staging.Secret{Name: t.Secret, KMSKey: t.KMSKey} }

func (t *Target) key() string {
	if t.Key == "" {
		return "password"
	}
	return t.Key
}

// generate is Generate without what RDS takes in no password.
func (t *Target) generate() spec.Spec {
	s := t.Generate
	s.Exclude += forbidden
	return s
}

// called is the database as people read it.
func (t *Target) called() string {
	if t.Cluster != "" {
		return "cluster " + t.Cluster
	}
	return "instance " + t.Instance
}

// Check reports what can't be right whatever RDS says.
func (t *Target) Check(r *problem.Report) {
	if msg, hint := staging.CheckName(t.Secret); msg != "" {
		r.Add("secret", "secret-name", hint, "%s %s", problem.Quote(t.Secret), msg)
	}
	switch {
	case t.Instance != "" && t.Cluster != "":
		r.Add("cluster", "instance-or-cluster", "an Aurora instance's password is its cluster's: then keep cluster alone", "instance and cluster are both given")
	case t.Instance == "" && t.Cluster == "":
		r.Add("", "instance-or-cluster", "name the DB instance as instance, or the Aurora cluster as cluster", "it names no database")
	}
	for field, id := range map[string]string{"instance": t.Instance, "cluster": t.Cluster} {
		if id != "" && (!identifier.MatchString(id) || len(id) > 63) {
			r.Add(field, "identifier", "letters, digits and single hyphens, beginning with a letter, 63 characters at most; not the ARN, nor the endpoint",
				"%s is no identifier of a database", problem.Quote(id))
		}
	}
	problems := t.generate().Problems()
	for _, p := range problems {
		r.Add("generate."+p.Key, "generate", p.Hint, "%s", p.Msg)
	}
	if strings.ContainsAny(t.Generate.Characters, forbidden) {
		r.Add("generate.characters", "generate", "leave them out", `RDS takes none of / " @ in a password`)
	}
	if n := t.Generate.Len(); len(problems) == 0 && n > longest {
		r.Add("generate.length", "generate", "leave it out for 32", "%d characters: RDS takes %d at most", n, longest)
	}
}
