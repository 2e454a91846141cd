package inputs_test

import (
	"os"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/inputs"
)

// Every request, the registry and the house rules of this repository, today and whenever someone looks again.
func TestThisRepositoryIsLintClean(t *testing.T) {
	root, err := os.OpenRoot("../..")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	written := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, now := range []time.Time{written, written.AddDate(0, 0, 29), written.AddDate(20, 0, 0), time.Now()} {
		in, problems := inputs.Load(root.FS(), config.DefaultPath, app.Shapes(), now)
		if problems.Len() > 0 {
			t.Errorf("at %s:\n%s", now.Format(time.DateOnly), problems)
		}
		if len(in.Registry.Entries) == 0 || len(in.Requests) == 0 {
			t.Errorf("at %s: %d entries, %d requests", now.Format(time.DateOnly), len(in.Registry.Entries), len(in.Requests))
		}
	}
}
