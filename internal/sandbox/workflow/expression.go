package workflow

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// ErrNotModelled is in every error about something GitHub does and this package doesn't.
var ErrNotModelled = errors.New("not modelled")

// A template is a text with ${{ }} in it, parsed. The whole of it is one expression where it is nothing but one: it
// then has any kind of value, and is a string otherwise.
type template struct{ parts []part }

type part struct {
	literal string
	node    actionlint.ExprNode
	pos     int // bytes into the text where the expression begins
}

func parseTemplate(s string) (template, error) {
	var t template
	for rest, at := s, 0; ; {
		i := strings.Index(rest, "${{")
		if i < 0 {
			if rest != "" {
				t.parts = append(t.parts, part{literal: rest})
			}
			return t, nil
		}
		if i > 0 {
			t.parts = append(t.parts, part{literal: rest[:i]})
		}
		node, n, err := parseExpression(rest[i+3:])
		if err != nil {
			return t, err
		}
		t.parts = append(t.parts, part{node: node, pos: at + i + 3})
		rest, at = rest[i+3+n:], at+i+3+n
	}
}

// parseCondition is parseTemplate for an `if`, where ${{ }} may be left out.
func parseCondition(s string) (template, error) {
	if strings.Contains(s, "${{") {
		return parseTemplate(s)
	}
	node, _, err := parseExpression(s + "}}")
	return template{[]part{{node: node}}}, err
}

// parseExpression reads up to and with the closing braces and says how many bytes that was.
func parseExpression(s string) (actionlint.ExprNode, int, error) {
	l := actionlint.NewExprLexer(s)
	node, err := actionlint.NewExprParser().Parse(l)
	if err != nil {
		return nil, 0, errors.New(err.Message)
	}
	return node, l.Offset(), nil
}

func (t template) visit(f func(actionlint.ExprNode, part)) {
	for _, p := range t.parts {
		if p.node == nil {
			continue
		}
		actionlint.VisitExprNode(p.node, func(n, _ actionlint.ExprNode, entering bool) {
			if entering {
				f(n, p)
			}
		})
	}
}

var statusFunctions = []string{"always", "cancelled", "failure", "success"}

// asksStatus: a status function anywhere in the condition switches the implicit success() off.
func (t template) asksStatus() (asks bool) {
	t.visit(func(n actionlint.ExprNode, _ part) {
		if c, ok := n.(*actionlint.FuncCallNode); ok && slices.Contains(statusFunctions, strings.ToLower(c.Callee)) {
			asks = true
		}
	})
	return asks
}

// A scope is what an expression can see: contexts by lower-case name, and the status functions' answers.
type scope struct {
	contexts map[string]value
	status   *status // nil where there are none
}

type status struct{ success, failure, cancelled bool }

// with is the scope and one more context.
func (s scope) with(name string, v value) scope {
	m := map[string]value{name: v}
	for k, v := range s.contexts {
		if k != name {
			m[k] = v
		}
	}
	return scope{m, s.status}
}

func (s scope) value(t template) (value, error) {
	if len(t.parts) == 1 && t.parts[0].node != nil {
		return s.eval(t.parts[0].node)
	}
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.literal)
		if p.node == nil {
			continue
		}
		v, err := s.eval(p.node)
		if err != nil {
			return nil, err
		}
		b.WriteString(text(v))
	}
	return b.String(), nil
}

// condition decides an `if` ("Expressions": a default status check of success() is applied unless you include one of
// these functions). No condition is success().
func (s scope) condition(t *template) (bool, error) {
	if t == nil {
		return s.status.success, nil
	}
	if !t.asksStatus() && !s.status.success {
		return false, nil
	}
	v, err := s.value(*t)
	return truthy(v), err
}

func (s scope) eval(n actionlint.ExprNode) (value, error) {
	switch n := n.(type) {
	case *actionlint.NullNode:
		return nil, nil
	case *actionlint.BoolNode:
		return n.Value, nil
	case *actionlint.IntNode:
		return float64(n.Value), nil
	case *actionlint.FloatNode:
		return n.Value, nil
	case *actionlint.StringNode:
		return n.Value, nil
	case *actionlint.VariableNode:
		v, ok := s.contexts[n.Name]
		if !ok {
			return nil, fmt.Errorf("context %q: %w here", n.Name, ErrNotModelled)
		}
		return v, nil
	case *actionlint.ObjectDerefNode:
		return s.index(n.Receiver, &actionlint.StringNode{Value: n.Property})
	case *actionlint.IndexAccessNode:
		return s.index(n.Operand, n.Index)
	case *actionlint.NotOpNode:
		v, err := s.eval(n.Operand)
		return !truthy(v), err
	case *actionlint.CompareOpNode:
		return s.compare(n)
	case *actionlint.LogicalOpNode:
		l, err := s.eval(n.Left)
		if err != nil || truthy(l) == (n.Kind == actionlint.LogicalOpNodeKindOr) {
			return l, err
		}
		return s.eval(n.Right)
	case *actionlint.FuncCallNode:
		return s.call(n)
	default:
		return nil, fmt.Errorf("%T: %w", n, ErrNotModelled)
	}
}

func (s scope) index(of, key actionlint.ExprNode) (value, error) {
	o, err := s.eval(of)
	if err != nil {
		return nil, err
	}
	k, err := s.eval(key)
	if err != nil {
		return nil, err
	}
	return index(o, k)
}

func (s scope) compare(n *actionlint.CompareOpNode) (value, error) {
	l, err := s.eval(n.Left)
	if err != nil {
		return nil, err
	}
	r, err := s.eval(n.Right)
	if err != nil {
		return nil, err
	}
	switch n.Kind {
	case actionlint.CompareOpNodeKindEq:
		return equal(l, r), nil
	case actionlint.CompareOpNodeKindNotEq:
		return !equal(l, r), nil
	case actionlint.CompareOpNodeKindLess:
		return less(l, r), nil
	case actionlint.CompareOpNodeKindLessEq:
		return equal(l, r) || less(l, r), nil
	case actionlint.CompareOpNodeKindGreater:
		return less(r, l), nil
	case actionlint.CompareOpNodeKindGreaterEq:
		return equal(l, r) || less(r, l), nil
	default:
		return nil, fmt.Errorf("operator %s: %w", n.Kind, ErrNotModelled)
	}
}

func (s scope) call(n *actionlint.FuncCallNode) (value, error) {
	name := strings.ToLower(n.Callee)
	if s.status != nil {
		switch name {
		case "always":
			return true, nil
		case "success":
			return s.status.success, nil
		case "failure":
			return s.status.failure, nil
		case "cancelled":
			return s.status.cancelled, nil
		}
	}
	f, ok := functions[name]
	if !ok {
		return nil, fmt.Errorf("function %s: %w here", n.Callee, ErrNotModelled)
	}
	if len(n.Args) < f.from || f.to >= 0 && len(n.Args) > f.to {
		return nil, fmt.Errorf("function %s: wrong number of arguments", n.Callee)
	}
	args := make([]value, len(n.Args))
	for i, a := range n.Args {
		v, err := s.eval(a)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	return f.call(args)
}
