package page_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rastup/rekey/internal/report/browsertest"
	"github.com/rastup/rekey/internal/report/page"
)

// measure is what a page around it measures: the page itself has no scripts, and its policy lets none run.
const measure = `<!DOCTYPE html><iframe id="f" src="/page" style="border:0;width:WIDTHpx;height:900px"></iframe><script>
onload = () => { const d = document.getElementById("f").contentDocument, e = d.documentElement;
d.querySelectorAll("details").forEach(x => x.open = true);
const wide = [...d.querySelectorAll("body *")].filter(x => x.getBoundingClientRect().right > e.clientWidth + 1 && !x.closest("table, pre")).map(x => x.tagName + "." + x.className);
document.title = "measured"; document.body.append(" width=" + e.scrollWidth + " of " + e.clientWidth + " height=" + (e.scrollHeight > 1000) + " wide=[" + wide.slice(0, 5) + "]"); }
</script>`

// At any width the page ends where the window does, opened out too, and asks nobody for anything.
func TestPageInABrowser(t *testing.T) {
	browsertest.Need(t)
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
		out, _ := browsertest.Run(t, "--virtual-time-budget=5000", "--window-size=1400,1000", "--dump-dom", server.URL+"/?width="+w)
		if want := "width=" + w + " of " + w + " height=true wide=[]"; !strings.Contains(out, want) {
			t.Errorf("no %q, but %s", want, out[max(0, strings.LastIndex(out, "</script>")):])
		}
	}
	if n := others.Load(); n > 0 {
		t.Errorf("the page asked for %d other things", n)
	}
}

// Pictures of the page are kept for people to look at; every test run makes them.
func TestScreenshots(t *testing.T) {
	browsertest.Need(t)
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, page.HTML(sample(t)), 0o666); err != nil {
		t.Fatal(err)
	}
	browsertest.Screenshot(t, "desktop", "file://"+file, 1280, 3200)
	browsertest.Screenshot(t, "dark", "file://"+file, 1280, 3200, "--blink-settings=preferredColorScheme=0")
	browsertest.Screenshot(t, "phone", "file://"+file, 500, 4200)
}
