//go:build unix && !linux

package child

import (
	"errors"
	"fmt"
)

// Seal is for Linux; elsewhere it errs with errors.ErrUnsupported, and a command may be able to read the
// variables that this process was started with.
func Seal() error {
	return fmt.Errorf("take the variables out of the process's memory: %w", errors.ErrUnsupported)
}
