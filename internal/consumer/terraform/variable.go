package terraform

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// A setting is where the repository gives the variable its value.
type setting struct {
	file  string // in the repository
	line  int
	value string
	json  bool
}

func (s setting) at() string { return fmt.Sprintf("%s:%d", s.file, s.line) }

// as is the line as it should be, to be copied.
func (c call) as(s setting, value string) string {
	if s.json {
		return fmt.Sprintf("%q: %q", c.Variable, value)
	}
	return fmt.Sprintf("%s = %q", c.Variable, value)
}

// loaded says whether terraform loads a file of variables by itself, which it does in the root module's directory only.
func loaded(name string) bool {
	return !strings.Contains(name, "/") && (name == "terraform.tfvars" || name == "terraform.tfvars.json" ||
		strings.HasSuffix(name, ".auto.tfvars") || strings.HasSuffix(name, ".auto.tfvars.json"))
}

// order is the files of variables in the order in which later ones win: terraform.tfvars, terraform.tfvars.json, the
// *.auto ones by name, what is handed over (Terraform's documentation, "Assign values to input variables").
func (c call) order(root *os.Root) ([]string, error) {
	entries, err := fs.ReadDir(root.FS(), path.Clean(c.file("."))) // sorted by name
	if err != nil {
		return nil, err
	}
	var auto []string
	for _, e := range entries {
		if loaded(e.Name()) && !strings.HasPrefix(e.Name(), "terraform.tfvars") {
			auto = append(auto, e.Name())
		}
	}
	var all []string
	for _, name := range []string{"terraform.tfvars", "terraform.tfvars.json"} {
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name }) {
			all = append(all, name)
		}
	}
	return slices.Concat(all, auto, c.handed()), nil
}

// handed are the files that terraform is told of.
func (c call) handed() []string {
	all := slices.Clone(c.VarFiles)
	if !loaded(c.VarFile) {
		all = append(all, c.VarFile)
	}
	return all
}

// setting reads what the checkout says of the variable. A definite no is a *rotation.Failure.
func (h *handler) setting(c call) (setting, error) {
	root, err := os.OpenRoot(h.Programs.Checkout)
	if err != nil {
		return setting{}, fmt.Errorf("open the checkout: %w", err)
	}
	defer root.Close()
	files, err := c.order(root)
	if errors.Is(err, fs.ErrNotExist) {
		return setting{}, rotation.Failf("name a directory of the repository", "there is no directory %q in the repository", c.Dir)
	}
	if err != nil {
		return setting{}, fmt.Errorf("look for files of variables: %w", err)
	}
	var found setting
	for _, name := range files {
		s, ok, err := c.read(root, name)
		if err != nil {
			return setting{}, err
		}
		if ok {
			found = s
		}
	}
	switch want := c.file(c.VarFile); {
	case !slices.Contains(files, c.VarFile):
		return setting{}, rotation.Failf("check dir and var_file", "there is no %s", want)
	case found.file == "":
		return setting{}, rotation.Failf("set it there", "%s gives %s no value", want, c.Variable)
	case found.file != want:
		return setting{}, rotation.Failf("set it in one of them only, and name that as var_file", "%s of %s comes from %s, which is read after %s", c.Variable, c.Dir, found.at(), want)
	}
	return found, nil
}

// read is what one file says.
func (c call) read(root *os.Root, name string) (setting, bool, error) {
	s := setting{file: c.file(name), json: strings.HasSuffix(name, ".json")}
	f, err := root.Open(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return setting{}, false, rotation.Failf("check dir, var_file and var_files", "there is no %s", s.file)
	}
	if err != nil { // such as a link that leads out of the repository
		return setting{}, false, rotation.Failf("name a file of the repository", "%s can't be read as a file of the repository", s.file)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, 4<<20))
	if err != nil {
		return setting{}, false, fmt.Errorf("read %s: %w", s.file, err)
	}
	parse := hclparse.NewParser().ParseHCL
	if s.json {
		parse = hclparse.NewParser().ParseJSON
	}
	file, bad := parse(src, s.file)
	var all hcl.Attributes
	if !bad.HasErrors() {
		all, bad = file.Body.JustAttributes()
	}
	if bad.HasErrors() { // its detail may quote the file
		where := s.file
		if d := bad.Errs()[0].(*hcl.Diagnostic); d.Subject != nil {
			where = fmt.Sprintf("%s:%d:%d", s.file, d.Subject.Start.Line, d.Subject.Start.Column)
		}
		return setting{}, false, rotation.Failf("see terraform validate", "%s: %s", where, problem.Plain(bad[0].Summary))
	}
	attr := all[c.Variable]
	if attr == nil {
		return setting{}, false, nil
	}
	s.line = attr.Range.Start.Line
	v, bad := attr.Expr.Value(nil)
	if bad.HasErrors() || !v.IsWhollyKnown() || v.IsNull() || v.Type() != cty.String {
		return setting{}, false, rotation.Failf("a version is written there as a string", "%s: %s is no string", s.at(), c.Variable)
	}
	s.value = v.AsString()
	return s, true, nil
}
