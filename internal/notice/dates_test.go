package notice_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/dates"
	world "github.com/rastup/rekey/internal/sandbox/github"
)

const (
	fileA = "ops/config/registry.md"
	fileB = "ops/config/more.md"
	head  = "# Registry\n\n| Secret | Kind | Owner | Interval | Last rotated |\n|---|---|---|---|---|\n"
	pageA = head + "| team/one | kms | @ana-sec | 90d | 2026-01-01 |\n| team/two | kms | @ana-sec | 90d | never |\n\nlast: 2026-01-01\n"
	pageB = head + "| team/three | kms | @ana-sec | 90d | 2026-11-30 |\n| team/four | kms | @ana-sec | 90d | 2026-02-02 |\n"
)

var rotated = map[string]dates.Date{
	"team/one":   {At: time.Date(2026, 11, 20, 9, 41, 0, 0, time.UTC), Rotation: "2026-11-20-team-one"},
	"team/three": {At: time.Date(2026, 11, 20, 9, 41, 0, 0, time.UTC), Rotation: "2026-11-20-team-three"},
	"team/four":  {At: time.Date(2026, 11, 21, 9, 41, 0, 0, time.UTC), Rotation: "2026-11-21-team-four"},
	"team/gone":  {At: time.Date(2026, 11, 21, 9, 41, 0, 0, time.UTC), Rotation: "2026-11-21-team-gone"},
}

func (r *rig) dates(gate func(), of map[string]dates.Date) pass {
	p := &dates.Projector{GitHub: r.program(gate), Bot: bot}
	return func(ctx context.Context) (notice.Tally, error) { return p.Write(ctx, []string{fileA, fileB}, of) }
}

func (r *rig) registry() {
	r.Commit("main", "ana-sec", "registry", map[string]string{fileA: pageA, fileB: pageB, "README.md": "shop\n"})
}

// pulls are the pull requests for dates.
func (r *rig) pulls(state string) (l []world.Pull) {
	for _, p := range r.Pulls() {
		if p.Branch == dates.Branch && p.State == state {
			l = append(l, p)
		}
	}
	return l
}

// differs is what of the registry a merge of the one open pull request would change.
func (r *rig) differs(t *testing.T) map[string]string {
	t.Helper()
	all := r.pulls("open")
	if len(all) != 1 {
		t.Fatalf("%d open pull requests", len(all))
	}
	change := map[string]string{}
	base := r.Files("main")
	for path, is := range r.Files(all[0].Head) {
		if base[path] != is {
			change[path] = is
		}
	}
	return change
}

func TestDatesComeRightThroughEveryMisfortune(t *testing.T) {
	want := map[string]string{
		fileA: strings.Replace(pageA, "| 2026-01-01 |", "| 2026-11-20 |", 1),
		fileB: strings.Replace(pageB, "2026-02-02", "2026-11-21", 1),
	}
	for name, before := range map[string]func(r *rig){
		"nothing there": func(*rig) {},
		"an older offer, on an older registry": func(r *rig) {
			old := map[string]dates.Date{"team/one": {At: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), Rotation: "2026-05-01-team-one"}}
			r.Commit("main", "ana-sec", "older", map[string]string{fileA: strings.Replace(pageA, "90d", "30d", 2)})
			r.settle(func() pass { return r.dates(nil, old) })
			r.Commit("main", "ana-sec", "newer", map[string]string{fileA: pageA})
		},
		"a branch without its pull request": func(r *rig) {
			r.Commit(dates.Branch, bot, "half", map[string]string{fileA: strings.Replace(pageA, "| 2026-01-01 |", "| 2026-11-20 |", 1)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			torture(t, 16, func(t *testing.T, r *rig) (func(func()) pass, func(notice.Tally)) {
				r.registry()
				before(r)
				return func(gate func()) pass { return r.dates(gate, rotated) }, func(last notice.Tally) {
					if diff := cmp.Diff(want, r.differs(t)); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
					if len(last.Findings) > 0 || len(r.pulls("closed")) > 0 {
						t.Errorf("findings: %+v, closed: %+v", last.Findings, r.pulls("closed"))
					}
				}
			})
		})
	}
}

func TestThePullRequestOfDatesFollowsTheRegistry(t *testing.T) {
	r := newRig(t, 1)
	r.registry()
	// GitHub closes a pull request for good when its branch has nothing of its own for a moment.
	r.fault = func(c world.Call) error {
		if c.Method == http.MethodPatch && strings.HasSuffix(c.Path, dates.Branch) && strings.Contains(c.Body, r.Head("main")) {
			t.Errorf("the branch is moved to where it has nothing: %s", c.Body)
		}
		return nil
	}
	run := func(of map[string]dates.Date) {
		t.Helper()
		if last := r.settle(func() pass { return r.dates(nil, of) }); len(last.Findings) > 0 {
			t.Errorf("findings: %+v", last.Findings)
		}
	}
	run(rotated)
	number := r.pulls("open")[0].Number
	r.Commit("main", "ana-sec", "another row", map[string]string{fileB: pageB + "| team/five | kms | @ana-sec | 90d | never |\n"})
	later := map[string]dates.Date{"team/five": rotated["team/four"]}
	for k, v := range rotated {
		later[k] = v
	}
	run(later)
	p := r.pulls("open")[0]
	if p.Number != number || !strings.Contains(p.Body, "team/five") || !strings.Contains(r.differs(t)[fileB], "| team/five | kms | @ana-sec | 90d | 2026-11-21 |") {
		t.Errorf("not followed: %+v", p)
	}
	r.Merge(number, "ana-sec")
	run(later)
	if len(r.pulls("open")) != 0 {
		t.Error("merged, and another is open")
	}
	run(map[string]dates.Date{"team/two": rotated["team/one"]})
	second := r.pulls("open")[0].Number
	r.Commit("main", "ana-sec", "by hand", map[string]string{fileA: strings.Replace(r.Files("main")[fileA], "never", "2026-11-22", 1)})
	run(map[string]dates.Date{"team/two": rotated["team/one"]})
	if len(r.pulls("open")) != 0 || r.Pulls()[len(r.Pulls())-1].Number != second {
		t.Error("the registry has the date, and the pull request isn't closed")
	}
}

func TestACommitByAPersonIsNeverMovedAway(t *testing.T) {
	later := map[string]dates.Date{"team/two": rotated["team/one"]}
	for name, set := range map[string]func(r *rig){
		"on the pull request": func(r *rig) {
			r.settle(func() pass { return r.dates(nil, rotated) })
			r.Commit(dates.Branch, "ana-sec", "mine", map[string]string{fileA: "mine"})
		},
		"on the branch alone": func(r *rig) { r.Commit(dates.Branch, "ana-sec", "mine", map[string]string{fileA: "mine"}) },
		"below the bot's": func(r *rig) {
			r.Commit(dates.Branch, "ana-sec", "mine", map[string]string{fileA: "mine"})
			r.Commit(dates.Branch, bot, "its", map[string]string{fileB: "its"})
		},
		"on the draft": func(r *rig) { r.Commit(dates.Draft, "ana-sec", "mine", map[string]string{fileA: "mine"}) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			r.registry()
			set(r)
			was, draft := r.Head(dates.Branch), r.Head(dates.Draft)
			last := r.settle(func() pass { return r.dates(nil, later) })
			if len(last.Findings) != 1 || !strings.Contains(last.Findings[0].Text, "holds a commit") {
				t.Errorf("findings: %+v", last.Findings)
			}
			if r.Head(dates.Branch) != was || r.Head(dates.Draft) != draft {
				t.Error("it was moved")
			}
			last = r.settle(func() pass { return r.dates(nil, nil) })
			if open := r.pulls("open"); (name == "on the pull request") != (len(open) == 1 && len(last.Findings) == 1) {
				t.Errorf("open: %d, findings: %+v", len(open), last.Findings)
			}
		})
	}
}

func TestAClosedOfferIsntMadeAgain(t *testing.T) {
	r := newRig(t, 1)
	r.registry()
	r.settle(func() pass { return r.dates(nil, rotated) })
	r.Close(r.pulls("open")[0].Number, "ana-sec")
	last := r.settle(func() pass { return r.dates(nil, rotated) })
	if len(r.pulls("open")) != 0 || len(last.Findings) != 1 {
		t.Errorf("%d open, findings: %+v", len(r.pulls("open")), last.Findings)
	}
	r.settle(func() pass { return r.dates(nil, map[string]dates.Date{"team/two": rotated["team/one"]}) })
	if len(r.pulls("open")) != 1 {
		t.Error("other dates are another offer")
	}
}

func TestADateWithoutACellIsAFinding(t *testing.T) {
	r := newRig(t, 1)
	r.Commit("main", "ana-sec", "registry", map[string]string{fileA: strings.Replace(pageA, "never", "some day", 1), fileB: pageB})
	last := r.settle(func() pass { return r.dates(nil, map[string]dates.Date{"team/two": rotated["team/one"]}) })
	if len(last.Findings) != 1 || !strings.HasPrefix(last.Findings[0].Text, fileA+":6:") || len(r.Pulls()) != 0 {
		t.Errorf("findings: %+v", last.Findings)
	}
}

func TestTheBranchHoldsWholeSetsOfDatesOnly(t *testing.T) {
	r := newRig(t, 1)
	r.registry()
	r.fault = func(c world.Call) error {
		if c.Method == http.MethodPut && strings.HasSuffix(c.Path, fileB) {
			return world.Broken(http.StatusBadGateway)
		}
		return nil
	}
	tally, err := r.dates(nil, rotated)(context.Background())
	if err != nil || !tally.Again || r.Head(dates.Branch) != "" || len(r.Pulls()) != 0 {
		t.Errorf("%v, %+v, branch at %q, %d pull requests", err, tally, r.Head(dates.Branch), len(r.Pulls()))
	}
	r.fault = nil
	r.settle(func() pass { return r.dates(nil, rotated) })
	if l := r.differs(t); len(l) != 2 {
		t.Errorf("it changes %d files", len(l))
	}
}
