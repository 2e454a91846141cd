package main

import (
	"cmp"
	"errors"
	"os"

	"github.com/rastup/rekey/internal/rotation"
)

// person is who answers for what is done, by login.
func (f *flags) person() string { return cmp.Or(f.actor, os.Getenv("REKEY_ACTOR"), os.Getenv("USER")) }

// hint is what to do about a definite failure; "" where there is nothing to add.
func hint(err error) string {
	var failure *rotation.Failure
	if errors.As(err, &failure) {
		return failure.Hint
	}
	return ""
}
