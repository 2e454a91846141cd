package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// TestSameAsMoto runs one history against the sandbox and against moto, where moto is right: not token conflicts,
// not dropping AWSCURRENT, not HTTP statuses. It is skipped where moto isn't installed, and only then.
func TestSameAsMoto(t *testing.T) {
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not on PATH: the comparison with moto did not run")
	}
	addr := freePort(t)
	life, stop := context.WithCancel(ctx)
	_, port, _ := strings.Cut(addr, ":")
	cmd := exec.CommandContext(life, path, "-H", "127.0.0.1", "-p", port)
	check1(t, cmd.Start())
	t.Cleanup(func() { stop(); _ = cmd.Wait() })
	awaitPort(t, addr)
	url := "http://" + addr
	out := must[*http.Response](t)(http.Post(url+"/moto-api/reset", "", nil))
	_ = out.Body.Close()
	moto := &bench{}
	moto.use(config(url, "key", "secret", ""))
	ours := newBench(t)
	want, got := history(moto, time.Now()), history(ours, start)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the same history (-moto +sandbox):\n%s", diff)
	}
}

// history does things and writes down what came of them, without dates and invented names.
func history(b *bench, now time.Time) (said []string) {
	say := func(what string, err error, result ...any) {
		var api smithy.APIError
		switch {
		case errors.As(err, &api):
			said = append(said, what+": "+api.ErrorCode()+" "+api.ErrorMessage())
		case err != nil:
			said = append(said, what+": "+err.Error())
		default:
			said = append(said, what+": "+fmt.Sprint(result...))
		}
	}
	id := aws.String("differential/one")
	state := func(what string) {
		d, err := b.sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: id})
		if err != nil {
			say(what, err)
			return
		}
		var l []string
		for v, stages := range d.VersionIdsToStages {
			slices.Sort(stages)
			l = append(l, strings.TrimLeft(v, "0")+"="+strings.Join(stages, "+"))
		}
		slices.Sort(l)
		var tags []string
		for _, t := range d.Tags {
			tags = append(tags, *t.Key+"="+*t.Value)
		}
		slices.Sort(tags)
		say(what, nil, *d.Name, l, tags, d.OwningService == nil)
	}
	_, err := b.sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: id})
	say("describe nothing", err)
	_, err = b.sm.CreateSecret(ctx, &sm.CreateSecretInput{Name: id, SecretString: aws.String("one"), ClientRequestToken: token(1)})
	say("create", err)
	_, err = b.sm.CreateSecret(ctx, &sm.CreateSecretInput{Name: id, SecretString: aws.String("two"), ClientRequestToken: token(2)})
	say("create again", err)
	state("created")
	p, err := b.sm.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: id, SecretString: aws.String("two"), ClientRequestToken: token(2), VersionStages: []string{"AWSPENDING"}})
	say("put pending", err, p != nil && len(p.VersionStages) == 1)
	state("pending")
	say("move without naming the holder", upd(b, id, "AWSCURRENT", nil, token(2)))
	say("move", upd(b, id, "AWSCURRENT", token(1), token(2)))
	state("moved")
	say("drop pending", upd(b, id, "AWSPENDING", token(2), nil))
	state("done")
	v, err := b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: id, VersionStage: aws.String("AWSPREVIOUS")})
	say("previous", err, v != nil && *v.SecretString == "one")
	_, err = b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: id, VersionStage: aws.String("nolabel")})
	say("no label", onlyCode(err))
	_, err = b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: id, VersionId: token(9)})
	say("no version", err)
	_, err = b.sm.TagResource(ctx, &sm.TagResourceInput{SecretId: id, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")}}})
	say("tag", err)
	_, err = b.sm.UntagResource(ctx, &sm.UntagResourceInput{SecretId: id, TagKeys: []string{"a"}})
	say("untag", err)
	state("tagged")
	say("move back", upd(b, id, "AWSCURRENT", token(2), token(1)))
	state("rolled back")
	_, err = b.sm.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: id})
	say("delete", err)
	_, err = b.sm.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: id})
	say("read deleted", onlyCode(err))
	_, err = b.sm.RestoreSecret(ctx, &sm.RestoreSecretInput{SecretId: id})
	say("restore", err)
	state("restored")

	group, stream := aws.String("/differential"), aws.String("s")
	for range 2 {
		_, err = b.logs.CreateLogGroup(ctx, &cw.CreateLogGroupInput{LogGroupName: group})
		say("group", err)
	}
	for range 2 {
		_, err = b.logs.CreateLogStream(ctx, &cw.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream})
		say("stream", onlyCode(err))
	}
	e, err := b.logs.PutLogEvents(ctx, &cw.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: []cwtypes.InputLogEvent{event(now.Add(-time.Hour), "a"), event(now, "b")}})
	say("events", err, e != nil && e.RejectedLogEventsInfo == nil)
	e, err = b.logs.PutLogEvents(ctx, &cw.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: []cwtypes.InputLogEvent{event(now.Add(-15*24*time.Hour), "old")}})
	say("too old", err, e != nil && e.RejectedLogEventsInfo != nil) // moto gives an inclusive index, the API reference says exclusive
	page, err := b.logs.FilterLogEvents(ctx, &cw.FilterLogEventsInput{LogGroupName: group})
	for i := range page.Events {
		say("found", err, *page.Events[i].Message, *page.Events[i].LogStreamName)
	}
	f, err := b.logs.FilterLogEvents(ctx, &cw.FilterLogEventsInput{LogGroupName: aws.String("/none")})
	say("filter nothing", err, f)
	_, err = b.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	say("who", err)
	return said
}

func upd(b *bench, id *string, label string, from, to *string) error {
	_, err := b.sm.UpdateSecretVersionStage(ctx, &sm.UpdateSecretVersionStageInput{SecretId: id, VersionStage: &label, RemoveFromVersionId: from, MoveToVersionId: to})
	return err
}

// onlyCode leaves the text out where moto has its own.
func onlyCode(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		return errors.New(api.ErrorCode())
	}
	return err
}
