package staging

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/rastup/rekey/internal/rotation"
)

// A place is where one key's value stands in a JSON document, or all of it where no key is asked for.
type place struct {
	from, to int    // bytes, quotes included
	value    string // what they say
}

// find looks for key at the top of doc. Refusals are *rotation.Failure and quote nothing of doc: encoding/json's
// own errors would.
func find(doc []byte, key string) (place, error) {
	const whole = "leave key out to rotate the whole value, or have a JSON object stored"
	var (
		at    place
		seen  = map[string]bool{}
		dec   = json.NewDecoder(bytes.NewReader(doc))
		first json.Token
		err   error
	)
	dec.UseNumber()
	if first, err = dec.Token(); err != nil || first != json.Delim('{') {
		return place{}, rotation.Failf(whole, "the value isn't a JSON object, so it has no key %q", key)
	}
	broken := rotation.Failf(whole, "the value isn't valid JSON")
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return place{}, broken
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return place{}, broken
		}
		k, _ := name.(string)
		if seen[k] {
			return place{}, rotation.Failf("have each key stored once: readers differ in which of two they take", "the JSON value has a key twice")
		}
		if seen[k] = true; k != key {
			continue
		}
		at.to = int(dec.InputOffset())
		at.from = at.to - len(raw)
		if raw[0] != '"' || json.Unmarshal(raw, &at.value) != nil {
			return place{}, rotation.Failf("rotate a key whose value is a string", "the JSON value's key %q isn't a string", key)
		}
	}
	if _, err := dec.Token(); err != nil {
		return place{}, broken
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return place{}, broken
	}
	if !seen[key] {
		return place{}, rotation.Failf("check the key's spelling; JSON keys are case-sensitive", "the JSON value has no key %q", key)
	}
	return at, nil
}

// replace is doc with value at the key, and every other byte as it was.
func replace(doc []byte, key, value string) ([]byte, error) {
	at, err := find(doc, key)
	if err != nil {
		return nil, err
	}
	var quoted bytes.Buffer
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, errors.New("write the new value as JSON")
	}
	return bytes.Join([][]byte{doc[:at.from], bytes.TrimRight(quoted.Bytes(), "\n"), doc[at.to:]}, nil), nil
}
