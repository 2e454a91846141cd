package secretsmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// Bounds of a Command.
const (
	DefaultWithin = rotation.Duration(time.Minute)
	MostWithin    = rotation.Duration(5 * time.Minute) // within create's deadline, twice
)

const factRuns = "runs" // how often the command was begun, recorded before each time

// A Command makes new values. It says {"value": "..."} on standard output, and gets REKEY_TOKEN: asked again under the
// same token, because its answer was lost, it should answer the same.
type Command struct {
	// Run is the program and its arguments, as a list: there is no shell, so that nothing in it is expanded.
	Run []string `json:"run" yaml:"run" rekey:"required" jsonschema:"required,minItems=1"`
	// Env names variables that the command gets from the job, beside PATH, HOME, LANG, LC_ALL, TZ and TMPDIR.
	Env []string `json:"env,omitempty" yaml:"env"`
	// Set gives the command variables with the values written here. No secret belongs here.
	Set map[string]string `json:"set,omitempty" yaml:"set"`
	// Dir is where it runs, in the repository. Default: its root.
	Dir string `json:"dir,omitempty" yaml:"dir"`
	// Within is how long it may take, at most 5m. Default: 1m.
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
}

// Check reports what can't be right wherever it runs.
func (c *Command) Check(r *problem.Report) {
	c.program().Check(r)
	if c.Within < 0 || c.Within > MostWithin {
		r.Add("within", "out-of-range", "give it at most 5m: a secret waits for it", "within isn't between 0 and 5 minutes")
	}
}

func (c *Command) program() program.Program {
	return program.Program{Run: c.Run, Env: c.Env, Set: c.Set, Dir: c.Dir}
}

func (c *Command) limit() time.Duration {
	if c.Within == 0 {
		return time.Duration(DefaultWithin)
	}
	return time.Duration(c.Within)
}

// command makes values by running one.
type command struct {
	*Command
	key  string // of the JSON value that is rotated
	deps kind.Deps
	past rotation.Past
	runs *program.Runs
}

func (c command) fit(secret.Value) ([]rotation.File, error) {
	claim, _ := c.past.Claim()
	return nil, c.program().Findable(c.deps.Programs, claim.Plan)
}

func (c command) next(ctx context.Context, _ secret.Value) (secret.Value, error) {
	token := c.past.Token("create", staging.Token)
	if run := c.runs.Begin(token, c.past.Fact("create", factRuns)); run != "" {
		return secret.Value{}, notYet{factRuns: run}
	}
	claim, _ := c.past.Claim()
	if err := c.program().Pass(ctx, c.limit()); err != nil {
		return secret.Value{}, err
	}
	a, err := c.program().Ask(ctx, c.deps.Programs, claim.Plan, c.limit(), "REKEY_TOKEN="+token)
	v, answered := c.read(a.Bytes)
	var f *rotation.Failure
	switch {
	case errors.As(err, &f):
		if said := a.Said(c.deps.Programs); said != "" {
			f = &rotation.Failure{Msg: f.Msg + "; it said: " + said, Hint: f.Hint}
		}
		return secret.Value{}, f
	case err != nil:
		return secret.Value{}, err
	}
	return v, answered
}

// read is the value in an answer. All of the answer is announced as secret before anything is made of it, and nothing of
// it is quoted.
func (c command) read(answer []byte) (secret.Value, error) {
	answer = bytes.TrimSpace(answer)
	if len(answer) > 0 {
		c.deps.Keep.Known(answer)
	}
	const hint = `it must print {"value": "..."}, and nothing else, on standard output`
	var doc struct {
		Value json.RawMessage `json:"value"`
	}
	dec := json.NewDecoder(bytes.NewReader(answer))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return secret.Value{}, rotation.Failf(hint, "%s answered with something else than a JSON object with the key value", c.program())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return secret.Value{}, rotation.Failf(hint, "%s answered with more than a JSON object", c.program())
	}
	var text string
	switch {
	case json.Unmarshal(doc.Value, &text) == nil && text != "":
		return c.deps.Keep.Known([]byte(text)), nil
	case len(doc.Value) > 0 && doc.Value[0] == '{' && c.key == "": // a whole document
		return c.deps.Keep.Known(doc.Value), nil
	}
	return secret.Value{}, rotation.Failf(hint, "the value that %s answered with is empty, or no string", c.program())
}

func (c command) prove(secret.Value, secret.Value) (string, []rotation.File, error) {
	return fmt.Sprintf("made by %s, differs from the old value; that it works is for the checks to show", c.program()), nil, nil
}

// notYet is a run that isn't on record.
type notYet map[string]string

func (notYet) Error() string { return "the command's run isn't on record yet" }

func (n notYet) result() rotation.Result {
	return rotation.Result{Facts: n, Wait: "the command's run to be on record before it begins"}
}

// often tells of runs whose answers were lost.
func often(past rotation.Past) string {
	n, _ := strconv.Atoi(past.Fact("create", factRuns))
	if n < 2 {
		return ""
	}
	return fmt.Sprintf("; the command was begun %d times with REKEY_TOKEN %s: unless it answers the same for the same, what it made before is still there", n, past.Token("create", staging.Token))
}

// elsewhere tells of what a command may have made where only it can undo it.
func elsewhere(past rotation.Past) string {
	if past.Fact("create", factRuns) == "" {
		return ""
	}
	return "; what the command made elsewhere with REKEY_TOKEN " + past.Token("create", staging.Token) + " is to be revoked there"
}
