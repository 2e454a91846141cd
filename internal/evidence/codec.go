package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rastup/rekey/internal/rotation"
)

// Limits of a record, in bytes. Whoever makes a longer one has a bug: long things are files.
const (
	MaxRecord = 240 << 10 // fits into one log event
	MaxText   = 16 << 10
	MaxFact   = 64 << 10
	maxFacts  = 200
	maxFiles  = 200
	maxDepth  = 32
)

var outcomes = []rotation.Outcome{
	rotation.Claimed, rotation.Resumed, rotation.Released, rotation.Begun, rotation.Noted,
	rotation.Done, rotation.Failed, rotation.Asked, rotation.Attached, rotation.Approved,
}

// marshal makes a record's bytes for its place in a chain, and the record as later runs will read it: what
// can't be read back must never be stored, because a chain is for life.
func marshal(r rotation.Record) ([]byte, rotation.Record, error) {
	data, err := compact(r)
	if err != nil {
		return nil, r, err
	}
	back, err := parse(data)
	return data, back, err
}

// compact is JSON as people read it in the store: one line, with <, > and & as they are.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// parse reads a record's bytes, strictly: what this program doesn't fully understand, it doesn't act on.
func parse(data []byte) (r rotation.Record, err error) {
	if len(data) > MaxRecord {
		return r, fmt.Errorf("%d bytes, more than a record may have (%d)", len(data), MaxRecord)
	}
	if err := decode(data, &r); err != nil {
		return rotation.Record{}, err
	}
	if err := check(r); err != nil {
		return rotation.Record{}, err
	}
	r.At = r.At.UTC() // "+00:00" is UTC by another name
	if r.QuietAt != nil {
		*r.QuietAt = r.QuietAt.UTC()
	}
	return r, nil
}

// decode is json.Unmarshal without its leniency: no unknown, repeated or differently cased keys, no broken
// UTF-8, nothing after the value.
func decode(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := walk(dec, false, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("something follows the JSON value")
	}
	dec = json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// walk goes over one JSON value. Keys are free below "facts", "with" and "spent" only.
func walk(dec *json.Decoder, free bool, depth int) error {
	t, err := dec.Token()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	d, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth++; depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	seen := map[string]bool{}
	for dec.More() {
		below := free
		if d == '{' {
			k, err := dec.Token()
			if err != nil {
				return err
			}
			key, _ := k.(string)
			if seen[key] {
				return fmt.Errorf("key %q is there twice", key)
			}
			if !free && key != strings.ToLower(key) {
				return fmt.Errorf("unknown key %q", key)
			}
			seen[key] = true
			below = free || key == "facts" || key == "with" || key == "spent"
		}
		if err := walk(dec, below, depth); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// check holds a record against the rules that need no other record.
func check(r rotation.Record) error {
	switch {
	case r.Seq < 1 || r.Seq > MaxSeq:
		return fmt.Errorf("seq %d: 1 to %d is wanted", r.Seq, MaxSeq)
	case !isDigest(r.Prev):
		return fmt.Errorf("prev %.80q: is no digest", r.Prev)
	case r.Attempt < 1:
		return fmt.Errorf("attempt %d: counts from 1", r.Attempt)
	case r.ClaimSeq < 1 || r.ClaimSeq > r.Seq:
		return fmt.Errorf("claim_seq %d: 1 to %d is wanted", r.ClaimSeq, r.Seq)
	case !slices.Contains(outcomes, r.Outcome):
		return fmt.Errorf("outcome %.40q: this program doesn't know it", r.Outcome)
	case (r.Outcome == rotation.Claimed) != (r.Claim != nil) || (r.Claim != nil) != (r.ClaimSeq == r.Seq):
		return errors.New("a claim, and nothing else, begins an attempt")
	case (r.Outcome == rotation.Approved) != (r.Approval != nil):
		return errors.New("an approval, and nothing else, says that people approved")
	case !utc(r.At) || r.QuietAt != nil && !utc(*r.QuietAt):
		return errors.New("a time that isn't set, or not UTC")
	case r.Runner.ID == "" || r.Runner.Nonce == "":
		return errors.New("the runner has no ID or no nonce")
	}
	if err := errors.Join(checkChain(r.Chain), checkSegment("rotation", r.Rotation)); err != nil {
		return err
	}
	if c := r.Claim; c != nil && (c.Plan.Chain != r.Chain || c.Plan.Rotation != r.Rotation || c.Plan.Attempt != r.Attempt) {
		return errors.New("the claim's plan is for another chain, rotation or attempt")
	}
	return checkSizes(r)
}

func checkSizes(r rotation.Record) error {
	switch {
	case len(r.Text) > MaxText || len(r.Hint) > MaxText:
		return fmt.Errorf("text of %d and hint of %d bytes: at most %d", len(r.Text), len(r.Hint), MaxText)
	case len(r.Facts) > maxFacts || len(r.Files) > maxFiles:
		return fmt.Errorf("%d facts and %d files: at most %d and %d", len(r.Facts), len(r.Files), maxFacts, maxFiles)
	}
	for k, v := range r.Facts {
		if k == "" || len(k) > 200 || len(v) > MaxFact {
			return fmt.Errorf("fact %.40q of %d bytes: at most %d, under a key of 1 to 200", k, len(v), MaxFact)
		}
	}
	for _, f := range r.Files {
		base, ok := strings.CutPrefix(f.Name, "files/")
		if !ok || checkSegment("file", base) != nil || !isDigest(f.Digest) || f.Size < 0 {
			return fmt.Errorf("file %.80q: its name, digest or size can't be", f.Name)
		}
	}
	return nil
}

func utc(t time.Time) bool {
	_, offset := t.Zone()
	return !t.IsZero() && offset == 0
}

func isDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}
