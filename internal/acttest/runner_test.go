package acttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rastup/rekey/internal/sandbox/github"
)

// A runner is what GitHub does around a job and act doesn't: the job shows up at its run, waits where its GitHub
// Environment has reviewers until they answer, and gets a token with the job's permissions and an identity of its own.
// The stand-in for actions/checkout asks it, as each job's first step.
type runner struct {
	tb   testing.TB
	hub  *github.Service
	base string // of hub

	run    int64
	fork   bool
	jobs   map[string]workflowJob
	people map[string]string // GitHub Environment to who approves there, like "ana-sec"; "!" before it: rejects

	mu   sync.Mutex
	keys []string // tokens and bearers it gave away
}

// A workflowJob is as much of a job in a workflow file as act ignores.
type workflowJob struct {
	Name, Environment string
	Permissions       map[string]string
}

func (r *runner) read(workflow string) {
	r.tb.Helper()
	text, err := os.ReadFile(filepath.Join(root, workflow))
	var file struct{ Jobs map[string]workflowJob }
	if err == nil {
		err = yaml.Unmarshal(text, &file)
	}
	if err != nil || len(file.Jobs) == 0 {
		r.tb.Fatalf("%s: %d jobs: %v", workflow, len(file.Jobs), err)
	}
	for id, j := range file.Jobs {
		if j.Name == "" {
			j.Name = id
			file.Jobs[id] = j
		}
	}
	r.jobs = file.Jobs
}

// serve lets a job begin, and answers with what its environment gets, in the runner's file format; a refusal is a job
// that never runs. What the program's end is called is what the job's is.
func (r *runner) serve() string {
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if name := in.PostFormValue("ended"); name != "" {
			r.hub.SetJob(r.run, name, "completed", in.PostFormValue("result"))
			return
		}
		id, matrix := in.PostFormValue("job"), in.PostFormValue("matrix")
		env, err := r.begin(id, matrix)
		if err != nil {
			r.tb.Logf("%s doesn't begin: %v", id, err)
			r.hub.SetJob(r.run, fill(r.jobs[id].Name, matrix), "completed", "failure")
			http.Error(out, "", http.StatusForbidden)
			return
		}
		for _, k := range slices.Sorted(maps.Keys(env)) {
			fmt.Fprintf(out, "%s=%s\n", k, env[k])
		}
	}))
	r.tb.Cleanup(s.Close)
	return s.URL
}

func (r *runner) begin(id, matrix string) (map[string]string, error) {
	j, ok := r.jobs[id]
	if !ok {
		return nil, fmt.Errorf("no job %q", id)
	}
	name, env := fill(j.Name, matrix), fill(j.Environment, matrix)
	if env != "" {
		if err := r.gate(name, env); err != nil {
			return nil, err
		}
	}
	r.hub.SetJob(r.run, name, "in_progress", "")
	may := map[string]string{"metadata": "read"}
	for scope, v := range j.Permissions {
		if r.fork && scope != "id-token" {
			v = "read"
		}
		may[scope] = v
	}
	token := fmt.Sprintf("ghs_%d%s%d", r.run, id, len(r.keys))
	r.hub.AddToken(token, "github-actions[bot]", may)
	r.keys = append(r.keys, token)
	given := map[string]string{"JOB_TOKEN": token, "JOB_NAME": name}
	if may["id-token"] == "write" && !r.fork {
		path, bearer := r.hub.IssueToken(github.TokenFor{Run: r.run, Environment: env})
		r.keys = append(r.keys, bearer)
		given["ACTIONS_ID_TOKEN_REQUEST_URL"], given["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = r.base+path, bearer
	}
	return given, nil
}

// gate holds the job until somebody answers.
func (r *runner) gate(name, env string) error {
	if run, _ := r.hub.Run(r.run); !r.hub.MayDeploy(env, run.Branch) {
		return fmt.Errorf("branch %s may not deploy to %s", run.Branch, env)
	}
	if !r.hub.WaitFor(r.run, env) {
		return nil
	}
	r.hub.SetJob(r.run, name, "waiting", "")
	if by, ok := strings.CutPrefix(r.people[env], "!"); ok {
		return fmt.Errorf("%s rejected: %v", by, r.hub.Reject(r.run, env, by, ""))
	}
	return r.hub.Approve(r.run, env, r.people[env], "")
}

// over ends the run as act's ended.
func (r *runner) over(got *run) {
	conclusion := "success"
	if !got.OK {
		conclusion = "failure"
	}
	r.hub.EndRun(r.run, conclusion)
}

var placeholder = regexp.MustCompile(`\$\{\{ matrix\.([a-z.]+) \}\}`)

// fill puts the job's matrix into a name.
func fill(text, matrix string) string {
	return placeholder.ReplaceAllStringFunc(text, func(s string) string {
		var v any
		_ = json.Unmarshal([]byte(matrix), &v) // what isn't there is empty
		for key := range strings.SplitSeq(placeholder.FindStringSubmatch(s)[1], ".") {
			m, _ := v.(map[string]any)
			v = m[key]
		}
		return fmt.Sprint(v)
	})
}
