package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/sandbox"
)

// TestAHundredSecretsInOneRun rotates all that have a tag, by one request. One has somebody else's rotation half done
// in it, one is refused while its new value is stored, and one has a check that fails: none of that is the others' affair.
func TestAHundredSecretsInOneRun(t *testing.T) {
	t.Parallel()
	const number = 100
	var rows, blocks strings.Builder
	for i := range number {
		fmt.Fprintf(&rows, "| batch/%03d | secretsmanager | @rastup/platform | 90 days | 2026-08-18 | leaked |\n", i)
		check := "SITE/dev/health"
		if i == 70 {
			check = "SITE/batch/070"
		}
		fmt.Fprintf(&blocks, "## batch/%03d\n\n```yaml\ndev:\n  target: {secret: batch/%03d}\n  checks:\n    - http: {url: %q, within: 10s, every: 1s}\n      name: health\n```\n\n", i, i, check)
	}
	head, _, _ := strings.Cut(table, "| app/database")
	s := newStage(t, map[string]string{".github/rekey.yml": strings.Replace(config, "  log_group: /rekey/audit\n", "", 1),
		"ops/config/registry.md": head + rows.String() + "\n" + blocks.String(), "request": "tags: [leaked]\nticket: SEC-9\nreason: compromise\nretain: 48h\n"})
	first := map[string]string{}
	for i := range number {
		name := fmt.Sprintf("batch/%03d", i)
		id, err := s.world.PutByHand(name, "old-value-of-"+name)
		if err != nil {
			t.Fatal(err)
		}
		first[name] = id
	}
	if _, err := s.world.PutByHand("batch/042", "a colleague's", "AWSPENDING"); err != nil {
		t.Fatal(err)
	}
	w := &writes{}
	s.world.Fail(func(c sandbox.Call) error {
		w.seen(c)
		if c.Operation == "PutSecretValue" && strings.Contains(c.Target, "batch/013") {
			return &sandbox.Error{Status: http.StatusBadRequest, Code: "AccessDeniedException", Message: "User: x is not authorized to perform: secretsmanager:PutSecretValue"}
		}
		return nil
	})
	s.must("init")
	begin := time.Now()
	r := s.rekey("apply", "-e", "dev", "--json")
	took := time.Since(begin)
	states := map[string][]string{}
	for _, o := range r.outcomes(t) {
		states[o.State] = append(states[o.State], o.Secret)
		of := s.world.Secret(o.Secret)
		if live := of.Labels["AWSCURRENT"]; (o.State == "deferred") == (live == first[o.Secret]) || o.State == "deferred" && of.Labels["AWSPREVIOUS"] != first[o.Secret] {
			t.Errorf("%s is %s, and its labels are %v", o.Secret, o.State, of.Labels)
		}
	}
	if len(states["deferred"]) != number-3 || !slices.Equal(states["refused"], []string{"batch/042"}) || !slices.Equal(states["rolled back"], []string{"batch/013", "batch/070"}) || r.code != 1 {
		t.Errorf("ended with %d: %d validated, refused %v, rolled back %v\n%s", r.code, len(states["deferred"]), states["refused"], states["rolled back"], tail(r.err))
	}
	lists := map[string]int{} // who uses them is looked for once, for all of them
	for _, c := range s.world.Calls() {
		lists[c.Operation]++
	}
	for _, operation := range []string{"ListClusters", "ListFunctions", "ListEventSourceMappings", "GetParametersByPath"} {
		if lists[operation] != 1 {
			t.Errorf("%d times %s", lists[operation], operation)
		}
	}
	n, most := w.most()
	t.Logf("%d secrets in %s, %d writes, at most %d in a second", number, took.Round(time.Millisecond), n, most)
	// A busy machine lets what left in time arrive at once, so the most in any second is only told. It can't make
	// all of them faster than they may be.
	if least := time.Duration(n-app.WritesPerSecond) * time.Second / app.WritesPerSecond; n < 4*(number-3) || took < least {
		t.Errorf("%d writes in %s: at %d a second they take %s", n, took, app.WritesPerSecond, least)
	}
	if v := s.rekey("verify"); v.code != 0 {
		t.Errorf("verify ended with %d:\n%s", v.code, v.out)
	}
}

// writes are the real times at which changing calls to Secrets Manager arrived.
type writes struct {
	mu sync.Mutex
	at []time.Time
}

func (w *writes) seen(c sandbox.Call) {
	if c.Service != "secretsmanager" || !slices.Contains([]string{"PutSecretValue", "UpdateSecretVersionStage", "TagResource", "UntagResource"}, c.Operation) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = append(w.at, time.Now())
}

// most is how many there were, and how many within one second, wherever it begins.
func (w *writes) most() (n, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, from := range w.at {
		j := i
		for j < len(w.at) && w.at[j].Sub(from) < time.Second {
			j++
		}
		most = max(most, j-i)
	}
	return len(w.at), most
}

func tail(s string) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
