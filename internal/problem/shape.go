package problem

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// tags is what a field's struct tags ask for.
type tags struct {
	required bool
	scalar   bool   // text that may be written as a number
	like     string // an example, for hints
	enum     []string
	min, max *float64
}

type member struct {
	name string
	at   []int // index path: embedded structs are read as if their fields stood here
	tags tags
}

func members(t reflect.Type, at []int) (all []member) {
	for i := range t.NumField() {
		f := t.Field(i)
		here := append(append([]int{}, at...), i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			all = append(all, members(f.Type, here)...)
		case name != "" && name != "-" && f.IsExported():
			all = append(all, member{name, here, tagsOf(f.Tag)})
		}
	}
	return all
}

func tagsOf(tag reflect.StructTag) (t tags) {
	t.required, t.scalar, t.like = tag.Get("rekey") == "required", tag.Get("rekey") == "scalar", tag.Get("like")
	for _, part := range strings.Split(tag.Get("jsonschema"), ",") {
		key, value, _ := strings.Cut(part, "=")
		n, err := strconv.ParseFloat(value, 64)
		switch {
		case key == "required":
			t.required = true
		case key == "enum":
			t.enum = append(t.enum, value)
		case key == "minimum" && err == nil:
			t.min = &n
		case key == "maximum" && err == nil:
			t.max = &n
		}
	}
	return t
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if !d.want(n, yaml.MappingNode, path, tags{}) {
		return
	}
	all := members(v.Type(), nil)
	names := make([]string, len(all))
	for i, m := range all {
		names[i] = m.name
	}
	given := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" || k.Tag == "!!null" || given[k.Value] {
			continue
		}
		given[k.Value] = true
		at := slices.Index(names, k.Value)
		if at < 0 {
			d.meant[join(path, d.list.Nearest(k.Value, names))] = true
			d.list.Add(d.src.pos(k.Line, k.Column), "unknown-key", d.list.SuggestOf(k.Value, "it can have", names),
				"%s has no key %s", d.name(path), Quote(k.Value))
			continue
		}
		d.value(n.Content[i+1], v.FieldByIndex(all[at].at), join(path, k.Value), all[at].tags)
	}
	for _, m := range all {
		if m.tags.required && !given[m.name] && !d.meant[join(path, m.name)] {
			d.add(n, join(path, m.name), "missing-key", "", "%s lacks %s", d.name(path), m.name)
		}
	}
	if c, ok := v.Addr().Interface().(Checker); ok {
		c.Check(&Report{d, n, path})
	}
}

// A Report takes the problems that a Checker finds in itself.
type Report struct {
	d    *decoder
	node *yaml.Node
	path string
}

// Add reports a problem at a field of the shape, named as in YAML: "url", "generate.length", "run[2]"; "" is the
// shape as a whole, and so is a field that isn't there. hint may be "".
func (r *Report) Add(field, rule, hint, format string, a ...any) {
	n, path := r.node, r.path
	for _, part := range strings.FieldsFunc(field, func(c rune) bool { return c == '.' || c == '[' || c == ']' }) {
		n, path = step(n, path, part)
		if r.d.bad[path] || r.d.meant[path] {
			return
		}
	}
	r.d.add(n, path, rule, hint, format, a...)
}

// Has says whether the field was written, or a misspelt key that was probably meant for it.
func (r *Report) Has(field string) bool {
	if r.d.meant[join(r.path, field)] {
		return true
	}
	n, _ := step(r.node, "", field)
	return n != r.node
}

// step goes from n to a part of it; where that isn't there it stays.
func step(n *yaml.Node, path, part string) (*yaml.Node, string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if i, err := strconv.Atoi(part); err == nil && n.Kind == yaml.SequenceNode {
		path += "[" + part + "]"
		if i < len(n.Content) {
			n = n.Content[i]
		}
		return n, path
	}
	path = join(path, part)
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == part {
				return n.Content[i+1], path
			}
		}
	}
	return n, path
}
