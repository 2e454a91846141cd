package stripewebhook

import (
	"context"
	"encoding/json"
	"errors"
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
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
	"github.com/rastup/rekey/internal/sandbox/stripe"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// TestMain keeps this machine's AWS configuration out.
func TestMain(m *testing.M) {
	for _, key := range []string{"AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"} {
		_ = os.Unsetenv(key)
	}
	_ = os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	_ = os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	os.Exit(m.Run())
}

var whole = kindtest.World{Kind: Kind(), Of: "whole value", Stride: 97, New: shop}

func TestConformance(t *testing.T) {
	kindtest.Run(t, whole)
}

func TestConformanceOfAJSONKey(t *testing.T) {
	if !kindtest.Full() {
		t.Skip("a selection of the same cases runs above; REKEY_FULL=1 runs these as well")
	}
	kindtest.Run(t, kindtest.World{Kind: Kind(), Of: "a JSON key", Stride: 97, New: func(now func() time.Time) kindtest.Instance { return shopWith(now, "signing") }})
}

func TestRandomHistories(t *testing.T) {
	n := 25
	if kindtest.Full() {
		n = 400
	}
	kindtest.Simulate(t, whole, 1, n)
}

type now func() time.Time

func (n now) Now() time.Time { return n() }

const (
	stored    = "payments/stripe-webhook"
	apiKeyAt  = "payments/stripe-api-key"
	apiKey    = "rk_test_planted0000000000000001"
	hookURL   = "https://shop.test/stripe"
	accessKey = "AKIAKINDTEST00000001"
	secretKey = "kindtest/never-a-real-key"
)

func shop(clock func() time.Time) kindtest.Instance { return shopWith(clock, "") }

// A store is an account at Stripe with an endpoint, one for somebody else, and the secret of the first in use.
type store struct {
	aws    *sandbox.World
	stripe *stripe.Service
	clock  func() time.Time
	key    string // JSON key of the signing secret; "" the whole value
	first  stripe.Endpoint
	was    sm.Secret
}

func shopWith(clock func() time.Time, key string) kindtest.Instance {
	w := sandbox.New(now(clock))
	w.AddKey(accessKey, secretKey, "arn:aws:iam::111111111111:user/kim")
	s := &store{aws: w, stripe: w.Stripe, clock: clock, key: key}
	w.Stripe.AddKey(apiKey, stripe.Write)
	w.Stripe.Add(stripe.Endpoint{URL: "https://shop.test/other", Events: []string{"*"}})
	s.first = w.Stripe.Add(stripe.Endpoint{URL: hookURL, Events: []string{"charge.succeeded", "charge.refunded"}, APIVersion: "2023-10-16",
		Description: "the shop's", Metadata: map[string]string{"team": "payments"}})
	must(w.PutByHand(apiKeyAt, apiKey))
	must(w.PutByHand(stored, s.content("whsec_oldest0000000000000000")))
	must(w.PutByHand(stored, s.content(s.first.Secret)))
	if err := w.SecretsManager.TagByHand(sandbox.Home, stored, clock(), sm.Tag{Key: "version", Value: "20260101"}, sm.Tag{Key: "team", Value: "payments"}); err != nil {
		panic(err)
	}
	s.was = s.look()
	processor := &stripe.Processor{Clock: now(clock), Secrets: s.known}
	target, _ := json.Marshal(Target{Secret: stored, Key: key, URL: hookURL, APIKey: Key{Secret: apiKeyAt}, APIBase: "https://stripe.test"})
	return kindtest.Instance{
		Target: target,
		Service: http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
			if in.URL.Host == "shop.test" {
				processor.ServeHTTP(out, in)
				return
			}
			w.Handler().ServeHTTP(out, in)
		}),
		Handler: func(rt http.RoundTripper, seen func([]byte)) (rotation.Handler, func(context.Context, rotation.Past) error, error) {
			d, err := deps(rt, seen, clock)
			labels := &staging.Labels{Client: d.SecretsManager, Keep: d.Keep}
			return New(d), func(ctx context.Context, past rotation.Past) error { return labels.Arm(ctx, past, nil) }, err
		},
		Reads: reads, Name: called, Busy: busy,
		State: s.state, Live: func() string { return s.look().Labels[sm.Current] }, Always: s.always, Destroyed: s.destroyed,
		Value: func(id string) string { return s.signing(s.look().Version(id)) },
		Revived: func(past rotation.Past) {
			w.Stripe.Edit(past.Fact("preflight", factEndpoint), func(e *stripe.Endpoint) { e.Deleted, e.Disabled = false, false })
		},
		Promoted: s.promoted, Begun: s.begun, Happened: s.happened, Finished: s.finished, Restored: s.restored,
	}
}

func must(_ string, err error) {
	if err != nil {
		panic(err)
	}
}

func deps(rt http.RoundTripper, seen func([]byte), clock func() time.Time) (kind.Deps, error) {
	session, err := cloud.Open(context.Background(), cloud.Options{Region: sandbox.Home.Region, Endpoint: "http://sandbox.test", Transport: rt,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""), Writes: rate.NewLimiter(rate.Inf, 1)})
	if err != nil {
		return kind.Deps{}, err
	}
	d := kind.On(session, seen)
	d.Transport, d.Now, d.Keep = rt, clock, secret.Keeper{Seen: seen}
	return d, nil
}

func operation(r *http.Request) (service, op string) {
	if p := strings.Split(r.Header.Get("Authorization"), "/"); strings.HasPrefix(p[0], "AWS4") && len(p) > 3 {
		service = p[3]
	}
	_, op, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return service, op
}

func reads(r *http.Request) bool {
	switch r.URL.Host {
	case "stripe.test":
		return r.Method == http.MethodGet
	case "sandbox.test":
		service, op := operation(r)
		return service != "secretsmanager" || cloud.Reads("Secrets Manager", op)
	}
	return true
}

func called(r *http.Request) string {
	service, op := operation(r)
	switch {
	case r.URL.Host == "stripe.test":
		path := r.URL.Path
		if i := strings.Index(path, "/we_"); i >= 0 {
			path = path[:i] + "/ID"
		}
		return r.Method + " " + path
	case r.URL.Host == "sandbox.test" && op != "":
		return op
	case r.URL.Host == "sandbox.test":
		return service + " " + r.URL.Path
	}
	return "test event to " + r.URL.Host
}

func busy(out http.ResponseWriter, r *http.Request, broken bool) {
	switch {
	case r.URL.Host == "sandbox.test":
		kindtest.AWSBusy(out, broken)
	case r.URL.Host == "shop.test":
		out.WriteHeader(http.StatusServiceUnavailable)
	default:
		e := stripe.Throttled()
		if broken {
			e = stripe.Broken(false)
		}
		out.WriteHeader(e.Status)
		_ = json.NewEncoder(out).Encode(map[string]any{"error": e})
	}
}

// content is a value that holds a signing secret.
func (s *store) content(signing string) string {
	if s.key == "" {
		return signing
	}
	return fmt.Sprintf(`{ "user": "shop", %q:%q }`, s.key, signing)
}

func (s *store) signing(v sm.Version) string {
	if s.key == "" {
		return v.Text
	}
	var doc map[string]string
	_ = json.Unmarshal([]byte(v.Text), &doc)
	return doc[s.key]
}

// known are the secrets that the processor has: the current and the previous one.
func (s *store) known() []string {
	l := s.look()
	return []string{s.signing(l.At(sm.Current)), s.signing(l.At(sm.Previous))}
}

func (s *store) look() sm.Secret { return s.aws.Secret(stored) }

func (s *store) state() string {
	l := s.look()
	for i := range l.Versions {
		l.Versions[i].Created = time.Time{}
	}
	b, _ := json.Marshal([]any{l, s.stripe.Endpoints()})
	return string(b)
}

// of is the endpoint with this secret.
func (s *store) of(signing string) stripe.Endpoint {
	all := s.stripe.Endpoints()
	if i := slices.IndexFunc(all, func(e stripe.Endpoint) bool { return e.Secret == signing }); i >= 0 {
		return all[i]
	}
	return stripe.Endpoint{}
}

func (s *store) always() error {
	e := s.of(s.signing(s.look().At(sm.Current)))
	if e.ID == "" || e.Deleted || e.Disabled {
		return fmt.Errorf("the live secret is of endpoint %q, deleted %t, disabled %t", e.ID, e.Deleted, e.Disabled)
	}
	return nil
}

func (s *store) destroyed() (ids []string) {
	for _, v := range s.look().Versions {
		if len(v.Labels) == 0 {
			ids = append(ids, v.ID)
		}
	}
	for _, e := range s.stripe.Endpoints() {
		if e.Deleted {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func (s *store) promoted() string {
	e := s.stripe.Add(stripe.Endpoint{URL: hookURL, Events: []string{"*"}})
	id, err := s.aws.PutByHand(stored, s.content(e.Secret))
	must(id, err)
	return id
}

func (s *store) begun() func() error {
	id, err := s.aws.PutByHand(stored, s.content("whsec_byhand0000000000000000"), sm.Pending)
	must(id, err)
	return func() error {
		if at := s.look().Labels[sm.Pending]; at != id {
			return fmt.Errorf("AWSPENDING was on %s, now on %q", id, at)
		}
		return nil
	}
}

func (s *store) happened(step string, past rotation.Past) error {
	l := s.look()
	version, was := past.Fact("create", "new"), past.Fact("preflight", "old")
	made, old := s.stripe.Endpoint(past.Fact("create", "endpoint")), s.stripe.Endpoint(past.Fact("preflight", "endpoint"))
	up := func(e stripe.Endpoint) bool { return e.ID != "" && !e.Deleted && !e.Disabled }
	live := l.Labels[sm.Current]
	switch step {
	case "preflight":
		if s.signing(l.Version(was)) != old.Secret {
			return fmt.Errorf("the live secret isn't that of %s", old.ID)
		}
	case "create":
		if s.signing(l.Version(version)) != made.Secret || !up(made) || l.Labels[sm.Pending] != version {
			return fmt.Errorf("version %q isn't the pending secret of endpoint %q: %v", version, made.ID, l.Labels)
		}
		if made.URL != s.first.URL || !slices.Equal(made.Events, old.Events) || made.APIVersion != old.APIVersion || made.Description != old.Description ||
			made.Metadata["team"] != old.Metadata["team"] || made.Metadata["rotation_id"] == "" {
			return fmt.Errorf("%+v isn't like %+v", made, old)
		}
	case "promote", "accepted", "validate/health":
		if live != version || !up(made) {
			return fmt.Errorf("%s is live, not %s", live, version)
		}
	case "disable":
		if !old.Disabled && !old.Deleted {
			return errors.New("the old endpoint is enabled")
		}
	case "decommission", "refused":
		if l := l.Version(was).Labels; len(l) > 0 || !old.Deleted || !up(made) {
			return fmt.Errorf("the old version has labels %v, the old endpoint is deleted: %t", l, old.Deleted)
		}
	case "enable":
		if !up(old) {
			return errors.New("the old endpoint isn't enabled")
		}
	case "restore", "after-restore/health":
		if live != was || !up(old) {
			return fmt.Errorf("%s is live, not %s", live, was)
		}
	case "discard":
		if l := l.Version(version).Labels; version != "" && len(l) > 0 || made.ID != "" && !made.Deleted {
			return fmt.Errorf("the new version has labels %v, the new endpoint is deleted: %t", l, made.Deleted)
		}
	}
	return nil
}

// ours are the endpoints that rotations made.
func (s *store) ours() (all []stripe.Endpoint) {
	for _, e := range s.stripe.Endpoints() {
		if e.Metadata["rotation_id"] != "" {
			all = append(all, e)
		}
	}
	return all
}

func (s *store) finished(attempts int) error {
	l, made := s.look(), s.ours()
	var up []stripe.Endpoint
	for _, e := range s.stripe.Endpoints() {
		if e.URL == hookURL && !e.Deleted {
			up = append(up, e)
		}
	}
	switch {
	case len(up) != 1 || up[0].Disabled || up[0].Secret != s.signing(l.At(sm.Current)):
		return fmt.Errorf("endpoints left: %+v", up)
	case up[0].ID == s.first.ID:
		return errors.New("the old endpoint is live")
	case len(made) > attempts || len(l.Versions) > 2+attempts:
		return fmt.Errorf("%d endpoints were made and %d versions, at most %d and %d are wanted", len(made), len(l.Versions), attempts, 2+attempts)
	case len(l.Labels) != 1:
		return fmt.Errorf("labels left: %v", l.Labels)
	case l.Tags["version"] != "20261125" && l.Tags["version"] != "20261127", l.Tags["rotated_by"] != "kim", l.Tags["team"] != "payments":
		return fmt.Errorf("tags %v", l.Tags)
	}
	return s.untouched()
}

func (s *store) restored() error {
	l := s.look()
	switch {
	case fmt.Sprint(l.Labels) != fmt.Sprint(s.was.Labels):
		return fmt.Errorf("labels %v, before %v", l.Labels, s.was.Labels)
	case fmt.Sprint(l.Tags) != fmt.Sprint(s.was.Tags):
		return fmt.Errorf("tags %v, before %v", l.Tags, s.was.Tags)
	case fmt.Sprint(s.stripe.Endpoint(s.first.ID)) != fmt.Sprint(s.first):
		return errors.New("the old endpoint isn't what it was")
	}
	for _, e := range s.ours() {
		if !e.Deleted {
			return fmt.Errorf("endpoint %s is left", e.ID)
		}
	}
	return s.untouched()
}

// untouched: nothing happened to what isn't ours.
func (s *store) untouched() error {
	if e := s.stripe.Endpoints()[0]; e.Deleted || e.Disabled {
		return errors.New("somebody else's endpoint was touched")
	}
	return nil
}

func TestCosts(t *testing.T) { kindtest.Golden(t, *goldentest.Update, kindtest.Costs(t, whole, nil)) }
