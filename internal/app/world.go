// Package app wires the rooms together, in three files: the world a process stands in, the kinds and checks
// there are, and the flow from files to closed evidence. It owns no rule of its own.
//
//	inputs (registry, rekey.yml, requests)
//	  → plan.Build, per secret and environment
//	  → apply.Run: the claimed plan, step by step, each recorded in the journal before the next
//	  → bundle, copy in the log group, close.json: projections of the journal, rebuilt until right
package app

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/rastup/rekey/internal/apply"
	checkhttp "github.com/rastup/rekey/internal/check/http"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/evidence/folder"
	"github.com/rastup/rekey/internal/evidence/logs"
	"github.com/rastup/rekey/internal/evidence/s3"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/inputs"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/redact"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/workflows"
)

// A World is what a process stands in. The command line, the action, the demo and the tests each make theirs;
// nothing below them reads the environment or the clock.
type World struct {
	Root     string                                // the checkout
	Config   string                                // the house rules' file in it
	Evidence string                                // a store's URL instead of the configured one; "" none
	Actor    string                                // the person who answers for it, by login
	Commit   string                                // of the checkout, where known
	Program  string                                // this program's version
	Self     rotation.Runner                       // this process
	Lookup   func(name string) (string, bool)      // the process's environment: what command checks may hand on
	Clock    apply.Clock                           //
	Cloud    cloud.Options                         // endpoint, credentials, transport; region and role come from the configuration
	HTTP     *http.Client                          // of http checks; nil: a plain one
	Services http.RoundTripper                     // leads to services that aren't AWS's; nil: Go's own
	Dial     Dial                                  // leads to databases; nil: Go's own
	GitHub   *github.Client                        // of the repository, to read; nil: there is no token
	Bot      string                                // login that starts workflows
	Patience time.Duration                         // see apply.Runner
	Shards   int                                   // processes that share the account's writes with this one, itself among them; 0: it is alone
	Reads    bool                                  // the evidence is only read, with the role for that where there is one
	Preview  bool                                  // of a pull request: environments are looked at with the role for that
	Progress func(*rotation.Plan, rotation.Record) // see apply.Runner; nil: none
	Warn     func(string)                          // what went wrong beside the rotation itself; nil: nowhere
}

// Dial makes a connection, as net.Dialer.DialContext does.
type Dial = func(ctx context.Context, network, addr string) (net.Conn, error)

// An App is a world at work.
type App struct {
	World
	Inputs *inputs.Inputs // after Load

	redact *redact.Set
	writes *rate.Limiter

	turn     *semaphore.Weighted // one opens a session, others wait for it as long as their contexts do
	sessions map[string]*cloud.Session
	store    evidence.Store
	journal  *evidence.Journal
	bundle   *evidence.Bundle
	armed    sync.Map // versions whose values the redactor knows
	found    sync.Map // what finds the users of secrets, by environment
}

// WritesPerSecond keeps a run well under what Secrets Manager grants an account (50 a second), in every second.
// What wasn't used before isn't saved up, but for the few writes of one rotation: alone it needn't wait for itself.
const (
	WritesPerSecond = 40
	burst           = 5
)

// New is an App that has read nothing yet.
func New(w World) *App {
	a := &App{World: w, redact: &redact.Set{}, turn: semaphore.NewWeighted(1), sessions: map[string]*cloud.Session{}, writes: share(w.Shards)}
	a.Cloud.Paces = cloud.NewPaces() // of the whole run, as writes is
	if a.Progress == nil {
		a.Progress = func(*rotation.Plan, rotation.Record) {}
	}
	if a.HTTP == nil {
		a.HTTP = checkhttp.NewClient()
	}
	if a.Warn == nil {
		a.Warn = func(string) {}
	}
	return a
}

// share is what one of several processes may write: AWS counts them together.
func share(of int) *rate.Limiter {
	of = max(of, 1)
	return rate.NewLimiter(rate.Limit(float64(WritesPerSecond-burst)/float64(of)), max(burst/of, 1))
}

// Scrub removes every value this process has seen from a text.
func (a *App) Scrub(s string) string { return a.redact.String(s) }

// Hide keeps a text, such as a token, out of everything this process writes.
func (a *App) Hide(text string) { a.redact.Add([]byte(text)) }

// Load reads and checks everything people wrote. With paths only those requests' problems count.
func (a *App) Load(paths ...string) *problem.List {
	in, list := inputs.Load(os.DirFS(a.Root), filepath.ToSlash(a.Config), Shapes(), a.Clock.Now(), paths...)
	a.Inputs = in
	return list
}

// Check is Load, and what only people who change the tree need to hear: whether the workflows fit the house rules, and
// what the requests at paths, which aren't merged yet, ask for and can't get any more.
func (a *App) Check(paths ...string) *problem.List {
	found := a.Load(paths...)
	c := a.Inputs.Config
	rules := workflows.Environments{File: c.File, Variables: c.Variables(), Daily: c.Overdue.Requests != nil || c.Overdue.Escalate != nil}
	for _, e := range c.Environments {
		rules.All = append(rules.All, workflows.Environment{Name: e.Name, GitHub: e.GitHubEnvironment, Continue: e.ContinueEnvironment})
	}
	rules.Starts = a.starts()
	workflows.Check(os.DirFS(a.Root), rules, found)
	if len(paths) > 0 {
		found.Append(a.Inputs.Late(a.Clock.Now()))
	}
	return found
}

// Ruled says whether the house rules themselves are right: to take something back, no more of the tree is needed.
func (a *App) Ruled(found *problem.List) bool {
	return !slices.ContainsFunc(found.Sorted(), func(p problem.Problem) bool { return p.File == a.Inputs.Config.File })
}

// session is an environment's clients that act for an operator, made once.
func (a *App) session(ctx context.Context, environment, operator string) (*cloud.Session, error) {
	e, ok := a.Inputs.Config.Environment(environment)
	if !ok {
		return nil, rotation.Failf("put it back into "+a.Config, "environment %q isn't configured any more", environment)
	}
	o := a.Cloud
	o.Region, o.Role, o.Writes = e.Region, e.Role, a.writes
	if a.Preview {
		if e.Preview == "" && a.Cloud.WebIdentity != nil {
			return nil, rotation.Failf("name a read-only role as its preview", "%s has no role that only looks", environment)
		}
		o.Role = cmp.Or(e.Preview, e.Role)
	} else {
		o.Entry = e.Entry
	}
	operator = cmp.Or(operator, a.Actor)
	o.SessionName = "rekey-" + cmp.Or(operator, "workflow")
	if o.Entry != "" {
		o.SourceIdentity = operator
	}
	return a.open(ctx, environment+"\x00"+operator, o)
}

// evidenceSession is the clients of the evidence store. They need no lease: a conditional write decides there.
func (a *App) evidenceSession(ctx context.Context) (*cloud.Session, error) {
	o := a.Cloud
	e := a.Inputs.Config.Evidence
	o.Region, o.Role, o.Unfenced, o.SessionName = e.Region, e.Role, true, "rekey-"+cmp.Or(a.Actor, "workflow")
	if a.Reads {
		o.Role, o.Unfenced = cmp.Or(e.Reader, e.Role), false
	}
	return a.open(ctx, "\x00evidence", o)
}

func (a *App) open(ctx context.Context, name string, o cloud.Options) (*cloud.Session, error) {
	if err := a.turn.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer a.turn.Release(1)
	if s := a.sessions[name]; s != nil {
		return s, nil
	}
	s, err := cloud.Open(ctx, o)
	if err == nil {
		err = s.Ready(ctx)
	}
	if err == nil {
		a.sessions[name] = s
	}
	return s, err
}

// Journal opens the evidence store that --evidence or the configuration names.
func (a *App) Journal(ctx context.Context) (*evidence.Journal, error) {
	if a.journal != nil {
		return a.journal, nil
	}
	s, err := a.openStore(ctx)
	if err != nil {
		return nil, err
	}
	o := evidence.Options{Lock: a.terms()}
	a.store, a.journal, a.bundle = s, evidence.New(s, o), evidence.NewBundle(s, o)
	return a.journal, nil
}

func (a *App) terms() (t evidence.Terms) {
	if l := a.Inputs.Config.Evidence.Lock; l != nil && strings.HasPrefix(a.storeURL(), "s3://") {
		now := a.Clock.Now()
		t = evidence.Terms{Mode: l.Mode, For: rotation.Duration(l.Retain.After(now).Sub(now))}
	}
	return t
}

func (a *App) storeURL() string {
	if a.Evidence != "" {
		return a.Evidence
	}
	return a.Inputs.Config.Evidence.Store
}

func (a *App) openStore(ctx context.Context) (evidence.Store, error) {
	at := a.Inputs.Config.Evidence
	at.Store = a.storeURL()
	if dir, ok := at.Dir(); ok {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(a.Root, dir)
		}
		return folder.Open(dir, a.Clock.Now)
	}
	bucket, prefix, ok := at.Bucket()
	if !ok || bucket == "" {
		return nil, rotation.Failf("it is s3://BUCKET, s3://BUCKET/PREFIX or file://DIR", "evidence store %q can't be one", at.Store)
	}
	if at.Lock == nil {
		return nil, rotation.Failf("lock: {mode: COMPLIANCE, retain: 7y}", "evidence in %s needs a lock in %s", at.Store, a.Config)
	}
	session, err := a.evidenceSession(ctx)
	if err != nil {
		return nil, err
	}
	return s3.New(s3.Options{Client: session.S3(), Bucket: bucket, Prefix: prefix, Clock: a.Clock.Now,
		Mode: types.ObjectLockMode(at.Lock.Mode), Retain: time.Duration(a.terms().For)})
}

// logs is the copy in the log group; nil where none is configured.
func (a *App) logs(ctx context.Context) (*logs.Copier, error) {
	group := a.Inputs.Config.Evidence.LogGroup
	if group == "" {
		return nil, nil
	}
	session, err := a.evidenceSession(ctx)
	if err != nil {
		return nil, err
	}
	return logs.New(session.Logs(), group), nil
}

func (a *App) warnf(format string, args ...any) { a.Warn(a.Scrub(fmt.Sprintf(format, args...))) }

// Init makes the evidence store ready: it looks that what is written there stays, and marks it once.
func (a *App) Init(ctx context.Context) (evidence.Marker, error) {
	if dir, ok := strings.CutPrefix(a.storeURL(), "file://"); ok {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(a.Root, dir)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return evidence.Marker{}, fmt.Errorf("make the evidence folder: %w", err)
		}
	}
	j, err := a.Journal(ctx)
	if err != nil {
		return evidence.Marker{}, err
	}
	if s, ok := a.store.(interface{ Check(context.Context) error }); ok {
		if err := s.Check(ctx); err != nil {
			return evidence.Marker{}, err
		}
	}
	if err := j.Init(ctx, a.Clock.Now()); err != nil {
		return evidence.Marker{}, err
	}
	return j.Marker(ctx)
}

// VerifyFolder verifies a folder of evidence, such as a download, offline and without any configuration.
func VerifyFolder(ctx context.Context, dir string, anchors []evidence.Anchor) (evidence.Report, error) {
	s, err := folder.Open(dir, nil)
	if err != nil {
		return evidence.Report{}, err
	}
	defer s.Close()
	return evidence.Verify(ctx, s, evidence.VerifyOptions{Anchors: anchors})
}
