// Package kindtest is the conformance suite that every kind passes: a whole rotation is stopped, stalled, cut off
// and raced at each of its outgoing calls, those to the evidence store included; then it is run again, and what
// is there in the end is held against what the records say.
//
// Time is the bubble's (testing/synctest): handlers, SDK back-off, leases and late deliveries all live by it, and
// nothing waits for real. The suite must never know a kind by name, and must never make an exception for one.
package kindtest

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"time"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/rotation"
)

// A World is one kind and how to stand up its services. Kind's Overlap and Refused are what it is held to.
type World struct {
	Kind kind.Kind
	// Of is which of the kind's worlds it is, in a word or two for the report: its strategy, the spec of its key.
	Of string
	// New is fresh services with one seeded target. now is the world's time. Always called in the bubble.
	New func(now func() time.Time) Instance
	// Apart is for worlds of real servers, where a history takes a while: the selection is every so manieth disturbance of
	// an act, at one call, and the full suite every so manieth call. It has no divisor in common with the number of
	// disturbances, or some would never be tried. 0 is as fast as memory.
	Apart int
	// Stride is how many calls apart the selection's cases are, for kinds with many calls; 0: 23.
	Stride int
}

// An Instance is the services of one target, and how to judge them. All are required, but for those that say otherwise. The judges see
// without being seen: they make no calls.
type Instance struct {
	Target json.RawMessage // the kind's own block
	// Service answers the calls. It is served one call at a time.
	Service http.Handler
	// Handler is the kind in a new process, whose calls go out over rt. arm tells seen every value that
	// the rotation recorded: what a check's output must not show.
	Handler func(rt http.RoundTripper, seen func([]byte)) (h rotation.Handler, arm func(context.Context, rotation.Past) error, err error)
	// Reads says whether a call can't change anything.
	Reads func(*http.Request) bool
	// Wire is the service besides Service that speaks no HTTP. Optional: see Dialer.
	Wire Wire
	// Name of a call, for people.
	Name func(*http.Request) string

	State     func() string   // all that can be changed, as text: equal means nothing was changed
	Live      func() string   // ID of the credential that consumers would take now
	Always    func() error    // what consumers would read now works
	Destroyed func() []string // IDs of credentials that were there and can't be brought back
	// Happened says whether what the record of a step being done claims is so.
	Happened func(step string, past rotation.Past) error
	// Finished: exactly one new credential for each of the attempts that got so far, at most attempts; the last
	// one is live and works; nothing old is in force; what else was marked is marked.
	Finished func(attempts int) error
	// Restored: the old credential is live and works, nothing new is in force or left half-done, marks are as before.
	Restored func() error
	Value    func(id string) string // the secret itself
	// Promoted is a person who makes another credential the live one by hand, and answers its ID.
	Promoted func() string
	// Begun is a person who begins a change of their own by hand; whole says whether it is still as they left it.
	Begun func() (whole func() error)
	// Revived is a person who lets the old credential of past work again. Required where Kind.Refused.
	Revived func(past rotation.Past)
	// Busy is how the service answers a call that it didn't take: too fast, or an error of its own. nil: as AWS does.
	Busy func(out http.ResponseWriter, r *http.Request, broken bool)
	// Person does what a step waits for them to do. Required where steps ask.
	Person func(*rotation.Ask)
}

// Full says whether all cases are wanted: REKEY_FULL=1. Otherwise a fixed selection of them runs.
func Full() bool { return os.Getenv("REKEY_FULL") != "" }
