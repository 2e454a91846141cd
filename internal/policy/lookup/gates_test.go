package lookup_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/rotation"
	sandbox "github.com/rastup/rekey/internal/sandbox/github"
)

func TestApprovalFromGitHub(t *testing.T) {
	s, c, client := world(t)
	s.SetEnvironment(sandbox.Environment{Name: "rekey-prod", Reviewers: []string{"ana-sec", "li-pay"}, Branches: []string{"main"}})
	s.SetEnvironment(sandbox.Environment{Name: "rekey-open", Branches: []string{"main"}})
	run := s.StartRun("rotate.yml", "push", "main", s.Head("main"), "li-pay")
	l := lookupAt(s, c, client, house)
	q := policy.Question{For: rotation.ApprovesRotation, Environment: "rekey-prod", Run: "1", Asked: policy.Asked{Wrote: []string{"li-pay"}}, Now: c.Now()}
	refused := func(err error, text string) bool {
		var no *rotation.Failure
		return errors.As(err, &no) && strings.Contains(no.Msg, text)
	}
	ask := func(user string) {
		s.WaitFor(run, "rekey-prod")
		if err := s.Approve(run, "rekey-prod", user, "fine"); err != nil {
			t.Fatal(err)
		}
	}
	ask("li-pay")
	if a, err := l.Approval(t.Context(), policy.ByPerson, q, run); !refused(err, "asked for it") {
		t.Errorf("by its author: %+v, %v", a, err)
	}
	c.pass(time.Minute) // what was answered a moment ago is remembered
	ask("ana-sec")
	if a, err := l.Approval(t.Context(), policy.ByPerson, q, run); err != nil || a.Count != 2 || len(a.By) != 1 || a.By[0] != "ana-sec" {
		t.Errorf("by another: %+v, %v", a, err)
	}
	q.Environment = "rekey-open"
	if a, err := l.Approval(t.Context(), policy.ByPerson, q, run); !refused(err, "no reviewers") {
		t.Errorf("in an environment that asks nobody: %+v, %v", a, err)
	}
	if _, err := l.Continues(t.Context(), "rekey-open"); err != nil {
		t.Error(err)
	}
	if _, err := l.Continues(t.Context(), "rekey-misspelt"); !refused(err, "no GitHub Environment") {
		t.Error(err)
	}
}
