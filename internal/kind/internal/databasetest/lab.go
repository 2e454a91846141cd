package databasetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/time/rate"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

// Names of the secrets.
const (
	Secret = "app/database"
	Admin  = "admin/database"
)

// Start is when rotations of a Lab begin.
var Start = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)

const (
	accessKey = "AKIADATABASETEST0001"
	secretKey = "databasetest/never-a-real-key"
)

type clock func() time.Time

func (c clock) Now() time.Time { return c() }

// A Vault is Secrets Manager with the account's secret and the administering one.
type Vault struct {
	*sandbox.World
	now func() time.Time
}

// NewVault keeps the two documents.
func NewVault(now func() time.Time, account, admin string) (*Vault, error) {
	w := sandbox.New(clock(now))
	w.AddKey(accessKey, secretKey, "arn:aws:iam::"+sandbox.Home.Account+":user/kim")
	_, err1 := w.PutByHand(Secret, account)
	_, err2 := w.PutByHand(Admin, admin)
	return &Vault{w, now}, errors.Join(err1, err2)
}

// Look is a person's look at the account's secret.
func (v *Vault) Look() sm.Secret { return v.Secret(Secret) }

// Document takes a version's text apart.
func Document(text string) (user, password string) {
	var d struct{ Username, Password string }
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return "", ""
	}
	return d.Username, d.Password
}

// Deps are clients that reach the vault over rt, and databases over dial.
func Deps(rt http.RoundTripper, dial func(context.Context, string, string) (net.Conn, error), seen func([]byte)) (kind.Deps, error) {
	s, err := cloud.Open(context.Background(), cloud.Options{Region: sandbox.Home.Region, Endpoint: "http://sandbox.test", Transport: rt,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""), Writes: rate.NewLimiter(rate.Inf, 1)})
	if err != nil {
		return kind.Deps{}, err
	}
	d := kind.On(s, seen)
	d.Dial = dial
	return d, nil
}

// RoundTrip serves a call at once.
func (v *Vault) RoundTrip(r *http.Request) (*http.Response, error) {
	out := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.RequestURI, in.Host = r.URL.RequestURI(), r.URL.Host
	if in.Body == nil {
		in.Body = io.NopCloser(strings.NewReader(""))
	}
	v.Handler().ServeHTTP(out, in)
	res := out.Result()
	res.Request = r
	return res, nil
}

// Open is a fence that lets everything through.
type Open struct{}

func (Open) Pass(time.Duration) error { return nil }
func (Open) Unanswered()              {}

// A Lab goes through a rotation step by step, as the loop would.
type Lab struct {
	*Vault
	T       testing.TB
	Kind    kind.Kind
	Deps    kind.Deps
	Plan    rotation.Plan
	Records []rotation.Record
	Said    []string // all texts that came out
	with    json.RawMessage
	handler rotation.Handler
	mu      sync.Mutex
	values  []string
	count   int
}

// NewLab keeps the documents and begins a rotation of target.
func NewLab(t testing.TB, k kind.Kind, target kind.Target, account, admin string) *Lab {
	t.Helper()
	v, err := NewVault(func() time.Time { return Start }, account, admin)
	if err != nil {
		t.Fatal(err)
	}
	l := &Lab{Vault: v, T: t, Kind: k}
	if l.Deps, err = Deps(v, nil, l.seen); err != nil {
		t.Fatal(err)
	}
	l.with, err = json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	l.handler = k.New(l.Deps)
	return l.Again()
}

func (l *Lab) seen(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values = append(l.values, string(b))
}

// Again begins the next rotation.
func (l *Lab) Again() *Lab {
	l.count++
	target := l.Kind.Shape()
	if err := json.Unmarshal(l.with, target); err != nil {
		l.T.Fatal(err)
	}
	l.Plan = rotation.Plan{}
	for _, s := range l.Kind.Recipe(target) {
		l.Plan.Steps = append(l.Plan.Steps, rotation.Step{ID: fmt.Sprintf("r%d/app/dev/1/%s", l.count, s.Name), Key: s.Name, Name: s.Name, With: l.with, Reads: s.Reads})
	}
	l.Records = []rotation.Record{{At: Start, Outcome: rotation.Claimed, Claim: &rotation.Claim{Plan: l.Plan, Actors: rotation.Actors{Operator: "ana-sec"}}}}
	return l
}

// Fact is a recorded one.
func (l *Lab) Fact(step, key string) string { return rotation.PastOf(l.Records).Fact(step, key) }

// Ask calls a step's function once, without recording what comes of it.
func (l *Lab) Ask(ctx context.Context, step string) (rotation.Result, error) {
	l.T.Helper()
	s, ok := l.Plan.Step(step)
	if !ok {
		l.T.Fatalf("no step %q", step)
	}
	res, err := l.handler[s.Name](ctx, s, rotation.PastOf(l.Records).For(s))
	said := fmt.Sprintf("%s: text=%q wait=%q facts=%q", step, res.Text, res.Wait, res.Facts)
	for _, f := range res.Files {
		said += fmt.Sprintf("\n    %s: %q", f.Name, f.Data)
	}
	if err != nil {
		said = fmt.Sprintf("%s: %v", step, err)
		var f *rotation.Failure
		if errors.As(err, &f) {
			said = fmt.Sprintf("%s: %s\n    hint: %s", step, f.Msg, f.Hint)
		}
	}
	l.Said = append(l.Said, said)
	return res, err
}

// Try runs a step under a lease until it no longer waits, and records what it says.
func (l *Lab) Try(step string) error {
	l.T.Helper()
	for range 50 {
		res, err := l.Ask(rotation.WithFence(l.T.Context(), Open{}), step)
		if err != nil {
			return err
		}
		outcome := rotation.Done
		if res.Wait != "" {
			outcome = rotation.Noted
		}
		l.Records = append(l.Records, rotation.Record{Step: step, Outcome: outcome, Facts: res.Facts, Text: res.Text})
		if res.Wait == "" {
			return nil
		}
	}
	return errors.New("still waits: " + l.Said[len(l.Said)-1])
}

// Run is steps that must do.
func (l *Lab) Run(steps ...string) *Lab {
	l.T.Helper()
	for _, s := range steps {
		if err := l.Try(s); err != nil {
			l.T.Fatalf("%s: %v", s, err)
		}
	}
	return l
}

// Held is a step that must leave it to a later run: what comes after it goes ahead by policy.
func (l *Lab) Held(step string) *Lab {
	l.T.Helper()
	if res, err := l.Ask(l.T.Context(), step); err != nil || res.Again != rotation.Later {
		l.T.Fatalf("%s: %+v, %v", step, res, err)
	}
	return l
}

// Current is what consumers would log in with.
func (l *Lab) Current() (user, password string) { return Document(l.Look().At(sm.Current).Text) }

// Silent fails when a password shows in what came out, or in other texts: a server's log.
func (l *Lab) Silent(others ...string) {
	l.T.Helper()
	all := strings.Join(append(others, l.Said...), "\n")
	for _, r := range l.Records {
		b, _ := json.Marshal(r.Facts)
		all += string(b)
	}
	for _, v := range l.Look().Versions {
		if _, password := Document(v.Text); password != "" && strings.Contains(all, password) {
			l.T.Error("a password shows in texts or logs")
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.values {
		if len(v) > 7 && strings.Contains(all, v) {
			l.T.Error("an announced value shows in texts or logs")
		}
	}
}

// Story is all that was said, without what is another on each run.
func (l *Lab) Story(server *Server) string {
	text := ""
	for _, said := range l.Said {
		if !strings.HasPrefix(said, `decommission: text="" wait=`) { // a session takes its time to end, or not
			text += said + "\n"
		}
	}
	for _, r := range []struct{ re, is string }{
		{`[0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{27}`, "ID"}, {`version [0-9a-f-]{13}…`, "version ID…"}, {`ROLLBACK-[0-9a-f]{8}`, "ROLLBACK-ID"},
		{`(secret:[a-z/]+)-\w{6}`, "$1-RANDOM"}, {fmt.Sprintf("%s:%d", server.Host, server.Port), "SERVER"}, {`PostgreSQL \d+[^,]*`, "PostgreSQL VERSION"},
		{`\d+\.\d+\.\d+-MariaDB[^ ,]*`, "VERSION"}, {`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*`, "DATE"}, {`connection \d+`, "connection N"}, {`127\.0\.0\.1:\d+`, "ADDRESS"}, {`for \d+ s`, "for N s"},
		{`"mark":"[^"]*"`, `"mark":"MARK"`}, {`\d+ rights`, "N rights"},
	} {
		text = regexp.MustCompile(r.re).ReplaceAllString(text, r.is)
	}
	return text
}
