// Package app is the application whose secret is rotated in the demo: it takes its credential from Secrets Manager
// as an application with a cache would, and tells at /health whether its backend accepts it. It owns nothing but
// the cache; it must never show the credential.
//
//	GET /ENV/health    200 {"status":"ok","version":"<id>"}, or 503 when the backend refuses the credential
//	GET /ENV/version   the version it works with
package app

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

// An App serves the health of one application in several environments. Safe for concurrent use.
type App struct {
	world   *sandbox.World
	secrets map[string]string // environment to the secret's name
	cache   time.Duration

	mu     sync.Mutex
	cached map[string]entry
	valid  map[string][]string // environment to versions; absent: any version
	broken map[string]int
}

type entry struct {
	version string
	until   time.Time
}

// New is an application that reads each environment's secret from w and keeps it for cache, by the world's clock.
// Until Accept says otherwise its backend accepts every version.
func New(w *sandbox.World, secrets map[string]string, cache time.Duration) *App {
	return &App{world: w, secrets: secrets, cache: cache, cached: map[string]entry{}, valid: map[string][]string{}, broken: map[string]int{}}
}

// Accept sets the versions that the environment's backend takes from now on; none at all with no versions.
func (a *App) Accept(env string, versions ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.valid[env] = append([]string{}, versions...)
}

// AcceptAll makes the environment's backend take every version again.
func (a *App) AcceptAll(env string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.valid, env)
}

// Break makes the environment's health answer this HTTP status, whatever the credential; 0 mends it.
func (a *App) Break(env string, status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken[env] = status
}

// Restart empties the environment's cache, as a deployment does.
func (a *App) Restart(env string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.cached, env)
}

// Works says with which version the environment works; "" when there is no AWSCURRENT.
func (a *App) Works(env string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.works(env)
}

func (a *App) works(env string) string {
	now := a.world.Now()
	if e, ok := a.cached[env]; ok && now.Before(e.until) {
		return e.version
	}
	version := a.world.Secret(a.secrets[env]).Labels[secretsmanager.Current]
	a.cached[env] = entry{version, now.Add(a.cache)}
	return version
}

// Handler is the application over HTTP.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{env}/health", func(w http.ResponseWriter, r *http.Request) {
		status, text, version := a.health(r.PathValue("env"))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"status": text, "version": version}) // a caller that went away needs no answer
	})
	mux.HandleFunc("GET /{env}/version", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := a.secrets[r.PathValue("env")]; !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(a.Works(r.PathValue("env")) + "\n"))
	})
	return mux
}

func (a *App) health(env string) (status int, text, version string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.secrets[env]; !ok {
		return http.StatusNotFound, "no such environment", ""
	}
	version = a.works(env)
	valid, limited := a.valid[env]
	switch {
	case a.broken[env] != 0:
		return a.broken[env], "broken", version
	case version == "":
		return http.StatusServiceUnavailable, "no credential", ""
	case limited && !slices.Contains(valid, version):
		return http.StatusServiceUnavailable, "the backend refuses the credential", version
	}
	return http.StatusOK, "ok", version
}
