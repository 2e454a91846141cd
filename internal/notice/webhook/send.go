package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	most      = time.Minute      // all messages of a pass, waits included: jobs that rotate wait for this one
	attempts  = 4                // of one message
	callLimit = 10 * time.Second // of one attempt
	mostBytes = 64 << 10         // of an answer
)

// tell sends one message, again where it may help: after 429, a server's error or a broken connection, as PagerDuty and
// Slack ask (see there), never longer than the pass has. problem is "" once the place has taken it; told is false where
// there is nothing to tell it.
func (p *Projector) tell(ctx context.Context, c Channel, e event) (problem, hint string, told bool) {
	to, body, ok := c.place.message(e)
	if !ok {
		return "", "", false
	}
	const later = "the next run tries again"
	if to == "" {
		problem, hint = c.place.refusal(0, nil)
		return problem, hint, true
	}
	if why := p.down[c.name]; why != "" {
		return why, later, true
	}
	if !p.Clock.Now().Before(p.until) {
		return "this run had no time left for it", later, true
	}
	backoff := time.Second
	for tried := 1; ; tried++ {
		status, answer, wait, err := p.post(ctx, to, body)
		switch {
		case err == nil && status/100 == 2:
			return "", "", true
		case err == nil && status != http.StatusTooManyRequests && status < 500:
			problem, hint = c.place.refusal(status, answer)
			return problem, hint, true
		case err == nil:
			problem = fmt.Sprintf("it answered %d", status)
		default:
			problem = broken(err)
		}
		wait = max(wait, backoff)
		if tried >= attempts || p.Clock.Now().Add(wait).After(p.until) || p.Clock.Sleep(ctx, wait) != nil {
			p.down[c.name] = problem
			return problem, later, true
		}
		backoff *= 2
	}
}

// post is one attempt. wait is what the place asks for before another; 0 nothing. It follows no redirect: that would
// take the message, and with it a key, to where nobody meant it to go.
func (p *Projector) post(ctx context.Context, to string, body []byte) (status int, answer []byte, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, min(callLimit, p.until.Sub(p.Clock.Now())))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, nil, 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "rekey")
	client := &http.Client{Transport: p.HTTP, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, 0, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(res.Body, mostBytes))
	return res.StatusCode, answer, p.after(res.Header.Get("Retry-After")), err
}

// after reads a Retry-After: seconds, or a date (RFC 9110, 10.2.3).
func (p *Projector) after(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return time.Duration(min(n, 86400)) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, at.Sub(p.Clock.Now()))
	}
	return 0
}

// broken says what came between in words of our own: errors of net/http hold the address, and a transport's may.
func broken(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return "this job was stopped"
	case errors.As(err, &dns):
		return "its host wasn't found"
	case errors.As(err, &certificate):
		return "its certificate isn't to be trusted"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("it gave no answer within %s", callLimit)
	case errors.As(err, &op) && op.Op == "dial":
		return "it took no connection"
	}
	return "the connection broke"
}
