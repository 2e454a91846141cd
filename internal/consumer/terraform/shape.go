// Package terraform is the consumer for what Terraform or OpenTofu deploys, when one of its variables says which version of
// a secret to use. It plans with the new version, shows what would change, applies just that plan, and on the way back does
// the same with the old version.
//
// The checkout is never written, nor anything beside it: the variable's value comes by a file of its own, and what
// terraform keeps lies in a folder that is gone afterwards. State and plans hold secrets: of what terraform says, only
// addresses, actions and diagnostics are read, and a plan is never kept. It must never apply a plan that does more than
// what preflight foresaw, nor one that destroys, nor take away anybody's lock.
package terraform

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/program"
	"github.com/rastup/rekey/internal/rotation"
)

// Defaults and bounds of a Shape.
const (
	DefaultBinary = "terraform"
	DefaultWithin = rotation.Duration(20 * time.Minute)
	LeastWithin   = rotation.Duration(time.Minute)
	MostWithin    = rotation.Duration(2 * time.Hour)
)

// Consumer is this consumer's line in the table.
func Consumer() consumer.Consumer {
	return consumer.Consumer{Name: "terraform", Shape: func() consumer.Shape { return new(Shape) }, New: New}
}

// A Shape says which variable of which configuration says which version to use.
type Shape struct {
	// Dir is the root module's directory, in the repository.
	Dir string `json:"dir" yaml:"dir" rekey:"required" jsonschema:"required"`
	// VarFile is the file that gives the variable its value, seen from dir: a .tfvars or .tfvars.json file. One that
	// terraform doesn't load by itself is handed to it.
	VarFile string `json:"var_file" yaml:"var_file" rekey:"required" jsonschema:"required"`
	// VarFiles are more files that are handed to terraform, before var_file.
	VarFiles []string `json:"var_files,omitempty" yaml:"var_files"`
	// Variable is the name of the variable.
	Variable string `json:"variable" yaml:"variable" rekey:"required" jsonschema:"required"`
	// Holds is what the variable holds: version, the ID of the secret's version (the default), or arn, that version's ARN as
	// ECS takes it (arn:…:::VERSION), of a KMS key the key's.
	Holds string `json:"holds,omitempty" yaml:"holds" jsonschema:"enum=version,enum=arn"`
	// Replace lists the addresses of resources that may be replaced, such as aws_ecs_task_definition.web. One without the
	// keys of its instances stands for all of them.
	Replace []string `json:"replace,omitempty" yaml:"replace"`
	// Binary is terraform (the default) or tofu.
	Binary string `json:"binary,omitempty" yaml:"binary" jsonschema:"enum=terraform,enum=tofu"`
	// Workspace is the workspace. Default: default.
	Workspace string `json:"workspace,omitempty" yaml:"workspace"`
	// BackendConfig are files with the rest of the backend's configuration, seen from dir, for init.
	BackendConfig []string `json:"backend_config,omitempty" yaml:"backend_config"`
	// Env names variables that terraform gets from the job, beside PATH, HOME, LANG, LC_ALL, TZ and TMPDIR.
	Env []string `json:"env,omitempty" yaml:"env"`
	// Set gives terraform variables of the environment with the values written here, such as AWS_PROFILE. No secret belongs here.
	Set map[string]string `json:"set,omitempty" yaml:"set"`
	// Within is how long one plan, and one apply, may take, at least 1m and at most 2h. Default: 20m.
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
}

func (s *Shape) limit() time.Duration {
	if s.Within == 0 {
		return time.Duration(DefaultWithin)
	}
	return time.Duration(s.Within)
}

// Deadline is for a plan and an apply.
func (s *Shape) Deadline() rotation.Duration { return rotation.Duration(2 * s.limit()) }

func (s *Shape) binary() string {
	if s.Binary == "" {
		return DefaultBinary
	}
	return s.Binary
}

// file is a file of the configuration as it is called in the repository.
func (s *Shape) file(name string) string {
	return path.Join(filepath.ToSlash(s.Dir), filepath.ToSlash(name))
}

var (
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	workspace  = regexp.MustCompile(`^[A-Za-z0-9_.~-]{1,90}$`)
	own        = regexp.MustCompile(`^(TF_CLI_ARGS.*|TF_DATA_DIR|TF_LOG.*|TF_WORKSPACE|TF_INPUT|TF_IN_AUTOMATION|CHECKPOINT_DISABLE)$`)
)

// Check reports what can't be right whatever the configuration is.
func (s *Shape) Check(r *problem.Report) {
	program.Program{Env: s.Env, Set: s.Set, Dir: s.Dir}.Check(r)
	if r.Has("dir") && s.Dir == "" {
		r.Add("dir", "outside-repository", "write it relative to the repository's root, like infra/shop; its root is .", "dir is empty")
	}
	for field, name := range s.files() {
		switch {
		case !r.Has(strings.SplitN(field, "[", 2)[0]):
		case name == "" || !filepath.IsLocal(filepath.FromSlash(s.file(name))) || filepath.IsAbs(name):
			r.Add(field, "outside-repository", "write it as seen from dir, like prod.tfvars", "%s is no file of the repository", problem.Quote(name))
		case !strings.HasPrefix(field, "backend_config") && !strings.HasSuffix(name, ".tfvars") && !strings.HasSuffix(name, ".tfvars.json"):
			r.Add(field, "terraform", "name a file whose name ends with .tfvars or .tfvars.json", "%s is no file of variables", problem.Quote(name))
		}
	}
	if r.Has("variable") && !identifier.MatchString(s.Variable) {
		r.Add("variable", "terraform", "write its name alone, such as api_token_version", "%s is no name of a variable", problem.Quote(s.Variable))
	}
	if r.Has("workspace") && !workspace.MatchString(s.Workspace) {
		r.Add("workspace", "terraform", "write its name, such as prod", "%s is no name of a workspace", problem.Quote(s.Workspace))
	}
	for i, name := range s.Env {
		if own.MatchString(name) {
			r.Add(fmt.Sprintf("env[%d]", i), "variable", "leave it out", "%s is set by this program", problem.Quote(name))
		}
	}
	for name := range s.Set {
		if own.MatchString(name) {
			r.Add("set."+name, "variable", "leave it out", "%s is set by this program", problem.Quote(name))
		}
	}
	if s.Within != 0 && (s.Within < LeastWithin || s.Within > MostWithin) {
		r.Add("within", "out-of-range", "give it at least 1m and at most 2h, or leave it out for 20m", "within isn't between a minute and two hours")
	}
}

// files are all files that are named, by field.
func (s *Shape) files() map[string]string {
	all := map[string]string{"var_file": s.VarFile}
	for i, name := range s.VarFiles {
		all[fmt.Sprintf("var_files[%d]", i)] = name
	}
	for i, name := range s.BackendConfig {
		all[fmt.Sprintf("backend_config[%d]", i)] = name
	}
	return all
}
