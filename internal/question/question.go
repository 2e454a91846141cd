// Package question owns what people are asked: which items, in how many shards, and which of several runs asks about
// which item. It is pure: a job reads GitHub and the journal, and hands over what they say.
//
// Nothing that was asked is stored. All jobs that ask reckon from the same times, GitHub's and the journal's, who asks
// about what, and so come to the same answer. It must never let two runs that wait ask the same, never lose an item for
// longer than the run that may be asking about it lives, and never read a question that isn't exactly as it was
// written.
package question

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

const (
	// Most is how many items a question has at most. What is left over is for the next run.
	Most = 500
	// MostText is how many bytes of text a question has at most: it travels as a job's output.
	MostText = 64 << 10

	mostJSON = 1 << 20 // what Most items with the longest names need, and far less than a bomb unpacks to
)

// An Item is one thing that people are asked about: a rotation of a secret in an environment.
type Item struct {
	Rotation    string    `json:"rotation"`
	Secret      string    `json:"secret"`
	Environment string    `json:"environment"`
	For         string    `json:"for"`    // rotation.ApprovesRotation, rotation.ApprovesDecommission
	Digest      string    `json:"digest"` // of the plan: a yes is about nothing else
	Attempt     int       `json:"attempt"`
	Since       time.Time `json:"since"` // when it became due, see Due; zero: before anybody can tell
}

func oldest(a, b Item) int {
	return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Rotation, b.Rotation), cmp.Compare(a.Secret, b.Secret), cmp.Compare(a.For, b.For))
}

// Fit is the items of one environment that one question can hold, oldest first.
func Fit(items []Item) []Item {
	items = slices.SortedFunc(slices.Values(items), oldest)
	items = items[:min(len(items), Most)]
	for len(items) > 0 {
		text, err := pack(items)
		if err != nil || len(text) <= MostText {
			break
		}
		items = items[:len(items)*9/10]
	}
	return items
}

// Encode writes a question: the same items are the same text, in any order. It fails where Fit would leave out some,
// and where Decode would refuse it.
func Encode(items []Item) (string, error) {
	items = slices.SortedFunc(slices.Values(items), oldest)
	for i := range items {
		items[i].Since = items[i].Since.UTC()
	}
	if err := check(items); err != nil {
		return "", err
	}
	text, err := pack(items)
	if err == nil && len(text) > MostText {
		return "", fmt.Errorf("a question of %d items has %d bytes, more than %d", len(items), len(text), MostText)
	}
	return text, err
}

func pack(items []Item) (string, error) {
	raw, err := json.Marshal(items)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := z.Write(raw); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// Decode reads what Encode wrote, and nothing else: no other spelling, no field it doesn't know, no empty question,
// nothing after its end, and no more than fits.
func Decode(text string) ([]Item, error) {
	if text == "" {
		return nil, errors.New("the question is empty: nothing was asked")
	}
	if len(text) > MostText {
		return nil, fmt.Errorf("a question of %d bytes is longer than %d", len(text), MostText)
	}
	packed, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder passes over
		return nil, errors.New("the question isn't base64")
	}
	raw, err := unpack(packed)
	if err != nil {
		return nil, fmt.Errorf("unpack the question: %w", err)
	}
	var items []Item
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&items); err != nil {
		return nil, errors.New("the question isn't a list of items")
	}
	if err := check(items); err != nil {
		return nil, err
	}
	if again, err := json.Marshal(items); err != nil || !bytes.Equal(again, raw) {
		return nil, errors.New("the question isn't spelt as Rekey does")
	}
	return items, nil
}

func unpack(packed []byte) ([]byte, error) {
	in := bytes.NewReader(packed)
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	raw, err := io.ReadAll(io.LimitReader(z, mostJSON+1))
	switch {
	case err != nil:
		return nil, err
	case len(raw) > mostJSON:
		return nil, fmt.Errorf("it is longer than %d bytes", mostJSON)
	case in.Len() > 0:
		return nil, errors.New("something comes after it")
	}
	return raw, nil
}

var digests = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// check refuses what no job asks: items are in order, so that each job's part is the same for all of them.
func check(items []Item) error {
	if len(items) == 0 {
		return errors.New("the question is empty: nothing was asked")
	}
	if len(items) > Most {
		return fmt.Errorf("a question has %d items, more than %d", len(items), Most)
	}
	seen := map[Item]bool{}
	for i, it := range items {
		key := Item{Rotation: it.Rotation, Secret: it.Secret}
		switch {
		case it.Rotation == "" || it.Secret == "" || it.Environment == "":
			return fmt.Errorf("item %d of the question lacks rotation, secret or environment", i+1)
		case it.Environment != items[0].Environment:
			return fmt.Errorf("the question is about %q and %q", items[0].Environment, it.Environment)
		case it.For != rotation.ApprovesRotation && it.For != rotation.ApprovesDecommission:
			return fmt.Errorf("item %d of the question is for %q", i+1, it.For)
		case !digests.MatchString(it.Digest) || it.Attempt < 1:
			return fmt.Errorf("item %d of the question lacks digest or attempt", i+1)
		case seen[key]:
			return fmt.Errorf("the question has %q twice", it.Rotation)
		case i > 0 && oldest(items[i-1], it) > 0:
			return errors.New("the question's items aren't in order")
		}
		seen[key] = true
	}
	return nil
}
