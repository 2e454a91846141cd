package secret

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/secret/spec"
)

// Generate draws a new secret. Each value that s allows is equally likely. It errs only when s doesn't pass
// its Err.
func (k Keeper) Generate(s spec.Spec) (Value, error) {
	if err := s.Err(); err != nil {
		return Value{}, fmt.Errorf("generate a secret: %w", err)
	}
	set, classes := s.Set(), s.Classes()
	for {
		// Drawing all of it again, rather than placing one of each class, keeps every allowed value equally likely.
		if b := draw(set, s.Len()); holds(b, classes) {
			return k.Known(b), nil
		}
	}
}

// draw takes n characters of set, none likelier than another: bytes at or above the largest multiple of its
// size are thrown away, since taken modulo they would favour the first characters.
func draw(set string, n int) []byte {
	limit := 256 - 256%len(set)
	out, noise := make([]byte, 0, n), make([]byte, n+n/2+16)
	for {
		_, _ = rand.Read(noise) // never errs: crypto/rand ends the process instead
		for _, c := range noise {
			if int(c) < limit {
				if out = append(out, set[int(c)%len(set)]); len(out) == n {
					return out
				}
			}
		}
	}
}

func holds(b []byte, classes []string) bool {
	for _, class := range classes {
		if !strings.ContainsAny(string(b), class) {
			return false
		}
	}
	return true
}
