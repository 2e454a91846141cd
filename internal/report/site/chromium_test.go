package site_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rastup/rekey/internal/report/browsertest"
)

// visit is a page around the site, which follows every link and measures every page: the site itself has no scripts, and
// its policy lets none run.
const visit = `<!DOCTYPE html><link rel="icon" href="data:,"><body><iframe id="f" style="border:0;width:WIDTHpx;height:900px"></iframe><script>
const f = document.getElementById("f"), wide = [], seen = new Set(["/site/index.html"]), todo = [...seen];
const load = url => new Promise(done => { f.onload = done; f.src = url; });
(async () => {
  for (let url; url = todo.shift();) {
    await load(url);
    const d = f.contentDocument, e = d.documentElement;
    if (!d.querySelector("h1")) { wide.push(url + " has no heading"); continue; }
    d.querySelectorAll("details").forEach(x => x.open = true);
    if (e.scrollWidth > e.clientWidth) wide.push(url + " is " + e.scrollWidth + " of " + e.clientWidth);
    for (const x of d.querySelectorAll("body *")) {
      const r = x.getBoundingClientRect();
      if (r.width > 1 && r.right > e.clientWidth + 1 && !x.closest(".scroll") && !x.closest("thead")) wide.push(url + " " + x.tagName + " " + x.className + " " + x.textContent.slice(0, 40));
    }
    if (getComputedStyle(d.querySelector("main")).paddingTop === "0px") wide.push(url + " has no style");
    for (const a of d.querySelectorAll("a[href]")) {
      const to = new URL(a.href);
      to.hash = "";
      if (to.origin === location.origin && !seen.has(to.pathname)) {
        seen.add(to.pathname);
        if (to.pathname.endsWith(".html")) todo.push(to.pathname);
        else if (!(await fetch(to)).ok) wide.push(url + " leads to " + to);
      }
    }
  }
  document.title = "visited";
  const p = document.createElement("pre");
  p.textContent = "visited " + [...seen].sort().join(" ") + " faults [" + [...new Set(wide)].slice(0, 9).join("; ") + "]";
  document.body.append(p);
})();
</script>`

// A watched server serves files under /site/, and knows what else it was asked for.
type watched struct {
	files map[string][]byte
	mu    sync.Mutex
	odd   []string
}

func (w *watched) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	name, ours := strings.CutPrefix(r.URL.Path, "/site/")
	body, ok := w.files[name]
	switch {
	case r.URL.Path == "/":
		_, _ = io.WriteString(rw, strings.ReplaceAll(visit, "WIDTH", r.URL.Query().Get("width")))
	case ours && ok:
		rw.Header().Set("Content-Type", map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json"}[filepath.Ext(name)])
		_, _ = rw.Write(body)
	default:
		w.mu.Lock()
		w.odd = append(w.odd, r.URL.Path)
		w.mu.Unlock()
		http.NotFound(rw, r)
	}
}

func (w *watched) open(t *testing.T, width int) (seen []string, faults string, console []string) {
	t.Helper()
	server := httptest.NewServer(w)
	defer server.Close()
	out, log := browsertest.Run(t, "--virtual-time-budget=120000", "--window-size=1400,1000", "--dump-dom", server.URL+"/?width="+strconv.Itoa(width))
	_, said, ok := strings.Cut(out[max(0, strings.LastIndex(out, "</script>")):], "<pre>visited ")
	if !ok {
		t.Fatalf("the visit didn't end: %s\n%s", out[max(0, strings.LastIndex(out, "</script>")):], log)
	}
	said, _, _ = strings.Cut(said, "</pre>")
	list, faults, _ := strings.Cut(said, " faults ")
	return strings.Fields(list), faults, browsertest.Console(log)
}

// At a desk and on a phone every page ends where the window does, every link leads to a page, every page is led to; the
// console stays empty, and nothing is asked for but files of the site.
func TestSiteInABrowser(t *testing.T) {
	browsertest.Need(t)
	for name, d := range map[string]map[string][]byte{"a company": made(t, sample()), "hostile": made(t, hostile())} {
		for _, width := range []int{1280, 360} {
			t.Run(fmt.Sprint(name, " at ", width), func(t *testing.T) {
				w := &watched{files: d}
				seen, faults, console := w.open(t, width)
				if faults != "[]" {
					t.Errorf("faults: %s", faults)
				}
				for file := range d {
					if strings.HasSuffix(file, ".html") && !slices.Contains(seen, "/site/"+file) {
						t.Errorf("nothing leads to %s", file)
					}
				}
				if len(console) > 0 {
					t.Errorf("console: %s", strings.Join(console, "\n"))
				}
				if len(w.odd) > 0 {
					t.Errorf("asked for %q", w.odd)
				}
			})
		}
	}
}

// What the test above looks for, it finds.
func TestABrokenSiteIsSeenInABrowser(t *testing.T) {
	browsertest.Need(t)
	w := &watched{files: made(t, sample())}
	w.files["index.html"] = []byte(strings.Replace(string(w.files["index.html"]), "<h1>", `<h1><a href="gone.html">x</a><img src="outside.png" alt=""><script>alert(1)</script><span style="color:red">x</span><pre>`+
		strings.Repeat("x", 300)+"</pre>", 1))
	_, faults, console := w.open(t, 360)
	for _, want := range []string{"/site/index.html is ", "/site/gone.html has no heading"} {
		if !strings.Contains(faults, want) {
			t.Errorf("no %q in %s", want, faults)
		}
	}
	if len(console) == 0 {
		t.Error("nothing in the console")
	}
	if !slices.Contains(w.odd, "/site/outside.png") || !slices.Contains(w.odd, "/site/gone.html") {
		t.Errorf("asked for %q", w.odd)
	}
}

// Pictures of the site from a folder, as from an artifact, are kept for people to look at.
func TestScreenshots(t *testing.T) {
	browsertest.Need(t)
	dir := t.TempDir()
	for name, body := range made(t, sample()) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, body, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	const dark = "--blink-settings=preferredColorScheme=0"
	at := func(page string) string { return "file://" + filepath.ToSlash(dir) + "/" + page }
	stripe := "secret/payments-stripe-webhook.html"
	browsertest.Screenshot(t, "site-overview", at("index.html"), 1280, 2600)
	browsertest.Screenshot(t, "site-overview-dark", at("index.html"), 1280, 2600, dark)
	browsertest.Screenshot(t, "site-overview-phone", at("index.html"), 500, 4200)
	browsertest.Screenshot(t, "site-secret", at(stripe), 1280, 1300)
	browsertest.Screenshot(t, "site-secret-phone-dark", at(stripe), 500, 2000, dark)
	browsertest.Screenshot(t, "site-rotation", at("rotation/2026-11-23-rolled-back-service-02-token.html"), 1280, 2600)
}
