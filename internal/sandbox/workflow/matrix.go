package workflow

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// maxMatrix is how many jobs a matrix may make ("Actions limits").
const maxMatrix = 256

// combinations are those of a job's matrix, in the order of its rows ("Running variations of jobs in a workflow"). A
// job without a matrix has one, nil.
func (w *Workflow) combinations(s scope, strategy *actionlint.Strategy) ([]*object, error) {
	if strategy == nil || strategy.Matrix == nil {
		return []*object{nil}, nil
	}
	rows, include, exclude, err := w.matrix(s, strategy.Matrix)
	if err != nil {
		return nil, err
	}
	if len(rows.keys) == 0 && len(include) == 0 {
		return nil, fmt.Errorf("matrix must define at least one vector")
	}
	originals, err := product(rows)
	if err != nil {
		return nil, err
	}
	originals = slices.DeleteFunc(originals, func(c *object) bool {
		return slices.ContainsFunc(exclude, func(x *object) bool { return within(x, c, x.keys) })
	})
	all := extend(rows, originals, include)
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("matrix has no combination")
	case len(all) > maxMatrix:
		return nil, fmt.Errorf("matrix has %d combinations, %d is the limit", len(all), maxMatrix)
	}
	return all, nil
}

func product(rows *object) ([]*object, error) {
	if len(rows.keys) == 0 {
		return nil, nil
	}
	all := []*object{newObject()}
	for _, k := range rows.keys {
		v, _ := rows.get(k)
		row, ok := v.(*array)
		if !ok {
			return nil, fmt.Errorf("matrix vector '%s' isn't a list", k)
		}
		if len(row.items) == 0 {
			return nil, fmt.Errorf("matrix vector '%s' does not contain any values", k)
		}
		var next []*object
		for _, c := range all {
			for _, item := range row.items {
				next = append(next, copyObject(c).set(k, item))
			}
		}
		if all = next; len(all) > maxMatrix {
			return nil, fmt.Errorf("matrix has more than %d combinations", maxMatrix)
		}
	}
	return all, nil
}

// extend: an include goes to every original combination whose original values it doesn't change, else it is a
// combination of its own.
func extend(rows *object, originals, include []*object) []*object {
	all := make([]*object, len(originals))
	for i, o := range originals {
		all[i] = copyObject(o)
	}
	for _, in := range include {
		own := true
		for i, o := range originals {
			shared := slices.DeleteFunc(slices.Clone(in.keys), func(k string) bool { _, ok := rows.get(k); return !ok })
			if !within(in, o, shared) {
				continue
			}
			own = false
			for _, k := range in.keys {
				v, _ := in.get(k)
				all[i].set(k, v)
			}
		}
		if own {
			all = append(all, copyObject(in))
		}
	}
	return all
}

func within(part, whole *object, keys []string) bool {
	for _, k := range keys {
		a, _ := part.get(k)
		b, ok := whole.get(k)
		if !ok || toJSON(a) != toJSON(b) {
			return false
		}
	}
	return true
}

func copyObject(o *object) *object {
	return &object{keys: slices.Clone(o.keys), values: maps.Clone(o.values)}
}

// matrix evaluates rows, include and exclude.
func (w *Workflow) matrix(s scope, m *actionlint.Matrix) (rows *object, include, exclude []*object, err error) {
	whole := newObject()
	if m.Expression != nil {
		v, err := s.value(w.template(strings.TrimSpace(m.Expression.Value)))
		if err != nil {
			return nil, nil, nil, err
		}
		o, ok := v.(*object)
		if !ok {
			return nil, nil, nil, fmt.Errorf("matrix isn't an object")
		}
		whole = o
	}
	for _, r := range sortedRows(m.Rows) {
		v, err := w.row(s, r.row)
		if err != nil {
			return nil, nil, nil, err
		}
		whole.set(r.key, v)
	}
	for key, c := range map[string]*actionlint.MatrixCombinations{"include": m.Include, "exclude": m.Exclude} {
		if c == nil {
			continue
		}
		v, err := w.list(s, c)
		if err != nil {
			return nil, nil, nil, err
		}
		whole.set(key, v)
	}
	rows = newObject()
	for _, k := range whole.keys {
		v, _ := whole.get(k)
		switch strings.ToLower(k) {
		case "include":
			include, err = objects(k, v)
		case "exclude":
			exclude, err = objects(k, v)
		default:
			rows.set(k, v)
		}
		if err != nil {
			return nil, nil, nil, err
		}
	}
	return rows, include, exclude, nil
}

func objects(key string, v value) (all []*object, err error) {
	a, ok := v.(*array)
	if !ok {
		return nil, fmt.Errorf("matrix %s isn't a list", key)
	}
	for _, item := range a.items {
		o, ok := item.(*object)
		if !ok {
			return nil, fmt.Errorf("matrix %s holds something that isn't an object", key)
		}
		all = append(all, o)
	}
	return all, nil
}

type keyedRow struct {
	key string
	row *actionlint.MatrixRow
}

// sortedRows has the rows in the file's order, which decides the order of jobs and of the values in their names.
func sortedRows(rows map[string]*actionlint.MatrixRow) (all []keyedRow) {
	at := func(r *actionlint.MatrixRow) *actionlint.Pos {
		if r.Name != nil {
			return r.Name.Pos
		}
		return r.Expression.Pos
	}
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		key := k
		if n := rows[k].Name; n != nil {
			key = n.Value
		}
		all = append(all, keyedRow{key, rows[k]})
	}
	slices.SortStableFunc(all, func(a, b keyedRow) int { return comparePos(at(a.row), at(b.row)) })
	return all
}

func comparePos(a, b *actionlint.Pos) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
}

func (w *Workflow) row(s scope, r *actionlint.MatrixRow) (value, error) {
	if r.Expression != nil {
		return s.value(w.template(r.Expression.Value))
	}
	a := &array{}
	for _, raw := range r.Values {
		v, err := w.raw(s, raw)
		if err != nil {
			return nil, err
		}
		a.items = append(a.items, v)
	}
	return a, nil
}

func (w *Workflow) list(s scope, c *actionlint.MatrixCombinations) (value, error) {
	if c.Expression != nil {
		return s.value(w.template(c.Expression.Value))
	}
	a := &array{}
	for _, one := range c.Combinations {
		if one.Expression != nil {
			v, err := s.value(w.template(one.Expression.Value))
			if err != nil {
				return nil, err
			}
			a.items = append(a.items, v)
			continue
		}
		keys := slices.SortedFunc(maps.Keys(one.Assigns), func(a, b string) int {
			return comparePos(one.Assigns[a].Key.Pos, one.Assigns[b].Key.Pos)
		})
		o := newObject()
		for _, k := range keys {
			v, err := w.raw(s, one.Assigns[k].Value)
			if err != nil {
				return nil, err
			}
			o.set(one.Assigns[k].Key.Value, v)
		}
		a.items = append(a.items, o)
	}
	return a, nil
}

// raw is a value written in the matrix itself.
func (w *Workflow) raw(s scope, v actionlint.RawYAMLValue) (value, error) {
	switch v := v.(type) {
	case *actionlint.RawYAMLArray:
		a := &array{}
		for _, e := range v.Elems {
			item, err := w.raw(s, e)
			if err != nil {
				return nil, err
			}
			a.items = append(a.items, item)
		}
		return a, nil
	case *actionlint.RawYAMLObject:
		o := newObject()
		keys := slices.SortedFunc(maps.Keys(v.Props), func(a, b string) int {
			return comparePos(v.Props[a].Pos(), v.Props[b].Pos())
		})
		for _, k := range keys {
			item, err := w.raw(s, v.Props[k])
			if err != nil {
				return nil, err
			}
			o.set(k, item)
		}
		return o, nil
	default:
		scalar, ok := v.(*actionlint.RawYAMLString)
		if !ok {
			return nil, fmt.Errorf("matrix value %T: %w", v, ErrNotModelled)
		}
		if _, ok := w.templates[scalar.Value]; ok {
			return s.value(w.template(scalar.Value))
		}
		return w.scalar(scalar), nil
	}
}

// scalar reads a plain scalar as YAML's core schema has it; actionlint keeps its text only, so that the file says
// whether it was quoted.
func (w *Workflow) scalar(s *actionlint.RawYAMLString) value {
	if line := w.lines[s.Pos().Line-1]; s.Pos().Col <= len(line) && strings.IndexByte(`'"|>`, line[s.Pos().Col-1]) >= 0 {
		return s.Value
	}
	switch s.Value {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	if decimal.MatchString(s.Value) || strings.HasPrefix(s.Value, "0x") || strings.HasPrefix(s.Value, "0o") {
		if f := parseNumber(s.Value); f == f {
			return f
		}
	}
	return s.Value
}
