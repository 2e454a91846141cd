package parameter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/ssm"
)

var start = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)

const (
	planted    = "planted-hunter2"
	name       = "/shop/stripe-version"
	oldVersion = "11111111-1111-4111-a111-111111111111"
	newVersion = "22222222-2222-4222-a222-222222222222"
	secretARN  = "arn:aws:secretsmanager:us-east-1:111111111111:secret:shop/stripe-AbCdEf"

	looks, deploy, adopted, back = "consumer/pointer", "deploy/pointer", "adopted/pointer", "back/pointer"
)

type open struct{}

func (open) Pass(time.Duration) error { return nil }
func (open) Unanswered()              {}

type instantly struct{}

func (instantly) BackoffDelay(int, error) (time.Duration, error) { return 0, nil }

// A lab is one parameter and a rotation of the secret it points to, gone through step by step.
type lab struct {
	t       *testing.T
	aws     *sandbox.World
	client  *client.Client
	handler rotation.Handler
	plan    rotation.Plan
	records []rotation.Record
	said    []string
}

func newLab(t *testing.T, shape Shape, value string) *lab {
	t.Helper()
	l := &lab{t: t, aws: sandbox.New(sandbox.NewClock(start))}
	l.aws.AddKey(sandbox.AccessKeyID, sandbox.SecretAccessKey, "arn:aws:iam::111111111111:user/rekey")
	server := httptest.NewServer(l.aws.Handler())
	t.Cleanup(server.Close)
	s, err := cloud.Open(t.Context(), cloud.Options{Region: sandbox.Home.Region, Endpoint: server.URL,
		Credentials: credentials.NewStaticCredentialsProvider(sandbox.AccessKeyID, sandbox.SecretAccessKey, ""), Backoff: instantly{}})
	if err != nil {
		t.Fatal(err)
	}
	l.client = s.SSM()
	l.handler = New(consumer.Deps{SSM: l.client})
	l.put("String", value)
	shape.Name = name
	with, err := json.Marshal(shape)
	if err != nil {
		t.Fatal(err)
	}
	for key, function := range map[string]string{looks: "preflight", deploy: "deploy", adopted: "adopted", back: "back"} {
		l.plan.Steps = append(l.plan.Steps, rotation.Step{ID: key, Key: key, Name: function, With: with, Looks: function == "preflight" || function == "adopted",
			Reads: []string{"preflight", "create", "promote", looks, deploy}})
	}
	l.kind(secretARN, oldVersion, newVersion)
	return l
}

// kind is what the kind recorded.
func (l *lab) kind(arn, old, made string) {
	l.records = []rotation.Record{{Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: l.plan}},
		{Outcome: rotation.Done, Step: "preflight", Facts: map[string]string{"arn": arn, "old": old}},
		{Outcome: rotation.Done, Step: "create", Facts: map[string]string{"new": made}}}
}

func (l *lab) put(kind, value string) {
	l.aws.SSM.PutByHand(sandbox.Home, ssm.Parameter{Name: name, Type: kind, Value: value}, start)
}

func (l *lab) values() []string { return l.aws.SSM.Values(sandbox.Home, name) }

func (l *lab) ask(step string) (rotation.Result, error) {
	l.t.Helper()
	s, ok := l.plan.Step(step)
	if !ok {
		l.t.Fatalf("no step %q", step)
	}
	ctx := context.Context(l.t.Context())
	if !s.Looks {
		ctx = rotation.WithFence(ctx, open{})
	}
	res, err := l.handler[s.Name](ctx, s, rotation.PastOf(l.records).For(s))
	said := fmt.Sprintf("%s: text=%q wait=%q facts=%q", step, res.Text, res.Wait, res.Facts)
	var f *rotation.Failure
	if errors.As(err, &f) {
		said = fmt.Sprintf("%s: refused: %s\n    hint: %s", step, f.Msg, f.Hint)
	} else if err != nil {
		said = fmt.Sprintf("%s: unknown: %v", step, err)
	}
	if l.said = append(l.said, said); strings.Contains(said+fmt.Sprintf("%v %+v", err, err), planted) {
		l.t.Errorf("a value shows: %s", said)
	}
	return res, err
}

// try asks a step until it is done or fails; an error that is no refusal is tried again a few times.
func (l *lab) try(step string) (err error) {
	l.t.Helper()
	for range 4 {
		var res rotation.Result
		res, err = l.ask(step)
		var f *rotation.Failure
		switch {
		case errors.As(err, &f):
			return err
		case err != nil:
			continue
		case res.Wait != "" && len(res.Facts) > 0:
			l.records = append(l.records, rotation.Record{Step: step, Outcome: rotation.Noted, Facts: res.Facts})
			continue
		case res.Wait != "":
			return errors.New("waits: " + res.Wait)
		}
		l.records = append(l.records, rotation.Record{Step: step, Outcome: rotation.Done, Facts: res.Facts})
		return nil
	}
	return err
}

func (l *lab) run(steps ...string) *lab {
	l.t.Helper()
	for _, s := range steps {
		if err := l.try(s); err != nil {
			l.t.Fatalf("%s: %v", s, err)
		}
	}
	return l
}

func TestTheParameterHoldsTheNewVersionAndOnTheWayBackTheOld(t *testing.T) {
	const oldKey, newKey = "arn:aws:kms:us-east-1:111111111111:key/old", "arn:aws:kms:us-east-1:111111111111:key/new"
	var all strings.Builder
	for _, tt := range []struct{ holds, arn, old, made, before, after string }{
		{"", secretARN, oldVersion, newVersion, oldVersion, newVersion},
		{consumer.HoldsARN, secretARN, oldVersion, newVersion, secretARN + ":::" + oldVersion, secretARN + ":::" + newVersion},
		{consumer.HoldsARN, "", oldKey, newKey, oldKey, newKey},
	} {
		l := newLab(t, Shape{Holds: tt.holds}, tt.before)
		l.kind(tt.arn, tt.old, tt.made)
		l.run(looks, deploy, deploy, adopted, back, back)
		if got, want := l.values(), []string{tt.before, tt.after, tt.before}; !slices.Equal(got, want) {
			t.Errorf("versions %q, want %q", got, want)
		}
		fmt.Fprintf(&all, "== holds %q\n%s\n", tt.holds, strings.Join(l.said, "\n"))
	}
	goldentest.Equal(t, "steps.txt", all.String())
}

// Each write is stopped before it, or its answer is lost; what came of it isn't recorded either.
func TestEveryCrashPointWritesOnce(t *testing.T) {
	for how, fault := range map[string]error{"before": sandbox.Broken(sandbox.Call{Service: "ssm"}), "lost": sandbox.ErrLost} {
		for n := range 2 {
			l := newLab(t, Shape{}, oldVersion)
			count := 0
			l.aws.Fail(func(c sandbox.Call) error {
				if c.Operation == "PutParameter" {
					if count++; count == n+1 {
						return fault
					}
				}
				return nil
			})
			l.run(looks, deploy)
			l.records = l.records[:len(l.records)-1] // done, and not recorded
			l.run(deploy, adopted, back)
			l.records = l.records[:len(l.records)-1]
			l.run(back)
			if got, want := l.values(), []string{oldVersion, newVersion, oldVersion}; !slices.Equal(got, want) {
				t.Errorf("%s, write %d: versions %q", how, n, got)
			}
		}
	}
}

// newLabelled is a lab whose readers go by a label: it is on the first version, and a later one isn't live yet.
func newLabelled(t *testing.T) *lab {
	l := newLab(t, Shape{Label: "live"}, oldVersion)
	l.aws.SSM.LabelByHand(sandbox.Home, name, "live", 1)
	l.put("String", "next")
	return l
}

func (l *lab) live(number int, value string) {
	l.t.Helper()
	if n, v := l.aws.SSM.Labelled(sandbox.Home, name, "live"); n != number || v != value {
		l.t.Errorf("the label is on version %d, %q; want %d, %q", n, v, number, value)
	}
}

func TestTheLabelIsOnTheNewVersionAndOnTheWayBackWhereItWas(t *testing.T) {
	l := newLabelled(t).run(looks, deploy)
	l.live(3, newVersion)
	l.run(deploy, adopted, back)
	l.live(1, oldVersion)
	l.run(back)
	if got, want := l.values(), []string{oldVersion, "next", newVersion}; !slices.Equal(got, want) {
		t.Errorf("versions %q, want %q", got, want)
	}
	goldentest.Equal(t, "label.txt", strings.Join(l.said, "\n")+"\n")
}

func TestEveryCrashPointLabelsOneVersion(t *testing.T) {
	for how, fault := range map[string]error{"before": sandbox.Broken(sandbox.Call{Service: "ssm"}), "lost": sandbox.ErrLost} {
		for n := range 3 { // one is made, the label moved there, and back
			l := newLabelled(t)
			count := 0
			l.aws.Fail(func(c sandbox.Call) error {
				if c.Operation == "PutParameter" || c.Operation == "LabelParameterVersion" {
					if count++; count == n+1 {
						return fault
					}
				}
				return nil
			})
			l.run(looks, deploy)
			l.live(3, newVersion)
			l.records = l.records[:3+1] // nothing of deploy is recorded
			l.run(deploy, adopted, back)
			l.live(1, oldVersion)
			if got, want := l.values(), []string{oldVersion, "next", newVersion}; !slices.Equal(got, want) {
				t.Errorf("%s, change %d: versions %q", how, n, got)
			}
		}
	}
}

func TestTheWayBackWhereTheLabelledVersionIsNotKeptAnyMore(t *testing.T) {
	l := newLabelled(t).run(looks, deploy)
	for range 98 {
		l.put("String", "next")
	}
	l.run(back)
	l.live(102, oldVersion)
}

func TestALabelThatSomebodyElseMovedStaysThere(t *testing.T) {
	l := newLabelled(t).run(looks, deploy)
	l.aws.SSM.LabelByHand(sandbox.Home, name, "live", 2)
	if err := l.try(adopted); err == nil || !strings.HasPrefix(err.Error(), "waits: ") {
		t.Errorf("adopted: %v", err)
	}
	l.run(back)
	l.live(2, "next")
}

func TestTheWayBackFromADeployThatDidNothing(t *testing.T) {
	l := newLab(t, Shape{}, oldVersion).run(looks, back)
	if got := l.values(); len(got) != 1 {
		t.Errorf("versions %q", got)
	}
}

func TestWhatIsRefused(t *testing.T) {
	var all strings.Builder
	for _, tt := range []struct {
		name   string
		shape  Shape
		change func(*lab)
		step   string
	}{
		{"no such parameter", Shape{}, func(l *lab) {
			for i := range l.plan.Steps {
				l.plan.Steps[i].With = []byte(`{"name":"/other"}`)
			}
		}, looks},
		{"a SecureString", Shape{}, func(l *lab) { l.put("SecureString", planted) }, looks},
		{"something else", Shape{}, func(l *lab) { l.put("String", planted) }, looks},
		{"the ARN without a version", Shape{Holds: consumer.HoldsARN}, func(l *lab) { l.put("String", secretARN) }, looks},
		{"a key's version", Shape{}, func(l *lab) { l.kind("", "arn:aws:kms:us-east-1:1:key/a", "arn:aws:kms:us-east-1:1:key/b") }, looks},
		{"changed since", Shape{}, func(l *lab) { l.run(looks); l.put("String", planted) }, deploy},
		{"written again since", Shape{}, func(l *lab) { l.run(looks); l.put("String", oldVersion) }, deploy},
		{"became a SecureString", Shape{}, func(l *lab) { l.run(looks); l.put("SecureString", planted) }, deploy},
		{"written at the same moment", Shape{}, func(l *lab) {
			l.run(looks)
			l.aws.Fail(func(c sandbox.Call) error {
				if c.Operation == "PutParameter" {
					l.put("String", planted)
				}
				return nil
			})
		}, deploy},
		{"no such label", Shape{Label: "live"}, func(*lab) {}, looks},
		{"another's label", Shape{Label: "live"}, func(l *lab) {
			l.aws.SSM.LabelByHand(sandbox.Home, name, "live", 1)
			l.run(looks)
			l.put("String", planted)
			l.aws.SSM.LabelByHand(sandbox.Home, name, "live", 2)
		}, deploy},
		{"too many labels", Shape{Label: "live"}, func(l *lab) {
			l.aws.SSM.LabelByHand(sandbox.Home, name, "live", 1)
			l.put("String", newVersion) // by somebody who was early
			for i := range 10 {
				l.aws.SSM.LabelByHand(sandbox.Home, name, fmt.Sprintf("l%d", i), 2)
			}
			l.run(looks)
		}, deploy},
		{"no room", Shape{}, func(l *lab) {
			l.aws.SSM.PutByHand(sandbox.Home, ssm.Parameter{Name: name, Value: oldVersion, Label: "old"}, start)
			for range 99 {
				l.put("String", oldVersion)
			}
			l.run(looks)
		}, deploy},
	} {
		l := newLab(t, tt.shape, oldVersion)
		tt.change(l)
		var f *rotation.Failure
		if err := l.try(tt.step); !errors.As(err, &f) {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		fmt.Fprintf(&all, "%s\n  %s\n  hint: %s\n", tt.name, f.Msg, f.Hint)
	}
	goldentest.Equal(t, "refusals.txt", all.String())
}

func TestWhatSomebodyElseWroteSinceStays(t *testing.T) {
	l := newLab(t, Shape{}, oldVersion).run(looks, deploy)
	l.put("String", planted)
	if err := l.try(adopted); err == nil || !strings.HasPrefix(err.Error(), "waits: ") {
		t.Errorf("adopted: %v", err)
	}
	l.run(back)
	if got := l.values(); got[len(got)-1] != planted {
		t.Errorf("versions %q", got)
	}
}

func TestALookThatFailsIsNoNo(t *testing.T) {
	l := newLab(t, Shape{}, oldVersion).run(looks)
	l.aws.Fail(func(c sandbox.Call) error { return sandbox.Broken(c) })
	for _, step := range []string{looks, deploy, adopted, back} {
		var f *rotation.Failure
		if _, err := l.ask(step); err == nil || errors.As(err, &f) {
			t.Errorf("%s: %v", step, err)
		}
	}
}
