package workflow

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A function of expressions takes from..to arguments; to -1 means any number.
type function struct {
	from, to int
	call     func(args []value) (value, error)
}

// functions by lower-case name. The status functions are the evaluator's; hashFiles reads a runner's disk and isn't
// modelled.
var functions = map[string]function{
	"contains":   {2, 2, contains},
	"startswith": {2, 2, affix(strings.HasPrefix)},
	"endswith":   {2, 2, affix(strings.HasSuffix)},
	"format":     {1, -1, format},
	"join":       {1, 2, join},
	"tojson":     {1, 1, func(args []value) (value, error) { return toJSON(args[0]), nil }},
	"fromjson": {1, 1, func(args []value) (value, error) {
		if !primitive(args[0]) {
			return nil, fmt.Errorf("fromJSON of an %s", strings.ToLower(text(args[0])))
		}
		return fromJSON(text(args[0]))
	}},
}

func contains(args []value) (value, error) {
	if a, ok := args[0].(*array); ok {
		for _, item := range a.items {
			if equal(item, args[1]) {
				return true, nil
			}
		}
		return false, nil
	}
	return primitive(args[0]) && primitive(args[1]) && strings.Contains(fold(text(args[0])), fold(text(args[1]))), nil
}

func affix(has func(s, part string) bool) func([]value) (value, error) {
	return func(args []value) (value, error) {
		return primitive(args[0]) && primitive(args[1]) && has(fold(text(args[0])), fold(text(args[1]))), nil
	}
}

func join(args []value) (value, error) {
	a, ok := args[0].(*array)
	if !ok {
		if primitive(args[0]) {
			return text(args[0]), nil
		}
		return "", nil
	}
	separator := ","
	if len(args) > 1 && primitive(args[1]) {
		separator = text(args[1])
	}
	var items []string
	for _, item := range a.items {
		items = append(items, text(item))
	}
	return strings.Join(items, separator), nil
}

// format replaces {0}, {1}, ...; {{ and }} stand for one brace. Anything else in braces is an error (runner, Format).
func format(args []value) (value, error) {
	f, rest := text(args[0]), args[1:]
	var b strings.Builder
	for i := 0; i < len(f); i++ {
		switch c := f[i]; {
		case (c == '{' || c == '}') && i+1 < len(f) && f[i+1] == c:
			b.WriteByte(c)
			i++
		case c == '{':
			end := strings.IndexByte(f[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("format string %q is invalid", f)
			}
			n, err := strconv.ParseUint(f[i+1:i+end], 10, 8)
			if err != nil {
				return nil, fmt.Errorf("format string %q is invalid", f)
			}
			if int(n) >= len(rest) {
				return nil, fmt.Errorf("format string %q refers to more arguments than it has", f)
			}
			b.WriteString(text(rest[n]))
			i += end
		case c == '}':
			return nil, fmt.Errorf("format string %q is invalid", f)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// index reads a property or an item; what isn't there is null (runner, Index).
func index(of, key value) (value, error) {
	switch of := of.(type) {
	case *object:
		if !primitive(key) {
			return nil, nil
		}
		v, ok := of.get(text(key))
		if !ok && of.closed != "" {
			return nil, fmt.Errorf("%s.%s: %w", of.closed, text(key), ErrNotModelled)
		}
		return v, nil
	case *array:
		n := math.Floor(number(key))
		if math.IsNaN(n) || n < 0 || n >= float64(len(of.items)) {
			return nil, nil
		}
		return of.items[int(n)], nil
	default:
		return nil, nil
	}
}
