//go:build unix

package terraform

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestMain is terraform where this binary is called so.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "terraform" {
		os.Exit(fake{}.main(os.Args[1:]))
	}
	status := m.Run()
	if made != "" {
		_ = os.RemoveAll(made)
	}
	os.Exit(status)
}

// asTerraform is the fake's file: this binary, or where the race detector is in it, which makes each start cost a second, one
// without. Of a race in the fake itself nothing would come.
func asTerraform(t *testing.T) string {
	t.Helper()
	path, err := self()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var self = sync.OnceValues(func() (string, error) {
	if !racing {
		return os.Executable()
	}
	dir, err := os.MkdirTemp("", "terraform")
	if err != nil {
		return "", err
	}
	made = dir
	path := filepath.Join(dir, "fake")
	if out, err := exec.Command("go", "test", "-c", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go test -c: %w\n%s", err, out)
	}
	return path, nil
})

var made string // folder of that; "" none

// A fake is terraform as far as its exit codes, its events, its locks and its plans go, for resources that hold one value
// each. fake.json in the root module is its configuration; FAKE names a folder for its state, its lock, what it was asked,
// and what is to go wrong.
type fake struct{}

type (
	// fakeResource holds a literal, or the variable where Value is "var".
	fakeResource struct{ Value, On string } // On: what a new value does: update, replace
	fakeState    struct {
		Serial int
		Values map[string]string
	}
	fakePlan struct {
		Serial  int
		Values  map[string]string
		Changes []string
	}
	// fakeFault is what befalls the next call of a command.
	fakeFault struct {
		Command string
		How     string // locked, lockless, error, killed, stale, forgetful
		After   int    // resources that an apply changes before
	}
)

const lockDetail = "Error message: resource temporarily unavailable\nLock Info:\n  ID:        fac22511-6bed-0739-b182-1eefba135ae3\n  Path:      s3://shop/state\n" +
	"  Operation: OperationTypeApply\n  Who:       bo@laptop\n  Version:   1.11.4\n  Created:   2026-11-25 01:58:43.247897978 +0000 UTC\n  Info:      \n\n\nTerraform acquires a state lock"

func at(name string) string { return filepath.Join(os.Getenv("FAKE"), name) }

func load(file string, v any) bool {
	b, err := os.ReadFile(file)
	return err == nil && json.Unmarshal(b, v) == nil
}

func store(file string, v any) {
	b, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		panic(err)
	}
}

func say(v map[string]any) {
	b, _ := json.Marshal(v)
	fmt.Println(string(b))
}

func fails(summary, detail string) int {
	say(map[string]any{"@level": "error", "type": "diagnostic", "diagnostic": map[string]any{"severity": "error", "summary": summary, "detail": detail}})
	return 1
}

func (f fake) main(args []string) int {
	if os.Getenv("TF_IN_AUTOMATION") != "1" || os.Getenv("CHECKPOINT_DISABLE") != "1" || os.Getenv("TF_CLI_ARGS") != "" || os.Getenv("AWS_SESSION_TOKEN") != "" {
		fmt.Fprintln(os.Stderr, "the environment isn't as it should be")
		return 1
	}
	log, _ := os.OpenFile(at("log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	fmt.Fprintln(log, args[0], map[bool]string{true: "unlocked"}[slices.Contains(args, "-lock=false")], os.Getenv("TF_WORKSPACE"))
	for _, a := range args {
		if strings.HasPrefix(a, "-backend-config=") {
			fmt.Fprintln(log, a)
		}
	}
	fmt.Fprintln(os.Stderr, "a warning that quotes "+planted)
	var faults []fakeFault
	load(at("faults"), &faults)
	var fault fakeFault
	if i := slices.IndexFunc(faults, func(f fakeFault) bool { return f.Command == args[0] }); i >= 0 {
		fault = faults[i]
		store(at("faults"), slices.Delete(faults, i, i+1))
	}
	switch {
	case fault.How == "killed" && args[0] != "apply":
		return f.die()
	case fault.How == "lockless":
		return fails(isLocked, "Error message: operation error DynamoDB: PutItem, AccessDeniedException")
	case fault.How == "locked":
		return fails(isLocked, lockDetail)
	case fault.How == "error" && args[0] != "apply":
		fmt.Fprintln(os.Stderr, "Error: no such provider")
		return fails("Reading the version: AccessDenied", "it said "+planted)
	}
	data := filepath.Join(os.Getenv("TF_DATA_DIR"), "ready")
	switch args[0] {
	case "version":
		fmt.Println(`{"terraform_version": "1.11.4"}`)
		return 0
	case "init":
		if !slices.Contains(args, "-lockfile=readonly") {
			panic("the lock file would be written")
		}
		_ = os.MkdirAll(filepath.Dir(data), 0o700)
		store(data, true)
		return 0
	}
	if _, err := os.Stat(data); err != nil {
		return fails("Backend initialization required, please run \"terraform init\"", "")
	}
	if args[0] == "plan" {
		return f.plan(args[1:])
	}
	return f.apply(args[1:], fault)
}

// die ends it as an out of memory killer would.
func (fake) die() int {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

var assignment = regexp.MustCompile(`(?m)^\s*"?v"?\s*[=:]\s*"([^"]*)"`)

func (f fake) plan(args []string) int {
	var files []string
	out := ""
	entries, _ := os.ReadDir(".")
	for _, e := range entries {
		if loaded(e.Name()) {
			files = append(files, e.Name())
		}
	}
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		switch name {
		case "-var-file":
			files = append(files, value)
		case "-out":
			out = value
		case "-json", "-detailed-exitcode", "-input", "-lock", "-lock-timeout":
		default:
			fmt.Fprintln(os.Stderr, "flag provided but not defined: "+name)
			return 1
		}
	}
	value := ""
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return fails("Failed to read variables file", "Given variables file "+name+" does not exist.")
		}
		var doc map[string]string
		if json.Unmarshal(text, &doc) == nil && doc["v"] != "" {
			value = doc["v"]
		} else if m := assignment.FindSubmatch(text); m != nil {
			value = string(m[1])
		}
	}
	if value == "" {
		return fails("No value for required variable", "")
	}
	if needs, err := os.ReadFile("needs"); err == nil && strings.HasSuffix(string(needs), value) {
		return fails("couldn't find resource", string(needs))
	}
	var config map[string]fakeResource
	load("fake.json", &config)
	state := fakeState{Values: map[string]string{}}
	load(at("state"), &state)
	p := fakePlan{Serial: state.Serial, Values: map[string]string{}}
	for _, addr := range slices.Sorted(maps.Keys(config)) {
		want, action := config[addr].Value, config[addr].On
		if want == "var" {
			want = value
		}
		if have, ok := state.Values[addr]; !ok {
			action = "create"
		} else if have == want {
			action = "noop"
		}
		p.Values[addr] = want
		f.planned(&p, action, addr)
	}
	for addr := range state.Values {
		if _, ok := config[addr]; !ok {
			f.planned(&p, "delete", addr)
		}
	}
	if out != "" {
		store(out, p)
	}
	if len(p.Changes) == 0 {
		return 0
	}
	return 2
}

func (fake) planned(p *fakePlan, action, addr string) {
	if action != "noop" {
		p.Changes = append(p.Changes, addr)
		say(map[string]any{"type": "planned_change", "change": map[string]any{"resource": map[string]any{"addr": addr}, "action": action}})
	}
}

func (f fake) apply(args []string, fault fakeFault) int {
	var p fakePlan
	if !load(args[len(args)-1], &p) {
		return fails("Failed to load the plan", "")
	}
	state := fakeState{Values: map[string]string{}}
	load(at("state"), &state)
	if state.Serial != p.Serial || fault.How == "stale" {
		return fails(isStale, "")
	}
	for i, addr := range p.Changes {
		if fault.How != "" && i == fault.After {
			switch fault.How {
			case "killed":
				return f.die()
			case "forgetful":
				return 0
			}
			return fails("updating the service: it said no", "because of "+planted)
		}
		state.Serial++
		if v, ok := p.Values[addr]; ok {
			state.Values[addr] = v
		} else {
			delete(state.Values, addr)
		}
		store(at("state"), state)
		say(map[string]any{"type": "apply_complete", "hook": map[string]any{"resource": map[string]any{"addr": addr}, "action": "update"}})
	}
	return 0
}
