package typesense

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
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
	"github.com/rastup/rekey/internal/sandbox/typesense"
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

var plain = kindtest.World{Kind: Kind(), Of: "a key", Stride: 97, New: func(now func() time.Time) kindtest.Instance { return newStore(now, Target{}).instance() }}

func TestConformance(t *testing.T) {
	kindtest.Run(t, plain)
}

func TestConformanceOfAParentOfScopedKeys(t *testing.T) {
	if !kindtest.Full() {
		t.Skip("a selection of the same cases runs above; REKEY_FULL=1 runs these as well")
	}
	kindtest.Run(t, kindtest.World{Kind: Kind(), Of: "parent of scoped keys", Stride: 97, New: func(now func() time.Time) kindtest.Instance {
		return newStore(now, Target{Key: "search", Scoped: rotation.Duration(24 * time.Hour)}).instance()
	}})
}

func TestRandomHistories(t *testing.T) {
	n := 25
	if kindtest.Full() {
		n = 400
	}
	kindtest.Simulate(t, plain, 1, n)
}

type now func() time.Time

func (n now) Now() time.Time { return n() }

const (
	stored    = "search/typesense-key"
	adminAt   = "search/typesense-admin"
	proof     = "/collections/products/documents/search?q=*&query_by=name"
	accessKey = "AKIAKINDTEST00000001"
	secretKey = "kindtest/never-a-real-key"
)

// A store is a cluster with a search key in use, one of somebody else, and an admin key.
type store struct {
	aws    *sandbox.World
	ts     *typesense.Service
	clock  func() time.Time
	target Target
	admin  typesense.Key
	first  typesense.Key
	was    sm.Secret
}

func newStore(clock func() time.Time, target Target) *store {
	w := sandbox.New(now(clock))
	w.AddKey(accessKey, secretKey, "arn:aws:iam::111111111111:user/kim")
	s := &store{aws: w, ts: w.Typesense, clock: clock, target: target}
	s.admin = s.ts.Add(typesense.Key{Value: "admn-planted-key-0000000000000001", Description: "rekey", Actions: []string{"keys:*"}, Collections: []string{"*"}})
	s.ts.Add(typesense.Key{Value: "othr-planted-key-0000000000000001", Description: "somebody else's", Actions: []string{"*"}, Collections: []string{"*"}})
	s.first = s.ts.Add(typesense.Key{Value: "frst-planted-key-0000000000000001", Description: "search of the shop", Actions: []string{"documents:search"}, Collections: []string{"prod.*"}})
	must(w.PutByHand(adminAt, s.admin.Value))
	must(w.PutByHand(stored, s.content("oldest-planted-0000")))
	must(w.PutByHand(stored, s.content(s.first.Value)))
	if err := w.SecretsManager.TagByHand(sandbox.Home, stored, clock(), sm.Tag{Key: "version", Value: "20260101"}, sm.Tag{Key: "team", Value: "search"}); err != nil {
		panic(err)
	}
	s.was = s.look()
	s.target.Secret, s.target.Admin, s.target.Proof = stored, Admin{Secret: adminAt}, proof
	s.target.Nodes = []string{"https://node1.test", "https://node2.test"}
	return s
}

func (s *store) instance() kindtest.Instance {
	target, _ := json.Marshal(s.target)
	return kindtest.Instance{
		Target: target, Service: s.aws.Handler(),
		Handler: func(rt http.RoundTripper, seen func([]byte)) (rotation.Handler, func(context.Context, rotation.Past) error, error) {
			d, err := deps(rt, seen, s.clock)
			labels := &staging.Labels{Client: d.SecretsManager, Keep: d.Keep}
			return New(d), func(ctx context.Context, past rotation.Past) error { return labels.Arm(ctx, past, nil) }, err
		},
		Reads: reads, Name: called, Busy: busy,
		State: s.state, Live: func() string { return s.look().Labels[sm.Current] }, Always: s.always, Destroyed: s.destroyed,
		Value:    func(id string) string { return s.value(s.look().Version(id)) },
		Revived:  func(rotation.Past) { s.ts.Add(s.first) },
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

func ofAWS(r *http.Request) bool { return r.URL.Host == "sandbox.test" }

func operation(r *http.Request) (service, op string) {
	if p := strings.Split(r.Header.Get("Authorization"), "/"); strings.HasPrefix(p[0], "AWS4") && len(p) > 3 {
		service = p[3]
	}
	_, op, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return service, op
}

func reads(r *http.Request) bool {
	if !ofAWS(r) {
		return r.Method == http.MethodGet
	}
	service, op := operation(r)
	return service != "secretsmanager" || cloud.Reads("Secrets Manager", op)
}

func called(r *http.Request) string {
	service, op := operation(r)
	switch {
	case ofAWS(r) && op != "":
		return op
	case ofAWS(r):
		return service + " " + r.URL.Path
	case strings.HasPrefix(r.URL.Path, "/keys/"):
		return r.Method + " /keys/ID"
	}
	return r.Method + " " + r.URL.Host + r.URL.Path
}

func busy(out http.ResponseWriter, r *http.Request, broken bool) {
	switch {
	case ofAWS(r):
		kindtest.AWSBusy(out, broken)
	case broken:
		out.WriteHeader(http.StatusInternalServerError)
	default:
		out.WriteHeader(http.StatusServiceUnavailable)
		_, _ = out.Write([]byte(`{"message":"Not Ready or Lagging"}`))
	}
}

func (s *store) content(value string) string {
	if s.target.Key == "" {
		return value
	}
	return fmt.Sprintf(`{ "host": "node1", %q:%q }`, s.target.Key, value)
}

func (s *store) value(v sm.Version) string {
	if s.target.Key == "" {
		return v.Text
	}
	var doc map[string]string
	_ = json.Unmarshal([]byte(v.Text), &doc)
	return doc[s.target.Key]
}

func (s *store) look() sm.Secret { return s.aws.Secret(stored) }

func (s *store) state() string {
	l := s.look()
	for i := range l.Versions {
		l.Versions[i].Created = time.Time{}
	}
	b, _ := json.Marshal([]any{l, s.ts.Keys()})
	return string(b)
}

// of is the key with this value, the last where there were several.
func (s *store) of(value string) (found typesense.Key) {
	found.Deleted = true
	for _, k := range s.ts.Keys() {
		if k.Value == value {
			found = k
		}
	}
	return found
}

func (s *store) always() error {
	if k := s.of(s.value(s.look().At(sm.Current))); k.Deleted {
		return errors.New("the live value is of no key that is there")
	}
	return nil
}

func (s *store) destroyed() (ids []string) {
	for _, v := range s.look().Versions {
		if len(v.Labels) == 0 {
			ids = append(ids, v.ID)
		}
	}
	for _, k := range s.ts.Keys() {
		if k.Deleted {
			ids = append(ids, fmt.Sprint(k.ID))
		}
	}
	return ids
}

func (s *store) promoted() string {
	k := s.ts.Add(typesense.Key{Value: "hand-planted-key-0000000000000001", Actions: []string{"documents:search"}, Collections: []string{"*"}})
	id, err := s.aws.PutByHand(stored, s.content(k.Value))
	must(id, err)
	return id
}

func (s *store) begun() func() error {
	id, err := s.aws.PutByHand(stored, s.content("begn-planted-0000000"), sm.Pending)
	must(id, err)
	return func() error {
		if at := s.look().Labels[sm.Pending]; at != id {
			return fmt.Errorf("AWSPENDING was on %s, now on %q", id, at)
		}
		return nil
	}
}

func (s *store) byID(text string) (found typesense.Key) {
	found.Deleted = true
	for _, k := range s.ts.Keys() {
		if fmt.Sprint(k.ID) == text {
			found = k
		}
	}
	return found
}

func (s *store) happened(step string, past rotation.Past) error {
	l := s.look()
	version, was := past.Fact("create", "new"), past.Fact("preflight", "old")
	made, old := s.byID(past.Fact("set", "id")), s.byID(past.Fact("preflight", "id"))
	live := l.Labels[sm.Current]
	switch step {
	case "preflight":
		if s.value(l.Version(was)) != old.Value {
			return fmt.Errorf("the live value isn't that of key %d", old.ID)
		}
	case "create":
		if v := s.value(l.Version(version)); len(v) != 32 || l.Labels[sm.Pending] != version {
			return fmt.Errorf("version %q isn't a pending value of 32 letters: %v", version, l.Labels)
		}
	case "set", "test":
		if s.value(l.Version(version)) != made.Value || made.Deleted || fmt.Sprint(made.Actions, made.Collections, made.Expires) != fmt.Sprint(old.Actions, old.Collections, old.Expires) {
			return fmt.Errorf("key %+v isn't like %+v", made, old)
		}
	case "promote", "validate/health":
		if live != version || made.Deleted {
			return fmt.Errorf("%s is live, not %s", live, version)
		}
	case "decommission", "refused":
		if l := l.Version(was).Labels; len(l) > 0 || !old.Deleted || made.Deleted {
			return fmt.Errorf("the old version has labels %v, the old key is deleted: %t", l, old.Deleted)
		}
	case "restore", "after-restore/health":
		if live != was || old.Deleted {
			return fmt.Errorf("%s is live, not %s", live, was)
		}
	case "discard":
		if l := l.Version(version).Labels; version != "" && len(l) > 0 || !made.Deleted {
			return fmt.Errorf("the new version has labels %v, the new key is deleted: %t", l, made.Deleted)
		}
	}
	return nil
}

// ours are the keys that rotations made, as far as they are there.
func (s *store) ours() (made, left []typesense.Key) {
	for _, k := range s.ts.Keys() {
		if strings.Contains(k.Description, "[rekey ") {
			if made = append(made, k); !k.Deleted {
				left = append(left, k)
			}
		}
	}
	return made, left
}

func (s *store) finished(attempts int) error {
	l := s.look()
	made, left := s.ours()
	switch {
	case len(left) != 1 || left[0].Value != s.value(l.At(sm.Current)) || !s.byID(fmt.Sprint(s.first.ID)).Deleted:
		return fmt.Errorf("keys left: %+v", left)
	case left[0].Description[:18] != "search of the shop" || strings.Count(left[0].Description, "[") != 1:
		return fmt.Errorf("described as %q", left[0].Description)
	case len(made) > attempts || len(l.Versions) > 2+attempts:
		return fmt.Errorf("%d keys were made and %d versions, at most %d and %d are wanted", len(made), len(l.Versions), attempts, 2+attempts)
	case len(l.Labels) != 1:
		return fmt.Errorf("labels left: %v", l.Labels)
	case l.Tags["version"] != "20261125" && l.Tags["version"] != "20261127", l.Tags["rotated_by"] != "kim", l.Tags["team"] != "search":
		return fmt.Errorf("tags %v", l.Tags)
	}
	return s.untouched()
}

func (s *store) restored() error {
	l := s.look()
	_, left := s.ours()
	switch {
	case fmt.Sprint(l.Labels) != fmt.Sprint(s.was.Labels):
		return fmt.Errorf("labels %v, before %v", l.Labels, s.was.Labels)
	case fmt.Sprint(l.Tags) != fmt.Sprint(s.was.Tags):
		return fmt.Errorf("tags %v, before %v", l.Tags, s.was.Tags)
	case len(left) > 0:
		return fmt.Errorf("keys left: %+v", left)
	case s.byID(fmt.Sprint(s.first.ID)).Deleted:
		return errors.New("the old key is gone")
	}
	return s.untouched()
}

// untouched: nothing happened to what isn't ours.
func (s *store) untouched() error {
	for _, k := range s.ts.Keys()[:2] {
		if k.Deleted {
			return fmt.Errorf("key %d, somebody else's, is gone", k.ID)
		}
	}
	return nil
}

func TestCosts(t *testing.T) { kindtest.Golden(t, *goldentest.Update, kindtest.Costs(t, plain, nil)) }
