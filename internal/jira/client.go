// Package jira owns every call to Jira's REST API: which ones there are, their pace, and what a lost answer means. Only
// what approval tickets need, by version 2 of the API, which Jira Cloud and Jira Data Center share (developer.atlassian.com,
// "The Jira Cloud platform REST API" v2, and the Data Center REST reference): its comments are wiki markup, those of
// version 3 documents that Data Center doesn't know.
//
// It must never send a token anywhere but to the site it was made for, and never repeat a call whose first answer was lost
// where that could make a second comment or move an issue twice.
package jira

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// ErrUnknown wraps the error of a changing call that may have arrived: look before it is made again.
var ErrUnknown = errors.New("it may have happened")

// ErrNotFound is what a *rotation.Failure of this package also is where Jira knows no such thing, or doesn't show it to
// this account: it tells the two apart for nobody.
var ErrNotFound = errors.New("not found")

// A Clock tells time and waits for rate limits.
type Clock interface {
	Now() time.Time
	Sleep(context.Context, time.Duration) error
}

// Options of a Client.
type Options struct {
	URL       string // of the site; a path is kept
	User      string // with an API token of Jira Cloud; "": Token is a personal access token of Data Center
	Token     string
	Transport http.RoundTripper // nil: Go's own
	Clock     Clock
}

const (
	attempts  = 3                // of a call that may be repeated
	callLimit = 20 * time.Second // time limit of one attempt
	patience  = 2 * time.Minute  // the longest one call waits for rate limits, in all
	mostBytes = 16 << 20         // of an answer
	tooMany   = 3                // calls in a row that came to nothing: then no other is made
)

// A Client makes calls to one site. It is for one goroutine at a time.
//
// Its errors say what was tried, and hold nothing of an answer's text. A definite no is a *rotation.Failure; ErrUnknown
// and an ended context can be told with errors.Is; anything else came to nothing, for now: no answer, a server in trouble, a
// rate limit that lasts, a token that isn't taken. After a few of those in a row nothing is sent any more: a site that is
// down doesn't use up a job's time.
type Client struct {
	o    Options
	base *url.URL
	http *http.Client
	down int
	self string
}

// New checks o and calls nothing.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(o.URL, "/"))
	switch {
	case err != nil || base.Host == "":
		return nil, rotation.Failf("write it like https://acme.atlassian.net", "that isn't the address of a Jira site")
	case o.Token == "" || strings.ContainsAny(o.Token+o.User, "\r\n"):
		return nil, errors.New("a Jira client needs a token, of one line")
	case o.Clock == nil:
		return nil, errors.New("a Jira client needs a clock")
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	// A sign-on page in front of Jira answers with a way to itself: that isn't Jira's answer, and gets no token.
	return &Client{o: o, base: base, http: &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Browse is where people read an issue; "" where the site's address is the gateway of api.atlassian.com, which tokens
// with scopes need (Atlassian support, "Scoped API tokens").
func (c *Client) Browse(key string) string {
	if c.base.Hostname() == "api.atlassian.com" {
		return ""
	}
	return c.base.JoinPath("browse", key).String()
}

// call is the only way to Jira. path is below the site, its parts unescaped.
func (c *Client) call(ctx context.Context, doing, method string, query url.Values, in, out any, path ...string) error {
	if c.down >= tooMany {
		return fmt.Errorf("%s: not tried: Jira at %s answered none of the last calls", doing, c.base.Host)
	}
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	for i, part := range path {
		if part == "" || part == "." || part == ".." {
			return rotation.Failf("", "%s: a name can't be %q", doing, part) // it would lead to another address
		}
		path[i] = url.PathEscape(part)
	}
	u := c.base.JoinPath(append([]string{"rest", "api", "2"}, path...)...)
	u.RawQuery = query.Encode()
	a, err := c.tries(ctx, method, u.String(), body)
	if err == nil {
		err = a.read(out, method)
	}
	var definite *rotation.Failure
	switch {
	case err == nil, errors.As(err, &definite):
		c.down = 0
	case ctx.Err() == nil:
		c.down++
	}
	if errors.As(err, &definite) {
		return &refused{&rotation.Failure{Msg: doing + ": " + definite.Msg, Hint: definite.Hint}, a.status}
	} else if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// An answer is a whole one.
type answer struct {
	status int
	after  string // Retry-After
	text   []byte
}

// tries sends a call, again where that can't do anything twice: reads, and puts and deletes of one comment. One that
// Jira turned away for its pace wasn't processed, whatever it is (developer.atlassian.com, "Rate limiting").
func (c *Client) tries(ctx context.Context, method, target string, body []byte) (a answer, err error) {
	waited, backoff, lost := time.Duration(0), time.Second, false
	for tried := 1; ; tried++ {
		a, err = c.send(ctx, method, target, body)
		pause := backoff
		switch {
		case err == nil && a.status == http.StatusTooManyRequests:
			pause = a.pause(backoff)
			if waited += pause; waited > patience {
				return a, unknown(method, lost, errors.New("the Jira site's rate limit lasts"))
			}
			tried--
		case err == nil && a.status < 500:
			return a, nil
		default:
			sent := !neverLeft(err)
			lost = lost || sent
			if err == nil {
				err = fmt.Errorf("the Jira site answered %d", a.status)
			}
			if tried >= attempts || method == http.MethodPost && sent || ctx.Err() != nil {
				return a, unknown(method, lost, err)
			}
		}
		if ended := c.o.Clock.Sleep(ctx, pause); ended != nil {
			return a, unknown(method, lost, ended)
		}
		backoff *= 2
	}
}

// neverLeft is true only where no connection was made.
func neverLeft(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// pause is as long as Jira says, in seconds.
func (a answer) pause(otherwise time.Duration) time.Duration {
	if n, err := strconv.Atoi(a.after); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return otherwise
}

func (c *Client) send(ctx context.Context, method, target string, body []byte) (a answer, err error) {
	limited, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, method, target, bytes.NewReader(body))
	if err != nil {
		return a, errors.New("its address can't be asked")
	}
	if c.o.User != "" {
		req.SetBasicAuth(c.o.User, c.o.Token)
	} else {
		req.Header.Set("Authorization", "Bearer "+c.o.Token)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "rekey")
	// Data Center refuses what looks like a browser's form without it (Atlassian support, "XSRF check failed").
	req.Header.Set("X-Atlassian-Token", "no-check")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err == nil {
		defer func() { _ = res.Body.Close() }()
		a = answer{status: res.StatusCode, after: res.Header.Get("Retry-After")}
		a.text, err = io.ReadAll(io.LimitReader(res.Body, mostBytes+1))
	}
	var address *url.Error
	switch {
	case err == nil && len(a.text) > mostBytes:
		return a, fmt.Errorf("the answer is longer than %d bytes", mostBytes)
	case err == nil:
		return a, nil
	case ctx.Err() != nil:
		return a, ctx.Err()
	case limited.Err() != nil:
		return a, fmt.Errorf("no answer within %s", callLimit)
	case errors.As(err, &address): // its text has the whole address
		err = address.Err
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the connection ended without an answer")
	}
	return a, err
}

// unknown marks what may have happened.
func unknown(method string, lost bool, err error) error {
	if lost && method != http.MethodGet {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}

// read takes an answer for what it means. 401 and 403 aren't about what was asked for, but about who asks: a token that
// has expired, an account that must solve a captcha or may not do it. A person mends that, and then it is tried again.
func (a answer) read(out any, method string) error {
	switch {
	case a.status/100 == 2:
		if out == nil {
			return nil
		}
		if json.Unmarshal(a.text, out) != nil {
			return unknown(method, true, fmt.Errorf("the answer (%d) isn't Jira's", a.status))
		}
		return nil
	case a.status/100 == 3:
		return fmt.Errorf("something answers in Jira's place (%d): the address leads to another one, maybe to a sign-on page", a.status)
	case a.status == http.StatusUnauthorized:
		return errors.New("the Jira site doesn't take the token (401): it is wrong, has expired or was revoked")
	case a.status == http.StatusForbidden:
		return errors.New("the Jira site refuses the account (403): it lacks a permission, or has to sign in as a person first")
	case a.status == http.StatusRequestTimeout:
		return unknown(method, true, fmt.Errorf("the Jira site answered %d", a.status))
	}
	return rotation.Failf("", "the Jira site answered %d", a.status)
}

// refused is a definite no of Jira's.
type refused struct {
	*rotation.Failure
	status int
}

func (r *refused) Unwrap() error { return r.Failure }

// Is tells what Jira doesn't know.
func (r *refused) Is(target error) bool {
	return target == ErrNotFound && (r.status == http.StatusNotFound || r.status == http.StatusGone)
}
