package workflow

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Our own files must stay within what is modelled: the demo and the simulation play them.
func TestOwnWorkflowsAreModelled(t *testing.T) {
	files, err := filepath.Glob("../../../.github/workflows/rotat*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflow of ours found: %v", err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(filepath.ToSlash(f), "../../../")
		if _, err := Load(path, src); err != nil {
			t.Error(err)
		}
	}
}
