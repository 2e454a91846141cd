// Package logs is Amazon CloudWatch Logs inside the sandbox, as far as an audit copy needs it. It owns groups,
// streams and events. Like the real one it keeps what is sent twice twice, and reports events outside its window
// inside a success; it must never hide either.
package logs

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Service is CloudWatch Logs of all accounts and Regions. Safe for concurrent use.
type Service struct {
	mu         sync.Mutex
	random     *wire.Random
	groups     map[wire.Place]map[string]*group
	emptyPages bool
}

type group struct {
	name, arn string
	created   time.Time
	streams   map[string]*stream
}

type stream struct {
	name, arn         string
	created, ingested time.Time
	events            []Event // by timestamp, then arrival
}

// An Event is one line of a stream.
type Event struct {
	ID        string
	Timestamp int64 // milliseconds since 1970, as the sender says
	Ingested  int64 // likewise, by the world's clock
	Message   string
}

// New is a service without a group.
func New(r *wire.Random) *Service {
	return &Service{random: r, groups: map[wire.Place]map[string]*group{}}
}

// SetEmptyPages puts an empty page with a nextToken before every page of FilterLogEvents, as AWS is free to do.
func (s *Service) SetEmptyPages(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emptyPages = on
}

// MakeGroup makes a log group by hand.
func (s *Service) MakeGroup(p wire.Place, name string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeGroup(p, name, now)
}

func (s *Service) makeGroup(p wire.Place, name string, now time.Time) {
	if s.groups[p] == nil {
		s.groups[p] = map[string]*group{}
	}
	s.groups[p][name] = &group{name: name, arn: arn(p, name), created: now, streams: map[string]*stream{}}
}

func arn(p wire.Place, group string) string {
	return "arn:aws:logs:" + p.Region + ":" + p.Account + ":log-group:" + group
}

// Events looks at a stream without being seen.
func (s *Service) Events(p wire.Place, groupName, streamName string) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[p][groupName]; g != nil && g.streams[streamName] != nil {
		return slices.Clone(g.streams[streamName].events)
	}
	return nil
}

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string {
	var l []string
	for name := range operations() {
		l = append(l, name)
	}
	return l
}

func operations() map[string]func(*Service, *wire.Request) (any, error) {
	return map[string]func(*Service, *wire.Request) (any, error){
		"CreateLogGroup":     (*Service).createGroup,
		"CreateLogStream":    (*Service).createStream,
		"PutLogEvents":       (*Service).putEvents,
		"DescribeLogGroups":  (*Service).describeGroups,
		"DescribeLogStreams": (*Service).describeStreams,
		"GetLogEvents":       (*Service).getEvents,
		"FilterLogEvents":    (*Service).filterEvents,
	}
}

// Target is "group" or "group:stream".
func Target(r *wire.Request) string {
	var in struct{ LogGroupName, LogGroupIdentifier, LogStreamName string }
	if json.Unmarshal(r.Body, &in) != nil {
		return ""
	}
	return strings.TrimSuffix(in.LogGroupName+in.LogGroupIdentifier+":"+in.LogStreamName, ":")
}

// Serve answers one request: a value to write as JSON, nil for an empty object, or a *wire.Error.
func (s *Service) Serve(r *wire.Request) (any, error) {
	do, ok := operations()[r.Operation]
	if !ok {
		return nil, wire.Refuse("UnknownOperationException", "the sandbox doesn't serve %s", r.Operation)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return do(s, r)
}

func noGroup() error {
	return wire.Refuse("ResourceNotFoundException", "The specified log group does not exist.")
}

func noStream() error {
	return wire.Refuse("ResourceNotFoundException", "The specified log stream does not exist.")
}

// open finds a group by name or ARN, after asking for the permission; streamName is for the permission only.
func (s *Service) open(r *wire.Request, name, identifier, streamName string) (*group, error) {
	if name == "" {
		name = strings.TrimSuffix(strings.TrimPrefix(identifier, arn(r.Place, "")), ":*")
	}
	if name == "" {
		return nil, wire.Refuse("InvalidParameterException", "LogGroup name or identifier can not be empty.")
	}
	resource := arn(r.Place, name) + ":log-stream:" + streamName
	if err := r.May("logs:"+r.Operation, resource); err != nil {
		return nil, err
	}
	g := s.groups[r.Place][name]
	if g == nil {
		return nil, noGroup()
	}
	return g, nil
}

func (s *Service) createGroup(r *wire.Request) (any, error) {
	var in struct{ LogGroupName string }
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("logs:CreateLogGroup", arn(r.Place, in.LogGroupName)); err != nil {
		return nil, err
	}
	switch {
	case in.LogGroupName == "" || len(in.LogGroupName) > 512:
		return nil, wire.Refuse("InvalidParameterException", "1 validation error detected: Value '%s' at 'logGroupName' failed to satisfy constraint: Member must have length between 1 and 512", in.LogGroupName)
	case s.groups[r.Place][in.LogGroupName] != nil:
		return nil, wire.Refuse("ResourceAlreadyExistsException", "The specified log group already exists")
	}
	s.makeGroup(r.Place, in.LogGroupName, r.At)
	return nil, nil
}

func (s *Service) createStream(r *wire.Request) (any, error) {
	var in struct{ LogGroupName, LogStreamName string }
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	g, err := s.open(r, in.LogGroupName, "", in.LogStreamName)
	switch {
	case err != nil:
		return nil, err
	case in.LogStreamName == "" || len(in.LogStreamName) > 512 || strings.ContainsAny(in.LogStreamName, ":*"):
		return nil, wire.Refuse("InvalidParameterException", "1 validation error detected: Value '%s' at 'logStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [^:*]*", in.LogStreamName)
	case g.streams[in.LogStreamName] != nil:
		return nil, wire.Refuse("ResourceAlreadyExistsException", "The specified log stream already exists")
	}
	g.streams[in.LogStreamName] = &stream{name: in.LogStreamName, arn: g.arn + ":log-stream:" + in.LogStreamName, created: r.At}
	return nil, nil
}
