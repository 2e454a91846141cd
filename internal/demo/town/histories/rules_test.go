package histories

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/question"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/comment"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

var order = []string{"dev", "stage", "prod"}

// notDue is why nobody may be asked about an item; "" when they may.
func (h *history) notDue(it question.Item, text string, s workflow.Step) string {
	c, now := rotation.Chain{Environment: it.Environment, Secret: it.Secret}, h.clock()
	a := h.of(c, it.Rotation)
	again := s.Env["GITHUB_EVENT_NAME"] == "workflow_dispatch"
	if a != nil && a.begun() {
		d := a.next(now)
		for at := now; d.State == plan.Deferred && d.Until.After(at) && !d.Until.After(now.Add(question.Patience)); d = a.next(at) {
			at = d.Until
		}
		switch {
		case d.State == plan.RolledBack && again:
		case d.State.Over():
			return "it is " + string(d.State)
		case d.Approval == "" && !d.Due():
			return "it is " + string(d.State) + ": " + d.Why
		case h.tail(c) != a:
			return "it was superseded"
		}
		if d.State != plan.RolledBack {
			return ""
		}
	}
	if text == "" {
		return "its request is gone"
	}
	urgent := strings.Contains(text, "compromise")
	if other := h.tail(c); other != nil && other != a && other.begun() && !other.next(now).State.Over() && !(urgent && plan.Validated(&other.claim.Plan, other.records, now)) {
		return other.claim.Plan.Rotation + " is open there"
	}
	if list := between(text, "environments: [", "]"); list != "" && !slices.Contains(strings.Split(list, ", "), it.Environment) {
		return "it isn't for this environment"
	}
	if urgent {
		return ""
	}
	if w := between(between(text, "window: {", "}")+",", it.Environment+": ", ","); w != "" {
		from, span, _ := strings.Cut(w, "/PT")
		at, err := time.Parse("2006-01-02T15:04Z", from)
		hours, err2 := strconv.Atoi(strings.TrimSuffix(span, "H"))
		if err != nil || err2 != nil || now.Before(at.Add(-question.Patience-time.Minute)) || !now.Before(at.Add(time.Duration(hours)*time.Hour)) {
			return "it is outside of its window " + w
		}
	}
	if i := slices.Index(order, it.Environment); i > 0 {
		before := h.of(rotation.Chain{Environment: order[i-1], Secret: it.Secret}, it.Rotation)
		if list := between(text, "environments: [", "]"); list == "" || strings.Contains(list, order[i-1]) {
			if before == nil || !plan.Validated(&before.claim.Plan, before.records, now) {
				return order[i-1] + " isn't validated"
			}
		}
	}
	return ""
}

func between(text, from, to string) string {
	_, rest, ok := strings.Cut(text, from)
	if !ok {
		return ""
	}
	rest, _, _ = strings.Cut(rest, to)
	return rest
}

// refusedBefore: what a person rejected isn't asked again by the schedule.
func (h *history) refusedBefore(it question.Item, s workflow.Step) {
	if s.Env["GITHUB_EVENT_NAME"] == "workflow_dispatch" || s.Attempt > 1 {
		return
	}
	for _, n := range h.noes {
		same := n.item.Rotation == it.Rotation && n.item.Secret == it.Secret && n.item.Environment == it.Environment && n.item.For == it.For &&
			n.item.Digest == it.Digest && n.item.Attempt == it.Attempt
		if same && n.state == h.stateOf(it) && n.run != s.Run && h.answeredInTime(n) {
			h.breaks("run %d asks in %s about %s of %s, which was rejected in run %d", s.Run, it.Environment, it.Rotation, it.Secret, n.run)
		}
	}
}

// answeredInTime: a no after the question expired binds nobody who asked meanwhile; one in a re-run is about an old
// question.
func (h *history) answeredInTime(n no) bool {
	for _, q := range h.questions {
		if q.run == n.run && q.Rotation == n.item.Rotation && q.Secret == n.item.Secret && q.Environment == n.item.Environment && n.at.Sub(q.at) > question.Expiry-time.Hour {
			return false
		}
	}
	return !h.rerun[n.run]
}

// look holds everything against the rules, while no step is at work.
func (h *history) look() {
	h.onceAsked()
	h.approved()
	h.lives()
}

// onceAsked: at most one open question per rotation and environment, and none about what is over.
func (h *history) onceAsked() {
	by, then := map[string]town.Wait{}, map[string]string{}
	for _, w := range h.w.Waits() {
		if h.edited(w) {
			continue // what it asks can't be answered any more
		}
		items := h.itemsOf(w)
		if len(items) == 0 {
			h.breaks("run %d waits for %s and asks nothing", w.Run, w.Environment)
		}
		r, _ := h.w.Engine.Run(w.Run)
		if h.rerun[w.Run] && r.Attempt > 1 || h.expired(w) {
			continue // a person had an old question asked again; or it is about to be cancelled
		}
		for _, it := range items {
			key := fmt.Sprint(it.Rotation, it.Secret, it.Environment, it.Digest) // of an edited request it is another one
			// After another rotation was at work on the chain in between it is another question, too.
			if o, twice := by[key]; twice && then[key] == h.others(it, w.Run) {
				h.breaks("runs %d and %d both ask in %s about %s of %s", o.Run, w.Run, it.Environment, it.Rotation, it.Secret)
			}
			by[key], then[key] = w, h.others(it, w.Run)
		}
	}
}

// edited: a request was edited after the run asked about it, and maybe put back: a merge is another question.
func (h *history) edited(w town.Wait) bool {
	for _, q := range h.questions {
		for _, x := range h.wishes {
			if q.run == w.Run && "rekey-"+q.Environment == w.Environment && x.name == q.Rotation && (x.text != q.text || x.edited.After(q.at)) {
				return true
			}
		}
	}
	return false
}

// others is what other rotations had done on the chain when a run asked.
func (h *history) others(it question.Item, run int64) string {
	for _, q := range slices.Backward(h.questions) {
		if q.run == run && q.Rotation == it.Rotation && q.Secret == it.Secret && q.Environment == it.Environment {
			return q.others
		}
	}
	return ""
}

// expired: its question is older than it may be.
func (h *history) expired(w town.Wait) bool {
	env := strings.TrimPrefix(w.Environment, "rekey-")
	for _, q := range slices.Backward(h.questions) {
		if q.run == w.Run && q.Environment == env {
			return h.clock().Sub(q.at) > question.Expiry-time.Hour
		}
	}
	return true
}

// approved: nothing is begun that nobody let begin.
func (h *history) approved() {
	used := map[string]*attempt{}
	h.all(func(a *attempt, _ bool) {
		if h.rules[a.Environment].approval == "none" {
			return
		}
		name := fmt.Sprintf("%s of %s, attempt %d", a.claim.Plan.Rotation, a.Chain, a.claim.Plan.Attempt)
		approvals := a.approvals()
		if a.begun() && !slices.ContainsFunc(approvals, func(p rotation.Approval) bool { return p.For == "rotation" }) {
			h.breaks("%s began without approval", name)
		}
		if h.asked && (a.did("decommission") || slices.ContainsFunc(a.records, func(r rotation.Record) bool { return r.Outcome == rotation.Begun })) &&
			!slices.ContainsFunc(approvals, func(p rotation.Approval) bool { return p.For == "decommission" }) {
			h.breaks("%s was decommissioned without approval", name)
		}
		for _, p := range approvals {
			h.counts(name, a, p)
			if p.Count > 0 && a.begun() {
				key := fmt.Sprint(a.Chain, p.Run, p.Count, p.For)
				if o := used[key]; o != nil && o != a && o.claim.Plan.Rotation == a.claim.Plan.Rotation {
					h.breaks("one approval of %s serves attempts %d and %d of %s", runOf(p.Run), o.claim.Plan.Attempt, a.claim.Plan.Attempt, a.Chain)
				}
				used[key] = a
			}
		}
	})
}

// counts: p was given, by somebody else, for this text.
func (h *history) counts(name string, a *attempt, p rotation.Approval) {
	author := a.claim.Actors.Operator
	if o := a.claim.Origin; o != nil {
		for _, pull := range h.w.GitHub.Pulls() {
			if pull.Number == o.PullRequest {
				author = pull.Author
			}
		}
	}
	if p.Digest != plan.Fingerprint(&a.claim.Plan) {
		h.breaks("%s: the approval in %s is about another text", name, runOf(p.Run))
	}
	if slices.Contains(p.By, author) {
		h.breaks("%s was approved by its author @%s", name, author)
	}
	run, _ := strconv.ParseInt(p.Run[strings.LastIndexByte(p.Run, '/')+1:], 10, 64)
	if h.rules[a.Environment].approval == "required" {
		given := h.w.GitHub.Approvals(run)
		for _, who := range p.By {
			ok := false
			for _, g := range given {
				ok = ok || g.User == who && g.State == "approved" && g.Environment == "rekey-"+a.Environment
			}
			if !ok {
				h.breaks("%s: @%s didn't approve run %d", name, who, run)
			}
		}
		if len(p.By) == 0 {
			h.breaks("%s was approved by nobody", name)
		}
	}
	asked := slices.ContainsFunc(h.questions, func(q posed) bool {
		return q.run == run && q.Rotation == a.claim.Plan.Rotation && q.Secret == a.Secret && q.Environment == a.Environment && q.For == p.For &&
			(q.text == a.claim.Request || q.text == "" && p.For == "decommission" || a.begun() && p.For == "decommission")
	})
	if !asked {
		h.breaks("%s: nobody was asked about this text in run %d", name, run)
	}
}

// lives: the live credential is the one that the journal says.
func (h *history) lives() {
	for c, was := range h.first {
		may := []string{was}
		for _, a := range h.chains[c] {
			old, new := a.fact("preflight", "old"), a.fact("create", "new")
			if !a.begun() {
				continue
			}
			switch d := a.next(h.clock()); {
			case a.did("restore") || d.State == plan.RolledBack:
				may = []string{old}
			case a.did("promote") && d.Step.Phase == rotation.Rollback:
				may = []string{old, new}
			case a.did("promote"):
				may = []string{new}
			case new != "":
				may = []string{old, new}
			}
		}
		if live := h.live(c); !slices.Contains(may, live) {
			h.breaks("%s: version %s is live, and the journal says %v", c, live, may)
		}
	}
}

// calms: faults are over, people do what they are asked.
func (h *history) calms() {
	if len(h.broken) > 0 {
		return
	}
	h.calm = true
	for _, e := range order {
		h.w.App.Break(e, 0)
		h.mends(e)
	}
	h.told("everything calms down")
	h.putBack()
	h.move(20 * time.Minute)
	for n := range 60 {
		h.schedule()
		if n%4 == 3 {
			h.putBack()
		}
		if n%8 == 7 { // what was rejected waits for this
			h.told("@root-admin runs the workflow")
			if err := h.w.Dispatch(h.ctx, "root-admin", map[string]string{}); err != nil {
				h.breaks("dispatch: %v", err)
			}
			h.advance()
		}
		h.forward()
		for range 6 {
			waits := h.w.Waits()
			if len(waits) == 0 {
				break
			}
			for _, w := range waits {
				h.approve(w, h.best(w, n))
			}
			h.advance()
		}
		if len(h.broken) > 0 || h.rests() {
			return
		}
		h.move(h.until().Sub(h.clock()))
	}
	h.breaks("it never comes to rest: %v", h.w.Waits())
	h.all(func(a *attempt, latest bool) {
		if d := a.next(h.clock()); latest && a.begun() && !d.State.Over() {
			h.breaks("%s of %s is %s: %s %s", a.claim.Plan.Rotation, a.Chain, d.State, d.Step.Key, d.Why)
		}
	})
}

// putBack: who edited a request after it had begun is told to put it back. Where its secrets began with different texts,
// one of these after the other.
func (h *history) putBack() {
	for _, w := range h.wishes {
		if w.gone {
			continue
		}
		again := true
		h.all(func(a *attempt, _ bool) {
			if again && a.claim.Plan.Rotation == w.name && a.begun() && !a.next(h.clock()).State.Over() {
				if again = false; a.claim.Request == w.text {
					return
				}
				w.text, w.edited = a.claim.Request, h.clock()
				h.told("@root-admin puts %s back", w.name)
				h.push("root-admin", map[string]string{w.path: w.text})
			}
		})
	}
}

// best is who may approve most of what a run asks.
func (h *history) best(w town.Wait, n int) string {
	wrote := map[string]int{}
	for _, it := range h.itemsOf(w) {
		for _, x := range h.wishes {
			if x.name == it.Rotation {
				wrote[x.author]++
			}
		}
	}
	if wrote["ana-sec"] == wrote["bo-sre"] || n > 8 { // who edited it may not know that they mayn't
		return reviewers[n%2]
	}
	if wrote["ana-sec"] < wrote["bo-sre"] {
		return "ana-sec"
	}
	return "bo-sre"
}

// forward: what goes back does so without being asked for, where it may.
func (h *history) forward() {
	h.all(func(a *attempt, latest bool) {
		d := a.next(h.clock())
		free := h.rules[a.Environment].continues || h.rules[a.Environment].approval != "required"
		if latest && free && d.Step.Phase == rotation.Rollback && a.last().Before(h.clock().Add(-20*time.Minute)) {
			h.breaks("%s of %s still waits to be taken back: %s %s", a.claim.Plan.Rotation, a.Chain, d.State, d.Why)
		}
	})
}

// rests: nothing is left to be done, now or later.
func (h *history) rests() bool {
	rests := len(h.w.Waits()) == 0
	h.all(func(a *attempt, latest bool) {
		if latest && a.begun() && !a.next(h.clock()).State.Over() {
			rests = false
		}
	})
	for _, w := range h.wishes {
		if w.merged && h.clock().Before(h.startBy(w)) {
			rests = false
		}
	}
	return rests
}

func (h *history) startBy(w *wish) time.Time {
	day, _ := time.Parse(time.DateOnly, w.name[:len(time.DateOnly)])
	return day.AddDate(0, 0, 6)
}

// until is when something may happen next.
func (h *history) until() time.Time {
	now := h.clock()
	next := now.Add(72 * time.Hour)
	sooner := func(at time.Time) {
		if at.After(now) && at.Before(next) {
			next = at
		}
	}
	open := false
	h.all(func(a *attempt, latest bool) {
		d := a.next(now)
		if latest && a.begun() && !d.State.Over() {
			open = open || d.State != plan.Deferred
			sooner(d.Until)
		}
	})
	for _, w := range h.wishes {
		if !w.merged || w.gone {
			continue
		}
		for _, e := range order {
			if s := between(between(w.text, "window: {", "}")+",", e+": ", ","); s != "" {
				at, _ := time.Parse("2006-01-02T15:04Z", s[:17])
				sooner(at)
			}
		}
		sooner(h.startBy(w).Add(time.Minute))
	}
	if open {
		sooner(now.Add(7 * time.Hour))
	}
	return next.Add(time.Minute)
}

// ends holds a history that is over against what must be true of every one.
func (h *history) ends() {
	if len(h.broken) > 0 {
		return
	}
	for range 2 {
		h.move(time.Hour)
		h.schedule()
	}
	h.idle()
	h.over()
	h.comments()
	h.incidents()
	h.verifies()
	h.hidden()
}

// idle: a further hour writes nothing anywhere.
func (h *history) idle() {
	aws, hub := len(h.w.AWS.Calls()), len(h.w.GitHub.Calls())
	h.move(time.Hour)
	at := h.clock().Truncate(time.Second)
	h.schedule()
	for _, c := range h.w.AWS.Calls()[aws:] {
		for _, verb := range []string{"Put", "Update", "Delete", "Create", "Tag", "Untag"} {
			if strings.HasPrefix(c.Operation, verb) {
				h.breaks("an hour in which nothing is due calls %s %s", c.Operation, c.Target)
			}
		}
	}
	for _, c := range h.w.GitHub.Calls()[hub:] {
		if c.Method != "GET" {
			h.breaks("an hour in which nothing is due calls %s %s: %.200s", c.Method, c.Path, c.Body)
		}
	}
	for _, r := range h.w.GitHub.Runs("rotate.yml") {
		if !r.CreatedAt.Before(at) {
			for _, j := range r.Jobs {
				if j.Name != "plan" && j.Conclusion != "skipped" {
					h.breaks("an hour in which nothing is due has a job %s", j.Name)
				}
			}
		}
	}
}

// over: everything that began has ended, is closed, and left nothing behind.
func (h *history) over() {
	closed, found := map[string]bool{}, map[string]bool{}
	for _, v := range h.w.AWS.S3.Versions(h.w.Scenario.Bucket, "rotations/") {
		if p := strings.Split(v.Key, "/"); len(p) == 7 && strings.HasPrefix(p[6], "claim") {
			found[p[3]+" "+p[4]] = true
		}
		if p := strings.Split(v.Key, "/"); len(p) == 6 && strings.HasPrefix(p[5], "close") {
			closed[p[3]+" "+p[4]+" "+strings.TrimSuffix(p[5], ".json")] = true
		}
	}
	attempts := map[string]int{}
	h.all(func(a *attempt, latest bool) {
		name := rotation.PathName(a.Secret) + " " + a.claim.Plan.Rotation
		attempts[name] = max(attempts[name], a.claim.Plan.Attempt)
		d := a.next(h.clock())
		if latest && a.begun() && !d.State.Over() {
			h.breaks("%s of %s never ended: %s %s", a.claim.Plan.Rotation, a.Chain, d.State, d.Why)
		}
		if !latest {
			return
		}
		secret := h.w.AWS.Secret(stored(a.Environment, a.Secret))
		old, new := a.fact("preflight", "old"), a.fact("create", "new")
		switch {
		case d.State == plan.Finished && (secret.Labels["AWSCURRENT"] != new || len(secret.Version(old).Labels) > 0):
			h.breaks("%s of %s is finished, and %v", a.claim.Plan.Rotation, a.Chain, secret.Labels)
		case d.State == plan.RolledBack && (secret.Labels["AWSCURRENT"] != old || new != "" && len(secret.Version(new).Labels) > 0):
			h.breaks("%s of %s is rolled back, and %v", a.claim.Plan.Rotation, a.Chain, secret.Labels)
		}
	})
	for name, n := range attempts {
		file := "close"
		if n > 1 {
			file = fmt.Sprintf("close-%d", n)
		}
		if found[name] && !closed[name+" "+file] { // who claimed it may have died before it could be found, and nothing begins before that
			h.breaks("%s isn't closed for attempt %d", name, n)
		}
	}
}

func (h *history) pullOf(a *attempt) int {
	if o := a.claim.Origin; o != nil {
		return o.PullRequest
	}
	return 0
}

func (h *history) view(a *attempt) report.Environment {
	last := a.records[len(a.records)-1]
	return report.Environment{Name: a.Environment, Plan: a.claim.Plan, Records: a.records, Decision: a.next(h.clock()), Head: rotation.Head{Chain: a.Chain, Seq: last.Seq}}
}

// comments: one status for each pull request, each outcome told once, and never edited.
func (h *history) comments() {
	// A request that was edited before all of it began may have come by several pull requests: one of them is its page.
	origins, want := map[string][]int{}, map[string]string{}
	h.all(func(a *attempt, _ bool) {
		name := a.claim.Plan.Rotation + " of " + a.Secret
		if n := h.pullOf(a); n != 0 {
			origins[name] = append(origins[name], n)
		} else {
			return
		}
		if a != h.of(a.Chain, a.claim.Plan.Rotation) {
			return // a former attempt: told if somebody looked in time
		}
		if !slices.ContainsFunc(h.looked, func(at time.Time) bool { return at.After(a.last()) && at.Before(a.last().Add(app.Settled)) }) {
			return // nobody did, for a week after it
		}
		for _, e := range comment.Outcomes(h.view(a)) {
			if e.Outcome == comment.Finished || e.Outcome == comment.RolledBack {
				want[fmt.Sprintf("%s (%s of %s, %s)", e.Key(), a.claim.Plan.Rotation, a.Chain, e.Outcome)] = name
			}
		}
	})
	said, status := map[string]int{}, map[int]int{}
	for _, p := range h.w.GitHub.Pulls() {
		for _, c := range h.w.GitHub.Comments(p.Number) {
			if _, ok := comment.ParseStatus(c.Body); ok {
				status[p.Number]++
			}
			keys, ok := comment.ParseAudit(c.Body)
			for _, k := range keys {
				said[fmt.Sprint(p.Number, " ", k)]++
			}
			if ok && !c.CreatedAt.Equal(c.UpdatedAt) {
				h.breaks("an audit comment of #%d was edited", p.Number)
			}
		}
		if status[p.Number] > 1 {
			h.breaks("#%d has %d status comments", p.Number, status[p.Number])
		}
	}
	for name, pulls := range origins {
		if !slices.ContainsFunc(pulls, func(n int) bool { return status[n] == 1 }) {
			h.breaks("%s has no status comment in %v", name, pulls)
		}
	}
	for k, n := range said {
		if n > 1 {
			h.breaks("outcome %s was told %d times", k, n)
		}
	}
	for k, name := range want {
		key, _, _ := strings.Cut(k, " (")
		if !slices.ContainsFunc(origins[name], func(n int) bool { return said[fmt.Sprint(n, " ", key)] > 0 }) {
			h.breaks("outcome %s was never told", k)
		}
	}
}

// incidents: one for each attempt that failed, closed when it went well later.
func (h *history) incidents() {
	found := map[string][]string{}
	for _, i := range h.w.GitHub.Issues() {
		if about, ok := comment.ParseIncident(i.Body); ok {
			key := about.Key
			found[key] = append(found[key], i.State)
		}
	}
	h.all(func(a *attempt, _ bool) {
		key := comment.IncidentKey(report.View{Secret: a.Secret, Rotation: a.claim.Plan.Rotation}, report.Standing{Name: a.Environment, Attempt: a.claim.Plan.Attempt})
		states := found[key]
		name := fmt.Sprintf("%s of %s, attempt %d", a.claim.Plan.Rotation, a.Chain, a.claim.Plan.Attempt)
		if len(states) > 1 {
			h.breaks("%s has %d incidents", name, len(states))
		}
		list := h.chains[a.Chain]
		i := slices.Index(list, a)
		better := slices.ContainsFunc(list[i+1:], func(o *attempt) bool { return o.next(h.clock()).State == plan.Finished })
		back := a.next(h.clock()).State == plan.RolledBack
		switch {
		case len(states) == 0 && back && i == len(list)-1:
			h.breaks("%s was rolled back and has no incident", name)
		case len(states) == 1 && states[0] == "open" && (better || a.next(h.clock()).State == plan.Finished):
			h.breaks("%s went well later, and its incident is open", name)
		case len(states) == 1 && states[0] == "closed" && back && !better && !slices.ContainsFunc(list[i+1:], func(o *attempt) bool { return o.did("promote") }):
			h.breaks("%s never went well, and its incident is closed", name)
		}
	})
}

func (h *history) verifies() {
	a, err := h.w.Hand("root-admin")
	if err != nil {
		h.breaks("%v", err)
		return
	}
	r, err := a.Verify(h.ctx, nil, nil)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		h.breaks("verify: %v", err)
	}
}

// hidden: no text holds a value.
func (h *history) hidden() {
	var values []string
	for c := range h.first {
		for _, v := range h.w.AWS.Secret(stored(c.Environment, c.Secret)).Versions {
			if p := between(v.Text, `"password":"`, `"`) + between(v.Text, `"password": "`, `"`); p != "" {
				values = append(values, p)
			}
		}
	}
	texts := map[string]string{}
	for _, p := range h.w.GitHub.Pulls() {
		for _, c := range h.w.GitHub.Comments(p.Number) {
			texts[fmt.Sprintf("comment %d", c.ID)] = c.Body
		}
	}
	for _, i := range h.w.GitHub.Issues() {
		texts[fmt.Sprintf("issue %d", i.Number)] = i.Body
		for _, c := range h.w.GitHub.Comments(i.Number) {
			texts[fmt.Sprintf("comment %d", c.ID)] = c.Body
		}
	}
	for _, v := range h.w.AWS.S3.Versions(h.w.Scenario.Bucket, "") {
		texts[v.Key] = string(v.Body)
	}
	_ = filepath.WalkDir(h.root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(path, "-checkout") {
			b, _ := os.ReadFile(path)
			texts[path] = string(b)
		}
		return nil
	})
	if len(values) < 12 {
		h.breaks("%d values to look for", len(values))
	}
	for name, text := range texts {
		for _, v := range values {
			if strings.Contains(text, v) {
				h.breaks("a secret is in %s", name)
			}
		}
	}
}
