package rdsmaster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/time/rate"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/kindtest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/rds"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
	"github.com/rastup/rekey/internal/staging"
)

// TestMain keeps this machine's AWS configuration out.
func TestMain(m *testing.M) {
	for _, key := range []string{"AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_RDS"} {
		_ = os.Unsetenv(key)
	}
	_ = os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	_ = os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	os.Exit(m.Run())
}

func world(target Target) kindtest.World {
	return kindtest.World{Kind: Kind(), Of: target.called(), Stride: 97, New: func(now func() time.Time) kindtest.Instance { return newStore(now, target).instance() }}
}

func TestCosts(t *testing.T) {
	kindtest.Golden(t, *goldentest.Update, kindtest.Costs(t, world(Target{Instance: "shop"}), nil))
}

func TestConformance(t *testing.T) { kindtest.Run(t, world(Target{Instance: "shop"})) }

func TestConformanceOfACluster(t *testing.T) {
	if !kindtest.Full() {
		t.Skip("a selection of the same cases runs above; REKEY_FULL=1 runs these as well")
	}
	kindtest.Run(t, world(Target{Cluster: "shop", Key: "pass"}))
}

func TestRandomHistories(t *testing.T) {
	n := 25
	if kindtest.Full() {
		n = 400
	}
	kindtest.Simulate(t, world(Target{Instance: "shop"}), 1, n)
}

type now func() time.Time

func (n now) Now() time.Time { return n() }

const (
	stored    = "shop/master"
	first     = "first-planted-password"
	accessKey = "AKIAKINDTEST00000001"
	secretKey = "kindtest/never-a-real-key"
)

// A store is a database whose master password is in use.
type store struct {
	aws    *sandbox.World
	clock  func() time.Time
	target Target
	was    sm.Secret
}

func newStore(clock func() time.Time, target Target) *store {
	w := sandbox.New(now(clock))
	w.AddKey(accessKey, secretKey, "arn:aws:iam::111111111111:user/kim")
	s := &store{aws: w, clock: clock, target: target}
	s.target.Secret = stored
	w.RDS.MakeByHand(sandbox.Home, rds.Database{ID: "shop", Cluster: target.Cluster != "", Password: first})
	s.put("older-planted-password")
	s.put(first)
	if err := w.SecretsManager.TagByHand(sandbox.Home, stored, clock(), sm.Tag{Key: "version", Value: "20260101"}, sm.Tag{Key: "team", Value: "shop"}); err != nil {
		panic(err)
	}
	s.was = s.look()
	return s
}

func (s *store) put(password string, labels ...string) string {
	id, err := s.aws.PutByHand(stored, s.content(password), labels...)
	if err != nil {
		panic(err)
	}
	return id
}

func (s *store) content(password string) string {
	return fmt.Sprintf(`{ "engine": "postgres", "username":"master", %q : %q}`, s.target.key(), password)
}

func (s *store) instance() kindtest.Instance {
	target, _ := json.Marshal(s.target)
	return kindtest.Instance{
		Target: target, Service: s.aws.Handler(),
		Handler: func(rt http.RoundTripper, seen func([]byte)) (rotation.Handler, func(context.Context, rotation.Past) error, error) {
			d, err := deps(rt, seen)
			labels := &staging.Labels{Client: d.SecretsManager, Keep: d.Keep}
			return New(d), func(ctx context.Context, past rotation.Past) error { return labels.Arm(ctx, past, nil) }, err
		},
		Reads: func(r *http.Request) bool { return cloud.Reads(operation(r)) }, Busy: busy,
		Name:  called,
		State: s.state, Live: func() string { return s.look().Labels[sm.Current] }, Always: s.always, Destroyed: s.destroyed,
		Value:    func(id string) string { return s.value(s.look().Version(id)) },
		Promoted: s.promoted, Begun: s.begun, Happened: s.happened, Finished: s.finished, Restored: s.restored,
	}
}

func deps(rt http.RoundTripper, seen func([]byte)) (kind.Deps, error) {
	session, err := cloud.Open(context.Background(), cloud.Options{Region: sandbox.Home.Region, Endpoint: "http://sandbox.test", Transport: rt,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""), Writes: rate.NewLimiter(rate.Inf, 1)})
	if err != nil {
		return kind.Deps{}, err
	}
	return kind.On(session, seen), nil
}

func operation(r *http.Request) (service, op string) {
	return awsmiddleware.GetServiceID(r.Context()), awsmiddleware.GetOperationName(r.Context())
}

func called(r *http.Request) string {
	_, op := operation(r)
	return op
}

func busy(out http.ResponseWriter, r *http.Request, broken bool) {
	if service, _ := operation(r); service != "RDS" {
		kindtest.AWSBusy(out, broken)
		return
	}
	status, code := http.StatusBadRequest, "Throttling"
	if broken {
		status, code = http.StatusInternalServerError, "InternalFailure"
	}
	out.Header().Set("Content-Type", "text/xml")
	out.WriteHeader(status)
	_, _ = io.WriteString(out, "<ErrorResponse><Error><Type>Sender</Type><Code>"+code+"</Code><Message>try again</Message></Error></ErrorResponse>")
}

func (s *store) value(v sm.Version) string {
	var doc map[string]string
	_ = json.Unmarshal([]byte(v.Text), &doc)
	return doc[s.target.key()]
}

func (s *store) look() sm.Secret { return s.aws.Secret(stored) }

func (s *store) db() rds.State {
	return s.aws.RDS.Look(sandbox.Home, s.target.Cluster != "", "shop", s.clock())
}

func (s *store) accepts(v sm.Version) bool { return s.db().Accepts(s.value(v)) }

func (s *store) state() string {
	l := s.look()
	for i := range l.Versions {
		l.Versions[i].Created = time.Time{}
	}
	b, _ := json.Marshal([]any{l, s.db()})
	return string(b)
}

// always: what is in force at RDS is stored. That it is what consumers read can't hold at every instant: RDS has one
// password, and a call of set's that arrives late undoes, until it is set again, what restore did. The steps' ends are judged
// by it.
func (s *store) always() error {
	if !slices.ContainsFunc(s.look().Versions, s.accepts) {
		return errors.New("the password in force is stored nowhere")
	}
	return nil
}

func (s *store) destroyed() (ids []string) {
	for _, v := range s.look().Versions {
		if len(v.Labels) == 0 {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

func (s *store) promoted() string {
	password := fmt.Sprintf("by-hand-planted-%d", len(s.look().Versions))
	s.aws.RDS.SetByHand(sandbox.Home, s.target.Cluster != "", "shop", s.clock(), func(d *rds.Database) { d.Password = password })
	return s.put(password)
}

func (s *store) begun() func() error {
	id := s.put("begun-planted-password", sm.Pending)
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
	live := l.Labels[sm.Current]
	switch step {
	case "preflight":
		if !s.accepts(l.Version(was)) {
			return errors.New("the live password isn't in force")
		}
	case "create":
		if v := s.value(l.Version(version)); len(v) != 32 || l.Labels[sm.Pending] != version {
			return fmt.Errorf("version %q isn't a pending password of 32 letters: %v", version, l.Labels)
		}
	case "set":
		if is := s.value(l.Version(version)); !s.db().Accepts(is) && s.db().Next != is || past.Fact("set", factAccepted) == "" {
			return errors.New("the new password isn't on its way")
		}
	case "test":
		if !s.accepts(l.Version(version)) {
			return errors.New("the new password isn't in force")
		}
	case "promote", "validate/health":
		if live != version || !s.accepts(l.Version(version)) {
			return fmt.Errorf("%s is live, not %s, or isn't in force", live, version)
		}
	case "decommission":
		if v := l.Version(was); len(v.Labels) > 0 || s.accepts(v) {
			return fmt.Errorf("the old version has labels %v, or is in force", v.Labels)
		}
	case "restore", "after-restore/health":
		if live != was || !s.accepts(l.Version(was)) {
			return fmt.Errorf("%s is live, not %s, or isn't in force", live, was)
		}
	case "discard":
		if v := l.Version(version); version != "" && (len(v.Labels) > 0 || s.accepts(v)) {
			return fmt.Errorf("the new version has labels %v, or is in force", v.Labels)
		}
	}
	return nil
}

func (s *store) finished(attempts int) error {
	l := s.look()
	switch {
	case l.Labels[sm.Current] == s.was.Labels[sm.Current]:
		return errors.New("the old version is live")
	case !s.accepts(l.At(sm.Current)):
		return errors.New("the live password isn't in force")
	case len(l.Versions) > 2+attempts:
		return fmt.Errorf("%d versions were made, at most %d are wanted", len(l.Versions), 2+attempts)
	case len(l.Labels) != 1:
		return fmt.Errorf("labels left: %v", l.Labels)
	case l.Tags["version"] != "20261125" && l.Tags["version"] != "20261127", l.Tags["rotated_by"] != "kim", l.Tags["team"] != "shop":
		return fmt.Errorf("tags %v", l.Tags)
	}
	return s.quiet()
}

func (s *store) restored() error {
	l := s.look()
	switch {
	case fmt.Sprint(l.Labels) != fmt.Sprint(s.was.Labels):
		return fmt.Errorf("labels %v, before %v", l.Labels, s.was.Labels)
	case fmt.Sprint(l.Tags) != fmt.Sprint(s.was.Tags):
		return fmt.Errorf("tags %v, before %v", l.Tags, s.was.Tags)
	case !s.accepts(l.At(sm.Current)):
		return errors.New("the old password isn't in force")
	}
	return s.quiet()
}

// quiet: nothing is on its way at RDS but, after a call that came twice, what is in force already.
func (s *store) quiet() error {
	if d := s.db(); d.Next != "" && d.Next != d.Password {
		return errors.New("another password is on its way")
	}
	return nil
}
