package stripe

import (
	"errors"
	"fmt"
	"net/http"
)

// ErrLost, returned from a Fail hook, lets the call have its effect and cuts the connection instead of answering.
var ErrLost = errors.New("the answer is lost")

// An Error is a refusal in Stripe's own words.
type Error struct {
	Status  int    `json:"-"`
	Type    string `json:"type"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
	Param   string `json:"param,omitempty"`
	kept    bool   // saved under its idempotency key
}

func (e *Error) Error() string { return e.Type + " " + e.Code + ": " + e.Message }

// Types of errors.
const (
	invalid     = "invalid_request_error"
	idempotency = "idempotency_error"
)

func refuse(status int, code, param, format string, a ...any) *Error {
	return &Error{Status: status, Type: invalid, Code: code, Param: param, Message: fmt.Sprintf(format, a...)}
}

func missing(id string) *Error {
	return refuse(http.StatusNotFound, "resource_missing", "webhook_endpoint", "No such webhook endpoint: '%s'", id)
}

// Throttled is the refusal of a caller that is too fast, for a Fail hook.
func Throttled() *Error {
	return &Error{Status: http.StatusTooManyRequests, Type: invalid, Code: "rate_limit", Message: "Request rate limit exceeded."}
}

// Broken is an error of Stripe itself, for a Fail hook. kept says that Stripe had begun: it is saved under the call's
// idempotency key and replayed.
func Broken(kept bool) *Error {
	return &Error{Status: http.StatusInternalServerError, Type: "api_error", Message: "An unknown error occurred", kept: kept}
}

// masked is a key as Stripe quotes it.
func masked(key string) string {
	if len(key) < 16 {
		return "****"
	}
	return key[:8] + "****" + key[len(key)-4:]
}
