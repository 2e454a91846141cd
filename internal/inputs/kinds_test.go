package inputs_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/inputs"
)

// TestThePageOfKindsIsARegistryWithAllOfThem: what people copy is right, and no kind is missing.
func TestThePageOfKindsIsARegistryWithAllOfThem(t *testing.T) {
	page, err := os.ReadFile("../../docs/kinds.md")
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
		if shown[e.Kind] = true; len(e.Environments) == 0 {
			t.Errorf("%s has no entry", e.Secret)
		}
	}
	var all []string
	for _, k := range app.Kinds() {
		all = append(all, k.Name)
	}
	slices.Sort(all)
	if got := slices.Sorted(maps.Keys(shown)); !slices.Equal(got, all) {
		t.Errorf("kinds %v, there are %v", got, all)
	}
}

// TestThePageOfConsumersShowsEntriesThatAreRight: each of its entries as a registry's, and one of every consumer.
func TestThePageOfConsumersShowsEntriesThatAreRight(t *testing.T) {
	page, err := os.ReadFile("../../docs/consumers.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, rest := range strings.Split(string(page), "```yaml\n")[1:] {
		block, _, _ := strings.Cut(rest, "```")
		text := "| Secret | Kind | Owner | Interval | Last rotated |\n| --- | --- | --- | --- | --- |\n| `a/b` | secretsmanager | @you/a | 90 days | never |\n\n## `a/b`\n\n```yaml\n" + block + "```\n"
		fsys := fstest.MapFS{"ops/config/registry.md": {Data: []byte(text)}, config.DefaultPath: {Data: []byte("environments: [{name: dev}]\nevidence: {store: \"file://evidence\"}\n")}}
		in, problems := inputs.Load(fsys, config.DefaultPath, app.Shapes(), time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC))
		if problems.Len() > 0 {
			t.Fatal(problems)
		}
		for _, u := range in.Registry.Entries[0].Environments["dev"].Consumers {
			shown[u.Uses] = true
		}
	}
	for _, c := range app.Consumers() {
		if !shown[c.Name] {
			t.Errorf("no entry with %s", c.Name)
		}
	}
}
