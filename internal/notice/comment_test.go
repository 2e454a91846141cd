package notice_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/comment"
	"github.com/rastup/rekey/internal/notice/incident"
	"github.com/rastup/rekey/internal/report"
	text "github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/reporttest"
	world "github.com/rastup/rekey/internal/sandbox/github"
)

var options = text.Options{Repository: repository}

// played are n rotations in dev, stage and prod: most go well, every fifth fails in stage. until is counted from Monday.
func played(n int, until time.Duration) (views []report.View, envs [][]report.Environment) {
	now := reporttest.Monday.Add(until)
	for i := range n {
		secret := fmt.Sprintf("team/service-%03d", i)
		var all []report.Environment
		for j, p := range reporttest.Plans(secret, nil) {
			one := reporttest.NewPlayer(p, reporttest.Monday.Add(time.Duration(j)*time.Minute))
			if i%5 == 3 && j == 1 {
				one.Answers["validate/smoke"] = reporttest.Answer{Fail: "2 of 2 failed"}
			}
			if j < 2 || i%5 != 3 {
				one.Play(now)
			}
			all = append(all, one.Environment(now, ""))
		}
		envs = append(envs, all)
		views = append(views, report.New(secret, reporttest.Rotation, all, now))
	}
	return views, envs
}

func pageOf(pull, n int, until time.Duration) comment.Page {
	views, envs := played(n, until)
	page := comment.Page{Pull: pull, Status: text.Status(views, options)}
	for j := range 3 {
		for _, all := range envs {
			page.Audits = append(page.Audits, text.Outcomes(all[j])...)
		}
	}
	return page
}

// request is an open pull request.
func (r *rig) request() int {
	r.Commit("main", "ana-sec", "begin", map[string]string{"README.md": "shop\n"})
	r.Commit("rotate", "ana-sec", "rotate", map[string]string{"rotations/x.yaml": "secret: x\n"})
	return r.OpenPull("ana-sec", "Rotate", "", "rotate", "main", false)
}

// exactly holds that the pull request has its status once, as it is now, and every audit once, and nothing else.
func exactly(t *testing.T, r *rig, page comment.Page) {
	t.Helper()
	said := map[string]int{}
	statuses := 0
	for _, c := range r.Comments(page.Pull) {
		keys, audit := text.ParseAudit(c.Body)
		_, status := text.ParseStatus(c.Body)
		switch {
		case status && c.Body == page.Status:
			statuses++
		case audit && c.UpdatedAt.Equal(c.CreatedAt):
			for _, key := range keys {
				said[key]++
			}
		default:
			t.Errorf("not as it should be: %.200q", c.Body)
		}
		if text.Size(c.Body) > text.Most {
			t.Errorf("too long: %d", text.Size(c.Body))
		}
	}
	if statuses != 1 {
		t.Errorf("%d status comments", statuses)
	}
	for _, e := range page.Audits {
		if said[e.Key()] != 1 {
			t.Errorf("%s of %s is said %d times", e.Outcome, e.Plan.Chain, said[e.Key()])
		}
		delete(said, e.Key())
	}
	if len(said) > 0 {
		t.Errorf("nobody asked for %v", said)
	}
}

func TestCommentsComeRightThroughEveryMisfortune(t *testing.T) {
	early, later := pageOf(0, 4, 30*time.Minute), pageOf(0, 4, 46*time.Hour)
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("there are older ones %v", old), func(t *testing.T) {
			torture(t, 24, func(t *testing.T, r *rig) (func(func()) pass, func(notice.Tally)) {
				pull := r.request()
				if old {
					before := early
					before.Pull = pull
					r.settle(func() pass { return r.comments(nil, before) })
				}
				page := later
				page.Pull = pull
				return func(gate func()) pass { return r.comments(gate, page) }, func(last notice.Tally) {
					exactly(t, r, page)
					if len(last.Findings) > 0 {
						t.Errorf("findings: %+v", last.Findings)
					}
				}
			})
		})
	}
}

// What a pull request would do becomes how it stands, in the same comment, and never comes back in its place.
func TestThePlanBecomesTheStatus(t *testing.T) {
	r := newRig(t, 1)
	page := pageOf(r.request(), 1, 30*time.Minute)
	plan := comment.Page{Pull: page.Pull, Status: text.Plan(text.Preview{Problems: 1, At: r.clock.Now()}, options)}
	for range 2 {
		r.settle(func() pass { return r.comments(nil, plan) })
		if l := r.bodies(page.Pull); len(l) != 1 || l[0] != plan.Status {
			t.Fatalf("%q", l)
		}
	}
	r.settle(func() pass { return r.comments(nil, page) })
	exactly(t, r, page)
	r.settle(func() pass { return r.comments(nil, plan) })
	exactly(t, r, page)
}

// A list that doesn't show the first of several comments yet must not shift what goes into the others.
func TestALongPageIsSplitAlikeWhateverListsShow(t *testing.T) {
	uneven := text.Options{Repository: repository, Evidence: func(v report.View, _ report.Standing) (string, string) {
		if v.Secret > "team/service-390" {
			return "", "" // what is short would fit where what is long didn't
		}
		return strings.Repeat("evidence ", 26), ""
	}}
	r := newRig(t, 1)
	page := pageOf(r.request(), 500, 30*time.Minute)
	page.Audits = slices.DeleteFunc(page.Audits, func(e text.Entry) bool { return e.Plan.Environment != "dev" })
	whole := text.Audit(page.Audits, uneven)
	first, _ := text.ParseAudit(whole[0])
	without, _ := text.ParseAudit(text.Audit(append(slices.Clone(page.Audits[:len(first)]), page.Audits[495:]...), uneven)[0])
	if len(whole) < 3 || len(without) == len(first) {
		t.Fatalf("%d comments, and nothing would shift", len(whole))
	}
	program := func(hidden string) pass {
		l := r.program(nil)
		l.seen[hidden] = 1 << 20
		p := &comment.Projector{GitHub: l, Bot: bot, Options: uneven}
		return func(ctx context.Context) (notice.Tally, error) { return p.Write(ctx, []comment.Page{page}) }
	}
	if _, err := program("")(context.Background()); err != nil {
		t.Fatal(err)
	}
	all := r.Comments(page.Pull)
	r.Service.DeleteComment(all[len(all)-1].ID) // as if that program had died before it
	if _, err := program(fmt.Sprint("comment ", all[1].ID))(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.settle(func() pass { return program("") })
	exactly(t, r, page)
}

func TestTwoProgramsAtOnceLeaveNothingTwice(t *testing.T) {
	page := pageOf(0, 2, 46*time.Hour)
	for seed := range uint64(60) {
		r := newRig(t, seed)
		page.Pull = r.request()
		r.interleaved(func(gate func()) pass { return r.comments(gate, page) })
		exactly(t, r, page)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (r *rig) comments(gate func(), pages ...comment.Page) pass {
	p := &comment.Projector{GitHub: r.program(gate), Bot: bot, Options: options}
	return func(ctx context.Context) (notice.Tally, error) { return p.Write(ctx, pages) }
}

func TestAProgramRemembersWhatListsDontShowYet(t *testing.T) {
	r := newRig(t, 1)
	r.lag = 1 << 20
	page := pageOf(r.request(), 2, 46*time.Hour)
	run := r.comments(nil, page)
	for range 3 {
		if _, err := run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	exactly(t, r, page)
	if l := r.changes(0); len(l) != len(r.Comments(page.Pull)) {
		t.Errorf("changing calls: %q", l)
	}
}

func TestAStatusNeverGoesBack(t *testing.T) {
	r := newRig(t, 1)
	pull := r.request()
	early, later := pageOf(pull, 2, 30*time.Minute), pageOf(pull, 2, 46*time.Hour)
	r.settle(func() pass { return r.comments(nil, later) })
	if early.Status == later.Status {
		t.Fatal("the same state")
	}
	early.Audits = nil
	r.settle(func() pass { return r.comments(nil, early) })
	exactly(t, r, later)
}

func TestAWholeCampaignFitsAndKeepsThePace(t *testing.T) {
	r := newRig(t, 1)
	page := pageOf(r.request(), 256, 46*time.Hour)
	if len(page.Audits) < 600 {
		t.Fatalf("only %d audits", len(page.Audits))
	}
	last := r.settle(func() pass { return r.comments(nil, page) })
	exactly(t, r, page)
	if len(last.Findings) > 0 {
		t.Errorf("findings: %+v", last.Findings)
	}
	t.Logf("%d audits in %d comments", len(page.Audits), len(r.Comments(page.Pull))-1)
	short := pageOf(0, 1, 46*time.Hour).Status
	// And as many pull requests with one rotation each: what makes a person wait is GitHub's pace alone.
	var pages []comment.Page
	for i := range 256 {
		one := comment.Page{Status: short}
		one.Pull, one.Audits = r.OpenPull("ana-sec", fmt.Sprint(i), "", "rotate", "main", false), page.Audits[i:i+1]
		pages = append(pages, one)
	}
	begun := len(r.Calls())
	r.settle(func() pass { return r.comments(nil, pages...) })
	if n := r.paced(begun); n != 512 {
		t.Errorf("%d changes, want 512", n)
	}
}

// paced holds that GitHub refused none of the changing calls since the nth one for coming too fast, and counts them:
// under 80 in every minute.
func (r *rig) paced(since int) int {
	r.t.Helper()
	var made []time.Time
	for _, c := range r.Calls()[since:] {
		if c.Method == http.MethodGet {
			continue
		}
		if made = append(made, c.At); c.Status/100 != 2 {
			r.t.Errorf("%s %s was answered %d", c.Method, c.Path, c.Status)
		}
	}
	for i := range made {
		if n := i + 79; n < len(made) && made[n].Sub(made[i]) < time.Minute {
			r.t.Fatalf("80 changes within %s", made[n].Sub(made[i]))
		}
	}
	return len(made)
}

// All that 256 rotations in one pull request can bring about at one moment: pages, and an incident for every environment.
// A run does what its patience allows, with GitHub's limits as they are, and later ones the rest; others use the same
// account meanwhile, so that GitHub refuses some of it.
func TestWhatDoesntFitIntoAnHourIsLeftToTheNextRun(t *testing.T) {
	for _, refusing := range []bool{false, true} {
		t.Run(fmt.Sprint("GitHub refuses ", refusing), func(t *testing.T) {
			r := newRig(t, 1)
			page := pageOf(r.request(), 256, 46*time.Hour)
			var all []incident.Issue
			for i := range 470 {
				one, _ := failed(fmt.Sprintf("team/service-%03d", i), 1)
				all = append(all, one)
			}
			n, refused := 0, 0
			if refusing {
				r.fault = func(world.Call) error {
					if n++; n%60 != 0 {
						return nil
					}
					refused++
					e := world.Throttled(45 * time.Second)
					if n%120 == 0 {
						e.Status = http.StatusTooManyRequests
					}
					return e
				}
			}
			begun, hours := len(r.Calls()), 0
			for left := true; left; hours++ {
				if hours == 4 {
					t.Fatalf("after %d runs %d issues of %d", hours, len(r.Issues()), len(all))
				}
				c, err := github.New(github.Options{API: "http://127.0.0.1", Repository: repository, Token: "token", Transport: wire{r, nil}, Clock: r.clock})
				if err != nil {
					t.Fatal(err)
				}
				from := r.clock.Now()
				_, err = (&comment.Projector{GitHub: c, Bot: bot, Options: options}).Write(t.Context(), []comment.Page{page})
				if err != nil {
					t.Error(err)
				}
				_, _, err = (&incident.Projector{GitHub: c, Bot: bot, Now: r.clock.Now}).Write(t.Context(), all, nil)
				if left = err != nil; left && !strings.Contains(err.Error(), "not sent: more than 450 new things an hour are too many for GitHub; that ends at ") {
					t.Error(err)
				}
				if took := r.clock.Now().Sub(from); took > 50*time.Minute {
					t.Errorf("run %d took %s", hours, took)
				}
				r.clock.Move(from.Add(time.Hour + time.Minute).Sub(r.clock.Now()))
			}
			if hours < 2 {
				t.Errorf("%d runs: the test sees no limit", hours)
			}
			exactly(t, r, page)
			seen := map[string]int{}
			for _, x := range r.Issues() {
				about, _ := text.ParseIncident(x.Body)
				seen[about.Key]++
			}
			for _, one := range all {
				if about, _ := text.ParseIncident(one.Body); seen[about.Key] != 1 {
					t.Fatalf("%s has %d issues", one.Chain, seen[about.Key])
				}
			}
			if !refusing {
				t.Logf("%d changes in %d runs", r.paced(begun), hours)
			} else if refused < 5 {
				t.Errorf("only %d refusals", refused)
			}
		})
	}
}

func TestWhatOthersWroteIsNeverTouched(t *testing.T) {
	r := newRig(t, 1)
	page := pageOf(r.request(), 2, 46*time.Hour)
	forged := text.Audit(page.Audits[:1], options)[0]
	mine := []int64{
		r.Say(page.Pull, "eve", forged),
		r.Say(page.Pull, "eve", page.Status),
		r.Say(page.Pull, "ana-sec", "looks good"),
		r.Say(page.Pull, bot, "another workflow's comment"),
	}
	last := r.settle(func() pass { return r.comments(nil, page) })
	if len(last.Findings) != 1 || !strings.Contains(last.Findings[0].Text, "@eve") {
		t.Errorf("findings: %+v", last.Findings)
	}
	for _, id := range mine {
		i := slices.IndexFunc(r.Comments(page.Pull), func(c world.Comment) bool { return c.ID == id && c.UpdatedAt.Equal(c.CreatedAt) })
		if i < 0 {
			t.Errorf("comment %d was touched", id)
		}
		r.Service.DeleteComment(id)
	}
	exactly(t, r, page)
}

func TestAnEditedAuditCommentIsAFindingAndStays(t *testing.T) {
	for name, edit := range map[string]func(string) string{
		"text":          func(s string) string { return s + "\nall is well" },
		"marker":        func(s string) string { return strings.Replace(s, `"key":"`, `"key":"0`, 1) },
		"before marker": func(s string) string { return "all is well\n" + s },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			page := pageOf(r.request(), 2, 46*time.Hour)
			r.settle(func() pass { return r.comments(nil, page) })
			was := r.Comments(page.Pull)
			r.clock.Move(time.Hour)
			edited := edit(was[1].Body)
			r.Service.EditComment(was[1].ID, edited)
			for range 2 {
				last := r.settle(func() pass { return r.comments(nil, page) })
				if len(last.Findings) != 1 || !strings.Contains(last.Findings[0].Text, "edited") || last.Findings[0].URL == "" {
					t.Errorf("findings: %+v", last.Findings)
				}
			}
			if now := r.Comments(page.Pull); now[1].Body != edited {
				t.Errorf("it was mended: %q", now[1].Body)
			}
		})
	}
}

// What people do to our comments decides nothing: it is put right, and reported.
func TestWhatPeopleDoToACommentIsPutRightAndReported(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(*rig, []world.Comment)
		want string // "" nothing is reported
	}{
		"nothing":              {func(*rig, []world.Comment) {}, ""},
		"the status is edited": {func(r *rig, all []world.Comment) { r.Service.EditComment(all[0].ID, all[0].Body+"\nall is well") }, "the status comment was edited; it is put right"},
		"its line ends changed": {func(r *rig, all []world.Comment) {
			r.Service.EditComment(all[0].ID, strings.ReplaceAll(all[0].Body, "\n", "\r\n"))
		}, ""},
		"the status is deleted": {func(r *rig, all []world.Comment) { r.Service.DeleteComment(all[0].ID) }, "the status comment was deleted; it is written anew"},
		"an audit is deleted":   {func(r *rig, all []world.Comment) { r.Service.DeleteComment(all[1].ID) }, "the audit comment that team/service-000 in dev was validated isn't there: it was deleted, or the run that had to write it couldn't; it is written anew"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			page := pageOf(r.request(), 1, 30*time.Minute)
			r.settle(func() pass { return r.comments(nil, page) })
			r.clock.Move(time.Hour)
			c.do(r, r.Comments(page.Pull))
			r.clock.Move(time.Hour)
			write := func() notice.Tally {
				p := &comment.Projector{GitHub: r.program(nil), Bot: bot, Options: options, Read: r.clock.Now()}
				tally, err := p.Write(t.Context(), []comment.Page{page})
				if err != nil {
					t.Fatal(err)
				}
				return tally
			}
			found := write().Findings
			if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || found[0].Text != c.want || found[0].URL == "") {
				t.Errorf("findings: %+v", found)
			}
			if name != "its line ends changed" { // by GitHub: that stays
				exactly(t, r, page)
			}
			r.clock.Move(time.Hour)
			if again := write(); again.Writes() != 0 || len(again.Findings) != 0 {
				t.Errorf("an hour later: %+v", again)
			}
		})
	}
}

func TestACommentWithoutAPlaceIsAnErrorAndTheOthersAreWritten(t *testing.T) {
	r := newRig(t, 1)
	page := pageOf(r.request(), 1, 46*time.Hour)
	gone := page
	gone.Pull = 404
	_, err := r.comments(nil, gone, page)(context.Background())
	if err == nil || !strings.Contains(err.Error(), "#404") {
		t.Errorf("error: %v", err)
	}
	exactly(t, r, page)
}
