package postgres

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A session is one that was let in.
type session struct {
	server                       *Server
	c                            net.Conn
	to                           *pgproto3.Backend
	pid                          uint32
	user, acts, database, called string // acts: the role that it took on
	from                         string // where it is: an address
	began                        time.Time
	settings                     map[string]string
}

// A refusal is an error of the server's, with its code.
type refusal struct{ code, text string }

func (r *refusal) Error() string { return r.code + ": " + r.text }

func refuse(code, format string, a ...any) error { return &refusal{code, fmt.Sprintf(format, a...)} }

func response(severity string, err error) *pgproto3.ErrorResponse {
	r := &refusal{"XX000", "internal error"}
	_ = errors.As(err, &r)
	return &pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: r.code, Message: r.text}
}

// serve is a connection from its first byte to its last.
func (s *Server) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	to, start, c := s.startup(c)
	if start == nil {
		return
	}
	x, err := s.login(c, to, start)
	if err == nil {
		defer s.leave(x)
		err = x.greet()
	}
	for err == nil {
		var m pgproto3.FrontendMessage
		if m, err = to.Receive(); err != nil {
			return // it went away
		}
		if _, ends := m.(*pgproto3.Terminate); ends {
			return
		}
		err = x.answer(m)
	}
	to.Send(response("FATAL", err))
	_ = to.Flush()
}

// startup is up to who wants to log in; nil: it went away.
func (s *Server) startup(c net.Conn) (*pgproto3.Backend, *pgproto3.StartupMessage, net.Conn) {
	to := pgproto3.NewBackend(c, c)
	for {
		m, err := to.ReceiveStartupMessage()
		if err != nil {
			return nil, nil, c
		}
		switch m := m.(type) {
		case *pgproto3.StartupMessage:
			return to, m, c
		case *pgproto3.SSLRequest:
			if s.tls == nil {
				_, err = c.Write([]byte("N"))
				break
			}
			if _, err = c.Write([]byte("S")); err == nil {
				c = tls.Server(c, s.tls)
				to = pgproto3.NewBackend(c, c)
			}
		default:
			return nil, nil, c
		}
		if err != nil {
			return nil, nil, c
		}
	}
}

// login lets a connection in, once its proof fits what is stored of its account's password.
func (s *Server) login(c net.Conn, to *pgproto3.Backend, start *pgproto3.StartupMessage) (*session, error) {
	user, database := start.Parameters["user"], start.Parameters["database"]
	s.mu.Lock()
	var v verifier
	known := false
	if r := s.roles[user]; r != nil {
		v, known = read(r.verifier)
	}
	s.mu.Unlock()
	if !known { // the exchange tells nobody whether there is such an account
		v = verifier{iterations, make([]byte, 16), make([]byte, 32), make([]byte, 32)}
		_, _ = rand.Read(v.salt)
	}
	if err := exchange(to, v, known); err != nil {
		if errors.Is(err, errProof) {
			err = refuse("28P01", "password authentication failed for user %q", user)
		}
		return nil, err
	}
	if database == "" {
		database = user
	}
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	x := &session{server: s, c: c, to: to, user: user, acts: user, database: database, called: start.Parameters["application_name"], from: host, began: s.now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	return x, s.enter(x)
}

var errProof = errors.New("the proof is wrong")

func exchange(to *pgproto3.Backend, v verifier, known bool) error {
	if err := send(to, &pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}); err != nil {
		return err
	}
	x := &scram{v: v}
	if err := to.SetAuthType(pgproto3.AuthTypeSASL); err != nil {
		return err
	}
	m, err := to.Receive()
	if err != nil {
		return err
	}
	begin, ok := m.(*pgproto3.SASLInitialResponse)
	if !ok || begin.AuthMechanism != "SCRAM-SHA-256" {
		return refuse("08P01", "a SASL response was expected")
	}
	challenge, err := x.first(string(begin.Data))
	if err != nil {
		return refuse("08P01", "%v", err)
	}
	if err = send(to, &pgproto3.AuthenticationSASLContinue{Data: []byte(challenge)}); err != nil {
		return err
	}
	if err = to.SetAuthType(pgproto3.AuthTypeSASLContinue); err != nil {
		return err
	}
	if m, err = to.Receive(); err != nil {
		return err
	}
	proof, ok := m.(*pgproto3.SASLResponse)
	if !ok {
		return refuse("08P01", "a SASL response was expected")
	}
	text, right := x.final(string(proof.Data))
	if !right || !known {
		return errProof
	}
	return send(to, &pgproto3.AuthenticationSASLFinal{Data: []byte(text)})
}

func send(to *pgproto3.Backend, all ...pgproto3.BackendMessage) error {
	for _, m := range all {
		to.Send(m)
	}
	return to.Flush()
}

// enter makes x one of the sessions. The caller holds the lock.
func (s *Server) enter(x *session) error {
	r := s.roles[x.user]
	switch {
	case r == nil: // dropped in this moment
		return refuse("28000", "role %q does not exist", x.user)
	case !r.Login:
		return refuse("28000", "role %q is not permitted to log in", x.user)
	case !slices.Contains(s.databases, x.database):
		return refuse("3D000", "database %q does not exist", x.database)
	case r.limit >= 0 && !r.Super && len(s.of(x.user)) >= r.limit:
		return refuse("53300", "too many connections for role %q", x.user)
	}
	s.last++
	x.pid, x.settings = s.last, s.settings(x.user, x.database)
	if as := x.settings["role"]; as != "" && s.roles[as] != nil && s.member(x.user, as) { // else PostgreSQL warns, and goes on
		x.acts = as
	}
	s.sessions[x.pid] = x
	return nil
}

func (s *Server) leave(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, x.pid)
}

func (x *session) greet() error {
	key := make([]byte, 4)
	_, _ = rand.Read(key)
	x.to.Send(&pgproto3.AuthenticationOk{})
	for _, p := range [][2]string{{"server_version", Version}, {"client_encoding", "UTF8"}, {"standard_conforming_strings", "on"}} {
		x.to.Send(&pgproto3.ParameterStatus{Name: p[0], Value: p[1]})
	}
	return send(x.to, &pgproto3.BackendKeyData{ProcessID: x.pid, SecretKey: binary.BigEndian.Uint32(key)}, ready)
}

var ready = &pgproto3.ReadyForQuery{TxStatus: 'I'}
