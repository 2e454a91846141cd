package workflow

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// A value of an expression is nil, a bool, a float64, a string, an *array or an *object. The last two are equal to
// themselves only ("Expressions": objects and arrays are only considered equal when they are the same instance).
type value = any

type array struct{ items []value }

// An object finds its properties whatever their case and keeps the order they came in.
type object struct {
	keys   []string
	values map[string]value
	closed string // says what a property that isn't there would have been; "" where null is the right answer
}

func newObject() *object { return &object{values: map[string]value{}} }

func (o *object) set(key string, v value) *object {
	lower := strings.ToLower(key)
	if _, ok := o.values[lower]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[lower] = v
	return o
}

func (o *object) get(key string) (value, bool) {
	v, ok := o.values[strings.ToLower(key)]
	return v, ok
}

// strings makes an object of strings, in the order of the keys given.
func stringObject(keys []string, m map[string]string) *object {
	o := newObject()
	for _, k := range keys {
		o.set(k, m[k])
	}
	return o
}

// truthy: false, 0, -0, "", null are falsy ("Expressions", literals), and NaN (runner, EvaluationResult.IsFalsy).
func truthy(v value) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0 && !math.IsNaN(v)
	case string:
		return v != ""
	default:
		return true
	}
}

// text is how a value is written into a string; arrays and objects give their kind's name (runner,
// EvaluationResult.ConvertToString).
func text(v value) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return numberText(v)
	case string:
		return v
	case *array:
		return "Array"
	case *object:
		return "Object"
	default:
		return ""
	}
}

// numberText is .NET's G15, the runner's number format.
func numberText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	default:
		return strconv.FormatFloat(f, 'G', 15, 64)
	}
}

var decimal = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// number converts for a comparison: null 0, true 1, text as a number or NaN, "" 0, the rest NaN ("Expressions",
// operators; runner, ExpressionUtility.ParseNumber).
func number(v value) float64 {
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 1
		}
		return 0
	case float64:
		return v
	case string:
		return parseNumber(strings.TrimSpace(v))
	default:
		return math.NaN()
	}
}

func parseNumber(s string) float64 {
	switch {
	case s == "":
		return 0
	case decimal.MatchString(s):
		f, _ := strconv.ParseFloat(s, 64) // beyond the range it is an infinity, as in .NET
		return f
	case s == "Infinity":
		return math.Inf(1)
	case s == "-Infinity":
		return math.Inf(-1)
	}
	base := map[bool]int{strings.HasPrefix(s, "0x"): 16, strings.HasPrefix(s, "0o"): 8}[true]
	if base == 0 || strings.ContainsRune(s, '_') {
		return math.NaN()
	}
	n, err := strconv.ParseUint(s[2:], base, 32)
	if err != nil {
		return math.NaN()
	}
	return float64(int32(n))
}

// fold is .NET's OrdinalIgnoreCase, which looks at each character's upper case.
func fold(s string) string { return strings.Map(unicode.ToUpper, s) }

func primitive(v value) bool {
	switch v.(type) {
	case *array, *object:
		return false
	default:
		return true
	}
}

// equal is the loose equality of expressions.
func equal(a, b value) bool {
	a, b = coerce(a, b)
	switch x := a.(type) {
	case nil:
		return b == nil
	case string:
		y, ok := b.(string)
		return ok && fold(x) == fold(y)
	case bool, float64, *array, *object:
		return a == b // kinds differ: false; NaN is unequal to itself; arrays and objects by identity
	default:
		return false
	}
}

// less orders numbers, text and booleans; anything else, NaN above all, isn't less than anything.
func less(a, b value) bool {
	a, b = coerce(a, b)
	switch x := a.(type) {
	case float64:
		y, ok := b.(float64)
		return ok && x < y
	case string:
		y, ok := b.(string)
		return ok && fold(x) < fold(y)
	case bool:
		y, ok := b.(bool)
		return ok && !x && y
	default:
		return false
	}
}

// coerce makes numbers of both where the kinds differ (runner, EvaluationResult.CoerceTypes): arrays and objects stay
// what they are beside text and numbers, which makes them unequal.
func coerce(a, b value) (value, value) {
	if kind(a) == kind(b) {
		return a, b
	}
	if _, ok := a.(bool); ok || a == nil {
		return coerce(number(a), b)
	}
	if _, ok := b.(bool); ok || b == nil {
		return coerce(a, number(b))
	}
	if primitive(a) && primitive(b) {
		return number(a), number(b)
	}
	return a, b
}

func kind(v value) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case *array:
		return "array"
	default:
		return "object"
	}
}
