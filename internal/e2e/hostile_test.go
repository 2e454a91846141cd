package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// evil is a value that speaks to the runner in every way there is, as a double-quoted scalar of YAML has it.
const evil = `x\n::set-output name=environments::{}\r\n::add-mask::a\r::stop-commands::b%0A::error file=c::d\n##[add-path]/tmp\n` +
	`environments<<E\n_GitHubActionsFileCommandDelimeter_\nexpired=[1]\u2028::warning::e\u0085::notice::f\b\e[31m`

var hostileTrees = map[string]map[string]string{
	"a request": {"rotations/2026/11/2026-11-23-a.yaml": "secret: \"" + evil + "\"\nticket: \"" + evil + "\"\nreason: \"" + evil + "\"\nenvironments: [\"" + evil + "\"]\nwindow: {\"" + evil + "\": \"" + evil + "\"}\n\"" + evil + "\": 1\n"},
	"file names": {"rotations/2026/11/2026-11-23-b,line=9,title=x::error::y%0A::z.yaml": "secret: nothing\n",
		"rotations/2026/11/2026-11-23-c\n::set-output name=a::b\r.yaml": "secret: nothing\n", "rotations/2026/11/##[set-output name=a]b.yaml": "a\n"},
	"a broken file": {"rotations/2026/11/2026-11-23-d.yaml": "\"" + evil + "\n::error::x\n- [\n", "rotations/2026/11/2026-11-23-e.yaml": "a: *" + "::error::x\n"},
	"a registry": {"ops/config/registry.md": "| Secret | Kind | Owner | Interval | Tags |\n|---|---|---|---|---|\n" +
		"| ::set-output name=a::b | ##[add-path]/tmp | @x::error::y | %0A::add-mask::x | a<br>::error::b |\n" +
		"| environments<<E | secretsmanager | @me | 90 days | x |\n\n## environments<<E\n\n```yaml\n\"" + evil + "\": {target: {secret: \"" + evil + "\", \"" + evil + "\": 1}}\n```\n"},
	"house rules": {".github/rekey.yml": "environments: [{name: \"" + evil + "\", role: \"" + evil + "\", \"" + evil + "\": 1}]\n\"" + evil + "\": 2\n"},
	"all good but one owner": {"ops/config/registry.md": table + "```yaml\ndev:\n  target: {secret: rekey/dev/app-database, key: password}\n```\n" +
		"| Secret | Kind | Owner | Interval |\n|---|---|---|---|\n| other/one | secretsmanager | \"@x::error::y ##[error]z\" | 90 days |\n"},
}

// TestWhatPeopleWroteDoesNotSpeakToTheRunner has each job read files that people may bring by a pull request: what the
// runner makes of it is annotations, each at a file that is there, and nothing else.
func TestWhatPeopleWroteDoesNotSpeakToTheRunner(t *testing.T) {
	for name, files := range hostileTrees {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &listener{issued: map[string]string{}}
			c := found(t, "", nil, l.wrap)
			c.all = true
			_, err := c.OpenPull(t.Context(), "li-pay", "Harmless", "", files, false)
			c.ok(err)
			c.GitHub.Commit("main", "li-pay", "Merged all the same", files)
			c.ok(c.Schedule(t.Context()))
			if len(c.ran) < 2 {
				t.Fatalf("%d processes", len(c.ran))
			}
			errors := 0
			for _, r := range c.ran {
				all, stopped := runnerCommands(r.out)
				if stopped != "" || strings.Contains(r.out, "panic: ") {
					t.Errorf("%s ended while commands were stopped, or panicked:\n%s", r.step.JobName, r.out)
				}
				for _, said := range all {
					if said.name == "error" {
						errors++
					}
					if !slices.Contains([]string{"group", "endgroup", "error", "warning", "notice"}, said.name) {
						t.Errorf("%s tells the runner %s %v %q", r.step.JobName, said.name, said.properties, said.data)
					}
					for property, value := range said.properties {
						if file := property == "file"; !slices.Contains([]string{"file", "line", "col", "title"}, property) || file && !there(c.GitHub.Files("main"), value) {
							t.Errorf("%s has the property %s %q", said.name, property, value)
						}
					}
				}
				c.files(r)
			}
			if errors == 0 && name != "all good but one owner" {
				t.Errorf("nothing is wrong with it:\n%s", c.story())
			}
		})
	}
}

// there says whether a file is meant that people wrote: a line break in its name may be shown otherwise.
func there(files map[string]string, name string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(f string) bool {
		return f == name || strings.ContainsAny(f, "\r\n") && strings.HasPrefix(name, f[:strings.IndexAny(f, "\r\n")])
	})
}

// files holds that a process set the outputs of its command, and nothing else.
func (c *company) files(r ran) {
	c.t.Helper()
	for variable, file := range commandFiles {
		path := filepath.Join(r.folder, "temp", "_runner_file_commands", file)
		b, err := os.ReadFile(path)
		c.ok(err)
		switch variable {
		case "GITHUB_STEP_SUMMARY":
		case "GITHUB_OUTPUT":
			pairs, err := readPairs(path)
			c.ok(err)
			for name, value := range pairs {
				if strings.ContainsAny(value, "\r\n") {
					c.t.Errorf("%s has an output %s of several lines", r.step.JobName, name)
				}
			}
			want := "[]"
			if r.step.With["command"] == "due" && r.code == 0 {
				want = "[continue environments expired]"
			}
			if names := fmt.Sprint(slices.Sorted(maps.Keys(pairs))); names != want {
				c.t.Errorf("%s has the outputs %s, not %s", r.step.JobName, names, want)
			}
		default:
			if len(b) > 0 {
				c.t.Errorf("%s wrote into %s: %q", r.step.JobName, variable, b)
			}
		}
	}
}
