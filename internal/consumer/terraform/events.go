package terraform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/problem"
)

// longest is how many bytes one event may have. A longer one is passed over: what is read is never long.
const longest = 1 << 20

// events takes terraform's machine-readable output (plan -json, apply -json: Terraform's documentation, "Machine-Readable
// UI") line by line and keeps of it what holds no value.
type events struct {
	line    []byte
	skip    bool // the rest of a line that is too long
	changes []string
	applied int
	bad     []diagnostic
}

// A diagnostic is why terraform did not do it.
type diagnostic struct {
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
	Address  string `json:"address"`
	Range    *struct {
		Filename string `json:"filename"`
		Start    struct {
			Line int `json:"line"`
		} `json:"start"`
	} `json:"range"`
}

type resource struct {
	Address string `json:"addr"`
}

// An event is one line; a field that isn't here, such as an output's value, isn't read.
type event struct {
	Type   string `json:"type"`
	Change struct {
		Resource resource `json:"resource"`
		Action   string   `json:"action"`
	} `json:"change"`
	Outputs map[string]struct {
		Action string `json:"action"`
	} `json:"outputs"`
	Diagnostic diagnostic `json:"diagnostic"`
}

func (e *events) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		piece, rest, whole := bytes.Cut(b, []byte("\n"))
		if len(e.line)+len(piece) > longest {
			e.skip = true
		}
		if !e.skip {
			e.line = append(e.line, piece...)
		}
		if whole {
			if !e.skip {
				e.take(e.line)
			}
			e.line, e.skip = e.line[:0], false
		}
		b = rest
	}
	return n, nil
}

func (e *events) take(line []byte) {
	var ev event
	if json.Unmarshal(line, &ev) != nil {
		return
	}
	switch ev.Type {
	case "planned_change":
		if ev.Change.Action != "noop" && ev.Change.Action != "read" {
			e.changes = append(e.changes, problem.Plain(ev.Change.Action+" "+ev.Change.Resource.Address))
		}
	case "outputs":
		for name, o := range ev.Outputs {
			if o.Action != "" && o.Action != "noop" {
				e.changes = append(e.changes, problem.Plain(o.Action+" output."+name))
			}
		}
	case "apply_complete":
		e.applied++
	case "diagnostic":
		if ev.Diagnostic.Severity == "error" {
			e.bad = append(e.bad, ev.Diagnostic)
		}
	}
	slices.Sort(e.changes)
}

// String is a diagnostic on one line, without its detail.
func (d diagnostic) String() string {
	s := strings.TrimSuffix(problem.Plain(strings.Join(strings.Fields(d.Summary), " ")), ".")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	var where []string
	if d.Address != "" {
		where = append(where, problem.Plain(d.Address))
	}
	if d.Range != nil && d.Range.Filename != "" {
		where = append(where, fmt.Sprintf("%s:%d", problem.Plain(d.Range.Filename), d.Range.Start.Line))
	}
	if len(where) > 0 {
		s += " (" + strings.Join(where, ", ") + ")"
	}
	return s
}

// said is why it wasn't done, on one line.
func (e *events) said() string {
	var all []string
	for _, d := range e.bad {
		if len(all) == 3 {
			all = append(all, fmt.Sprintf("and %d more", len(e.bad)-3))
			break
		}
		all = append(all, d.String())
	}
	return strings.Join(all, "; ")
}

// What terraform says when somebody else has the state's lock, and when the state changed since a plan was made; OpenTofu
// says the same.
const (
	isLocked = "Error acquiring the state lock"
	isStale  = "Saved plan is stale"
)

func (e *events) is(summary string) (diagnostic, bool) {
	for _, d := range e.bad {
		if d.Summary == summary {
			return d, true
		}
	}
	return diagnostic{}, false
}

var lockLine = regexp.MustCompile(`(?m)^\s*(ID|Operation|Who|Created):[ \t]*(\S.*?)[ \t]*$`)

// holder is who has the lock; false where the diagnostic shows nobody: then the lock couldn't be asked for.
func (d diagnostic) holder() (string, bool) {
	told := map[string]string{}
	for _, m := range lockLine.FindAllStringSubmatch(d.Detail, -1) {
		told[m[1]] = problem.Plain(m[2])
	}
	who := told["Who"]
	if who == "" {
		who = "somebody else"
	}
	created, _, _ := strings.Cut(told["Created"], ".")
	return fmt.Sprintf("%s has it since %s for %s, with the ID %s", who, created, strings.ToLower(strings.TrimPrefix(told["Operation"], "OperationType")), told["ID"]), told["ID"] != ""
}
