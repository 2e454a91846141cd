package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/app"
)

func TestHealthFollowsTheCredential(t *testing.T) {
	clock := sandbox.NewClock(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
	w := sandbox.New(clock)
	s, err := sandbox.Seed(w)
	if err != nil {
		t.Fatal(err)
	}
	a := app.New(w, s.Secrets, 5*time.Minute)
	server := httptest.NewServer(a.Handler())
	defer server.Close()
	ask := func(path string, want int) string {
		t.Helper()
		out, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = out.Body.Close() }()
		body, err := io.ReadAll(out.Body)
		if err != nil || out.StatusCode != want {
			t.Errorf("%s answers %d (%v), want %d", path, out.StatusCode, err, want)
		}
		return string(body)
	}
	old := w.Secret(s.Secrets["dev"]).Labels["AWSCURRENT"]
	if got := ask("/dev/health", 200); got != `{"status":"ok","version":"`+old+"\"}\n" {
		t.Errorf("healthy: %s", got)
	}
	a.Accept("dev", old)
	fresh, err := w.PutByHand(s.Secrets["dev"], "new")
	if err != nil {
		t.Fatal(err)
	}
	ask("/dev/health", 200) // from the cache
	clock.Move(5 * time.Minute)
	ask("/dev/health", 503)
	a.Accept("dev", old, fresh)
	ask("/dev/health", 200)
	if got := ask("/dev/version", 200); got != fresh+"\n" || a.Works("dev") != fresh {
		t.Errorf("works with %s", got)
	}
	a.Break("dev", 500)
	ask("/dev/health", 500)
	ask("/prod/health", 200)
	a.Break("dev", 0)
	a.Restart("dev")
	ask("/dev/health", 200)
	ask("/qa/health", 404)
	ask("/qa/version", 404)
}
