package evidence

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rastup/rekey/internal/rotation"
)

const (
	journalPrefix = "journal/"
	markerName    = "journal/marker.json"
	bundlePrefix  = "rotations/"

	// MaxSeq is the number of records a chain can have: what sorts in six digits.
	MaxSeq = 999_999
)

func chainPrefix(c rotation.Chain) string { return journalPrefix + c.Path() + "/" }

func recordName(c rotation.Chain, seq int) string {
	return fmt.Sprintf("%s%06d.json", chainPrefix(c), seq)
}

// seqOf reads the number out of the last part of a record's name.
func seqOf(base string) (int, bool) {
	digits, ok := strings.CutSuffix(base, ".json")
	if !ok || len(digits) != 6 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	return int(n), err == nil && n >= 1
}

// chainOf reads the chain out of "<environment>/<secret~>".
func chainOf(path string) (rotation.Chain, bool) {
	env, secret, ok := strings.Cut(path, "/")
	c := rotation.Chain{Environment: env, Secret: strings.ReplaceAll(secret, "~", "/")}
	return c, ok && checkChain(c) == nil && c.Path() == path
}

func checkChain(c rotation.Chain) error {
	if strings.Contains(c.Environment, "~") || strings.Contains(c.Secret, "~") {
		return fmt.Errorf("%q: a name with ~ can't have a chain: it stands for /", c)
	}
	if err := checkSegment("environment", c.Environment); err != nil {
		return err
	}
	for part := range strings.SplitSeq(c.Secret, "/") {
		if err := checkSegment("secret", part); err != nil {
			return err
		}
	}
	return checkSegment("secret", rotation.PathName(c.Secret))
}

// checkSegment refuses what can't be one segment of a name in every store.
func checkSegment(what, s string) error {
	switch {
	case s == "" || len(s) > 300 || !utf8.ValidString(s):
		return fmt.Errorf("%s %.40q: 1 to 300 bytes of UTF-8 are wanted", what, s)
	case s == "." || s == "..":
		return fmt.Errorf("%s %q: is not a name", what, s)
	case strings.ContainsAny(s, `/\`) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%s %q: holds a slash, a backslash or a character that can't be seen", what, s)
	}
	return nil
}

// rotationFolder is where a rotation's bundles lie. The month is that of the rotation's name.
func rotationFolder(secret, name string) (string, error) {
	if err := checkSegment("rotation", name); err != nil {
		return "", err
	}
	if err := checkSegment("secret", rotation.PathName(secret)); err != nil {
		return "", err
	}
	if len(name) < 10 {
		return "", fmt.Errorf("rotation %q: begins with no date", name)
	}
	day, err := time.Parse(time.DateOnly, name[:10])
	if err != nil {
		return "", fmt.Errorf("rotation %q: begins with no date", name)
	}
	return monthPrefix(day) + rotation.PathName(secret) + "/" + name + "/", nil
}

func monthPrefix(t time.Time) string { return bundlePrefix + t.Format("2006/01/") }

// BundleFolder is where an environment's bundle lies in the store, with a slash at its end.
func BundleFolder(c rotation.Chain, name string) (string, error) {
	folder, err := rotationFolder(c.Secret, name)
	if err != nil {
		return "", err
	}
	return folder + c.Environment + "/", checkChain(c)
}
