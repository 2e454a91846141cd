package github

import "time"

// A User is whoever did something. Apps, merge queues and Actions itself are bots: they answer for nothing.
type User struct {
	Login string
	Bot   bool
}

// A Commit of the repository.
type Commit struct {
	SHA       string
	Author    User // "" where the address belongs to nobody on GitHub
	Committer User
	At        time.Time // when it was committed, as it says itself
}

// A Pull is a pull request.
type Pull struct {
	Number   int
	URL      string
	Title    string
	State    string // open, closed
	Author   User
	Merged   bool
	MergedAt time.Time
	MergedBy User
	Base     string // branch
	Head     string // commit: what reviews must be about
	HeadRepo string // owner/name; "" where the fork is gone
	Merge    string // commit that the merge made
	Branch   string // of the head
}

// A File is one file of a pull request, as its head has it.
type File struct {
	Path   string
	Status string // added, modified, removed, renamed, ...
	Blob   string // git's SHA-1 of the content at the head
}

// A Review of a pull request. The list has them in order of time.
type Review struct {
	User   User
	State  string // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED, PENDING
	Commit string
	At     time.Time
}

// A Run of a workflow.
type Run struct {
	ID         int64
	URL        string
	Title      string // what the workflow's run-name says, else what GitHub calls it
	Number     int
	Attempt    int
	Event      string // push, schedule, workflow_dispatch
	Branch     string
	SHA        string
	Status     string // queued, in_progress, waiting, pending, requested, completed
	Conclusion string // success, failure, cancelled, ...; "" while not completed
	Actor      User   // who caused it
	Trigger    User   // who started this attempt
	CreatedAt  time.Time
	StartedAt  time.Time // of this attempt
	UpdatedAt  time.Time // of a completed one: not before it ended
}

// A Workflow is a workflow of the repository, as its default branch has it.
type Workflow struct {
	Path  string // in the repository: ".github/workflows/deploy.yml"
	State string // active, deleted, disabled_fork, disabled_inactivity, disabled_manually
}

// A Job of a run's latest attempt.
type Job struct {
	ID          int64
	Name        string // "plan", "prod 1/2"
	Status      string // queued, in_progress, completed, waiting, requested, pending
	Conclusion  string // success, failure, skipped, cancelled, ...
	CreatedAt   time.Time
	StartedAt   time.Time
	CompletedAt time.Time
}

// An Approval is one review of a run's waiting deployments. GitHub keeps neither its time nor the run's attempt.
type Approval struct {
	State        string   // approved, rejected, pending
	User         User     //
	Comment      string   //
	Environments []string // GitHub Environments it is about
}

// An Environment is how a GitHub Environment is protected.
type Environment struct {
	Name          string
	Reviewers     int      // people and teams that may approve; 0: nobody is asked
	Users         []string // the people among them, by login
	PreventSelf   bool     // who started the run can't approve it
	AdminsBypass  bool
	WaitMinutes   int
	ProtectedOnly bool     // only protected branches may deploy
	Branches      []string // patterns that may deploy, where they are named
	Restricted    bool     // some branch rule is there at all
}

// A Comment on an issue or pull request.
type Comment struct {
	ID        int64
	URL       string
	Author    User
	Body      string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// An Issue; pull requests are left out of lists.
type Issue struct {
	Number    int
	URL       string
	Title     string
	Body      string
	State     string // open, closed
	Author    User
	Labels    []string
	Assignees []string
	CreatedAt time.Time
	ClosedAt  time.Time // zero: open
}

// An IssueEvent is something that happened to an issue besides comments: labeled, assigned, closed, mentioned, ...
type IssueEvent struct {
	Kind string
	By   User // who did it; of mentioned and subscribed: whom it happened to
	At   time.Time
}

// A Content is a file at a branch or commit.
type Content struct {
	Text []byte
	Blob string // git's SHA-1
}

// An IssueChange is what EditIssue changes; nil leaves it as it is.
type IssueChange struct {
	Title  *string   `json:"title,omitempty"`
	Body   *string   `json:"body,omitempty"`
	State  *string   `json:"state,omitempty"`        // open, closed
	Reason *string   `json:"state_reason,omitempty"` // completed, not_planned, reopened
	Labels *[]string `json:"labels,omitempty"`       // all it has afterwards
}
