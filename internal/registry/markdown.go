package registry

import (
	"bytes"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/rastup/rekey/internal/calendar"
	"github.com/rastup/rekey/internal/problem"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	tables "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// newParser is goldmark with GitHub's tables, for blocks only: most cells are plain text, and prose is none of our
// business, so that what is slow about inline Markdown can't be reached through it. See plain for the rest.
func newParser() parser.Parser {
	return parser.NewParser(
		parser.WithBlockParsers(parser.DefaultBlockParsers()...),
		parser.WithParagraphTransformers(util.Prioritized(extension.NewTableParagraphTransformer(), 200)),
	)
}

// newInline reads one cell or heading.
func newInline() parser.Parser {
	return parser.NewParser(
		parser.WithBlockParsers(util.Prioritized(parser.NewParagraphParser(), 1000)),
		parser.WithInlineParsers(append(parser.DefaultInlineParsers(), util.Prioritized(extension.NewStrikethroughParser(), 500))...),
	)
}

// A page is one registry file while it is read.
type page struct {
	File
	list   *problem.List
	lines  []int // where each line begins
	blocks []block

	inline    parser.Parser // nil until it is needed
	entries   []Entry
	cells     []cell // of the row being read
	owners    map[string]bool
	intervals map[string]calendar.Interval
	tagLists  map[string][]string
	texts     map[string]string // of short cells: most kinds, owners and intervals come up again and again
}

// A block is a fenced YAML block and the headings above it, outermost first.
type block struct {
	headings []string
	src      problem.Source
	at       problem.Pos
}

func newPage(f File, l *problem.List) *page {
	p := &page{File: f, list: l, owners: map[string]bool{}, intervals: map[string]calendar.Interval{},
		tagLists: map[string][]string{}, texts: map[string]string{}, lines: make([]int, 1, bytes.Count(f.Bytes, []byte("\n"))+1)}
	for at := 0; ; {
		i := bytes.IndexByte(f.Bytes[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
		p.lines = append(p.lines, at)
	}
	return p
}

// pos is the place of a byte offset.
func (p *page) pos(offset int) problem.Pos {
	line := sort.SearchInts(p.lines, offset+1) - 1
	return problem.Pos{File: p.Path, Line: line + 1, Col: utf8.RuneCount(p.Bytes[p.lines[line]:offset]) + 1}
}

// read walks the document's own blocks: what stands in quotes and lists is prose.
func (p *page) read() []Entry {
	if !p.bearable() {
		return nil
	}
	var headings []string // by level
	found := false
	doc := newParser().Parse(text.NewReader(p.Bytes))
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			for len(headings) < n.Level {
				headings = append(headings, "")
			}
			name, _ := p.plain(n)
			headings = append(headings[:n.Level-1], name)
		case *ast.FencedCodeBlock:
			p.fenced(n, headings)
		case *tables.Table:
			found = p.table(n) || found
		}
	}
	if !found {
		p.list.Add(problem.Pos{File: p.Path, Line: 1, Col: 1}, "no-table", "add one: | Secret | Kind | Owner | Interval | Last rotated | Tags |", "has no table of secrets")
	}
	return p.entries
}

const (
	mostColumns = 64
	mostCells   = 250_000
	mostNested  = 100 // marks that nest blocks at the beginning of a line
)

// bearable refuses what would make the Markdown parser work far longer than the page is long: it fills up every
// row of a table to its header's width, and goes through all open quotes and lists for each line.
func (p *page) bearable() bool {
	columns, cells := 0, 0
	for i, start := range p.lines {
		end := len(p.Bytes)
		if i+1 < len(p.lines) {
			end = p.lines[i+1]
		}
		line := p.Bytes[start:end]
		trimmed := bytes.Trim(line, " \t\r\n")
		switch {
		case len(trimmed) == 0, bytes.IndexByte([]byte("#`~>"), trimmed[0]) >= 0: // no table goes on here
			columns = 0
		case len(bytes.Trim(trimmed, "-:| \t")) == 0 && bytes.IndexByte(trimmed, '-') >= 0:
			columns = max(columns, bytes.Count(trimmed, []byte("|"))+1)
		}
		cells += columns
		marks := len(trimmed) - len(bytes.TrimLeft(trimmed, "> \t-+*0123456789.)"))
		switch at := (problem.Pos{File: p.Path, Line: i + 1, Col: 1}); {
		case columns > mostColumns, cells > mostCells:
			p.list.Add(at, "too-large", "split it over several files", "a table this large isn't read: %d columns, %d cells at most", mostColumns, mostCells)
			return false
		case marks > mostNested && bytes.Count(trimmed[:marks], []byte(" "))+bytes.Count(trimmed[:marks], []byte(">")) > mostNested:
			p.list.Add(at, "too-large", "nest less", "quotes and lists this deep in each other aren't read")
			return false
		}
	}
	return true
}

// text is b as a string, the same one for the same short text.
func (p *page) text(b []byte) string {
	if len(b) > 16 {
		return string(b)
	}
	s, ok := p.texts[string(b)]
	if !ok && len(p.texts) < 4096 {
		s = string(b)
		p.texts[s] = s
	} else if !ok {
		s = string(b)
	}
	return s
}

const struck = "struck-through text"

// plain is the text of a heading or cell as people see it; why says what in it isn't plain text.
func (p *page) plain(n ast.Node) (s, why string) {
	var raw []byte
	for i := range n.Lines().Len() {
		at := n.Lines().At(i)
		raw = at.Value(p.Bytes)
		if n.Lines().Len() > 1 {
			raw = bytes.Join([][]byte{[]byte(s), raw}, nil)
			s = string(raw)
		}
	}
	if raw = bytes.TrimSpace(raw); !bytes.ContainsAny(raw, "\\`*_[]<>&~!\n") {
		return p.text(raw), ""
	}
	if len(raw) > mostInline {
		return "", "more than a name"
	}
	if p.inline == nil {
		p.inline = newInline()
	}
	if n.Kind() == tables.KindTableCell {
		raw = bytes.ReplaceAll(raw, []byte(`\|`), []byte("|"))
	}
	return visible(p.inline.Parse(text.NewReader(raw)), raw)
}

const mostInline = 4096 // bytes of a cell or heading with markup

// visible is the text of inline Markdown as people see it; why says what in it isn't plain text.
func visible(n ast.Node, src []byte) (s, why string) {
	var b strings.Builder
	_ = ast.Walk(n, func(c ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch c := c.(type) {
		case *ast.Text:
			value := c.Segment.Value(src)
			if _, code := c.Parent().(*ast.CodeSpan); !code {
				value = util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(value)))
			}
			b.Write(value)
			if c.SoftLineBreak() || c.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(c.Value)
		case *ast.AutoLink:
			b.Write(c.Label(src))
		case *ast.RawHTML:
			why = "HTML"
		case *ast.Image:
			why = "an image"
		case *tables.Strikethrough:
			why = struck
		}
		return ast.WalkContinue, nil
	})
	return strings.TrimSpace(b.String()), why
}

// fenced keeps a YAML block, with the way back from its lines to the page's.
func (p *page) fenced(n *ast.FencedCodeBlock, headings []string) {
	lang := strings.ToLower(string(n.Language(p.Bytes)))
	if lang != "yaml" && lang != "yml" {
		return
	}
	b := block{src: problem.Source{File: p.Path, What: "the block"}}
	lines := n.Lines()
	fence := p.lines[sort.SearchInts(p.lines, n.Info.Segment.Start+1)-1]
	b.at = p.pos(n.Info.Segment.Start)
	b.headings = append(b.headings, headings...)
	starts := make([]int, lines.Len())
	end := fence
	for i := range starts {
		at := lines.At(i)
		starts[i], end = at.Start, at.Start
		for range at.Padding {
			b.src.Text = append(b.src.Text, ' ')
		}
		b.src.Text = append(b.src.Text, p.Bytes[at.Start:at.Stop]...)
	}
	next := sort.SearchInts(p.lines, end+1) // the line after the last
	if next == len(p.lines) || !isFence(p.Bytes[p.lines[next]:]) {
		p.list.Add(b.at, "unclosed", "add a line of ``` after it", "this block has no end")
	}
	b.src.Place = func(line, col int) problem.Pos {
		if line > len(starts) { // after the last line
			if next < len(p.lines) {
				return p.pos(p.lines[next])
			}
			return b.at
		}
		at := p.pos(starts[max(line, 1)-1])
		at.Col += col - 1
		return at
	}
	p.blocks = append(p.blocks, b)
}

func isFence(b []byte) bool {
	b = bytes.TrimLeft(b, " ")
	return bytes.HasPrefix(b, []byte("```")) || bytes.HasPrefix(b, []byte("~~~"))
}
