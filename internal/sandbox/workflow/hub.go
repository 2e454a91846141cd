package workflow

import (
	"context"
	"errors"
	"time"
)

// A Clock is the world's time.
type Clock interface{ Now() time.Time }

// A Hub is the GitHub whose runs are played. Its methods may be called at any time but must not call the engine.
type Hub interface {
	Runs
	Gates
	Credentials(Grant) Credentials
	DropToken(token string)
}

// Runs is where runs and jobs are shown.
type Runs interface {
	StartRun(workflow, event, branch, sha, actor string) int64
	RerunBy(run int64, actor string)
	SetJob(run int64, name, status, conclusion string)
	EndRun(run int64, conclusion string)
}

// Gates are GitHub Environments and what people say.
type Gates interface {
	// MayDeploy: branch is the ref without refs/heads/.
	MayDeploy(environment, branch string) bool
	// WaitFor asks the environment's reviewers, and says whether there are any.
	WaitFor(run int64, environment string) bool
	Said(run int64) Said
}

// Said is what people said about a run up to now, over all its attempts.
type Said struct {
	Cancelled bool     // of the present attempt
	Waiting   []string // environments that wait for an answer
	Reviews   []Review // oldest first
}

// A Review is one answer.
type Review struct {
	Environment string
	Rejected    bool
}

// A Grant says what a job's credentials are for.
type Grant struct {
	Run         int64
	Attempt     int
	Job         string // name
	Environment string
	Permissions map[string]string // "contents" is "read"; a scope that isn't there is none
}

// Credentials of a job. The OIDC request is used only where the job has id-token: write.
type Credentials struct {
	Token                       string
	IDTokenURL, IDTokenRequests string // ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN
}

// A Step is handed over to be done.
type Step struct {
	Run         int64
	Attempt     int
	Workflow    string // file name
	Job         string // key
	JobName     string // as GitHub shows it
	Environment string // GitHub Environment of the job; "" where it names none
	ID          string // "" where it has none
	Name        string
	Uses        string            // an action, or
	Script      string            // run:, evaluated
	Shell       string            // "" is the default
	With        map[string]string // by lower-case name
	Env         map[string]string // what the runner sets and env: of workflow, job and step; not INPUT_* and not files' names
	Payload     []byte            // what GITHUB_EVENT_PATH's file holds
	Token       string            // secrets.GITHUB_TOKEN
	Permissions map[string]string // of the token
	Minutes     float64           // timeout-minutes of the step or, less, of the job; 0 is GitHub's 360. Nothing here enforces it
}

// Do does a step. An error makes it a failure; outputs count nevertheless. ctx ends when the step is cancelled.
type Do func(ctx context.Context, s Step) (outputs map[string]string, err error)

// ErrRunnerLost from Do means that the runner died: the job fails at once, without its always() steps.
var ErrRunnerLost = errors.New("the runner lost communication with the server")

// Options of an Engine.
type Options struct {
	Clock              Clock
	Repository         string                       // owner/name
	Server, API        string                       // "" are https://github.com and https://api.github.com
	DefaultPermissions map[string]string            // of a token where the file says nothing; nil is read of contents and packages
	Secrets, Vars      map[string]map[string]string // by GitHub Environment, "" for the repository's
	KeepApprovals      bool                         // a gate that was passed stays passed in re-runs
	Pick               func(n int) int              // which of n jobs that are ready goes on; nil is the first
}
