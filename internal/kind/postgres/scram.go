package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/rastup/rekey/internal/secret"
)

// iterations is PostgreSQL's own default (scram_iterations).
const iterations = 4096

// verifier is what PostgreSQL stores of a password and takes as it is (RFC 5803, PostgreSQL documentation, pg_authid).
// The password is printable ASCII, which SASLprep leaves alone.
func verifier(password secret.Value) (string, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never errs
	return salted(string(password.Reveal()), salt)
}

func salted(password string, salt []byte) (string, error) {
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("make a SCRAM verifier: %w", err)
	}
	sign := func(what string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(what))
		return m.Sum(nil)
	}
	stored := sha256.Sum256(sign("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(sign("Server Key"))), nil
}
