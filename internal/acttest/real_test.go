package acttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/github"
)

// The same files with the program itself, as start builds it, against GitHub and AWS of the sandbox: what people see
// of a pull request, and how far a merged one is carried by one push.

type machine struct{}

func (machine) Now() time.Time { return time.Now() }

const rules = `environments:
  - {name: dev, region: us-east-1, approval: none}
  - {name: stage, region: us-east-1, approval: none}
  - {name: prod, region: us-east-1, approval: none}
evidence: {store: "file://%s"}
policy: {ticket: 'SEC-\d+'}
`

const registry = "| Secret | Kind | Owner | Interval | Last rotated |\n| --- | --- | --- | --- | --- |\n" +
	"| app/database | secretsmanager | @rastup/platform | 90 days | never |\n\n## app/database\n\n```yaml\n" +
	"dev:\n  target: {secret: rekey/dev/app-database, key: password, generate: {length: 32}}\n" +
	"stage:\n  target: {secret: rekey/stage/app-database, key: password, generate: {length: 32}}\n" +
	"prod:\n  target: {secret: rekey/prod/app-database, key: password, generate: {length: 32}}\n```\n"

// A town is the services and the people.
type town struct {
	*bench
	hub   *github.Service
	aws   *sandbox.World
	files map[string]string // of the repository, without workflows
}

// built is the program, built once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rekey-act")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "action"), "./action")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "action"))
	return string(b), err
})

func newTown(t *testing.T) *town {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	w := &town{bench: newBench(t, program), hub: github.New(machine{}, github.Options{Repository: "rastup/rekey"}), aws: sandbox.New(machine{})}
	if _, err := sandbox.Seed(w.aws); err != nil {
		t.Fatal(err)
	}
	aws, err := sandbox.Serve(t.Context(), w.aws, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hub := httptest.NewServer(w.hub.Handler())
	t.Cleanup(hub.Close)
	evidence := filepath.Join(w.dir, "evidence")
	if err := os.Mkdir(evidence, 0o755); err != nil {
		t.Fatal(err)
	}
	w.files = map[string]string{".github/rekey.yml": fmt.Sprintf(rules, evidence), "ops/config/registry.md": registry}
	for _, login := range []string{"li-pay", "ana-sec"} {
		w.hub.AddUser(login, "write", false)
	}
	w.hub.AddUser("mallory", "read", false)
	w.hub.Commit("main", "ana-sec", "Begin", w.files)
	for _, name := range []string{"rekey-dev", "rekey-stage", "rekey-prod"} {
		w.hub.SetEnvironment(github.Environment{Name: name, Branches: []string{"main"}})
	}
	w.hub.AddToken("ghs_job", "github-actions[bot]", map[string]string{"contents": "read", "actions": "read", "pull-requests": "write", "issues": "write"})
	w.more = []string{"-s", "GITHUB_TOKEN=ghs_job"}
	w.Env = map[string]string{"GITHUB_API_URL": hub.URL, "AWS_ENDPOINT_URL": aws.URL(), "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": sandbox.AccessKeyID, "AWS_SECRET_ACCESS_KEY": sandbox.SecretAccessKey}
	w.tip()
	w.ready()
	return w
}

// ready is rekey init, by hand.
func (w *town) ready() {
	w.t.Helper()
	a := app.New(app.World{Root: filepath.Join(w.dir, "repository"), Config: ".github/rekey.yml", Actor: "ana-sec", Program: "by hand",
		Self: rotation.Runner{ID: "by hand", Nonce: "1"}, Clock: apply.Machine{Time: time.Now}, Lookup: func(string) (string, bool) { return "", false }})
	if found := a.Load(); found.Len() > 0 {
		w.t.Fatal(found)
	}
	if _, err := a.Init(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// tip brings the repository that is checked out to the files' state.
func (w *town) tip() {
	for name, text := range w.files {
		w.write("repository/"+name, text)
	}
	w.commit()
}

// request opens a pull request for a rotation today.
func (w *town) request(author string, fork bool) (number int, path string) {
	today := time.Now().UTC().Format(time.DateOnly)
	path = fmt.Sprintf("rotations/%s/%s/%s-app-database.yaml", today[:4], today[5:7], today)
	change := map[string]string{path: "secret: app/database\nticket: SEC-7\n"}
	branch := "rotate"
	if fork {
		branch = author + ":rotate"
	}
	w.hub.Commit(branch, author, "Rotate app/database", change)
	number = w.hub.OpenPull(author, "Rotate app/database", "quarterly", branch, "main", fork)
	maps.Copy(w.files, change)
	w.tip()
	return number, path
}

// payload writes a recorded pull request's event with this number.
func (w *town) payload(recorded string, number int) string {
	w.t.Helper()
	b, err := os.ReadFile("testdata/events/" + recorded + ".json")
	if err != nil {
		w.t.Fatal(err)
	}
	var e map[string]any
	if err := json.Unmarshal(b, &e); err != nil {
		w.t.Fatal(err)
	}
	e["number"] = number
	e["pull_request"].(map[string]any)["number"] = number
	if b, err = json.Marshal(e); err != nil {
		w.t.Fatal(err)
	}
	w.write("event.json", string(b))
	w.git("update-ref", fmt.Sprintf("refs/pull/%d/merge", number), "HEAD")
	return "event.json"
}

func TestAForkIsToldWithoutAComment(t *testing.T) {
	w := newTown(t)
	w.hub.AddToken("ghs_job", "github-actions[bot]", map[string]string{"contents": "read", "pull-requests": "read"})
	number, path := w.request("mallory", true)
	if got := w.play(planning, "pull_request", w.payload("pull_request_fork", number)); !got.OK || len(w.hub.Comments(number)) != 0 {
		t.Errorf("comments: %d\n%s", len(w.hub.Comments(number)), got.Log)
	}
	w.files[path] = "secret: app/databsae\nticket: SEC-7\n"
	w.tip()
	got := w.play(planning, "pull_request", w.payload("pull_request_fork", number))
	if got.OK || !strings.Contains(got.Log, "unknown-secret") {
		t.Errorf("a mistake isn't said:\n%s", got.Log)
	}
}

// One push carries a merged request through all environments: each asked for by the job before it, once what that says
// is in the journal.
func TestAMergedRequestIsCarriedThrough(t *testing.T) {
	w := newTown(t)
	before := map[string]string{}
	for _, env := range []string{"dev", "stage", "prod"} {
		before[env] = w.current(env)
	}
	number, _ := w.request("li-pay", false)
	w.hub.Review(number, "ana-sec", "APPROVED")
	sha := w.hub.Merge(number, "ana-sec")
	run := w.hub.StartRun("rotate.yml", "push", "main", sha, "ana-sec")
	w.hub.SetJob(run, "plan", "in_progress", "")
	w.write("head", sha+"\n") // GitHub here counts its own commits
	w.Env["GITHUB_RUN_ID"] = strconv.FormatInt(run, 10)
	got := w.play(rotate, "push", "push")
	var jobs []string
	for _, id := range []string{"plan", "dev", "after-dev", "stage", "after-stage", "prod", "after-prod", "continue", "expire"} {
		if results := got.Jobs[id]; len(results) > 0 {
			jobs = append(jobs, id+" "+strings.Join(results, " "))
		}
	}
	const want = "plan success|dev success|after-dev success|stage success|after-stage success|prod success|after-prod success"
	if !got.OK || strings.Join(jobs, "|") != want {
		t.Fatalf("jobs %q\n%s", jobs, got.Log)
	}
	for env, was := range before {
		if w.current(env) == was {
			t.Errorf("%s has its old version", env)
		}
		records, err := filepath.Glob(filepath.Join(w.dir, "evidence/journal", env, "app~database", "*.json"))
		if err != nil || len(records) < 5 {
			t.Errorf("%s: %d records in the journal", env, len(records))
		}
	}
	said := w.hub.Comments(number)
	if len(said) != 4 { // the status, and an audit comment for each environment
		t.Errorf("%d comments:\n%+v", len(said), said)
	}
	for _, c := range said {
		if c.Author != "github-actions[bot]" {
			t.Errorf("%s comments", c.Author)
		}
	}
	w.noValue(got)
}

func (w *town) current(env string) string {
	return w.aws.Secret("rekey/" + env + "/app-database").At("AWSCURRENT").ID
}

// noValue looks for every value the secrets ever had in the run's log, the comments and the journal.
func (w *town) noValue(got *run) {
	w.t.Helper()
	texts := slices.Clone(got.Raw)
	for _, c := range w.hub.Comments(1) {
		texts = append(texts, c.Body...)
	}
	_ = filepath.WalkDir(filepath.Join(w.dir, "evidence"), func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		texts = append(texts, b...)
		return err
	})
	looked := 0
	for _, env := range []string{"dev", "stage", "prod"} {
		for _, v := range w.aws.Secret("rekey/" + env + "/app-database").Versions {
			var value struct{ Password string }
			if err := json.Unmarshal([]byte(v.Text), &value); err != nil || len(value.Password) < 8 {
				w.t.Fatalf("%s: no password: %v", env, err)
			}
			if looked++; bytes.Contains(texts, []byte(value.Password)) {
				w.t.Errorf("a password of %s is in a text", env)
			}
		}
	}
	if looked < 6 {
		w.t.Errorf("only %d values were looked for", looked)
	}
}
