package folder_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/evidence/evidencetest"
	"github.com/rastup/rekey/internal/evidence/folder"
)

func open(t *testing.T, dir string, clock func() time.Time) *folder.Store {
	t.Helper()
	s, err := folder.Open(dir, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	evidencetest.Run(t, evidencetest.Config{Now: time.Now, New: func(t *testing.T) evidencetest.Subject {
		return evidencetest.Subject{Store: open(t, t.TempDir(), time.Now)}
	}})
}

func TestFilesAreDatedByTheClockAndReadOnly(t *testing.T) {
	dir, at := t.TempDir(), time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	s := open(t, dir, func() time.Time { return at })
	if err := s.Create(t.Context(), "a/b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "a", "b"))
	if err != nil || !info.ModTime().Equal(at) || info.Mode().Perm() != 0o444 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestNothingEscapes(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "in")
	if err := errors.Join(os.Mkdir(inside, 0o755), os.WriteFile(filepath.Join(dir, "out"), []byte("secret"), 0o644),
		os.Symlink("../out", filepath.Join(inside, "link")), os.Symlink("..", filepath.Join(inside, "up")),
		os.WriteFile(filepath.Join(inside, "real"), []byte("x"), 0o644), os.Symlink("real", filepath.Join(inside, "alias"))); err != nil {
		t.Fatal(err)
	}
	s := open(t, inside, time.Now)
	for _, name := range []string{"../out", "a/../../out", "/etc/passwd", "link", "up/out", "alias", "", ".", "a//b", `a\b`, "a\x00b", ".tmp/x", "a/"} {
		if data, err := s.Read(t.Context(), name); err == nil {
			t.Errorf("read %q: %q", name, data)
		}
		err := s.Create(t.Context(), name, []byte("x"))
		if err == nil || errors.Is(err, evidence.ErrExists) {
			t.Errorf("create %q: %v", name, err)
		}
	}
	if _, err := s.List(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("list: %v", err)
	}
	if _, err := s.List(t.Context(), "../"); err == nil {
		t.Error("listed what is outside")
	}
}

// A process that dies after the temporary file was written leaves the name free and the listing clean.
func TestACrashBeforeTheNameExistsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, ".tmp"), 0o755), os.WriteFile(filepath.Join(dir, ".tmp", "HALF"), []byte("ha"), 0o444)); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, time.Now)
	if l, err := s.List(t.Context(), ""); err != nil || len(l.Objects) != 0 {
		t.Errorf("listed %v, %v", l.Objects, err)
	}
	if err := s.Create(t.Context(), "a/1", []byte("whole")); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, ".tmp"))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestADownloadIsReadOnlyAndKnowsNoTimes(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, time.Now)
	if err := w.Create(t.Context(), "a/1", []byte("x")); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, nil)
	l, err := s.List(t.Context(), "a/")
	if err != nil || len(l.Objects) != 1 || !l.Objects[0].StoredAt.IsZero() || !l.Now.IsZero() {
		t.Errorf("%+v, %v", l, err)
	}
	if err := s.Create(t.Context(), "a/2", nil); err == nil {
		t.Error("wrote to a download")
	}
}
