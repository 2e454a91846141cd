package evidence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rastup/rekey/internal/rotation"
)

// A Chain is the tail of one chain as one runner sees it. It is not safe for concurrent use.
type Chain struct {
	// Records of the latest attempt, its claim first; none on an empty chain. Append adds to it.
	Records []rotation.Record

	name    rotation.Chain
	store   Store
	readers int
	head    rotation.Head
	now     time.Time
	stored  time.Time
	raw     [][]byte // the stored bytes of Records
	began   bool     // was empty when it was opened
}

// An Entry is one record with its stored bytes.
type Entry struct {
	Record rotation.Record
	Data   []byte
	Digest string

	name     string
	seq      int // by its name
	storedAt time.Time
	lock     *Lock // nil: the store doesn't know
}

// Open lists a chain and reads its latest attempt: one listing, and one read for each record of the attempt,
// one before it and, the first time, two calls for the marker, beside the listing. Faults in what it listed and
// read are Findings. An empty chain is fine.
func (j *Journal) Open(ctx context.Context, c rotation.Chain) (*Chain, error) {
	if err := checkChain(c); err != nil {
		return nil, fmt.Errorf("open chain: %w", err)
	}
	var l Listing
	var listed error
	var beside sync.WaitGroup
	beside.Go(func() { l, listed = j.store.List(ctx, chainPrefix(c)) })
	marker, err := j.readMarker(ctx)
	beside.Wait()
	if err != nil { // whatever the listing says: in a store without its marker nothing is to be believed
		return nil, fmt.Errorf("open %s: %w", c, err)
	}
	if listed != nil {
		return nil, fmt.Errorf("list %s: %w", c, listed)
	}
	objects, findings := layout(c, l.Objects)
	if err := findings.err(); err != nil {
		return nil, err
	}
	start := genesis(marker, c)
	ch := &Chain{name: c, store: j.store, readers: j.opts.Readers, now: l.Now, head: rotation.Head{Chain: c, Digest: start}}
	if len(objects) == 0 {
		ch.began = true
		return ch, nil
	}
	return ch, ch.read(ctx, objects, start)
}

func (c *Chain) read(ctx context.Context, objects []Object, start string) error {
	n := len(objects)
	last, err := readEntries(ctx, c.store, c.name, objects[n-1:], 1)
	if err != nil {
		return err
	}
	first := last[0].Record.ClaimSeq
	from := max(first-1, 1) // the one before, too: the claim continues from it
	rest, err := readEntries(ctx, c.store, c.name, objects[from-1:n-1], c.readers)
	if err != nil {
		return err
	}
	entries := append(rest, last...)
	if from > 1 {
		start = ""
	}
	if err := linked(c.name, entries, start).err(); err != nil {
		return err
	}
	for _, e := range entries[first-from:] {
		c.Records, c.raw = append(c.Records, e.Record), append(c.raw, e.Data)
	}
	c.head.Seq, c.head.Digest, c.stored = n, last[0].Digest, objects[n-1].StoredAt
	return nil
}

// Head is the last record; on an empty chain Seq 0 and the digest the first record will continue from.
func (c *Chain) Head() rotation.Head { return c.head }

// BeganHere says that the chain was empty when it was opened: every record is of this Chain's own appending.
func (c *Chain) BeganHere() bool { return c.began }

// StoreNow is the store's clock when the chain was listed; zero where the store has none.
func (c *Chain) StoreNow() time.Time { return c.now }

// LastStored is when the last record that Open found was stored, by the store's clock; zero on an empty chain
// and where the store has no clock. Appending doesn't move it.
func (c *Chain) LastStored() time.Time { return c.stored }

// Append writes r as the next record: it fills Seq, Prev, Chain and ClaimSeq, and on success r is what later
// runs will read and the last of Records (a claim: the only one). An unknown outcome is tried up to three times
// with the same bytes, and what is stored already with these bytes is success. ErrTaken: stop at once. After
// any other error the record may be there or not; only the same r may be appended again.
func (c *Chain) Append(ctx context.Context, r *rotation.Record) error {
	next := *r
	next.Chain, next.Seq, next.Prev = c.name, c.head.Seq+1, c.head.Digest
	next.At = next.At.UTC()
	switch {
	case next.Outcome == rotation.Claimed:
		next.ClaimSeq = next.Seq
	case len(c.Records) == 0:
		return fmt.Errorf("append %q to %s: a chain begins with a claim", next.Outcome, c.name)
	default:
		next.ClaimSeq = c.Records[0].Seq
	}
	data, next, err := marshal(next)
	if err == nil && next.Claim == nil {
		err = follows(c.Records[len(c.Records)-1], next)
	}
	if err != nil {
		return fmt.Errorf("append record %d of %s: %w", c.head.Seq+1, c.name, err)
	}
	name := recordName(c.name, next.Seq)
	if was, err := put(ctx, c.store, name, data); errors.Is(err, ErrExists) {
		return fmt.Errorf("record %d of %s was written by %s: %w", next.Seq, c.name, writer(was), ErrTaken)
	} else if err != nil {
		return fmt.Errorf("append record %d of %s: %w", next.Seq, c.name, err)
	}
	if next.Claim != nil {
		c.Records, c.raw = nil, nil
	}
	*r = next
	c.Records, c.raw = append(c.Records, next), append(c.raw, data)
	c.head = rotation.Head{Chain: c.name, Seq: next.Seq, Digest: rotation.Digest(data)}
	return nil
}

func writer(data []byte) string {
	r, err := parse(data)
	if err != nil {
		return "somebody else"
	}
	return "runner " + r.Runner.ID
}

// After reads the records with a number greater than seq, of whichever attempt.
func (c *Chain) After(ctx context.Context, seq int) ([]Entry, error) {
	var objects []Object
	first := c.head.Seq + 1 - len(c.Records)
	for n := seq + 1; n < first; n++ {
		objects = append(objects, Object{Name: recordName(c.name, n)})
	}
	entries, err := readEntries(ctx, c.store, c.name, objects, c.readers)
	if err != nil {
		return nil, err
	}
	for i, r := range c.Records {
		if r.Seq > seq {
			entries = append(entries, Entry{Record: r, Data: c.raw[i], Digest: rotation.Digest(c.raw[i])})
		}
	}
	return entries, nil
}

// layout holds a chain's folder against its rules: records 1 to n, one version each, nothing else. The objects
// it gives are the records there are.
func layout(c rotation.Chain, list []Object) (records []Object, f Findings) {
	want := 1
	for _, o := range list {
		seq, ok := seqOf(strings.TrimPrefix(o.Name, chainPrefix(c)))
		if !ok {
			f = append(f, Finding{c, o.Name, 0, RuleForeign, "is no record: it doesn't belong here"})
			continue
		}
		f = append(f, disturbed(c, seq, o)...)
		if o.Versions == 0 {
			continue
		}
		f = append(f, gap(c, want, seq-1)...)
		want = seq + 1
		records = append(records, o)
	}
	return records, f
}

func gap(c rotation.Chain, from, to int) Findings {
	switch {
	case from > to:
		return nil
	case from == to:
		return Findings{{c, recordName(c, from), from, RuleGap, "is missing, though later records are there"}}
	}
	return Findings{{c, recordName(c, from), from, RuleGap,
		fmt.Sprintf("records %d to %d are missing, though later ones are there", from, to)}}
}

// readEntries reads records concurrently; what can't be one is Findings.
func readEntries(ctx context.Context, s Store, c rotation.Chain, objects []Object, readers int) ([]Entry, error) {
	entries := make([]Entry, len(objects))
	faults := make([]Findings, len(objects))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, o := range objects {
		g.Go(func() error {
			if o.Size > MaxRecord {
				entries[i], faults[i] = entry(c, o, nil)
				return nil
			}
			data, lock, err := read(ctx, s, o.Name)
			if err != nil {
				return fmt.Errorf("read %s: %w", o.Name, err)
			}
			entries[i], faults[i] = entry(c, o, data)
			entries[i].lock = lock
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var f Findings
	for _, l := range faults {
		f = append(f, l...)
	}
	return entries, f.err()
}

// read is s.Read, with the lock where the store knows it.
func read(ctx context.Context, s Store, name string) ([]byte, *Lock, error) {
	if l, ok := s.(LockReader); ok {
		data, lock, err := l.ReadLock(ctx, name)
		return data, &lock, err
	}
	data, err := s.Read(ctx, name)
	return data, nil, err
}

// entry reads one record and holds it against its place.
func entry(c rotation.Chain, o Object, data []byte) (Entry, Findings) {
	seq, _ := seqOf(strings.TrimPrefix(o.Name, chainPrefix(c)))
	r, err := parse(data)
	e := Entry{Record: r, Data: data, Digest: rotation.Digest(data), name: o.Name, seq: seq, storedAt: o.StoredAt}
	switch {
	case o.Size > MaxRecord:
		return e, Findings{{c, o.Name, seq, RuleRecord, fmt.Sprintf("can't be read as a record: %d bytes, more than one may have (%d)", o.Size, MaxRecord)}}
	case err != nil:
		return e, Findings{{c, o.Name, seq, RuleRecord, "can't be read as a record: " + err.Error()}}
	case r.Chain != c || r.Seq != seq:
		return e, Findings{{c, o.Name, seq, RuleMisplaced, fmt.Sprintf("holds record %d of %s", r.Seq, r.Chain)}}
	}
	return e, nil
}
