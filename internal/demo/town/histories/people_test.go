package histories

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

// A wish is a request as people know it.
type wish struct {
	path, name string
	secrets    []string
	text       string // as it was last written by anybody
	edited     time.Time
	pull       int
	author     string
	reviewed   []string
	merged     bool
	gone       bool
}

var (
	writers   = []string{"li-pay", "ana-sec", "bo-sre"}
	reviewers = []string{"ana-sec", "bo-sre"}
)

func pick[T any](h *history, list []T) T { return list[h.dice.IntN(len(list))] }
func (h *history) chance(percent int) bool {
	return h.dice.IntN(100) < percent
}

func (h *history) clock() time.Time { return h.w.Clock.Now() }

func (h *history) move(d time.Duration) {
	h.w.Clock.Move(d)
}

func (h *history) advance() {
	if err := h.w.Engine.Advance(h.ctx); err != nil {
		h.breaks("the scheduler: %v", err)
	}
	h.read()
	h.look()
}

func (h *history) other(than ...string) string {
	for {
		if who := pick(h, writers); !slices.Contains(than, who) {
			return who
		}
	}
}

// draft is the text of a random request.
func (h *history) draft() (text string, secrets []string) {
	for _, i := range h.dice.Perm(len(secretNames))[:1+h.dice.IntN(3)*h.dice.IntN(2)] {
		secrets = append(secrets, secretNames[i])
	}
	slices.Sort(secrets)
	text = "secrets: [" + strings.Join(secrets, ", ") + "]\n"
	if len(secrets) == 1 {
		text = "secret: " + secrets[0] + "\n"
	}
	text += fmt.Sprintf("ticket: \"#%d\"\n", h.ticket)
	environments := []string{"dev", "stage", "prod"}
	if h.chance(25) {
		environments = environments[:1+h.dice.IntN(2)]
		text += "environments: [" + strings.Join(environments, ", ") + "]\n"
	}
	switch {
	case h.chance(12):
		text += "reason: compromise\nretain: 0h\n"
		if h.chance(50) {
			text += "on_failure: hold\n"
		}
		return text, secrets
	}
	var windows []string
	for _, e := range environments {
		if e == "prod" || h.chance(15) {
			from := h.clock().Truncate(time.Hour).Add(time.Duration(h.dice.IntN(50)-2) * time.Hour)
			windows = append(windows, fmt.Sprintf("%s: %s/PT%dH", e, from.Format("2006-01-02T15:04Z"), 2+h.dice.IntN(30)))
		}
	}
	if len(windows) > 0 {
		text += "window: {" + strings.Join(windows, ", ") + "}\n"
	}
	return text, secrets
}

func (h *history) opens() {
	text, secrets := h.draft()
	h.number++
	w := &wish{secrets: secrets, text: text, author: pick(h, writers)}
	w.name = fmt.Sprintf("%s-%c", h.clock().Format(time.DateOnly), 'a'+h.number-1)
	w.path = "rotations/" + h.clock().Format("2006/01/") + w.name + ".yaml"
	h.wishes = append(h.wishes, w)
	if h.chance(7) {
		h.told("@%s pushes %s past any pull request: %s", w.author, w.name, flat(text))
		h.push(w.author, map[string]string{w.path: text})
		w.merged = true
		return
	}
	w.pull = h.pull(w.author, "Rotate "+strings.Join(secrets, ", "), map[string]string{w.path: text})
	h.told("@%s opens #%d with %s: %s", w.author, w.pull, w.name, flat(text))
	if h.chance(85) {
		h.reviews(w)
	}
	if h.chance(90) {
		h.merges(w)
	}
}

func flat(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(text, "\"", "")), "\n", "; ")
}

// pull opens a pull request; the workflow that plans it runs only now and then: it is another story.
func (h *history) pull(author, title string, files map[string]string) int {
	if h.chance(10) {
		n, err := h.w.OpenPull(h.ctx, author, title, "", files, false)
		if err != nil {
			h.breaks("open a pull request: %v", err)
		}
		return n
	}
	h.branches++
	branch := fmt.Sprintf("branch-%d", h.branches)
	h.w.GitHub.Commit(branch, author, title, files)
	return h.w.GitHub.OpenPull(author, title, "", branch, "main", false)
}

func (h *history) reviews(w *wish) {
	who := h.other(w.author)
	if h.chance(8) {
		who = w.author
	}
	if h.chance(5) {
		who = "mallory"
	}
	h.told("@%s approves #%d", who, w.pull)
	h.w.GitHub.Review(w.pull, who, "APPROVED")
	if who != w.author && who != "mallory" {
		w.reviewed = append(w.reviewed, who)
	}
}

func (h *history) merges(w *wish) {
	by := h.other()
	if h.chance(30) {
		h.move(time.Duration(h.dice.IntN(90)) * time.Minute)
	}
	sha, how := "", "merges"
	if h.chance(30) {
		sha, how = h.w.GitHub.Squash(w.pull, by), "squashes"
	} else {
		sha = h.w.GitHub.Merge(w.pull, by)
	}
	if sha == "" {
		h.told("#%d can't be merged", w.pull)
		return
	}
	w.merged = true
	h.told("@%s %s #%d (%s)", by, how, w.pull, w.name)
	h.pushed(sha, by, w.path)
}

func (h *history) push(author string, files map[string]string) {
	h.pushed(h.w.GitHub.Commit("main", author, "By hand", files), author, slices.Collect(maps.Keys(files))...)
}

// pushed is what a push starts, unless its event gets lost.
func (h *history) pushed(sha, by string, files ...string) {
	if h.chance(10) && !h.calm {
		h.told("the push starts nothing")
		return
	}
	if _, err := h.w.Engine.Trigger(workflow.Event{Name: "push", Ref: "refs/heads/main", SHA: sha, Actor: by, Files: files}); err != nil {
		h.breaks("a push: %v", err)
	}
	if h.chance(20) { // two runs begin at once
		h.told("... in the very second of the schedule")
		if _, err := h.w.Engine.Trigger(workflow.Event{Name: "schedule", Ref: "refs/heads/main", SHA: sha, Actor: "root-admin", Cron: town.Cron}); err != nil {
			h.breaks("schedule: %v", err)
		}
	}
	if h.chance(80) {
		h.advance()
	}
}

// edits changes the file of a request that is merged.
func (h *history) edits() {
	w := h.wish(func(w *wish) bool { return w.merged && !w.gone })
	if w == nil {
		return
	}
	by := pick(h, writers)
	text := w.text + fmt.Sprintf("# edited by %s at %s\n", by, h.clock().Format("15:04"))
	if w.text != firstText(w.text) && h.chance(60) {
		text = firstText(w.text) // put back
	}
	if h.chance(40) {
		h.told("@%s edits %s by a push", by, w.name)
		w.text, w.edited = text, h.clock()
		h.push(by, map[string]string{w.path: text})
		return
	}
	n := h.pull(by, "Edit "+w.name, map[string]string{w.path: text})
	if n == 0 {
		return
	}
	w.text, w.edited = text, h.clock()
	who := h.other(by)
	if h.chance(80) {
		h.w.GitHub.Review(n, who, "APPROVED")
	} else {
		who = "nobody"
	}
	sha := h.w.GitHub.Merge(n, h.other())
	h.told("@%s edits %s by #%d, reviewed by %s", by, w.name, n, who)
	if sha != "" {
		h.pushed(sha, by, w.path)
	}
}

func firstText(text string) string {
	text, _, _ = strings.Cut(text, "# edited")
	return text
}

func (h *history) wish(f func(*wish) bool) *wish {
	fit := slices.DeleteFunc(slices.Clone(h.wishes), func(w *wish) bool { return !f(w) })
	if len(fit) == 0 {
		return nil
	}
	return pick(h, fit)
}

func (h *history) withdraws() {
	if w := h.wish(func(w *wish) bool { return w.merged && !w.gone }); w != nil {
		w.gone = true
		by := pick(h, writers)
		h.told("@%s deletes %s", by, w.name)
		h.push(by, map[string]string{w.path: ""})
	}
}

// answers is somebody's answer to a question that is open.
func (h *history) answers() {
	waits := h.w.Waits()
	if len(waits) == 0 {
		return
	}
	w := pick(h, waits)
	who := pick(h, reviewers)
	switch {
	case h.chance(12):
		h.reject(w, who)
	case h.chance(8):
		listed := h.chance(50)
		if err := h.w.GitHub.Bypass(w.Run, w.Environment, "root-admin", "", listed); err == nil {
			h.told("@root-admin bypasses %s in run %d (listed: %v)", w.Environment, w.Run, listed)
		}
	default:
		h.approve(w, who)
	}
	if h.chance(85) {
		h.advance()
	}
}

func (h *history) approve(w town.Wait, who string) {
	if err := h.w.GitHub.Approve(w.Run, w.Environment, who, ""); err == nil {
		h.told("@%s approves %s in run %d: %s", who, w.Environment, w.Run, h.asks(w))
	}
}

func (h *history) reject(w town.Wait, who string) {
	items := h.itemsOf(w)
	if err := h.w.GitHub.Reject(w.Run, w.Environment, who, ""); err != nil {
		return
	}
	h.told("@%s rejects %s in run %d: %s", who, w.Environment, w.Run, h.asks(w))
	for _, it := range items {
		h.noes = append(h.noes, no{item: it, at: h.clock(), run: w.Run, state: h.stateOf(it)})
	}
}

// runs does something to a run.
func (h *history) runs() {
	all := h.w.Engine.Runs()
	all = slices.DeleteFunc(all, func(r workflow.RunState) bool { return r.Workflow != "rotate.yml" })
	if len(all) == 0 {
		return
	}
	r := all[max(0, len(all)-1-h.dice.IntN(6))]
	if r.Conclusion == "" {
		h.told("run %d is cancelled", r.ID)
		_ = h.w.Engine.Cancel(r.ID) // it may have ended
	} else {
		whole := h.chance(50)
		if err := h.w.Engine.Rerun(r.ID, pick(h, writers), whole); err == nil {
			h.told("run %d is run again (all: %v)", r.ID, whole)
			h.rerun[r.ID] = true
		}
	}
	h.advance()
}

func (h *history) dispatches() {
	in, by := map[string]string{}, pick(h, writers)
	if w := h.wish(func(w *wish) bool { return w.merged && !w.gone }); w != nil && h.chance(75) {
		in = map[string]string{"rotation": w.path, "again": "true"}
	}
	h.told("@%s runs the workflow: %v", by, in)
	if err := h.w.Dispatch(h.ctx, by, in); err != nil {
		h.breaks("dispatch: %v", err)
	}
	h.advance()
}

// insists starts what rolled back again while the application is still broken, and then once more by the same run.
func (h *history) insists() {
	var back *attempt
	h.all(func(a *attempt, latest bool) {
		if latest && a.Secret == "app/database" && a.next(h.clock()).State == plan.RolledBack && h.rules[a.Environment].approval == "required" {
			back = a
		}
	})
	if back == nil {
		return
	}
	env := back.Environment
	h.sick[env] = false
	h.w.App.Break(env, 0)
	h.told("somebody insists on %s of %s", back.claim.Plan.Rotation, back.Chain)
	if err := h.w.Dispatch(h.ctx, pick(h, writers), map[string]string{"rotation": back.claim.Path, "again": "true"}); err != nil {
		h.breaks("dispatch: %v", err)
	}
	h.read()
	h.fails(env)
	waits := h.w.Waits()
	for _, w := range waits {
		if w.Environment == "rekey-"+env {
			h.approve(w, h.best(w, 0))
			h.advance()
			h.mends(env)
			_ = h.w.Engine.Rerun(w.Run, "li-pay", false) // where it failed
			h.rerun[w.Run] = true
		}
	}
	h.advance()
}

// fails breaks an environment's application as soon as a new credential is live there; mends undoes it.
func (h *history) fails(env string) {
	live := h.live(rotation.Chain{Environment: env, Secret: "app/database"})
	h.w.App.Accept(env, live)
}

func (h *history) mends(env string) { h.w.App.AcceptAll(env) }

func (h *history) breaksApp() {
	env := pick(h, h.w.Scenario.Environments)
	if h.chance(50) { // red only once there is a new credential
		h.deaf[env] = !h.deaf[env]
		h.told("the application in %s takes a new password: %v", env, !h.deaf[env])
		if h.deaf[env] {
			h.fails(env)
		} else {
			h.mends(env)
		}
		return
	}
	h.sick[env] = !h.sick[env]
	status := 0
	if h.sick[env] {
		status = 503
	}
	h.told("the application in %s is well: %v", env, !h.sick[env])
	h.w.App.Break(env, status)
}

func (h *history) schedule() {
	h.told("the schedule")
	if err := h.w.Schedule(h.ctx); err != nil {
		h.breaks("schedule: %v", err)
	}
	h.advance()
}
