package demo

import (
	"io"
	"regexp"
)

// plain writes text without the terminal's colours.
type plain struct{ w io.Writer }

var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

func (p plain) Write(b []byte) (int, error) {
	if _, err := p.w.Write(colour.ReplaceAll(b, nil)); err != nil {
		return 0, err
	}
	return len(b), nil
}
