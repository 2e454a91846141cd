// Package policy owns what the house rules say to people's deeds on GitHub: who asked for a rotation, who reviewed it,
// who let it go on, and whether a GitHub Environment guards what it should. It only decides: what GitHub knows is handed
// to it, in types of its own, so that no client library comes near a decision. A "no" is a *rotation.Failure that says
// what to do; "not yet" is a *Later.
//
// With separation of duties, every rotation has at least two people behind it. It must never count a bot, an app or a
// merge queue as a person, never take silence, an admin's bypass or an unprotected environment for an approval, and never
// answer yes where GitHub's answer leaves it open. What goes on without an approval does so by a BreakGlass: a person's
// own word, which is kept as that.
package policy

import (
	"crypto/sha1" //nolint:gosec // git names blobs by it
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rules are the house rules that are about people.
type Rules struct {
	Reviews    int    // approving reviews that a request needs at the commit that was merged
	Separation bool   // who asked for a rotation or wrote it neither reviews it nor lets it go on
	BreakGlass bool   // an administrator's bypass goes on, with a reason
	DirectPush bool   // a request may come to the default branch without a pull request
	Config     string // file of these rules, for hints
}

// A Person is an account. The zero Person is nobody: an address without an account, or one that was deleted.
type Person struct {
	Login string
	Bot   bool
}

// person says whether p can answer for something. GitHub shows ghost for a deleted account and web-flow as committer
// of what was made on its pages (GitHub documentation, "About commit signature verification").
func (p Person) person() bool {
	return p.Login != "" && !p.Bot && p.Login != "ghost" && p.Login != "web-flow" && !strings.HasSuffix(p.Login, "[bot]")
}

func (p Person) String() string {
	if p.Login == "" {
		return "nobody on GitHub"
	}
	return "@" + p.Login
}

// A Commit of the repository.
type Commit struct {
	SHA       string
	Author    Person
	Committer Person
	At        time.Time // when it was committed, as it says itself; zero where that isn't known
}

// A File of a pull request, as its head has it.
type File struct{ Path, Status, Blob string }

// A Review of a pull request.
type Review struct {
	By     Person
	State  string // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED, PENDING
	Commit string
}

// A Pull is a pull request. Files, Commits and Reviews are needed of one that was merged into the default branch.
type Pull struct {
	Number           int
	URL              string
	Author, MergedBy Person
	MergedAt         time.Time // zero: it isn't merged
	Base             string    // branch
	Head, Merge      string    // commits
	Files            []File
	Commits          []Commit
	Reviews          []Review // oldest first
}

// Blob is how git names a file's content.
func Blob(b []byte) string {
	h := sha1.New() //nolint:gosec // see the import
	fmt.Fprintf(h, "blob %d\x00", len(b))
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

// Later says that GitHub may not know yet: ask again at Until. Nothing is refused before.
type Later struct {
	Until time.Time
	Msg   string
}

func (l *Later) Error() string { return l.Msg }

func same(a, b string) bool { return a != "" && strings.EqualFold(a, b) }

func among(login string, logins []string) bool {
	return slices.ContainsFunc(logins, func(l string) bool { return same(l, login) })
}

// add appends a login that isn't there yet.
func add(logins []string, login string) []string {
	if login == "" || among(login, logins) {
		return logins
	}
	return append(logins, login)
}

func short(sha string) string { return sha[:min(len(sha), 8)] }
