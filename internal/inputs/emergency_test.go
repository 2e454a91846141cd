package inputs_test

import (
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

// TestThePageOfEmergenciesIsRight: what people copy at three in the morning is read as the page says.
func TestThePageOfEmergenciesIsRight(t *testing.T) {
	page, err := os.ReadFile("../../docs/emergency.md")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, rest := range strings.Split(string(page), "```yaml\n")[1:] {
		block, _, _ := strings.Cut(rest, "```")
		first, text, _ := strings.Cut(block, "\n") // names the file
		name, _, _ := strings.Cut(strings.TrimPrefix(first, "# "), ",")
		files[name] = text
	}
	const request = "rotations/2026/11/2026-11-27-stolen.yaml"
	table := "| Secret | Kind | Owner | Interval |\n| --- | --- | --- | --- |\n"
	for _, s := range []string{"app/database", "app/session-signing", "app/session"} {
		table += "| " + s + " | secretsmanager | @you | 90 days |\n"
	}
	for _, s := range []string{"database", "session-signing"} {
		table += "\n## app/" + s + "\n\n```yaml\ndev:\n  target: {secret: rekey/dev/" + s + "}\n```\n"
	}
	fsys := fstest.MapFS{"ops/config/registry.md": {Data: []byte(table + "\n## app/session\n\n```yaml\n" + files["ops/config/registry.md"] + "```\n")},
		config.DefaultPath: {Data: []byte("environments: [{name: dev}]\nevidence: {store: \"file://evidence\"}\n" + files[".github/rekey.yml"])},
		request:            {Data: []byte(files[request])}}
	in, problems := inputs.Load(fsys, config.DefaultPath, app.Shapes(), time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC))
	if problems.Len() > 0 || len(in.Requests) != 1 {
		t.Fatalf("%v\n%q", problems, files)
	}
	r := in.Requests[0]
	if want := []string{"app/database", "app/session-signing", "app/session"}; !slices.Equal(r.Secrets, want) || r.Derived["app/session"] != "app/database" || r.Retain != 0 || in.Config.Policy.BreakGlass != "allow" {
		t.Errorf("%+v, policy %+v", r, in.Config.Policy)
	}
}
