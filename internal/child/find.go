package child

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// find is the file to run for a program's name. Relative entries of PATH are passed over: they would make it
// depend on the directory.
func find(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		return filepath.Abs(path) // a missing file is the start's to report
	}
	path := ""
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v // of two the last, as for the command itself
		}
	}
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			continue
		}
		file := filepath.Join(d, name)
		if i, err := os.Stat(file); err == nil && i.Mode().IsRegular() && i.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	if path == "" {
		return "", fmt.Errorf("find %q: its environment has no PATH: %w", name, fs.ErrNotExist)
	}
	return "", fmt.Errorf("find %q in its PATH: %w", name, fs.ErrNotExist)
}

func stdin(b []byte) io.Reader {
	if b == nil {
		return nil
	}
	return bytes.NewReader(b)
}
