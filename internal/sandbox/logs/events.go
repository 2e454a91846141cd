package logs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Limits of PutLogEvents (API reference).
const (
	maxBatch  = 1_048_576 // bytes, with 26 for every event
	perEvent  = 26
	maxEvents = 10_000
	past      = 14 * 24 * time.Hour
	future    = 2 * time.Hour
)

type input struct {
	Timestamp int64
	Message   string
}

func (s *Service) putEvents(r *wire.Request) (any, error) {
	var in struct {
		LogGroupName, LogStreamName string
		LogEvents                   []input
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	g, err := s.open(r, in.LogGroupName, "", in.LogStreamName)
	if err != nil {
		return nil, err
	}
	to := g.streams[in.LogStreamName]
	if to == nil {
		return nil, noStream()
	}
	if err := checkBatch(in.LogEvents); err != nil {
		return nil, err
	}
	oldest, newest := r.At.Add(-past).UnixMilli(), r.At.Add(future).UnixMilli()
	type rejected struct {
		TooNew *int `json:"tooNewLogEventStartIndex,omitempty"`
		TooOld *int `json:"tooOldLogEventEndIndex,omitempty"`
	}
	var out struct {
		Next     string    `json:"nextSequenceToken"`
		Rejected *rejected `json:"rejectedLogEventsInfo,omitempty"`
	}
	var no rejected
	for i, e := range in.LogEvents {
		switch {
		case e.Timestamp < oldest:
			end := i + 1
			no.TooOld = &end
		case e.Timestamp > newest:
			if no.TooNew == nil {
				no.TooNew = &i
			}
		default:
			to.events = append(to.events, Event{fmt.Sprintf("%056d", len(to.events)+1), e.Timestamp, r.At.UnixMilli(), e.Message})
		}
	}
	if no != (rejected{}) {
		out.Rejected = &no
	}
	slices.SortStableFunc(to.events, func(a, b Event) int { return cmp.Compare(a.Timestamp, b.Timestamp) })
	to.ingested = r.At
	out.Next = s.random.Text(56, wire.Hex)
	return out, nil
}

func checkBatch(l []input) error {
	if len(l) < 1 || len(l) > maxEvents {
		return wire.Refuse("InvalidParameterException", "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length between 1 and %d", maxEvents)
	}
	size := 0
	for i, e := range l {
		size += len(e.Message) + perEvent
		switch {
		case e.Message == "":
			return wire.Refuse("InvalidParameterException", "1 validation error detected: Value '' at 'logEvents.%d.member.message' failed to satisfy constraint: Member must have length greater than or equal to 1", i+1)
		case i > 0 && e.Timestamp < l[i-1].Timestamp:
			return wire.Refuse("InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.")
		case e.Timestamp-l[0].Timestamp > (24 * time.Hour).Milliseconds():
			return wire.Refuse("InvalidParameterException", "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
		}
	}
	if size > maxBatch {
		return wire.Refuse("InvalidParameterException", "Upload too large: %d bytes exceeds limit of %d", size, maxBatch)
	}
	return nil
}

type outputEvent struct {
	EventID       string `json:"eventId,omitempty"`
	LogStreamName string `json:"logStreamName,omitempty"`
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
	IngestionTime int64  `json:"ingestionTime"`
}

func within(e Event, from, to *int64) bool {
	return (from == nil || e.Timestamp >= *from) && (to == nil || e.Timestamp < *to)
}

// getEvents pages forwards and backwards; at an end it gives back the token it was given.
func (s *Service) getEvents(r *wire.Request) (any, error) {
	var in struct {
		LogGroupName, LogGroupIdentifier, LogStreamName, NextToken string
		StartTime, EndTime                                         *int64
		Limit                                                      *int
		StartFromHead                                              bool
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	g, err := s.open(r, in.LogGroupName, in.LogGroupIdentifier, in.LogStreamName)
	if err != nil {
		return nil, err
	}
	of := g.streams[in.LogStreamName]
	if of == nil {
		return nil, noStream()
	}
	var all []outputEvent
	for _, e := range of.events {
		if within(e, in.StartTime, in.EndTime) {
			all = append(all, outputEvent{"", "", e.Timestamp, e.Message, e.Ingested})
		}
	}
	size, err := limit(in.Limit, 10_000)
	if err != nil {
		return nil, err
	}
	from, to := max(0, len(all)-size), len(all)
	var at int
	switch {
	case in.NextToken == "" && in.StartFromHead:
		from, to = 0, min(size, len(all))
	case in.NextToken == "":
	case scan(in.NextToken, "f/%d", &at):
		from, to = min(at, len(all)), min(at+size, len(all))
	case scan(in.NextToken, "b/%d", &at):
		from, to = max(0, at-size), min(at, len(all))
	default:
		return nil, wire.Refuse("InvalidParameterException", "The specified nextToken is invalid.")
	}
	return struct {
		Events   []outputEvent `json:"events"`
		Forward  string        `json:"nextForwardToken"`
		Backward string        `json:"nextBackwardToken"`
	}{append([]outputEvent{}, all[from:to]...), fmt.Sprintf("f/%056d", to), fmt.Sprintf("b/%056d", from)}, nil
}

func scan(token, format string, at *int) bool {
	n, err := fmt.Sscanf(token, format, at)
	return n == 1 && err == nil && *at >= 0 && strings.HasPrefix(token, format[:2])
}

func limit(asked *int, most int) (int, error) {
	switch {
	case asked == nil:
		return most, nil
	case *asked < 1 || *asked > most:
		return 0, wire.Refuse("InvalidParameterException", "1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and %d", *asked, most)
	}
	return *asked, nil
}

// filterEvents finds events by time, stream and plain terms. A pattern in JSON or regular expression syntax is
// refused: the sandbox doesn't know it.
func (s *Service) filterEvents(r *wire.Request) (any, error) {
	var in struct {
		LogGroupName, LogGroupIdentifier, LogStreamNamePrefix, FilterPattern, NextToken string
		LogStreamNames                                                                  []string
		StartTime, EndTime                                                              *int64
		Limit                                                                           *int
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	g, err := s.open(r, in.LogGroupName, in.LogGroupIdentifier, "")
	switch {
	case err != nil:
		return nil, err
	case len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != "":
		return nil, wire.Refuse("InvalidParameterException", "LogStreamNamePrefix and LogStreamNames cannot both be specified.")
	}
	terms, err := readPattern(in.FilterPattern)
	if err != nil {
		return nil, err
	}
	for _, name := range in.LogStreamNames {
		if g.streams[name] == nil {
			return nil, noStream()
		}
	}
	all := []outputEvent{}
	for _, st := range g.streams {
		if len(in.LogStreamNames) > 0 && !slices.Contains(in.LogStreamNames, st.name) || !strings.HasPrefix(st.name, in.LogStreamNamePrefix) {
			continue
		}
		for _, e := range st.events {
			if within(e, in.StartTime, in.EndTime) && terms.match(e.Message) {
				all = append(all, outputEvent{e.ID, st.name, e.Timestamp, e.Message, e.Ingested})
			}
		}
	}
	slices.SortFunc(all, func(a, b outputEvent) int {
		return cmp.Or(cmp.Compare(a.Timestamp, b.Timestamp), cmp.Compare(a.LogStreamName, b.LogStreamName), cmp.Compare(a.EventID, b.EventID))
	})
	page, next, err := s.cut(len(all), in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	return struct {
		Events   []outputEvent `json:"events"`
		Searched []struct{}    `json:"searchedLogStreams"`
		Next     string        `json:"nextToken,omitempty"`
	}{all[page[0]:page[1]], []struct{}{}, next}, nil
}

// A pattern is terms that must all occur, or terms of which one must.
type pattern struct {
	terms []string
	any   bool
}

func (p pattern) match(message string) bool {
	has := func(t string) bool { return strings.Contains(message, t) }
	if p.any {
		return slices.ContainsFunc(p.terms, has)
	}
	return !slices.ContainsFunc(p.terms, func(t string) bool { return !has(t) })
}

// readPattern knows terms and "quoted phrases", all of which must occur; or each with a ? before it, one of which must.
// AWS leaves the latter out where both are given, so that the sandbox refuses it.
func readPattern(p string) (found pattern, err error) {
	for p = strings.TrimSpace(p); p != ""; p = strings.TrimSpace(p) {
		either := p[0] == '?' && len(p) > 1
		if either {
			p = p[1:]
		}
		if strings.ContainsAny(p[:1], "{[%?-") || len(found.terms) > 0 && either != found.any {
			return found, wire.Refuse("InvalidParameterException", "the sandbox knows plain terms and quoted phrases only in a filterPattern")
		}
		end, skip := strings.IndexByte(p+" ", ' '), 0
		if p[0] == '"' {
			if end = strings.IndexByte(p[1:], '"'); end < 0 {
				return found, wire.Refuse("InvalidParameterException", "Invalid filter pattern")
			}
			end, skip = end+1, 1
		}
		found.terms, found.any = append(found.terms, p[skip:end]), either
		p = p[min(end+skip, len(p)):]
	}
	return found, nil
}

// cut is one page of n lines; with empty pages set, each comes after an empty one.
func (s *Service) cut(n int, asked *int, token string) (page [2]int, next string, err error) {
	size, err := limit(asked, 10_000)
	if err != nil {
		return page, "", err
	}
	from, skipped := 0, false
	if token != "" {
		skipped = strings.HasPrefix(token, "e/")
		if !scan(token, "e/%d", &from) && !scan(token, "n/%d", &from) || from > n {
			return page, "", wire.Refuse("InvalidParameterException", "The specified nextToken is invalid.")
		}
	}
	if s.emptyPages && !skipped {
		return [2]int{from, from}, fmt.Sprintf("e/%d", from), nil
	}
	to := min(from+size, n)
	if to < n {
		next = fmt.Sprintf("n/%d", to)
	}
	return [2]int{from, to}, next, nil
}
