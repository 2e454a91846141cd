package town

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	checkhttp "github.com/rastup/rekey/internal/check/http"
)

// Host is the application's name inside the town. Its port on loopback is another each time, and no text, commit or
// digest should depend on that.
const Host = "shop.example"

// within reaches services in this process, by host: no port, no other goroutine, nothing that takes time. A history in a
// bubble of time lives by it.
type within map[string]http.Handler

func (w within) RoundTrip(in *http.Request) (*http.Response, error) {
	h, ok := w[in.URL.Host]
	if !ok {
		return nil, fmt.Errorf("dial %s: no such host", in.URL.Host)
	}
	if err := in.Context().Err(); err != nil {
		return nil, err
	}
	r := in.Clone(context.WithoutCancel(in.Context()))
	if r.Host == "" {
		r.Host = in.URL.Host
	}
	r.RequestURI, r.RemoteAddr = in.URL.RequestURI(), "127.0.0.1:1"
	if in.Body == nil {
		r.Body = http.NoBody
	}
	out := &said{header: http.Header{}}
	h.ServeHTTP(out, r)
	return out.response(in), nil
}

// A said is what a handler answers.
type said struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (s *said) Header() http.Header { return s.header }

func (s *said) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
}

func (s *said) Write(b []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	return s.body.Write(b)
}

func (s *said) response(to *http.Request) *http.Response {
	s.WriteHeader(http.StatusOK)
	return &http.Response{Status: fmt.Sprintf("%d %s", s.status, http.StatusText(s.status)), StatusCode: s.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: s.header, Body: io.NopCloser(&s.body), ContentLength: int64(s.body.Len()), Request: to}
}

// open makes the town's services reachable: on loopback, or within the process.
func (t *Town) open(ctx context.Context) (err error) {
	t.reach = http.DefaultTransport
	services := []struct {
		host string
		h    http.Handler
		url  *string
	}{{"aws.example", t.AWS.Handler(), &t.cloudURL}, {"github.example", t.GitHub.Handler(), &t.hubURL}, {Host, t.App.Handler(), &t.appURL}}
	if t.o.Within {
		hosts := within{}
		for _, s := range services {
			hosts[s.host], *s.url = s.h, "https://"+s.host
		}
		t.reach = hosts
		return nil
	}
	for _, s := range services {
		if *s.url, err = serve(ctx, s.h); err != nil {
			return err
		}
	}
	return nil
}

func serve(ctx context.Context, h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	go func() { _ = s.Serve(l) }() // until ctx ends
	return "http://" + l.Addr().String(), nil
}

// checks is the client of http checks: it finds Host where the application listens.
func (t *Town) checks() *http.Client {
	c := checkhttp.NewClient()
	if t.o.Within {
		c.Transport = t.reach
		return c
	}
	transport, dialer := c.Transport.(*http.Transport).Clone(), net.Dialer{}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(address); err == nil && host == Host {
			address = strings.TrimPrefix(t.appURL, "http://")
		}
		return dialer.DialContext(ctx, network, address)
	}
	c.Transport = transport
	return c
}
