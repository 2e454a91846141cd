package demo

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/lambda"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

//go:embed repository
var repository embed.FS

// files of the repository, where people would have them.
var files = map[string]string{"rekey.yml": ".github/rekey.yml", "registry.md": "ops/config/registry.md"}

// A scene is the town of the story, and what is seen of it: records as they reach the journal, jobs as they end.
type scene struct {
	*town.Town
	out    string
	work   string            // checkouts, while the story lasts
	first  map[string]string // version that was live before, by environment
	record func(rotation.Record)
	ended  func(s workflow.Step, text string, err error)

	mu   sync.Mutex
	seen map[string]bool // records of the journal
}

func newScene(ctx context.Context, out string) (*scene, error) {
	s := &scene{out: out, work: filepath.Join(out, "work"), first: map[string]string{}, seen: map[string]bool{},
		record: func(rotation.Record) {}, ended: func(workflow.Step, string, error) {}}
	tree := map[string]string{}
	for from, to := range files {
		b, err := repository.ReadFile("repository/" + from)
		if err != nil {
			return nil, err
		}
		tree[to] = string(b)
	}
	var err error
	s.Town, err = town.New(ctx, town.Options{Root: s.work, Start: start, Files: tree, Wrap: s.paced,
		Log:       func(step workflow.Step, text string, err error) { s.ended(step, text, err) },
		Transport: func(_ workflow.Step, to http.RoundTripper) (aws, hub http.RoundTripper) { return watched{s, to}, to }})
	if err != nil {
		return nil, err
	}
	for _, env := range s.Scenario.Environments {
		s.first[env] = s.current(env)
	}
	// The registry doesn't know of it: that is found before the merge.
	s.AWS.Lambda.MakeByHand(sandbox.Home, lambda.Function{Name: "shop-reports", Environment: map[string]string{"DATABASE_SECRET": s.Scenario.Secrets["dev"]}}, start)
	return s, s.Init(ctx)
}

// paced lets time pass while a job's steps are done, as on a runner.
func (s *scene) paced(do workflow.Do) workflow.Do {
	return func(ctx context.Context, step workflow.Step) (map[string]string, error) {
		s.Clock.Move(20 * time.Second)
		return do(ctx, step)
	}
}

// watched tells of every record once S3 has it, before the program goes on.
type watched struct {
	*scene
	to http.RoundTripper
}

func (w watched) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := w.to.RoundTrip(r)
	if err == nil && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/journal/") {
		w.look()
	}
	return a, err
}

func (s *scene) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.AWS.S3.Versions(s.Scenario.Bucket, "journal/") {
		var r rotation.Record
		if s.seen[v.Key] || v.Marker || json.Unmarshal(v.Body, &r) != nil || r.Seq == 0 {
			continue
		}
		s.seen[v.Key] = true
		s.record(r)
	}
}

func (s *scene) now() time.Time { return s.Clock.Now() }

// standings are what `rekey status` tells a person, by secret and environment.
func (s *scene) standings(ctx context.Context) (map[rotation.Chain]plan.Decision, error) {
	a, err := s.Hand("li-pay")
	if err != nil {
		return nil, err
	}
	tasks, err := a.Tasks(ctx)
	if err != nil {
		return nil, err
	}
	results, err := a.Look(ctx, tasks, false)
	all := map[rotation.Chain]plan.Decision{}
	for _, r := range results {
		err = errors.Join(err, r.Err)
		all[r.Status.Plan.Chain] = r.Status.Decision
	}
	return all, err
}

func (s *scene) current(env string) string {
	return s.AWS.Secret(s.Scenario.Secrets[env]).Labels["AWSCURRENT"]
}

// reality is what the services say, whatever the journal does.
func (s *scene) reality(env string) string {
	secret := s.AWS.Secret(s.Scenario.Secrets[env])
	live := "the old password is live"
	if s.current(env) != s.first[env] {
		live = "a new password is live"
	}
	var kept []string
	for label, version := range secret.Labels {
		if version == s.first[env] && label != "AWSCURRENT" || label == "AWSPENDING" {
			kept = append(kept, label)
		}
	}
	switch {
	case len(kept) > 0:
		slices.Sort(kept)
		live += ", " + strings.Join(kept, " and ") + " is on another version"
	case s.current(env) != s.first[env]:
		live += ", the old one has no label left"
	default:
		live += ", nothing of a new one is left"
	}
	return fmt.Sprintf("%s; tagged version=%s rotated_by=%s", live, or(secret.Tags["version"], "none"), or(secret.Tags["rotated_by"], "none"))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// export copies every object's oldest version out of the bucket, and the repository as it is in the end.
func (s *scene) export() error {
	for _, v := range slices.Backward(s.AWS.S3.Versions(s.Scenario.Bucket, "")) { // oldest first
		if v.Marker {
			continue
		}
		if err := s.leave(filepath.Join("evidence", filepath.FromSlash(v.Key)), v.Body, 0o444); err != nil {
			return err
		}
	}
	for path, text := range s.GitHub.Files("main") {
		if err := s.leave(filepath.Join("repository", filepath.FromSlash(path)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// leave writes a file into the folder that is left behind.
func (s *scene) leave(name string, text []byte, mode fs.FileMode) error {
	path := filepath.Join(s.out, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, mode)
}

// own is what a demo leaves behind; pages are named by number.
var own = []string{"evidence", "report", "repository", "runs", "work", "transcript.txt", "pull-request-*.md", "pull-request-*.html", "issue-*.md"}

// clear makes dir, in place of what a former demo left there. It takes nothing else away.
func clear(dir string) error {
	rest, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ours := func(e fs.DirEntry) bool {
		return slices.ContainsFunc(own, func(pattern string) bool { ok, _ := filepath.Match(pattern, e.Name()); return ok })
	}
	known := slices.ContainsFunc(rest, func(e fs.DirEntry) bool { return e.Name() == "transcript.txt" })
	for _, e := range rest {
		if !known || !ours(e) {
			return fmt.Errorf("%s holds other things, such as %s: choose another folder with --out", dir, e.Name())
		}
	}
	for _, e := range rest {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return os.MkdirAll(dir, 0o755)
}
