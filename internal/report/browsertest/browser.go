// Package browsertest opens pages in a headless Chromium, for tests of what people see. It is for tests only: the browser
// finds no name but this machine's, and keeps nothing.
package browsertest

import (
	"context"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Need is the browser's path. Where it is absent the test is skipped, but not on CI.
func Need(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatal("no chromium: .ci/install brings it")
	default:
		t.Skip("no chromium on this machine; CI has it")
	}
	return ""
}

// Run starts the browser with args, a page's address the last, and gives what it printed: standard output, and its log,
// which has the console's messages.
func Run(t testing.TB, args ...string) (out, log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, Need(t), append([]string{"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", "--user-data-dir=" + t.TempDir()}, args...)...)
	var o, e strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &o, &e, 5*time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, e.String())
	}
	return o.String(), e.String()
}

// Console are the messages of the console in what Run gave as log.
func Console(log string) (all []string) {
	for l := range strings.Lines(log) {
		if strings.Contains(l, ":CONSOLE") {
			all = append(all, strings.TrimSpace(l))
		}
	}
	return all
}

// Screenshot takes a picture of the page at url, and keeps it where REKEY_ARTIFACTS says; else it is
// gone after the test. It fails where the picture has another size.
func Screenshot(t testing.TB, name, url string, width, height int, args ...string) {
	t.Helper()
	dir := os.Getenv("REKEY_ARTIFACTS")
	if dir == "" {
		dir = t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name+".png")
	Run(t, append(args, fmt.Sprintf("--window-size=%d,%d", width, height), "--screenshot="+file, url)...)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := png.DecodeConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	if c.Width != width || c.Height != height {
		t.Errorf("%s is %d by %d, want %d by %d", name, c.Width, c.Height, width, height)
	}
}
