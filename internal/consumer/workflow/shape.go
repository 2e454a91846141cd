// Package workflow is the consumer that is a workflow of GitHub Actions, which deploys what runs with the secret. To take
// up a version is one run of it, started by a dispatch with the version's ID, and watched to its end.
//
// The step never starts a run: it records what is to be started (package dispatch), and a job that may write to GitHub
// does that, once. It must never hand a value to a run, only names and IDs, and believe no run but its own.
package workflow

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/dispatch"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// Defaults and bounds of a Shape. The time counts from the promotion, and whether the run has ended is seen by the next
// visit, which an hourly schedule makes up to an hour and a half later.
const (
	DefaultWithin = rotation.Duration(4 * time.Hour)
	LeastWithin   = rotation.Duration(30 * time.Minute)
	MostWithin    = rotation.Duration(24 * time.Hour)
)

// The inputs a run gets besides its key, where its workflow has them.
const (
	inputSecret      = "secret"      // its name in the registry
	inputVersion     = "version"     // the ID of the version that is live, or of a KMS key its ARN
	inputEnvironment = "environment" // its name in the house rules
)

var own = []string{dispatch.KeyInput, inputSecret, inputVersion, inputEnvironment}

// Consumer is this consumer's line in the table.
func Consumer() consumer.Consumer {
	return consumer.Consumer{Name: "workflow", Shape: func() consumer.Shape { return new(Shape) }, New: New}
}

// A Shape says which workflow deploys what runs with the secret.
type Shape struct {
	// Workflow is the file that deploys, such as deploy.yml, in .github/workflows.
	Workflow string `json:"workflow" yaml:"workflow" rekey:"required" jsonschema:"required"`
	// Repository that it is in, as OWNER/NAME. Default: the one of this registry.
	Repository string `json:"repository,omitempty" yaml:"repository"`
	// Ref is the branch or tag it is started at. Default: the repository's default branch.
	Ref string `json:"ref,omitempty" yaml:"ref"`
	// Inputs are more inputs, with the values written here. No secret belongs here.
	Inputs map[string]string `json:"inputs,omitempty" yaml:"inputs"`
	// Within is how long it may take until the run has ended, at least 30m and at most 24h. Default: 4h.
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
}

// Deadline is Within or its default.
func (s *Shape) Deadline() rotation.Duration { return cmp.Or(s.Within, DefaultWithin) }

var (
	fileName       = regexp.MustCompile(`^[A-Za-z0-9_.-]+\.ya?ml$`)
	repositoryName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+$`)
	refName        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./+-]*$`)
	inputName      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
)

// mostText is what GitHub takes of all inputs together (GitHub documentation, events that trigger workflows).
const mostText = 65535

// Check reports what can't be right whatever there is on GitHub.
func (s *Shape) Check(r *problem.Report) {
	if r.Has("workflow") && !fileName.MatchString(s.Workflow) {
		r.Add("workflow", "workflow", "write its file's name alone, such as deploy.yml", "%s is no workflow's file in .github/workflows", problem.Quote(s.Workflow))
	}
	if r.Has("repository") && !repositoryName.MatchString(s.Repository) {
		r.Add("repository", "workflow", "write OWNER/NAME, or leave it out for this repository", "%s is no repository", problem.Quote(s.Repository))
	}
	if ref := s.Ref; r.Has("ref") && (!refName.MatchString(ref) || strings.HasPrefix(ref, "refs/") || strings.Contains(ref, "..")) {
		r.Add("ref", "workflow", "write a branch or tag, such as main, or leave it out for the default branch", "%s is no branch or tag", problem.Quote(ref))
	}
	s.inputs(r)
	switch {
	case s.Within > MostWithin:
		r.Add("within", "out-of-range", "give it at most 24h", "within is longer than a day")
	case s.Within != 0 && s.Within < LeastWithin:
		r.Add("within", "out-of-range", "leave it out for 4h", "within is shorter than half an hour: jobs look for the run's end, and don't come as often")
	}
}

func (s *Shape) inputs(r *problem.Report) {
	size := 0
	for _, name := range slices.Sorted(maps.Keys(s.Inputs)) {
		size += len(name) + len(s.Inputs[name])
		switch {
		case slices.Contains(own, strings.ToLower(name)):
			r.Add("inputs", "workflow", "take it out: every run gets it", "the input %s is Rekey's", problem.Quote(name))
		case !inputName.MatchString(name):
			r.Add("inputs", "workflow", "letters, digits, - and _, not a digit first", "%s is no input's name", problem.Quote(name))
		}
	}
	if n := len(s.Inputs); n > github.MostInputs-len(own) {
		r.Add("inputs", "out-of-range", "GitHub takes 25 in all, four of them Rekey's", "%d inputs are too many", n)
	}
	if size > mostText-1024 { // what Rekey adds is less than the rest
		r.Add("inputs", "out-of-range", "GitHub takes 65,535 characters in all", "the inputs are too long")
	}
}
