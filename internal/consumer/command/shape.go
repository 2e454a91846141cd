// Package command is the consumer for what is deployed by a command: cdk, helm, kubectl, a script of the repository. It
// runs that after the new version is the live one, and again on the way back.
//
// What a command does is known to itself only, so it must be one that can be run again: a run whose end nobody saw is
// repeated. That it is about to run is on record before it does. It gets no shell, exactly the variables that are named,
// and which version is live; it must never be given a value, nor one of this program's credentials.
package command

import (
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
)

// Defaults and bounds of a Shape.
const (
	DefaultWithin = rotation.Duration(15 * time.Minute)
	MostWithin    = rotation.Duration(time.Hour)
	DefaultNotYet = 2
)

// Consumer is this consumer's line in the table.
func Consumer() consumer.Consumer {
	return consumer.Consumer{Name: "command", Shape: func() consumer.Shape { return new(Shape) }, New: New}
}

// A Shape says what to run so that the live version is taken up.
type Shape struct {
	// Run deploys with the version that is live: the program and its arguments, as a list. There is no shell, so that
	// nothing in it is expanded. It may be run again after a run whose end was not seen, and must stand that.
	Run []string `json:"run" yaml:"run" rekey:"required" jsonschema:"required,minItems=1"`
	// Back is run instead on the way back, when the old version is the live one again. Default: run.
	Back []string `json:"back,omitempty" yaml:"back" jsonschema:"minItems=1"`
	// Look changes nothing and says by its exit status whether everything runs with the live version: 0, it does; not_yet,
	// not yet; any other, it can't tell.
	Look []string `json:"look,omitempty" yaml:"look" jsonschema:"minItems=1"`
	// NotYet is the exit status by which look says not yet. Default: 2.
	NotYet int `json:"not_yet,omitempty" yaml:"not_yet" jsonschema:"minimum=1,maximum=255"`
	// Diff changes nothing and shows, before a rotation begins, what run would deploy besides. Any exit status but 0 refuses
	// the rotation.
	Diff []string `json:"diff,omitempty" yaml:"diff" jsonschema:"minItems=1"`
	// Env names variables that the commands get from the job, beside PATH, HOME, LANG, LC_ALL, TZ and TMPDIR.
	Env []string `json:"env,omitempty" yaml:"env"`
	// Set gives the commands variables with the values written here. No secret belongs here.
	Set map[string]string `json:"set,omitempty" yaml:"set"`
	// Dir is where they run, in the repository. Default: its root.
	Dir string `json:"dir,omitempty" yaml:"dir"`
	// Within is how long one run may take, at most 1h. Default: 15m.
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
}

func (s *Shape) limit() time.Duration {
	if s.Within == 0 {
		return time.Duration(DefaultWithin)
	}
	return time.Duration(s.Within)
}

func (s *Shape) notYet() int {
	if s.NotYet == 0 {
		return DefaultNotYet
	}
	return s.NotYet
}

// Deadline leaves time to run it once more when the end of the first run was not seen.
func (s *Shape) Deadline() rotation.Duration { return rotation.Duration(2 * s.limit()) }

// program is one of the commands.
func (s *Shape) program(run []string) program.Program {
	return program.Program{Run: run, Env: s.Env, Set: s.Set, Dir: s.Dir}
}

// Check reports what can't be right wherever it runs.
func (s *Shape) Check(r *problem.Report) {
	s.program(s.Run).Check(r)
	for field, args := range map[string][]string{"back": s.Back, "look": s.Look, "diff": s.Diff} {
		program.CheckArgs(r, field, args)
	}
	if r.Has("not_yet") && !r.Has("look") {
		r.Add("not_yet", "command", "leave it out, or say with look how to see what runs", "not_yet without look says nothing")
	}
	if s.Within < 0 || s.Within > MostWithin {
		r.Add("within", "out-of-range", "give it at most 1h, or leave it out for 15m", "within isn't between 0 and an hour")
	}
}
