package app_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/typesense"
)

// A watch asks, at every call that anybody makes in the sandbox, which version each thing that runs is really using, and
// whether that still works. Calls of a rotation change all there is, so that between two of them nothing can pass unseen.
type watch struct {
	w      *town
	secret string                    // its name in Secrets Manager
	works  func(version string) bool // the system itself takes it
	but    []string                  // what has a fault of its own: "service", "function", "parameter", "label"

	mu    sync.Mutex
	looks int
	found []string
}

// watched has every call of the sandbox looked at. Faults of a test's own go by fault, where it isn't nil.
func (w *town) watched(secret string, works func(version string) bool, fault func(sandbox.Call) error) *watch {
	l := &watch{w: w, secret: secret, works: works}
	w.world.Fail(func(c sandbox.Call) error {
		l.look("at " + c.Operation)
		if fault != nil {
			return fault(c)
		}
		return nil
	})
	w.world.Typesense.Fail(func(c typesense.Call) error {
		l.look("at " + c.Method + " " + c.Path)
		return nil
	})
	w.t.Cleanup(func() {
		l.look("at the end")
		if l.looks < 20 || len(l.found) > 0 {
			w.t.Errorf("%d looks found:\n%s", l.looks, strings.Join(l.found, "\n"))
		}
	})
	return l
}

// look notes what runs with a credential that doesn't work.
func (l *watch) look(when string) {
	now := l.w.clock.Now()
	using := map[string]string{}
	for _, t := range l.w.world.ECS.Tasks(sandbox.Home, "shop", "web", now) {
		for _, version := range t.Versions {
			if t.Running {
				using["service: task "+t.ID[:6]] = version
			}
		}
	}
	live := func() string { return l.w.world.Secret(l.secret).Labels["AWSCURRENT"] }
	if used := l.w.world.Lambda.Invoke(sandbox.Home, "orders", "$LATEST", now, live); used != "" { // somebody always calls
		for of, version := range l.w.world.Lambda.Running(sandbox.Home, "orders") {
			using["function: environment of "+of] = version
		}
	}
	if all := l.w.world.SSM.Values(sandbox.Home, "/shop/version"); len(all) > 0 {
		using["parameter: who goes by it"] = all[len(all)-1]
	}
	if _, version := l.w.world.SSM.Labelled(sandbox.Home, "/shop/versions", "live"); version != "" {
		using["label: who goes by it"] = version
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	for who, version := range using {
		of, _, _ := strings.Cut(who, ":")
		if !l.works(version) && !slices.Contains(l.but, of) && len(l.found) < 10 {
			l.found = append(l.found, fmt.Sprintf("%s %s uses %s, which doesn't work", when, who, version))
		}
	}
}

// kept says whether a version is one that Secrets Manager keeps for those who read it: one without a label, or one that is
// only pending, is nobody's to run with.
func (w *town) kept(version string) bool {
	return slices.ContainsFunc(w.world.Secret(stored).Version(version).Labels, func(label string) bool { return label != "AWSPENDING" })
}

// accepted says whether Typesense takes the key that a version holds.
func (w *town) accepted(version string) bool {
	value := w.world.Secret(search).Version(version).Text
	return slices.ContainsFunc(w.world.Typesense.Keys(), func(k typesense.Key) bool { return !k.Deleted && k.Value == value })
}

func TestTheWatchSeesWhatDoesNotWork(t *testing.T) {
	w := newSearch(t)
	l := &watch{w: w, secret: search, works: w.accepted}
	l.look("before")
	if len(l.found) > 0 {
		t.Fatal(l.found)
	}
	w.world.Typesense.Remove(0)
	if l.look("after"); len(l.found) != 5 {
		t.Errorf("four tasks and a function run with a key that is deleted; seen: %q", l.found)
	}
}
