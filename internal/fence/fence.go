// Package fence is the one place that every changing HTTP call passes, whatever service it is for: it leaves only under
// a lease that outlasts it, and tells the lease when its outcome is unknown. Without a fence in the context none leaves.
//
// It owns no client and no retry: each attempt is seen on its own.
package fence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// DefaultLimit is the time limit of a call where nothing else is said.
const DefaultLimit = 20 * time.Second

// A Transport is an http.RoundTripper for services whose clients are told one. The zero Base is Go's own, without
// following redirects: that is the client's business, see Client.
type Transport struct {
	Base  http.RoundTripper
	Limit time.Duration            // of one attempt; 0: DefaultLimit
	Reads func(*http.Request) bool // says that a call is known to change nothing; nil: GET and HEAD
	Name  func(*http.Request) string
}

// Client is an http.Client over t. A call, which may carry a credential, goes to its address and nowhere else.
func (t *Transport) Client() *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// RoundTrip is http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	base, limit := t.Base, t.Limit
	if base == nil {
		base = http.DefaultTransport
	}
	if limit == 0 {
		limit = DefaultLimit
	}
	reads := req.Method == http.MethodGet || req.Method == http.MethodHead
	if t.Reads != nil {
		reads = t.Reads(req)
	}
	if reads {
		return Read(base, req, limit)
	}
	name := req.Method + " " + req.URL.Path
	if t.Name != nil {
		name = t.Name(req)
	}
	return Change(base, req, limit, rotation.FenceOf(req.Context()), name)
}

// Change sends a changing call, where lease lets it pass. It answers whole answers only: one that breaks off says
// nothing about what came of the call.
func Change(base http.RoundTripper, req *http.Request, limit time.Duration, lease rotation.Fence, name string) (*http.Response, error) {
	if err := lease.Pass(limit); err != nil {
		return nil, Refuse(req, fmt.Errorf("%s: %w", name, err))
	}
	limited, cancel := context.WithTimeout(req.Context(), limit)
	defer cancel()
	res, err := base.RoundTrip(req.WithContext(limited))
	if err != nil {
		if !neverLeft(err) {
			lease.Unanswered()
		}
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		lease.Unanswered()
		return nil, fmt.Errorf("answer to %s broke off: %w", name, err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// Read leaves the body to be streamed; the limit holds until it is closed.
func Read(base http.RoundTripper, req *http.Request, limit time.Duration) (*http.Response, error) {
	limited, cancel := context.WithTimeout(req.Context(), limit)
	res, err := base.RoundTrip(req.WithContext(limited))
	if err != nil {
		cancel()
		return nil, err
	}
	res.Body = &limitedBody{res.Body, cancel}
	return res, nil
}

type limitedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *limitedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// neverLeft is true only where no connection was made.
func neverLeft(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// refused is an attempt that was not sent. An SDK would take it for a broken connection and try again.
type refused struct{ error }

// Refuse is the error of a call that isn't sent.
func Refuse(req *http.Request, err error) error {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return refused{err}
}

func (r refused) Unwrap() error { return r.error }

// RetryableError tells the AWS SDK that trying again is no use.
func (refused) RetryableError() bool { return false }
