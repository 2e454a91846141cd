package actions

import (
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/inputs"
)

// A token of Jira's is kept out of every text from the moment it is read, also in a job that shouldn't have it.
func TestATokenOfJirasIsKeptOutOfTexts(t *testing.T) {
	house := &inputs.Inputs{Config: &config.Config{Tickets: &config.Tickets{Jira: &config.Jira{URL: "https://acme.atlassian.net", TokenFrom: "JIRA_TOKEN", Transition: "Done"}}}}
	for name, read := range map[string]func(*job){
		"asks":      func(j *job) { _, _ = j.newDesk() },
		"shouldn't": func(j *job) { j.exposed() },
	} {
		j, out := runner(t, map[string]string{"JIRA_TOKEN": "ATATT3xFfGF0-not-a-real-token"})
		j.app.Inputs = house
		read(j)
		if got := j.app.Scrub("it is ATATT3xFfGF0-not-a-real-token."); strings.Contains(got, "ATATT") {
			t.Errorf("%s: %s", name, got)
		}
		if warned := strings.Contains(out.String(), "::warning::JIRA_TOKEN is set in a job that runs the checks' commands"); warned != (name != "asks") {
			t.Errorf("%s: %s", name, out)
		}
	}
	j, out := runner(t, nil)
	j.app.Inputs = house
	if j.exposed(); out.Len() > 0 {
		t.Errorf("nothing is exposed: %s", out)
	}
}
