package problem

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/rotation"
	"gopkg.in/yaml.v3"
)

// Text is a string that knows where it stands.
type Text struct {
	Value string
	Pos   Pos
}

func (t Text) String() string { return t.Value }

// Fields is a mapping whose keys are names of the writer's choice, in the order written.
type Fields []Field

// A Field is one entry of Fields.
type Field struct {
	Name  Text
	Value *Node
}

// A Checker is a shape with rules that its fields' types can't say. Check is called once the fields are filled
// in, of inner shapes first, also when some were wrong: what is reported at a field that already has a problem is
// dropped.
type Checker interface{ Check(r *Report) }

// Decode reads YAML into the struct that into points to, and reports every problem to l; ok is whether there was
// none. Fields are found by their tag `yaml:"name"`; `rekey:"required"` must be there;
// `rekey:"scalar"` lets text be written as a number; `like:"..."` is an
// example for hints; `jsonschema:"enum=a,enum=b,minimum=1,maximum=9"` holds as well as showing in the schema. Strings, booleans and
// numbers must be written as such; durations (rotation.Duration) as 48h, 2d or PT48H; whatever reads text
// (encoding.TextUnmarshaler) takes any scalar. Structs, pointers, slices, maps with string keys, Text, Fields and
// *Node may be nested.
func Decode(src Source, into any, l *List) (ok bool) {
	before := l.Len()
	if n := Parse(src, l); n != nil {
		n.Decode(into, l)
	}
	return l.Len() == before
}

// Decode reads the node into what into points to; see the function Decode.
func (n *Node) Decode(into any, l *List) (ok bool) {
	before := l.Len()
	d := decoder{src: n.src, list: l, what: cmp.Or(n.what, "it"), bad: map[string]bool{}, meant: map[string]bool{}}
	d.value(n.yaml, reflect.ValueOf(into).Elem(), "", tags{})
	return l.Len() == before
}

type decoder struct {
	src   Source
	list  *List
	what  string          // names the whole
	bad   map[string]bool // paths that have a problem
	meant map[string]bool // paths that a misspelt key was probably meant for
}

func (d *decoder) add(n *yaml.Node, path, rule, hint, format string, a ...any) {
	d.bad[path] = true
	d.list.Add(d.src.pos(n.Line, n.Column), rule, hint, format, a...)
}

var (
	textType     = reflect.TypeFor[Text]()
	fieldsType   = reflect.TypeFor[Fields]()
	nodeType     = reflect.TypeFor[*Node]()
	durationType = reflect.TypeFor[rotation.Duration]()
	readsText    = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, t tags) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case v.Type() == nodeType:
		v.Set(reflect.ValueOf(&Node{n, d.src, d.name(path)}))
		return
	case null(n):
		d.add(n, path, "empty", "give it a value, or remove it", "%s has no value", d.name(path))
		return
	case v.Type() == fieldsType:
		d.fields(n, v, path, t)
		return
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path, t)
		return
	case v.Type() != textType && v.Type() != durationType && reflect.PointerTo(v.Type()).Implements(readsText):
		d.reads(n, v, path)
		return
	}
	switch {
	case v.Type() == textType, v.Type() == durationType:
		d.scalar(n, v, path, t)
	case v.Kind() == reflect.Struct:
		d.structure(n, v, path)
	case v.Kind() == reflect.Slice:
		d.slice(n, v, path, t)
	case v.Kind() == reflect.Map:
		d.mapping(n, v, path, t)
	default:
		d.scalar(n, v, path, t)
	}
}

func (d *decoder) want(n *yaml.Node, kind yaml.Kind, path string, t tags) bool {
	if n.Kind != kind {
		what, hint := "one value", ""
		switch kind {
		case yaml.SequenceNode:
			what = "a list"
			if n.Kind == yaml.ScalarNode {
				hint = "put it in brackets: [" + Plain(n.Value) + "]"
			}
		case yaml.MappingNode:
			what = "a mapping"
		}
		if t.like != "" {
			hint = "write it like " + t.like
		}
		d.add(n, path, "type", hint, "%s must be %s, not %s", d.name(path), what, described(n))
		return false
	}
	return true
}

func (d *decoder) slice(n *yaml.Node, v reflect.Value, path string, t tags) {
	if !d.want(n, yaml.SequenceNode, path, t) {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		d.value(c, v.Index(i), fmt.Sprintf("%s[%d]", path, i), t)
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string, t tags) {
	if !d.want(n, yaml.MappingNode, path, t) {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; d.key(k, path) && !v.MapIndex(reflect.ValueOf(k.Value).Convert(v.Type().Key())).IsValid() {
			e := reflect.New(v.Type().Elem()).Elem()
			d.value(n.Content[i+1], e, join(path, k.Value), t)
			v.SetMapIndex(reflect.ValueOf(k.Value).Convert(v.Type().Key()), e)
		}
	}
}

func (d *decoder) fields(n *yaml.Node, v reflect.Value, path string, t tags) {
	if !d.want(n, yaml.MappingNode, path, t) {
		return
	}
	fields, seen := Fields{}, map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if d.key(k, path) && !seen[k.Value] {
			seen[k.Value] = true
			fields = append(fields, Field{Text{k.Value, d.src.pos(k.Line, k.Column)}, &Node{n.Content[i+1], d.src, Plain(k.Value)}})
		}
	}
	v.Set(reflect.ValueOf(fields))
}

// key says whether k can be a name. What isn't even a scalar was reported by Parse.
func (d *decoder) key(k *yaml.Node, path string) bool {
	if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" || k.Tag == "!!null" {
		return false
	}
	if k.Tag == "!!int" || k.Tag == "!!float" || k.Tag == "!!bool" {
		d.add(k, join(path, k.Value), "type", `write it in quotes: "`+k.Value+`"`, "a name must be text, not %s", described(k))
		return false
	}
	return true
}

func (d *decoder) reads(n *yaml.Node, v reflect.Value, path string) {
	if !d.want(n, yaml.ScalarNode, path, tags{}) {
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
		d.advised(n, path, err)
	}
}

// advised reports err, and what it advises to write instead.
func (d *decoder) advised(n *yaml.Node, path string, err error) {
	var e *calendar.SpellingError
	hint := ""
	if errors.As(err, &e) {
		hint = e.Hint
	}
	d.add(n, path, "value", hint, "%s: %v", d.name(path), err)
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string, t tags) {
	if !d.want(n, yaml.ScalarNode, path, t) {
		return
	}
	switch {
	case v.Type() == durationType:
		span, err := calendar.ParseDuration(n.Value)
		if err != nil {
			d.advised(n, path, err)
			return
		}
		v.SetInt(int64(span))
	case v.Type() == textType, v.Kind() == reflect.String:
		d.text(n, v, path, t)
	case v.Kind() == reflect.Bool:
		if n.Value != "true" && n.Value != "false" || n.Tag != "!!bool" {
			d.add(n, path, "type", "write true or false", "%s must be true or false, not %s", d.name(path), described(n))
			return
		}
		v.SetBool(n.Value == "true")
	default:
		d.number(n, v, path, t)
	}
}

func (d *decoder) text(n *yaml.Node, v reflect.Value, path string, t tags) {
	if n.Style&yaml.TaggedStyle != 0 {
		d.bad[path] = true // reported by Parse
		return
	}
	if n.Tag != "!!str" && n.Tag != "!!timestamp" && !t.scalar {
		d.add(n, path, "type", `write it in quotes: "`+n.Value+`"`, "%s must be text, not %s", d.name(path), described(n))
		return
	}
	if v.Type() == textType {
		v.Set(reflect.ValueOf(Text{n.Value, d.src.pos(n.Line, n.Column)}))
	} else {
		v.SetString(n.Value)
	}
	if len(t.enum) > 0 && !slices.Contains(t.enum, n.Value) {
		d.add(n, path, "value", d.list.SuggestOf(n.Value, "it can be", t.enum), "%s can't be %s", d.name(path), Quote(n.Value))
	}
}

var (
	decimal  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	fraction = regexp.MustCompile(`^-?(0|[1-9][0-9]*)\.[0-9]+$`)
)

func (d *decoder) number(n *yaml.Node, v reflect.Value, path string, t tags) {
	var f float64
	var err error
	switch {
	case v.CanInt():
		var i int64
		if i, err = strconv.ParseInt(n.Value, 10, v.Type().Bits()); err == nil {
			v.SetInt(i)
		}
		f = float64(i)
	case v.CanFloat():
		if f, err = strconv.ParseFloat(n.Value, 64); err == nil {
			v.SetFloat(f)
		}
	default:
		err = fmt.Errorf("no %s can be read", v.Type())
	}
	if err != nil || n.Style != 0 || !(v.CanFloat() && fraction.MatchString(n.Value) || decimal.MatchString(n.Value)) {
		what := "a whole number"
		if v.CanFloat() {
			what = "a number"
		}
		d.add(n, path, "type", "write plain decimal digits, without quotes", "%s must be %s, not %s", d.name(path), what, described(n))
		return
	}
	if t.min != nil && f < *t.min {
		d.add(n, path, "value", "", "%s must be at least %s", d.name(path), digitsOf(*t.min))
	}
	if t.max != nil && f > *t.max {
		d.add(n, path, "value", "", "%s must be at most %s", d.name(path), digitsOf(*t.max))
	}
}

func digitsOf(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// described names what is written there, for "must be X, not Y".
func described(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind != yaml.ScalarNode:
		return "this"
	case n.Tag == "!!int", n.Tag == "!!float":
		return "the number " + Plain(n.Value)
	case n.Tag == "!!bool":
		return n.Value
	case n.Tag == "!!null":
		return "nothing"
	}
	return Quote(n.Value)
}

// name is the last part of a path, for messages.
func (d *decoder) name(path string) string {
	if path == "" {
		return d.what
	}
	if i := strings.LastIndexByte(path, '\x00'); i >= 0 {
		path = path[i+1:]
	}
	if list, rest, ok := strings.Cut(path, "["); ok && rest != "" {
		if i, err := strconv.Atoi(strings.TrimSuffix(rest, "]")); err == nil {
			return fmt.Sprintf("item %d of %s", i+1, cmp.Or(list, d.what))
		}
	}
	return Plain(path)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "\x00" + key
}
