// Package command is the check that runs a command of the repository and looks at its exit status. The command
// gets no shell, exactly the variables that are named, and none of this program's credentials; its output is kept
// as evidence, redacted and limited. It must never run before the rotation's values are known to the redactor,
// nor outside of a lease, since what it does is its author's business.
package command

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// Defaults and bounds of a Shape.
const (
	DefaultWithin    = rotation.Duration(5 * time.Minute)
	MostWithin       = rotation.Duration(30 * time.Minute)
	DefaultMaxOutput = 256 << 10 // bytes
	MostMaxOutput    = 16 << 20  // bytes
)

// DefaultEnv is the variables that every command gets, as far as this process has them.
var DefaultEnv = []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"}

// Check is this check's line in the table.
func Check() check.Check {
	return check.Check{Name: "command", Shape: func() check.Shape { return new(Shape) }, New: New}
}

// A Shape says what to run, and how it ends when all is well.
type Shape struct {
	// Run is the program and its arguments, as a list: there is no shell, so that nothing in it is expanded.
	Run []string `json:"run" yaml:"run" rekey:"required" jsonschema:"required,minItems=1"`
	// Env names variables that the command gets from the job, beside PATH, HOME, LANG, LC_ALL, TZ and TMPDIR.
	Env []string `json:"env,omitempty" yaml:"env"`
	// Set gives the command variables with the values written here. No secret belongs here.
	Set map[string]string `json:"set,omitempty" yaml:"set"`
	// Dir is where it runs, in the repository. Default: its root.
	Dir string `json:"dir,omitempty" yaml:"dir"`
	// Within is how long it may take, at most 30m. Default: 5m.
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
	// Expect is the exit statuses that are green. Default: 0.
	Expect []int `json:"expect,omitempty" yaml:"expect" jsonschema:"minimum=0,maximum=255"`
	// MaxOutput is how many bytes of its output are kept, of too much the beginning and the end. Default: 262144.
	MaxOutput int64 `json:"max_output,omitempty" yaml:"max_output" jsonschema:"minimum=1024,maximum=16777216"`
}

// limit is Within or its default.
func (s *Shape) limit() time.Duration {
	if s.Within == 0 {
		return time.Duration(DefaultWithin)
	}
	return time.Duration(s.Within)
}

// Deadline leaves time to run it once more when the first run was broken off without an answer.
func (s *Shape) Deadline() rotation.Duration { return rotation.Duration(2 * s.limit()) }

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// withheld says why no command may be given a variable; "" when it may. It holds when a check runs as well: a plan
// may be older than a rule.
func withheld(name string) string {
	up := strings.ToUpper(name)
	switch {
	case !variable.MatchString(name):
		return "is no name of a variable"
	case strings.HasPrefix(up, "REKEY_"):
		return "is set by this program"
	case strings.HasPrefix(up, "ACTIONS_"), slices.Contains([]string{"GITHUB_TOKEN", "GH_TOKEN", "GITHUB_ENV", "GITHUB_OUTPUT",
		"GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"}, up):
		return "would let the command act as the job"
	case slices.Contains([]string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE"}, up),
		strings.HasPrefix(up, "AWS_CONTAINER_"):
		return "would hand the rotation's cloud rights to the command"
	}
	return ""
}

var secretName = regexp.MustCompile(`(?i)(token|secret|passw|pwd|api_?key|private_?key|access_?key|credential)`)

// Check reports what can't be right wherever it runs.
func (s *Shape) Check(r *problem.Report) {
	if r.Has("run") && (len(s.Run) == 0 || strings.TrimSpace(s.Run[0]) == "") {
		r.Add("run", "command", `write it like [npm, test, --, "security:smoke"]`, "run names no program")
	}
	if len(s.Run) == 1 && strings.ContainsAny(s.Run[0], " \t") {
		r.Add("run[0]", "command", "make each argument an item of the list: there is no shell that would split it",
			"the program %s has white space in its name", problem.Quote(s.Run[0]))
	}
	for i, a := range s.Run {
		if strings.ContainsRune(a, 0) {
			r.Add(fmt.Sprintf("run[%d]", i), "command", "", "an argument can't hold a zero byte")
		}
	}
	for i, name := range s.Env {
		field := fmt.Sprintf("env[%d]", i)
		if why := withheld(name); why != "" {
			r.Add(field, "variable", "leave it out", "%s %s", problem.Quote(name), why)
		} else if _, twice := s.Set[name]; twice || slices.Contains(s.Env[:i], name) {
			r.Add(field, "variable", "keep one of the two", "%s is given twice", problem.Quote(name))
		}
	}
	for name, value := range s.Set {
		s.checkSet(r, name, value)
	}
	if s.Dir != "" && !filepath.IsLocal(s.Dir) {
		r.Add("dir", "outside-repository", "write it relative to the repository's root, like tools/smoke", "dir %s is not in the repository", problem.Quote(s.Dir))
	}
	if s.Within > MostWithin {
		r.Add("within", "out-of-range", "give it at most 30m, or split it", "within is longer than 30 minutes")
	}
}

func (s *Shape) checkSet(r *problem.Report, name, value string) {
	switch why := withheld(name); {
	case why != "":
		r.Add("set."+name, "variable", "leave it out", "%s %s", problem.Quote(name), why)
	case secretName.MatchString(name):
		r.Add("set."+name, "secret-in-file", "let the command fetch it itself, with rights of its own", "%s looks like a secret, which doesn't belong in a file", problem.Quote(name))
	case strings.ContainsRune(value, 0):
		r.Add("set."+name, "variable", "", "the value of %s can't hold a zero byte", problem.Quote(name))
	}
}
