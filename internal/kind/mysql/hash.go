package mysql

import (
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what the plugin stores
	"crypto/sha256"
	"fmt"

	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

// Authentication plugins whose hashes can be made here.
const (
	native  = "mysql_native_password"
	caching = "caching_sha2_password"
)

// hash is what plugin stores of a password and takes as it is, in IDENTIFIED WITH ... AS.
func hash(plugin string, password secret.Value) (string, error) {
	switch plugin {
	case native:
		once := sha1.Sum(password.Reveal())
		return fmt.Sprintf("*%X", sha1.Sum(once[:])), nil
	case caching:
		// 20 characters of salt and 5,000 rounds are the plugin's own; $A$005$ says so, in thousands.
		salt := rand.Text()[:20]
		return "$A$005$" + salt + crypt(password.Reveal(), []byte(salt), 5000), nil
	}
	return "", rotation.Failf("have the account use "+native+" or "+caching, "the account logs in by the plugin %q, whose hashes can't be made here", plugin)
}

// crypt is SHA-crypt with SHA-256 (Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", 2008), without its limit of 16
// characters of salt: the digest in its own base 64.
func crypt(key, salt []byte, rounds int) string {
	sum := func(parts ...[]byte) []byte {
		h := sha256.New()
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	stretch := func(b []byte, n int) (out []byte) {
		for ; n > len(b); n -= len(b) {
			out = append(out, b...)
		}
		return append(out, b[:n]...)
	}
	b := sum(key, salt, key)
	parts := [][]byte{key, salt, stretch(b, len(key))}
	for n := len(key); n > 0; n >>= 1 {
		if n&1 == 1 {
			parts = append(parts, b)
		} else {
			parts = append(parts, key)
		}
	}
	a := sum(parts...)
	var keys, salts [][]byte
	for range len(key) {
		keys = append(keys, key)
	}
	for range 16 + int(a[0]) {
		salts = append(salts, salt)
	}
	p, s := stretch(sum(keys...), len(key)), stretch(sum(salts...), len(salt))
	for i := range rounds {
		var round [][]byte
		if i%2 == 1 {
			round = append(round, p)
		} else {
			round = append(round, a)
		}
		if i%3 != 0 {
			round = append(round, s)
		}
		if i%7 != 0 {
			round = append(round, p)
		}
		if i%2 == 1 {
			round = append(round, a)
		} else {
			round = append(round, p)
		}
		a = sum(round...)
	}
	return base(a)
}

// base writes a digest as SHA-crypt does: its bytes in an order of their own, 6 bits a character, lowest first.
func base(a []byte) string {
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var out []byte
	write := func(n uint32, chars int) {
		for range chars {
			out = append(out, alphabet[n&0x3f])
			n >>= 6
		}
	}
	for i, at := 0, [3]int{0, 10, 20}; i < 10; i++ {
		write(uint32(a[at[0]])<<16|uint32(a[at[1]])<<8|uint32(a[at[2]]), 4)
		at = [3]int{(at[2] + 1) % 30, (at[0] + 1) % 30, (at[1] + 1) % 30}
	}
	write(uint32(a[31])<<8|uint32(a[30]), 3)
	return string(out)
}
