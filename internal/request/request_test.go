package request_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/registry"
	"github.com/rastup/rekey/internal/request"
	"github.com/rastup/rekey/internal/rotation"
)

type target struct {
	Secret string `json:"secret" yaml:"secret"`
}

const page = `| Secret | Kind | Owner | Interval | Tags |
|---|---|---|---|---|
| app/b | k | @li | 90d | pci |
| app/a | k | @li | 90d | pci |
| app/c | k | @li | 90d | dsar |
| app/d | k | @li | 90d | |
| app/e | k | @li | 90d | |

# app/d
` + "```yaml\nderived_from: [app/b]\nstage: {target: {secret: d}}\n```" + `
# app/e
` + "```yaml\nprod: {target: {secret: e}}\nderived_from: [app/d, app/a]\n```" + `
# app/a
` + "```yaml\nprod: {target: {secret: a}}\ndev: {target: {secret: a}}\n```" + `
# app/b
` + "```yaml\ndev: {target: {secret: b}}\nstage: {target: {secret: b}}\n```\n"

const rules = `environments: [{name: dev}, {name: stage}, {name: prod}]
evidence: {store: "file://evidence"}
policy: {ticket: 'SEC-\d+', retain: 72h}
`

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func read(t *testing.T, path, text string, now time.Time) (*request.Request, *registry.Registry, string) {
	t.Helper()
	l := &problem.List{}
	reg := registry.Parse([]registry.File{{Path: "registry.md", Bytes: []byte(page)}},
		registry.Shapes{Kinds: map[string]func() any{"k": func() any { return new(target) }}}, l)
	c := config.Parse("rekey.yml", []byte(rules), nil, l)
	registry.Check(reg, c, now, l)
	if l.Len() > 0 {
		t.Fatal(l)
	}
	r := request.Parse("rotations", path, []byte(text), l)
	r.Resolve(reg, c, now, l)
	return r, reg, l.String()
}

func TestResolveCompletesARequest(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"one secret, all it has, in the configured order", "secret: app/a\nticket: SEC-1\n", "[app/a] [dev prod] scheduled rollback 72h0m0s app/a=[dev prod]"},
		{"several, as written", "secrets: [app/b, app/a]\nticket: SEC-1\n", "[app/b app/a] [dev stage prod] scheduled rollback 72h0m0s app/b=[dev stage] app/a=[dev prod]"},
		{"tags, as in the registry", "tags: [pci]\nticket: SEC-1\nenvironments: [prod, dev]\n", "[app/b app/a] [dev prod] scheduled rollback 72h0m0s app/b=[dev] app/a=[dev prod]"},
		{"compromise", "secret: app/a\nticket: SEC-1\nreason: compromise\non_failure: hold\nretain: 0h\n", "[app/a app/e] [dev prod] compromise hold 0s app/a=[dev prod] app/e=[prod]<app/a"},
		{"compromise keeps nothing", "secret: app/a\nticket: SEC-1\nreason: compromise\n", "[app/a app/e] [dev prod] compromise rollback 0s app/a=[dev prod] app/e=[prod]<app/a"},
		{"derived from what is derived", "secret: app/b\nticket: SEC-1\nreason: compromise\nderived: true\n", "[app/b app/d app/e] [dev stage prod] compromise rollback 0s app/b=[dev stage] app/d=[stage]<app/b app/e=[prod]<app/d"},
		{"derived, and named", "secrets: [app/e, app/b]\nticket: SEC-1\nreason: compromise\n", "[app/e app/b app/d] [dev stage prod] compromise rollback 0s app/e=[prod] app/b=[dev stage] app/d=[stage]<app/b"},
		{"derived, where it was asked for", "secret: app/b\nticket: SEC-1\nreason: compromise\nenvironments: [dev]\n", "[app/b app/d app/e] [dev] compromise rollback 0s app/b=[dev] app/d=[]<app/b app/e=[]<app/d"},
		{"derived, not wanted", "secret: app/b\nticket: SEC-1\nreason: compromise\nderived: false\n", "[app/b] [dev stage] compromise rollback 0s app/b=[dev stage]"},
		{"derived, of a tag", "tags: [pci]\nticket: SEC-1\nreason: compromise\n", "[app/b app/a app/d app/e] [dev stage prod] compromise rollback 0s app/b=[dev stage] app/a=[dev prod] app/d=[stage]<app/b app/e=[prod]<app/a"},
		{"derived, and nothing is stolen", "secret: app/b\nticket: SEC-1\nreason: personnel\n", "[app/b] [dev stage] personnel rollback 72h0m0s app/b=[dev stage]"},
		{"compromise with a retention", "secret: app/a\nticket: SEC-1\nreason: compromise\nretain: 1h\nderived: false\n", "[app/a] [dev prod] compromise rollback 1h0m0s app/a=[dev prod]"},
		{"own retention", "secret: app/a\nticket: SEC-1\nretain: P4D\n", "[app/a] [dev prod] scheduled rollback 96h0m0s app/a=[dev prod]"},
	} {
		r, reg, problems := read(t, "rotations/2026/11/2026-11-23-x.yaml", c.text, now)
		got := fmt.Sprint(r.Secrets, " ", r.Environments, " ", r.Reason, " ", r.OnFailure, " ", r.Retain)
		for _, s := range r.Secrets {
			e, _ := reg.Find(s)
			if got += fmt.Sprint(" ", s, "=", r.Of(e)); r.Derived[s] != "" {
				got += "<" + r.Derived[s]
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" || problems != "" {
			t.Errorf("%s: %s\n-want +got:\n%s", c.name, problems, diff)
		}
	}
}

func TestParseNamesTheRotation(t *testing.T) {
	const text = "secret: app/a\nticket: SEC-1\nwindow: {prod: 2026-11-25T02:00Z/PT2H}\n"
	r, _, problems := read(t, "rotations/2026/11/2026-11-23-app-a.yaml", text, now)
	if problems != "" || r.Rotation != "2026-11-23-app-a" || r.Date.Format(time.RFC3339) != "2026-11-23T00:00:00Z" || r.Digest != rotation.Digest([]byte(text)) {
		t.Errorf("%+v\n%s", r, problems)
	}
	if w := r.Windows["prod"]; w.To.Sub(w.From) != 2*time.Hour || w.From.Format(time.RFC3339) != "2026-11-25T02:00:00Z" {
		t.Errorf("%+v", w)
	}
	if p := request.Name("rotations", r.Date, registry.Slug("app/a")); p != r.Path {
		t.Errorf("Name gives %s", p)
	}
}

// What landed stays lint-clean: not when its window passes, nor, once it can't begin any more, when registry and
// house rules change. Late says so to those who look at a new request.
func TestHistoryStaysLintClean(t *testing.T) {
	const path, text = "rotations/2026/11/2026-11-23-x.yaml", "secret: app/a\nticket: SEC-1\nwindow: {prod: 2026-11-25T02:00Z/PT2H}\n"
	for day, late := range map[int]int{0: 0, 1: 0, 3: 1, 29: 1, 30: 2, 4000: 2} {
		then := now.AddDate(0, 0, day)
		r, _, problems := read(t, path, text, then)
		l := &problem.List{}
		r.Late(config.Parse("rekey.yml", []byte(rules), nil, l), then, l)
		if problems != "" || l.Len() != late {
			t.Errorf("after %d days: %s\nlate: %s", day, problems, l)
		}
	}
	const gone = "secret: app/gone\nticket: OLD-1\nretain: 1h\n"
	if _, _, problems := read(t, path, gone, now); problems == "" {
		t.Error("no problem while it may begin")
	}
	if _, _, problems := read(t, path, gone, now.AddDate(0, 0, 30)); problems != "" {
		t.Error(problems)
	}
}
