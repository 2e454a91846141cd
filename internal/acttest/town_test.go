package acttest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	consumer "github.com/rastup/rekey/internal/sandbox/app"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/sts"
)

const repository = "rastup/rekey"

const rules = `environments:
  - {name: dev, region: us-east-1, role: "ROLE/rekey-dev", preview: "ROLE/rekey-preview", continue_environment: rekey-dev-continue, approval: none}
  - {name: stage, region: us-east-1, role: "ROLE/rekey-stage", preview: "ROLE/rekey-preview", continue_environment: rekey-stage-continue}
  - {name: prod, region: us-east-1, role: "ROLE/rekey-prod", preview: "ROLE/rekey-preview", continue_environment: rekey-prod-continue, severity: SEV1}
evidence:
  store: s3://rekey-evidence
  region: us-east-1
  role: ROLE/rekey-evidence
  reader: ROLE/rekey-evidence-reader
  lock: {mode: COMPLIANCE, retain: 7y}
  log_group: /rekey/audit
tickets: {github: rastup/rekey}
`

const registry = "| Secret | Kind | Owner | Interval | Last rotated |\n| --- | --- | --- | --- | --- |\n" +
	"| app/database | secretsmanager | @rastup/platform | 90 days | never |\n\n## app/database\n\n```yaml\n" + dev + stage + prod + "```\n"

const (
	dev   = "dev:\n  target: {secret: rekey/dev/app-database, key: password, generate: {length: 32}}\n  checks: [{name: health, http: {url: APP/dev/health, within: 2s}}]\n"
	stage = "stage:\n  target: {secret: rekey/stage/app-database, key: password, generate: {length: 32}}\n  checks: [{name: health, http: {url: APP/stage/health, within: 2s}}]\n"
	prod  = "prod:\n  target: {secret: rekey/prod/app-database, key: password, generate: {length: 32}}\n  checks: [{name: health, http: {url: APP/prod/health, within: 2s}}]\n"
)

// roles are those of docs/github.md, each with the trust policy that people are told to copy.
var roles = map[string]string{"rekey-dev": "rotate-dev", "rekey-stage": "rotate-stage", "rekey-prod": "rotate-prod", "rekey-evidence": "evidence",
	"rekey-evidence-reader": "evidence-reader", "rekey-preview": "preview"}

const role = "arn:aws:iam::111111111111:role"

// A clock is the machine's, moved ahead: the services' and the program's alike.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// A town is the services and the people, with act in the place of GitHub's runners and scheduler.
type town struct {
	*bench
	*runner
	clock  *clock
	aws    *sandbox.World
	server *sandbox.Server
	shop   *consumer.App     // whose login it is
	files  map[string]string // of the repository, without workflows
	start  time.Time         // nine in the morning
}

// built is the action, built once: action/main.go as it is, but for a clock that REKEY_TEST_AHEAD moves.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rekey-act")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	source, err := filepath.Abs(filepath.Join(root, "action/main.go"))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	const machine = "apply.Machine{Time: time.Now}"
	if strings.Count(string(text), machine) != 1 {
		return "", fmt.Errorf("%s: no %s", source, machine)
	}
	moved := strings.Replace(string(text), machine,
		`apply.Machine{Time: func() time.Time { d, _ := time.ParseDuration(os.Getenv("REKEY_TEST_AHEAD")); return time.Now().Add(d) }}`, 1)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: filepath.Join(dir, "main.go")}})
	if err != nil {
		return "", err
	}
	for name, text := range map[string]string{"main.go": moved, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json"), "-o", filepath.Join(dir, "action"), "./action")
	build.Dir, build.Env = root, append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "action"))
	return string(b), err
})

// given hands the program its job's own token, since act has one for all jobs, and keeps what it leaves in the runner's
// files, which act throws away.
const given = `#!/usr/bin/env bash
set -uo pipefail
export REKEY_TOKEN=$JOB_TOKEN
unset JOB_TOKEN
me=$(date +%s%N)-$GITHUB_JOB-${REKEY_SHARD/\//of}
env -0 | grep -zE '^(GITHUB_JOB|REKEY_(COMMAND|ENVIRONMENT|SHARD|REQUESTS|AGAIN))=' >"$BENCH/calls/$me"
"$BENCH/bin/action"
status=$?
for file in "$GITHUB_OUTPUT" "$GITHUB_STEP_SUMMARY" "$GITHUB_ENV" "$GITHUB_PATH"; do
  [ ! -f "$file" ] || cat "$file" >>"$BENCH/left-$me"
done
[ "$status" = 0 ] && result=success || result=failure
curl -sS --fail --max-time 30 --data-urlencode "ended=$JOB_NAME" --data "result=$result" "$RUNNER_SERVICE"
exit "$status"
`

func newTown(t *testing.T) *town {
	t.Helper()
	b := newBench(t, given)
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	b.write("bin/action", program)
	w := &town{bench: b, clock: &clock{}, start: time.Now().UTC().Truncate(24 * time.Hour).Add(9 * time.Hour)}
	if w.start.Before(time.Now()) {
		w.start = w.start.AddDate(0, 0, 1)
	}
	w.clock.move(time.Until(w.start))
	w.aws = sandbox.New(w.clock)
	scenario, err := sandbox.Seed(w.aws)
	if err != nil {
		t.Fatal(err)
	}
	if w.server, err = sandbox.Serve(t.Context(), w.aws, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	hub := github.New(w.clock, github.Options{Repository: repository, SubjectIDs: true})
	served := httptest.NewServer(hub.Handler())
	t.Cleanup(served.Close)
	w.runner = &runner{tb: t, hub: hub, base: served.URL, people: map[string]string{"rekey-stage": "ana-sec", "rekey-prod": "bo-sre"}}
	w.shop = consumer.New(w.aws, scenario.Secrets, 0)
	shop := httptest.NewServer(w.shop.Handler())
	t.Cleanup(shop.Close)
	w.settle(shop.URL)
	w.federate(scenario)
	w.more = []string{"-s", "GITHUB_TOKEN=ghs_act"} // good for nothing
	w.Env = map[string]string{"GITHUB_API_URL": served.URL, "RUNNER_SERVICE": w.serve(), "AWS_ENDPOINT_URL": w.server.URL(), "AWS_REGION": "us-east-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
	w.tip()
	if _, err := w.hand().Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *town) settle(shop string) {
	w.files = map[string]string{".github/rekey.yml": strings.ReplaceAll(rules, "ROLE", role), "ops/config/registry.md": strings.ReplaceAll(registry, "APP", shop)}
	for login, may := range map[string]string{"li-pay": "write", "ana-sec": "write", "bo-sre": "write", "root-admin": "admin", "mallory": "read"} {
		w.hub.AddUser(login, may, false)
	}
	w.hub.Commit("main", "root-admin", "Begin", w.files)
	for _, name := range []string{"rekey-dev", "rekey-dev-continue", "rekey-stage-continue", "rekey-prod-continue"} {
		w.hub.SetEnvironment(github.Environment{Name: name, Branches: []string{"main"}})
	}
	for _, name := range []string{"rekey-stage", "rekey-prod"} {
		w.hub.SetEnvironment(github.Environment{Name: name, Branches: []string{"main"}, Reviewers: []string{"ana-sec", "bo-sre", "li-pay"}, PreventSelf: true})
	}
}

// federate lets each job's identity take the roles that docs/trust says are for it.
func (w *town) federate(s sandbox.Scenario) {
	w.aws.STS.AddProvider(sts.Provider{ARN: "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com", Issuer: w.hub.Issuer(),
		Audiences: []string{"sts.amazonaws.com"}, Key: w.hub.VerificationKey})
	w.hub.AddToken("ghp_curious", "root-admin", map[string]string{"metadata": "read"})
	in, err := http.NewRequestWithContext(w.t.Context(), "GET", w.base+"/repos/"+repository, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	in.Header.Set("Authorization", "Bearer ghp_curious")
	out, err := http.DefaultClient.Do(in)
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Body.Close()
	var ids struct {
		ID    int64
		Owner struct{ ID int64 }
	}
	if b, err := io.ReadAll(out.Body); err != nil || json.Unmarshal(b, &ids) != nil || ids.ID == 0 {
		w.t.Fatalf("%v\n%s", err, b)
	}
	words := strings.NewReplacer("9041122", strconv.FormatInt(ids.Owner.ID, 10), "871552031", strconv.FormatInt(ids.ID, 10))
	for name, file := range roles {
		text, err := os.ReadFile(filepath.Join(root, "docs/trust", file+".json"))
		if err != nil {
			w.t.Fatal(err)
		}
		text = regexp.MustCompile(`\d{12}`).ReplaceAll(text, []byte(s.Account))
		policy, err := sts.ParseTrust([]byte(words.Replace(string(text))))
		if err != nil {
			w.t.Fatal(err)
		}
		w.aws.STS.AddRole(sts.Role{ARN: role + "/" + name, Policy: policy, Trust: []string{s.Principal}, MaxSession: 12 * time.Hour, Created: w.clock.Now()})
	}
	for _, name := range []string{"rekey-evidence", "rekey-evidence-reader", "rekey-preview"} {
		w.aws.Deny("arn:aws:sts::"+s.Account+":assumed-role/"+name+"/*", "secretsmanager:GetSecretValue", "*")
		w.aws.Deny("arn:aws:sts::"+s.Account+":assumed-role/"+name+"/*", "ssm:GetParameter*", "*")
	}
	for _, action := range []string{"s3:PutObject", "s3:DeleteObject", "logs:PutLogEvents"} {
		w.aws.Deny("arn:aws:sts::"+s.Account+":assumed-role/rekey-evidence-reader/*", action, "*")
	}
}

// hand is rekey in the hands of a person with their own key.
func (w *town) hand() *app.App {
	w.t.Helper()
	a := app.New(app.World{Root: filepath.Join(w.dir, "repository"), Config: ".github/rekey.yml", Actor: "root-admin", Program: "by hand",
		Self: rotation.Runner{ID: "by hand", Nonce: "1"}, Clock: apply.Machine{Time: w.clock.Now}, Lookup: func(string) (string, bool) { return "", false },
		Cloud: cloud.Options{Endpoint: w.server.URL(), Credentials: credentials.NewStaticCredentialsProvider(sandbox.AccessKeyID, sandbox.SecretAccessKey, "")}})
	if found := a.Load(); found.Len() > 0 {
		w.t.Fatal(found)
	}
	return a
}

// tip brings the repository that is checked out to the files' state.
func (w *town) tip() {
	for name, text := range w.files {
		w.write("repository/"+name, text)
	}
	w.commit()
}

// rotation is the request's name.
func (w *town) rotation() string { return w.start.Format(time.DateOnly) + "-app-database" }

// request opens a pull request for a rotation today, with a ticket.
func (w *town) request(author string, fork bool) (number int, sha string) {
	path := "rotations/" + w.start.Format("2006/01/") + w.rotation() + ".yaml"
	ticket := w.hub.OpenIssue(author, "Rotate the database login", "")
	change := map[string]string{path: fmt.Sprintf("secret: app/database\nticket: \"#%d\"\n", ticket)}
	branch := "rotate"
	if fork {
		branch = author + ":rotate"
	}
	sha = w.hub.Commit(branch, author, "Rotate app/database", change)
	number = w.hub.OpenPull(author, "Rotate app/database", "quarterly", branch, "main", fork)
	maps.Copy(w.files, change)
	w.tip()
	return number, sha
}

// payload writes a recorded event with what differs here.
func (w *town) payload(recorded string, change func(event map[string]any)) string {
	w.t.Helper()
	b, err := os.ReadFile("testdata/events/" + recorded + ".json")
	if err != nil {
		w.t.Fatal(err)
	}
	var e map[string]any
	if err := json.Unmarshal(b, &e); err != nil {
		w.t.Fatal(err)
	}
	change(e)
	if b, err = json.Marshal(e); err != nil {
		w.t.Fatal(err)
	}
	w.write("event.json", string(b))
	return "event.json"
}

// pull plays rotation-plan on a pull request.
func (w *town) pull(number int, sha, author string, fork bool) *run {
	w.t.Helper()
	recorded := "pull_request"
	if fork {
		recorded = "pull_request_fork"
	}
	payload := w.payload(recorded, func(e map[string]any) {
		e["number"] = number
		e["pull_request"].(map[string]any)["number"] = number
	})
	w.git("update-ref", fmt.Sprintf("refs/pull/%d/merge", number), "HEAD")
	w.fork = fork
	return w.happen(planning, "pull_request", payload, "rotate", sha, author)
}

// happen plays a workflow on an event, as a run that GitHub shows.
func (w *town) happen(workflow, event, payload, branch, sha, actor string) *run {
	w.t.Helper()
	w.read(workflow)
	w.run = w.hub.StartRun(filepath.Base(workflow), event, branch, sha, actor)
	w.write("head", sha+"\n") // GitHub here counts its own commits
	w.Env["GITHUB_RUN_ID"] = strconv.FormatInt(w.run, 10)
	w.Env["REKEY_TEST_AHEAD"] = w.clock.ahead.String()
	hub, aws := len(w.hub.Calls()), len(w.aws.Calls())
	got := w.play(workflow, event, payload)
	w.over(got)
	w.t.Logf("cost: %s: %d jobs, %d calls to GitHub, %d to AWS", event, len(got.Calls), len(w.hub.Calls())-hub, len(w.aws.Calls())-aws)
	return got
}
