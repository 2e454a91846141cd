package kms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/time/rate"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/kms"
)

var start = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

const runner = "arn:aws:iam::111111111111:user/runner"

// open is a fence that lets everything through.
type open struct{}

func (open) Pass(time.Duration) error { return nil }
func (open) Unanswered()              {}

// A lab is one key, and a rotation of it that is gone through step by step, as the loop would.
type lab struct {
	t       *testing.T
	clock   *sandbox.Clock
	world   *sandbox.World
	handler rotation.Handler
	plan    rotation.Plan
	records []rotation.Record
	files   []rotation.File
	said    []string
}

// newLab makes a world with the key; an empty alias means alias/app.
func newLab(t *testing.T, m own.Make, target Target) *lab {
	t.Helper()
	l := &lab{t: t, clock: sandbox.NewClock(start)}
	l.world = sandbox.New(l.clock)
	l.world.AddKey(accessKey, secretKey, runner)
	if m.Alias == "" {
		m.Alias = appAlias
	}
	m.Tags = append([]own.Tag{{TagKey: "team", TagValue: "pay"}}, m.Tags...)
	_, err := l.world.KMS.MakeByHand(sandbox.Home, m, start)
	l.ok(err)
	if target.Alias == "" {
		target.Alias = m.Alias
	}
	with, err := json.Marshal(target)
	l.ok(err)
	l.plan = rotation.Plan{Rotation: "2026-11-25-app"}
	for _, s := range Kind().Recipe(&target) {
		l.plan.Steps = append(l.plan.Steps, rotation.Step{ID: "r1/app/dev/1/" + s.Name, Key: s.Name, Name: s.Name, With: with, Reads: s.Reads})
	}
	l.records = []rotation.Record{{At: start, Outcome: rotation.Claimed,
		Claim: &rotation.Claim{Plan: l.plan, Actors: rotation.Actors{Operator: "ana-sec"}}}}
	server, err := sandbox.Serve(t.Context(), l.world, "127.0.0.1:0")
	l.ok(err)
	l.connect(server.URL())
	return l
}

func (l *lab) connect(url string) {
	session, err := cloud.Open(l.t.Context(), cloud.Options{Region: sandbox.Home.Region, Endpoint: url,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""), Writes: rate.NewLimiter(rate.Inf, 1)})
	l.ok(err)
	l.handler = New(kind.On(session, func([]byte) {}))
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) fact(step, key string) string { return rotation.PastOf(l.records).Fact(step, key) }

func (l *lab) ask(ctx context.Context, step string) (rotation.Result, error) {
	l.t.Helper()
	s, ok := l.plan.Step(step)
	if !ok {
		l.t.Fatalf("no step %q", step)
	}
	res, err := l.handler[s.Name](ctx, s, rotation.PastOf(l.records).For(s))
	said := fmt.Sprintf("%s: text=%q wait=%q facts=%q", step, res.Text, res.Wait, res.Facts)
	if err != nil {
		said = fmt.Sprintf("%s: %v", step, err)
		var f *rotation.Failure
		if errors.As(err, &f) {
			said = fmt.Sprintf("%s: %s\n    hint: %s", step, f.Msg, f.Hint)
		}
	}
	l.said = append(l.said, said)
	return res, err
}

// try runs a step under a lease until it no longer waits, and records what it says.
func (l *lab) try(step string) error {
	l.t.Helper()
	for range 9 {
		res, err := l.ask(rotation.WithFence(l.t.Context(), open{}), step)
		if err != nil {
			return err
		}
		l.files = append(l.files, res.Files...)
		outcome := rotation.Done
		if res.Wait != "" {
			outcome = rotation.Noted
		}
		l.records = append(l.records, rotation.Record{Step: step, Outcome: outcome, Facts: res.Facts, Text: res.Text})
		if res.Wait == "" {
			return nil
		}
	}
	return errors.New("still waits: " + l.said[len(l.said)-1])
}

func (l *lab) run(steps ...string) *lab {
	l.t.Helper()
	for _, s := range steps {
		if s == adopted {
			l.clock.Move(48 * time.Hour)
		}
		if s == decommission {
			l.clock.Move(7 * 24 * time.Hour)
		}
		if err := l.try(s); err != nil {
			l.t.Fatalf("%s: %v", s, err)
		}
	}
	return l
}

func (l *lab) keys() []own.Key { return l.world.KMS.Keys(sandbox.Home, l.world.Now()) }

func (l *lab) state() string {
	b, _ := json.Marshal(l.keys())
	return string(b)
}

// names puts words in the place of IDs.
func (l *lab) names(s string) string {
	for i, k := range l.keys() {
		s = strings.ReplaceAll(s, k.ID, fmt.Sprintf("KEY-%d", i+1))
	}
	return regexp.MustCompile(`\(request [^)]*\)`).ReplaceAllString(s, "(request ID)")
}

var (
	signing  = own.Make{Spec: "ECC_NIST_P256", Usage: "SIGN_VERIFY"}
	upToLive = []string{preflight, create, test, promote}
)

func lots(n int) (tags []own.Tag) {
	for i := range n {
		tags = append(tags, own.Tag{TagKey: fmt.Sprintf("cost-%d", i), TagValue: "x"})
	}
	return tags
}

// A definite no of every kind: what people read, and that nothing was changed.
var refusals = []struct {
	name   string
	key    own.Make
	target Target
	after  []string
	world  func(*lab)
	step   string
}{
	{"no such alias", own.Make{}, Target{Alias: "alias/ap"}, nil, nil, preflight},
	{"multi-Region", own.Make{MultiRegion: true}, Target{}, nil, nil, preflight},
	{"imported material", own.Make{Origin: "EXTERNAL"}, Target{}, nil, nil, preflight},
	{"managed by AWS", own.Make{Manager: "AWS"}, Target{}, nil, nil, preflight},
	{"disabled", own.Make{}, Target{}, nil, func(l *lab) { l.set(0, own.Disabled) }, preflight},
	{"pending deletion", own.Make{}, Target{}, nil, func(l *lab) { l.set(0, own.PendingDeletion) }, preflight},
	{"signing without a liaison", signing, Target{}, nil, nil, preflight},
	{"no room for tags", own.Make{Tags: lots(47)}, Target{}, nil, nil, preflight},
	{"may not use", own.Make{}, Target{}, nil, func(l *lab) { l.deny("kms:Encrypt") }, preflight},
	{"may not read the policy", own.Make{}, Target{}, nil, func(l *lab) { l.deny("kms:GetKeyPolicy") }, preflight},
	{"may not list secrets", own.Make{}, Target{}, nil, func(l *lab) { l.deny("secretsmanager:ListSecrets") }, preflight},
	{"nobody may say when it was used", own.Make{}, Target{}, nil, func(l *lab) { l.deny("kms:GetKeyLastUsage"); l.deny("cloudtrail:LookupEvents") }, preflight},
	{"may not make keys", own.Make{}, Target{}, nil, func(l *lab) { l.deny("kms:CreateKey") }, preflight},
	{"moved since preflight", own.Make{}, Target{}, []string{preflight}, (*lab).byHand, create},
	{"policy locks us out", own.Make{Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:Encrypt","Resource":"*"}]}`}, Target{}, []string{preflight, "intend"}, nil, create},
	{"moved before promote", own.Make{}, Target{}, upToLive[:3], (*lab).byHand, promote},
	{"moved before disable", own.Make{}, Target{}, upToLive, (*lab).byHand, disable},
	{"moved before restore", own.Make{}, Target{}, upToLive, (*lab).byHand, restore},
	{"enabled again in the soak", own.Make{}, Target{}, append(upToLive[:4:4], adopted, disable), func(l *lab) { l.set(0, own.Enabled) }, decommission},
	{"still works afterwards", own.Make{}, Target{}, append(upToLive[:4:4], adopted, disable, decommission), func(l *lab) { l.set(0, own.Enabled) }, refused},
}

func (l *lab) set(i int, state string) {
	l.ok(l.world.KMS.SetByHand(sandbox.Home, l.keys()[i].ARN, state, l.world.Now()))
}

func (l *lab) deny(action string) { l.world.Deny(runner, action, "*") }

func (l *lab) byHand() {
	arn, err := l.world.KMS.MakeByHand(sandbox.Home, own.Make{}, l.world.Now())
	l.ok(err)
	l.ok(l.world.KMS.PointByHand(sandbox.Home, appAlias, arn, l.world.Now()))
}

func TestRefusalsSayWhyAndChangeNothing(t *testing.T) {
	var all strings.Builder
	for _, tt := range refusals {
		l := newLab(t, tt.key, tt.target)
		for _, s := range tt.after {
			if s == "intend" {
				res, err := l.ask(rotation.WithFence(t.Context(), open{}), create)
				l.ok(err)
				l.records = append(l.records, rotation.Record{Step: create, Outcome: rotation.Noted, Facts: res.Facts})
				continue
			}
			l.run(s)
		}
		if tt.world != nil {
			tt.world(l)
		}
		before := l.state()
		_, err := l.ask(rotation.WithFence(t.Context(), open{}), tt.step)
		var f *rotation.Failure
		if !errors.As(err, &f) || f.Hint == "" {
			t.Errorf("%s: got %v, want a failure with a hint", tt.name, err)
		}
		if l.state() != before {
			t.Errorf("%s: changed something:\n%s\nwas\n%s", tt.name, l.state(), before)
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, l.names(l.said[len(l.said)-1]))
	}
	goldentest.Equal(t, "refusals.txt", all.String())
}

// What holds the rotation: it waits for a later run, and the old key stays as it is.
func TestAnOldKeyIsKeptWhileAnythingIsSeenToNeedIt(t *testing.T) {
	var all strings.Builder
	for _, tt := range []struct {
		name  string
		world func(*lab)
		step  string
	}{
		{"used", func(l *lab) { l.use(nil) }, adopted},
		{"used, CloudTrail says", func(l *lab) { l.deny("kms:GetKeyLastUsage"); l.use(nil) }, adopted},
		{"used, KMS says", func(l *lab) { l.deny("cloudtrail:LookupEvents"); l.use(nil) }, adopted},
		{"not known", func(l *lab) { l.deny("kms:GetKeyLastUsage"); l.deny("cloudtrail:LookupEvents") }, adopted},
		{"tracked too short a time", func(l *lab) {
			l.deny("cloudtrail:LookupEvents")
			l.world.KMS.SetTracking(l.world.Now().Add(-time.Hour))
		}, adopted},
		{"another alias", func(l *lab) {
			l.ok(l.world.KMS.PointByHand(sandbox.Home, "alias/legacy", l.keys()[0].ARN, l.world.Now()))
		}, adopted},
		{"a grant", func(l *lab) {
			l.ok(l.world.KMS.GrantByHand(sandbox.Home, l.keys()[0].ARN, "arn:aws:iam::111111111111:role/batch", l.world.Now()))
		}, adopted},
		{"a secret", func(l *lab) { l.secret() }, adopted},
		{"tried during the soak", func(l *lab) { l.use(errors.New("refused")) }, decommission},
		{"a secret since disable", func(l *lab) { l.secret() }, decommission},
	} {
		l := newLab(t, own.Make{}, Target{}).run(upToLive...)
		if tt.step == decommission {
			l.run(adopted, disable)
		}
		l.clock.Move(8 * 24 * time.Hour)
		tt.world(l)
		before := l.state()
		res, err := l.ask(rotation.WithFence(t.Context(), open{}), tt.step)
		if err != nil || res.Wait == "" || res.Again != rotation.Later {
			t.Errorf("%s: %+v, %v", tt.name, res, err)
		}
		if l.state() != before {
			t.Errorf("%s: changed something", tt.name)
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, l.names(res.Wait))
	}
	goldentest.Equal(t, "held.txt", all.String())
}

func (l *lab) use(want error) {
	err := l.world.KMS.UseByHand(sandbox.Home, l.keys()[0].ARN, "Decrypt", "arn:aws:iam::111111111111:role/batch", l.world.Now())
	if (err == nil) != (want == nil) {
		l.t.Fatalf("used: %v", err)
	}
	l.clock.Move(10 * time.Minute)
}

func (l *lab) secret() {
	_, err := l.world.PutByHand("app/database", "value")
	l.ok(err)
	l.ok(l.world.SecretsManager.SetKmsKey(sandbox.Home, "app/database", l.keys()[0].ARN, l.world.Now()))
}

func TestBadTargetsAreReportedWhereTheyStand(t *testing.T) {
	var all strings.Builder
	for _, text := range []string{"{}", "alias:\n", "alias: app\n", "alias: arn:aws:kms:eu-central-1:111122223333:alias/app\n", "alias: alias/aws/s3\n",
		"alias: alias/app\nidle: 2161h\nsoak: -1h\nliaison: \"<script>\"\n", "alias: alias/app\nsoak: soon\n", "alias: alias/app\nkey: x\n"} {
		var l problem.List
		problem.Decode(problem.Source{File: "registry.md", Text: []byte(text)}, new(Target), &l)
		fmt.Fprintf(&all, "# %q\n%s\n", text, l.String())
	}
	goldentest.Equal(t, "targets.txt", all.String())
}
