package folder_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/report/site"
	"github.com/rastup/rekey/internal/report/site/folder"
	"github.com/rastup/rekey/internal/rotation"
)

// pages are some by name and content: "index.html=one".
func pages(all ...string) (list []site.Page) {
	for _, one := range all {
		name, text, _ := strings.Cut(one, "=")
		list = append(list, site.Page{Name: name, Write: func(w io.Writer) error {
			if text == "" {
				return errors.New("no text")
			}
			_, err := io.WriteString(w, text)
			return err
		}})
	}
	return list
}

// held are the files of dir but the manifest, as pages has them, and folders that are empty.
func held(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch list, _ := os.ReadDir(path); {
		case err != nil || name == "." || name == folder.Manifest:
		case d.IsDir() && len(list) == 0:
			all = append(all, name+"/")
		case !d.IsDir():
			b, err := os.ReadFile(path)
			all = append(all, filepath.ToSlash(name)+"="+string(b))
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func same(t *testing.T, dir string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, held(t, dir)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func write(t *testing.T, dir string, all ...string) folder.Written {
	t.Helper()
	done, err := folder.Write(dir, pages(all...))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// A report takes the place of the one before, and leaves alone what isn't of it.
func TestAReportTakesTheFormersPlace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "report")
	if got := write(t, dir, "index.html=one", "secret/a.html=a", "secret/b.html=b", "owner/x.html=x"); got != (folder.Written{Files: 4, Bytes: 6}) {
		t.Errorf("%+v", got)
	}
	same(t, dir, "index.html=one", "owner/x.html=x", "secret/a.html=a", "secret/b.html=b")
	for _, name := range []string{"CNAME", "secret/mine.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got := write(t, dir, "index.html=two", "secret/b.html=b"); got != (folder.Written{Files: 2, Bytes: 4, Deleted: 2}) {
		t.Errorf("%+v", got)
	}
	same(t, dir, "CNAME=mine", "index.html=two", "secret/b.html=b", "secret/mine.txt=mine")
}

// refused are folders that are somebody else's: what is in them stays.
func TestAFolderOfOthersIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"files":            {map[string]string{"thesis.txt": "x"}, "has files, and no report was written there before"},
		"a page's name":    {map[string]string{folder.Manifest: `{"files":["style.css"]}`, "index.html": "my own"}, "index.html isn't of a former report"},
		"a broken one":     {map[string]string{folder.Manifest: `{"files":[`}, "can't be read"},
		"one that leaves":  {map[string]string{folder.Manifest: `{"files":["../../etc/passwd"]}`}, "which no report has"},
		"one that is rude": {map[string]string{folder.Manifest: `{"files":["/etc/passwd"]}`}, "which no report has"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			before := held(t, dir)
			_, err := folder.Write(dir, pages("index.html=one"))
			var no *rotation.Failure
			if !errors.As(err, &no) || !strings.Contains(no.Msg, c.want) || no.Hint == "" {
				t.Errorf("got %v, want %q", err, c.want)
			}
			same(t, dir, before...)
			if m, _ := os.ReadFile(filepath.Join(dir, folder.Manifest)); string(m) != c.files[folder.Manifest] {
				t.Errorf("the manifest was changed: %s", m)
			}
		})
	}
}

// A link that a folder holds leads nowhere else.
func TestNothingIsWrittenThroughALink(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "a.html"), []byte("outside"), 0o666); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "index.html=one")
	if err := os.Symlink(outside, filepath.Join(dir, "secret")); err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Write(dir, pages("index.html=two", "secret/a.html=two", "secret/b.html=two")); err == nil {
		t.Error("no error")
	}
	same(t, outside, "a.html=outside")
}

// However a report ends, the next one leaves nothing of it that isn't its own.
func TestAReportThatBreaksOffIsMended(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "index.html=one", "secret/a.html=a")
	if _, err := folder.Write(dir, pages("index.html=two", "secret/new.html=n", "secret/a.html=", "owner/x.html=x")); err == nil {
		t.Fatal("no error")
	}
	if got := held(t, dir); !slices.Contains(got, "index.html=two") || !slices.Contains(got, "secret/a.html=a") || !slices.Contains(got, "secret/new.html=n") {
		t.Errorf("after the break: %q", got)
	}
	write(t, dir, "index.html=three")
	same(t, dir, "index.html=three")
}
