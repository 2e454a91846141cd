package demo

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	consumer "github.com/rastup/rekey/internal/sandbox/app"
)

//go:embed repository
var repository embed.FS

// A scene is the world of the story: services, an application that uses the secret, a repository and a clock.
type scene struct {
	world    *sandbox.World
	scenario sandbox.Scenario
	consumer *consumer.App
	clock    *sandbox.Clock
	endpoint string
	root     string // the repository
	program  string
	runs     int
	progress func(*rotation.Plan, rotation.Record)
	first    map[string]string // version that was live before, by environment

	validated    map[string]bool
	anyValidated bool
	rolledBack   bool
}

func newScene(ctx context.Context, o Options) (*scene, error) {
	s := &scene{clock: sandbox.NewClock(start.AddDate(0, 0, -97)), root: filepath.Join(o.Out, "repository"), program: o.Program,
		first: map[string]string{}, validated: map[string]bool{}}
	s.world = sandbox.New(s.clock)
	var err error
	if s.scenario, err = sandbox.Seed(s.world); err != nil {
		return nil, err
	}
	s.clock.Move(start.Sub(s.clock.Now()))
	for _, env := range s.scenario.Environments {
		s.first[env] = s.current(env)
	}
	server, err := sandbox.Serve(ctx, s.world, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.endpoint = server.URL()
	// The application reads its secret anew for each request: a cache would be adoption, another story.
	s.consumer = consumer.New(s.world, s.scenario.Secrets, 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	site := &http.Server{Handler: s.consumer.Handler(), ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = site.Close() })
	go func() { _ = site.Serve(listener) }() // until ctx ends
	return s, s.write("http://" + listener.Addr().String())
}

// write makes the repository people would have.
func (s *scene) write(endpoint string) error {
	for from, to := range map[string]string{"rekey.yml": ".github/rekey.yml", "registry.md": "ops/config/registry.md", "request.yaml": requestAt} {
		b, err := repository.ReadFile("repository/" + from)
		if err != nil {
			return err
		}
		path := filepath.Join(s.root, filepath.FromSlash(to))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(b), "ENDPOINT", endpoint)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// process is a new process: it knows nothing of the one before.
func (s *scene) process() *app.App {
	s.runs++
	return app.New(app.World{
		Root: s.root, Config: ".github/rekey.yml", Actor: operator, Program: s.program, Clock: frozen{s.clock},
		Self:     rotation.Runner{ID: fmt.Sprintf("demo run %d", s.runs), Nonce: fmt.Sprint(s.runs)},
		Lookup:   func(string) (string, bool) { return "", false },
		Cloud:    cloud.Options{Endpoint: s.endpoint, Credentials: credentials.NewStaticCredentialsProvider(sandbox.AccessKeyID, sandbox.SecretAccessKey, "")},
		Progress: func(p *rotation.Plan, r rotation.Record) { s.progress(p, r) },
	})
}

// frozen is a clock that moves by sleeping only, also while a step is under way.
type frozen struct{ *sandbox.Clock }

func (frozen) After(time.Duration) <-chan time.Time { return nil }

func (s *scene) now() time.Time { return s.clock.Now() }

func (s *scene) init(ctx context.Context) error {
	a := s.process()
	if found := a.Load(); found.Len() > 0 {
		return fmt.Errorf("the demo's own files: %s", found)
	}
	_, err := a.Init(ctx)
	return err
}

// apply is `rekey apply --environment ENV`.
func (s *scene) apply(ctx context.Context, env string) (plan.Decision, error) {
	a := s.process()
	if found := a.Load(); found.Len() > 0 {
		return plan.Decision{}, fmt.Errorf("the demo's own files: %s", found)
	}
	tasks, err := a.Tasks(ctx)
	if err != nil {
		return plan.Decision{}, err
	}
	results, err := a.Apply(ctx, tasks, app.Options{ByHand: true, Environment: env})
	if err != nil || len(results) == 0 {
		return plan.Decision{State: plan.Finished}, err
	}
	r := results[0]
	s.validated[env] = r.Status.Validated(s.now())
	s.anyValidated = s.anyValidated || s.validated[env]
	s.rolledBack = s.rolledBack || r.Status.Decision.State == plan.RolledBack
	return r.Status.Decision, r.Err
}

func (s *scene) current(env string) string {
	return s.world.Secret(s.scenario.Secrets[env]).Labels["AWSCURRENT"]
}

// reality is what the services say, whatever the journal does.
func (s *scene) reality(env string) string {
	secret := s.world.Secret(s.scenario.Secrets[env])
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

// export copies every object's oldest version out of the bucket, and says whether the rotation is closed.
func (s *scene) export(dir string) (closed bool, err error) {
	for _, v := range slices.Backward(s.world.S3.Versions(s.scenario.Bucket, "")) { // oldest first
		if v.Marker {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(v.Key))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return false, err
		}
		if err := os.WriteFile(path, v.Body, 0o444); err != nil {
			return false, err
		}
		closed = closed || strings.HasSuffix(v.Key, "/close.json")
	}
	return closed, nil
}

// clear makes dir, in place of what a former demo left there. It takes nothing else away.
func clear(dir string) error {
	for _, own := range []string{"evidence", "repository", "transcript.txt"} {
		if err := os.RemoveAll(filepath.Join(dir, own)); err != nil {
			return err
		}
	}
	rest, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%s holds other things, such as %s: choose another folder with --out", dir, rest[0].Name())
	}
	return os.MkdirAll(dir, 0o755)
}
