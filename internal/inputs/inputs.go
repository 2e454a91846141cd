// Package inputs owns how a repository's three kinds of files are found and read together, so that lint and every
// other command see the same. It changes nothing and reaches nothing but the file system it is given.
package inputs

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/registry"
	"github.com/rastup/rekey/internal/request"
)

// Inputs is what people wrote.
type Inputs struct {
	Config   *config.Config
	Registry *registry.Registry
	Requests []*request.Request // by path
}

// Find finds a request by its file's path or its rotation's name.
func (in *Inputs) Find(name string) (*request.Request, bool) {
	for _, r := range in.Requests {
		if r.Path == name || r.Rotation == name {
			return r, true
		}
	}
	return nil, false
}

// Late is what these requests ask for and can't get any more at now. It is for requests that aren't merged yet:
// those that are stay as they are, and lint-clean.
func (in *Inputs) Late(now time.Time) *problem.List {
	l := &problem.List{}
	for _, r := range in.Requests {
		r.Late(in.Config, now, l)
	}
	return l
}

// Load reads configuration, registry and requests, and holds them against each other. With paths, only the
// requests at those paths, or in those folders, are read and returned; a path that isn't a request is a problem,
// unless it is the configuration or a registry file. With problems the Inputs are what could be read, and not to be
// acted on. fsys is the repository; os.Root's file system also keeps links from leading out of it.
func Load(fsys fs.FS, configPath string, shapes registry.Shapes, now time.Time, paths ...string) (*Inputs, *problem.List) {
	l := &problem.List{}
	in := &Inputs{Registry: registry.Parse(nil, shapes, l)}
	b, ok := problem.Read(fsys, configPath, l)
	if !ok {
		in.Config = &config.Config{File: configPath, Registry: []string{config.DefaultRegistry}, Requests: config.DefaultRequests}
		return in, l
	}
	in.Config = config.Parse(configPath, b, shapes.Checks, l)
	files := registryFiles(fsys, in.Config, l)
	var parsed []registry.File
	whole := true
	for _, name := range files {
		b, ok := problem.Read(fsys, name, l)
		if whole = whole && ok; ok {
			parsed = append(parsed, registry.File{Path: name, Bytes: b})
		}
	}
	in.Registry = registry.Parse(parsed, shapes, l)
	if len(in.Config.Environments) > 0 { // else every name would be unknown
		registry.Check(in.Registry, in.Config, now, l)
	}
	for _, name := range requestFiles(fsys, in.Config, files, paths, l) {
		b, ok := problem.Read(fsys, name, l)
		if !ok {
			continue
		}
		r := request.Parse(in.Config.Requests, name, b, l)
		in.Requests = append(in.Requests, r)
		if whole && len(in.Config.Environments) > 0 {
			r.Resolve(in.Registry, in.Config, now, l)
		}
	}
	return in, l
}

// registryFiles are the files that the configuration's patterns name, each once, by name.
func registryFiles(fsys fs.FS, c *config.Config, l *problem.List) (files []string) {
	for _, pattern := range c.Registry {
		if !fs.ValidPath(pattern) {
			continue // reported with the configuration
		}
		if !strings.ContainsAny(pattern, "*?[") {
			files = append(files, pattern)
			continue
		}
		found, err := fs.Glob(fsys, pattern)
		if err != nil {
			continue // reported with the configuration
		}
		if len(found) == 0 {
			l.Add(problem.Pos{File: c.File, Line: 1, Col: 1}, "no-file", "", "registry: no file matches %s", problem.Quote(pattern))
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// requestFiles are the requests at or under paths, or all; by name.
func requestFiles(fsys fs.FS, c *config.Config, registries, paths []string, l *problem.List) (files []string) {
	if len(paths) == 0 {
		return walk(fsys, c.Requests, l)
	}
	for _, p := range paths {
		info, err := fs.Stat(fsys, p)
		clean := path.Clean(p)
		switch {
		case slices.Contains(registries, clean), clean == c.File:
		case err == nil && info.IsDir():
			if clean == "." || strings.HasPrefix(c.Requests+"/", clean+"/") {
				clean = c.Requests
			}
			files = append(files, walk(fsys, clean, l)...)
		default:
			files = append(files, clean)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// walk lists every file in a folder; that a folder isn't there just means that nothing was requested yet.
func walk(fsys fs.FS, folder string, l *problem.List) (files []string) {
	err := fs.WalkDir(fsys, folder, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == folder:
			return nil
		case err != nil:
			return err
		case d.IsDir() || strings.HasPrefix(d.Name(), ".") || path.Ext(name) == ".md":
			return nil
		}
		files = append(files, name)
		return nil
	})
	if err != nil {
		l.Add(problem.Pos{File: folder}, "no-file", "", "can't be listed: %v", err)
	}
	return files
}
