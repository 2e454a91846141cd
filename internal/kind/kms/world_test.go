package kms

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/time/rate"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/kindtest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/kms"
)

// TestMain keeps this machine's AWS configuration out.
func TestMain(m *testing.M) {
	for _, key := range []string{"AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"} {
		_ = os.Unsetenv(key)
	}
	_ = os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	_ = os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	os.Exit(m.Run())
}

// TestConformance: KMS shows new keys, moved aliases, lists and tags late here.
func TestConformance(t *testing.T) { kindtest.Run(t, symmetric) }

func TestSimulation(t *testing.T) {
	n := 40
	if kindtest.Full() {
		n = 600
	}
	kindtest.Simulate(t, symmetric, 1, n)
}

// Keys that sign, and keys for MACs: others of the same calls.
func TestConformanceOfASigningKey(t *testing.T) { kindtest.Run(t, signs) }
func TestConformanceOfAnHMACKey(t *testing.T)   { kindtest.Run(t, macs) }

var (
	symmetric = kindtest.World{Kind: Kind(), Of: "symmetric key", New: vaultOf(own.Make{Rotation: 180}), Stride: 97}
	signs     = kindtest.World{Kind: Kind(), Of: "asymmetric key", New: vaultOf(own.Make{Spec: "ECC_NIST_P256", Usage: "SIGN_VERIFY"}), Stride: 197}
	macs      = kindtest.World{Kind: Kind(), Of: "HMAC key", New: vaultOf(own.Make{Spec: "HMAC_256", Usage: "GENERATE_VERIFY_MAC"}), Stride: 197}
)

type clockOf func() time.Time

func (c clockOf) Now() time.Time { return c() }

const (
	appAlias  = "alias/app"
	accessKey = "AKIAKINDTEST00000001"
	secretKey = "kindtest/never-a-real-key"
)

// A scene is an alias on a key, beside other keys of the account.
type scene struct {
	w      *sandbox.World
	now    func() time.Time
	old    string
	before own.Key
}

func vaultOf(m own.Make) func(func() time.Time) kindtest.Instance {
	return func(clock func() time.Time) kindtest.Instance { return vault(clock, m) }
}

func vault(clock func() time.Time, m own.Make) kindtest.Instance {
	w := sandbox.New(clockOf(clock))
	w.AddKey(accessKey, secretKey, "arn:aws:iam::111111111111:user/kim")
	w.KMS.SetLag(4*time.Second, 40*time.Second)
	tags := []own.Tag{{TagKey: "version", TagValue: "20260101"}, {TagKey: "team", TagValue: "payments"}}
	s := &scene{w: w, now: clock}
	_, err := w.KMS.MakeByHand(sandbox.Home, own.Make{Alias: "alias/other", Tags: tags}, clock())
	must(err)
	s.old, err = w.KMS.MakeByHand(sandbox.Home, own.Make{Alias: appAlias, Description: "App key 20260101", Tags: tags, Spec: m.Spec, Usage: m.Usage, Rotation: m.Rotation}, clock())
	must(err)
	s.before = s.key(s.old)
	return kindtest.Instance{
		Target: json.RawMessage(`{"alias":"` + appAlias + `","soak":"10m","liaison":"@rastup/compliance"}`), Service: w.Handler(), Handler: s.handler,
		Reads: func(r *http.Request) bool {
			service, op := asked(r)
			return cloud.Reads(service, op) || service != "KMS"
		},
		Name: func(r *http.Request) string {
			service, op := asked(r)
			if service == "IAM" {
				return "identity and rights " + op
			}
			return op
		},
		State: s.state, Live: func() string { return w.KMS.At(sandbox.Home, appAlias) }, Always: s.always, Destroyed: s.destroyed,
		Value: func(string) string { return "" }, // nobody ever sees a key
		Promoted: func() string {
			arn, err := w.KMS.MakeByHand(sandbox.Home, own.Make{Spec: m.Spec, Usage: m.Usage}, clock())
			must(err)
			must(w.KMS.PointByHand(sandbox.Home, appAlias, arn, clock()))
			return arn
		},
		Begun: func() func() error {
			live := w.KMS.At(sandbox.Home, appAlias)
			must(w.KMS.PointByHand(sandbox.Home, "alias/partner", live, clock()))
			return func() error {
				if k := s.key(live); k.State != own.Enabled || !slices.Contains(k.Aliases, "alias/partner") {
					return fmt.Errorf("alias/partner was on %s, which is %s now and has %v", live, k.State, k.Aliases)
				}
				return nil
			}
		},
		Revived: func(past rotation.Past) {
			must(w.KMS.SetByHand(sandbox.Home, past.Fact(preflight, factOld), own.Enabled, clock()))
		},
		Happened: s.happened, Finished: s.finished, Restored: s.restored,
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// asked is the SDK's name of the service, and the operation.
func asked(r *http.Request) (service, op string) {
	target := r.Header.Get("X-Amz-Target")
	prefix, _, _ := strings.Cut(target, ".")
	service = map[string]string{"TrentService": "KMS", "secretsmanager": "Secrets Manager", "CloudTrail_20131101": "CloudTrail"}[prefix]
	if service == "" {
		return "IAM", r.URL.Path
	}
	return service, target[strings.LastIndexByte(target, '.')+1:]
}

func (s *scene) handler(rt http.RoundTripper, seen func([]byte)) (rotation.Handler, func(context.Context, rotation.Past) error, error) {
	session, err := cloud.Open(context.Background(), cloud.Options{Region: sandbox.Home.Region, Endpoint: "http://sandbox.test", Transport: rt,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""), Writes: rate.NewLimiter(rate.Inf, 1)})
	if err != nil {
		return nil, nil, err
	}
	return New(kind.On(session, seen)), func(context.Context, rotation.Past) error { return nil }, nil
}

// key is one by its ARN; the zero Key when it is gone.
func (s *scene) key(arn string) own.Key {
	for _, k := range s.w.KMS.Keys(sandbox.Home, s.now()) {
		if k.ARN == arn {
			return k
		}
	}
	return own.Key{}
}

func (s *scene) state() string {
	keys := s.w.KMS.Keys(sandbox.Home, s.now())
	b, _ := json.Marshal(keys)
	return string(b)
}

func (s *scene) always() error {
	live := s.key(s.w.KMS.At(sandbox.Home, appAlias))
	if live.State != own.Enabled {
		return fmt.Errorf("%s names a key that is %q", appAlias, live.State)
	}
	if live.Spec != s.before.Spec || live.Usage != s.before.Usage {
		return fmt.Errorf("%s names a key for %s", appAlias, live.Usage)
	}
	return nil
}

func (s *scene) destroyed() (arns []string) {
	for _, k := range s.w.KMS.Keys(sandbox.Home, s.now()) {
		if k.State == own.PendingDeletion {
			arns = append(arns, k.ARN)
		}
	}
	return arns
}

func (s *scene) happened(step string, past rotation.Past) error {
	now, was := past.Fact(create, factNew), past.Fact(preflight, factOld)
	live := s.w.KMS.At(sandbox.Home, appAlias)
	made, old := s.key(now), s.key(was)
	at := func(want string) error {
		if live != want {
			return fmt.Errorf("%s is live, not %s", live, want)
		}
		return nil
	}
	state := func(k own.Key, want ...string) error {
		if !slices.Contains(want, k.State) {
			return fmt.Errorf("key %s is %q, not %s", k.ID, k.State, want)
		}
		return nil
	}
	switch step {
	case create:
		if made.Policy != old.Policy || made.Rotation != old.Rotation || made.Tags["team"] != "payments" || made.Tags["rotated_by"] != "kim" {
			return fmt.Errorf("made as %+v", made)
		}
		return state(made, own.Enabled)
	case "validate/health": // also asked when all is over
		return at(now)
	case promote:
		if err := state(old, own.Enabled); err != nil {
			return err
		}
		return at(now)
	case disable:
		return state(old, own.Disabled)
	case decommission:
		return state(old, own.PendingDeletion, "")
	case enable:
		return state(old, own.Enabled)
	case restore, "after-restore/health":
		if err := state(old, own.Enabled); err != nil {
			return err
		}
		return at(was)
	case discarded:
		if past.Fact(promote, factMoves) != "" {
			return state(made, own.Enabled)
		}
		if now != "" {
			return state(made, own.PendingDeletion, "")
		}
	}
	return nil
}

// others are the account's keys beside the two that were there.
func (s *scene) others() (made []own.Key) {
	for _, k := range s.w.KMS.Keys(sandbox.Home, s.now()) {
		if k.ARN != s.old && !slices.Contains(k.Aliases, "alias/other") {
			made = append(made, k)
		}
	}
	return made
}

func (s *scene) finished(attempts int) error {
	live := s.w.KMS.At(sandbox.Home, appAlias)
	if live == s.old {
		return fmt.Errorf("the old key is live")
	}
	if old := s.key(s.old); old.State != own.PendingDeletion && old.State != "" {
		return fmt.Errorf("the old key is %s", old.State)
	}
	made := s.others()
	if len(made) > attempts {
		return fmt.Errorf("%d keys were made, at most %d are wanted", len(made), attempts)
	}
	for _, k := range made {
		day := k.Tags["version"]
		switch {
		case k.State == own.Disabled:
			return fmt.Errorf("key %s was left disabled", k.ID)
		case k.Description != "App key "+day || day != "20261125" && day != "20261127" || k.Tags["rotated_by"] != "kim" || k.Tags["team"] != "payments" || k.Rotation != s.before.Rotation && k.ARN == live:
			return fmt.Errorf("key made as %+v", k)
		}
	}
	return s.always()
}

func (s *scene) restored() error {
	if live := s.w.KMS.At(sandbox.Home, appAlias); live != s.old {
		return fmt.Errorf("%s is live, before %s", live, s.old)
	}
	if is, was := fmt.Sprint(s.key(s.old)), fmt.Sprint(s.before); is != was {
		return fmt.Errorf("the old key is %s, before %s", is, was)
	}
	for _, k := range s.others() {
		if k.State == own.Disabled {
			return fmt.Errorf("key %s was left disabled", k.ID)
		}
	}
	return nil
}

func TestCosts(t *testing.T) {
	kindtest.Golden(t, *goldentest.Update, kindtest.Costs(t, symmetric, nil), kindtest.Costs(t, signs, nil), kindtest.Costs(t, macs, nil))
}
