package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/kms"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/registry"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/staging"
)

// Scan says what state every secret of the registry is in: by the services, the journal and the registry. It changes
// nothing. What can't be looked at is in the answer, and no error: only a journal that can't be read is one.
func (a *App) Scan(ctx context.Context) (overdue.Scan, error) {
	judged, _, err := a.scan(ctx)
	return judged, err
}

// scan is Scan, and the rotations it saw.
func (a *App) scan(ctx context.Context) (overdue.Scan, []Shown, error) {
	s := scan{App: a, now: a.Clock.Now(), open: map[rotation.Chain]*overdue.Open{}, busy: map[string]bool{}, looks: map[rotation.Chain]overdue.Look{}}
	if err := s.rotations(ctx); err != nil {
		return overdue.Scan{}, nil, err
	}
	for _, e := range a.Inputs.Registry.Entries {
		s.secrets = append(s.secrets, s.secret(&e))
	}
	s.surveys(ctx)
	s.lock(ctx)
	if err := s.ages(ctx); err != nil {
		return overdue.Scan{}, nil, err
	}
	judged := overdue.Judged(s.secrets, slices.Collect(maps.Values(s.looks)), s.strays, s.found, s.rules(), s.now)
	judged.Unseen = s.unseen()
	return judged, s.shown, nil
}

// unseen is what no scan can look for, of the kinds that the registry has.
func (s *scan) unseen() (all []string) {
	for _, k := range Kinds() {
		if k.Beyond != "" && slices.ContainsFunc(s.secrets, func(o overdue.Secret) bool { return o.Kind == k.Name }) {
			all = append(all, "what was left behind of "+k.Beyond)
		}
	}
	return all
}

// lock sees whether the evidence store still keeps what it has.
func (s *scan) lock(ctx context.Context) {
	c, ok := s.store.(interface{ Check(context.Context) error })
	if !ok {
		return
	}
	if err := c.Check(ctx); err != nil {
		s.found = append(s.found, overdue.Trouble(overdue.RuleLock, "", "whether evidence is locked", err, s.line))
	}
}

// line is what others said, on one line and without values.
func (s *scan) line(text string) string { return cloud.Line(s.Scrub(text)) }

type scan struct {
	*App
	now     time.Time
	shown   []Shown
	secrets []overdue.Secret
	open    map[rotation.Chain]*overdue.Open
	busy    map[string]bool // IDs that open rotations recorded
	looks   map[rotation.Chain]overdue.Look
	strays  []overdue.Stray
	found   []overdue.Finding
}

func (s *scan) rules() overdue.Rules {
	o := s.Inputs.Config.Overdue
	return overdue.Rules{Soon: cmp.Or(time.Duration(o.Soon), overdue.DefaultSoon), Still: cmp.Or(time.Duration(o.Still), overdue.DefaultStill)}
}

// rotations are those that are open, and what rolled back and can be started again.
func (s *scan) rotations(ctx context.Context) error {
	tasks, err := s.Tasks(ctx)
	if err != nil {
		return err
	}
	results, err := s.Look(ctx, tasks, false)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil && r.Status.Chain == nil {
			p := r.Status.Plan
			s.found = append(s.found, overdue.Finding{Rule: overdue.RuleNotSeen, Secret: r.Task.Secret, Environment: p.Environment,
				Text: "its rotation " + r.Task.Rotation + " couldn't be looked at: " + s.line(r.Err.Error())})
		}
	}
	s.shown = s.Shown(results)
	for _, v := range s.shown {
		for i, e := range v.Environments {
			st, d := v.View.Environments[i], e.Decision
			for _, r := range e.Records {
				for _, fact := range r.Facts {
					s.busy[fact[strings.LastIndexAny(fact, ":/")+1:]] = true
				}
			}
			again := d.State == plan.RolledBack && v.Task.Request != nil && v.Task.Lately
			if d.State.Over() && !again || v.Results[i].Err != nil && v.Results[i].Status.Chain == nil {
				continue
			}
			o := &overdue.Open{Rotation: v.Task.Rotation, Path: v.View.Path, Short: st.Short, Why: cmp.Or(st.Move, st.Next), Moved: st.At(), Until: d.Until,
				Failed: again || d.State == plan.Stuck || d.State == plan.Refused || d.Step.Phase == rotation.Rollback, Retained: st.Validated}
			if o.Moved.IsZero() && v.Task.Request != nil {
				o.Moved = v.Task.Request.Date
			}
			if len(e.Records) > 0 && e.Records[0].Claim.Origin != nil {
				o.Pull = e.Records[0].Claim.Origin.PullRequest
			}
			s.open[e.Plan.Chain] = o
		}
	}
	return nil
}

func (s *scan) secret(e *registry.Entry) overdue.Secret {
	o := overdue.Secret{Name: e.Secret, Kind: e.Kind, Owner: e.Owner, Tags: e.Tags, Interval: e.Interval, Due: overdue.Mark(e.Due),
		Exempt: overdue.Mark(e.Exempt), File: e.Pos.File, Line: e.Pos.Line}
	var listed []overdue.Age
	if !e.LastRotated.IsZero() {
		listed = []overdue.Age{{Since: e.LastRotated, Source: overdue.Registry}}
	}
	if e.Environments == nil {
		o.Places = []overdue.Place{{Ages: listed}}
	}
	for _, env := range s.Inputs.Config.Environments {
		if e.Environments[env.Name] != nil {
			o.Places = append(o.Places, overdue.Place{Environment: env.Name, Ages: listed, Open: s.open[rotation.Chain{Environment: env.Name, Secret: e.Secret}]})
		}
	}
	return o
}

// surveys looks at the environments, side by side.
func (s *scan) surveys(ctx context.Context) {
	envs := s.Inputs.Config.Environments
	views := make([]survey, len(envs))
	var g errgroup.Group
	for i, env := range envs {
		g.Go(func() error {
			views[i] = s.survey(ctx, env.Name)
			return nil
		})
	}
	_ = g.Wait() // each view has its own trouble
	known := map[string]bool{}
	for _, v := range views {
		maps.Copy(s.looks, v.looks)
		for _, ref := range v.known {
			known[ref] = true
		}
	}
	// Two environments may share an account: what any of them names is no stray.
	for _, v := range views {
		for _, x := range v.strays {
			if ref := v.account + " " + x.Kind + " " + x.Name; !known[ref] {
				known[ref] = true
				s.strays = append(s.strays, x)
			}
		}
		for _, f := range v.found {
			if !slices.ContainsFunc(s.found, func(o overdue.Finding) bool { return o.Rule == f.Rule && o.Text == f.Text }) {
				s.found = append(s.found, f)
			}
		}
	}
}

// A survey is what one environment shows.
type survey struct {
	account string
	looks   map[rotation.Chain]overdue.Look
	known   []string
	strays  []overdue.Stray
	found   []overdue.Finding
}

func (s *scan) survey(ctx context.Context, env string) survey {
	v := survey{looks: map[rotation.Chain]overdue.Look{}}
	session, err := s.session(ctx, env, "")
	if err != nil {
		why := s.line(err.Error())
		v.found = append(v.found, overdue.Finding{Rule: overdue.RuleNotSeen, Environment: env, Text: "what is live in " + env + " couldn't be looked at: " + why})
		for _, o := range s.secrets {
			v.looks[rotation.Chain{Environment: env, Secret: o.Name}] = overdue.Look{Secret: o.Name, Environment: env, Trouble: why}
		}
		return v
	}
	from := &kind.Survey{Secrets: staging.NewInventory(session.SecretsManager()), KMS: session.KMS()}
	v.account = env // where it can't be told, nobody shares it
	if arn, err := session.Identity(ctx); err == nil && strings.Count(arn, ":") >= 5 {
		v.account = strings.Split(arn, ":")[4]
	}
	v.account += " " + session.Region()
	var aliases []string
	for _, k := range Kinds() {
		asks, chains := s.asks(env, k)
		for i, l := range k.Inspect(ctx, from, asks) {
			l.Secret, l.Environment = chains[i].Secret, env
			v.looks[chains[i]] = l
			id := asks[i].Identity()
			v.known = append(v.known, v.account+" "+strings.Replace(id, "/", " ", 1))
			if k.Name == "kms" {
				aliases = append(aliases, strings.TrimPrefix(id, "kms/"))
			}
		}
	}
	s.others(ctx, env, from, session.Region(), aliases, &v)
	return v
}

// asks are the targets of a kind in an environment.
func (s *scan) asks(env string, k kind.Kind) (asks []kind.Ask, chains []rotation.Chain) {
	for i, e := range s.Inputs.Registry.Entries {
		at := e.Environments[env]
		if e.Kind != k.Name || at == nil {
			continue
		}
		target := k.Shape()
		if err := json.Unmarshal(at.Target, target); err != nil {
			continue // lint says so
		}
		secret := &s.secrets[i]
		asks = append(asks, kind.Ask{Target: target, Enough: func(changed time.Time) bool { return secret.Enough(changed, s.now) }})
		chains = append(chains, rotation.Chain{Environment: env, Secret: e.Secret})
	}
	return asks, chains
}

// others is what no row names.
func (s *scan) others(ctx context.Context, env string, from *kind.Survey, region string, aliases []string, v *survey) {
	blind := func(what string, err error) {
		v.found = append(v.found, overdue.Finding{Rule: overdue.RuleNotSeen, Environment: env, Text: what + " in " + env + " couldn't be looked for: " + s.line(err.Error())})
	}
	secrets, err := from.Secrets.Strays(ctx, region)
	if err != nil {
		blind("secrets without a row", err)
	}
	keys, disabled, err := kms.Strays(ctx, from.KMS, aliases, func(key string) bool { return s.busy[key] })
	if err != nil {
		blind("KMS keys without a row", err)
	}
	for _, x := range append(secrets, keys...) {
		x.Environment = env
		v.strays = append(v.strays, x)
	}
	for _, f := range disabled {
		f.Environment = env
		v.found = append(v.found, f)
	}
}

// ages gives the places what was seen, and where that leaves a doubt what the journal knows.
func (s *scan) ages(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(16)
	for i := range s.secrets {
		o := &s.secrets[i]
		for n := range o.Places {
			p := &o.Places[n]
			l, seen := s.looks[rotation.Chain{Environment: p.Environment, Secret: o.Name}]
			p.Ages = slices.Clone(p.Ages)
			switch {
			case !seen && p.Environment != "":
				p.Trouble = "nothing looks at its kind"
			case l.Missing:
				p.Trouble = "it isn't there"
			default:
				p.Trouble = l.Trouble
			}
			if seen && !l.Since.IsZero() {
				p.Ages = append(p.Ages, overdue.Age{Since: l.Since, Before: l.Before, Source: overdue.Live, Text: l.Text})
			}
			if p.Environment == "" || !l.Since.IsZero() && (!l.Before || o.Enough(l.Since, s.now)) {
				continue
			}
			g.Go(func() error {
				at, err := s.recorded(ctx, rotation.Chain{Environment: p.Environment, Secret: o.Name})
				if err == nil && !at.IsZero() {
					p.Ages = append(p.Ages, overdue.Age{Since: at, Source: overdue.Evidence})
				}
				return err
			})
		}
	}
	return g.Wait()
}

// recorded is when the journal's last rotation of a chain made what it had live; zero where it doesn't say.
func (s *scan) recorded(ctx context.Context, chain rotation.Chain) (time.Time, error) {
	c, err := s.journal.Open(ctx, chain)
	if err != nil {
		return time.Time{}, fmt.Errorf("the journal of %s: %w", chain, err)
	}
	if len(c.Records) == 0 || c.Records[0].Claim == nil || !plan.Validated(&c.Records[0].Claim.Plan, c.Records, s.now) {
		return time.Time{}, nil
	}
	for _, r := range c.Records {
		if r.Step == "create" && r.Outcome == rotation.Done {
			return r.At, nil
		}
	}
	return time.Time{}, nil
}
