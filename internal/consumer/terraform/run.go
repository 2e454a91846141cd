package terraform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	// patience is how long one run waits for somebody else's lock.
	patience = 30 * time.Second
	// grace is what an interrupted run has to store its state and give the lock back.
	grace = time.Minute
	// evidence is the name of the file that says what was run, and what it said that holds no value.
	evidence = "terraform.txt"
)

// A bench is a folder for one asking: what terraform keeps, the variable's value, a plan. It is gone afterwards.
type bench struct {
	*handler
	call
	dir  string
	told strings.Builder // for evidence
}

// open makes the folder and initialises the configuration there. Close it.
func (h *handler) open(ctx context.Context, c call) (*bench, error) {
	if err := h.Arm(ctx, c.past); err != nil {
		return nil, fmt.Errorf("learn the rotation's values, so that %s can't print them: %w", c.binary(), err)
	}
	dir, err := os.MkdirTemp("", "rekey-terraform-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for %s: %w", c.binary(), err)
	}
	return &bench{handler: h, call: c, dir: dir}, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

func (b *bench) files() []rotation.File {
	if b.told.Len() == 0 {
		return nil
	}
	data, _ := b.Programs.Kept([]byte(b.told.String()))
	return []rotation.File{{Name: evidence, Data: data}}
}

// why is why terraform did not do it.
func (b *bench) why(p *plan) string {
	if b.Programs.Redact.TooShort() > 0 {
		return "what it said is withheld: a secret known here is too short to be told from ordinary text"
	}
	return b.Programs.Redact.String(p.said())
}

// program is one call of terraform.
func (b *bench) program(args ...string) program.Program {
	return program.Program{Run: append([]string{b.binary()}, args...), Env: b.Env, Set: b.Set, Dir: b.Dir, Called: b.binary() + " " + args[0]}
}

// run runs terraform once. Standard output, which may hold secrets, goes to answer and nowhere else.
func (b *bench) run(ctx context.Context, answer io.Writer, args ...string) (program.End, error) {
	more := []string{"TF_DATA_DIR=" + filepath.Join(b.dir, "data"), "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1"}
	if b.Workspace != "" {
		more = append(more, "TF_WORKSPACE="+b.Workspace)
	}
	claim, _ := b.past.Claim()
	end, err := b.program(args...).Execute(ctx, b.Programs, claim.Plan, program.Limits{Within: b.limit(), Grace: grace}, answer, more...)
	if err != nil {
		return end, err
	}
	fmt.Fprintf(&b.told, "$ %s %s\n%s%s\n", b.binary(), strings.ReplaceAll(strings.Join(args, " "), b.dir, "TMP"), end.Output, end.What)
	if end.TimedOut || end.Signal != "" {
		return end, fmt.Errorf("%s%s", end.What, end.Lines)
	}
	return end, nil
}

var atLeastOne = regexp.MustCompile(`^[1-9][0-9]*\.[0-9]+\.`)

// version is terraform's, which must be 1.0 or newer: older ones know no -json for what is needed here.
func (b *bench) version(ctx context.Context) (string, error) {
	claim, _ := b.past.Claim()
	var missing *rotation.Failure
	if err := b.program("version").Findable(b.Programs, claim.Plan); errors.As(err, &missing) {
		return "", rotation.Failf("have the job install it before, or name another binary", "%s", missing.Msg)
	}
	var out strings.Builder
	end, err := b.run(ctx, &out, "version", "-json")
	if err != nil {
		return "", err
	}
	var v struct {
		Version string `json:"terraform_version"`
	}
	if bad := json.Unmarshal([]byte(out.String()), &v); end.Code != 0 || bad != nil || !atLeastOne.MatchString(v.Version) {
		return "", rotation.Failf("have the job install 1.0 or newer", "%s says no version from 1.0 on%s", b.binary(), end.Lines)
	}
	return v.Version, nil
}

// init gets what the configuration needs, at the versions of its lock file. notInit is that it didn't work.
func (b *bench) init(ctx context.Context) error {
	args := []string{"init", "-input=false", "-no-color", "-lockfile=readonly"}
	for _, name := range b.BackendConfig {
		args = append(args, "-backend-config="+name)
	}
	end, err := b.run(ctx, io.Discard, args...)
	if err == nil && end.Code != 0 {
		err = notInit{end.What + end.Lines}
	}
	return err
}

type notInit struct{ why string }

func (n notInit) Error() string { return n.why }

// A plan is what came of one.
type plan struct {
	events
	code int
}

// plan plans. With out, which is for applying it, the state is locked meanwhile; without, that is a look, which must leave
// nothing behind that blocks others. value "" leaves the variable to the configuration's own files.
func (b *bench) plan(ctx context.Context, value, out string) (*plan, error) {
	args := []string{"plan", "-json", "-detailed-exitcode", "-input=false"}
	for _, name := range b.handed() {
		args = append(args, "-var-file="+name)
	}
	if value != "" {
		doc, err := json.Marshal(map[string]string{b.Variable: value})
		if err != nil {
			return nil, err
		}
		file := filepath.Join(b.dir, "rekey.tfvars.json")
		if err := os.WriteFile(file, doc, 0o600); err != nil {
			return nil, fmt.Errorf("write the variable's value: %w", err)
		}
		args = append(args, "-var-file="+file)
		fmt.Fprintf(&b.told, "%s = %q\n", b.Variable, value)
	}
	if out == "" {
		args = append(args, "-lock=false")
	} else {
		args = append(args, "-lock-timeout="+patience.String(), "-out="+out)
	}
	p := new(plan)
	end, err := b.run(ctx, &p.events, args...)
	if err != nil {
		return nil, err
	}
	p.code = end.Code
	b.tell(p.events)
	switch {
	case p.code == 2 && len(p.changes) == 0:
		p.changes = []string{"change something that is no resource"}
	case p.code != 0 && p.code != 1 && p.code != 2:
		return nil, fmt.Errorf("%s%s", end.What, end.Lines)
	case p.code == 1 && len(p.bad) == 0:
		p.bad = []diagnostic{{Summary: end.What + strings.ReplaceAll(end.Lines, "\n", " ")}}
	}
	return p, nil
}

// tell keeps as evidence what holds no value, and the details of what went wrong.
func (b *bench) tell(e events) {
	for _, change := range e.changes {
		fmt.Fprintf(&b.told, "  %s\n", change)
	}
	for _, d := range e.bad {
		detail := []rune(strings.TrimSpace(d.Detail))
		if len(detail) > 2000 {
			detail = append(detail[:2000], '…')
		}
		fmt.Fprintf(&b.told, "error: %s\n%s\n", d, string(detail))
	}
}

// apply applies a saved plan: nothing else is.
func (b *bench) apply(ctx context.Context, out string) (*plan, error) {
	p := new(plan)
	end, err := b.run(ctx, &p.events, "apply", "-json", "-input=false", "-lock-timeout="+patience.String(), out)
	if err != nil {
		return p, err
	}
	p.code = end.Code
	b.tell(p.events)
	if p.code != 0 && len(p.bad) == 0 {
		p.bad = []diagnostic{{Summary: end.What + strings.ReplaceAll(end.Lines, "\n", " ")}}
	}
	return p, nil
}
