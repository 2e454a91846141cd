package postgres

import (
	"regexp"
	"strconv"
	"strings"
)

// A token is a word in capitals, a quoted name, a constant, or a sign.
type token struct {
	kind byte // 'w', '"', '\'', or the sign itself
	text string
}

// scan takes a message apart into statements.
func scan(text string) (all [][]token, err error) {
	var now []token
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		m := lexeme.FindString(text)
		text = text[len(m):]
		switch {
		case m == "":
			return nil, refuse("42601", "syntax error")
		case m == ";":
			all, now = append(all, now), nil
		case m[0] == '"':
			now = append(now, token{'"', strings.ReplaceAll(m[1:len(m)-1], `""`, `"`)})
		case strings.HasSuffix(m, "'"):
			escaped := m[0] != '\''
			m = strings.ReplaceAll(m[strings.IndexByte(m, '\'')+1:len(m)-1], "''", "'")
			if escaped {
				m = strings.ReplaceAll(m, `\\`, `\`)
			}
			now = append(now, token{'\'', m})
		case word.MatchString(m):
			now = append(now, token{'w', strings.ToUpper(m)})
		default:
			now = append(now, token{m[0], m})
		}
	}
	if len(now) > 0 {
		all = append(all, now)
	}
	return all, nil
}

var (
	lexeme = regexp.MustCompile(`^(?:"(?:[^"]|"")*"|[eE]?'(?:[^']|'')*'|-?[A-Za-z0-9_]+|[;,().=:])`)
	word   = regexp.MustCompile(`^-?[A-Za-z0-9_]+$`)
	plain  = regexp.MustCompile(`^[a-z_][a-z0-9_$]*$`)
)

// A parser takes tokens one after another; bad says that one wasn't what it should be.
type parser struct {
	tokens []token
	bad    bool
}

func (p *parser) done() bool { return len(p.tokens) == 0 || p.bad }

func (p *parser) at(text string) bool {
	return len(p.tokens) > 0 && p.tokens[0].kind != '\'' && p.tokens[0].kind != '"' && p.tokens[0].text == text
}

func (p *parser) take(kind byte) string {
	if len(p.tokens) == 0 || p.tokens[0].kind != kind {
		p.bad = true
		return ""
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t.text
}

func (p *parser) word() string { return p.take('w') }
func (p *parser) name() string { return p.take('"') }
func (p *parser) text() string { return p.take('\'') }

func (p *parser) number() int {
	n, err := strconv.Atoi(p.word())
	p.bad = p.bad || err != nil
	return n
}

func (p *parser) expect(all ...string) {
	for _, text := range all {
		if !p.at(text) {
			p.bad = true
			return
		}
		p.tokens = p.tokens[1:]
	}
}

// dotted is a setting's name: a word or a quoted one, whose parts a point separates.
func (p *parser) dotted() string {
	if p.at("ROLE") {
		p.expect("ROLE")
		return "role"
	}
	name := p.name()
	for p.at(".") {
		p.expect(".")
		name += "." + p.name()
	}
	return name
}

// values are a setting's. PostgreSQL quotes the names of lists where they need it.
func (p *parser) values(setting string) string {
	all := []string{p.text()}
	for p.at(",") {
		p.expect(",")
		all = append(all, p.text())
	}
	if strings.EqualFold(setting, "search_path") {
		for i, v := range all {
			if !plain.MatchString(v) {
				all[i] = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
			}
		}
	}
	return strings.Join(all, ", ")
}
