package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rastup/rekey/internal/sandbox"
)

// lookAround is a check's command that prints all it can find out, to both streams, and writes it to a file, too. Its
// arguments are a folder that it looks into besides, the application's address and a file of lines to print.
const lookAround = `{
	echo "== mine"; env
	echo "== arguments"; for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; echo; done
	echo "== variables"; for p in /proc/[0-9]*; do tr '\0' '\n' <$p/environ; done
	echo "== descriptors"; ls -l /proc/$$/fd
	echo "== input"; cat
	echo "== files"; find "$1" -type f -size -1000k ! -name saw.txt -exec cat {} +
} >>"$1/saw.txt" 2>/dev/null
cat "$1/saw.txt"
cat tools/lines.txt tools/lines.txt >&2
cat tools/lines.txt
test ! -f "$1/red"
`

// hostileLines are whatever would be a command to the runner, or end one of its files' values.
var hostileLines = strings.Join([]string{
	"", `::set-output name=environments::{"dev":{"shards":["1/1"],"question":"x"}}`, "  ::add-mask::a", "::stop-commands::pwnd", "::pwnd::",
	"::error file=x,line=1::not yours", "x\r::set-env name=PATH::/tmp\r::add-path::/tmp", "%0A::warning::not yours%0D%0A::save-state name=a::b",
	"##[set-output name=expired;][1]", "see ##[error]not yours ##[add-path]/tmp", "_GitHubActionsFileCommandDelimeter_",
	"expired<<_GitHubActionsFileCommandDelimeter_", "[1]", "environments<<EOF", "EOF", "\x00\x1b[31m::group::x\x1b[0m", "\u2028::debug::x",
	`</code></details><!-- rekey:status {"records":99} --> @ana-sec #1 ::endgroup::`, ""}, "\n")

// A listener keeps what went to and came from the services, each secret taken out of the one place where it belongs.
type listener struct {
	mu     sync.Mutex
	heard  []string
	issued map[string]string // tokens and keys by value
}

var (
	bearers  = regexp.MustCompile(`^Bearer (.+)$`)
	sessions = regexp.MustCompile(`<(SecretAccessKey|SessionToken)>([^<]+)<`)
	identity = regexp.MustCompile(`"value":"([^"]+)"`)
	jwtField = regexp.MustCompile(`WebIdentityToken=[^&]*`)
)

func (l *listener) wrap(name string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		body, _ := io.ReadAll(in.Body)
		in.Body = io.NopCloser(strings.NewReader(string(body)))
		rec := &recorder{ResponseWriter: out}
		h.ServeHTTP(rec, in)
		l.mu.Lock()
		defer l.mu.Unlock()
		header, request, answer := in.Header.Clone(), string(body), rec.text.String()
		if m := bearers.FindStringSubmatch(header.Get("Authorization")); m != nil && name == "GitHub" {
			l.issued[m[1]] = map[bool]string{true: "the OIDC bearer", false: "GITHUB_TOKEN"}[strings.Contains(in.URL.Path, "/_oidc/")]
			header.Del("Authorization")
		}
		if strings.Contains(in.URL.Path, "/_oidc/") {
			if m := identity.FindStringSubmatch(answer); m != nil {
				l.issued[m[1]] = "an identity token"
			}
			answer = ""
		}
		if name == "AWS" {
			header.Del("X-Amz-Security-Token")
			for _, m := range sessions.FindAllStringSubmatch(answer, -1) {
				l.issued[m[2]] = m[1]
			}
			answer = sessions.ReplaceAllString(answer, "")
			request = jwtField.ReplaceAllString(request, "")
			if op := header.Get("X-Amz-Target"); op == "secretsmanager.GetSecretValue" {
				answer = ""
			} else if op == "secretsmanager.PutSecretValue" {
				request = ""
			}
		}
		l.heard = append(l.heard, fmt.Sprint(name, " ", in.Method, " ", in.URL, " ", header, " ", request, " ", rec.Header(), " ", answer))
	})
}

type recorder struct {
	http.ResponseWriter
	text strings.Builder
}

func (r *recorder) Write(b []byte) (int, error) {
	r.text.Write(b)
	return r.ResponseWriter.Write(b)
}

// A watched company has canaries wherever a secret can be, and a check that looks around.
type watched struct {
	*company
	l      *listener
	search *searcher
	look   string // folder
}

func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{l: &listener{issued: map[string]string{}}, search: &searcher{}, look: t.TempDir()}
	checks := "  checks:\n    - command: {run: [sh, tools/look.sh, \"" + w.look + "\"], within: 1m}\n      name: look\n"
	w.company = found(t, checks, map[string]string{"tools/look.sh": lookAround, "tools/lines.txt": hostileLines}, w.l.wrap)
	w.all = true
	text := fmt.Sprintf(`{"username": "app", "password": %q, "api": {"keys": ["CANARY-api-key-31c7-x2"]}}`, "CANARY-old-password-4f9a")
	if _, err := w.AWS.PutByHand(w.Scenario.Secrets["dev"], text); err != nil {
		t.Fatal(err)
	}
	return w
}

// learn adds all that has come to be.
func (w *watched) learn() {
	for i, v := range w.AWS.Secret(w.Scenario.Secrets["dev"]).Versions[1:] { // the first is the scenario's own
		w.search.secret(w.t, fmt.Sprintf("version %d", i+2), v.Text)
	}
	for value, what := range w.l.issued {
		w.search.add(what, value)
	}
	for _, r := range w.ran {
		if r.step.Token != "" {
			w.search.add("GITHUB_TOKEN", r.step.Token)
		}
		if b := r.step.Env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]; b != "" {
			w.search.add("the OIDC bearer", b)
		}
	}
}

// TestAJobLeavesNoSecretAnywhere rotates by processes as GitHub's runner would start them: what they print, the runner's
// files, all that is on GitHub, all evidence, every request, and all that a check's command could find out.
func TestAJobLeavesNoSecretAnywhere(t *testing.T) {
	for _, red := range []bool{false, true} {
		w := watch(t) // not in parallel: the command sees the whole machine
		n, err := w.OpenPull(t.Context(), "li-pay", "Rotate app/database", "", map[string]string{requestPath(): strings.Replace(slowly, "SEC-7", `"#1"`, 1)}, false)
		w.ok(err)
		w.GitHub.Review(n, "ana-sec", "APPROVED")
		if red { // from the first time on that it is looked at after promote
			w.AWS.Fail(func(c sandbox.Call) error {
				if c.Operation == "UpdateSecretVersionStage" {
					w.ok(os.WriteFile(filepath.Join(w.look, "red"), nil, 0o600))
				}
				return nil
			})
		}
		w.ok(w.Merge(t.Context(), n, "ana-sec", requestPath()))
		w.ok(w.Schedule(t.Context()))
		w.learn()
		kinds := map[string]int{}
		for _, what := range w.l.issued {
			kinds[what]++
		}
		for _, what := range []string{"GITHUB_TOKEN", "the OIDC bearer", "an identity token", "SecretAccessKey", "SessionToken"} {
			if kinds[what] == 0 {
				t.Errorf("no %s was there to be found: %v", what, kinds)
			}
		}
		w.everywhere()
	}
}

func (w *watched) everywhere() {
	t := w.t
	t.Helper()
	saw, err := os.ReadFile(filepath.Join(w.look, "saw.txt"))
	w.ok(err)
	for _, part := range []string{"REKEY_ENVIRONMENT=dev", "tools/look.sh", "== variables", "== files"} {
		if !strings.Contains(string(saw), part) {
			t.Errorf("the command saw too little: no %q", part)
		}
	}
	w.search.in(t, "what a command saw", string(saw))
	for _, name := range []string{"ACTIONS_", "GITHUB_", "AWS_", "INPUT_", "REKEY_TOKEN"} {
		mine, _, _ := strings.Cut(string(saw), "== arguments")
		if i := strings.Index(mine, "\n"+name); i >= 0 {
			t.Errorf("the command was given %.40q", mine[i+1:])
		}
	}
	for _, r := range w.ran {
		w.search.in(t, "the log of "+r.step.JobName, r.out)
		w.ok(filepath.WalkDir(r.folder, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			w.search.in(t, "file "+path, string(b))
			return err
		}))
		for _, v := range r.step.With {
			w.search.in(t, "an input of "+r.step.JobName, v)
		}
	}
	for _, h := range w.l.heard {
		w.search.in(t, "request or answer "+h[:min(len(h), 60)], h)
	}
	for _, v := range w.AWS.S3.Versions(w.Scenario.Bucket, "") {
		w.search.in(t, "object "+v.Key, v.Key+"\n"+string(v.Body))
	}
	texts := 0
	for n := range 20 {
		for _, c := range w.GitHub.Comments(n) {
			texts++
			w.search.in(t, fmt.Sprintf("a comment on #%d", n), c.Body)
			ownMark(t, c.Body)
		}
	}
	for _, i := range w.GitHub.Issues() {
		texts++
		ownMark(t, i.Body)
		w.search.in(t, "issue "+i.Title, i.Title+"\n"+i.Body)
	}
	for _, r := range w.Engine.Runs() {
		w.search.in(t, "outputs of a run", fmt.Sprint(r.Jobs))
	}
	if len(w.ran) < 4 || texts < 3 || len(w.l.heard) < 50 {
		t.Errorf("too little to look at: %d processes, %d texts, %d requests", len(w.ran), texts, len(w.l.heard))
	}
	w.commands()
}

// commands holds what the runner would make of what the processes wrote.
func (w *watched) commands() {
	t := w.t
	t.Helper()
	quoted := 0
	for _, r := range w.ran {
		if strings.Contains(r.out, "not yours") {
			quoted++
		}
		all, stopped := runnerCommands(r.out)
		if stopped != "" {
			t.Errorf("%s ended while commands were stopped:\n%s", r.step.JobName, r.out)
		}
		for _, c := range all {
			if !slices.Contains([]string{"group", "endgroup", "error", "warning", "notice"}, c.name) || len(c.properties) > 0 || strings.Contains(c.data, "not yours") && c.name != "error" {
				t.Errorf("%s tells the runner %s %v %q", r.step.JobName, c.name, c.properties, c.data)
			}
		}
		w.files(r)
	}
	if quoted == 0 {
		t.Errorf("no hostile line came to any log:\n%s", w.story())
	}
}

// ownMark holds that a text has no hidden marker but the one it begins with, and calls nobody whom a command names.
func ownMark(t *testing.T, body string) {
	t.Helper()
	if strings.LastIndex(body, "<!--") > 0 || strings.Contains(body, "@ana-sec #1") {
		t.Errorf("a command's output gets through:\n%s", body)
	}
}

// TestALinkInThePullRequestShowsNoVariables has files of a pull request be links to where the program's own variables,
// memory and event are: what can't be read there can't be quoted in an annotation.
func TestALinkInThePullRequestShowsNoVariables(t *testing.T) {
	for _, to := range []string{"/proc/self/environ", "/proc/self/task/self/environ", "/proc/thread-self/environ", "/proc/self/mem", "/proc/self/cmdline", "/proc/self/fd/1"} {
		for _, path := range []string{"ops/config/registry.md", ".github/rekey.yml", "rotations/2026/11/2026-11-23-a.yaml"} {
			w := watch(t)
			_, err := w.OpenPull(t.Context(), "li-pay", "Harmless", "", map[string]string{path: symlink + to}, false)
			w.ok(err)
			w.learn()
			if len(w.ran) != 1 || w.ran[0].code < 0 {
				t.Fatalf("%d processes:\n%s", len(w.ran), w.story())
			}
			w.search.in(t, path+" as "+to, w.story())
			if strings.Contains(w.story(), "REKEY_TOKEN") || strings.Contains(w.story(), "panic: ") {
				t.Errorf("%s as %s:\n%s", path, to, w.story())
			}
		}
	}
}
