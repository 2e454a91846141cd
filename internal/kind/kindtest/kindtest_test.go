package kindtest

import (
	"context"
	"encoding/json"
	"flag"
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
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/secretsmanager"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

var update = flag.Bool("update", false, "write the goldens anew")

// TestMain keeps this machine's AWS configuration out.
func TestMain(m *testing.M) {
	for _, key := range []string{"AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"} {
		_ = os.Unsetenv(key)
	}
	_ = os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	_ = os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	os.Exit(m.Run())
}

func TestSecretsManager(t *testing.T) { Run(t, wholeValue) }

var wholeValue = World{Kind: secretsmanager.Kind(), Of: "whole value", New: vault}

type now func() time.Time

func (n now) Now() time.Time { return n() }

const (
	name      = "payments/api-key"
	accessKey = "AKIAKINDTEST00000001"
	secretKey = "kindtest/never-a-real-key"
)

// vault is a secret with a live version, one before, and tags of an earlier rotation and of others.
func vault(clock func() time.Time) Instance {
	w := sandbox.New(now(clock))
	w.AddKey(accessKey, secretKey, "arn:aws:iam::111111111111:user/kim")
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	look := func() sm.Secret {
		s, ok := w.SecretsManager.Secret(sandbox.Home, name, clock())
		if !ok {
			panic("the secret is gone")
		}
		return s
	}
	var err error
	oldest, err := w.SecretsManager.PutByHand(sandbox.Home, name, "oldest-value-0000", clock())
	must(err)
	old, err := w.SecretsManager.PutByHand(sandbox.Home, name, "old-value-11111111", clock())
	must(err)
	// Somebody else reads a version of their own by a label.
	_, err = w.SecretsManager.PutByHand(sandbox.Home, name, "partner-value-0000", clock(), "PARTNER")
	must(err)
	must(w.SecretsManager.TagByHand(sandbox.Home, name, clock(), sm.Tag{Key: "version", Value: "20260101"}, sm.Tag{Key: "team", Value: "payments"}))
	v := &vaultWorld{look: look, oldest: oldest, old: old, before: look()}
	return Instance{
		Target: json.RawMessage(`{"secret":"` + name + `"}`), Service: w.Handler(),
		Handler: handler,
		Reads: func(r *http.Request) bool {
			return cloud.Reads("Secrets Manager", operation(r)) || signedFor(r) != "secretsmanager"
		},
		Name:  operation,
		State: v.state, Live: func() string { return look().Labels[sm.Current] }, Always: v.always, Destroyed: v.destroyed,
		Value: func(id string) string { return look().Version(id).Text },
		Promoted: func() string {
			id, err := w.SecretsManager.PutByHand(sandbox.Home, name, "by-hand-222222222", clock())
			must(err)
			return id
		},
		Begun: func() func() error {
			id, err := w.SecretsManager.PutByHand(sandbox.Home, name, "by-hand-333333333", clock(), sm.Pending)
			must(err)
			return func() error {
				if at := look().Labels[sm.Pending]; at != id {
					return fmt.Errorf("AWSPENDING was on %s, now on %q", id, at)
				}
				return nil
			}
		},
		Happened: v.happened, Finished: v.finished, Restored: v.restored,
	}
}

func operation(r *http.Request) string {
	if _, op, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return op
	}
	return signedFor(r) + " " + r.URL.Path
}

func signedFor(r *http.Request) string {
	if p := strings.Split(r.Header.Get("Authorization"), "/"); len(p) > 3 {
		return p[3]
	}
	return ""
}

func handler(rt http.RoundTripper, seen func([]byte)) (rotation.Handler, func(context.Context, rotation.Past) error, error) {
	s, err := cloud.Open(context.Background(), cloud.Options{Region: sandbox.Home.Region, Endpoint: "http://sandbox.test", Transport: rt,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""), Writes: rate.NewLimiter(rate.Inf, 1)})
	if err != nil {
		return nil, nil, err
	}
	labels := &staging.Labels{Client: s.SecretsManager(), Keep: secret.Keeper{Seen: seen}}
	arm := func(ctx context.Context, past rotation.Past) error { return labels.Arm(ctx, past, nil) }
	return secretsmanager.New(kind.On(s, seen)), arm, nil
}

type vaultWorld struct {
	look        func() sm.Secret
	oldest, old string
	before      sm.Secret
}

func (v *vaultWorld) state() string {
	s := v.look()
	for i := range s.Versions {
		s.Versions[i].Created = time.Time{}
	}
	b, _ := json.Marshal(s)
	return string(b)
}

func (v *vaultWorld) always() error {
	s := v.look()
	if at := s.At(sm.Current); at.Text == "" {
		return fmt.Errorf("nothing is live: %v", s.Labels)
	}
	return nil
}

func (v *vaultWorld) destroyed() (ids []string) {
	for _, x := range v.look().Versions {
		if len(x.Labels) == 0 {
			ids = append(ids, x.ID)
		}
	}
	return ids
}

func (v *vaultWorld) happened(step string, past rotation.Past) error {
	s := v.look()
	now, was := past.Fact("create", "new"), past.Fact("preflight", "old")
	live := s.Labels[sm.Current]
	switch step {
	case "create":
		if s.Version(now).ID == "" || s.Labels[sm.Pending] != now {
			return fmt.Errorf("version %q isn't there as pending: %v", now, s.Labels)
		}
	case "promote":
		if live != now {
			return fmt.Errorf("%s is live, not %s", live, now)
		}
		if !slices.Contains(s.Version(was).Labels, past.Fact("promote", "kept_by")) {
			return fmt.Errorf("the old version isn't held by a label of ours: %v", s.Labels)
		}
	case "validate/health":
		if live != now {
			return fmt.Errorf("%s was validated, not %s", live, now)
		}
	case "decommission":
		if l := s.Version(was).Labels; len(l) > 0 {
			return fmt.Errorf("the old version has labels %v", l)
		}
	case "restore", "after-restore/health":
		if live != was {
			return fmt.Errorf("%s is live, not %s", live, was)
		}
	case "discard":
		if l := s.Version(now).Labels; now != "" && len(l) > 0 {
			return fmt.Errorf("the new version has labels %v", l)
		}
	}
	return nil
}

func (v *vaultWorld) finished(attempts int) error {
	s := v.look()
	live := s.At(sm.Current)
	switch {
	case live.ID == v.old || live.ID == v.oldest:
		return fmt.Errorf("the old version is live")
	case len(live.Text) < 16 || live.Text == v.before.At(sm.Current).Text:
		return fmt.Errorf("the live value is no new one")
	case len(s.Versions) > 3+attempts:
		return fmt.Errorf("%d versions, at most %d are wanted", len(s.Versions), 3+attempts)
	case len(s.Labels) != 2 || s.Labels["PARTNER"] == "":
		return fmt.Errorf("labels left: %v", s.Labels)
	case s.Tags["version"] != "20261125" && s.Tags["version"] != "20261127", s.Tags["rotated_by"] != "kim", s.Tags["team"] != "payments":
		return fmt.Errorf("tags %v", s.Tags)
	}
	return nil
}

func (v *vaultWorld) restored() error {
	s := v.look()
	if fmt.Sprint(s.Labels) != fmt.Sprint(v.before.Labels) {
		return fmt.Errorf("labels %v, before %v", s.Labels, v.before.Labels)
	}
	if fmt.Sprint(s.Tags) != fmt.Sprint(v.before.Tags) {
		return fmt.Errorf("tags %v, before %v", s.Tags, v.before.Tags)
	}
	if s.At(sm.Current).Text != v.before.At(sm.Current).Text {
		return fmt.Errorf("the old value isn't what it was")
	}
	return nil
}

func TestCosts(t *testing.T) { Golden(t, *update, Costs(t, wholeValue, nil)) }
