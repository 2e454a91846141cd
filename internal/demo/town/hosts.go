package town

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// Host makes a service reachable beside AWS and GitHub, by the name and port that a registry would write, such as
// api.stripe.com:443. serve is given a listener on loopback, until ctx ends.
func (t *Town) Host(ctx context.Context, addr string, serve func(net.Listener) error) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.hosts[addr] = l.Addr().String()
	t.mu.Unlock()
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() { _ = serve(listener{l, t}) }() // until ctx ends
	return nil
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
	to, ok := t.hosts[addr]
	t.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("dial %s: no such host", addr)
	}
	c, err := new(net.Dialer).DialContext(ctx, network, to)
	if err != nil {
		return nil, err
	}
	return &caller{c, t, t.over(c.LocalAddr())}, nil
}

// Who hangs up waits until the host has noticed: that a session is over must not depend on how fast a machine is.

type listener struct {
	net.Listener
	t *Town
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &called{Conn: c, over: l.t.over(c.RemoteAddr())}, nil
}

// over is closed once the host is done with who calls from addr.
func (t *Town) over(addr net.Addr) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[addr.String()] == nil {
		t.calls[addr.String()] = make(chan struct{})
	}
	return t.calls[addr.String()]
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
	t    *Town
	over chan struct{}
}

func (c *caller) Close() error {
	err := c.Conn.Close()
	select {
	case <-c.over:
	case <-c.t.ended:
	}
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if at := c.LocalAddr().String(); c.t.calls[at] == c.over {
		delete(c.t.calls, at)
	}
	return err
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
