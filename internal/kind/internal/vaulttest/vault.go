// Package vaulttest is one secret in a sandbox of AWS, and the judges of a rotation of it: for the conformance suites of
// kinds whose credentials live nowhere else. It must never know a kind, nor how the suite disturbs one.
package vaulttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/time/rate"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// Name of the secret, and who reaches it.
const (
	Name      = "payments/api-key"
	AccessKey = "AKIAKINDTEST00000001"
	SecretKey = "kindtest/never-a-real-key"
)

type now func() time.Time

func (n now) Now() time.Time { return n() }

// A Vault is the secret: a live version, one before, one that somebody else reads by a label, and tags of an earlier
// rotation and of others.
type Vault struct {
	World       *sandbox.World
	Revoked     bool // a finished rotation leaves a person's word that the old value is revoked
	Versions    int  // that an attempt makes, at most; 0: 1
	clock       func() time.Time
	oldest, old string
	begun       string // a person's own change
	before      sm.Secret
}

// New is the secret with the values of its three versions.
func New(clock func() time.Time, oldest, old, partner string) (*Vault, error) {
	v := &Vault{World: sandbox.New(now(clock)), clock: clock}
	v.World.AddKey(AccessKey, SecretKey, "arn:aws:iam::111111111111:user/kim")
	var errs [3]error
	v.oldest, errs[0] = v.put(oldest)
	v.old, errs[1] = v.put(old)
	_, errs[2] = v.put(partner, "PARTNER")
	err := v.World.SecretsManager.TagByHand(sandbox.Home, Name, clock(), sm.Tag{Key: "version", Value: "20260101"}, sm.Tag{Key: "team", Value: "payments"})
	v.before = v.look()
	return v, errors.Join(append(errs[:], err)...)
}

func (v *Vault) put(value string, labels ...string) (string, error) {
	return v.World.SecretsManager.PutByHand(sandbox.Home, Name, value, v.clock(), labels...)
}

func (v *Vault) look() sm.Secret {
	s, _ := v.World.SecretsManager.Secret(sandbox.Home, Name, v.clock())
	return s
}

// Session is one process's, whose calls go out over rt; arm reads the rotation's values into seen.
func Session(rt http.RoundTripper, seen func([]byte)) (s *cloud.Session, arm func(context.Context, rotation.Past) error, err error) {
	s, err = cloud.Open(context.Background(), cloud.Options{Region: sandbox.Home.Region, Endpoint: "http://sandbox.test", Transport: rt,
		Credentials: credentials.NewStaticCredentialsProvider(AccessKey, SecretKey, ""), Writes: rate.NewLimiter(rate.Inf, 1)})
	if err != nil {
		return nil, nil, err
	}
	labels := &staging.Labels{Client: s.SecretsManager(), Keep: secret.Keeper{Seen: seen}}
	return s, func(ctx context.Context, past rotation.Past) error { return labels.Arm(ctx, past, nil) }, nil
}

// Reads says whether a call can't change anything.
func Reads(r *http.Request) bool {
	return cloud.Reads("Secrets Manager", Operation(r)) || signedFor(r) != "secretsmanager"
}

// Operation is a call's name.
func Operation(r *http.Request) string {
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

// Live is the version that consumers would take now.
func (v *Vault) Live() string { return v.look().Labels[sm.Current] }

// Value is what a version holds.
func (v *Vault) Value(id string) string { return v.look().Version(id).Text }

// Promoted is a person who makes a value of their own the live one.
func (v *Vault) Promoted(value string) string {
	id, _ := v.put(value)
	return id
}

// Begun is a person who stores a value of their own as pending; the answer says whether it is still.
func (v *Vault) Begun(value string) func() error {
	v.begun, _ = v.put(value, sm.Pending)
	return func() error {
		if at := v.look().Labels[sm.Pending]; at != v.begun {
			return fmt.Errorf("AWSPENDING was on %s, now on %q", v.begun, at)
		}
		return nil
	}
}

// Run is a person who runs a command line as it was asked for: one that stores value, or one that sets a tag. They leave
// a change of their own alone.
func (v *Vault) Run(line, value string) {
	if v.begun == "" || v.look().Labels[sm.Pending] != v.begun {
		_ = v.World.SecretsManager.TypeByHand(sandbox.Home, line, value, v.clock()) // refused where it was run before
	}
}

// State is all that can be changed, as text.
func (v *Vault) State() string {
	s := v.look()
	for i := range s.Versions {
		s.Versions[i].Created = time.Time{}
	}
	b, _ := json.Marshal(s)
	return string(b)
}

// Always is nil while consumers can read something.
func (v *Vault) Always() error {
	s := v.look()
	if at := s.At(sm.Current); at.Text == "" {
		return fmt.Errorf("nothing is live: %v", s.Labels)
	}
	return nil
}

// Destroyed are the versions without labels.
func (v *Vault) Destroyed() (ids []string) {
	for _, x := range v.look().Versions {
		if len(x.Labels) == 0 {
			ids = append(ids, x.ID)
		}
	}
	return ids
}

// Happened is nil when what a record says of a step being done is so.
func (v *Vault) Happened(step string, past rotation.Past) error {
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

// Finished is nil when one new version is live, nothing old is in force, and the marks are right.
func (v *Vault) Finished(attempts int) error {
	s := v.look()
	live := s.At(sm.Current)
	switch {
	case live.ID == v.old || live.ID == v.oldest:
		return errors.New("the old version is live")
	case len(live.Text) < 16 || live.Text == v.before.At(sm.Current).Text:
		return errors.New("the live value is no new one")
	case len(s.Versions) > 3+attempts*max(1, v.Versions):
		return fmt.Errorf("%d versions, of at most %d attempts", len(s.Versions), attempts)
	case v.Revoked && s.Tags["rekey-revoked"] == "":
		return errors.New("nobody said that the old value is revoked")
	case len(s.Labels) != 2 || s.Labels["PARTNER"] == "":
		return fmt.Errorf("labels left: %v", s.Labels)
	case s.Tags["version"] != "20261125" && s.Tags["version"] != "20261127", s.Tags["rotated_by"] != "kim", s.Tags["team"] != "payments":
		return fmt.Errorf("tags %v", s.Tags)
	}
	return nil
}

// Restored is nil when labels, tags and the live value are as before.
func (v *Vault) Restored() error {
	s := v.look()
	if fmt.Sprint(s.Labels) != fmt.Sprint(v.before.Labels) {
		return fmt.Errorf("labels %v, before %v", s.Labels, v.before.Labels)
	}
	if fmt.Sprint(s.Tags) != fmt.Sprint(v.before.Tags) {
		return fmt.Errorf("tags %v, before %v", s.Tags, v.before.Tags)
	}
	if s.At(sm.Current).Text != v.before.At(sm.Current).Text {
		return errors.New("the old value isn't what it was")
	}
	return nil
}
