package inputs_test

import (
	"maps"
	"os"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/inputs"
)

// TestThePageOfChecksIsARegistryWithAllOfThem: what people copy is right, and no check is missing.
func TestThePageOfChecksIsARegistryWithAllOfThem(t *testing.T) {
	page, err := os.ReadFile("../../docs/checks.md")
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"ops/config/registry.md": {Data: page}, config.DefaultPath: {Data: []byte("environments: [{name: dev}]\nevidence: {store: \"file://evidence\"}\n")}}
	in, problems := inputs.Load(fsys, config.DefaultPath, app.Shapes(), time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC))
	if problems.Len() > 0 {
		t.Error(problems)
	}
	shown := map[string]bool{}
	for _, e := range in.Registry.Entries {
		for _, at := range e.Environments {
			for _, u := range at.Checks {
				shown[u.Uses] = true
			}
		}
	}
	var all []string
	for _, c := range app.Checks() {
		all = append(all, c.Name)
	}
	slices.Sort(all)
	if got := slices.Sorted(maps.Keys(shown)); !slices.Equal(got, all) {
		t.Errorf("checks %v, there are %v", got, all)
	}
}
