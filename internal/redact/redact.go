// Package redact removes known secrets from text, in every form in which a program is likely to print them.
// A Set can be told values and can't give one back. It imports nothing of ours, keeps nothing but what it must
// match, and must never return, print or log it.
//
// What it can't see: values nobody told it, values that were encrypted, compressed, hashed or cut in pieces
// shorter than a line, and encodings beyond those listed at formsOf. So it is the second net; the first is
// that text-making packages hold no value at all.
package redact

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// Mark is what stands in a value's place. Values that touch or overlap share one.
const Mark = "[redacted]"

// Least is the length in bytes of the shortest value that is removed. A shorter one would be found inside
// ordinary words and numbers, so that removing it destroys the text, and where it was removed would tell what
// it was. Nobody's output should be shown while such a value is about: see TooShort.
const Least = 6

// A Set is the values to remove. The zero Set removes none. It is safe for concurrent use.
type Set struct {
	mu    sync.Mutex
	known map[string]bool // values told; short ones too, so that they are counted once
	short int
	forms map[string]bool
	heads map[[Least]byte]bool // the first bytes of each form
	auto  *automaton           // of forms; nil: to be built
}

// Add makes s remove b from now on, also from Writers that are open. It keeps no reference to b. An empty
// value is ignored.
func (s *Set) Add(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(bytes.TrimSpace(b)) == 0 || s.known[string(b)] {
		return
	}
	if s.known == nil {
		s.known = map[string]bool{}
	}
	s.known[string(b)] = true
	forms, short := formsOf(string(b))
	if short {
		s.short++
	}
	for _, f := range append(forms, Mark) {
		s.form(f)
	}
}

func (s *Set) form(f string) {
	if s.forms == nil {
		s.forms, s.heads = map[string]bool{}, map[[Least]byte]bool{}
	}
	if !s.forms[f] {
		s.forms[f], s.heads[[Least]byte([]byte(f))], s.auto = true, true, nil
	}
}

// clean says that nothing of s is in text, not even cut off by its end: no form begins there. It spares the values that
// come one after the other in a process an automaton each.
func (s *Set) clean(text []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.auto != nil {
		return false
	}
	for i := range len(text) - Least + 1 {
		if s.heads[[Least]byte(text[i:])] {
			return false
		}
	}
	return true
}

// TooShort is how many values s was told that are too short to remove, or hold such a part: a password of four
// characters in a JSON document. While it isn't 0, text that may hold
// them should be withheld whole.
func (s *Set) TooShort() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.short
}

// String is text without the values. A value cut off by the end of text goes as well, once half of it and at
// least eight bytes are there.
func (s *Set) String(text string) string { return string(s.Bytes([]byte(text))) }

// Bytes is String for bytes. It doesn't change text.
func (s *Set) Bytes(text []byte) []byte {
	if s.clean(text) {
		return bytes.Clone(text)
	}
	var out bytes.Buffer
	sc := scanner{out: &out}
	sc.use(s.automaton())
	sc.scan(text)
	sc.finish()
	return out.Bytes()
}

// Writer removes the values from what passes through to w, wherever the writes cut them. It holds back what
// may be the beginning of a value until more is written or it is closed; closing doesn't close w. Write
// reports all of p as written once p is taken. It is safe for concurrent use.
func (s *Set) Writer(w io.Writer) io.WriteCloser { return &writer{set: s, w: w} }

// A Set tells nothing about itself, however it is printed.
func (s *Set) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, "redact.Set") }
func (s *Set) GoString() string             { return "redact.Set" }
func (s *Set) LogValue() slog.Value         { return slog.StringValue("redact.Set") }
func (s *Set) MarshalText() ([]byte, error) { return []byte("redact.Set"), nil }

func (s *Set) automaton() *automaton {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.auto == nil {
		s.form(Mark)
		s.auto = build(s.forms)
	}
	return s.auto
}
