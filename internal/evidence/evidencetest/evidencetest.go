// Package evidencetest is the conformance suite of evidence stores: what the journal relies on, tried on each of
// them through their real protocols.
//
// It owns no store and no test of its own. It must never ask less of one store than of another, but for what a
// Config says that the store can't do.
package evidencetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/rotation"
)

// A Config is one kind of store. New and Now are required.
type Config struct {
	New func(*testing.T) Subject
	Now func() time.Time // the store's clock, by which Create's times are judged
}

// A Subject is one empty store, and what an outsider can do to it. What is nil can't be done to this store.
type Subject struct {
	Store     evidence.Store
	Lossy     evidence.Store                          // the same store, where the first answer to a Create is lost after it was carried out
	Overwrite func(name string, data []byte) error    // an outsider writes over an object
	Delete    func(name string) error                 // an outsider deletes an object, by name
	Destroy   func(name string) (versions, gone bool) // an outsider tries to delete every version; gone: one went
}

// Run runs the suite.
func Run(t *testing.T, c Config) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Config, Subject)
	}{
		{"what is created is read and listed in order of names", readsAndLists},
		{"an absent name is fs.ErrNotExist", absent},
		{"a name is taken once and for all", takenOnce},
		{"of 32 creators one wins", creators},
		{"a listing is complete beyond a page", pages},
		{"names of every kind come back", names},
		{"a lost answer is found as success", lostAnswer},
		{"what an outsider wrote over shows, and the oldest is read", overwritten},
		{"what an outsider deleted shows, and the oldest is read", deleted},
		{"a locked version can't be destroyed", locked},
		{"of two runners one goes on", twoRunners},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, c, c.New(t)) })
	}
}

func readsAndLists(t *testing.T, c Config, s Subject) {
	from := c.Now().Add(-2 * time.Second)
	for _, name := range []string{"journal/b/2.json", "journal/b/1.json", "journal/a-b/1.json", "journal/a/1.json", "journalist.json"} {
		create(t, s.Store, name, "data of "+name)
	}
	l, err := s.Store.List(t.Context(), "journal/")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range l.Objects {
		names = append(names, o.Name)
		if o.Versions != 1 || o.DeleteMarker || o.Size != int64(len("data of "+o.Name)) {
			t.Errorf("%+v", o)
		}
		if o.StoredAt.Before(from) || o.StoredAt.After(c.Now().Add(2*time.Second)) {
			t.Errorf("%s: stored %s, now %s", o.Name, o.StoredAt, c.Now())
		}
	}
	if want := []string{"journal/a-b/1.json", "journal/a/1.json", "journal/b/1.json", "journal/b/2.json"}; !slices.Equal(names, want) {
		t.Errorf("listed %q, want %q", names, want)
	}
	if l.Now.Before(from) || l.Now.After(c.Now().Add(2*time.Second)) {
		t.Errorf("the store's clock is %s, now is %s", l.Now, c.Now())
	}
	read(t, s.Store, "journal/b/2.json", "data of journal/b/2.json")
	if l, err := s.Store.List(t.Context(), "nothing/here/"); err != nil || len(l.Objects) != 0 {
		t.Errorf("an empty prefix: %+v, %v", l, err)
	}
}

func absent(t *testing.T, _ Config, s Subject) {
	create(t, s.Store, "a/record.json.bak", "x")
	for _, name := range []string{"a/record.json", "nothing"} {
		if _, err := s.Store.Read(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func takenOnce(t *testing.T, _ Config, s Subject) {
	create(t, s.Store, "a/1", "first")
	for _, data := range []string{"first", "second"} {
		if err := s.Store.Create(t.Context(), "a/1", []byte(data)); !errors.Is(err, evidence.ErrExists) {
			t.Errorf("%q: %v", data, err)
		}
	}
	read(t, s.Store, "a/1", "first")
}

func creators(t *testing.T, _ Config, s Subject) {
	const n = 32
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			errs[i] = s.Store.Create(t.Context(), "journal/prod/x/000001.json", fmt.Appendf(nil, "creator %d", i))
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("creators %d and %d both won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, evidence.ErrExists):
			t.Errorf("creator %d: %v", i, err)
		}
	}
	read(t, s.Store, "journal/prod/x/000001.json", fmt.Sprintf("creator %d", winner))
	if o := object(t, s.Store, "journal/prod/x/000001.json"); o.Versions != 1 {
		t.Errorf("%d versions", o.Versions)
	}
}

func pages(t *testing.T, _ Config, s Subject) {
	const n = 1100
	var wg sync.WaitGroup
	next := make(chan int)
	for range 16 {
		wg.Go(func() {
			for i := range next {
				if err := s.Store.Create(t.Context(), fmt.Sprintf("p/%06d.json", i), []byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	l, err := s.Store.List(t.Context(), "p/")
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Objects) != n || l.Objects[n-1].Name != "p/001099.json" || !slices.IsSortedFunc(l.Objects, byName) {
		t.Errorf("%d objects of %d", len(l.Objects), n)
	}
}

func byName(a, b evidence.Object) int { return strings.Compare(a.Name, b.Name) }

func names(t *testing.T, _ Config, s Subject) {
	for _, name := range []string{"a/payments~x/with space.txt", "a/ü/ß.png", "a/1-validate~smoke-a+b&c=d;e,f'(g)!*.txt", "a/%2F%20.json", "a/$HOME#?.txt", "a/.hidden", "a/" + strings.Repeat("n", 200)} {
		create(t, s.Store, name, name)
		read(t, s.Store, name, name)
		if o := object(t, s.Store, name); o.Versions != 1 {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func lostAnswer(t *testing.T, c Config, s Subject) {
	if s.Lossy == nil {
		return // a file system call can't lose its answer without losing the process
	}
	ch := started(t, c, s.Store, s.Lossy)
	r := record(ch, c.Now(), "done once")
	if err := ch.Append(t.Context(), &r); err != nil {
		t.Fatalf("append after a lost answer: %v", err)
	}
	again, err := evidence.New(s.Store, evidence.Options{}).Open(t.Context(), ch.Head().Chain)
	if err != nil || again.Head() != ch.Head() {
		t.Errorf("the chain is %+v (%v), want %+v", again, err, ch.Head())
	}
}

func overwritten(t *testing.T, c Config, s Subject) {
	if s.Overwrite == nil {
		return
	}
	ch := started(t, c, s.Store, s.Store)
	const name = "journal/prod/app~db/000001.json"
	was, err := s.Store.Read(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Overwrite(name, []byte("forged")); err != nil {
		t.Fatal(err)
	}
	read(t, s.Store, name, string(was))
	if o := object(t, s.Store, name); o.Versions != 2 || o.Size != int64(len(was)) {
		t.Errorf("%+v", o)
	}
	read(t, s.Store, name, string(was)) // also by what the listing told
	refused(t, s.Store, ch.Head().Chain, evidence.RuleVersions)
}

func deleted(t *testing.T, c Config, s Subject) {
	if s.Delete == nil {
		return
	}
	ch := started(t, c, s.Store, s.Store)
	const name = "journal/prod/app~db/000001.json"
	was, err := s.Store.Read(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(name); err != nil {
		t.Fatal(err)
	}
	read(t, s.Store, name, string(was))
	if o := object(t, s.Store, name); o.Versions != 1 || !o.DeleteMarker {
		t.Errorf("%+v", o)
	}
	read(t, s.Store, name, string(was))
	refused(t, s.Store, ch.Head().Chain, evidence.RuleDeleted)
}

func locked(t *testing.T, c Config, s Subject) {
	if s.Destroy == nil {
		return
	}
	l, ok := s.Store.(evidence.LockReader)
	if !ok {
		t.Fatal("a store with locks must show them")
	}
	create(t, s.Store, "a/1", "locked")
	if versions, gone := s.Destroy("a/1"); !versions || gone {
		t.Errorf("found versions: %v, deleted one: %v", versions, gone)
	}
	data, lock, err := l.ReadLock(t.Context(), "a/1")
	if err != nil || string(data) != "locked" || lock.Mode == "" || lock.Until.Before(c.Now().Add(23*time.Hour)) {
		t.Errorf("%q, %+v, %v", data, lock, err)
	}
}

func twoRunners(t *testing.T, c Config, s Subject) {
	a := started(t, c, s.Store, s.Store)
	b, err := evidence.New(s.Store, evidence.Options{}).Open(t.Context(), a.Head().Chain)
	if err != nil {
		t.Fatal(err)
	}
	ra, rb := record(a, c.Now(), "by a"), record(b, c.Now(), "by b")
	if err := a.Append(t.Context(), &ra); err != nil {
		t.Fatal(err)
	}
	if err := b.Append(t.Context(), &rb); !errors.Is(err, evidence.ErrTaken) {
		t.Errorf("b: %v", err)
	}
}

// started is a chain with a claim, written to s and opened on top of use.
func started(t *testing.T, c Config, s, use evidence.Store) *evidence.Chain {
	t.Helper()
	j := evidence.New(s, evidence.Options{})
	if err := j.Init(t.Context(), c.Now()); err != nil {
		t.Fatal(err)
	}
	chain := rotation.Chain{Environment: "prod", Secret: "app/db"}
	ch, err := j.Open(t.Context(), chain)
	if err != nil {
		t.Fatal(err)
	}
	const name = "2026-11-22-app-db"
	r := rotation.Record{Rotation: name, Attempt: 1, At: c.Now().UTC(), Runner: rotation.Runner{ID: "run", Nonce: "n"},
		Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: rotation.Plan{Chain: chain, Rotation: name, Attempt: 1}}}
	if err := ch.Append(t.Context(), &r); err != nil {
		t.Fatal(err)
	}
	ch, err = evidence.New(use, evidence.Options{}).Open(t.Context(), chain)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func record(c *evidence.Chain, at time.Time, text string) rotation.Record {
	r := c.Records[0]
	return rotation.Record{Rotation: r.Rotation, Attempt: r.Attempt, At: at.UTC(), Runner: r.Runner, Outcome: rotation.Done, Step: "create", Text: text}
}

func refused(t *testing.T, s evidence.Store, c rotation.Chain, rule string) {
	t.Helper()
	_, err := evidence.New(s, evidence.Options{}).Open(context.Background(), c)
	var f evidence.Finding
	if !errors.As(err, &f) || f.Rule != rule {
		t.Errorf("open: %v, want a finding [%s]", err, rule)
	}
}

func create(t *testing.T, s evidence.Store, name, data string) {
	t.Helper()
	if err := s.Create(t.Context(), name, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s evidence.Store, name, want string) {
	t.Helper()
	if data, err := s.Read(t.Context(), name); err != nil || string(data) != want {
		t.Errorf("read %s: %q, %v; want %q", name, data, err, want)
	}
}

func object(t *testing.T, s evidence.Store, name string) evidence.Object {
	t.Helper()
	l, err := s.List(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range l.Objects {
		if o.Name == name {
			return o
		}
	}
	t.Errorf("%s isn't listed", name)
	return evidence.Object{}
}
