package redact

import (
	"encoding/json"
	"net/url"
	"strings"
)

const (
	leastPart  = 8   // bytes of the shortest line or JSON leaf removed by itself
	maxExpand  = 256 // bytes of the longest value, or line of one, that is looked for byte by byte, at 32 times its size
	maxNesting = 4   // JSON in a leaf of JSON in ...
)

// formsOf is every text by which v is recognised: v itself, v without surrounding white space, each line of
// it, each leaf of a JSON document, the password of a URL, what is assigned in NAME=value; and for each of
// them its encodings. None is shorter than Least. short says that a part which matters is.
func formsOf(v string) (forms []string, short bool) {
	p := parts{found: map[string]bool{}}
	p.must(v)
	p.split(v, 0)
	for part := range p.found {
		for _, f := range encodings(part) {
			if len(f) >= Least {
				forms = append(forms, f)
			}
		}
	}
	return forms, p.short
}

type parts struct {
	found map[string]bool
	short bool
}

// must adds what is secret for certain, may what is worth removing only when it is no common word.
func (p *parts) must(v string) {
	if t := strings.TrimSpace(v); t != "" && len(t) < Least {
		p.short = true
	}
	p.add(v, Least)
}

func (p *parts) may(v string) { p.add(v, leastPart) }

func (p *parts) add(v string, least int) {
	for _, s := range []string{v, strings.TrimSpace(v)} {
		if len(strings.TrimSpace(s)) >= least {
			p.found[s] = true
		}
	}
}

func (p *parts) split(v string, nesting int) {
	if nesting > maxNesting {
		return
	}
	if doc, ok := document(v); ok {
		p.leaves("", doc, nesting)
		return
	}
	p.password(v)
	lines := strings.FieldsFunc(v, func(r rune) bool { return r == '\n' || r == '\r' })
	for _, line := range lines {
		// The lines around a PEM block are the same in every one of them.
		if len(lines) > 1 && !strings.HasPrefix(line, "-----") {
			p.may(line)
		}
		if name, value, ok := strings.Cut(line, "="); ok && variable(strings.TrimPrefix(strings.TrimSpace(name), "export ")) {
			value = strings.Trim(strings.TrimSpace(value), `"'`)
			p.leaf(name, value)
			p.password(value)
		}
	}
}

// leaf adds a value that has a name.
func (p *parts) leaf(name, v string) {
	name = strings.ToLower(name)
	for _, word := range []string{"pass", "pwd", "secret", "token", "key", "pin", "credential"} {
		if strings.Contains(name, word) {
			p.must(v)
			return
		}
	}
	p.may(v)
}

// document is v parsed, where it is a JSON object or list.
func document(v string) (any, bool) {
	if t := strings.TrimSpace(v); t == "" || t[0] != '{' && t[0] != '[' {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(v))
	d.UseNumber()
	var doc any
	if d.Decode(&doc) != nil || d.More() {
		return nil, false
	}
	return doc, true
}

// address is the keys which are no secret in the documents that AWS Secrets Manager keeps for databases ("JSON
// structure of AWS Secrets Manager database credential secrets"): removing "postgres" destroys text.
var address = map[string]bool{"engine": true, "host": true, "port": true, "username": true, "dbname": true,
	"dbInstanceIdentifier": true, "dbClusterIdentifier": true, "masterarn": true}

// public is the members of a JSON Web Key that are no secret (RFC 7517, RFC 7518 section 6): its key IDs and public keys
// are what people verify by.
var public = map[string]bool{"kty": true, "use": true, "key_ops": true, "alg": true, "kid": true, "crv": true, "x": true, "y": true,
	"n": true, "e": true, "x5u": true, "x5c": true, "x5t": true, "x5t#S256": true}

func (p *parts) leaves(name string, doc any, nesting int) {
	switch d := doc.(type) {
	case string:
		p.leaf(name, d)
		p.split(d, nesting+1)
	case json.Number:
		p.leaf(name, d.String())
	case []any:
		for _, e := range d {
			p.leaves(name, e, nesting)
		}
	case map[string]any:
		_, database := d["password"]
		_, key := d["kty"]
		for k, e := range d {
			if (!database || !address[k]) && (!key || !public[k]) {
				p.leaves(k, e, nesting)
			}
		}
	}
}

// password adds the password of a connection URL, as it stands there and decoded.
func (p *parts) password(v string) {
	v = strings.TrimSpace(v)
	u, err := url.Parse(v)
	if err != nil || u.User == nil {
		return
	}
	decoded, ok := u.User.Password()
	_, rest, found := strings.Cut(v, "//")
	if !ok || !found {
		return
	}
	p.must(decoded)
	authority, _, _ := strings.Cut(rest, "/")
	_, raw, _ := strings.Cut(authority[:max(0, strings.LastIndexByte(authority, '@'))], ":")
	p.add(raw, Least)
}

func variable(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
