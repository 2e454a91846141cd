package redact

import (
	"maps"
	"slices"
)

// An automaton finds all forms in one pass (Aho and Corasick, 1975). State 0 is the root. Forms are long and
// share little, so that most nodes have one child: it lies in the node, the others in a list beside it.
type automaton struct {
	nodes []node
	root  [256]int32
}

type node struct {
	child   int32 // first child; 0: none
	sibling int32 // next child of the same parent; 0: none
	fail    int32 // where to go on when no child fits: the longest proper suffix that is a node
	depth   int32 // bytes from the root
	longest int32 // of the forms that end here; 0: none does
	whole   int32 // length of the shortest form that goes through here
	char    byte  // that leads here
}

func build(forms map[string]bool) *automaton {
	most := 1
	for f := range forms {
		most += len(f)
	}
	a := &automaton{nodes: make([]node, 1, most)}
	for _, f := range slices.Sorted(maps.Keys(forms)) {
		a.insert(f)
	}
	for n := a.nodes[0].child; n != 0; n = a.nodes[n].sibling {
		a.root[a.nodes[n].char] = n
	}
	a.link()
	return a
}

func (a *automaton) insert(form string) {
	at, size := int32(0), int32(len(form))
	for i := range len(form) {
		c := a.childOf(at, form[i])
		if c == 0 {
			c = int32(len(a.nodes))
			a.nodes = append(a.nodes, node{sibling: a.nodes[at].child, depth: int32(i + 1), whole: size, char: form[i]})
			a.nodes[at].child = c
		}
		at = c
		a.nodes[at].whole = min(a.nodes[at].whole, size)
	}
	a.nodes[at].longest = size
}

// link sets fail, and longest to what ends here by any suffix, breadth first.
func (a *automaton) link() {
	queue := append(make([]int32, 0, len(a.nodes)), 0)
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for c := a.nodes[at].child; c != 0; c = a.nodes[c].sibling {
			queue = append(queue, c)
			if at != 0 {
				a.nodes[c].fail = a.next(a.nodes[at].fail, a.nodes[c].char)
			}
			a.nodes[c].longest = max(a.nodes[c].longest, a.nodes[a.nodes[c].fail].longest)
		}
	}
}

func (a *automaton) childOf(at int32, c byte) int32 {
	for n := a.nodes[at].child; n != 0; n = a.nodes[n].sibling {
		if a.nodes[n].char == c {
			return n
		}
	}
	return 0
}

func (a *automaton) next(at int32, c byte) int32 {
	for at != 0 {
		if n := a.childOf(at, c); n != 0 {
			return n
		}
		at = a.nodes[at].fail
	}
	return a.root[c]
}

// skip is how many bytes of p begin no form.
func (a *automaton) skip(p []byte) int {
	for i, c := range p {
		if a.root[c] != 0 {
			return i
		}
	}
	return len(p)
}
