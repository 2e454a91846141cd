package problem

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	mostNodes = 10_000 // of one document, aliases counted as often as they are used
	mostDeep  = 32     // mappings and lists inside each other
)

// A Source is YAML text and where it stands.
type Source struct {
	File string
	What string // names the whole in messages: "the request"; "" is "it"
	Text []byte
	// Place turns a line and column of Text, both from 1, into a place in File. nil: Text is the whole file.
	Place func(line, col int) Pos
}

func (s Source) pos(line, col int) Pos {
	if s.Place == nil {
		return Pos{s.File, line, col}
	}
	return s.Place(line, col)
}

// A Node is a piece of a parsed document. As the type of a field it keeps that piece for decoding later, when
// it is known into what.
type Node struct {
	yaml *yaml.Node
	src  Source
	what string // names it in messages
}

// Pos is where the node begins.
func (n *Node) Pos() Pos { return n.src.pos(n.yaml.Line, n.yaml.Column) }

// Parse reads one YAML document without knowing its shape. What no shape allows is reported: a second document,
// repeated keys, merge keys, tags, anything nested or aliased beyond reason. nil when there is nothing to decode.
func Parse(src Source, l *List) *Node {
	before := l.Len()
	root, err := document(src.Text)
	switch {
	case errors.Is(err, errMore):
		l.Add(src.pos(root.Line, root.Column), "yaml", "one document per file: remove what follows ---", "a second document begins")
		return nil
	case err != nil:
		syntax(src, err, l)
		return nil
	case root == nil:
		l.Add(src.pos(1, 1), "empty", "", "%s is empty", cmp.Or(src.What, "it"))
		return nil
	}
	s := structure{src: src, list: l, size: map[*yaml.Node]int{}}
	if n := s.count(root, 0); n > mostNodes {
		l.Add(src.pos(root.Line, root.Column), "yaml", "split it", "has more than %d values, aliases counted where they are used", mostNodes)
	}
	if s.fatal || l.Len() > before && s.size[root] > mostNodes {
		return nil
	}
	return &Node{root, src, src.What}
}

var errMore = errors.New("more than one document")

// document is the root of the only document; nil when there is none. With errMore it is the second one's.
func document(text []byte) (root *yaml.Node, err error) {
	defer func() { // yaml.v3 panics on some input it doesn't understand
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("yaml: can't be understood")
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	if err := dec.Decode(&first); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(&second); err == nil {
		return &second, errMore
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(first.Content) == 0 || null(first.Content[0]) && first.Content[0].Value == "" {
		return nil, nil
	}
	return first.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntax words what the library found. Its line is the nearest it knows.
func syntax(src Source, err error, l *List) {
	line, msg := 1, err.Error()
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = min(max(n, 1), bytes.Count(src.Text, []byte("\n"))+1)
		}
		msg = m[2]
	}
	hint := "check the indentation, the quotes and the brackets on this line and the one before"
	switch {
	case strings.Contains(msg, "cannot start any token"):
		hint = "indent with spaces, not tabs, and put text that begins with @ ` or % in quotes"
	case strings.Contains(msg, "mapping values are not allowed"):
		hint = "text with a colon and a space in it needs quotes"
	case strings.Contains(msg, "unknown anchor"):
		hint = "text that begins with * needs quotes"
	}
	l.Add(src.pos(line, 1), "yaml", hint, "isn't YAML: %s", msg)
}

// structure walks a document once, as written, and counts it as expanded.
type structure struct {
	src   Source
	list  *List
	size  map[*yaml.Node]int // expanded; -1 while it is being counted
	fatal bool
}

// count is how many values n stands for, capped a little over mostNodes.
func (s *structure) count(n *yaml.Node, depth int) int {
	if done, ok := s.size[n]; ok {
		if done < 0 {
			s.stop(n, "an alias inside the value it names")
		}
		return max(done, 0)
	}
	if depth > mostDeep {
		if !s.fatal {
			s.stop(n, fmt.Sprintf("is nested more than %d deep", mostDeep))
		}
		return 0
	}
	s.size[n] = -1
	total := 1
	if n.Kind == yaml.AliasNode {
		total = s.count(n.Alias, depth)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		s.add(n, "remove the tag", "the tag %s isn't allowed", Quote(n.Tag))
	}
	if n.Kind == yaml.MappingNode {
		s.keys(n)
	}
	for _, c := range n.Content {
		total = min(total+s.count(c, depth+1), mostNodes+1)
	}
	s.size[n] = total
	return total
}

func (s *structure) keys(n *yaml.Node) {
	first := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch {
		case k.Kind != yaml.ScalarNode:
			s.add(k, "", "a key must be plain text")
		case k.Tag == "!!merge":
			s.add(k, "write the keys out", "merge keys (<<) aren't allowed")
		case k.Tag == "!!null":
			s.add(k, "", "a key is empty")
		case first[k.Value] != nil:
			at := s.src.pos(first[k.Value].Line, first[k.Value].Column)
			s.list.Add(s.src.pos(k.Line, k.Column), "duplicate-key", "remove one of the two",
				"%s is already given at line %d", Quote(k.Value), at.Line)
		default:
			first[k.Value] = k
		}
	}
}

func (s *structure) add(n *yaml.Node, hint, format string, a ...any) {
	s.list.Add(s.src.pos(n.Line, n.Column), "yaml", hint, format, a...)
}

func (s *structure) stop(n *yaml.Node, msg string) {
	s.fatal = true
	s.add(n, "", "%s", msg)
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
