package page_test

import (
	"context"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/report/page"
)

// chromium is the browser's path. Where it is absent tests are skipped, but not on CI.
func chromium(t *testing.T) string {
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

func browse(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium(t), append([]string{"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--user-data-dir=" + t.TempDir()}, args...)...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errs, 5*time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, errs.String())
	}
	return out.String()
}

// measure is what a page around it measures: the page itself has no scripts, and its policy lets none run.
const measure = `<!DOCTYPE html><iframe id="f" src="/page" style="border:0;width:WIDTHpx;height:900px"></iframe><script>
onload = () => { const d = document.getElementById("f").contentDocument, e = d.documentElement;
d.querySelectorAll("details").forEach(x => x.open = true);
const wide = [...d.querySelectorAll("body *")].filter(x => x.getBoundingClientRect().right > e.clientWidth + 1 && !x.closest("table, pre")).map(x => x.tagName + "." + x.className);
document.title = "measured"; document.body.append(" width=" + e.scrollWidth + " of " + e.clientWidth + " height=" + (e.scrollHeight > 1000) + " wide=[" + wide.slice(0, 5) + "]"); }
</script>`

// At any width the page ends where the window does, opened out too, and asks nobody for anything.
func TestPageInABrowser(t *testing.T) {
	chromium(t)
	html := page.HTML(sample(t))
	var others atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/page":
			_, _ = w.Write(html)
		case "/":
			_, _ = io.WriteString(w, strings.ReplaceAll(measure, "WIDTH", r.URL.Query().Get("width")))
		case "/favicon.ico": // the browser's own idea
			http.NotFound(w, r)
		default:
			others.Add(1)
		}
	}))
	defer server.Close()
	for _, width := range []int{1280, 768, 390, 320} {
		w := strconv.Itoa(width)
		out := browse(t, "--virtual-time-budget=5000", "--window-size=1400,1000", "--dump-dom", server.URL+"/?width="+w)
		if want := "width=" + w + " of " + w + " height=true wide=[]"; !strings.Contains(out, want) {
			t.Errorf("no %q, but %s", want, out[max(0, strings.LastIndex(out, "</script>")):])
		}
	}
	if n := others.Load(); n > 0 {
		t.Errorf("the page asked for %d other things", n)
	}
}

// Pictures of the page are kept where REKEY_SCREENSHOTS says, for people to look at; every test run makes them.
func TestScreenshots(t *testing.T) {
	chromium(t)
	dir := os.Getenv("REKEY_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, page.HTML(sample(t)), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"desktop": {"--window-size=1280,3200"},
		"dark":    {"--window-size=1280,3200", "--blink-settings=preferredColorScheme=0"},
		"phone":   {"--window-size=500,4200"},
	} {
		out := filepath.Join(dir, name+".png")
		browse(t, append(args, "--screenshot="+out, "file://"+file)...)
		f, err := os.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c, err := png.DecodeConfig(f)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimPrefix(args[0], "--window-size="); want != strconv.Itoa(c.Width)+","+strconv.Itoa(c.Height) {
			t.Errorf("%s is %d by %d, want %s", name, c.Width, c.Height, want)
		}
	}
}
