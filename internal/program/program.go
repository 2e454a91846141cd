// Package program is a command as people write it down in registry and configuration: a list of arguments without a
// shell, the variables it gets, where it runs. It owns which of them it may have, and makes of them what package child
// runs. It must never give a command a variable by which it could act as the job.
package program

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/redact"
	"github.com/rastup/rekey/internal/rotation"
)

// DefaultEnv is the variables that every command gets, as far as this process has them.
var DefaultEnv = []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"}

// A Program is what to run.
type Program struct {
	Run []string          // the program and its arguments
	Env []string          // names of variables that it gets from this process
	Set map[string]string // variables that it gets besides
	Dir string            // in the repository; "" is its root

	Called string // what texts call it; "" is the command as it is
}

// A Place is where programs run.
type Place struct {
	Checkout string                                     // absolute path of the repository's checkout
	Lookup   func(name string) (value string, set bool) // this process's environment variables
	Redact   *redact.Set                                // knows the secrets of this process, and is told values that are secret by their name
	Now      func() time.Time
}

var (
	variable   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	secretName = regexp.MustCompile(`(?i)(token|secret|passw|pwd|api_?key|private_?key|access_?key|credential)`)
)

// withheld says why no command may be given a variable; "" when it may. It holds when a program runs as well: a plan
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

// CheckArgs reports what can't be right of a program and its arguments that were written at a field.
func CheckArgs(r *problem.Report, field string, args []string) {
	if r.Has(field) && (len(args) == 0 || strings.TrimSpace(args[0]) == "") {
		r.Add(field, "command", `write it like [npm, test, --, "security:smoke"]`, "%s names no program", field)
	}
	if len(args) == 1 && strings.ContainsAny(args[0], " \t") {
		r.Add(field+"[0]", "command", "make each argument an item of the list: there is no shell that would split it",
			"the program %s has white space in its name", problem.Quote(args[0]))
	}
	for i, a := range args {
		if strings.ContainsRune(a, 0) {
			r.Add(fmt.Sprintf("%s[%d]", field, i), "command", "", "an argument can't hold a zero byte")
		}
	}
}

// Check reports what can't be right wherever it runs.
func (p Program) Check(r *problem.Report) {
	CheckArgs(r, "run", p.Run)
	for i, name := range p.Env {
		field := fmt.Sprintf("env[%d]", i)
		if why := withheld(name); why != "" {
			r.Add(field, "variable", "leave it out", "%s %s", problem.Quote(name), why)
		} else if _, twice := p.Set[name]; twice || slices.Contains(p.Env[:i], name) {
			r.Add(field, "variable", "keep one of the two", "%s is given twice", problem.Quote(name))
		}
	}
	for name, value := range p.Set {
		checkSet(r, name, value)
	}
	if p.Dir != "" && !filepath.IsLocal(p.Dir) {
		r.Add("dir", "outside-repository", "write it relative to the repository's root, like tools/smoke", "dir %s is not in the repository", problem.Quote(p.Dir))
	}
}

func checkSet(r *problem.Report, name, value string) {
	switch why := withheld(name); {
	case why != "":
		r.Add("set."+name, "variable", "leave it out", "%s %s", problem.Quote(name), why)
	case secretName.MatchString(name):
		r.Add("set."+name, "secret-in-file", "let the command fetch it itself, with rights of its own", "%s looks like a secret, which doesn't belong in a file", problem.Quote(name))
	case strings.ContainsRune(value, 0):
		r.Add("set."+name, "variable", "", "the value of %s can't hold a zero byte", problem.Quote(name))
	}
}

// Directory is where it runs, links followed. A definite no is a *rotation.Failure.
func (p Program) Directory(at Place) (string, error) {
	root, err := filepath.EvalSymlinks(at.Checkout)
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	if p.Dir == "" {
		return root, nil
	}
	outside := rotation.Failf("name a directory of the repository", "dir %q is not in the repository", p.Dir)
	if !filepath.IsLocal(p.Dir) {
		return "", outside
	}
	path, err := filepath.EvalSymlinks(filepath.Join(root, p.Dir))
	if errors.Is(err, fs.ErrNotExist) {
		return "", rotation.Failf("name a directory of the repository", "there is no directory %q in the repository", p.Dir)
	}
	if err != nil {
		return "", fmt.Errorf("find dir %q: %w", p.Dir, err)
	}
	if rel, err := filepath.Rel(root, path); err != nil || !filepath.IsLocal(rel) {
		return "", outside
	}
	return path, nil
}

// Environ is all the variables it gets, sorted: those it asks for, and what the rotation is. A definite no is a
// *rotation.Failure.
func (p Program) Environ(at Place, plan rotation.Plan) ([]string, error) {
	values := map[string]string{}
	for _, name := range slices.Concat(DefaultEnv, p.Env) {
		if why := withheld(name); why != "" {
			return nil, rotation.Failf("take it out of env", "variable %q %s", name, why)
		}
		if v, ok := at.Lookup(name); ok {
			if values[name] = v; secretName.MatchString(name) {
				at.Redact.Add([]byte(v))
			}
		}
	}
	for name, v := range p.Set {
		if why := withheld(name); why != "" {
			return nil, rotation.Failf("take it out of set", "variable %q %s", name, why)
		}
		values[name] = v
	}
	values["REKEY_ENVIRONMENT"] = plan.Environment
	values["REKEY_SECRET_NAME"] = plan.Secret
	values["REKEY_ROTATION"] = plan.Rotation
	env := make([]string, 0, len(values))
	for name, v := range values {
		env = append(env, name+"="+v)
	}
	slices.Sort(env)
	return env, nil
}

// String is what the command is called, or the command as a person would write it.
func (p Program) String() string {
	if p.Called != "" {
		return p.Called
	}
	words := make([]string, len(p.Run))
	for i, a := range p.Run {
		words[i] = a
		if a == "" || strings.ContainsAny(a, " \t\n\"'`$\\*?#;&|<>(){}[]") {
			words[i] = fmt.Sprintf("%q", a)
		}
	}
	s := strings.Join(words, " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}
