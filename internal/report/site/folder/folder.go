// Package folder keeps a report's site in a folder. The folder's manifest names every file of it: only those are ever
// written over or deleted, and a folder with other files and no manifest is left alone. It never leaves its folder, nor
// follows a link out of it.
//
// Each file is there as a whole or as it was. After a crash the next report puts all of it right: the manifest is written
// first with the files of both.
package folder

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/rastup/rekey/internal/report/site"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	// Manifest is the file by which a folder is known as a report's.
	Manifest = ".rekey-report.json"
	temp     = ".rekey-report.tmp" // the file that is being written
)

// A manifest names the files of a report.
type manifest struct {
	Note  string   `json:"note"`
	Files []string `json:"files"` // in order of names
}

const note = "These files are written and deleted by rekey report. Others are left alone."

// Written is what came of it.
type Written struct {
	Files, Deleted int
	Bytes          int64
}

// Write makes dir hold the pages and none that a former report had and this one hasn't. It makes dir where it is missing.
// A *rotation.Failure says that dir is somebody else's; then nothing was changed.
func Write(dir string, pages []site.Page) (done Written, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return done, fmt.Errorf("make the report's folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return done, fmt.Errorf("open the report's folder: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	former, err := read(root, dir)
	if err != nil {
		return done, err
	}
	files := make(map[string]bool, len(pages))
	for _, p := range pages {
		files[p.Name] = true
		if _, found := slices.BinarySearch(former, p.Name); found {
			continue
		}
		if _, err := root.Lstat(p.Name); err == nil {
			return done, rotation.Failf("move it away, or give another folder", "%s isn't of a former report, and one of this name is to be written", path.Join(dir, p.Name))
		}
	}
	all := slices.Clone(former)
	for name := range files {
		all = append(all, name)
	}
	if err := keep(root, all); err != nil {
		return done, err
	}
	for _, p := range pages {
		n, err := put(root, p)
		if err != nil {
			return done, fmt.Errorf("write %s: %w", path.Join(dir, p.Name), err)
		}
		done.Files, done.Bytes = done.Files+1, done.Bytes+n
	}
	for _, name := range former {
		if files[name] {
			continue
		}
		if err := root.Remove(name); err == nil {
			done.Deleted++
		} else if !errors.Is(err, fs.ErrNotExist) {
			return done, fmt.Errorf("delete %s of the former report: %w", path.Join(dir, name), err)
		}
		if up := path.Dir(name); up != "." {
			_ = root.Remove(up) // unless something is in it
		}
	}
	return done, keep(root, slices.DeleteFunc(all, func(name string) bool { return !files[name] }))
}

// read gives the files of the former report, in order of names; none where the folder is empty.
func read(root *os.Root, dir string) ([]string, error) {
	data, err := root.ReadFile(Manifest)
	if errors.Is(err, fs.ErrNotExist) {
		list, err := fs.ReadDir(root.FS(), ".")
		if err == nil && len(list) > 0 {
			err = rotation.Failf("give a folder that is empty, doesn't exist, or has a former report", "%s has files, and no report was written there before: nothing was changed", dir)
		}
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Manifest, err)
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, rotation.Failf("empty the folder, or give another", "%s in %s can't be read (%v): nothing was changed", Manifest, dir, err)
	}
	for _, name := range m.Files {
		if !fs.ValidPath(name) || name == "." || name == Manifest {
			return nil, rotation.Failf("empty the folder, or give another", "%s in %s names %q, which no report has: nothing was changed", Manifest, dir, name)
		}
	}
	slices.Sort(m.Files)
	return slices.Compact(m.Files), nil
}

func keep(root *os.Root, names []string) error {
	slices.Sort(names)
	data, err := json.MarshalIndent(manifest{note, slices.Compact(names)}, "", " ")
	if err == nil {
		err = root.WriteFile(temp, append(data, '\n'), 0o644)
	}
	if err == nil {
		err = root.Rename(temp, Manifest)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", Manifest, err)
	}
	return nil
}

// put writes a page under another name first.
func put(root *os.Root, p site.Page) (n int64, err error) {
	if err := root.MkdirAll(path.Dir(p.Name), 0o755); err != nil {
		return 0, err
	}
	f, err := root.Create(temp)
	if err != nil {
		return 0, err
	}
	b := bufio.NewWriterSize(f, 64<<10)
	err = p.Write(b)
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		n, err = f.Seek(0, 1)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return n, root.Rename(temp, p.Name)
}
