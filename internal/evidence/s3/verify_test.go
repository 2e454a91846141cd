package s3_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/evidence/folder"
	"github.com/rastup/rekey/internal/evidence/s3"
	"github.com/rastup/rekey/internal/rotation"
)

// What only a store with versions and locks can tell.
func TestFaultsOfVersionsAndLocksAreNamed(t *testing.T) {
	const third = "journal/prod/app~db/000003.json"
	for _, c := range []struct {
		name string
		mode types.ObjectLockMode // and retention, of the third record
		keep time.Duration
		bare bool // ... or no lock at all
		do   func(t *testing.T, outsider *sdk.Client)
		want string
	}{
		{name: "nothing", mode: types.ObjectLockModeGovernance, keep: 48 * time.Hour},
		{name: "a harder lock than promised", mode: types.ObjectLockModeCompliance, keep: 72 * time.Hour},
		{name: "a shorter lock", mode: types.ObjectLockModeGovernance, keep: 24 * time.Hour,
			want: third + ": is locked until 2026-11-24T09:02:00Z only, not until 2026-11-25T09:02:00Z [lock]"},
		{name: "no lock", bare: true,
			want: third + ": isn't locked, or this identity may not see locks (s3:GetObjectRetention) [lock]"},
		{name: "written over", mode: types.ObjectLockModeGovernance, keep: 48 * time.Hour,
			do: func(t *testing.T, outsider *sdk.Client) {
				_, err := outsider.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("evidence/" + third), Body: strings.NewReader("{}")})
				must(t, err)
			}, want: third + ": somebody wrote over it: 2 versions, the oldest counts [versions]"},
		{name: "deleted", mode: types.ObjectLockModeGovernance, keep: 48 * time.Hour, do: remove(third),
			want: third + ": somebody deleted it: it has a delete marker [deleted]"},
		{name: "a record deleted that never was", mode: types.ObjectLockModeGovernance, keep: 48 * time.Hour, do: remove("journal/prod/app~db/000004.json"),
			want: "journal/prod/app~db/000004.json: somebody deleted it: it has a delete marker [deleted]"},
		{name: "the marker deleted", mode: types.ObjectLockModeGovernance, keep: 48 * time.Hour, do: remove("journal/marker.json"),
			want: "journal/marker.json: somebody deleted it: it has a delete marker [deleted]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, _, clock := serve(t)
			outsider := client(url, http.DefaultTransport, 1)
			makeBucket(t, outsider)
			in := func(mode types.ObjectLockMode, keep time.Duration) *s3.Store {
				s, err := s3.New(s3.Options{Client: client(url, http.DefaultTransport, 1), Bucket: bucket, Prefix: "evidence", Mode: mode, Retain: keep, Clock: clock.Now})
				must(t, err)
				return s
			}
			s := in(types.ObjectLockModeGovernance, 48*time.Hour)
			o := evidence.Options{Lock: evidence.Terms{Mode: "GOVERNANCE", For: rotation.Duration(48 * time.Hour)}}
			must(t, evidence.New(s, o).Init(t.Context(), clock.Now()))
			grow(t, s, clock.Now, clock.Move, 2)
			if c.bare {
				_, err := outsider.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("evidence/" + third), Body: strings.NewReader(next(t, s, clock.Now()))})
				must(t, err)
			} else {
				grow(t, in(c.mode, c.keep), clock.Now, clock.Move, 1)
			}
			if c.do != nil {
				c.do(t, outsider)
			}
			// A store that knows nothing from before.
			r, err := evidence.Verify(t.Context(), in(types.ObjectLockModeGovernance, 48*time.Hour), evidence.VerifyOptions{})
			must(t, err)
			got := ""
			if r.Err() != nil {
				got = r.Err().Error()
			}
			if got != c.want || !r.Locks {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAWeakerModeIsNamed(t *testing.T) {
	url, _, clock := serve(t)
	makeBucket(t, client(url, http.DefaultTransport, 1))
	s, err := s3.New(s3.Options{Client: client(url, http.DefaultTransport, 1), Bucket: bucket, Mode: types.ObjectLockModeGovernance, Retain: 48 * time.Hour, Clock: clock.Now})
	must(t, err)
	o := evidence.Options{Lock: evidence.Terms{Mode: "COMPLIANCE", For: rotation.Duration(48 * time.Hour)}}
	must(t, evidence.New(s, o).Init(t.Context(), clock.Now()))
	grow(t, s, clock.Now, clock.Move, 1)
	r, err := evidence.Verify(t.Context(), s, evidence.VerifyOptions{})
	must(t, err)
	want := "journal/marker.json: is locked in mode GOVERNANCE, not COMPLIANCE [lock]\njournal/prod/app~db/000001.json: is locked in mode GOVERNANCE, not COMPLIANCE [lock]"
	if r.Err() == nil || r.Err().Error() != want {
		t.Errorf("got  %v\nwant %s", r.Err(), want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func remove(name string) func(*testing.T, *sdk.Client) {
	return func(t *testing.T, outsider *sdk.Client) {
		_, err := outsider.DeleteObject(t.Context(), &sdk.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("evidence/" + name)})
		must(t, err)
	}
}

func record(ch *evidence.Chain, now time.Time) rotation.Record {
	c := ch.Head().Chain
	r := rotation.Record{Rotation: "2026-11-22-app-db", Attempt: 1, At: now, Runner: rotation.Runner{ID: "run", Nonce: "n"}, Outcome: rotation.Noted}
	if len(ch.Records) == 0 {
		r.Outcome, r.Claim = rotation.Claimed, &rotation.Claim{Plan: rotation.Plan{Chain: c, Rotation: r.Rotation, Attempt: 1}}
	}
	return r
}

// grow appends n records, a minute each.
func grow(t *testing.T, s evidence.Store, now func() time.Time, move func(time.Duration), n int) {
	t.Helper()
	ch, err := evidence.New(s, evidence.Options{}).Open(t.Context(), rotation.Chain{Environment: "prod", Secret: "app/db"})
	must(t, err)
	for range n {
		r := record(ch, now())
		must(t, ch.Append(t.Context(), &r))
		move(time.Minute)
	}
}

// next is the bytes of the record that comes next, as its owner would write them.
func next(t *testing.T, s evidence.Store, now time.Time) string {
	t.Helper()
	ch, err := evidence.New(catcher{s}, evidence.Options{}).Open(t.Context(), rotation.Chain{Environment: "prod", Secret: "app/db"})
	must(t, err)
	r := record(ch, now)
	must(t, ch.Append(t.Context(), &r))
	all, err := ch.After(t.Context(), r.Seq-1)
	must(t, err)
	return string(all[0].Data)
}

// A catcher lets nothing through that would be written.
type catcher struct{ evidence.Store }

func (catcher) Create(context.Context, string, []byte) error { return nil }

// A download of the bucket is verified without it, by hashes alone.
func TestADownloadIsVerifiedOffline(t *testing.T) {
	url, _, clock := serve(t)
	c := client(url, http.DefaultTransport, 1)
	makeBucket(t, c)
	s := store(t, c, clock.Now)
	o := evidence.Options{Lock: evidence.Terms{Mode: "COMPLIANCE", For: rotation.Duration(48 * time.Hour)}}
	must(t, evidence.New(s, o).Init(t.Context(), clock.Now()))
	grow(t, s, clock.Now, clock.Move, 3)
	dir := t.TempDir()
	l, err := s.List(t.Context(), "")
	must(t, err)
	for _, object := range l.Objects {
		data, err := s.Read(t.Context(), object.Name)
		must(t, err)
		path := filepath.Join(dir, filepath.FromSlash(object.Name))
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, data, 0o644))
	}
	copied, err := folder.Open(dir, nil)
	must(t, err)
	defer copied.Close()
	r, err := evidence.Verify(t.Context(), copied, evidence.VerifyOptions{})
	must(t, err)
	must(t, r.Err())
	if len(r.Chains) != 1 || r.Chains[0].Records != 3 || r.Locks {
		t.Errorf("%+v", r)
	}
}
