package logs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/evidence/folder"
	"github.com/rastup/rekey/internal/evidence/logs"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
)

const group = "/rastup/rotations"

var prod = rotation.Chain{Environment: "prod", Secret: "app/db"}

type world struct {
	*sandbox.World
	clock  *sandbox.Clock
	copier *logs.Copier
	client *cloudwatchlogs.Client
	chain  *evidence.Chain
	store  evidence.Store
}

func start(t *testing.T) *world {
	t.Helper()
	clock := sandbox.NewClock(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))
	w := &world{World: sandbox.New(clock), clock: clock}
	w.AddKey("AKIDTEST", "secret", "arn:aws:iam::111122223333:user/auditor")
	ctx, cancel := context.WithCancel(context.Background())
	srv, err := sandbox.Serve(ctx, w.World, "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { cancel(); _ = srv.Wait() })
	url := srv.URL()
	w.client = cloudwatchlogs.New(cloudwatchlogs.Options{Region: "us-east-1", BaseEndpoint: &url, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""), HTTPClient: &http.Client{}})
	name := group
	_, err = w.client.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name})
	must(t, err)
	w.copier = logs.New(w.client, group)
	dir, err := folder.Open(t.TempDir(), clock.Now)
	must(t, err)
	t.Cleanup(func() { dir.Close() })
	w.store = dir
	j := evidence.New(dir, evidence.Options{})
	must(t, j.Init(ctx, clock.Now()))
	w.chain, err = j.Open(ctx, prod)
	must(t, err)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// grow appends n records, each a while after the other; the first of an attempt is a claim.
func (w *world) grow(t *testing.T, attempt, n int, every time.Duration) {
	t.Helper()
	for i := range n {
		r := rotation.Record{Rotation: "2026-11-22-app-db", Attempt: attempt, At: w.clock.Now(), Runner: rotation.Runner{ID: "run", Nonce: "n"}, Outcome: rotation.Noted, Text: fmt.Sprint("note ", i)}
		if i == 0 && (len(w.chain.Records) == 0 || w.chain.Records[0].Attempt != attempt) {
			r.Outcome = rotation.Claimed
			r.Claim = &rotation.Claim{Plan: rotation.Plan{Chain: prod, Rotation: r.Rotation, Attempt: attempt}}
		}
		must(t, w.chain.Append(t.Context(), &r))
		w.clock.Move(every)
	}
}

func (w *world) digests(t *testing.T) map[int][]string {
	t.Helper()
	d, err := w.copier.Digests(t.Context(), prod)
	must(t, err)
	return d
}

func TestTheStreamCatchesUpAndConfirmsTheChain(t *testing.T) {
	w := start(t)
	if d := w.digests(t); len(d) != 0 {
		t.Errorf("before there is a stream: %v", d)
	}
	must(t, w.copier.Copy(t.Context(), w.chain)) // nothing yet
	w.grow(t, 1, 3, time.Minute)
	must(t, w.copier.Copy(t.Context(), w.chain))
	must(t, w.copier.Copy(t.Context(), w.chain))
	w.grow(t, 1, 2, time.Minute) // not copied: the copy never holds up a rotation
	w.grow(t, 2, 2, time.Minute)
	must(t, w.copier.Copy(t.Context(), w.chain))
	d := w.digests(t)
	all, err := w.chain.After(t.Context(), 0)
	must(t, err)
	if len(d) != 7 || len(all) != 7 {
		t.Fatalf("%d records in the stream, %d in the chain", len(d), len(all))
	}
	for _, e := range all {
		if !slices.Equal(d[e.Record.Seq], []string{e.Digest}) {
			t.Errorf("record %d: %q in the stream, %s in the chain", e.Record.Seq, d[e.Record.Seq], e.Digest)
		}
	}
	if n := w.Count()["logs:PutLogEvents"]; n != 2 {
		t.Errorf("%d calls for two copies", n)
	}
	r, err := evidence.Verify(t.Context(), w.store, evidence.VerifyOptions{Logs: w.copier})
	must(t, err)
	must(t, r.Err())
	if len(r.Chains) != 1 || len(r.Chains[0].Confirmed) != 7 {
		t.Errorf("confirmed: %+v", r.Chains)
	}
}

func TestAStreamIsLookedAtUnlessTheChainBeganHere(t *testing.T) {
	w := start(t)
	looks := func() int { return w.Count()["logs:GetLogEvents"] }
	w.grow(t, 1, 2, time.Minute)
	must(t, w.copier.Copy(t.Context(), w.chain))
	if looks() != 0 {
		t.Errorf("%d looks at a stream that was just made", looks())
	}
	w.grow(t, 1, 1, time.Minute)
	must(t, w.copier.Copy(t.Context(), w.chain)) // the stream is there already
	j := evidence.New(w.store, evidence.Options{})
	var err error
	w.chain, err = j.Open(t.Context(), prod)
	must(t, err)
	w.grow(t, 1, 1, time.Minute)
	made := w.Count()["logs:CreateLogStream"]
	must(t, w.copier.Copy(t.Context(), w.chain)) // another process's
	if n := w.Count()["logs:CreateLogStream"]; n != made || looks() < 2 {
		t.Errorf("%d streams made by who didn't begin the chain, %d looks", n-made, looks())
	}
	if n := w.events(t); n != 4 || len(w.digests(t)) != 4 {
		t.Errorf("%d events of 4 records: %v", n, w.digests(t))
	}
}

func TestAStreamWhoseMakingWasNotAnsweredGetsEachRecordOnce(t *testing.T) {
	for _, retries := range []int{1, 3} {
		w := start(t)
		w.grow(t, 1, 2, time.Minute)
		lost := 0
		w.Fail(func(c sandbox.Call) error {
			if c.Operation == "CreateLogStream" && lost == 0 {
				lost++
				return sandbox.ErrLost
			}
			return nil
		})
		api := again{w.client, retries}
		err := logs.New(api, group).Copy(t.Context(), w.chain)
		if (err != nil) != (retries == 1) {
			t.Errorf("%d tries: %v", retries, err)
		}
		must(t, w.copier.Copy(t.Context(), w.chain))
		if n := w.events(t); n != 2 {
			t.Errorf("%d tries: %d events of 2 records", retries, n)
		}
	}
}

// again repeats the making of a stream, as the SDK's standard does.
type again struct {
	*cloudwatchlogs.Client
	tries int
}

func (a again) CreateLogStream(ctx context.Context, in *cloudwatchlogs.CreateLogStreamInput, o ...func(*cloudwatchlogs.Options)) (out *cloudwatchlogs.CreateLogStreamOutput, err error) {
	for range a.tries {
		if out, err = a.Client.CreateLogStream(ctx, in, o...); err == nil || errors.As(err, new(*types.ResourceAlreadyExistsException)) {
			return out, err
		}
	}
	return out, err
}

// events is how many the stream has, doubles too.
func (w *world) events(t *testing.T) int {
	t.Helper()
	name, stream, head := group, prod.Path(), true
	out, err := w.client.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: &name, LogStreamName: &stream, StartFromHead: &head})
	must(t, err)
	return len(out.Events)
}

func TestARecordSentTwiceIsOneAndAStrangerShows(t *testing.T) {
	w := start(t)
	w.grow(t, 1, 2, time.Minute)
	lost := 0
	w.Fail(func(c sandbox.Call) error {
		if c.Operation == "PutLogEvents" && lost == 0 {
			lost++
			return sandbox.ErrLost
		}
		return nil
	})
	if err := w.copier.Copy(t.Context(), w.chain); err == nil {
		t.Error("an answer was lost, and Copy says nothing")
	}
	must(t, w.copier.Copy(t.Context(), w.chain))
	all, err := w.chain.After(t.Context(), 0)
	must(t, err)
	name, stream := group, prod.Path()
	put := func(message string) {
		at := w.clock.Now().UnixMilli()
		_, err := w.client.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: &name, LogStreamName: &stream,
			LogEvents: []types.InputLogEvent{{Message: &message, Timestamp: &at}}})
		must(t, err)
	}
	put(string(all[0].Data))
	if d := w.digests(t); len(d) != 2 || len(d[1]) != 1 {
		t.Errorf("%v", d)
	}
	put("hello")
	w.grow(t, 1, 1, time.Minute)
	must(t, w.copier.Copy(t.Context(), w.chain))
	if d := w.digests(t); len(d) != 4 || len(d[0]) != 1 || len(d[3]) != 1 {
		t.Errorf("%v", d)
	}
	r, err := evidence.Verify(t.Context(), w.store, evidence.VerifyOptions{Logs: w.copier})
	must(t, err)
	if len(r.Findings) != 1 || r.Findings[0].Rule != evidence.RuleForeign {
		t.Errorf("%v", r.Err())
	}
}

func TestBatchesAreLegal(t *testing.T) {
	w := start(t)
	w.grow(t, 1, 30, 4*time.Hour) // five days: more than one call may span
	must(t, w.copier.Copy(t.Context(), w.chain))
	if n := w.Count()["logs:PutLogEvents"]; n != 5 {
		t.Errorf("%d calls for 30 records over 116 hours", n)
	}
	if d := w.digests(t); len(d) != 30 {
		t.Errorf("%d records arrived", len(d))
	}
}

func TestRecordsKeptOutAreReported(t *testing.T) {
	w := start(t)
	w.grow(t, 1, 3, 24*time.Hour)
	w.clock.Move(13 * 24 * time.Hour)
	err := w.copier.Copy(t.Context(), w.chain)
	if err == nil || !strings.Contains(err.Error(), "copy app/db in prod to log group /rastup/rotations: of 1 records 1 were kept out as too old") {
		t.Errorf("%v", err)
	}
	w.grow(t, 1, 1, 0)
	must(t, logsOnlyNew(w.copier.Copy(t.Context(), w.chain)))
	if _, ok := w.digests(t)[4]; !ok {
		t.Error("the new record didn't arrive")
	}
}

// logsOnlyNew lets pass that old records are still kept out.
func logsOnlyNew(err error) error {
	if err != nil && strings.Contains(err.Error(), "too old") {
		return nil
	}
	return err
}

func TestAMissingGroupIsAClearError(t *testing.T) {
	w := start(t)
	w.grow(t, 1, 1, 0)
	err := logs.New(w.client, "/no/such").Copy(t.Context(), w.chain)
	if err == nil || err.Error() != "copy app/db in prod to log group /no/such: CloudWatch Logs answered ResourceNotFoundException" {
		t.Errorf("%v", err)
	}
}
