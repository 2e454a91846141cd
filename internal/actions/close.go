package actions

import (
	"slices"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/notice/bundle"
)

// closes lets what is over and isn't closed be closed by whoever goes on without being asked: this job may not write
// evidence, and nothing else is due there. It is what rolled back, once nobody can start it again, and what was
// withdrawn before it began everywhere.
func (s *survey) closes() {
	for i := 0; i < len(s.results); {
		t, from := s.results[i].Task, i
		var all []apply.Status
		looked := true
		for ; i < len(s.results) && s.results[i].Task.Rotation == t.Rotation && s.results[i].Task.Secret == t.Secret; i++ {
			all, looked = append(all, s.results[i].Status), looked && s.results[i].Err == nil
		}
		if !t.Open || !looked || !bundle.Over(all, t.Request == nil, s.Clock.Now()) {
			continue
		}
		for _, r := range s.results[from:i] {
			e, ok := s.app.Inputs.Config.Environment(r.Status.Plan.Environment)
			if ok && len(r.Status.Records) > 0 && (e.ContinueEnvironment != "" || e.Approval != config.ApprovalRequired) {
				if !slices.Contains(s.goes, e.Name) {
					s.goes = append(s.goes, e.Name)
				}
				break
			}
		}
	}
}
