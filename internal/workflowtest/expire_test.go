package workflowtest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rhysd/actionlint"
)

const token = "ghs_canary0123456789"

// The one command in rotate.yml, run as the runner runs it: against a server that answers as GitHub does, with a curl
// before the real one that notes how it was called.
func TestExpireCancelsWhatItIsToldTo(t *testing.T) {
	for _, c := range []struct {
		name, runs string
		answers    map[string]int // by run; 202 else
		asked      []string
		ok         bool
		says       string
	}{
		{"one", "[7]", nil, []string{"7"}, true, "run 7: cancelled"},
		{"several, one over", "[7,8123456789012]", map[string]int{"7": 409}, []string{"7", "8123456789012"}, true, "run 7: has ended"},
		{"gone", "[7]", map[string]int{"7": 404}, []string{"7"}, true, "run 7: has ended"},
		{"refused", "[7,8]", map[string]int{"7": 403}, []string{"7", "8"}, false, "::error::cancel run 7: answer 403"},
		{"nothing", "[]", nil, nil, false, "::error::expired is no list of run ids"},
		{"masked", "", nil, nil, false, "::error::expired is no list of run ids"},
		{"hostile", `[7]; curl x #`, nil, nil, false, "::error::expired is no list of run ids"},
		{"a path", `["7/../8"]`, nil, nil, false, "::error::expired is no list of run ids"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, asked, ok := expire(t, c.runs, c.answers)
			if ok != c.ok || !slices.Equal(asked, c.asked) || !strings.Contains(out, c.says) {
				t.Errorf("ended well: %v, asked %q:\n%s", ok, asked, out)
			}
			if strings.Contains(out, token) {
				t.Errorf("the token is printed:\n%s", out)
			}
		})
	}
}

func expire(t *testing.T, runs string, answers map[string]int) (out string, asked []string, ok bool) {
	t.Helper()
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		run, cancel := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/repos/rastup/rekey/actions/runs/"), "/cancel")
		if r.Method != http.MethodPost || !cancel || r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("%s %s with %q", r.Method, r.URL.Path, r.Header.Get("Authorization"))
		}
		asked = append(asked, run)
		if code := answers[run]; code != 0 {
			w.WriteHeader(code)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	real, err := exec.LookPath("curl")
	if err != nil {
		t.Skip(absent(t, "curl"))
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "script.sh")
	for name, text := range map[string]string{
		"script.sh": expireScript(t),
		"curl":      fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' \"$@\" >>%s/arguments\nexec %s \"$@\"\n", dir, real),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("bash", "--noprofile", "--norc", "-euo", "pipefail", script)
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "API=" + s.URL, "REPOSITORY=rastup/rekey", "RUNS=" + runs, "TOKEN=" + token}
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err = cmd.Run()
	arguments, _ := os.ReadFile(filepath.Join(dir, "arguments"))
	if bytes.Contains(arguments, []byte(token)) {
		t.Errorf("the token is an argument of curl:\n%s", arguments)
	}
	if len(asked) > 0 && len(arguments) == 0 {
		t.Error("curl was not called by its name: its arguments are not known")
	}
	return b.String(), asked, err == nil
}

func expireScript(t *testing.T) string {
	t.Helper()
	r, err := own(t).parse()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.workflows[rotate].Jobs["expire"].Steps {
		if e, ok := s.Exec.(*actionlint.ExecRun); ok {
			return e.Run.Value
		}
	}
	t.Fatal("expire has no command")
	return ""
}

// absent is why a test is skipped; in CI it fails.
func absent(t *testing.T, component string) string {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is absent", component)
	}
	return component + " is absent"
}

// Runs are listed by the workflow's file name.
func TestRotateHasTheNameTheProgramLooksFor(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "internal/actions/people.go"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("const workflow = %q\n", filepath.Base(rotate)); !bytes.Contains(b, []byte(want)) {
		t.Errorf("internal/actions doesn't say %s", want)
	}
}
