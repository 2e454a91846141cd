package inputs_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/inputs"
)

func TestLoadReadsOnlyTheNamedRequests(t *testing.T) {
	fsys := base(t)
	good, bad := "rotations/2026/11/2026-11-23-app-database.yaml", "rotations/2026/12/2026-12-01-bad.yaml"
	fsys[bad] = &fstest.MapFile{Data: []byte("x: y\n")}
	fsys["rotations/README.md"] = &fstest.MapFile{Data: []byte("Requests.\n")}
	for _, c := range []struct {
		paths    []string
		requests []string
		problems bool
	}{
		{nil, []string{good, bad}, true},
		{[]string{good}, []string{good}, false},
		{[]string{"./" + good, good}, []string{good}, false},
		{[]string{"rotations/2026/11"}, []string{good}, false},
		{[]string{"."}, []string{good, bad}, true},
		{[]string{".github/rekey.yml", "ops/config/registry.md"}, nil, false},
		{[]string{"../elsewhere.yaml"}, nil, true},
		{[]string{"rotations/2026/11/2026-11-24-none.yaml"}, nil, true},
		{[]string{"go.mod"}, nil, true},
	} {
		in, problems := inputs.Load(fsys, config.DefaultPath, shapes(), now, c.paths...)
		var got []string
		for _, r := range in.Requests {
			got = append(got, r.Path)
		}
		if diff := cmp.Diff(c.requests, got); diff != "" || (problems.Len() > 0) != c.problems {
			t.Errorf("%q: -want +got:\n%s\n%s", c.paths, diff, problems)
		}
	}
}

func TestRegistryMayBeSplitOverFiles(t *testing.T) {
	fsys := base(t)
	fsys[".github/rekey.yml"] = &fstest.MapFile{Data: append([]byte("registry: [ops/config/*.md]\n"), fsys[".github/rekey.yml"].Data...)}
	fsys["ops/config/search.md"] = &fstest.MapFile{Data: []byte("| Secret | Kind | Owner | Interval |\n|---|---|---|---|\n| search/key | secretsmanager | @li | 90d |\n")}
	in, problems := inputs.Load(fsys, config.DefaultPath, shapes(), now)
	if e, ok := in.Registry.Find("search/key"); !ok || e.Pos.File != "ops/config/search.md" || problems.Len() > 0 {
		t.Errorf("%+v\n%s", e, problems)
	}
	if _, ok := in.Find("2026-11-23-app-database"); !ok {
		t.Error("no request by its rotation's name")
	}
}
