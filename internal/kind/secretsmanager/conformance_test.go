package secretsmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/internal/vaulttest"
	"github.com/rastup/rekey/internal/kind/kindtest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/secret/spec"
)

// TestConformance is of values that overlap in one version; the suite's own tests have a generated value.
func TestConformance(t *testing.T) { kindtest.Run(t, set) }

var set = kindtest.World{Kind: Kind(), Of: "key pair in a JWK set", Stride: 47, New: keyring}

func TestCosts(t *testing.T) { kindtest.Golden(t, *goldentest.Update, kindtest.Costs(t, set, nil)) }

// keyring is a JWK set whose verifiers read the public keys from the same secret.
func keyring(clock func() time.Time) kindtest.Instance {
	values := [5]string{}
	p := pair{spec.KeyPair{Type: spec.Ed25519, Format: spec.JWKS}, secret.Keeper{Seen: func([]byte) {}}}
	for i := range values {
		k, err := p.generate()
		if err != nil {
			panic(err)
		}
		v, err := p.set(k)
		if err != nil {
			panic(err)
		}
		values[i] = string(v.Reveal())
	}
	v, err := vaulttest.New(clock, values[0], values[1], values[2])
	if err != nil {
		panic(err)
	}
	v.Versions = 2
	ring := func(id string) []byte { return []byte(v.Value(id)) }
	return kindtest.Instance{
		Target:  json.RawMessage(`{"secret":"` + vaulttest.Name + `","key_pair":{"type":"ed25519","format":"jwks"}}`),
		Service: v.World.Handler(),
		Handler: func(rt http.RoundTripper, seen func([]byte)) (rotation.Handler, func(context.Context, rotation.Past) error, error) {
			s, arm, err := vaulttest.Session(rt, seen)
			if err != nil {
				return nil, nil, err
			}
			return New(kind.On(s, seen)), arm, nil
		},
		Reads: vaulttest.Reads, Name: vaulttest.Operation,
		State: v.State, Live: v.Live, Always: v.Always, Destroyed: v.Destroyed, Value: v.Value,
		Promoted: func() string { return v.Promoted(values[3]) },
		Begun:    func() func() error { return v.Begun(values[4]) },
		Happened: func(step string, past rotation.Past) error {
			now, was := p.keep.Known(ring(past.Fact("create", "new"))), p.keep.Known(ring(past.Fact("preflight", "old")))
			switch step {
			case "promote", "validate/health":
				if n := trusts(p, now, was); n != 1 {
					return fmt.Errorf("while both keys are to be trusted the set has %d others, or not the old one", n)
				}
			case "retire":
				alone := p.keep.Known(ring(past.Fact("retire", "new")))
				if n := trusts(p, alone, was); n != 0 || v.Live() != past.Fact("retire", "new") || !signsAlike(p, alone, now) {
					return fmt.Errorf("the live set isn't the new key alone: %d others", n)
				}
				return nil
			case "decommission":
				if n := trusts(p, p.keep.Known(ring(v.Live())), was); n != 0 {
					return fmt.Errorf("the old key is gone, and the live set has %d others", n)
				}
			}
			return v.Happened(step, past)
		},
		Finished: v.Finished, Restored: v.Restored,
	}
}

// trusts is how many public keys stand beside a set's own; -1 where the one of was isn't among those there are.
func trusts(p pair, set, was secret.Value) int {
	k, err := p.read(set)
	old, errOld := p.read(was)
	switch {
	case err != nil || errOld != nil:
		return -2
	case len(k.beside) > 0 && !same(k.beside[0].Key, old.Public()):
		return -1
	}
	return len(k.beside)
}

func signsAlike(p pair, a, b secret.Value) bool {
	x, errX := p.read(a)
	y, errY := p.read(b)
	return errX == nil && errY == nil && same(x.Public(), y.Public()) && !bytes.Equal(a.Reveal(), b.Reveal())
}
