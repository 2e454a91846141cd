// Package evidence owns what is written once and never changed: the journal's chains of records, the bundles
// for people and auditors beside them, and the check that all of it is still what was written.
//
//	journal/marker.json                                   identity and lock terms of the store, written once
//	journal/<environment>/<secret~>/<000001>.json         one chain per secret and environment, for life
//	rotations/<YYYY>/<MM>/<secret~>/<rotation>/           one folder per rotation
//	    close.json                                        it is over
//	    <environment>/claim.json                          it began: a pointer into the journal
//	    <environment>/files/<attempt>-<step~>-<name>      what steps and people added
//	    <environment>/records-<seq>.jsonl, summary-<seq>.md, head-<seq>.json
//
// ("~" stands for "/".) A record holds the SHA-256 of the bytes before it, the first one that of the marker and
// its chain's path. Records are written only where nothing is, so the chain is also the lock: of two runners one
// gets the next number, and the other must stop.
//
// It must never overwrite or delete anything, wait, look at the clock, or go on where it found a fault. It
// imports nothing of ours but rotation's words; what it stores was made, and redacted, by others.
package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

var (
	// ErrExists is what a Store's Create wraps when the name is taken, be it by the same bytes.
	ErrExists = errors.New("the name is taken")
	// ErrTaken is what Append wraps when another runner wrote the next record. Stop at once: whatever this runner
	// believes about the rotation is out of date.
	ErrTaken = errors.New("another runner has taken over")
)

// A Store keeps objects under names with "/". Implementations are safe for concurrent use.
type Store interface {
	// Create writes a new object, all or nothing, locked against change. It wraps ErrExists when the name is taken;
	// after any other error the object may be there or not.
	Create(ctx context.Context, name string, data []byte) error
	// Read gives the bytes of the object's oldest version, whatever came after it. errors.Is(err, fs.ErrNotExist)
	// when it has none.
	Read(ctx context.Context, name string) ([]byte, error)
	// List gives every object whose name begins with prefix, in order of names.
	List(ctx context.Context, prefix string) (Listing, error)
}

// A Listing is what a store held at one moment.
type Listing struct {
	Objects []Object
	Now     time.Time // the store's clock, not later than the listing; zero where the store has none
}

// An Object is one name in a store.
type Object struct {
	Name         string
	StoredAt     time.Time // of the oldest version, by the store's clock; zero where that isn't known
	Size         int64     // of the oldest version, bytes
	Versions     int       // more than 1: somebody wrote over it; 0: only delete markers
	DeleteMarker bool      // somebody deleted it
}

// A Lock is what protects an object against change; zero is nothing.
type Lock struct {
	Mode  string // GOVERNANCE or COMPLIANCE
	Until time.Time
}

// A LockReader is a Store that knows the lock of each object.
type LockReader interface {
	// ReadLock is Read, and the lock of that version.
	ReadLock(ctx context.Context, name string) ([]byte, Lock, error)
}

// tries is how often an object with an unknown outcome is sent. The second may find the first.
const tries = 3

// put creates an object, or finds that it was already created with these very bytes: so it may be repeated
// after any error. Other bytes under the name are ErrExists, and was holds them.
func put(ctx context.Context, s Store, name string, data []byte) (was []byte, err error) {
	for range tries {
		err = s.Create(ctx, name, data)
		if err == nil {
			return data, nil
		}
		if errors.Is(err, ErrExists) {
			was, err = s.Read(ctx, name)
			switch {
			case err == nil && bytes.Equal(was, data):
				return was, nil
			case err == nil:
				return was, fmt.Errorf("%s: %w", name, ErrExists)
			case errors.Is(err, fs.ErrNotExist):
				// Taken, yet empty: a delete marker, or a store that lies. Trying again can't mend it.
				return nil, fmt.Errorf("%s: the name is taken, but there is nothing to read: %w", name, err)
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}
