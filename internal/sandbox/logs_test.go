package sandbox_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/rastup/rekey/internal/sandbox"
)

func event(at time.Time, text string) types.InputLogEvent {
	return types.InputLogEvent{Timestamp: aws.Int64(at.UnixMilli()), Message: &text}
}

func TestLogs(t *testing.T) {
	b := newBench(t)
	group, stream := &b.scenario.LogGroup, aws.String("prod/app")
	send := func(l ...types.InputLogEvent) (*cw.PutLogEventsOutput, error) {
		return b.logs.PutLogEvents(ctx, &cw.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: l})
	}
	_, err := send(event(start, "x"))
	refused(t, err, 400, "ResourceNotFoundException", "The specified log stream does not exist.")
	make := func(group string) error {
		_, err := b.logs.CreateLogStream(ctx, &cw.CreateLogStreamInput{LogGroupName: &group, LogStreamName: stream})
		return err
	}
	check1(t, make(*group))
	refused(t, make(*group), 400, "ResourceAlreadyExistsException", "The specified log stream already exists")
	refused(t, make("/none"), 400, "ResourceNotFoundException", "The specified log group does not exist.")
	_, err = b.logs.CreateLogGroup(ctx, &cw.CreateLogGroupInput{LogGroupName: group})
	refused(t, err, 400, "ResourceAlreadyExistsException", "The specified log group already exists")
	_, err = send(event(start, "b"), event(start.Add(-time.Second), "a"))
	refused(t, err, 400, "InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.")
	_, err = send(event(start.Add(-25*time.Hour), "a"), event(start, "b"))
	refused(t, err, 400, "InvalidParameterException", "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	var many []types.InputLogEvent
	for range 5 {
		many = append(many, event(start, strings.Repeat("x", 250_000)))
	}
	_, err = send(many...)
	refused(t, err, 400, "InvalidParameterException", "Upload too large: 1250130 bytes exceeds limit of 1048576")

	out := must[*cw.PutLogEventsOutput](t)(send(event(start.Add(-14*24*time.Hour-time.Hour), "old"), event(start.Add(-14*24*time.Hour+time.Hour), "kept")))
	if r := out.RejectedLogEventsInfo; r == nil || *r.TooOldLogEventEndIndex != 1 || r.TooNewLogEventStartIndex != nil {
		t.Errorf("rejected: %+v", r)
	}
	out = must[*cw.PutLogEventsOutput](t)(send(event(start, "now"), event(start.Add(3*time.Hour), "new")))
	if r := out.RejectedLogEventsInfo; r == nil || *r.TooNewLogEventStartIndex != 1 || r.TooOldLogEventEndIndex != nil {
		t.Errorf("rejected: %+v", r)
	}
	must[*cw.PutLogEventsOutput](t)(send(event(start, "now")))
	if l := b.world.Logs.Events(sandbox.Home, *group, *stream); len(l) != 3 {
		t.Errorf("%d events are kept, want kept, now and now again", len(l))
	}
	for _, empty := range []bool{false, true} {
		b.world.Logs.SetEmptyPages(empty)
		var found []string
		for pages := cw.NewFilterLogEventsPaginator(b.logs, &cw.FilterLogEventsInput{LogGroupName: group, Limit: aws.Int32(1), FilterPattern: aws.String(`"now"`)}); pages.HasMorePages(); {
			for _, e := range must[*cw.FilterLogEventsOutput](t)(pages.NextPage(ctx)).Events {
				found = append(found, *e.LogStreamName+" "+*e.Message)
			}
		}
		if got := strings.Join(found, ","); got != "prod/app now,prod/app now" {
			t.Errorf("empty pages %v: found %s", empty, got)
		}
	}
	b.world.Logs.SetEmptyPages(false)
	if either := must[*cw.FilterLogEventsOutput](t)(b.logs.FilterLogEvents(ctx, &cw.FilterLogEventsInput{LogGroupName: group, FilterPattern: aws.String(`?"kept" ?none`)})); len(either.Events) != 1 {
		t.Errorf("one of two terms: %+v", either.Events)
	}
	_, err = b.logs.FilterLogEvents(ctx, &cw.FilterLogEventsInput{LogGroupName: group, FilterPattern: aws.String(`?kept now`)})
	refused(t, err, 400, "InvalidParameterException", "")
	_, err = b.logs.FilterLogEvents(ctx, &cw.FilterLogEventsInput{LogGroupName: group, FilterPattern: aws.String(`{ $.a = 1 }`)})
	refused(t, err, 400, "InvalidParameterException", "")
	d := must[*cw.DescribeLogStreamsOutput](t)(b.logs.DescribeLogStreams(ctx, &cw.DescribeLogStreamsInput{LogGroupName: group, LogStreamNamePrefix: aws.String("prod/")}))
	if len(d.LogStreams) != 1 || *d.LogStreams[0].LastEventTimestamp != start.UnixMilli() {
		t.Errorf("streams %+v", d.LogStreams)
	}
	g := must[*cw.DescribeLogGroupsOutput](t)(b.logs.DescribeLogGroups(ctx, &cw.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/rekey")}))
	if len(g.LogGroups) != 1 || *g.LogGroups[0].LogGroupName != *group {
		t.Errorf("groups %+v", g.LogGroups)
	}
}

func TestGetLogEventsPagesUntilTheTokenRepeats(t *testing.T) {
	b := newBench(t)
	group, stream := &b.scenario.LogGroup, aws.String("s")
	must[*cw.CreateLogGroupOutput](t)(b.logs.CreateLogGroup(ctx, &cw.CreateLogGroupInput{LogGroupName: aws.String("/other")}))
	must[*cw.CreateLogStreamOutput](t)(b.logs.CreateLogStream(ctx, &cw.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream}))
	for i := range 5 {
		must[*cw.PutLogEventsOutput](t)(b.logs.PutLogEvents(ctx, &cw.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: []types.InputLogEvent{event(start, fmt.Sprint(i))}}))
	}
	var got string
	in := &cw.GetLogEventsInput{LogGroupName: group, LogStreamName: stream, Limit: aws.Int32(2), StartFromHead: aws.Bool(true)}
	for {
		page := must[*cw.GetLogEventsOutput](t)(b.logs.GetLogEvents(ctx, in))
		for _, e := range page.Events {
			got += *e.Message
		}
		if aws.ToString(in.NextToken) == *page.NextForwardToken {
			break
		}
		in.NextToken = page.NextForwardToken
	}
	last := must[*cw.GetLogEventsOutput](t)(b.logs.GetLogEvents(ctx, &cw.GetLogEventsInput{LogGroupName: group, LogStreamName: stream, Limit: aws.Int32(2)}))
	if got != "01234" || *last.Events[0].Message+*last.Events[1].Message != "34" {
		t.Errorf("read %s", got)
	}
}
