package town_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

const urgent = "the password is public since 03:10, and no reviewer answers"

// glass is a siege whose stage lets administrators bypass its reviewers, with a rotation that waits for one there.
func glass(t *testing.T, allow string) *siege {
	t.Helper()
	s := besiege(t, true, "")
	s.GitHub.AddUser("robot[bot]", "admin", true)
	s.GitHub.SetEnvironment(passable)
	s.GitHub.Commit("main", "root-admin", "House rules", map[string]string{".github/rekey.yml": rules + "policy: {break_glass: " + allow + "}\n"})
	s.request("li-pay", "ana-sec", wanted)
	return s
}

var passable = github.Environment{Name: "rekey-stage", Branches: []string{"main"}, Reviewers: []string{"ana-sec", "bo-sre"}, AdminsBypass: true}

// breaks is an administrator who runs the workflow with inputs, and bypasses what that run asks.
func breaks(by string, listed bool, inputs map[string]string) func(*siege) error {
	return func(s *siege) error {
		if inputs != nil {
			if err := s.Dispatch(s.t.Context(), by, inputs); err != nil {
				return err
			}
		}
		w := s.Waits()
		return errors.Join(s.GitHub.Bypass(w[len(w)-1].Run, "rekey-stage", "root-admin", "", listed), s.Engine.Advance(s.t.Context()))
	}
}

func why(reason string) map[string]string {
	return map[string]string{"rotation": requestFile, "break_glass": reason}
}

// TestABypassIsRefused unless the house rules allow it, and somebody who may bypass said why in this very run.
func TestABypassIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		allow string
		how   func(s *siege) error
		job   string
		why   string
	}{
		"without a reason":             {"allow", breaks("", false, nil), "stage", "nobody approved it in run"},
		"where the house rules say so": {"refuse", breaks("root-admin", false, why(urgent)), "plan", "allows none"},
		"with no reason at all":        {"allow", breaks("root-admin", false, why("urgent")), "plan", "is no reason to break the glass"},
		"for whatever there is":        {"allow", breaks("root-admin", false, map[string]string{"break_glass": urgent}), "plan", "name the rotation"},
		"by who administrates nothing": {"allow", breaks("li-pay", false, why(urgent)), "stage", "@li-pay is no administrator of the repository"},
		"by a bot":                     {"allow", breaks("robot[bot]", false, why(urgent)), "stage", "@robot[bot] is no person"},
		"where nobody can have done it": {"allow", func(s *siege) error {
			e := passable
			e.AdminsBypass = false
			s.before = func(step workflow.Step) {
				if step.Job == "stage" {
					s.GitHub.SetEnvironment(e)
				}
			}
			return breaks("root-admin", false, why(urgent))(s)
		}, "stage", "lets no administrator bypass its reviewers"},
		"where nobody is asked": {"allow", func(s *siege) error {
			s.before = func(step workflow.Step) {
				if step.Job == "stage" {
					s.GitHub.SetEnvironment(github.Environment{Name: "rekey-stage", Branches: []string{"main"}, AdminsBypass: true})
				}
			}
			return breaks("root-admin", false, why(urgent))(s)
		}, "stage", "it requires no reviewers"},
		"after somebody said no": {"allow", func(s *siege) error {
			if err := s.Dispatch(s.t.Context(), "root-admin", why(urgent)); err != nil {
				return err
			}
			w := s.Waits()
			run := w[len(w)-1].Run
			return errors.Join(s.GitHub.Reject(run, "rekey-stage", "ana-sec", "no"), s.Engine.Advance(s.t.Context()),
				s.Engine.Rerun(run, "root-admin", false), s.Engine.Advance(s.t.Context()), breaks("", false, nil)(s))
		}, "stage", "was rejected in run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := glass(t, c.allow)
			m := s.mark()
			s.ok(c.how(s))
			s.untouched(m, "stage")
			s.says(m, c.job, c.why)
		})
	}
}

// TestAGlassIsBroken: with a reason the job goes on, whether GitHub tells of the bypass or not, and that it went on
// without an approval is on record for good.
func TestAGlassIsBroken(t *testing.T) {
	for _, listed := range []bool{false, true} {
		s := glass(t, "allow")
		was := s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"]
		s.ok(breaks("root-admin", listed, why(urgent))(s))
		if s.AWS.Secret(s.Scenario.Secrets["stage"]).Labels["AWSCURRENT"] == was {
			t.Fatal("stage wasn't rotated")
		}
		a := s.grants("stage")
		if len(a) != 1 || a[0].BreakGlass != urgent || !slices.Equal(a[0].By, []string{"root-admin"}) || a[0].Environment != "rekey-stage" {
			t.Errorf("listed %v: %+v", listed, a)
		}
		told := ""
		for _, c := range s.GitHub.Comments(2) {
			told += c.Body
		}
		if n := strings.Count(told, "BREAK-GLASS by @&#8288;root-admin"); n != 2 {
			t.Errorf("the pull request tells it %d times:\n%s", n, told)
		}
	}
}

// grants are the approvals on record in an environment.
func (s *siege) grants(env string) (all []rotation.Approval) {
	for _, v := range s.AWS.S3.Versions(s.Scenario.Bucket, "journal/"+env+"/") {
		var r rotation.Record
		if strings.HasSuffix(v.Key, ".json") && json.Unmarshal(v.Body, &r) == nil {
			if a := r.Grant(); a != nil {
				all = append(all, *a)
			}
		}
	}
	return all
}
