package evidence

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/rastup/rekey/internal/rotation"
)

// Options of a Journal.
type Options struct {
	Lock    Terms // what Init promises about every object; the store is made with the same
	Readers int   // reads at once; 0: 16
	MaxFile int64 // bytes of one evidence file; 0: 20 MiB
}

// Terms are how long objects are locked, and how hard.
type Terms struct {
	Mode string            `json:"mode,omitempty"` // GOVERNANCE or COMPLIANCE; "": the store has no locks
	For  rotation.Duration `json:"for,omitempty"`  // at least, from when an object is stored
}

// A Journal is the chains of one store. It is safe for concurrent use; its Chains are not.
type Journal struct {
	store Store
	opts  Options

	turn   *semaphore.Weighted // one reads it, others wait for that as long as their contexts do
	marker []byte              // once it was read
}

// A Marker says which store this is: that an emptied or a swapped store is noticed.
type Marker struct {
	Format  int       `json:"format"` // 1
	Store   string    `json:"store"`  // random, 32 hex digits
	Created time.Time `json:"created"`
	Lock    Terms     `json:"lock"`
}

// lockless hides ReadLock: runners need no locks, and asking for them can cost a call.
type lockless struct{ Store }

// New is the journal in s.
func New(s Store, o Options) *Journal {
	if o.Readers <= 0 {
		o.Readers = 16
	}
	if o.MaxFile <= 0 {
		o.MaxFile = 20 << 20
	}
	return &Journal{store: lockless{s}, opts: o, turn: semaphore.NewWeighted(1)}
}

// Init makes the store ready: it writes the marker, once in the store's life. A store that has one is ErrExists
// and stays as it is; one with chains but without a marker is refused.
func (j *Journal) Init(ctx context.Context, now time.Time) error {
	l, err := j.store.List(ctx, journalPrefix)
	if err != nil {
		return fmt.Errorf("list %s: %w", journalPrefix, err)
	}
	for _, o := range l.Objects {
		if o.Name == markerName {
			return fmt.Errorf("%s: %w", markerName, ErrExists)
		}
	}
	if n := len(l.Objects); n > 0 {
		return Findings{{Name: markerName, Rule: RuleMarker,
			Msg: fmt.Sprintf("is missing from a store that has records (%d objects, first %s): it was deleted, or this is a partial copy; restore it", n, l.Objects[0].Name)}}
	}
	id := make([]byte, 16)
	rand.Read(id)
	data, err := compact(Marker{Format: 1, Store: hex.EncodeToString(id), Created: now.UTC().Truncate(time.Second), Lock: j.opts.Lock})
	if err != nil {
		return err
	}
	if _, err := put(ctx, j.store, markerName, data); err != nil {
		return fmt.Errorf("write %s: %w", markerName, err)
	}
	return nil
}

// Marker reads the store's marker, or Findings where that isn't there in one undisturbed version.
func (j *Journal) Marker(ctx context.Context) (Marker, error) {
	data, err := j.readMarker(ctx)
	if err != nil {
		return Marker{}, err
	}
	return parseMarker(data)
}

func (j *Journal) readMarker(ctx context.Context) ([]byte, error) {
	if err := j.turn.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer j.turn.Release(1)
	if j.marker != nil {
		return j.marker, nil
	}
	m, findings, err := loadMarker(ctx, j.store)
	if err == nil {
		err = findings.err()
	}
	if err == nil {
		j.marker = m.data
	}
	return m.data, err
}

// stored is an object with its content.
type stored struct {
	Object
	data []byte
	lock *Lock // nil: the store doesn't know
}

// loadMarker gives the marker where it can be read at all, and what is wrong with it.
func loadMarker(ctx context.Context, s Store) (m stored, f Findings, err error) {
	l, err := s.List(ctx, markerName)
	if err != nil {
		return m, nil, fmt.Errorf("list %s: %w", markerName, err)
	}
	for _, o := range l.Objects {
		if o.Name == markerName {
			m.Object, f = o, disturbed(rotation.Chain{}, 0, o)
		}
	}
	m.data, m.lock, err = read(ctx, s, markerName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, append(f, Finding{Name: markerName, Rule: RuleMarker,
			Msg: "is missing: this store was never made ready (rekey init), or was emptied, or is another one"}), nil
	case err != nil:
		return m, f, fmt.Errorf("read %s: %w", markerName, err)
	}
	if _, err := parseMarker(m.data); err != nil {
		f = append(f, Finding{Name: markerName, Rule: RuleMarker, Msg: err.Error()})
	}
	return m, f, nil
}

func parseMarker(data []byte) (m Marker, err error) {
	if err := decode(data, &m); err != nil {
		return Marker{}, fmt.Errorf("can't be read: %w", err)
	}
	if id, err := hex.DecodeString(m.Store); err != nil || len(id) != 16 || m.Format != 1 || !utc(m.Created) {
		return Marker{}, fmt.Errorf("can't be read: format %d, store %.40q: this program doesn't know it", m.Format, m.Store)
	}
	return m, nil
}

// genesis is what the first record of c continues from: no chain fits another place or another store.
func genesis(marker []byte, c rotation.Chain) string {
	return rotation.Digest(append(append([]byte{}, marker...), "\x00"+c.Path()...))
}

// disturbed tells of versions and delete markers.
func disturbed(c rotation.Chain, seq int, o Object) (f Findings) {
	if o.Versions > 1 {
		f = append(f, Finding{c, o.Name, seq, RuleVersions,
			fmt.Sprintf("somebody wrote over it: %d versions, the oldest counts", o.Versions)})
	}
	if o.DeleteMarker {
		f = append(f, Finding{c, o.Name, seq, RuleDeleted, "somebody deleted it: it has a delete marker"})
	}
	return f
}
