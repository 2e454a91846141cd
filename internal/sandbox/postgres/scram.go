package postgres

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const iterations = 4096

var base = base64.StdEncoding

// A verifier is what the server keeps of a password (RFC 5803).
type verifier struct {
	iterations          int
	salt, stored, serve []byte
}

// stored is what the server keeps when it is given text as a password: a verifier as it is, of a password its own.
func stored(text string) (string, error) {
	if _, ok := read(text); ok {
		return text, nil
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never errs
	key, err := pbkdf2.Key(sha256.New, text, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	client := sha256.Sum256(sign(key, "Client Key"))
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, base.EncodeToString(salt), base.EncodeToString(client[:]), base.EncodeToString(sign(key, "Server Key"))), nil
}

func sign(key []byte, what string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(what))
	return m.Sum(nil)
}

func read(text string) (v verifier, ok bool) {
	rest, scram := strings.CutPrefix(text, "SCRAM-SHA-256$")
	front, back, found := strings.Cut(rest, "$")
	count, salt, found1 := strings.Cut(front, ":")
	stored, serve, found2 := strings.Cut(back, ":")
	n, err := strconv.Atoi(count)
	v.iterations = n
	var err1, err2, err3 error
	v.salt, err1 = base.DecodeString(salt)
	v.stored, err2 = base.DecodeString(stored)
	v.serve, err3 = base.DecodeString(serve)
	return v, scram && found && found1 && found2 && n > 0 && errors.Join(err, err1, err2, err3) == nil && len(v.stored) == 32 && len(v.serve) == 32
}

// A scram is one login's exchange (RFC 5802), without channel binding, which isn't offered.
type scram struct {
	v               verifier
	header          string // of GS2
	bare, challenge string
}

// first answers the client's first message.
func (x *scram) first(message string) (string, error) {
	for _, header := range []string{"n,,", "y,,"} {
		if bare, ok := strings.CutPrefix(message, header); ok {
			x.header, x.bare = header, bare
		}
	}
	_, nonce, ok := strings.Cut(x.bare, ",r=")
	if !ok {
		return "", errors.New("malformed SCRAM message")
	}
	x.challenge = fmt.Sprintf("r=%s%s,s=%s,i=%d", nonce, rand.Text(), base.EncodeToString(x.v.salt), x.v.iterations)
	return x.challenge, nil
}

// final checks the client's proof, and proves in return that the server knows the verifier.
func (x *scram) final(message string) (string, bool) {
	without, proof, ok := strings.Cut(message, ",p=")
	nonce, _, _ := strings.Cut(strings.TrimPrefix(x.challenge, "r="), ",")
	sent, err := base.DecodeString(proof)
	if !ok || err != nil || without != "c="+base.EncodeToString([]byte(x.header))+",r="+nonce || len(sent) != sha256.Size {
		return "", false
	}
	all := x.bare + "," + x.challenge + "," + without
	key := sign(x.v.stored, all)
	for i := range key {
		key[i] ^= sent[i]
	}
	digest := sha256.Sum256(key)
	return "v=" + base.EncodeToString(sign(x.v.serve, all)), bytes.Equal(digest[:], x.v.stored)
}
