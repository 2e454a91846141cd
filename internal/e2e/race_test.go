package e2e

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// TestOfSeveralRunnersAtOnceOneRotates starts processes at the same time: one gets the chain, the others stop before
// they change anything.
func TestOfSeveralRunnersAtOnceOneRotates(t *testing.T) {
	t.Parallel()
	rounds := 2
	if full() {
		rounds = 20
	}
	for range rounds {
		s := newStage(t, files(smokeCheck, slowly))
		s.must("init")
		const runners = 4
		var commands [runners]*exec.Cmd
		var texts [runners]bytes.Buffer
		for i := range commands {
			commands[i] = s.command("apply", "-e", "dev")
			commands[i].Stderr = &texts[i]
			if err := commands[i].Start(); err != nil {
				t.Fatal(err)
			}
		}
		validated, said := 0, ""
		for i, c := range commands {
			_ = c.Wait() // its status depends on when it came to the chain
			said += texts[i].String() + "\n"
			if strings.Contains(texts[i].String(), "✔ validate/smoke") {
				validated++
			}
		}
		of := s.secret()
		if testing.Verbose() {
			t.Log(said)
		}
		if validated != 1 || of.Versions != 2 || of.Labels["AWSCURRENT"] == s.first || of.Labels["AWSPREVIOUS"] != s.first {
			t.Errorf("%d of them validated, labels %v, %d versions\n%s", validated, of.Labels, of.Versions, said)
		}
		s.must("verify")
	}
}
