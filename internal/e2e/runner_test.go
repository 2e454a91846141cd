package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// This is how GitHub's runner reads what a step says. Source: github.com/actions/runner, src/Runner.Common/ActionCommand.cs,
// src/Runner.Worker/ActionCommandManager.cs and FileCommandManager.cs.

// registered are the commands that the runner knows.
var registered = []string{"stop-commands", "internal-set-repo-path", "set-env", "set-output", "save-state", "add-mask", "add-path", "add-matcher", "remove-matcher",
	"debug", "warning", "error", "notice", "group", "endgroup", "echo"}

// A said command is one the runner would carry out.
type saidCommand struct {
	name       string
	properties map[string]string
	data       string
}

// runnerCommands are what the runner would do on a step's output; stopped is the token that it would still wait for.
func runnerCommands(out string) (all []saidCommand, stopped string) {
	known := func(name string) bool {
		return slices.ContainsFunc(registered, func(r string) bool { return strings.EqualFold(r, name) }) || stopped != "" && strings.EqualFold(name, stopped)
	}
	// The runner reads lines as .NET's StreamReader does: each of LF, CR and CRLF ends one.
	lines := strings.FieldsFunc(out, func(r rune) bool { return r == '\n' || r == '\r' })
	for _, line := range lines {
		c, ok := newCommand(line, known)
		if !ok {
			c, ok = oldCommand(line, known)
		}
		switch {
		case !ok:
		case stopped != "":
			if strings.EqualFold(c.name, stopped) {
				stopped = ""
			}
		case strings.EqualFold(c.name, "stop-commands"):
			stopped = c.data
		default:
			all = append(all, c)
		}
	}
	return all, stopped
}

// newCommand is ::name key=value,key=value::data, behind any white space.
func newCommand(line string, known func(string) bool) (saidCommand, bool) {
	rest, ok := strings.CutPrefix(strings.TrimLeftFunc(line, unicode.IsSpace), "::")
	if !ok {
		return saidCommand{}, false
	}
	info, data, ok := strings.Cut(rest, "::")
	if !ok {
		return saidCommand{}, false
	}
	return command(info, ",", strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%"),
		strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%").Replace(data), known)
}

// oldCommand is ##[name key=value;key=value]data, anywhere in a line.
func oldCommand(line string, known func(string) bool) (saidCommand, bool) {
	_, rest, ok := strings.Cut(line, "##[")
	if !ok {
		return saidCommand{}, false
	}
	info, data, ok := strings.Cut(rest, "]")
	if !ok {
		return saidCommand{}, false
	}
	return command(info, ";", strings.NewReplacer("%3B", ";", "%0D", "\r", "%0A", "\n", "%5D", "]", "%25", "%"), data, known)
}

func command(info, separator string, unescape *strings.Replacer, data string, known func(string) bool) (saidCommand, bool) {
	name, properties, _ := strings.Cut(info, " ")
	if !known(name) {
		return saidCommand{}, false
	}
	c := saidCommand{name: name, data: data, properties: map[string]string{}}
	for pair := range strings.SplitSeq(strings.TrimSpace(properties), separator) {
		if key, value, ok := strings.Cut(pair, "="); ok && key != "" && value != "" {
			c.properties[key] = unescape.Replace(value)
		}
	}
	return c, true
}

// readPairs is a file of outputs, variables or states: NAME=VALUE, or NAME<<END, lines, END. Only LF ends a line.
func readPairs(file string) (map[string]string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pairs := map[string]string{}
	lines := strings.SplitAfter(string(b), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSuffix(lines[i], "\n")
		equals, here := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case line == "":
		case equals >= 0 && (here < 0 || equals < here):
			pairs[line[:equals]] = line[equals+1:]
		case here > 0 && line[here+2:] != "":
			end, value := line[here+2:], ""
			for i++; i < len(lines) && strings.TrimSuffix(lines[i], "\n") != end; i++ {
				value += lines[i]
			}
			if i == len(lines) {
				return pairs, fmt.Errorf("%s: no line %q ends %q", file, end, line[:here])
			}
			pairs[line[:here]] = strings.TrimSuffix(value, "\n")
		default:
			return pairs, fmt.Errorf("%s: bad line %q", file, line)
		}
	}
	return pairs, nil
}

// TestTheRunnersReaderReads holds that the tests below would see what the runner sees.
func TestTheRunnersReaderReads(t *testing.T) {
	for out, want := range map[string]string{
		"::error file=a%2Cb,line=1::x%0Ay":                       "error map[file:a,b line:1] \"x\\ny\"",
		" \u00a0\u2028::add-mask::x":                             "add-mask map[] \"x\"",
		"see ##[set-output name=a;]b":                            "set-output map[name:a] \"b\"",
		"x\r::SET-ENV name=A::b":                                 "SET-ENV map[name:A] \"b\"",
		"::stop-commands::t\n::error::x\n::T::\n::warning::y":    "warning map[] \"y\"",
		"::stop-commands::t\n::error::x\n::notice::y":            "",
		"::nothing::x\n:: error::x\n:error::x\n::error x\n##[x]": "",
	} {
		all, _ := runnerCommands(out)
		got := ""
		for _, c := range all {
			got += fmt.Sprintf("%s %v %q", c.name, c.properties, c.data)
		}
		if got != want {
			t.Errorf("%q is read as %s, not %s", out, got, want)
		}
	}
	file := t.TempDir() + "/f"
	if err := os.WriteFile(file, []byte("a=b<<c\nd<<E\n1\r\n\n2=3\nE\n\ne<<E\nE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readPairs(file); err != nil || fmt.Sprintf("%q", got) != `map["a":"b<<c" "d":"1\r\n\n2=3" "e":""]` {
		t.Errorf("%q, %v", got, err)
	}
}
