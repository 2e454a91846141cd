package page

import (
	"bytes"
	"html/template"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
)

// body is a comment's Markdown as HTML: GitHub's flavour, of raw HTML the elements in allowed, of links those to
// the web and to places in the page. Images are shown by their text: a page loads nothing.
func body(text string) template.HTML {
	md := goldmark.New(goldmark.WithExtensions(extension.GFM),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(sanitizer{}, 100)), html.WithHardWraps()))
	var b bytes.Buffer
	if err := md.Convert([]byte(text), &b); err != nil {
		return template.HTML(template.HTMLEscapeString(text))
	}
	return template.HTML(balanced(strings.TrimSpace(b.String())))
}

// allowed are the raw elements that comments are made of, without attributes.
var allowed = regexp.MustCompile(`^</?(?:details|summary|b|sub|code)>$|^<br ?/?>$`)

var (
	tag     = regexp.MustCompile(`<[^<>]*>`)
	remark  = regexp.MustCompile(`(?s)^<!--.*?(?:-->|$)`)
	address = regexp.MustCompile(`^(?i:https?://|mailto:|#)`)
)

type sanitizer struct{}

// RegisterFuncs takes the place of the renderers through which more than text could pass.
func (s sanitizer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindHTMLBlock, s.block)
	r.Register(ast.KindRawHTML, s.inline)
	r.Register(ast.KindLink, s.link)
	r.Register(ast.KindAutoLink, s.autoLink)
	r.Register(ast.KindImage, s.image)
}

func (s sanitizer) block(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.HTMLBlock)
	if entering {
		var b strings.Builder
		for i := range n.Lines().Len() {
			line := n.Lines().At(i)
			b.Write(line.Value(source))
		}
		if n.HasClosure() {
			b.Write(n.ClosureLine.Value(source))
		}
		write(w, b.String())
	}
	return ast.WalkContinue, nil
}

func (s sanitizer) inline(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.RawHTML)
	if entering {
		write(w, string(n.Segments.Value(source)))
	}
	return ast.WalkSkipChildren, nil
}

// write keeps allowed tags, drops comments, and shows everything else as text. Character references stay.
func write(w util.BufWriter, raw string) {
	for raw != "" {
		if m := remark.FindString(raw); m != "" {
			raw = raw[len(m):]
			continue
		}
		if m := tag.FindString(raw); m != "" && strings.HasPrefix(raw, m) && allowed.MatchString(m) {
			_, _ = w.WriteString(m)
			raw = raw[len(m):]
			continue
		}
		next := strings.IndexByte(raw[1:], '<') + 1
		if next == 0 {
			next = len(raw)
		}
		_, _ = w.WriteString(escape.Replace(raw[:next]))
		raw = raw[next:]
	}
}

// escape leaves & alone: in raw HTML it begins a character reference, which can't become a tag.
var escape = strings.NewReplacer("<", "&lt;", ">", "&gt;", `"`, "&#34;")

func (s sanitizer) link(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	anchor(w, node.(*ast.Link).Destination, entering)
	return ast.WalkContinue, nil
}

func (s sanitizer) autoLink(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	n := node.(*ast.AutoLink)
	to := n.URL(source)
	if n.AutoLinkType == ast.AutoLinkEmail {
		to = append([]byte("mailto:"), to...)
	}
	anchor(w, to, true)
	_, _ = w.Write(util.EscapeHTML(n.Label(source)))
	anchor(w, to, false)
	return ast.WalkContinue, nil
}

// anchor begins or ends a link, where it leads somewhere allowed.
func anchor(w util.BufWriter, to []byte, entering bool) {
	switch {
	case !address.Match(to):
	case entering:
		_, _ = w.WriteString(`<a href="` + string(util.EscapeHTML(util.URLEscape(to, true))) + `" rel="noreferrer nofollow">`)
	default:
		_, _ = w.WriteString("</a>")
	}
}

func (s sanitizer) image(util.BufWriter, []byte, ast.Node, bool) (ast.WalkStatus, error) {
	return ast.WalkContinue, nil // its text
}

var element = regexp.MustCompile(`<(/?)([a-z][a-z0-9]*)(?: [^<>]*)?>`)

// void elements have no end.
var void = regexp.MustCompile(`^(?:br|hr|input)$`)

// balanced closes what a comment left open, and drops what closes nothing: a comment ends where it ends. What
// closes in another order than it was opened is closed on the way.
func balanced(out string) string {
	var open []string
	var b strings.Builder
	last := 0
	for _, m := range element.FindAllStringSubmatchIndex(out, -1) {
		b.WriteString(out[last:m[0]])
		last = m[1]
		name := out[m[4]:m[5]]
		if m[2] == m[3] { // begins
			b.WriteString(out[m[0]:m[1]])
			if !void.MatchString(name) {
				open = append(open, name)
			}
			continue
		}
		at := len(open) - 1
		for at >= 0 && open[at] != name {
			at--
		}
		for ; at >= 0 && len(open) > at; open = open[:len(open)-1] {
			b.WriteString("</" + open[len(open)-1] + ">")
		}
	}
	b.WriteString(out[last:])
	for i := len(open) - 1; i >= 0; i-- {
		b.WriteString("</" + open[i] + ">")
	}
	return b.String()
}
