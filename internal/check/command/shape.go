// Package command is the check that runs a command of the repository and looks at its exit status. The command
// gets no shell, exactly the variables that are named, and none of this program's credentials; its output is kept
// as evidence, redacted and limited. It must never run before the rotation's values are known to the redactor,
// nor outside of a lease, since what it does is its author's business.
package command

import (
	"time"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
)

// Defaults and bounds of a Shape.
const (
	DefaultWithin = rotation.Duration(5 * time.Minute)
	MostWithin    = rotation.Duration(30 * time.Minute)
	MostMaxOutput = 16 << 20 // bytes
)

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

// program is what it runs.
func (s *Shape) program() program.Program {
	return program.Program{Run: s.Run, Env: s.Env, Set: s.Set, Dir: s.Dir}
}

// Check reports what can't be right wherever it runs.
func (s *Shape) Check(r *problem.Report) {
	s.program().Check(r)
	if s.Within > MostWithin {
		r.Add("within", "out-of-range", "give it at most 30m, or split it", "within is longer than 30 minutes")
	}
}
