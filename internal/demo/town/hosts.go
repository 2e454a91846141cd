package town

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// A host is a service of its own. Who hangs up waits until it has noticed: that a session is over must not depend on how
// fast a machine is.
type host struct {
	net.Listener
	mu       sync.Mutex         // of who calls: one after another
	accepted chan chan struct{} // of the one call that was just made: closed once the host is done with it
}

// Host makes a service reachable beside AWS and GitHub, by the name and port that a registry would write, such as
// api.stripe.com:443. serve is given a listener on loopback, until ctx ends.
func (t *Town) Host(ctx context.Context, addr string, serve func(net.Listener) error) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := &host{Listener: l, accepted: make(chan chan struct{}, 1)}
	t.mu.Lock()
	t.hosts[addr] = h
	t.mu.Unlock()
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() { _ = serve(h) }() // until ctx ends
	return nil
}

// Accept is the host's side of a call.
func (h *host) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	over := make(chan struct{})
	h.accepted <- over
	return &called{Conn: c, over: over}, nil
}

type called struct {
	net.Conn
	over chan struct{}
	once sync.Once
}

func (c *called) Close() error {
	defer c.once.Do(func() { close(c.over) })
	return c.Conn.Close()
}

type caller struct {
	net.Conn
	over, ended <-chan struct{}
}

func (c *caller) Close() error {
	err := c.Conn.Close()
	select {
	case <-c.over:
	case <-c.ended:
	}
	return err
}

// HostHTTPS is Host for a service over HTTPS, with a certificate of the town's authority.
func (t *Town) HostHTTPS(ctx context.Context, name string, port int, h http.Handler) error {
	cert, err := Certificate(name)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return t.Host(ctx, fmt.Sprintf("%s:%d", name, port), func(l net.Listener) error {
		return s.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}))
	})
}

// Dial finds hosts by their names. There are no others: nothing of the town reaches beyond loopback.
func (t *Town) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	t.mu.Lock()
	h := t.hosts[addr]
	t.mu.Unlock()
	if h == nil {
		return nil, fmt.Errorf("dial %s: no such host", addr)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := new(net.Dialer).DialContext(ctx, network, h.Addr().String())
	if err != nil {
		return nil, err
	}
	select {
	case over := <-h.accepted:
		return &caller{c, over, t.ended}, nil
	case <-t.ended:
		return nil, errors.Join(errors.New("the town has ended"), c.Close())
	}
}

// Services leads to hosts over HTTPS.
func (t *Town) Services() http.RoundTripper {
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM([]byte(Authority()))
	return &http.Transport{DialContext: t.Dial, TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
}

// The town's certificates are the same in every run, so that texts and digests that hold one are, too. Their keys are no
// secrets, and nothing but the town trusts them.
var authority = sync.OnceValues(func() (*x509.Certificate, ed25519.PrivateKey) {
	return template("the town's authority"), keyOf("the town's authority")
})

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("sandbox only, never a real key: " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
}

// Authority is the certificate, as PEM, that those of all hosts descend from.
func Authority() string {
	cert, key := authority()
	der, err := x509.CreateCertificate(nil, cert, cert, key.Public(), key) // Ed25519 takes no random numbers
	if err != nil {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Certificate is the one of a host.
func Certificate(name string) (tls.Certificate, error) {
	parent, by := authority()
	key, cert := keyOf(name), template(name)
	cert.IsCA, cert.KeyUsage, cert.DNSNames, cert.SerialNumber = false, x509.KeyUsageDigitalSignature, []string{name}, big.NewInt(2)
	der, err := x509.CreateCertificate(nil, cert, parent, key.Public(), by)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
