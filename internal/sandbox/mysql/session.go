package mysql

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what the plugin uses
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"time"
)

// A session is one that was let in.
type session struct {
	server     *Server
	c          net.Conn
	id         uint32
	user, host string // as it named itself, and its address
	from       string // address and port
	account    string // that it logged in to, quoted
	database   string
	idle       time.Time
}

// A refusal is an error of the server's, with its code.
type refusal struct {
	code  uint16
	state string
	text  string
}

func refuse(code uint16, state, format string, a ...any) *refusal {
	return &refusal{code, state, fmt.Sprintf(format, a...)}
}

// Capabilities of the protocol.
const (
	withDatabase = 1 << 3
	withTLS      = 1 << 11
	capabilities = 1 | 1<<1 | 1<<2 | withDatabase | 1<<9 | 1<<13 | 1<<15 | 1<<17 | 1<<19
)

// serve is a connection from its first byte to its last.
func (s *Server) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	s.mu.Lock()
	s.last++
	id := s.last
	s.mu.Unlock()
	p := &pipe{ReadWriter: c}
	salt := []byte(rand.Text())[:20] // without zeros
	offered := uint32(capabilities)
	if s.tls != nil {
		offered |= withTLS
	}
	if p.write(greeting(id, salt, offered)) != nil {
		return
	}
	b, err := p.read()
	secure := false
	if err == nil && len(b) == 32 && s.tls != nil && binary.LittleEndian.Uint32(b)&withTLS != 0 {
		c, secure = tls.Server(c, s.tls), true
		p.ReadWriter = c
		b, err = p.read()
	}
	if err != nil {
		return
	}
	x := &session{server: s, c: c, id: id, from: c.RemoteAddr().String(), idle: s.now()}
	x.host, _, _ = net.SplitHostPort(x.from)
	if r := x.login(b, salt, secure); r != nil {
		_ = p.write(failed(r))
		return
	}
	defer s.leave(x)
	if p.write(okay()) != nil {
		return
	}
	x.answer(p)
}

func greeting(id uint32, salt []byte, offered uint32) []byte {
	b := append(append([]byte{10}, Version...), 0)
	b = binary.LittleEndian.AppendUint32(b, id)
	b = append(append(b, salt[:8]...), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(offered))
	b = append(b, 45, autocommit, 0) // utf8mb4
	b = binary.LittleEndian.AppendUint16(b, uint16(offered>>16))
	b = append(b, byte(len(salt)+1))
	b = append(b, make([]byte, 10)...)
	b = append(append(b, salt[8:]...), 0)
	return append(append(b, native...), 0)
}

// login reads who wants in, and lets them in where the proof fits.
func (x *session) login(b, salt []byte, secure bool) *refusal {
	malformed := refuse(1043, "08S01", "Bad handshake")
	if len(b) < 32 {
		return malformed
	}
	flags, rest := binary.LittleEndian.Uint32(b), b[32:]
	user, rest, ok := bytes.Cut(rest, []byte{0})
	if !ok || len(rest) == 0 || len(rest) <= int(rest[0]) {
		return malformed
	}
	proof, rest := rest[1:1+int(rest[0])], rest[1+int(rest[0]):]
	x.user = string(user)
	if flags&withDatabase != 0 {
		database, _, _ := bytes.Cut(rest, []byte{0})
		x.database = string(database)
	}
	s := x.server
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.at(x.user, x.host)
	using := map[bool]string{true: "YES", false: "NO"}[len(proof) > 0]
	switch {
	case a == nil || !fits(proof, salt, a.hash), a.Require != "" && !secure, a.Require == "X509":
		return refuse(1045, "28000", "Access denied for user '%s'@'%s' (using password: %s)", x.user, x.host, using)
	case a.locked:
		return refuse(4151, "HY000", "Access denied, this account is locked")
	case a.Limits[3] > 0 && len(s.of(x.user)) >= a.Limits[3]:
		return refuse(1226, "42000", "User '%s' has exceeded the 'max_user_connections' resource (current value: %d)", x.user, a.Limits[3])
	}
	if r := s.enters(a, x.database); r != nil {
		return r
	}
	x.account = a.name()
	s.sessions[x.id] = x
	return nil
}

// fits checks that whoever made proof knows the password: SHA1(password) XOR SHA1(salt, hash).
func fits(proof, salt, hash []byte) bool {
	if len(proof) != sha1.Size {
		return false
	}
	mask := sha1.Sum(append(bytes.Clone(salt), hash...)) //nolint:gosec // likewise
	for i := range mask {
		mask[i] ^= proof[i]
	}
	again := sha1.Sum(mask[:]) //nolint:gosec // likewise
	return bytes.Equal(again[:], hash)
}

func (s *Server) leave(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, x.id)
}

// Commands.
const (
	quit  = 1
	query = 3
	ping  = 14
)

// answer takes one command after another.
func (x *session) answer(p *pipe) {
	for {
		b, err := p.read()
		if err != nil || len(b) == 0 || b[0] == quit {
			return
		}
		switch b[0] {
		case ping:
			err = p.write(okay())
		case query:
			err = p.write(x.server.do(x, string(b[1:]))...)
		default:
			err = p.write(failed(refuse(1047, "08S01", "Unknown command")))
		}
		if err != nil {
			return
		}
	}
}
