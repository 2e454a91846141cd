package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Types of key pairs.
const (
	RSA     = "rsa"
	ECDSA   = "ecdsa"
	Ed25519 = "ed25519"
)

// Formats of key pairs.
const (
	PEM  = "pem"  // the private key, PKCS #8
	JWKS = "jwks" // a JWK set (RFC 7517): the private key first, then the public one that it replaced
)

// Defaults of a KeyPair.
const (
	DefaultBits  = 3072
	DefaultCurve = "P-256"
)

// Curves are the names that KeyPair.Curve knows.
var Curves = []string{"P-256", "P-384", "P-521"}

// algorithms are what a JWK of a type may be for (RFC 7518, section 3.1; RFC 8037), by type or curve, the default first.
var algorithms = map[string][]string{
	RSA: {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, Ed25519: {"EdDSA"},
	"P-256": {"ES256"}, "P-384": {"ES384"}, "P-521": {"ES512"},
}

// A KeyPair says what kind of private key is generated.
type KeyPair struct {
	// Type is rsa, ecdsa or ed25519.
	Type string `json:"type" yaml:"type" rekey:"required" jsonschema:"required,enum=rsa,enum=ecdsa,enum=ed25519"`
	// Bits of an RSA key: 2048, 3072 (default) or 4096.
	Bits int `json:"bits,omitempty" yaml:"bits" jsonschema:"enum=2048,enum=3072,enum=4096"`
	// Curve of an ECDSA key: P-256 (default), P-384 or P-521.
	Curve string `json:"curve,omitempty" yaml:"curve" jsonschema:"enum=P-256,enum=P-384,enum=P-521"`
	// Format is pem (default: the private key as PKCS #8) or jwks: a JWK set with the private key and, until the retention is over, the public key before it.
	Format string `json:"format,omitempty" yaml:"format" jsonschema:"enum=pem,enum=jwks"`
	// Algorithm that the keys of a JWK set name, like PS256. Default: RS256, ES256, ES384, ES512 or EdDSA.
	Algorithm string `json:"algorithm,omitempty" yaml:"algorithm"`
}

// Size is Bits or its default.
func (k KeyPair) Size() int {
	if k.Bits == 0 {
		return DefaultBits
	}
	return k.Bits
}

// On is Curve or its default.
func (k KeyPair) On() string {
	if k.Curve == "" {
		return DefaultCurve
	}
	return k.Curve
}

// As is Format or its default.
func (k KeyPair) As() string {
	if k.Format == "" {
		return PEM
	}
	return k.Format
}

// For is Algorithm or its default.
func (k KeyPair) For() string {
	if k.Algorithm == "" && len(k.algorithms()) > 0 {
		return k.algorithms()[0]
	}
	return k.Algorithm
}

func (k KeyPair) algorithms() []string {
	if k.Type == ECDSA {
		return algorithms[k.On()]
	}
	return algorithms[k.Type]
}

// String is what it makes, for people: "RSA 3072 as pem".
func (k KeyPair) String() string {
	switch k.Type {
	case RSA:
		return fmt.Sprintf("RSA %d as %s", k.Size(), k.As())
	case ECDSA:
		return fmt.Sprintf("ECDSA %s as %s", k.On(), k.As())
	}
	return "Ed25519 as " + k.As()
}

// Problems are all that is wrong with k.
func (k KeyPair) Problems() (out []*Error) {
	add := func(key, hint, format string, a ...any) {
		out = append(out, &Error{key, fmt.Sprintf(format, a...), hint})
	}
	if !slices.Contains([]string{RSA, ECDSA, Ed25519}, k.Type) && k.Type != "" {
		add("type", "rsa, ecdsa or ed25519", "no type of key %q", k.Type)
		return out
	}
	if k.Bits != 0 && k.Type != RSA {
		add("bits", "leave it out", "only RSA keys have bits to choose")
	} else if !slices.Contains([]int{0, 2048, 3072, 4096}, k.Bits) {
		add("bits", "2048, 3072 or 4096", "no RSA key of %d bits", k.Bits)
	}
	if k.Curve != "" && k.Type != ECDSA {
		add("curve", "leave it out", "only ECDSA keys have a curve to choose")
	} else if k.Curve != "" && !slices.Contains(Curves, k.Curve) {
		add("curve", strings.Join(Curves, ", "), "no curve %q", k.Curve)
	}
	if k.Format != "" && k.Format != PEM && k.Format != JWKS {
		add("format", "pem or jwks", "no format %q", k.Format)
	}
	switch fit := k.algorithms(); {
	case k.Algorithm == "":
	case k.As() != JWKS:
		add("algorithm", "leave it out", "only keys in a JWK set name an algorithm")
	case len(fit) > 0 && !slices.Contains(fit, k.Algorithm):
		add("algorithm", strings.Join(fit, ", "), "%s isn't for such a key", k.Algorithm)
	}
	return out
}
