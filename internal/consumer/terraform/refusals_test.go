//go:build unix

package terraform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

func TestWhatIsRefused(t *testing.T) {
	resources := func(change func(map[string]fakeResource)) map[string]fakeResource {
		c := map[string]fakeResource{"aws_ecs_service.web": {"var", "update"}, "aws_ecs_task_definition.web": {"var", "replace"}, "aws_sqs_queue.jobs": {"jobs", "update"}}
		change(c)
		return c
	}
	var all strings.Builder
	for _, tt := range []struct {
		name   string
		shape  Shape
		change func(*lab)
		step   string
	}{
		{"no terraform", Shape{}, func(l *lab) { l.ok(os.Remove(filepath.Join(l.path, "terraform"))) }, looked},
		{"no such directory", Shape{}, func(l *lab) { l.ok(os.RemoveAll(filepath.Join(l.root, "infra"))) }, looked},
		{"no such file", Shape{VarFile: "prod.tfvars"}, nil, looked},
		{"no such file that is loaded", Shape{VarFile: "stage.auto.tfvars"}, nil, looked},
		{"a link out of the repository", Shape{VarFile: "prod.tfvars"}, func(l *lab) { l.ok(os.Symlink("/etc/hostname", filepath.Join(l.root, "infra/prod.tfvars"))) }, looked},
		{"no HCL", Shape{}, func(l *lab) { l.write("infra/prod.auto.tfvars", "v = \""+planted+"\nw") }, looked},
		{"no JSON", Shape{VarFile: "prod.tfvars.json"}, func(l *lab) { l.write("infra/prod.tfvars.json", "{\"v\": "+planted+"}") }, looked},
		{"no value", Shape{}, func(l *lab) { l.write("infra/prod.auto.tfvars", "w = 1\n") }, looked},
		{"no string", Shape{}, func(l *lab) { l.write("infra/prod.auto.tfvars", "v = [1]\n") }, looked},
		{"another file wins", Shape{}, func(l *lab) { l.write("infra/z.auto.tfvars.json", `{"v": "x"}`) }, looked},
		{"another version", Shape{}, func(l *lab) { l.merge(planted) }, looked},
		{"a key's version", Shape{}, func(l *lab) { l.kind("", "arn:aws:kms:us-east-1:1:key/a", "arn:aws:kms:us-east-1:1:key/b") }, looked},
		{"init fails", Shape{}, func(l *lab) { l.fail(fakeFault{"init", "error", 0}) }, looked},
		{"plan fails", Shape{}, func(l *lab) { l.fail(fakeFault{"plan", "error", 0}) }, looked},
		{"something is pending", Shape{}, func(l *lab) {
			l.state(map[string]string{"aws_ecs_service.web": "x", "aws_sqs_queue.jobs": "jobs", "gone": "1"})
		}, looked},
		{"nothing depends on it", Shape{}, func(l *lab) {
			l.config(map[string]fakeResource{"aws_sqs_queue.jobs": {"jobs", "update"}})
			l.state(map[string]string{"aws_sqs_queue.jobs": "jobs"})
		}, looked},
		{"it would replace", Shape{Replace: []string{"aws_ecs_task_definition.other"}}, nil, looked},
		{"it would destroy", Shape{}, func(l *lab) {
			l.config(resources(func(c map[string]fakeResource) { c["aws_ecs_service.web"] = fakeResource{"var", "delete"} }))
		}, looked},
		{"it would destroy, as shows once the version is there", Shape{}, func(l *lab) {
			l.write("infra/needs", standIn(oldVersion))
			l.run(looked)
			l.config(resources(func(c map[string]fakeResource) { delete(c, "aws_ecs_service.web") }))
		}, deploy},
		{"somebody changed the configuration since", Shape{}, func(l *lab) {
			l.run(looked)
			l.config(resources(func(c map[string]fakeResource) { c["aws_lambda_function.new"] = fakeResource{"1", "update"} }))
		}, deploy},
		{"another rotation is waiting for its merge", Shape{}, func(l *lab) {
			l.run(looked) // and in its own resources
			l.state(map[string]string{"aws_ecs_service.web": "x", "aws_ecs_task_definition.web": oldVersion, "aws_sqs_queue.jobs": "jobs"})
		}, deploy},
	} {
		l := newLab(t, tt.shape)
		if tt.change != nil {
			tt.change(l)
		}
		before := l.values()
		var f *rotation.Failure
		if err := l.drive(tt.step); !errors.As(err, &f) {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if fmt.Sprint(before) != fmt.Sprint(l.values()) {
			t.Errorf("%s: something was changed", tt.name)
		}
		l.said = l.said[len(l.said)-1:]
		fmt.Fprintf(&all, "%s\n  %s\n", tt.name, strings.ReplaceAll(strings.TrimSpace(l.all()), "\n", "\n  "))
	}
	goldentest.Equal(t, "refusals.txt", all.String())
}

func TestShapes(t *testing.T) {
	var all strings.Builder
	for _, text := range []string{
		"{dir: infra, var_file: prod.auto.tfvars, variable: v}",
		"{dir: ., var_file: env/prod.tfvars.json, var_files: [../common.tfvars], variable: v, holds: arn, binary: tofu, workspace: prod, backend_config: [prod.tfbackend], within: 1h, set: {AWS_PROFILE: deploy}}",
		"{dir: ../infra, var_file: /etc/prod.tfvars, variable: 'a b', within: 1s, workspace: 'a b', binary: pulumi}",
		"{dir: infra, var_file: ../../prod.tfvars, var_files: [x.tf], backend_config: [../../b], variable: v, env: [TF_CLI_ARGS_apply, AWS_SECRET_ACCESS_KEY], set: {TF_LOG: trace, TF_DATA_DIR: a, TF_VAR_db_password: b}}",
		"{}",
	} {
		var found problem.List
		problem.Decode(problem.Source{File: "x.yml", What: "the consumer", Text: []byte(text)}, new(Shape), &found)
		fmt.Fprintf(&all, "%s\n-- %d problems\n%s\n", text, found.Len(), found.String())
	}
	goldentest.Equal(t, "shapes.txt", all.String())
}
