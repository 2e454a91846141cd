// Package folder is an evidence store in a directory: for the demo, for tests, and to verify a download of the
// real one offline. Names are paths below the directory.
//
// Its locks are file permissions, which hold nobody up: what was changed is found by the hashes, not prevented
// here. It must never write over a file, follow a symbolic link or leave its directory.
package folder

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/evidence"
)

const temp = ".tmp" // unfinished objects; never listed

// A Store is a directory. Close it after use.
type Store struct {
	root  *os.Root
	clock func() time.Time
}

// Open takes a directory that exists. clock dates what is stored; without one the store is read-only and knows
// no times, because those of a copy are the copy's.
func Open(dir string, clock func() time.Time) (*Store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open evidence folder: %w", err)
	}
	return &Store{root, clock}, nil
}

// Close lets go of the directory.
func (s *Store) Close() error { return s.root.Close() }

// Create writes a file: complete and on disk before its name exists.
func (s *Store) Create(ctx context.Context, name string, data []byte) error {
	if s.clock == nil {
		return errors.New("this evidence folder was opened to read only")
	}
	if err := errors.Join(ctx.Err(), valid(name)); err != nil {
		return err
	}
	if err := s.plain(name); err == nil {
		return fmt.Errorf("%s: %w", name, evidence.ErrExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := errors.Join(s.root.MkdirAll(path.Dir(name), 0o755), s.root.MkdirAll(temp, 0o755)); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	part := temp + "/" + rand.Text()
	err := s.write(part, data)
	if err == nil {
		err = s.root.Link(part, name)
	}
	err = errors.Join(err, s.root.Remove(part))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", name, evidence.ErrExists)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return s.sync(path.Dir(name))
}

func (s *Store) write(part string, data []byte) error {
	f, err := s.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	now := s.clock()
	return s.root.Chtimes(part, now, now)
}

// sync makes a new name survive a power cut.
func (s *Store) sync(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// Read gives a file's bytes.
func (s *Store) Read(ctx context.Context, name string) ([]byte, error) {
	if err := errors.Join(ctx.Err(), valid(name)); err != nil {
		return nil, err
	}
	if err := s.plain(name); err != nil {
		return nil, err
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// List gives the files below a prefix.
func (s *Store) List(ctx context.Context, prefix string) (evidence.Listing, error) {
	l := evidence.Listing{}
	if s.clock != nil {
		l.Now = s.clock()
	}
	top := "."
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		top = prefix[:i]
		if err := valid(top); err != nil {
			return l, err
		}
	}
	err := fs.WalkDir(s.root.FS(), top, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == top:
			return fs.SkipAll
		case err != nil:
			return err
		case d.IsDir() && (name == temp || !overlaps(name, prefix)):
			return fs.SkipDir
		case d.IsDir() || !strings.HasPrefix(name, prefix):
			return ctx.Err()
		}
		o, err := s.object(name, d)
		l.Objects = append(l.Objects, o)
		return err
	})
	slices.SortFunc(l.Objects, func(a, b evidence.Object) int { return strings.Compare(a.Name, b.Name) })
	return l, err
}

// overlaps says whether names below dir can begin with prefix.
func overlaps(dir, prefix string) bool {
	return dir == "." || strings.HasPrefix(prefix, dir+"/") || strings.HasPrefix(dir+"/", prefix)
}

func (s *Store) object(name string, d fs.DirEntry) (evidence.Object, error) {
	info, err := d.Info()
	if err != nil {
		return evidence.Object{}, err
	}
	if !info.Mode().IsRegular() {
		return evidence.Object{}, fmt.Errorf("%s: is no regular file: evidence isn't read through links", name)
	}
	o := evidence.Object{Name: name, Size: info.Size(), Versions: 1}
	if s.clock != nil {
		o.StoredAt = info.ModTime()
	}
	return o, nil
}

// plain is nil when name is a regular file and each folder on the way is a folder, not a link to one.
func (s *Store) plain(name string) error {
	for i, c := range name + "/" {
		if c != '/' {
			continue
		}
		info, err := s.root.Lstat(name[:i])
		switch {
		case err != nil:
			return err
		case i < len(name) && !info.IsDir():
			return fmt.Errorf("%s: is no folder: evidence isn't read through links", name[:i])
		case i == len(name) && !info.Mode().IsRegular():
			return fmt.Errorf("%s: is no regular file: evidence isn't read through links", name)
		}
	}
	return nil
}

// valid refuses what could mean another place than it says.
func valid(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00") || name == temp || strings.HasPrefix(name, temp+"/") {
		return fmt.Errorf("%q is no name for evidence", name)
	}
	return nil
}
