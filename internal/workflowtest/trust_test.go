package workflowtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/cloud"
)

// The trust policies in docs/trust are what people copy. They are evaluated here as IAM does, for the OIDC tokens that
// jobs of this repository get, and for those of everybody who would like to.

type policyFile struct {
	Version   string
	Statement []statement
}

type statement struct {
	Effect    string
	Principal map[string]string
	Action    oneOrMore
	Resource  string
	Condition map[string]map[string]oneOrMore
}

type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return json.Unmarshal(b, (*[]string)(o))
	}
	*o = make([]string, 1)
	return json.Unmarshal(b, &(*o)[0])
}

const issuer = "token.actions.githubusercontent.com"

func policies(t *testing.T) map[string]policyFile {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "docs/trust/*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no policies: %v", err)
	}
	all := map[string]policyFile{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var p policyFile
		d := json.NewDecoder(bytes.NewReader(b))
		if d.DisallowUnknownFields(); d.Decode(&p) != nil || p.Version != "2012-10-17" || len(p.Statement) == 0 {
			t.Errorf("%s is no policy", name)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".json")] = p
	}
	return all
}

// admits says whether a token with these claims may play the role. It knows the operators our policies use.
func (p policyFile) admits(t *testing.T, claims map[string]string) bool {
	t.Helper()
	for _, s := range p.Statement {
		if s.Effect != "Allow" || s.Principal["Federated"] == "" || !slices.Contains(s.Action, "sts:AssumeRoleWithWebIdentity") {
			continue
		}
		all := true
		for operator, keys := range s.Condition {
			for key, values := range keys {
				claim, ok := claims[strings.TrimPrefix(key, issuer+":")]
				all = all && ok && slices.ContainsFunc(values, func(v string) bool { return matches(t, operator, v, claim) })
			}
		}
		if all {
			return true
		}
	}
	return false
}

func matches(t *testing.T, operator, pattern, s string) bool {
	t.Helper()
	switch operator {
	case "StringEquals":
		return pattern == s
	case "StringLike":
		pattern = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		return regexp.MustCompile(`^(?s:` + pattern + `)$`).MatchString(s)
	}
	t.Fatalf("operator %s", operator)
	return false
}

// claims are those of a job's token, of a repository from before or after the new form of sub.
func claims(newForm bool, tail, ref, workflow string) map[string]string {
	sub := "repo:rastup/rekey:" + tail
	if newForm {
		sub = "repo:rastup@9041122/rekey@871552031:" + tail
	}
	return map[string]string{"aud": "sts.amazonaws.com", "sub": sub, "ref": ref, "repository_id": "871552031",
		"job_workflow_ref": "rastup/rekey/.github/workflows/" + workflow + "@" + ref}
}

const mainRef, pullRef = "refs/heads/main", "refs/pull/12/merge"

// Which roles each job of our workflows may play: all that it needs, and no other.
func TestTrustPoliciesAdmitTheirJobsAlone(t *testing.T) {
	all := policies(t)
	r, err := own(t).parse()
	if err != nil {
		t.Fatal(err)
	}
	type token struct {
		plays  []string
		claims map[string]string
	}
	jobs := []token{
		{[]string{"evidence-reader"}, claims(false, "ref:"+mainRef, mainRef, "rotate.yml")},
		{[]string{"preview"}, claims(false, "pull_request", pullRef, "rotation-plan.yml")},
		{[]string{"evidence-reader", "heartbeat", "preview"}, claims(false, "environment:"+bot, mainRef, "rotation-overdue.yml")},
	}
	for _, g := range r.gates {
		for _, gate := range []string{g.GitHub, "rekey-" + g.Name + "-continue"} {
			jobs = append(jobs, token{[]string{"evidence", "rotate-" + g.Name}, claims(false, "environment:"+gate, mainRef, "rotate.yml")})
		}
	}
	for _, j := range jobs {
		c := j.claims
		for _, newForm := range []bool{false, true} {
			if newForm {
				c["sub"] = strings.Replace(c["sub"], "rastup/rekey", "rastup@9041122/rekey@871552031", 1)
			}
			var got []string
			for _, name := range slices.Sorted(maps.Keys(all)) {
				if all[name].admits(t, c) {
					got = append(got, name)
				}
			}
			if !slices.Equal(got, j.plays) {
				t.Errorf("%s may play %q, not %q", c["sub"], got, j.plays)
			}
		}
	}
}

func TestTrustPoliciesAdmitNobodyElse(t *testing.T) {
	prod := func(change ...string) map[string]string {
		c := claims(false, "environment:rekey-prod", mainRef, "rotate.yml")
		for i := 0; i < len(change); i += 2 {
			c[change[i]] = change[i+1]
		}
		return c
	}
	others := map[string]map[string]string{
		"another branch":                   claims(false, "environment:rekey-prod", "refs/heads/mine", "rotate.yml"),
		"another branch's workflow":        prod("job_workflow_ref", "rastup/rekey/.github/workflows/rotate.yml@refs/heads/mine"),
		"another workflow":                 claims(false, "environment:rekey-prod", mainRef, "deploy.yml"),
		"a reusable workflow elsewhere":    prod("job_workflow_ref", "mallory/rekey/.github/workflows/rotate.yml@refs/heads/main"),
		"another environment":              prod("sub", "repo:rastup/rekey:environment:rekey-prod-x"),
		"another repository":               prod("sub", "repo:rastup/rekey-prod:environment:rekey-prod"),
		"another owner":                    prod("sub", "repo:mallory/rekey:environment:rekey-prod"),
		"a repository of the same name":    prod("repository_id", "1"),
		"the new form of another":          prod("sub", "repo:rastup@1/rekey@2:environment:rekey-prod"),
		"another audience":                 prod("aud", "https://github.com/rastup"),
		"a tag of the branch's name":       claims(false, "ref:refs/tags/main", "refs/tags/main", "rotate.yml"),
		"a branch, no environment":         claims(false, "ref:refs/heads/mine", "refs/heads/mine", "rotate.yml"),
		"a pull request's rotate.yml":      claims(false, "pull_request", pullRef, "rotate.yml"),
		"a pull request's new workflow":    claims(false, "pull_request", pullRef, "x.yml"),
		"the merge queue":                  claims(false, "ref:refs/heads/gh-readonly-queue/main/pr-12", "refs/heads/gh-readonly-queue/main/pr-12", "rotation-plan.yml"),
		"main's rotation-plan.yml":         claims(false, "ref:"+mainRef, mainRef, "rotation-plan.yml"),
		"another workflow's bot":           claims(false, "environment:rekey-bot", mainRef, "rotate.yml"),
		"the bot without its environment":  claims(false, "ref:"+mainRef, mainRef, "rotation-overdue.yml"),
		"the bot on another branch":        claims(false, "environment:rekey-bot", "refs/heads/mine", "rotation-overdue.yml"),
		"the bot behind what rotates":      claims(false, "environment:rekey-prod", mainRef, "rotation-overdue.yml"),
		"the bot in a pull request":        claims(false, "environment:rekey-bot", pullRef, "rotation-overdue.yml"),
		"a pull request in an environment": claims(false, "environment:rekey-prod", pullRef, "rotate.yml"),
	}
	for name, p := range policies(t) {
		for who, c := range others {
			if p.admits(t, c) {
				t.Errorf("%s: %s may play the role", name, who)
			}
		}
		for _, problem := range p.loose() {
			t.Errorf("%s: %s", name, problem)
		}
	}
}

// loose finds what claims alone don't show: a key that isn't asked for, a sub with a wildcard or in one form only.
func (p policyFile) loose() (found []string) {
	for _, s := range p.Statement {
		if s.Principal["Federated"] == "" {
			continue
		}
		if !strings.HasSuffix(s.Principal["Federated"], ":oidc-provider/"+issuer) {
			found = append(found, "trusts "+s.Principal["Federated"])
		}
		subs := s.Condition["StringEquals"][issuer+":sub"]
		if len(subs) == 0 || len(subs)%2 != 0 || strings.Contains(strings.Join(subs, ""), "*") {
			found = append(found, "sub isn't pinned in both forms")
		}
		for _, sub := range subs {
			if newForm := strings.Replace(sub, "repo:rastup/rekey:", "repo:rastup@9041122/rekey@871552031:", 1); !slices.Contains(subs, newForm) {
				found = append(found, fmt.Sprintf("%s, but not %s", sub, newForm))
			}
		}
		for _, key := range []string{"aud", "ref", "job_workflow_ref", "repository_id"} {
			if len(s.Condition["StringEquals"][issuer+":"+key])+len(s.Condition["StringLike"][issuer+":"+key]) != 1 {
				found = append(found, key+" isn't pinned")
			}
		}
	}
	return found
}

func TestLooseTrustPoliciesAreFound(t *testing.T) {
	for name, change := range map[string]func(map[string]map[string]oneOrMore){
		"no sub": func(c map[string]map[string]oneOrMore) { delete(c["StringEquals"], issuer+":sub") },
		"one form": func(c map[string]map[string]oneOrMore) {
			c["StringEquals"][issuer+":sub"] = c["StringEquals"][issuer+":sub"][:2]
		},
		"a wildcard":     func(c map[string]map[string]oneOrMore) { c["StringEquals"][issuer+":sub"][0] += "*" },
		"no workflow":    func(c map[string]map[string]oneOrMore) { delete(c["StringEquals"], issuer+":job_workflow_ref") },
		"no audience":    func(c map[string]map[string]oneOrMore) { delete(c["StringEquals"], issuer+":aud") },
		"several refs":   func(c map[string]map[string]oneOrMore) { c["StringEquals"][issuer+":ref"] = oneOrMore{"a", "b"} },
		"any repository": func(c map[string]map[string]oneOrMore) { delete(c["StringEquals"], issuer+":repository_id") },
	} {
		p := policies(t)["rotate-prod"]
		if found := p.loose(); len(found) > 0 {
			t.Fatalf("%q", found)
		}
		change(p.Statement[0].Condition)
		if len(p.loose()) == 0 {
			t.Errorf("%s isn't found", name)
		}
	}
}

// Who reads evidence, or looks at metadata for a pull request, reads no value.
func TestReadersReadNoValue(t *testing.T) {
	all := policies(t)
	for _, name := range []string{"evidence-reader-permissions", "preview-permissions"} {
		denied := oneOrMore{}
		for _, s := range all[name].Statement {
			if s.Effect == "Deny" && s.Resource == "*" {
				denied = append(denied, s.Action...)
			}
			for _, a := range s.Action {
				_, verb, _ := strings.Cut(a, ":")
				if s.Effect == "Allow" && (!regexp.MustCompile(`^(Get|List|Describe)[A-Za-z]+$`).MatchString(verb) || strings.HasPrefix(a, "secretsmanager:Get")) {
					t.Errorf("%s allows %s", name, a)
				}
			}
		}
		for _, a := range []string{"secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "ssm:GetParameter*"} {
			if !slices.Contains(denied, a) {
				t.Errorf("%s doesn't deny %s", name, a)
			}
		}
	}
}

// Before a merge everything is looked at that shows no value by its purpose: not parameters. What a page says of it is all
// there is.
func TestAPreviewMayLookWhoUsesASecret(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/consumers.md"))
	if err != nil {
		t.Fatal(err)
	}
	allowed := policies(t)["preview-permissions"].Statement[0].Action
	for service, operations := range map[string][]string{
		"ecs":    {"ListClusters", "ListServices", "DescribeServices", "ListTasks", "DescribeTasks", "DescribeTaskDefinition"},
		"lambda": {"ListFunctions", "ListEventSourceMappings"}, "ssm": {"GetParametersByPath"},
	} {
		for _, operation := range operations {
			action := service + ":" + operation
			if slices.Contains(allowed, action) == (service == "ssm") {
				t.Errorf("%s: allowed %t", action, service == "ssm")
			}
			if !cloud.Reads(map[string]string{"ecs": "ECS", "lambda": "Lambda", "ssm": "SSM"}[service], operation) {
				t.Errorf("%s counts as a change, and wouldn't leave", action)
			}
			if !bytes.Contains(page, []byte("`"+action+"`")) {
				t.Errorf("docs/consumers.md doesn't name %s", action)
			}
		}
	}
}

// The daily look asks for nothing that the two roles don't have.
func TestTheDailyLookHasItsPermissions(t *testing.T) {
	all := policies(t)
	for role, actions := range map[string][]string{
		"preview-permissions": {"secretsmanager:ListSecrets", "secretsmanager:ListSecretVersionIds", "secretsmanager:DescribeSecret",
			"kms:ListAliases", "kms:ListKeys", "kms:DescribeKey", "kms:GetKeyRotationStatus", "kms:ListResourceTags"},
		"evidence-reader-permissions": {"s3:GetObject", "s3:ListBucket", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"},
		"heartbeat-permissions":       {"cloudwatch:PutMetricData"},
	} {
		var allowed []string
		for _, s := range all[role].Statement {
			if s.Effect == "Allow" {
				allowed = append(allowed, s.Action...)
			}
		}
		for _, a := range actions {
			if !slices.Contains(allowed, a) {
				t.Errorf("%s lacks %s", role, a)
			}
		}
		if role == "heartbeat-permissions" && (len(allowed) != 1 || !slices.Equal(all[role].Statement[0].Condition["StringEquals"]["cloudwatch:namespace"], oneOrMore{"Rekey"})) {
			t.Errorf("%s allows %q, in any namespace", role, allowed)
		}
	}
}

// docs/github.md names every policy, and no file that isn't there.
func TestDocumentationNamesThePolicies(t *testing.T) {
	for _, doc := range []string{"docs/github.md", "docs/live-checklist.md"} {
		b, err := os.ReadFile(filepath.Join(root, doc))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(string(b), -1) {
			if _, err := os.Stat(filepath.Join(root, "docs", m[1])); err != nil {
				t.Errorf("%s links to %s: %v", doc, m[1], err)
			}
		}
		for name := range policies(t) {
			if doc == "docs/github.md" && !bytes.Contains(b, []byte("trust/"+name+".json")) {
				t.Errorf("%s doesn't name trust/%s.json", doc, name)
			}
		}
	}
}
