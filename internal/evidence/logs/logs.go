// Package logs copies a chain to an Amazon CloudWatch Logs stream as it grows: a place where another role decides
// what may be deleted, and so an anchor for the chain.
//
// It owns the stream's layout: one stream per chain, one event per record, the record's bytes as message. The
// stream has no dedupe, so a record may be there twice. It must never be read as state, and must never hold up a
// rotation: its errors are for the caller to report.
package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/rotation"
)

// Limits of one PutLogEvents call (AWS API reference, PutLogEvents).
const (
	maxBytes  = 1_048_576
	maxEvents = 10_000
	maxSpan   = 24 * time.Hour
	overhead  = 26 // bytes counted for each event beside its message
)

// An API is *cloudwatchlogs.Client as far as it is needed.
type API interface {
	PutLogEvents(context.Context, *cloudwatchlogs.PutLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutLogEventsOutput, error)
	CreateLogStream(context.Context, *cloudwatchlogs.CreateLogStreamInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogStreamOutput, error)
	GetLogEvents(context.Context, *cloudwatchlogs.GetLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.GetLogEventsOutput, error)
}

// A Copier copies chains to one log group.
type Copier struct {
	client API
	group  string
}

// New copies to a log group that exists.
func New(client API, group string) *Copier { return &Copier{client, group} }

// Copy sends what the stream lacks of c, up to c's head, in order; it makes the stream when there is none. It may be
// repeated after any error. Records that CloudWatch Logs keeps out, for their age, are an error too: they can't be
// sent later either.
func (l *Copier) Copy(ctx context.Context, c *evidence.Chain) error {
	stream := c.Head().Path()
	last, err := l.begin(ctx, c)
	if err != nil {
		return fmt.Errorf("copy %s to log group %s: %w", c.Head().Chain, l.group, brief(err))
	}
	if last >= c.Head().Seq {
		return nil
	}
	entries, err := c.After(ctx, last)
	if err != nil {
		return fmt.Errorf("copy %s to log group %s: %w", c.Head().Chain, l.group, err)
	}
	var rejected []error
	for _, batch := range batches(entries) {
		out, err := l.client.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: &l.group, LogStreamName: &stream, LogEvents: batch})
		if err != nil {
			return fmt.Errorf("copy %s to log group %s: %w", c.Head().Chain, l.group, brief(err))
		}
		if r := out.RejectedLogEventsInfo; r != nil {
			rejected = append(rejected, fmt.Errorf("copy %s to log group %s: %s", c.Head().Chain, l.group, rejection(r, len(batch))))
		}
	}
	return errors.Join(rejected...)
}

func rejection(r *types.RejectedLogEventsInfo, n int) string {
	old := max(aws.ToInt32(r.TooOldLogEventEndIndex), aws.ToInt32(r.ExpiredLogEventEndIndex))
	future := 0
	if r.TooNewLogEventStartIndex != nil {
		future = n - int(*r.TooNewLogEventStartIndex)
	}
	return fmt.Sprintf("of %d records %d were kept out as too old (14 days, or the group's retention) and %d as too far in the future (2 hours)", n, old, future)
}

// begin gives the last record that the stream has, and makes the stream when there is none. Of a chain that began
// here nobody can have copied anything, so the making is tried before the looking; a stream that is there after all,
// from a copy before or a call repeated, is looked at.
func (l *Copier) begin(ctx context.Context, c *evidence.Chain) (last int, err error) {
	if c.BeganHere() {
		if made, err := l.create(ctx, c.Head().Path()); made || err != nil {
			return 0, err
		}
	}
	last, err = l.last(ctx, c.Head().Chain)
	if isA[*types.ResourceNotFoundException](err) {
		_, err = l.create(ctx, c.Head().Path())
	}
	return last, err
}

// create says whether it made the stream: it isn't where there was one already.
func (l *Copier) create(ctx context.Context, stream string) (made bool, err error) {
	_, err = l.client.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &l.group, LogStreamName: &stream})
	if isA[*types.ResourceAlreadyExistsException](err) {
		return false, nil
	}
	return err == nil, err
}

// batches splits records into legal calls. Times never go backwards in a stream: a record of a runner with a
// slow clock gets the time of the one before.
func batches(entries []evidence.Entry) (all [][]types.InputLogEvent) {
	var batch []types.InputLogEvent
	var size int
	var at int64
	for _, e := range entries {
		at = max(at, e.Record.At.UnixMilli())
		n := len(e.Data) + overhead
		if len(batch) > 0 && (size+n > maxBytes || len(batch) == maxEvents || at-*batch[0].Timestamp >= maxSpan.Milliseconds()) {
			all, batch, size = append(all, batch), nil, 0
		}
		batch, size = append(batch, types.InputLogEvent{Message: aws.String(string(e.Data)), Timestamp: aws.Int64(at)}), size+n
	}
	if len(batch) > 0 {
		all = append(all, batch)
	}
	return all
}

// last is the highest number in the newest part of the stream; 0 when it is empty.
func (l *Copier) last(ctx context.Context, c rotation.Chain) (last int, err error) {
	err = l.pages(ctx, c, false, func(events []types.OutputLogEvent) bool {
		for _, e := range events {
			last = max(last, seqOf(c, aws.ToString(e.Message)))
		}
		return last == 0
	})
	return last, err
}

// Digests reads the whole stream back; see evidence.LogReader. No stream is no digests.
func (l *Copier) Digests(ctx context.Context, c rotation.Chain) (map[int][]string, error) {
	digests := map[int][]string{}
	err := l.pages(ctx, c, true, func(events []types.OutputLogEvent) bool {
		for _, e := range events {
			m := aws.ToString(e.Message)
			seq, d := seqOf(c, m), rotation.Digest([]byte(m))
			if !slices.Contains(digests[seq], d) {
				digests[seq] = append(digests[seq], d)
			}
		}
		return true
	})
	if isA[*types.ResourceNotFoundException](err) {
		return digests, nil
	}
	if err != nil {
		return nil, fmt.Errorf("log group %s: %w", l.group, brief(err))
	}
	return digests, nil
}

// pages reads a stream from its start or its end for as long as more wants. Pages may be empty; the end is where
// the token stays the same.
func (l *Copier) pages(ctx context.Context, c rotation.Chain, fromHead bool, more func([]types.OutputLogEvent) bool) error {
	var token *string
	for {
		out, err := l.client.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: &l.group, LogStreamName: aws.String(c.Path()), StartFromHead: &fromHead, NextToken: token})
		if err != nil {
			return err
		}
		next := out.NextBackwardToken
		if fromHead {
			next = out.NextForwardToken
		}
		if !more(out.Events) || next == nil || token != nil && *next == *token {
			return nil
		}
		token = next
	}
}

// seqOf is the number of the record in a message; 0 when it is none of c.
func seqOf(c rotation.Chain, message string) int {
	var r struct {
		rotation.Chain
		Seq int `json:"seq"`
	}
	if json.Unmarshal([]byte(message), &r) != nil || r.Chain != c || r.Seq < 1 {
		return 0
	}
	return r.Seq
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// brief is a service's answer without the text it came with.
func brief(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		return fmt.Errorf("CloudWatch Logs answered %s", api.ErrorCode())
	}
	return err
}
