package staging

import (
	"bytes"
	"regexp"
	"strings"
	"sync"

	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

// maxBytes is Secrets Manager's quota for one value.
const maxBytes = 65536

// Discarded is the hint where a new version isn't what was stored.
const Discarded = "see who wrote that version; it is discarded"

// Part is the secret that is rotated, within a version's content: all of it where key is "", else the string at that
// key of a JSON object. It is announced as a secret of its own: text could hold it without the rest.
func (l *Labels) Part(name, key string, c Content) (secret.Value, error) {
	at, err := l.place(name, key, c)
	if err != nil {
		return secret.Value{}, err
	}
	return l.Keep.Known([]byte(at.value)), nil
}

func (l *Labels) place(name, key string, c Content) (place, error) {
	doc := c.Reveal()
	if key == "" {
		return place{0, len(doc), string(doc)}, nil
	}
	if c.Binary {
		return place{}, rotation.Failf("leave key out to rotate the whole value, or have it stored as text",
			"the value of %q is binary, so it has no key %q", name, key)
	}
	at, err := find(doc, key)
	if err == nil {
		l.Keep.Known([]byte(at.value))
	}
	return at, err
}

// With is old with v as its part: every other byte stays. It is what a Mint answers.
func (l *Labels) With(name, key string, old Content, v secret.Value) (secret.Value, error) {
	if key == "" {
		return v, nil
	}
	if _, err := l.place(name, key, old); err != nil {
		return secret.Value{}, err
	}
	doc, err := replace(old.Reveal(), key, string(v.Reveal()))
	if err != nil {
		return secret.Value{}, err
	}
	if len(doc) > maxBytes {
		return secret.Value{}, rotation.Failf("make the generated value shorter, or split the secret", "the new JSON value has %d bytes, and %d are allowed", len(doc), maxBytes)
	}
	return l.Keep.Known(doc), nil
}

// Made is the new version's part, where that is all in which it differs from the old one. Refusals are
// *rotation.Failure.
func (l *Labels) Made(name, key string, was, is Content) (secret.Value, error) {
	from, err := l.place(name, key, was)
	if err != nil {
		return secret.Value{}, err
	}
	to, err := l.place(name, key, is)
	if err != nil {
		return secret.Value{}, err
	}
	a, b := was.Reveal(), is.Reveal()
	made := l.Keep.Known([]byte(to.value))
	switch {
	case was.Binary != is.Binary:
		return made, rotation.Failf(Discarded, "of the old and the new version one is binary, the other isn't")
	case l.Keep.Known([]byte(from.value)).Equal(made):
		return made, rotation.Failf(Discarded, "the new value is the old one")
	case !bytes.Equal(a[:from.from], b[:to.from]) || !bytes.Equal(a[from.to:], b[to.to:]):
		return made, rotation.Failf(Discarded, "the new version differs from the old one outside of key %q", key)
	}
	return made, nil
}

var (
	suffix   = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)
	nameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`) })
	arnForm  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^arn:[\w-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+$`)
	})
)

// Identity is the same for a secret's name and its ARN: for a target's Identity, whatever its kind, since the versions
// and labels of one secret are one, and only one rotation can go on in it.
func Identity(name string) string {
	if parts := strings.SplitN(name, ":", 7); len(parts) == 7 && parts[0] == "arn" {
		name = suffix.ReplaceAllString(parts[6], "")
	}
	return "secretsmanager/" + name
}

// CheckName says what is wrong with a secret's name or ARN wherever it lives; "" is nothing.
func CheckName(name string) (msg, hint string) {
	switch {
	case name == "":
	case strings.HasPrefix(name, "arn:") && !arnForm().MatchString(name):
		return "is no ARN of a secret", "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX"
	case !strings.HasPrefix(name, "arn:") && !nameForm().MatchString(name):
		return "is no name of a secret", "letters, digits and /_+=.@- are allowed, 512 characters at most"
	}
	return "", ""
}
