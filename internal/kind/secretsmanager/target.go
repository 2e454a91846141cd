// Package secretsmanager is the kind of secrets whose values are made here and live in AWS Secrets Manager alone: the
// whole value, or one key of a JSON value, whose other bytes stay as they are. A value is characters drawn at random, or
// a private key.
//
// In a JWK set the new private key stands first, and the public key that it replaces beside it: who verifies by the set
// goes on trusting what was signed before the rotation, until the retention is over and a version without it follows.
//
// Old and new overlap: the old version stays readable under AWSPREVIOUS and a label of ours until decommission.
// That the old value is refused afterwards can't be proven here: nobody but its consumers checks it, and a version
// without labels stays readable by its ID until Secrets Manager prunes it, which no call can hasten. Where a
// system refuses old credentials, its kind proves that.
//
// It must never derive anything from a value for people to see, nor rotate a secret that another service manages.
package secretsmanager

import (
	"strings"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/secret/spec"
	"github.com/rastup/rekey/internal/staging"
)

// A Target is one secret, or one key in it.
type Target struct {
	// Secret is the name or ARN of the secret in AWS Secrets Manager.
	Secret string `json:"secret" yaml:"secret" rekey:"required" jsonschema:"required"`
	// Key of the secret's JSON value to rotate, whose value is a string. Left out, the whole value is rotated.
	Key string `json:"key,omitempty" yaml:"key"`
	// KMSKey is the key that the secret must be encrypted with: ID, ARN or alias, as the secret names it. Left out, any.
	KMSKey string `json:"kms_key,omitempty" yaml:"kms_key"`
	// Generate says how new values look. Default: 32 alphanumeric characters.
	Generate spec.Spec `json:"generate,omitzero" yaml:"generate"`
	// KeyPair makes new values private keys instead.
	KeyPair *spec.KeyPair `json:"key_pair,omitempty" yaml:"key_pair"`
	// Command makes new values instead: it prints {"value": "..."} on standard output.
	Command *Command `json:"command,omitempty" yaml:"command"`
}

// overlaps says whether a version holds something of the one before.
func (t *Target) overlaps() bool { return t.KeyPair != nil && t.KeyPair.As() == spec.JWKS }

// Identity is the secret's name, whether Secret is a name or an ARN. Two keys of one secret are the same target:
// its versions and labels are one, so that only one rotation can go on in it.
func (t *Target) Identity() string {
	return staging.Identity(t.Secret)
}

// Check reports what can't be right wherever the secret lives.
func (t *Target) Check(r *problem.Report) {
	if msg, hint := staging.CheckName(t.Secret); msg != "" {
		r.Add("secret", "secret-name", hint, "%s %s", problem.Quote(t.Secret), msg)
	}
	for _, p := range t.Generate.Problems() {
		r.Add("generate."+p.Key, "generate", p.Hint, "%s", p.Msg)
	}
	if t.KeyPair != nil {
		for _, p := range t.KeyPair.Problems() {
			r.Add("key_pair."+p.Key, "key-pair", p.Hint, "%s", p.Msg)
		}
	}
	var given []string
	for _, key := range []string{"generate", "key_pair", "command"} {
		if r.Has(key) {
			given = append(given, key)
		}
	}
	if len(given) > 1 {
		r.Add(given[1], "generate", "keep one of them", "%s are both given", strings.Join(given, " and "))
	}
}
