package comment_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/report/reporttest"
	"github.com/rastup/rekey/internal/rotation"
)

var update = flag.Bool("update", false, "write the goldens anew")

// seal is the digest of a status: another one with every change of its text.
var seal = regexp.MustCompile(`(?m)^(<!-- rekey:status .*),"text":"sha256:[0-9a-f]{64}"`)

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	got = seal.ReplaceAllString(got, "$1")
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

var options = comment.Options{
	Repository: "rastup/shop", Tickets: "rastup/security",
	Evidence: func(v report.View, s report.Standing) (string, string) {
		path := "rotations/2026/11/" + rotation.PathName(v.Secret) + "/" + v.Rotation + "/" + s.Name + "/"
		return "bundle", "https://s3.console.example/buckets/evidence?prefix=" + strings.ReplaceAll(path, " ", "%20")
	},
}

func TestStatus(t *testing.T) {
	for _, c := range reporttest.Cases() {
		got := comment.Status([]report.View{c.View()}, options)
		golden(t, "status-"+c.Name+".md", got)
		whole(t, "status of "+c.Name, got)
	}
	golden(t, "status-none.md", comment.Status(nil, options))
	o := options
	o.Jira, o.Untold = "https://jira.example/", []string{"SEC-1423"}
	got := comment.Status([]report.View{find(t, "success").View()}, o)
	golden(t, "status-untold.md", got)
	whole(t, "status of an untold ticket", got)
}

func TestStatusOfThree(t *testing.T) {
	var views []report.View
	for _, name := range []string{"retention", "rollback-stuck", "approval"} {
		views = append(views, find(t, name).View())
	}
	got := comment.Status(views, options)
	golden(t, "status-three.md", got)
	whole(t, "three", got)
}

// However many rotations with however long names: what is most urgent is there, and it fits.
func TestStatusOfManyFits(t *testing.T) {
	for _, n := range []int{2, 40, 256, 600} {
		for _, long := range []bool{false, true} {
			var views []report.View
			for i := range n {
				secret := fmt.Sprintf("team-%d/service-%03d", i%7, i)
				if long {
					secret += strings.Repeat("/long_name", 50)
				}
				views = append(views, three(secret, i))
			}
			got := comment.Status(views, options)
			what := fmt.Sprintf("%d-long-%t", n, long)
			if size := comment.Size(got); size > comment.Most || n >= 256 && size < comment.Most*8/10 {
				t.Errorf("%s: size %d", what, size)
			}
			if n <= 256 && !long {
				golden(t, "status-many-"+what+".md", got)
			}
			if first := strings.Index(got, "rolling back"); n > 17 && (first < 0 || first > 3000) {
				t.Errorf("%s: the most urgent is at %d", what, first)
			}
			whole(t, what, got)
		}
	}
}

// In the worst state that 256 rotations can be in, what is most urgent is told in detail, all others are counted, and it
// is said where they are.
func TestTheWorstStatusFits(t *testing.T) {
	long := strings.Repeat("the deployment of `web` <failed> @rastup/all: "+reporttest.Hostile+" ", 40)
	var views []report.View
	for i := range 256 {
		secret := fmt.Sprintf("team-%d/service-%03d", i%7, i) + strings.Repeat("/a_long*name", 20)
		var envs []report.Environment
		for j, p := range reporttest.Plans(secret, func(in *plan.Input) {
			for k := range in.Targets {
				for _, name := range []string{"web", "worker", "cron"} {
					in.Targets[k].Consumers = append(in.Targets[k].Consumers, plan.Use{Name: strings.Repeat(name, 30), Uses: "consumer/ecs", With: json.RawMessage(`{}`)})
				}
				in.Targets[k].Hours, in.Targets[k].Window = nil, nil
			}
		}) {
			pl := reporttest.NewPlayer(p, reporttest.Monday)
			pl.Claim.Owner, pl.Claim.Ticket = long, long
			switch j + i%3 {
			case 0, 3: // can't be taken back
				pl.Answers["validate/health"] = reporttest.Answer{Fail: long, Hint: long}
				pl.Answers["back/"+strings.Repeat("web", 30)] = reporttest.Answer{Fail: long, Hint: long}
			case 1, 4: // held up
				pl.Answers["adopted/"+strings.Repeat("web", 30)] = reporttest.Answer{Waits: long}
			default: // can't be ended
				pl.Answers["decommission"] = reporttest.Answer{Fail: long, Hint: long}
			}
			pl.Play(reporttest.Monday.Add(72 * time.Hour))
			envs = append(envs, pl.Environment(pl.Now, ""))
		}
		views = append(views, report.New(secret, reporttest.Rotation, envs, reporttest.Monday.Add(72*time.Hour)))
	}
	o := options
	o.Runs = "https://github.example/rastup/shop/actions/workflows/rotate.yml"
	got := comment.Status(views, o)
	if n := utf8.RuneCountInString(got); comment.Size(got) > comment.Most || n > 65536 {
		t.Errorf("%d characters, size %d", n, comment.Size(got))
	}
	rows, cards := strings.Count(got, "\n| 🚨 |"), strings.Count(got, "<details><summary>🚨 <b>")
	if cards < 1 || rows < 50 || !strings.Contains(got, fmt.Sprintf("\nand %d rotations more, less urgent: %[1]d need you: the summary of the latest run of [rotate](<%s>)", 256-rows, o.Runs)) ||
		!strings.Contains(got, fmt.Sprintf("Details of %d more rotations don't fit here: the summary", 256-cards)) {
		t.Errorf("%d rows and %d cards:\n%.300s\n...\n%s", rows, cards, got, got[len(got)-400:])
	}
	whole(t, "the worst", got)
	o.Room = 1000 << 10 // a job's summary
	if got = comment.Status(views, o); comment.Size(got) > o.Room || strings.Count(got, "\n| 🚨 |") != 256 || strings.Contains(got, "actions/workflows") {
		t.Errorf("size of the summary %d, %d rows", comment.Size(got), strings.Count(got, "\n| 🚨 |"))
	}
}

// Whoever uses them, with whatever names: it fits, and is left out first.
func TestStatusOfManyWithUsersFits(t *testing.T) {
	for _, n := range []int{1, 3, 40, 256} {
		var views []report.View
		for i := range n {
			v := find(t, "users")
			v.Secret = fmt.Sprintf("team-%d/service-%03d", i%7, i)
			views = append(views, v.View())
		}
		got := comment.Status(views, options)
		what := fmt.Sprintf("%d with users", n)
		if whole(t, what, got); n < 4 && !strings.Contains(got, "Who uses it: ") {
			t.Errorf("%s: nothing of them", what)
		}
	}
}

// three is a rotation in three environments; some need a person.
func three(secret string, i int) report.View {
	now := reporttest.Monday.Add(time.Hour)
	var envs []report.Environment
	before := true
	for j, p := range reporttest.Plans(secret, nil) {
		pl := reporttest.NewPlayer(p, reporttest.Monday.Add(time.Duration(5*j)*time.Minute))
		pl.Gate = "rekey-" + p.Environment
		switch i {
		case 17:
			pl.Answers["validate/health"] = reporttest.Answer{Fail: "503", Took: time.Minute}
			pl.Answers["restore"] = reporttest.Answer{Fail: "AccessDenied on UpdateSecretVersionStage", Hint: "give the role that right again"}
		case 33:
			pl.Answers["preflight"] = reporttest.Answer{Fail: "secret is scheduled for deletion"}
		}
		why := ""
		if before && !(j == 1 && i%2 == 1) {
			pl.Play(now)
		} else {
			why = p.Needs + " is not validated in this rotation"
		}
		before = plan.Validated(&pl.Plan, pl.Records, now)
		envs = append(envs, pl.Environment(now, why))
	}
	return report.New(secret, reporttest.Rotation, envs, now)
}

func find(t *testing.T, name string) reporttest.Case {
	t.Helper()
	for _, c := range reporttest.Cases() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no case %s", name)
	return reporttest.Case{}
}

// The same state gives the same bytes at any time of day, in any order of views, and no time is told relative.
func TestStatusKnowsNoTimeOfDay(t *testing.T) {
	for _, c := range reporttest.Cases() {
		was := comment.Status([]report.View{c.View()}, options)
		c.Now = c.Now.Add(7 * time.Hour)
		if d := cmp.Diff(was, comment.Status([]report.View{c.View()}, options)); d != "" {
			t.Errorf("%s:\n%s", c.Name, d)
		}
	}
}

func TestAudit(t *testing.T) {
	for _, c := range reporttest.Cases() {
		var all []comment.Entry
		for _, e := range c.Environments {
			all = append(all, comment.Outcomes(e)...)
		}
		for i := range all {
			all[i].Locked = reporttest.Monday.AddDate(7, 0, 0)
		}
		got := strings.Join(comment.Audit(all, options), "\n=====\n\n")
		golden(t, "audit-"+c.Name+".md", got)
		for _, text := range comment.Audit(all, options) {
			whole(t, "audit of "+c.Name, text)
		}
	}
}

// Each entry is told in exactly one comment, with its head, and every comment fits.
func TestAuditOfMany(t *testing.T) {
	for _, n := range []int{2, 3, 256} {
		want, entries := map[string]rotation.Head{}, []comment.Entry(nil)
		for i := range n {
			v := reporttest.NewPlayer(reporttest.Plans(fmt.Sprintf("team-%d/service-%03d", i%7, i), nil)[0], reporttest.Monday).Play(reporttest.Monday.Add(time.Hour))
			for _, e := range comment.Outcomes(v.Environment(v.Now, "")) {
				entries, want[e.Key()] = append(entries, e), e.Head
			}
		}
		got := map[string]rotation.Head{}
		comments := comment.Audit(entries, options)
		for _, text := range comments {
			if size := comment.Size(text); size > comment.Most {
				t.Errorf("%d entries: a comment of %d", n, size)
			}
			keys, ok := comment.ParseAudit(text)
			heads := comment.Anchors(text)
			if !ok || len(keys) != len(heads) {
				t.Fatalf("%d entries: %t, %d keys, %d heads", n, ok, len(keys), len(heads))
			}
			for i, k := range keys {
				if got[k] = heads[i]; !strings.Contains(text, "<code>"+heads[i].Digest+"</code>") {
					t.Errorf("%s isn't shown", heads[i].Digest)
				}
			}
			whole(t, "many", text)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%d entries in %d comments: %s", n, len(comments), d)
		}
		if n == 3 {
			golden(t, "audit-three.md", strings.Join(comments, "\n=====\n\n"))
		}
	}
}

// An outcome stays what it was when more follows: same key, same bytes.
func TestOutcomesAreToldTheSameLater(t *testing.T) {
	p := reporttest.Plans(reporttest.Secret, nil)[0]
	early := reporttest.NewPlayer(p, reporttest.Monday).Play(reporttest.Monday.Add(time.Hour))
	e := early.Environment(early.Now, "")
	first := comment.Outcomes(e)
	if len(first) != 1 || first[0].Outcome != comment.Validated {
		t.Fatalf("%+v", first)
	}
	late := reporttest.NewPlayer(p, reporttest.Monday).Play(reporttest.Monday.Add(100 * time.Hour))
	l := late.Environment(late.Now, "")
	both := comment.Outcomes(l)
	if len(both) != 2 || both[1].Outcome != comment.Finished || both[0].Key() == both[1].Key() {
		t.Fatalf("%+v", both)
	}
	if d := cmp.Diff(comment.Audit(first, options), comment.Audit(both[:1], options)); d != "" {
		t.Error(d)
	}
}

func TestIncidents(t *testing.T) {
	for _, name := range []string{"rolled-back", "rollback-stuck", "back-stuck", "discard-stuck", "decommission-stuck", "held", "hostile"} {
		c := find(t, name)
		env := "stage"
		if name != "rolled-back" && name != "rollback-stuck" {
			env = "dev"
		}
		title, body, ok := comment.Incident(c.View(), env, "https://github.example/rastup/shop/pull/7", comment.Calls{}, options)
		if !ok {
			t.Fatalf("%s has no %s", name, env)
		}
		about, ok := comment.ParseIncident(body)
		if !ok {
			t.Errorf("%s: marker %+v", name, about)
		}
		whole(t, name, body)
		closed, over := comment.IncidentClosed(c.View(), env, options)
		if over != (name == "rolled-back" || name == "hostile") {
			t.Errorf("%s: closed %t", name, over)
		}
		if over {
			whole(t, name, closed)
			if again, ok := comment.ParseIncidentClosed(closed); !ok || about.Key != again {
				t.Errorf("%s: markers %q %q", name, about.Key, again)
			}
		}
		golden(t, "incident-"+name+".md", title+"\n=====\n\n"+body+"\n=====\n\n"+closed)
	}
	if _, _, ok := comment.Incident(find(t, "held").View(), "nowhere", "", comment.Calls{}, options); ok {
		t.Error("an incident in an environment that isn't there")
	}
}

func TestAfterReview(t *testing.T) {
	v := find(t, "break-glass").View()
	a := v.Environments[0].Broken[0]
	title, body, ok := comment.AfterReview(v, "dev", a, "https://github.example/rastup/shop/pull/7", []string{"@on-call"}, options)
	about, parsed := comment.ParseAfterReview(body)
	if want := comment.AfterReviewKey(v.Rotation, v.Secret, "dev", 1, a.For); !ok || !parsed || about.Key != want || about.Chain() != (rotation.Chain{Environment: "dev", Secret: v.Secret}) {
		t.Errorf("marker %+v", about)
	}
	golden(t, "after-review.md", title+"\n=====\n\n"+body)
	a.By, a.BreakGlass, a.Run = []string{reporttest.Hostile}, reporttest.Hostile, reporttest.Hostile
	_, body, _ = comment.AfterReview(v, "dev", a, "", []string{reporttest.Hostile}, options)
	whole(t, "a hostile after-review", body)
	if _, _, ok := comment.AfterReview(v, "nowhere", a, "", nil, options); ok {
		t.Error("an after-review in an environment that isn't there")
	}
}

func TestTicket(t *testing.T) {
	for _, name := range []string{"success", "rolled-back", "hostile"} {
		v := find(t, name).View()
		got := comment.Ticket(v, false, options)
		golden(t, "ticket-"+name+".md", got)
		if name == "success" {
			golden(t, "ticket-left.md", comment.Ticket(v, true, options))
		}
		whole(t, name, got)
		if key, left, ok := comment.ParseTicket(got); !ok || left || key != comment.TicketKey(v) {
			t.Errorf("%s: marker %q", name, key)
		}
	}
}

func TestTicketsAreReferencesWhereTheyAreIssues(t *testing.T) {
	for _, c := range []struct{ ticket, tickets, want string }{
		{"#12", "rastup/security", "ticket rastup/security#12 "},
		{"#12", "rastup/shop", "ticket #12 "},
		{"rastup/shop#12", "rastup/security", "ticket #12 "},
		{"#12", "", `ticket \#&#8288;12 `},
		{"SEC-1423", "rastup/security", "ticket SEC-1423 "},
		{"a/b#1 @x", "rastup/security", `ticket a/b\#&#8288;1 @&#8288;x `},
	} {
		cse := find(t, "retention")
		for i := range cse.Environments {
			for j := range cse.Environments[i].Records {
				if cl := cse.Environments[i].Records[j].Claim; cl != nil {
					cl.Ticket = c.ticket
				}
			}
		}
		o := options
		o.Tickets = c.tickets
		if got := comment.Status([]report.View{cse.View()}, o); !strings.Contains(got, c.want) {
			t.Errorf("%q with tickets in %q: no %q in\n%s", c.ticket, c.tickets, c.want, got)
		}
	}
}

func TestDates(t *testing.T) {
	changes := []comment.Change{
		{Secret: reporttest.Secret, File: "ops/config/registry.md", Was: reporttest.Monday.AddDate(0, 0, -97), Is: reporttest.Monday, Rotation: reporttest.Rotation},
		{Secret: reporttest.Hostile, File: "ops/config/`x`|.md", Is: reporttest.Monday, Rotation: reporttest.Hostile},
	}
	title, body := comment.Dates(changes)
	golden(t, "dates.md", title+"\n=====\n\n"+body)
	whole(t, "dates", body)
	for len(changes) < 3000 {
		changes = append(changes, changes[0])
	}
	_, body = comment.Dates(changes)
	whole(t, "many dates", body)
	if !comment.IsDates(body) || comment.Size(body) > comment.Most || !strings.Contains(body, "more: see the files changed") {
		t.Errorf("size %d", comment.Size(body))
	}
}

func TestPlan(t *testing.T) {
	gates := map[string]string{"stage": "rekey-stage", "prod": "rekey-prod"}
	gated := func(in *plan.Input) {
		in.Targets[1].Approvals = []string{rotation.ApprovesRotation}
		in.Targets[2].Approvals = []string{rotation.ApprovesRotation, rotation.ApprovesDecommission}
	}
	plans := reporttest.Plans(reporttest.Secret, gated)
	at := reporttest.Monday
	note := func(i int, ok bool, text, hint string) comment.Note {
		return comment.Note{Chain: plans[i].Chain, OK: ok, Text: text, Hint: hint}
	}
	one := comment.Request{Path: reporttest.Path, Ticket: "SEC-1423", Owner: "@rastup/payments", Plans: plans, Gates: gates}
	live, refused := one, one
	live.Notes = []comment.Note{note(0, true, "target as expected, 4 consumers", ""), note(1, true, "target as expected", "")}
	refused.Notes = []comment.Note{note(0, false, "version v-half-done carries AWSPENDING", "find out who put it there")}
	used, listed := one, one
	used.Plans = reporttest.Plans(reporttest.Secret, func(in *plan.Input) { gated(in); reporttest.Used(in) })
	listed.Plans = used.Plans
	for i, p := range used.Plans[:2] {
		n := note(i, true, "target as expected", "")
		for k, v := range reporttest.Users(i > 0).Facts() {
			n.Facts = append(n.Facts, rotation.Fact{Step: plan.Discover, Key: k, Value: v})
		}
		n.Chain = p.Chain
		used.Notes = append(used.Notes, n)
	}
	both, crowd := used, used
	other := reporttest.Plans("search/typesense-admin", func(in *plan.Input) { gated(in); reporttest.Used(in) })[:1]
	both.Plans = append(append([]rotation.Plan(nil), used.Plans[:1]...), other...)
	for i := range 30 {
		crowd.Plans = append(crowd.Plans, reporttest.Plans(fmt.Sprintf("team/service-%03d", i), reporttest.Used)[0])
	}
	several := one
	several.Plans = append(append([]rotation.Plan(nil), plans...), reporttest.Plans("search/typesense-admin", gated)...)
	stolen := one
	stolen.Plans = reporttest.Plans(reporttest.Secret, func(in *plan.Input) {
		gated(in)
		in.Reason, in.OnFailure, in.Retain = "compromise", "hold", 0
	})
	stolen.Derived = map[string]string{"payments/stripe-portal": reporttest.Secret, "payments/refunds": "payments/stripe-portal"}
	for _, s := range []string{"payments/stripe-portal", "payments/refunds"} {
		stolen.Plans = append(stolen.Plans, reporttest.Plans(s, func(in *plan.Input) {
			gated(in)
			in.Reason, in.OnFailure, in.Retain = "compromise", "hold", 0
		})...)
	}
	hostile := comment.Request{Path: reporttest.Hostile, Ticket: reporttest.Hostile, Owner: reporttest.Hostile, Gates: map[string]string{"dev": reporttest.Hostile},
		Plans: reporttest.Plans(reporttest.Hostile, gated)[:1], Notes: []comment.Note{{Chain: rotation.Chain{Environment: "dev", Secret: reporttest.Hostile}, Text: reporttest.Hostile, Hint: reporttest.Hostile}}}
	hostile.Sight = &comment.Sight{Status: reporttest.Hostile, Title: reporttest.Hostile, Finding: reporttest.Hostile, Hint: reporttest.Hostile}
	seen := func(s comment.Sight) comment.Preview {
		r := one
		r.Sight = &s
		return comment.Preview{Requests: []comment.Request{r}, At: at}
	}
	many := comment.Preview{At: at}
	for i := range 256 {
		r := one
		r.Plans = reporttest.Plans(fmt.Sprintf("team/service-%03d", i), gated)
		many.Requests = append(many.Requests, r)
	}
	for name, p := range map[string]comment.Preview{
		"one":      {Requests: []comment.Request{one}, At: at},
		"live":     {Requests: []comment.Request{live}, At: at, Live: true},
		"refused":  {Requests: []comment.Request{refused}, At: at, Live: true},
		"users":    {Requests: []comment.Request{used}, At: at, Live: true},
		"both":     {Requests: []comment.Request{both}, At: at, Live: true},
		"crowd":    {Requests: []comment.Request{crowd}, At: at, Live: true},
		"listed":   {Requests: []comment.Request{listed}, At: at},
		"several":  {Requests: []comment.Request{several}, At: at},
		"stolen":   {Requests: []comment.Request{stolen}, At: at},
		"late":     {Requests: []comment.Request{one}, At: at.AddDate(0, 0, 5)},
		"problems": {Requests: []comment.Request{one}, At: at, Problems: 3},
		"nothing":  {At: at},
		"over":     {Requests: []comment.Request{{Path: reporttest.Path, Nothing: "its rotation is over in every environment"}}, At: at},
		"removed":  {Requests: []comment.Request{{Path: reporttest.Path, Removed: true}}, At: at},
		"hostile":  {Requests: []comment.Request{hostile}, At: at, Live: true},
		"many":     many,

		"ticket":         seen(comment.Sight{Status: "In Progress", Title: "Rotate the webhook's secret"}),
		"ticket-closed":  seen(comment.Sight{Status: "Done", Title: "Rotate", Finding: "the ticket SEC-1423 is closed already (Done)", Hint: "name one that approves this rotation"}),
		"ticket-missing": seen(comment.Sight{Finding: "there is no ticket SEC-1423", Hint: "see that Jira has it"}),
		"ticket-refused": seen(comment.Sight{Finding: "there is no ticket SEC-1423", Hint: "see that Jira has it", Refused: true}),
		"ticket-unseen":  seen(comment.Sight{Finding: "the ticket SEC-1423 couldn't be looked up: look up SEC-1423: the Jira site answered 503", Hint: "it is looked up again by the next run"}),
	} {
		got := comment.Plan(p, options)
		if name == "crowd" && (strings.Count(got, "Who uses it: ") < 5 || !strings.Contains(got, "more secrets doesn't fit here")) {
			t.Error("who uses the secrets isn't told of as many as fit")
		}
		if name != "many" && name != "crowd" {
			golden(t, "plan-"+name+".md", got)
		}
		whole(t, name, got)
		if !comment.IsPlan(got) || comment.Size(got) > comment.Most {
			t.Errorf("%s: size %d", name, comment.Size(got))
		}
	}
}
