package town_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rastup/rekey"
	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/sts"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

// A siege is a town in which a rotation is under way, and somebody who means it harm.
type siege struct {
	*town.Town
	t     *testing.T
	cloud string
	hub   string
	said  []spoken
	// tamper changes what a step of the action said, before anybody reads it.
	tamper func(s workflow.Step, outputs map[string]string)
	// before runs when a step of the action is about to begin.
	before func(s workflow.Step)
	// theft is what a thief's scripts came away with, since it was last asked.
	theft []string
	// counted is how many calls of GitHub were counted before.
	counted int
}

type spoken struct{ job, text string }

// strict is our documented trust policies; otherwise the town's own hold.
func besiege(t *testing.T, strict bool, request string) *siege {
	t.Helper()
	s := &siege{t: t}
	s.open(strict, map[string]string{".github/rekey.yml": rules, "ops/config/registry.md": strings.ReplaceAll(registry, "~~~", "```")}, github.Options{})
	if request != "" {
		s.request("li-pay", "ana-sec", request)
	}
	return s
}

// open builds the town, with these files in it.
func (s *siege) open(strict bool, files map[string]string, o github.Options) {
	t := s.t
	t.Helper()
	key, err := signingKey()
	s.ok(err)
	o.Key = key
	s.Town, err = town.New(t.Context(), town.Options{Root: t.TempDir(), Start: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), Files: files, Wrap: s.wrap, GitHub: o,
		Log: func(step workflow.Step, text string, err error) { s.said = append(s.said, spoken{step.JobName, text}) }})
	s.ok(err)
	aws, hub := httptest.NewServer(s.AWS.Handler()), httptest.NewServer(s.GitHub.Handler())
	t.Cleanup(aws.Close)
	t.Cleanup(hub.Close)
	s.cloud, s.hub = aws.URL, hub.URL
	if strict {
		s.document()
	}
	s.ok(s.Init(t.Context()))
	s.GitHub.OpenIssue("li-pay", "Rotate the database login", "")
}

// signingKey is one for all towns: making it takes a while.
var signingKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

const wanted = "secret: app/database\nticket: \"#1\"\nenvironments: [dev, stage]\n"

// request is asked for by author, reviewed and merged by reviewer.
func (s *siege) request(author, reviewer, text string) (pull int) {
	s.t.Helper()
	n, err := s.OpenPull(s.t.Context(), author, "Rotate app/database", "", map[string]string{requestFile: text}, false)
	s.ok(err)
	s.Clock.Move(10 * time.Minute)
	s.GitHub.Review(n, reviewer, "APPROVED")
	s.ok(s.Merge(s.t.Context(), n, reviewer, requestFile))
	return n
}

const requestFile = request

func (s *siege) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// document replaces the town's trust policies by those that docs/trust tells people to copy, for this repository.
func (s *siege) document() {
	s.t.Helper()
	s.GitHub.AddToken("curious", "li-pay", map[string]string{"metadata": "read"})
	var repo struct {
		ID    int64
		Owner struct{ ID int64 }
	}
	s.ok(json.Unmarshal(s.ask("GET", s.hub+"/repos/"+town.Repository, "curious", ""), &repo))
	words := strings.NewReplacer("rastup@9041122/rekey@871552031", fmt.Sprintf("rastup@%d/shop@%d", repo.Owner.ID, repo.ID), "rastup/rekey", town.Repository,
		"871552031", fmt.Sprint(repo.ID), "333333333333", sandbox.Home.Account, "444444444444", sandbox.Home.Account, "222222222222", sandbox.Home.Account, "111111111111", sandbox.Home.Account)
	for file, role := range map[string]string{"rotate-dev": "rekey-dev", "rotate-stage": "rekey-stage", "rotate-prod": "rekey-prod", "evidence": "rekey-evidence",
		"evidence-reader": "rekey-reader", "preview": "rekey-preview", "heartbeat": "rekey-heartbeat"} {
		b, err := os.ReadFile(filepath.Join("../../../docs/trust", file+".json"))
		s.ok(err)
		policy, err := sts.ParseTrust([]byte(words.Replace(string(b))))
		s.ok(err)
		s.AWS.STS.AddRole(sts.Role{ARN: roleARN(role), Policy: policy, Trust: []string{s.Scenario.Principal}, MaxSession: 12 * time.Hour, Created: s.Clock.Now()})
	}
}

func roleARN(name string) string { return "arn:aws:iam::" + sandbox.Home.Account + ":role/" + name }

var allRoles = []string{"rekey-dev", "rekey-stage", "rekey-prod", "rekey-evidence", "rekey-reader", "rekey-preview", "rekey-heartbeat"}

func (s *siege) ask(method, url, token, body string) []byte {
	s.t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	s.ok(err)
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	s.ok(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	s.ok(err)
	return b
}

// wrap plays scripts of thieves, and lets the rest be done as the town does it.
func (s *siege) wrap(next workflow.Do) workflow.Do {
	return func(ctx context.Context, step workflow.Step) (map[string]string, error) {
		if strings.HasPrefix(step.Script, "steal") {
			s.steal(step)
			return nil, nil
		}
		if step.Uses == "./" && s.before != nil {
			s.before(step)
		}
		outputs, err := next(ctx, step)
		if step.Uses == "./" && s.tamper != nil && outputs != nil {
			s.tamper(step, outputs)
		}
		return outputs, err
	}
}

var field = regexp.MustCompile(`<(AccessKeyId|SecretAccessKey|SessionToken)>([^<]+)<`)

// steal is what any code in the job could do: it asks for the job's identity, and tries every role with it, and every
// value with every role it gets; then it approves what waits, with the job's token.
func (s *siege) steal(step workflow.Step) {
	where := fmt.Sprintf("%s in %q", step.JobName, step.Environment)
	s.theft = append(s.theft, where+": ran")
	for _, wait := range s.Waits() {
		s.ask("POST", fmt.Sprintf("%s/repos/%s/actions/runs/%d/pending_deployments", s.hub, town.Repository, wait.Run), step.Token,
			`{"environment_ids":[1,2,3,1001,1002,1003,1004,1005,1006,1007,1008,1009,1010,1011,1012,1013,1014,1015,1016,1017,1018,1019,1020],"state":"approved","comment":"lgtm"}`)
	}
	address, bearer := step.Env["ACTIONS_ID_TOKEN_REQUEST_URL"], step.Env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
	if address == "" || bearer == "" {
		s.theft = append(s.theft, where+": no identity")
		return
	}
	var token struct{ Value string }
	s.ok(json.Unmarshal(s.ask("GET", address+"&audience=sts.amazonaws.com", bearer, ""), &token))
	for _, role := range allRoles {
		form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {roleARN(role)}, "RoleSessionName": {"thief"}, "WebIdentityToken": {token.Value}}
		res, err := http.PostForm(s.cloud, form)
		s.ok(err)
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		s.ok(err)
		if res.StatusCode != http.StatusOK {
			continue
		}
		s.theft = append(s.theft, where+": plays "+role)
		keys := map[string]string{}
		for _, m := range field.FindAllStringSubmatch(string(b), -1) {
			keys[m[1]] = m[2]
		}
		c := secretsmanager.New(secretsmanager.Options{Region: "us-east-1", BaseEndpoint: &s.cloud,
			Credentials: credentials.NewStaticCredentialsProvider(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])})
		for env, name := range s.Scenario.Secrets {
			if _, err := c.GetSecretValue(s.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(name)}); err == nil {
				s.theft = append(s.theft, where+": reads "+env)
			}
		}
	}
}

// A mark is how things stand before somebody does something.
type mark struct {
	calls, said int
	labels      map[string]map[string]string
	records     int
}

func (s *siege) mark() mark {
	m := mark{calls: len(s.AWS.Calls()), said: len(s.said), labels: map[string]map[string]string{}, records: s.records()}
	for env, name := range s.Scenario.Secrets {
		m.labels[env] = maps.Clone(s.AWS.Secret(name).Labels)
	}
	s.theft = nil
	return m
}

func (s *siege) records() (n int) {
	for _, v := range s.AWS.S3.Versions(s.Scenario.Bucket, "journal/") {
		if strings.HasSuffix(v.Key, ".json") {
			n++
		}
	}
	return n
}

// untouched holds that since m no value was read, nothing written and no record appended in env; "" is everywhere.
func (s *siege) untouched(m mark, env string) {
	s.t.Helper()
	for _, c := range s.AWS.Calls()[m.calls:] {
		if c.Code != "" || env != "" && !strings.Contains(c.Target, s.Scenario.Secrets[env]) && !strings.Contains(c.Target, "journal/"+env) {
			continue
		}
		if c.Operation == "GetSecretValue" || c.Service != "sts" && regexp.MustCompile("^(Put|Update|Delete|Tag|Untag|Create|Restore|Rotate|Cancel|Remove|Replicate)").MatchString(c.Operation) {
			s.t.Errorf("%s %s on %s by %s", c.Service, c.Operation, c.Target, c.Principal)
		}
	}
	for e, name := range s.Scenario.Secrets {
		if now := s.AWS.Secret(name).Labels; (env == "" || e == env) && !maps.Equal(now, m.labels[e]) {
			s.t.Errorf("labels of %s were %v and are %v", e, m.labels[e], now)
		}
	}
	if n := s.records(); env == "" && n != m.records {
		s.t.Errorf("%d records, were %d", n, m.records)
	}
}

// since is what the jobs said since m; job "" is all.
func (s *siege) since(m mark, job string) string {
	var b strings.Builder
	for _, p := range s.said[m.said:] {
		if job == "" || strings.HasPrefix(p.job, job) {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// says holds that a job explained itself.
func (s *siege) says(m mark, job, text string) {
	s.t.Helper()
	if all := s.since(m, job); !strings.Contains(all, text) {
		s.t.Errorf("job %s doesn't say %q:\n%s", job, text, all)
	}
}

// play starts what a branch's own version of a workflow is started by, and puts the default branch's version back.
func (s *siege) play(path, text string, begin func()) {
	s.t.Helper()
	if text != "" {
		w, err := workflow.Load(path, []byte(text))
		s.ok(err)
		s.Engine.Add(w)
	}
	begin()
	src, err := rekey.Workflows.ReadFile(path)
	s.ok(err)
	w, err := workflow.Load(path, src)
	s.ok(err)
	s.Engine.Add(w)
}

// stolen are the thefts beyond those that are allowed.
func (s *siege) stolen(allowed ...string) {
	s.t.Helper()
	for _, what := range s.theft {
		_, deed, _ := strings.Cut(what, ": ")
		if deed != "ran" && deed != "no identity" && !slices.Contains(allowed, deed) {
			s.t.Errorf("%s", what)
		}
	}
}
