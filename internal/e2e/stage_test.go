package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/sandbox"
	consumer "github.com/rastup/rekey/internal/sandbox/app"
)

// binary is the program, built once.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv("E2E_SMOKE") != "" {
		os.Exit(smoke())
	}
	os.Exit(built(m))
}

func built(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rekey-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "rekey")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/rekey").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func full() bool { return os.Getenv("REKEY_FULL") != "" }

// A moving clock is the machine's, so much ahead.
type moving struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (m *moving) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().UTC().Add(m.ahead)
}

func (m *moving) move(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ahead += d
}

// A stage is a world served on loopback, an application that uses its secret, and a repository with one request.
type stage struct {
	t        *testing.T
	world    *sandbox.World
	scenario sandbox.Scenario
	clock    *moving
	app      *consumer.App
	gate     *gate
	first    string // version of dev's secret that was live before
	url      string // of the services
	site     string // of the application
	dir      string // repository
	env      []string
	assumed  []byte // STS's answers, under gate's lock
}

const (
	keyID   = "AKIAENDTOENDTESTS001"
	request = "rotations/%s/%s-app-database.yaml"
)

// newStage has the sandbox's own scenario; text is the repository's files, with SITE and PROGRAM filled in.
func newStage(t *testing.T, text map[string]string) *stage {
	t.Helper()
	s := &stage{t: t, clock: &moving{}, gate: newGate(), dir: t.TempDir()}
	s.world = sandbox.New(s.clock)
	var err error
	if s.scenario, err = sandbox.Seed(s.world); err != nil {
		t.Fatal(err)
	}
	s.world.AddKey(keyID, secretKey, s.scenario.Principal)
	s.first = s.secret().Labels["AWSCURRENT"]
	s.app = consumer.New(s.world, s.scenario.Secrets, 0)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /peek", s.peek)
	mux.HandleFunc("GET /batch/{name}", s.promoted)
	mux.Handle("/", s.gate.wrap(s.app.Handler()))
	services, site := httptest.NewServer(s.gate.wrap(s.watch(s.world.Handler()))), httptest.NewServer(mux)
	t.Cleanup(services.Close)
	t.Cleanup(site.Close)
	s.url, s.site = services.URL, site.URL
	s.env = environment("AWS_ENDPOINT_URL="+s.url, "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secretKey)
	s.write(text)
	return s
}

// environment is what a process gets: nothing of the machine's own AWS configuration.
func environment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "TMPDIR=" + os.TempDir(), "USER=ana-sec", "AWS_REGION=us-east-1",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true"}, more...)
}

func (s *stage) secret() (found secretState) {
	of := s.world.Secret(s.scenario.Secrets["dev"])
	return secretState{of.Labels, of.Tags, len(of.Versions)}
}

type secretState struct {
	Labels, Tags map[string]string
	Versions     int
}

// peek answers what is live, and what is pending, without asking who wants to know: for smoke tests that look where
// they shouldn't.
func (s *stage) peek(w http.ResponseWriter, _ *http.Request) {
	of := s.world.Secret(s.scenario.Secrets["dev"])
	for _, label := range []string{"AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"} {
		fmt.Fprintf(w, "%s\x00", of.At(label).Text)
	}
}

// promoted is an application that works until its secret is replaced.
func (s *stage) promoted(w http.ResponseWriter, r *http.Request) {
	if of := s.world.Secret("batch/" + r.PathValue("name")); of.Labels["AWSCURRENT"] != of.Versions[0].ID {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// today is the day that a request may be named after.
func today() time.Time { return time.Now().UTC() }

func requestPath() string {
	return fmt.Sprintf(request, today().Format("2006/01"), today().Format(time.DateOnly))
}

func (s *stage) write(text map[string]string) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	fill := strings.NewReplacer("SITE", s.site, "PROGRAM", self)
	for name, b := range text {
		if name == "request" {
			name = requestPath()
		}
		path := filepath.Join(s.dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(fill.Replace(b)), 0o644)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// command is the program in the repository.
func (s *stage) command(args ...string) *exec.Cmd {
	c := exec.Command(binary, args...)
	c.Dir, c.Env = s.dir, s.env
	return c
}

// A said is what a process left: its status and both of its streams.
type said struct {
	code     int
	out, err string
}

func (s *stage) rekey(args ...string) said {
	s.t.Helper()
	var out, errs bytes.Buffer
	c := s.command(args...)
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return said{c.ProcessState.ExitCode(), out.String(), errs.String()}
}

// must is rekey that ends with 0.
func (s *stage) must(args ...string) said {
	s.t.Helper()
	r := s.rekey(args...)
	if r.code != 0 {
		s.t.Fatalf("rekey %q ended with %d:\n%s%s", args, r.code, r.out, r.err)
	}
	return r
}

// An outcome is a line of `rekey apply --json`.
type outcome struct{ Secret, Environment, State, Error, Why string }

func (r said) outcomes(t *testing.T) (all []outcome) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.out), &all); err != nil {
		t.Fatalf("%v in the answer of a program that ended with %d:\n%s%s", err, r.code, r.out, r.err)
	}
	return all
}

// keys are the evidence bucket's, each version's.
func (s *stage) keys() (all []string) {
	for _, v := range s.world.S3.Versions(s.scenario.Bucket, "") {
		all = append(all, v.Key)
	}
	return all
}

func (s *stage) closed() bool {
	return slices.ContainsFunc(s.keys(), func(k string) bool { return strings.HasSuffix(k, "/close.json") })
}

// The files of a repository with one environment.
const (
	config = `environments:
  - name: dev
    region: us-east-1
    role: arn:aws:iam::111111111111:role/rekey-dev
    approval: none
evidence:
  store: s3://rekey-evidence
  region: us-east-1
  lock: {mode: COMPLIANCE, retain: 7y}
  log_group: /rekey/audit
`
	table = `| Secret | Kind | Owner | Interval | Last rotated | Tags |
| --- | --- | --- | --- | --- | --- |
| app/database | secretsmanager | @rastup/platform | 90 days | 2026-08-18 | pci |

## app/database

`
	httpCheck = "```yaml\ndev:\n  target: {secret: rekey/dev/app-database, key: password}\n  checks:\n" +
		"    - http: {url: \"SITE/dev/health\", within: 5s, every: 1s}\n      name: health\n"
	smokeCheck = "```yaml\ndev:\n  target: {secret: rekey/dev/app-database, key: password}\n  checks:\n" +
		"    - command: {run: [\"PROGRAM\", \"--mode\", \"smoke\"], set: {E2E_SMOKE: \"SITE\"}, within: 1m}\n      name: smoke\n"
	atOnce = "secret: app/database\nticket: SEC-7\nreason: compromise\nretain: 0h\n"
	slowly = "secret: app/database\nticket: SEC-7\n"
)

func files(registry, request string) map[string]string {
	return map[string]string{".github/rekey.yml": config, "ops/config/registry.md": table + registry + "```\n", "request": request}
}

// smoke is a smoke test that asks the application and believes it.
func smoke() int {
	site := os.Getenv("E2E_SMOKE")
	if file := os.Getenv("E2E_NOSY"); file != "" {
		nosy(site, file)
	}
	res, err := http.Get(site + "/dev/health")
	if err != nil {
		fmt.Println(err)
		return 2
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	fmt.Println("health", res.StatusCode)
	if res.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}
