package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey"
	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/sandbox"
)

// TestLintTellsAJobThatMayNotStartTheRegistrysWorkflows: only where the consumer's workflow is in this repository.
func TestLintTellsAJobThatMayNotStartTheRegistrysWorkflows(t *testing.T) {
	rotate, err := rekey.Workflows.ReadFile(".github/workflows/rotate.yml")
	if err != nil {
		t.Fatal(err)
	}
	action, err := rekey.Workflows.ReadFile("action.yml")
	if err != nil {
		t.Fatal(err)
	}
	for consumer, want := range map[string]int{"{workflow: deploy.yml}": 1, "{workflow: deploy.yml, repository: rastup/shop}": 0} {
		root := t.TempDir()
		for name, text := range map[string]string{
			config.DefaultPath: "environments: [{name: dev}, {name: stage}, {name: prod}]\nevidence: {store: \"file://evidence\"}\n",
			"ops/config/registry.md": "| Secret | Kind | Owner | Interval | Last rotated |\n| --- | --- | --- | --- | --- |\n| a/b | secretsmanager | @you/a | 90 days | never |\n\n## a/b\n\n```yaml\ndev:\n" +
				"  target: {secret: a/b}\n  consumers:\n    - workflow: " + consumer + "\n```\n",
			".github/workflows/rotate.yml": strings.Replace(string(rotate), "      actions: write\n", "      actions: read\n", 1), "action.yml": string(action),
		} {
			path := filepath.Join(root, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a := app.New(app.World{Root: root, Config: config.DefaultPath, Clock: sandbox.NewClock(time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC))})
		found := a.Check()
		if n := found.Len(); n != want || want > 0 && (found.Sorted()[0].Rule != "no-right" || !strings.Contains(found.Sorted()[0].Msg, `"plan"`)) {
			t.Errorf("%s: %s", consumer, found)
		}
	}
}
