// Package secret owns the value that can't be printed. However a Value is printed, logged or marshalled, it
// says "[redacted]"; it leaves only by Reveal, on the line that sends it. Every Value is born through a Keeper,
// so that no redactor ever misses one. It must never be imported, not even through others, by a package that
// makes text.
package secret

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Mark is what stands in a value's place.
const Mark = "[redacted]"

// A Value is a secret. The zero Value holds nothing. Values can't be compared with ==: use Equal.
type Value struct {
	// A func, because printing by reflection (%v of a struct that holds a Value in an unexported field, %p,
	// debuggers' dumps) follows bytes, strings and pointers, and shows of a func no more than an address.
	reveal func() []byte
}

// Reveal is a copy of the secret, for the one call that hands it to its service.
func (v Value) Reveal() []byte {
	if v.reveal == nil {
		return nil
	}
	return bytes.Clone(v.reveal())
}

// Empty says whether there is nothing in v.
func (v Value) Empty() bool { return v.reveal == nil || len(v.reveal()) == 0 }

// Equal compares in constant time, whatever the lengths.
func (v Value) Equal(w Value) bool {
	var a, b []byte
	if v.reveal != nil {
		a = v.reveal()
	}
	if w.reveal != nil {
		b = w.reveal()
	}
	x, y := sha256.Sum256(a), sha256.Sum256(b)
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func (Value) String() string                 { return Mark }
func (Value) GoString() string               { return Mark }
func (Value) Format(f fmt.State, _ rune)     { _, _ = io.WriteString(f, Mark) }
func (Value) LogValue() slog.Value           { return slog.StringValue(Mark) }
func (Value) MarshalText() ([]byte, error)   { return []byte(Mark), nil }
func (Value) MarshalBinary() ([]byte, error) { return []byte(Mark), nil }
func (Value) MarshalJSON() ([]byte, error)   { return []byte(`"` + Mark + `"`), nil }
func (Value) MarshalYAML() (any, error)      { return Mark, nil }

// A Keeper makes Values, and tells Seen each one before anybody has it.
type Keeper struct {
	Seen func([]byte) // required; redact.Set's Add
}

// Known is a secret that somebody else made: read from its store, or answered by the service that minted it.
// It keeps a copy of b.
func (k Keeper) Known(b []byte) Value {
	k.Seen(bytes.Clone(b))
	own := bytes.Clone(b)
	return Value{func() []byte { return own }}
}
