// Package typesense is the kind of API keys of Typesense. A new value is generated here and stored in AWS Secrets Manager
// before Typesense hears of it; then it becomes a key with the actions, collections and expiry of the old one. The same
// value can't become two keys: Typesense answers that it is there already, and it is found by its description.
//
//   - Old and new overlap: both keys work until the old one is deleted, which is final.
//   - The proof is an operation that the key allows, on every node: /health needs no key, and followers may lag.
//   - Of a key from which scoped search keys are derived the overlap lasts as long as the longest of those: they are dead
//     with their parent.
//   - Afterwards the old value is tried on every node, and must be refused.
//
// The bootstrap key (--api-key) is none of these: only a restart of the servers changes it.
//
// It must never delete a key whose ID no record names, nor show what Typesense answers beyond its status: a key's value
// is in the answer that makes it, and its first letters are in every other.
package typesense

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret/spec"
	"github.com/rastup/rekey/internal/staging"
)

// maxLength is the longest value that every server takes for a key of its own: older ones take longer ones for scoped
// keys (Typesense, auth_manager.cpp).
const maxLength = 32

// MostScoped bounds Target.Scoped.
const MostScoped = rotation.Duration(90 * 24 * time.Hour)

// A Target is one API key, and where its value is stored.
type Target struct {
	// Secret is the name or ARN of the secret in AWS Secrets Manager that holds the key's value.
	Secret string `json:"secret" yaml:"secret" rekey:"required" jsonschema:"required"`
	// Key of the secret's JSON value that holds it. Left out, the whole value is the API key.
	Key string `json:"key,omitempty" yaml:"key"`
	// KMSKey is the key that the secret must be encrypted with: ID, ARN or alias, as the secret names it. Left out, any.
	KMSKey string `json:"kms_key,omitempty" yaml:"kms_key"`
	// Nodes are the addresses of all nodes of the cluster, such as https://node1.example.com:8108. Keys are made and
	// deleted through the first.
	Nodes []string `json:"nodes" yaml:"nodes" rekey:"required" jsonschema:"required"`
	// Admin is where the API key lies that may list, make and delete keys. It is read, never written.
	Admin Admin `json:"admin" yaml:"admin" rekey:"required" jsonschema:"required"`
	// Proof is the path of a GET that the key allows and no other key is needed for, such as
	// /collections/products/documents/search?q=*&query_by=name.
	Proof string `json:"proof" yaml:"proof" rekey:"required" jsonschema:"required"`
	// ID of the key at Typesense, for the first rotation: needed only where several keys begin with the same four letters.
	ID *int64 `json:"id,omitempty" yaml:"id"`
	// Scoped is the longest time for which a scoped search key that was derived from this key may still be in use, counted
	// from when the new one is live: its longest expiry, and the time issuers take to load the new one. The old key is kept
	// at least that long, also where it was stolen: all scoped keys end with it.
	Scoped rotation.Duration `json:"scoped,omitempty" yaml:"scoped"`
	// Generate says how new values look: 32 characters at most.
	Generate spec.Spec `json:"generate,omitzero" yaml:"generate"`
}

// Admin is a secret that is only read.
type Admin struct {
	// Secret is its name or ARN in AWS Secrets Manager.
	Secret string `json:"secret" yaml:"secret" rekey:"required" jsonschema:"required"`
	// Key of the secret's JSON value. Left out, the whole value.
	Key string `json:"key,omitempty" yaml:"key"`
}

// Identity is that of the stored secret.
func (t *Target) Identity() string { return staging.Identity(t.Secret) }

func (t *Target) stored() staging.Secret { return staging.Secret{Name: t.Secret, KMSKey: t.KMSKey} }

// Check reports what can't be right whatever Typesense says.
func (t *Target) Check(r *problem.Report) {
	for field, name := range map[string]string{"secret": t.Secret, "admin.secret": t.Admin.Secret} {
		if msg, hint := staging.CheckName(name); msg != "" {
			r.Add(field, "secret-name", hint, "%s %s", problem.Quote(name), msg)
		}
	}
	if t.Secret != "" && staging.Identity(t.Secret) == staging.Identity(t.Admin.Secret) && (t.Key == t.Admin.Key || t.Key == "") {
		r.Add("admin", "same-secret", "name a key that may list, make and delete keys, and isn't rotated here", "the admin key and the rotated one are in the same place")
	}
	if r.Has("nodes") && len(t.Nodes) == 0 {
		r.Add("nodes", "too-few", "name every node of the cluster", "there is no node")
	}
	seen := map[string]bool{}
	for i, n := range t.Nodes {
		field := fmt.Sprintf("nodes[%d]", i)
		u, err := url.Parse(n)
		switch {
		case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
			r.Add(field, "url", "such as https://node1.example.com:8108", "%s is no address of a node", problem.Quote(n))
		case u.User != nil:
			r.Add(field, "url-credentials", "addresses are printed: let it have no credentials in it", "the address holds credentials")
		case seen[strings.TrimSuffix(n, "/")]:
			r.Add(field, "duplicate", "leave it out here", "%s is named twice", problem.Quote(n))
		}
		seen[strings.TrimSuffix(n, "/")] = true
	}
	u, err := url.Parse(t.Proof)
	switch {
	case t.Proof == "":
	case err != nil || !strings.HasPrefix(t.Proof, "/") || u.Host != "":
		r.Add("proof", "path", "such as /collections/products/documents/search?q=*&query_by=name", "%s is no path", problem.Quote(t.Proof))
	case u.Path == "/health" || u.Query().Has("x-typesense-api-key"):
		r.Add("proof", "path", "name an operation that the key allows", "%s proves nothing: it needs no key, or has one in it", problem.Quote(u.Path))
	}
	if t.Scoped < 0 || t.Scoped > MostScoped {
		r.Add("scoped", "out-of-range", "give it at most 2160h (90 days)", "scoped is not between 0 and 90 days")
	}
	if t.Generate.Err() == nil && t.Generate.Len() > maxLength {
		r.Add("generate.length", "generate", "leave it out for 32", "%d characters: servers take a longer value for a scoped key", t.Generate.Len())
	}
	for _, p := range t.Generate.Problems() {
		r.Add("generate."+p.Key, "generate", p.Hint, "%s", p.Msg)
	}
}
