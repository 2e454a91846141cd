package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// fromJSON reads one JSON value. The runner reads with Newtonsoft, which is laxer than the standard: what the standard
// refuses is refused here, so that our files can't come to rely on it.
func fromJSON(s string) (value, error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	v, err := readJSON(d, 0)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more text after the value")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("parse JSON: %w", err)
	}
	return v, nil
}

// depthJSON is where the runner's reader gives up.
const depthJSON = 100

func readJSON(d *json.Decoder, depth int) (value, error) {
	if depth > depthJSON {
		return nil, errors.New("too deep")
	}
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("no value")
	}
	if err != nil {
		return nil, errors.New("not JSON")
	}
	switch t := t.(type) {
	case json.Number:
		return parseNumber(t.String()), nil
	case json.Delim:
		if t == '[' {
			return readArray(d, depth)
		}
		return readObject(d, depth)
	default:
		return t, nil
	}
}

func readArray(d *json.Decoder, depth int) (value, error) {
	a := &array{}
	for d.More() {
		v, err := readJSON(d, depth+1)
		if err != nil {
			return nil, err
		}
		a.items = append(a.items, v)
	}
	_, err := d.Token()
	return a, err
}

func readObject(d *json.Decoder, depth int) (value, error) {
	o := newObject()
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, errors.New("not JSON")
		}
		v, err := readJSON(d, depth+1)
		if err != nil {
			return nil, err
		}
		key, _ := k.(string)
		o.set(key, v)
	}
	_, err := d.Token()
	return o, err
}

// toJSON is pretty-printed by two spaces, as the runner does it.
func toJSON(v value) string {
	var b bytes.Buffer
	writeJSON(&b, v, "\n")
	return b.String()
}

func writeJSON(b *bytes.Buffer, v value, indent string) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case string:
		quoteJSON(b, v)
	case *array:
		writeList(b, "[]", len(v.items), indent, func(i int, indent string) { writeJSON(b, v.items[i], indent) })
	case *object:
		writeList(b, "{}", len(v.keys), indent, func(i int, indent string) {
			quoteJSON(b, v.keys[i])
			b.WriteString(": ")
			child, _ := v.get(v.keys[i])
			writeJSON(b, child, indent)
		})
	default:
		b.WriteString(text(v))
	}
}

func writeList(b *bytes.Buffer, brackets string, n int, indent string, item func(int, string)) {
	if n == 0 {
		b.WriteString(brackets)
		return
	}
	b.WriteByte(brackets[0])
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(indent + "  ")
		item(i, indent+"  ")
	}
	b.WriteString(indent)
	b.WriteByte(brackets[1])
}

func quoteJSON(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if e.Encode(s) == nil { // a string always encodes
		b.Truncate(b.Len() - 1)
	}
}
