// Package town is a company in the sandbox: an AWS account, a GitHub repository with the workflows of this one, the
// scheduler that plays them, and people who ask, review and approve. The steps of its jobs are the action's own code,
// in this process. The demo tells a story in it; tests and simulations make it trouble.
//
// It owns how the parts are joined; it must never do what a workflow file doesn't say.
package town

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rastup/rekey"
	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	consumer "github.com/rastup/rekey/internal/sandbox/app"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/sts"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

// Repository is the company's.
const Repository = "rastup/shop"

// Options of a Town.
type Options struct {
	Root  string            // a folder for checkouts, runner files and nothing else
	Start time.Time         // of Clock
	Clock Clock             // nil: one that moves only when it is told to
	Files map[string]string // the repository's; ENDPOINT stands for the application's address
	Pick  func(n int) int   // see workflow.Options
	// Wrap changes how a step is done: a runner that dies, an answer that is lost. nil: as it is.
	Wrap func(workflow.Do) workflow.Do
	// Log sees what a step printed, after it ended.
	Log func(s workflow.Step, text string, err error)
	// Transport makes what leads a step's calls to AWS and to GitHub, given what reaches them; nil: that itself.
	Transport func(s workflow.Step, to http.RoundTripper) (aws, hub http.RoundTripper)
	Within    bool           // services answer within this process, without a port: what a bubble of time needs
	GitHub    github.Options // Repository is set
	// KeepApprovals and Secrets: see workflow.Options.
	KeepApprovals bool
	Secrets       map[string]map[string]string
}

// A Clock is the town's time. It moves, whether or not it goes on by itself.
type Clock interface {
	apply.Clock
	Move(time.Duration)
}

// A Town lives until its context ends.
type Town struct {
	o        Options
	AWS      *sandbox.World
	Scenario sandbox.Scenario
	App      *consumer.App
	GitHub   *github.Service
	Engine   *workflow.Engine
	Clock    Clock

	reach                    http.RoundTripper
	cloudURL, hubURL, appURL string

	mu     sync.Mutex
	failed error
	steps  int
	alive  map[string]string // checkouts by job
	trees  map[string]string // ... by commit
	ended  <-chan struct{}
	hosts  map[string]*host // by the name and port that the company knows
}

// New builds a town: services on loopback, the repository's first commit, people, protected environments.
func New(ctx context.Context, o Options) (*Town, error) {
	if o.Clock == nil {
		o.Clock = sandbox.NewClock(o.Start)
	}
	o.Clock.Move(-97 * 24 * time.Hour)
	t := &Town{o: o, Clock: o.Clock, alive: map[string]string{}, trees: map[string]string{}, hosts: map[string]*host{}, ended: ctx.Done()}
	t.AWS = sandbox.New(t.Clock)
	t.AWS.STS.Outlast()
	var err error
	if t.Scenario, err = sandbox.Seed(t.AWS); err != nil {
		return nil, err
	}
	t.Clock.Move(97 * 24 * time.Hour)
	// The application reads its secret anew for each request: a cache would be adoption, another story.
	t.App = consumer.New(t.AWS, t.Scenario.Secrets, 0)
	o.GitHub.Repository = Repository
	t.GitHub = github.New(t.Clock, o.GitHub)
	if err = t.open(ctx); err != nil {
		return nil, err
	}
	t.federate()
	if t.settle(); t.failed != nil {
		return nil, t.failed
	}
	do := t.do
	if o.Wrap != nil {
		do = o.Wrap(t.do)
	}
	t.Engine = workflow.New(workflow.On(t.GitHub, t.hubURL), do, workflow.Options{Clock: t.Clock, Repository: Repository,
		Server: "https://github.com", API: t.hubURL, Pick: o.Pick, KeepApprovals: o.KeepApprovals, Secrets: o.Secrets, DefaultPermissions: map[string]string{}})
	return t, t.workflows()
}

// settle makes the people, the repository and its environments.
func (t *Town) settle() {
	for login, permission := range map[string]string{"li-pay": "write", "ana-sec": "write", "bo-sre": "write", "root-admin": "admin", "mallory": "read"} {
		t.GitHub.AddUser(login, permission, false)
	}
	files := map[string]string{}
	for path, text := range t.o.Files {
		files[path] = strings.ReplaceAll(text, "ENDPOINT", t.appURL)
	}
	for _, name := range workflowFiles {
		b, _ := rekey.Workflows.ReadFile(name) // embedded: it is there
		files[name] = string(b)
	}
	t.GitHub.Commit("main", "root-admin", "Begin", files)
	t.GitHub.SetEnvironment(github.Environment{Name: "rekey-dev", Branches: []string{"main"}})
	t.GitHub.SetEnvironment(github.Environment{Name: "rekey-stage", Branches: []string{"main"}, Reviewers: []string{"ana-sec", "bo-sre"}})
	t.GitHub.SetEnvironment(github.Environment{Name: "rekey-prod", Branches: []string{"main"}, Reviewers: []string{"ana-sec", "bo-sre"}})
	for _, name := range []string{"rekey-stage-continue", "rekey-prod-continue", "rekey-bot"} {
		t.GitHub.SetEnvironment(github.Environment{Name: name, Branches: []string{"main"}})
	}
}

var workflowFiles = []string{".github/workflows/rotate.yml", ".github/workflows/rotation-plan.yml", ".github/workflows/rotation-overdue.yml", "action.yml"}

func (t *Town) workflows() error {
	for _, name := range workflowFiles[:3] {
		src, err := rekey.Workflows.ReadFile(name)
		if err != nil {
			return err
		}
		w, err := workflow.Load(name, src)
		if err != nil {
			return err
		}
		t.Engine.Add(w)
	}
	return nil
}

const issuer = "token.actions.githubusercontent.com"

// federate lets each job's identity take the roles that are for it, and no other.
func (t *Town) federate() {
	account := t.Scenario.Account
	provider := "arn:aws:iam::" + account + ":oidc-provider/" + issuer
	t.AWS.STS.AddProvider(sts.Provider{ARN: provider, Issuer: "https://" + issuer, Audiences: []string{"sts.amazonaws.com"}, Key: t.GitHub.VerificationKey})
	// admits is a statement for the jobs of a workflow.
	admits := func(workflow string, subjects ...string) string {
		for i, s := range subjects {
			subjects[i] = fmt.Sprintf("%q", "repo:"+Repository+":"+s)
		}
		return fmt.Sprintf(`{"Effect": "Allow", "Principal": {"Federated": %q}, "Action": "sts:AssumeRoleWithWebIdentity",
  "Condition": {"StringEquals": {"%[2]s:aud": "sts.amazonaws.com", "%[2]s:sub": [%[3]s]},
    "StringLike": {"%[2]s:job_workflow_ref": "%[4]s/.github/workflows/%[5]s@*"}}}`, provider, issuer, strings.Join(subjects, ", "), Repository, workflow)
	}
	role := func(name string, statements ...string) {
		policy, err := sts.ParseTrust([]byte(`{"Version": "2012-10-17", "Statement": [` + strings.Join(statements, ", ") + `]}`))
		if err != nil {
			t.failed = err
		}
		t.AWS.STS.AddRole(sts.Role{ARN: "arn:aws:iam::" + account + ":role/" + name, Policy: policy, Trust: []string{t.Scenario.Principal}, MaxSession: 12 * time.Hour, Created: t.Clock.Now()})
	}
	var jobs []string
	for _, env := range t.Scenario.Environments {
		gates := []string{"environment:rekey-" + env, "environment:rekey-" + env + "-continue"}
		role("rekey-"+env, admits("rotate.yml", slices.Clone(gates)...))
		jobs = append(jobs, gates...)
	}
	daily := admits("rotation-overdue.yml", "environment:rekey-bot")
	role("rekey-evidence", admits("rotate.yml", jobs...))
	role("rekey-reader", admits("rotate.yml", "ref:refs/heads/main"), daily)
	role("rekey-preview", admits("rotation-plan.yml", "pull_request"), daily)
	role("rekey-heartbeat", daily)
	for _, name := range []string{"rekey-reader", "rekey-preview", "rekey-evidence"} {
		t.AWS.Deny("arn:aws:sts::"+account+":assumed-role/"+name+"/*", "secretsmanager:GetSecretValue", "*")
		t.AWS.Deny("arn:aws:sts::"+account+":assumed-role/"+name+"/*", "ssm:GetParameter*", "*")
	}
	for _, action := range []string{"s3:PutObject", "s3:DeleteObject", "logs:PutLogEvents"} {
		t.AWS.Deny("arn:aws:sts::"+account+":assumed-role/rekey-reader/*", action, "*")
	}
}

// folder is a fresh folder below the root.
func (t *Town) folder(name string) (string, error) {
	t.mu.Lock()
	t.steps++
	dir := filepath.Join(t.o.Root, fmt.Sprintf("%04d-%s", t.steps, name))
	t.mu.Unlock()
	return dir, os.MkdirAll(dir, 0o755)
}

// Init is `rekey init`, by a person with their own key: it makes the evidence store ready.
func (t *Town) Init(ctx context.Context) error {
	a, err := t.Hand("root-admin")
	if err != nil {
		return err
	}
	_, err = a.Init(ctx)
	return err
}

// Hand is rekey in the hands of a person, at the tip of the default branch.
func (t *Town) Hand(login string) (*app.App, error) {
	if err := t.checkout(workflow.Step{With: map[string]string{"ref": "main"}, JobName: "hand of " + login}); err != nil {
		return nil, err
	}
	t.mu.Lock()
	root := t.alive[job(workflow.Step{JobName: "hand of " + login})]
	nonce := fmt.Sprint("hand ", t.steps)
	t.mu.Unlock()
	a := app.New(app.World{Root: root, Config: config.DefaultPath, Actor: login, Program: "by hand", Clock: t.Clock,
		Self: rotation.Runner{ID: "the machine of " + login, Nonce: nonce}, Lookup: func(string) (string, bool) { return "", false },
		Services: t.Services(), Dial: t.Dial,
		Cloud: cloud.Options{Endpoint: t.cloudURL, Transport: t.reach, Credentials: credentials.NewStaticCredentialsProvider(sandbox.AccessKeyID, sandbox.SecretAccessKey, "")}})
	if found := a.Load(); found.Len() > 0 {
		return nil, fmt.Errorf("the town's own files: %s", found)
	}
	return a, nil
}
