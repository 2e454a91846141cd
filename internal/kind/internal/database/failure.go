package database

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rastup/rekey/internal/rotation"
)

// A Class says what an error of a server means.
type Class int

// Classes of errors.
const (
	Lost    Class = iota // no answer, or none that says what came of it
	Unmade               // no connection was made
	Busy                 // refused for now: too many connections, a lock, a shutdown
	Refused              // the login is refused: that isn't the account's password
	Barred               // the login is refused, whatever the password: a lock, a rule of the server's
	Denied               // the account may not do that
	No                   // any other definite refusal
)

// An Error is all that may be shown of a server's answer: its code. A server's words can quote the statement.
type Error struct {
	Class Class
	Code  string // the server's: "28P01", "1045"; "" when it didn't answer
	Words string // ours; "" when the code has to do
	cause error
}

// Failed makes an Error. cause is for errors.Is alone.
func Failed(class Class, code, words string, cause error) *Error {
	return &Error{class, code, words, cause}
}

func (e *Error) Error() string {
	words := e.Words
	switch {
	case words != "":
	case e.Class == Lost:
		words = "no answer"
	case e.Class == Unmade:
		words = "no connection"
	case e.Class == Busy:
		words = "not now"
	case e.Class == Refused || e.Class == Barred:
		words = "the login is refused"
	case e.Class == Denied:
		words = "permission denied"
	default:
		words = "refused"
	}
	if e.Code != "" {
		words += " (" + e.Code + ")"
	}
	return words
}

// Is tells a refused lease and an ended context.
func (e *Error) Is(target error) bool {
	return slices.Contains([]error{rotation.ErrNoLease, context.Canceled, context.DeadlineExceeded}, target) && errors.Is(e.cause, target)
}

// Answered says whether it is known what came of a statement.
func Answered(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Class != Lost
}

// judge makes a definite failure of a definite answer.
func judge(err error, doing string) error {
	var e *Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	switch e.Class {
	case Refused, Barred:
		return rotation.Failf("see whether the password in Secrets Manager is the account's, and whether the server lets it in from here", "%s: %v", doing, e)
	case Denied:
		return rotation.Failf("see what the administering account needs, in the documentation of the kind", "%s: %v", doing, e)
	case No:
		if e.Code == "" { // our own words say what to do
			return rotation.Failf("", "%s: %v", doing, e)
		}
		return rotation.Failf("look the code up in the server's manual; its log says more", "%s: %v", doing, e)
	}
	return fmt.Errorf("%s: %w", doing, e)
}
