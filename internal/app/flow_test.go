package app_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/s3"
)

const rules = `environments:
  - {name: dev, region: us-east-1}
  - {name: stage, region: us-east-1}
evidence:
  store: s3://rekey-evidence
  region: us-east-1
  lock: {mode: COMPLIANCE, retain: 7y}
  log_group: /rekey/audit
policy: {retain: 48h}
`

const page = `| Secret | Kind | Owner | Interval | Last rotated |
| --- | --- | --- | --- | --- |
| app/database | secretsmanager | @rastup/platform | 90 days | 2026-08-18 |

## app/database

~~~yaml
dev:
  target: {secret: rekey/dev/app-database, key: password}
stage:
  target: {secret: rekey/stage/app-database, key: password}
~~~
`

// A town is a repository, a sandbox and a clock.
type town struct {
	t     *testing.T
	root  string
	world *sandbox.World
	clock *sandbox.Clock
	url   string
	runs  int
	env   map[string]string // variables of the process
}

type standing struct{ *sandbox.Clock }

func (standing) After(time.Duration) <-chan time.Time { return nil }

func newTown(t *testing.T) *town {
	w := &town{t: t, root: t.TempDir(), clock: sandbox.NewClock(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))}
	w.world = sandbox.New(w.clock)
	w.world.STS.Outlast()
	if _, err := sandbox.Seed(w.world); err != nil {
		t.Fatal(err)
	}
	s, err := sandbox.Serve(t.Context(), w.world, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url = s.URL()
	w.write(".github/rekey.yml", rules)
	w.write("ops/config/registry.md", strings.ReplaceAll(page, "~~~", "```"))
	if _, err := w.process().Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *town) write(path, text string) {
	path = filepath.Join(w.root, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) request(name, text string) string {
	path := "rotations/2026/11/" + name + ".yaml"
	w.write(path, text)
	return path
}

func (w *town) process() *app.App {
	w.t.Helper()
	w.runs++
	a := app.New(app.World{Root: w.root, Config: ".github/rekey.yml", Actor: "ana", Program: "test", Clock: standing{w.clock},
		Self: rotation.Runner{ID: fmt.Sprint("run ", w.runs), Nonce: fmt.Sprint(w.runs)}, Lookup: func(name string) (string, bool) { v, ok := w.env[name]; return v, ok },
		Cloud: cloud.Options{Endpoint: w.url, Credentials: credentials.NewStaticCredentialsProvider(sandbox.AccessKeyID, sandbox.SecretAccessKey, "")},
		Warn:  func(s string) { w.t.Error("warning: ", s) }})
	if found := a.Load(); found.Len() > 0 {
		w.t.Fatal(found)
	}
	return a
}

// apply is `rekey apply --environment ENV`: states by rotation.
func (w *town) apply(env string, o app.Options) map[string]plan.State {
	w.t.Helper()
	a := w.process()
	tasks, err := a.Tasks(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	o.Environment = env
	results, err := a.Apply(w.t.Context(), tasks, o)
	if err != nil {
		w.t.Fatal(err)
	}
	states := map[string]plan.State{}
	for _, r := range results {
		if r.Err != nil {
			w.t.Logf("%s in %s: %v", r.Task.Rotation, env, r.Err)
		}
		states[r.Task.Rotation] = r.Status.Decision.State
	}
	return states
}

func (w *town) want(env, name string, want plan.State) {
	w.t.Helper()
	if got := w.apply(env, app.Options{ByHand: true}); got[name] != want {
		w.t.Fatalf("%s in %s is %q, want %q", name, env, got[name], want)
	}
}

// closed is close.json as it is stored.
func (w *town) closed(name string) (c map[string]any) {
	for _, v := range w.world.S3.Versions("rekey-evidence", "rotations/2026/11/app~database/"+name+"/close.json") {
		if err := json.Unmarshal(v.Body, &c); err != nil {
			w.t.Fatal(err)
		}
	}
	return c
}

func (w *town) labels(env string) []string {
	s := w.world.Secret("rekey/" + env + "/app-database")
	var l []string
	for label := range s.Labels {
		l = append(l, label)
	}
	slices.Sort(l)
	return l
}

func (w *town) verified() {
	w.t.Helper()
	r, err := w.process().Verify(w.t.Context(), nil, nil)
	if err != nil || r.Err() != nil {
		w.t.Errorf("%v, %v", err, r.Err())
	}
}

func TestARotationClosesWhenEveryEnvironmentEnded(t *testing.T) {
	w := newTown(t)
	const name = "2026-11-23-app-database"
	w.request(name, "secret: app/database\nticket: SEC-1\n")
	w.want("stage", name, plan.Waiting)
	w.want("dev", name, plan.Deferred)
	w.want("stage", name, plan.Deferred)
	w.clock.Move(48 * time.Hour)
	w.want("dev", name, plan.Finished)
	if c := w.closed(name); c != nil {
		t.Errorf("closed while stage keeps the old one: %v", c)
	}
	w.want("stage", name, plan.Finished)
	if c := w.closed(name); c["ticket"] != "SEC-1" || c["ended"] == nil {
		t.Errorf("close.json: %v", c)
	}
	before := len(w.world.S3.Versions("rekey-evidence", ""))
	w.apply("dev", app.Options{ByHand: true})
	w.apply("stage", app.Options{ByHand: true})
	if after := len(w.world.S3.Versions("rekey-evidence", "")); after != before {
		t.Errorf("%d objects more after it was closed", after-before)
	}
	w.verified()
}

func TestADeletedRequestFinishesWhatBeganAndBeginsNothing(t *testing.T) {
	w := newTown(t)
	const name = "2026-11-23-app-database"
	path := w.request(name, "secret: app/database\nticket: SEC-1\n")
	w.want("dev", name, plan.Deferred)
	if err := os.Remove(filepath.Join(w.root, path)); err != nil {
		t.Fatal(err)
	}
	if got := w.apply("stage", app.Options{ByHand: true}); len(got) > 0 {
		t.Errorf("stage: %v", got)
	}
	w.clock.Move(48 * time.Hour)
	w.want("dev", name, plan.Finished)
	if w.closed(name) == nil {
		t.Error("not closed")
	}
	if l := w.labels("stage"); !slices.Equal(l, []string{"AWSCURRENT"}) {
		t.Errorf("stage: %v", l)
	}
	w.verified()
}

func TestACompromiseSupersedesARetentionAndAnswersForWhatItKept(t *testing.T) {
	w := newTown(t)
	const first, second = "2026-11-23-app-database", "2026-11-24-app-database-stolen"
	w.request(first, "secret: app/database\nticket: SEC-1\n")
	w.want("dev", first, plan.Deferred)
	old := w.world.Secret("rekey/dev/app-database").At("AWSPREVIOUS").ID
	w.clock.Move(24 * time.Hour)
	w.request("2026-11-24-app-database-again", "secret: app/database\nticket: SEC-3\n")
	w.request(second, "secret: app/database\nticket: SEC-2\nreason: compromise\nretain: 1h\n")
	got := w.apply("dev", app.Options{ByHand: true})
	if got[second] != plan.Deferred || got[first] == plan.Finished {
		t.Fatalf("%v", got)
	}
	if s := w.world.Secret("rekey/dev/app-database"); !slices.ContainsFunc(s.Version(old).Labels, func(l string) bool { return strings.HasPrefix(l, "ROLLBACK-") }) {
		t.Errorf("what the first one kept is gone already: %v", s.Labels)
	}
	w.want("dev", first, plan.Superseded)
	w.clock.Move(time.Hour)
	w.want("dev", second, plan.Finished)
	if l := w.labels("dev"); !slices.Equal(l, []string{"AWSCURRENT"}) {
		t.Errorf("%v", l)
	}
	// Only now may the one that was asked for in between begin.
	w.want("dev", "2026-11-24-app-database-again", plan.Deferred)
	w.verified()
}

func TestARolledBackRotationStaysOpenUntilItCanNotBeStartedAgain(t *testing.T) {
	w := newTown(t)
	const name = "2026-11-23-app-database"
	w.request(name, "secret: app/database\nticket: SEC-1\n")
	w.want("dev", name, plan.Deferred)
	if got := w.apply("dev", app.Options{ByHand: true, RollBack: "ana: wrong one"}); got[name] != plan.RolledBack {
		t.Fatalf("%v", got)
	}
	if l := w.labels("dev"); !slices.Equal(l, []string{"AWSCURRENT"}) {
		t.Errorf("%v", l)
	}
	w.want("dev", name, plan.RolledBack) // the schedule doesn't start it again
	if w.closed(name) != nil {
		t.Error("closed, though a person may start it again")
	}
	if got := w.apply("dev", app.Options{ByHand: true, Again: true}); got[name] != plan.Deferred {
		t.Fatalf("again: %v", got)
	}
	if got := w.apply("dev", app.Options{ByHand: true, RollBack: "ana: still wrong"}); got[name] != plan.RolledBack {
		t.Fatalf("%v", got)
	}
	w.clock.Move(31 * 24 * time.Hour)
	w.want("dev", name, plan.RolledBack)
	if w.closed(name) == nil && !slices.ContainsFunc(w.world.S3.Versions("rekey-evidence", ""), func(v s3.Version) bool { return strings.Contains(v.Key, "/close") }) {
		t.Error("not closed, though nobody can start it any more")
	}
	w.verified()
}
