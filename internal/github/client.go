// Package github owns every call to GitHub's REST API: which ones there are, their pace, and what a lost answer
// means. Only what Rekey needs, in its own words, so that nothing else knows a client library.
//
// It must never send a token anywhere but to the API it was made for, never change anything when it was made to read,
// and never repeat a call whose first answer was lost where that could make a second comment, issue or pull request.
package github

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// ErrUnknown wraps the error of a changing call that may have arrived: look before it is made again.
var ErrUnknown = errors.New("it may have happened")

// ErrReadOnly refuses a changing call of a client that only reads, before it leaves.
var ErrReadOnly = errors.New("refused before it left: this job only reads")

// A Clock tells time and waits for rate limits.
type Clock interface {
	Now() time.Time
	Sleep(context.Context, time.Duration) error
}

// Options of a Client.
type Options struct {
	API        string            // GITHUB_API_URL; "" is https://api.github.com
	Repository string            // owner/name
	Token      string            // "" asks without one
	ReadOnly   bool              //
	Transport  http.RoundTripper // nil: Go's own
	Clock      Clock
	Patience   time.Duration // the longest it waits, in all, for one call's rate limits; 0: 10 minutes
}
