// Package usage is the words of who uses a secret: what is looked for in the texts of an account, who was found to name
// it, what couldn't be looked at, and how that differs from what the registry lists.
//
// It is pure, calls nobody and keeps no text that it looked in: of an environment variable or a parameter only the name
// is told. It must never say that nobody uses a secret, only that nobody was found.
package usage

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Secret is what is looked for. Empty fields aren't.
type Secret struct {
	ARN     string // of a secret in Secrets Manager, or of a KMS key
	Alias   string // of a KMS key: alias/app
	Version string // ID of the live version
}

// A User is something that names the secret.
type User struct {
	Uses  string            `json:"uses,omitempty"` // the consumer that can deploy it: "ecs"; "" none
	With  map[string]string `json:"with,omitempty"` // what tells it from others there: {"cluster": "shop", "service": "web"}
	What  string            `json:"what"`           // "ECS service"
	Name  string            `json:"name"`           // "shop/web"
	Found []string          `json:"found"`          // where it names the secret: "app (DB_PASSWORD)"
	Now   string            `json:"now,omitempty"`  // what it runs with: "web:7, 4 tasks"
}

// Called is u as people call it.
func (u User) Called() string { return strings.TrimSpace(u.What + " " + u.Name) }

// A Gap is what couldn't be looked at.
type Gap struct {
	Uses string `json:"uses,omitempty"` // whose consumers may be there: "ecs"
	What string `json:"what"`           // "the services of cluster shop"
	Why  string `json:"why"`            //
}

// Found is what one look found.
type Found struct {
	Users []User
	More  int // users that were found and aren't in Users
	Gaps  []Gap
}

var (
	suffix    = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)
	reference = "/aws/reference/secretsmanager/" // Systems Manager user guide, referencing Secrets Manager secrets
)

// In says how a text names the secret: "by ARN", "by name", "by its live version"; "" when it doesn't. A name counts as a
// word only: "shop/db" isn't in "shop/db-replica", nor is it in the ARN of another account's secret.
func (s Secret) In(text string) string {
	if text == "" || s.ARN == "" {
		return ""
	}
	if word(text, s.ARN) {
		return "by ARN"
	}
	if _, id, ok := strings.Cut(s.ARN, ":key/"); ok {
		switch {
		case word(text, id):
			return "by ID"
		case s.Alias != "" && word(text, s.Alias):
			return "by alias"
		}
		return ""
	}
	short := suffix.ReplaceAllString(s.ARN, "")
	name := s.Name()
	switch {
	case word(text, short):
		return "by ARN"
	case s.Version != "" && word(text, s.Version):
		return "by its live version"
	case word(text, reference+name), name != "" && word(text, name):
		return "by name"
	}
	return ""
}

// Name is what the secret is called in Secrets Manager; "" of anything else.
func (s Secret) Name() string {
	_, name, _ := strings.Cut(s.ARN, ":secret:")
	return suffix.ReplaceAllString(name, "")
}

// word says whether name stands in text by itself.
func word(text, name string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		i += at
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(name):])
		whole := !part(before) || strings.HasPrefix(name, reference)
		if !strings.HasPrefix(name, "arn:") && strings.HasSuffix(text[:i], ":secret:") {
			whole = false // of an ARN that isn't ours, or it had been found as one
		}
		if whole && !part(after) {
			return true
		}
		at = i + 1
	}
}

// part says whether r goes on with a name. Names may hold +, = and @, too; but these are what stands around one.
func part(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/_.-", r))
}
