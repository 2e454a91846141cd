package archtest

import (
	"slices"
	"strings"
	"testing"
)

// The rooms of the house, by what the rules say of them. A package in none of them fails.
const (
	words   = "./internal/rotation"
	pure    = "./internal/calendar ./internal/overdue ./internal/policy ./internal/question ./internal/secret/spec ./internal/usage"
	inputs  = "./internal/problem ./internal/registry ./internal/request ./internal/config ./internal/inputs ./internal/schema ./internal/workflows"
	spine   = "./internal/plan ./internal/apply ./internal/evidence ./internal/fence"
	stores  = "./internal/evidence/*"
	cover   = "./internal/redact ./internal/child ./internal/program"
	checks  = "./internal/check/... ./internal/consumer/... ./internal/dispatch"
	media   = "./internal/report/... ./internal/notice/..."
	secrets = "./internal/secret ./internal/staging ./internal/kind/..."
	world   = "./internal/cloud ./internal/github ./internal/jira ./internal/policy/lookup ./internal/sandbox/... ./internal/demo/... ./internal/app ./internal/actions"
	outside = module + " ./cmd/rekey ./action"
	own     = "./internal/archtest ./internal/goldentest ./internal/e2e ./internal/workflowtest ./internal/acttest ./bench"
)

var rooms = []string{words, pure, inputs, spine, stores, cover, checks, media, secrets, world, outside, own}

// text are the packages whose output people and machines read: no secret may come near them.
const text = words + " " + pure + " " + inputs + " " + spine + " " + stores + " " + cover + " " + checks + " " + media

var importRules = []importRule{
	{Rule: "rotation is words: standard library only",
		From: "./internal/rotation", Not: "ours third-party"},
	{Rule: "redact: standard library, and words",
		From: "./internal/redact", Not: "ours third-party", But: "./internal/rotation"},
	{Rule: "evidence imports nothing of ours but words",
		From: "./internal/evidence", Not: "ours", But: "./internal/rotation"},
	{Rule: "github imports nothing of ours but words",
		From: "./internal/github", Not: "ours", But: "./internal/rotation"},
	{Rule: "jira imports nothing of ours but words",
		From: "./internal/jira", Not: "ours", But: "./internal/rotation"},
	{Rule: "only github knows a client library of GitHub's",
		From: "./internal/... ./cmd/... ./action", Except: "./internal/github", Not: "github.com/google/go-github/...", Direct: true},
	{Rule: "policy and question decide, and call nothing",
		From: "./internal/policy ./internal/question", Not: "net/http ./internal/github ./internal/jira third-party"},
	{Rule: "plan and apply reach no service, secret or handler",
		From: "./internal/plan ./internal/apply",
		Not: "net/http github.com/aws/... ./internal/secret ./internal/staging ./internal/cloud ./internal/github ./internal/jira ./internal/kind/... " +
			"./internal/check/... ./internal/evidence/s3 ./internal/evidence/logs ./internal/sandbox/... ./internal/app"},
	{Rule: "only staging and kinds import secret",
		From: "ours", Except: "./internal/staging ./internal/kind/...", Not: "./internal/secret", Direct: true},
	{Rule: "text never reaches secret",
		From: text, Not: "./internal/secret"},
	{Rule: "only child imports os/exec, and what starts moto and a browser for tests",
		From: "./internal/... ./cmd/... ./action", Except: "./internal/child ./internal/kind/kindtest ./internal/report/browsertest", Not: "os/exec", Direct: true},
	{Rule: "consumers and checks never import each other",
		From: "./internal/consumer/* ./internal/check/*", Not: "./internal/consumer/* ./internal/check/*"},
	{Rule: "kinds never import each other",
		From: "./internal/kind/*", Except: "./internal/kind/kindtest", Not: "./internal/kind/*"},
	{Rule: "app is imported by the program and its demo only",
		From: "./internal/...", Except: "./internal/demo ./internal/demo/town ./internal/actions ./internal/app", Not: "./internal/app", Direct: true},
	{Rule: "nothing real depends on the sandbox",
		From: text + " " + secrets + " ./internal/cloud ./internal/github ./internal/jira", Except: "./internal/kind/kindtest ./internal/kind/internal/databasetest ./internal/kind/internal/vaulttest", Not: "./internal/sandbox/..."},
	{Rule: "the product imports these modules and no other",
		From: "./internal/... ./cmd/... ./action", Except: "./internal/goldentest ./internal/kind/kindtest ./internal/sandbox/github/openapitest", Not: "third-party", But: modules, Direct: true},
	{Rule: "real database servers are for tests only",
		From: "./internal/... ./cmd/... ./action", Not: "./internal/kind/internal/databasetest ./internal/kind/internal/vaulttest"},
	{Rule: "browsers are for tests only",
		From: "./internal/... ./cmd/... ./action", Not: "./internal/report/browsertest"},
	{Rule: "golden files are for tests only",
		From: "./internal/... ./cmd/... ./action", Not: "./internal/goldentest"},
	{Rule: "GitHub's API description is for tests only",
		From: "./internal/... ./cmd/... ./action", Not: "./internal/sandbox/github/openapitest"},
}

// modules are the third-party modules the product needs. Those of tests only (go-cmp, rapid, testscript) aren't here.
const modules = "github.com/aws/... github.com/go-jose/go-jose/v4 github.com/golang-jwt/jwt/v5 github.com/google/go-github/v62/... github.com/go-sql-driver/mysql github.com/hashicorp/hcl/v2/... github.com/jackc/pgx/v5/pgconn github.com/jackc/pgx/v5/pgproto3 github.com/rhysd/actionlint github.com/sethvargo/go-githubactions github.com/spf13/cobra github.com/stripe/stripe-go/v76/... " +
	"github.com/yuin/goldmark/... github.com/zclconf/go-cty/cty golang.org/x/sync/... golang.org/x/term golang.org/x/time/rate gopkg.in/yaml.v3"

func TestEveryPackageHasARoom(t *testing.T) {
	g := load(t)
	for _, p := range g.ours() {
		if !slices.ContainsFunc(rooms, func(room string) bool { return g.inAny(p, room) }) {
			t.Errorf("%s is in no room: name it in rooms, and see which rules it must keep", short(p))
		}
	}
	for pattern := range strings.FieldsSeq(strings.Join(rooms, " ")) {
		if len(g.matching(pattern)) == 0 {
			t.Errorf("room %q holds no package", pattern)
		}
	}
}

func TestImports(t *testing.T) {
	g := load(t)
	for _, r := range importRules {
		t.Run(r.Rule, func(t *testing.T) {
			for _, v := range r.check(g) {
				t.Error(v)
			}
		})
	}
}

// Each rule, for each pair of its patterns, must catch an import planted in the real graph: a direct one, and unless
// it is about direct imports only, one through a package in between.
func TestImportRulesCatchAPlantedImport(t *testing.T) {
	g := load(t)
	for _, r := range importRules {
		t.Run(r.Rule, func(t *testing.T) {
			for from := range strings.FieldsSeq(r.From) {
				for not := range strings.FieldsSeq(r.Not) {
					r.plant(t, g, from, not)
				}
			}
		})
	}
}

func (r importRule) plant(t *testing.T, g graph, fromPattern, notPattern string) {
	t.Helper()
	from := first(g, fromPattern, func(p string) bool { return isOurs(p) && !g.inAny(p, r.Except) })
	to := first(g, notPattern, func(p string) bool { return p != from && !g.inAny(p, r.But) })
	if from == "" || to == "" {
		t.Errorf("nothing to plant for %q and %q: the rule can't fail there", fromPattern, notPattern)
		return
	}
	const between = module + "/internal/between"
	clean := g.without(from, between)
	if found := r.violations(clean.with(from, to), from); len(found) != 1 {
		t.Errorf("%s importing %s: got %q, want one violation", from, to, found)
	}
	found := r.violations(clean.with(from, between).with(between, to), from)
	// Where the package in between is itself forbidden, that is what is shown.
	if r.Direct && !g.inAny(between, r.Not) {
		if len(found) != 0 {
			t.Errorf("%s importing %s through another package: got %q, want none", from, to, found)
		}
	} else if len(found) != 1 {
		t.Errorf("%s importing %s through another package: got %q, want one violation", from, to, found)
	}
}

func first(g graph, pattern string, ok func(string) bool) string {
	for _, p := range g.matching(pattern) {
		if ok(p) {
			return p
		}
	}
	return ""
}

func TestARuleThatMatchesNothingFails(t *testing.T) {
	g := graph{module + "/a": {ImportPath: module + "/a"}}
	for _, r := range []importRule{
		{From: "./gone", Not: "./a"},
		{From: "./a", Not: "./gone"},
		{From: "./a", Except: "./gone", Not: "./a"},
		{From: "./a", Not: "./a", But: "./gone"},
	} {
		if found := r.check(g); len(found) != 1 || !strings.Contains(found[0], "matches no package") {
			t.Errorf("%+v: got %q", r, found)
		}
	}
}

func TestPatterns(t *testing.T) {
	g := graph{"fmt": {Standard: true}, "example.com/a": {}, module: {}}
	for _, c := range []struct {
		pattern, p string
		want       bool
	}{
		{"std", "fmt", true},
		{"std", "example.com/a", false},
		{"third-party", "example.com/a", true},
		{"third-party", "fmt", false},
		{"third-party", module, false},
		{"ours", module, true},
		{"ours", module + "er/a", false},
		{"./kind/*", module + "/kind/kms", true},
		{"./kind/*", module + "/kind", false},
		{"./kind/*", module + "/kind/kms/sub", false},
		{"./kind/...", module + "/kind", true},
		{"./kind/...", module + "/kind/kms/sub", true},
		{"./kind/...", module + "/kindred", false},
		{"github.com/aws/...", "github.com/aws/sdk", true},
		{"net/http", "net/http/httptest", false},
	} {
		if got := g.in(c.p, c.pattern); got != c.want {
			t.Errorf("%q in %q: got %v", c.p, c.pattern, got)
		}
	}
}
