package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/apply"
)

// TestNoCommandRunsThatCouldReadOurVariables is for a Linux where they can't be taken out of the process's memory.
// A way back isn't held up by that: it must be open whatever happens.
func TestNoCommandRunsThatCouldReadOurVariables(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		".github/rekey.yml": "environments:\n  - name: dev\nevidence:\n  store: file://evidence\n",
		"ops/config/registry.md": "| Secret | Kind | Owner | Interval | Last rotated |\n| --- | --- | --- | --- | --- |\n| app/key | secretsmanager | @rastup/platform | 90 days | never |\n\n" +
			"## app/key\n\n```yaml\ndev:\n  target: {secret: app/key}\n  checks:\n    - command: {run: [\"true\"]}\n      name: smoke\n```\n",
		"rotations/2026/11/2026-11-23-app-key.yaml": "secret: app/key\nticket: SEC-7\n",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	rekey := func(args ...string) (int, string) {
		var said bytes.Buffer
		p := process{clock: apply.Machine{Time: func() time.Time { return now }}, out: &said, errs: &said, unsealed: errors.New("no /proc here")}
		return run(t.Context(), p, append([]string{"--actor", "ana-sec"}, args...)), said.String()
	}
	if code, said := rekey("init"); code != 0 {
		t.Fatal(said)
	}
	if code, said := rekey("apply", "-e", "dev"); code != exitFound || said != "error: command checks could read the variables rekey was started with, credentials among them: no /proc here\n" {
		t.Errorf("apply ended with %d: %s", code, said)
	}
	const request = "rotations/2026/11/2026-11-23-app-key.yaml"
	if _, said := rekey("rollback", "-e", "dev", request); strings.Contains(said, "no /proc here") || !strings.Contains(said, "nothing has been changed") {
		t.Errorf("rollback said %s", said)
	}
}
