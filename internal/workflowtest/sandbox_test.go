package workflowtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/sandbox/sts"
)

// The sandbox's STS, which refuses conditions it doesn't know, reads the same texts.
func TestTheSandboxTakesTheTrustPolicies(t *testing.T) {
	for name := range policies(t) {
		if strings.HasSuffix(name, "-permissions") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root, "docs/trust", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sts.ParseTrust(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
