package histories

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/question"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox/github"
	"github.com/rastup/rekey/internal/sandbox/workflow"
)

var secretNames = []string{"app/database", "app/session", "pay/stripe", "pay/webhook"}

// A rule is what the house rules of a history say of an environment.
type rule struct {
	approval  string
	continues bool
	hours     bool
}

// A history is one random history of a town.
type history struct {
	ctx    context.Context
	seed   uint64
	steps  int
	dice   *mathrand.Rand // what people do
	order  *mathrand.Rand // which job goes on
	w      *town.Town
	root   string
	start  time.Time
	rules  map[string]rule
	asked  bool // decommission is asked for by itself
	ticket int

	number, branches int
	wishes           []*wish
	sick, deaf       map[string]bool // environments whose application is down, or takes no new credential
	calm             bool
	rerun            map[int64]bool
	noes             []no
	tree             map[string]string // commit by job
	now              *trouble
	claims           int // attempts there are when a step begins
	questions        []posed
	looked           []time.Time // when a job brought what people see up to date
	first            map[rotation.Chain]string

	known  map[string]bool
	fresh  []rotation.Record
	chains map[rotation.Chain][]*attempt

	runners sync.WaitGroup // dead ones wake up when the history is over, to learn that

	mu     sync.Mutex
	story  []string
	broken []string
}

// A posed question is an item that a job's output asks about.
type posed struct {
	question.Item
	run  int64
	at   time.Time
	text string // of its request at the commit that the job looked at
	// others counts the records of other rotations on its chain.
	others string
}

// A no is an item that was rejected, and how things stood.
type no struct {
	item  question.Item
	run   int64
	at    time.Time
	state string
}

func (h *history) told(format string, a ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.story = append(h.story, h.clock().Format("Mon 02 15:04:05  ")+fmt.Sprintf(format, a...))
}

func (h *history) breaks(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.broken, text) {
		h.broken = append(h.broken, text)
		h.story = append(h.story, h.clock().Format("Mon 02 15:04:05  ")+"*** "+text)
	}
}

var key = sync.OnceValue(func() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

func newHistory(ctx context.Context, seed uint64, root string) (*history, error) {
	h := &history{ctx: ctx, seed: seed, root: root, dice: mathrand.New(mathrand.NewPCG(seed, 1)), order: mathrand.New(mathrand.NewPCG(seed, 2)),
		sick: map[string]bool{}, deaf: map[string]bool{}, rerun: map[int64]bool{}, tree: map[string]string{}, known: map[string]bool{}, chains: map[rotation.Chain][]*attempt{},
		rules: map[string]rule{}, first: map[rotation.Chain]string{}, start: time.Date(2026, 11, 23, 6, 17, 0, 0, time.UTC)}
	h.rules["dev"] = rule{approval: "none"}
	h.rules["stage"] = rule{approval: []string{"required", "required", "review"}[h.dice.IntN(3)], continues: h.chance(75), hours: h.chance(20)}
	h.rules["prod"] = rule{approval: "required", continues: h.chance(85)}
	h.asked = h.chance(25)
	o := town.Options{Root: root, Start: h.start, Clock: runningFrom(h.start), Wrap: h.wrap, Log: h.log, Files: map[string]string{".github/rekey.yml": h.houseRules(), "ops/config/registry.md": registry()},
		GitHub: github.Options{Key: key()}, KeepApprovals: h.chance(30), Within: true,
		Pick: func(n int) int {
			if h.order.IntN(1+int(seed%3)) > 0 {
				return 0
			}
			return h.order.IntN(n)
		},
		Transport: func(_ workflow.Step, to http.RoundTripper) (aws, hub http.RoundTripper) {
			return &line{to: to, t: h.now}, &line{to: to, hub: true, t: h.now}
		}}
	var err error
	if h.w, err = town.New(ctx, o); err != nil {
		return nil, err
	}
	for _, e := range h.w.Scenario.Environments {
		for _, s := range secretNames[1:] {
			if _, err := h.w.AWS.PutByHand(stored(e, s), fmt.Sprintf(`{"user": "u", "password": "%x-original"}`, mathrand.New(mathrand.NewPCG(seed, uint64(len(h.first)))).Uint64())); err != nil {
				return nil, err
			}
		}
		for _, s := range secretNames {
			h.first[rotation.Chain{Environment: e, Secret: s}] = h.live(rotation.Chain{Environment: e, Secret: s})
		}
		if env, ok := h.w.GitHub.Environment("rekey-" + e); ok {
			env.AdminsBypass = h.chance(50)
			if h.rules[e].approval == "review" {
				env.Reviewers = nil
			}
			h.w.GitHub.SetEnvironment(env)
		}
	}
	h.ticket = h.w.GitHub.OpenIssue("li-pay", "Rotate", "")
	return h, h.w.Init(ctx)
}

func stored(environment, secret string) string {
	return "rekey/" + environment + "/" + strings.ReplaceAll(secret, "/", "-")
}

// live is the version that a secret's users get.
func (h *history) live(c rotation.Chain) string {
	return h.w.AWS.Secret(stored(c.Environment, c.Secret)).Labels["AWSCURRENT"]
}

func (h *history) houseRules() string {
	var b strings.Builder
	b.WriteString("environments:\n")
	for _, e := range []string{"dev", "stage", "prod"} {
		r := h.rules[e]
		fmt.Fprintf(&b, "  - name: %s\n    region: us-east-1\n    role: arn:aws:iam::111111111111:role/rekey-%[1]s\n    approval: %s\n", e, r.approval)
		if r.continues {
			fmt.Fprintf(&b, "    continue_environment: rekey-%s-continue\n", e)
		}
		if r.hours {
			b.WriteString("    hours: {days: mon-fri, from: \"08:00\", to: \"18:00\", zone: UTC}\n")
		}
	}
	b.WriteString(`evidence:
  store: s3://rekey-evidence
  region: us-east-1
  role: arn:aws:iam::111111111111:role/rekey-evidence
  reader: arn:aws:iam::111111111111:role/rekey-reader
  lock: {mode: COMPLIANCE, retain: 7y}
  log_group: /rekey/audit
tickets: {github: rastup/shop}
policy:
  retain: 24h
  retain_least: 24h
  start_within: 6d
`)
	if h.asked {
		b.WriteString("  decommission: asked\n")
	}
	return b.String()
}

func registry() string {
	text := "| Secret | Kind | Owner | Interval | Last rotated |\n| --- | --- | --- | --- | --- |\n"
	for _, s := range secretNames {
		text += "| " + s + " | secretsmanager | @rastup/platform | 90 days | 2026-08-18 |\n"
	}
	for _, s := range secretNames {
		text += "\n## " + s + "\n\n```yaml\n"
		for _, e := range []string{"dev", "stage", "prod"} {
			text += e + ":\n  target: {secret: " + stored(e, s) + ", key: password}\n"
			if strings.HasPrefix(s, "app/") {
				text += "  checks:\n    - http: {url: \"ENDPOINT/" + e + "/health\", within: 1m}\n      name: health\n"
			}
		}
		text += "```\n"
	}
	return text
}

// log keeps what steps print: no secret may be in it.
func (h *history) log(s workflow.Step, text string, err error) {
	if h.ctx.Err() != nil || h.now.stopped() {
		return // a runner that died
	}
	_ = os.WriteFile(filepath.Join(h.root, fmt.Sprintf("log-%d-%d-%s", s.Run, s.Attempt, strings.ReplaceAll(s.JobName, "/", "-"))), []byte(text), 0o600)
	if err == nil {
		return
	}
	for _, l := range strings.Split(text, "\n") {
		if strings.HasPrefix(l, "::error") {
			h.told("      %s", l)
		}
	}
}

// trouble is what goes wrong in a step: mostly nothing.
func (h *history) trouble(s workflow.Step) *trouble {
	t := &trouble{salt: h.order.Uint64(), seen: map[string]int{}, died: make(chan struct{}), over: h.ctx.Done()}
	if h.calm {
		return t
	}
	switch h.order.IntN(12) {
	case 0:
		t.lose = 60
	case 1:
		t.drop, t.refuse = 40, 40
	case 2:
		t.at, t.dies = 1+h.order.IntN(14), true
	case 3:
		t.at = 1 + h.order.IntN(8)
		run := s.Run
		t.acts = func() {
			h.told("run %d is cancelled while %s is at work", run, s.JobName)
			_ = h.w.Engine.Cancel(run) // it can be
		}
	case 4:
		t.at = 1 + h.order.IntN(8)
		t.acts = h.meanwhile()
	}
	return t
}

// meanwhile is what people do while a step is at work.
func (h *history) meanwhile() func() {
	what, who := h.order.IntN(3), reviewers[h.order.IntN(2)]
	return func() {
		waits := h.w.Waits()
		switch {
		case what < 2 && len(waits) > 0:
			h.approve(waits[len(waits)-1], who)
		default:
			for _, w := range h.wishes {
				if w.merged && !w.gone {
					w.gone = true
					h.told("@%s deletes %s meanwhile", who, w.name)
					h.w.GitHub.Commit("main", who, "Delete", map[string]string{w.path: ""})
					return
				}
			}
		}
	}
}

func (h *history) count() (n int) {
	h.all(func(*attempt, bool) { n++ })
	return n
}

func (h *history) before(workflow.Step, string) { h.claims = h.count() }

// after holds what a step did against the rules.
func (h *history) after(s workflow.Step, key string, t *trouble, out map[string]string, err error) {
	end := "ok"
	if err != nil {
		end = "fails"
	}
	h.told("run %d attempt %d: %s %s", s.Run, s.Attempt, s.JobName, end)
	t.mu.Lock() // a runner that died may still have calls on the way
	what := slices.Clone(t.what)
	t.mu.Unlock()
	for _, w := range what {
		h.story = append(h.story, "      "+w)
	}
	h.read()
	switch s.With["command"] {
	case "apply":
		if s.With["question"] == "" && h.count() != h.claims {
			h.breaks("%s of run %d began something", s.JobName, s.Run)
		}
	case "due":
		if err != nil && h.calm && !strings.Contains(err.Error(), "GitHub's rate limit is used up") { // many jobs in one hour
			h.breaks("%s of run %d fails when nothing is wrong: %v", s.JobName, s.Run, err)
		}
		if err == nil {
			h.looked = append(h.looked, h.clock())
		}
		if out["environments"] != "" && !t.stopped() {
			h.posed(s, key, out["environments"])
		}
	}
}

// posed keeps what a job asks.
func (h *history) posed(s workflow.Step, key, text string) {
	files := h.w.GitHub.Files(h.tree[key])
	asked := decode(h, text)
	for _, env := range order {
		for _, it := range asked[env] {
			if s.Job == "after-prod" || s.Job == "after-stage" && env != "prod" || s.Job == "after-dev" && env == "dev" {
				continue // not what it is asked for
			}
			p := posed{Item: it, run: s.Run, at: h.clock()}
			for _, a := range h.chains[rotation.Chain{Environment: env, Secret: it.Secret}] {
				if a.claim.Plan.Rotation != it.Rotation {
					p.others += fmt.Sprint(len(a.records), " ")
				}
			}
			for _, w := range h.wishes {
				if w.name == it.Rotation {
					p.text = files[w.path]
				}
			}
			h.story = append(h.story, fmt.Sprintf("    asks in %s: %s of %s (%s, attempt %d)", env, it.Rotation, it.Secret, it.For, it.Attempt))
			if why := h.notDue(it, p.text, s); why != "" {
				h.breaks("%s of run %d asks in %s about %s of %s: %s", s.JobName, s.Run, env, it.Rotation, it.Secret, why)
			}
			h.refusedBefore(it, s)
			h.questions = append(h.questions, p)
		}
	}
}

func decode(h *history, text string) map[string][]question.Item {
	all := map[string]struct{ Question string }{}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		h.breaks("output environments: %v", err)
	}
	items := map[string][]question.Item{}
	for env, q := range all {
		if q.Question == "" {
			continue
		}
		l, err := question.Decode(q.Question)
		if err != nil {
			h.breaks("question: %v", err)
		}
		items[env] = l
	}
	return items
}

// itemsOf is what a run that waits asks.
func (h *history) itemsOf(w town.Wait) []question.Item {
	r, _ := h.w.Engine.Run(w.Run)
	env := strings.TrimPrefix(w.Environment, "rekey-")
	feeds := map[string][]string{"dev": {"plan"}, "stage": {"after-dev", "plan"}, "prod": {"after-stage", "after-dev", "plan"}}[env]
	for _, f := range feeds {
		for _, j := range r.Jobs {
			if j.Key == f && j.Result == "success" {
				return decode(h, j.Outputs["environments"])[env]
			}
		}
	}
	return nil
}

func (h *history) asks(w town.Wait) string {
	var l []string
	for _, it := range h.itemsOf(w) {
		l = append(l, it.Rotation+" of "+it.Secret)
	}
	return strings.Join(l, ", ")
}

// stateOf is all that makes a question another one.
func (h *history) stateOf(it question.Item) string {
	text := ""
	for c, l := range h.chains {
		if c.Secret != it.Secret {
			continue
		}
		n := 0
		for _, a := range l {
			n += len(a.records)
		}
		text += fmt.Sprint(n, " of ", c.Environment, "; ")
	}
	parts := strings.Split(text, "; ")
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// play plays a history in a bubble of time: nothing in it waits for the machine, and nothing depends on who is faster.
func play(t *testing.T, seed uint64) (h *history) {
	synctest.Test(t, func(t *testing.T) { h = played(t, seed) })
	return h
}

func played(t *testing.T, seed uint64) *history {
	root, err := os.MkdirTemp("", "history")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(root) }()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	h, err := newHistory(ctx, seed, root)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		stop()
		h.runners.Wait()
		time.Sleep(time.Hour) // SDKs end what they had begun
	}()
	h.troubled()
	h.calms()
	h.ends()
	return h
}

// troubled is the part in which everything goes wrong that can.
func (h *history) troubled() {
	h.opens()
	for range 5 + h.dice.IntN(10) {
		h.step()
		if len(h.broken) > 0 {
			return
		}
	}
}

func (h *history) step() {
	lots := []struct {
		weight int
		do     func()
	}{
		{14, func() {
			if h.number < 8 {
				h.opens()
			}
		}},
		{4, func() {
			if w := h.wish(func(w *wish) bool { return !w.merged && w.pull > 0 }); w != nil {
				h.merges(w)
			}
		}},
		{4, func() {
			if w := h.wish(func(w *wish) bool { return w.pull > 0 && len(w.reviewed) == 0 }); w != nil {
				h.reviews(w)
			}
		}},
		{6, h.edits}, {4, h.withdraws}, {26, h.answers}, {7, h.runs}, {6, h.dispatches}, {8, h.breaksApp}, {5, h.insists},
	}
	sum := 0
	for _, l := range lots {
		sum += l.weight
	}
	n := h.dice.IntN(sum)
	for _, l := range lots {
		if n -= l.weight; n < 0 {
			l.do()
			break
		}
	}
	switch h.dice.IntN(14) {
	case 0:
		h.move(time.Duration(24+h.dice.IntN(60)) * time.Hour)
	case 1, 2, 3:
		h.move(time.Duration(h.dice.IntN(12)) * time.Hour)
	case 4:
		if h.dice.IntN(8) == 0 {
			h.move(31 * 24 * time.Hour)
		}
	default:
		h.move(time.Duration(h.dice.IntN(70)) * time.Minute)
	}
	if h.chance(55) {
		h.schedule()
	}
}
