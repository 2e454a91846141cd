package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

const (
	attempts  = 4                // of a call that may be repeated
	callLimit = 30 * time.Second // time limit of one attempt
	mostBytes = 64 << 20         // of an answer
)

// transport is below the client library. It sees every call, and each is: refused where it may not be made, given
// its token, paced, sent, and repeated where that can't do anything twice.
type transport struct {
	base     http.RoundTripper
	api      *url.URL
	token    string
	readOnly bool
	limits   *limits
}

// RoundTrip returns whole answers, none of a rate limit and none of a server in trouble: one that breaks off is no
// answer.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := t.admit(req)
	if err != nil {
		return nil, err
	}
	patience := t.limits.patience
	backoff, lost := time.Second, false
	for tried := 1; ; tried++ {
		var left time.Time
		patience, left, err = t.limits.turn(req.Context(), req.Method, patience)
		if err != nil {
			return nil, unknown(req, lost, err)
		}
		res, err := t.send(req, body)
		if err == nil && t.limits.hit(res, left) {
			tried-- // it didn't happen, and how long to wait for it is for patience to say
			continue
		}
		if err == nil && res.StatusCode < 500 {
			return res, nil
		}
		sent := !neverLeft(err)
		lost = lost || sent
		if err == nil {
			err = fmt.Errorf("GitHub answered %d", res.StatusCode)
		}
		if tried >= attempts || req.Context().Err() != nil || req.Method == http.MethodPost && sent {
			return nil, unknown(req, lost, err)
		}
		if ended := t.limits.clock.Sleep(req.Context(), backoff); ended != nil {
			return nil, unknown(req, lost, ended)
		}
		backoff *= 2
	}
}

// admit refuses a call before it leaves, or takes its body to be sent once or more often.
func (t *transport) admit(req *http.Request) ([]byte, error) {
	var body []byte
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
	}
	if req.URL.Scheme != t.api.Scheme || req.URL.Host != t.api.Host {
		return nil, elsewhere(req.URL)
	}
	if t.readOnly && !reads(req.Method) {
		return nil, ErrReadOnly
	}
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, fmt.Errorf("read what is to be sent: %w", err)
		}
	}
	return body, nil
}

func (t *transport) send(req *http.Request, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), callLimit)
	defer cancel()
	again := req.Clone(ctx)
	again.Body = nil
	if body != nil {
		again.Body = io.NopCloser(bytes.NewReader(body))
	}
	if t.token != "" {
		again.Header.Set("Authorization", "Bearer "+t.token)
	}
	res, err := whole(t.base, again, mostBytes)
	if err != nil && ctx.Err() != nil && req.Context().Err() == nil {
		return nil, fmt.Errorf("no answer within %s", callLimit) // which is no end of the caller's context
	}
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the connection ended without an answer")
	}
	return res, err
}

// whole sends a call and reads all of its answer.
func whole(base http.RoundTripper, req *http.Request, most int64) (*http.Response, error) {
	res, err := base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("the answer is longer than %d bytes", most)
	}
	res.Body = io.NopCloser(bytes.NewReader(text))
	return res, nil
}

// unknown marks what may have happened: a changing call of which at least one attempt left and got no answer.
func unknown(req *http.Request, lost bool, err error) error {
	if lost && !reads(req.Method) {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}

func reads(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// neverLeft is true only where no connection was made.
func neverLeft(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// sameCall follows GitHub to where a renamed repository is now (REST API documentation, best practices), but only
// with the same method, and only there.
func sameCall(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host:
		return elsewhere(req.URL)
	case req.Method != first.Method || len(via) > 3:
		return rotation.Failf("was the repository renamed or moved? use its present name", "GitHub sends this call on to another address")
	}
	return nil
}

func elsewhere(u *url.URL) error {
	return rotation.Failf("see whether something between this job and GitHub answers in its place", "refused to send the token to %s", clean(u.Scheme+"://"+u.Host))
}
