package secretsmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/secret/spec"
)

var silent = secret.Keeper{Seen: func([]byte) {}}

// madeBy is a first value of a sort.
func madeBy(t *testing.T, k spec.KeyPair) secret.Value {
	t.Helper()
	p := pair{k, silent}
	signer, err := p.generate()
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.pem(signer)
	if p.As() == spec.JWKS {
		v, err = p.set(signer)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var pairs = []spec.KeyPair{
	{Type: spec.RSA, Bits: 2048}, {Type: spec.RSA}, {Type: spec.ECDSA}, {Type: spec.ECDSA, Curve: "P-384"}, {Type: spec.ECDSA, Curve: "P-521"}, {Type: spec.Ed25519},
	{Type: spec.RSA, Bits: 2048, Format: spec.JWKS, Algorithm: "PS256"}, {Type: spec.ECDSA, Curve: "P-384", Format: spec.JWKS}, {Type: spec.Ed25519, Format: spec.JWKS},
}

func TestEverySortOfPairIsMadeProvenAndLeftAlone(t *testing.T) {
	for _, k := range pairs {
		t.Run(strings.ReplaceAll(k.String(), " ", "-"), func(t *testing.T) {
			p := pair{k, silent}
			old := madeBy(t, k)
			files, err := p.fit(old)
			if err != nil || len(files) != 1 || !strings.Contains(string(files[0].Data), "PUBLIC KEY") || strings.Contains(string(files[0].Data), "PRIVATE") {
				t.Fatalf("%v, %v", files, err)
			}
			made, err := p.next(t.Context(), old)
			if err != nil {
				t.Fatal(err)
			}
			text, files, err := p.prove(old, made)
			if err != nil || !strings.Contains(text, k.String()) || strings.Contains(string(files[0].Data), "PRIVATE") {
				t.Fatalf("%q %v %v", text, files, err)
			}
			if k.As() != spec.JWKS {
				return
			}
			third, err := p.next(t.Context(), made) // what stood beside has had its time
			if err != nil {
				t.Fatal(err)
			}
			if n := trusts(p, third, made); n != 1 {
				t.Errorf("a third set trusts %d others", n)
			}
			one, err := p.alone(made)
			if err != nil || trusts(p, one, old) != 0 || !signsAlike(p, one, made) {
				t.Errorf("alone: %v", err)
			}
			var set struct{ Keys []map[string]any }
			if err := json.Unmarshal(made.Reveal(), &set); err != nil || len(set.Keys) != 2 {
				t.Fatalf("%v", err)
			}
			for i, key := range set.Keys {
				if _, private := key["d"]; private != (i == 0) || key["alg"] != p.For() || key["use"] != "sig" || key["kid"] == "" || key["kid"] == set.Keys[1-i]["kid"] {
					t.Errorf("key %d: private %v, alg %v, use %v", i, private, key["alg"], key["use"])
				}
			}
		})
	}
}

func TestWhatIsNoPairIsRefusedAndNothingOfItIsQuoted(t *testing.T) {
	ed, set := pair{spec.KeyPair{Type: spec.Ed25519}, silent}, pair{spec.KeyPair{Type: spec.Ed25519, Format: spec.JWKS}, silent}
	rsa := madeBy(t, spec.KeyPair{Type: spec.RSA, Bits: 2048})
	good, goodSet := madeBy(t, ed.KeyPair), madeBy(t, set.KeyPair)
	nextSet, _ := set.next(t.Context(), goodSet)
	two := strings.Replace(string(goodSet.Reveal()), "[{", "["+strings.TrimSuffix(strings.TrimPrefix(string(madeBy(t, set.KeyPair).Reveal()), `{"keys":[`), "]}")+",{", 1)
	var out strings.Builder
	say := func(what string, err error) {
		var f *rotation.Failure
		if !errors.As(err, &f) {
			t.Errorf("%s: %v", what, err)
			return
		}
		fmt.Fprintf(&out, "%s\n  %s\n  hint: %s\n", what, f.Msg, f.Hint)
	}
	fit := func(what string, p pair, v string) {
		_, err := p.fit(silent.Known([]byte(v)))
		say("old: "+what, err)
	}
	fit("a password where a PEM is wanted", ed, first)
	fit("a certificate", ed, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
	fit("a broken PEM", ed, "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n")
	fit("a password where a set is wanted", set, first)
	fit("a set of nothing", set, `{"keys":[]}`)
	fit("a set of public keys", set, publicOnly(t, nextSet))
	fit("two private keys", set, two)
	fit("a symmetric key", set, `{"keys":[{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQ"}]}`)
	prove := func(what string, p pair, old, made secret.Value) {
		_, _, err := p.prove(old, made)
		say("new: "+what, err)
	}
	prove("of another type", ed, good, rsa)
	prove("the old one", ed, good, good)
	prove("no key", ed, good, silent.Known([]byte(first)))
	prove("a set without the old key", set, goodSet, madeBy(t, set.KeyPair))
	prove("a set with another's old key", set, madeBy(t, set.KeyPair), nextSet)
	_, err := set.alone(silent.Known([]byte(first)))
	say("alone: no set", err)
	_, err = set.next(context.Background(), silent.Known([]byte(first)))
	say("next: of no set", err)
	if text := out.String(); strings.Contains(text, first) || strings.Contains(text, "c2VjcmV0") {
		t.Errorf("a value shows in\n%s", text)
	}
	goldentest.Equal(t, "pairs.txt", out.String())
}

func publicOnly(t *testing.T, set secret.Value) string {
	t.Helper()
	var all struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(set.Reveal(), &all); err != nil {
		t.Fatal(err)
	}
	return `{"keys":[` + string(all.Keys[1]) + `]}`
}

// A rotation of a set, step by step: what people read, which versions there are, what is left as evidence.
func TestASetOverlapsForTheTimeOfTheRetention(t *testing.T) {
	target := Target{Key: "keys", KeyPair: &spec.KeyPair{Type: spec.ECDSA, Format: spec.JWKS}}
	l := newLab(t, target)
	doc, err := json.Marshal(map[string]string{"issuer": "https://app.example", "keys": string(madeBy(t, *target.KeyPair).Reveal())})
	l.ok(err)
	l.put(string(doc))
	l.run("preflight", "create", "test", "promote", "retire", "decommission")
	var left []string
	for _, v := range l.secret().Versions {
		left = append(left, strings.Join(v.Labels, "+"))
	}
	if got := strings.Join(left, " "); strings.TrimSpace(got) != "AWSCURRENT" {
		t.Errorf("labels left: %q", got)
	}
	live := l.secret().At("AWSCURRENT")
	if !strings.HasPrefix(live.Text, `{"issuer":"https://app.example","keys":"{`) {
		t.Error("the document isn't what it was around the keys")
	}
	id := rotation.PastOf(l.records).Token("retire", "value")
	if live.ID != id {
		t.Errorf("%s is live", live.ID)
	}
	ids := map[string]string{}
	for i, v := range l.secret().Versions {
		ids[v.ID] = fmt.Sprintf("<version %d>", i+1)
	}
	text := strings.Join(l.said, "\n")
	for full, short := range ids {
		text = strings.NewReplacer(full, short, full[:13]+"…", short).Replace(text)
	}
	goldentest.Equal(t, "set.txt", text+"\n")
	l.silent()
}

func TestAKeyPairsProblemsAreAllReported(t *testing.T) {
	for _, c := range []struct {
		k    spec.KeyPair
		keys string
	}{
		{spec.KeyPair{Type: spec.RSA}, ""}, {spec.KeyPair{Type: "dsa"}, "type"},
		{spec.KeyPair{Type: spec.Ed25519, Bits: 2048, Curve: "P-256", Format: "der", Algorithm: "ES256"}, "bits curve format algorithm"},
		{spec.KeyPair{Type: spec.RSA, Bits: 1024}, "bits"}, {spec.KeyPair{Type: spec.ECDSA, Curve: "P-224"}, "curve"},
		{spec.KeyPair{Type: spec.ECDSA, Curve: "P-384", Format: spec.JWKS, Algorithm: "ES256"}, "algorithm"},
		{spec.KeyPair{Type: spec.RSA, Algorithm: "RS256"}, "algorithm"},
		{spec.KeyPair{Type: spec.RSA, Format: spec.JWKS, Algorithm: "PS512"}, ""},
	} {
		var keys []string
		for _, p := range c.k.Problems() {
			keys = append(keys, p.Key)
			if p.Hint == "" {
				t.Errorf("%+v: %s without a hint", c.k, p.Key)
			}
		}
		if !slices.Equal(keys, strings.Fields(c.keys)) {
			t.Errorf("%+v: %v, want %s", c.k, keys, c.keys)
		}
	}
}
