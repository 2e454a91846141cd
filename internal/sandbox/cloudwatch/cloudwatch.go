// Package cloudwatch is Amazon CloudWatch inside the sandbox, as far as somebody looks at it: alarms with their
// history, and the data of metrics. It owns both; alarms change by hand only. Like the real one it shows data late,
// answers a part of what it was asked for, and leaves composite alarms out unless they are asked for; it must never
// make up a data point.
//
// Known differences: alarms don't watch metrics, their states are set; statistics are the five simple ones.
package cloudwatch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// States of an alarm.
const (
	OK           = "OK"
	Alarm        = "ALARM"
	Insufficient = "INSUFFICIENT_DATA"
)

// Service is CloudWatch of all accounts and Regions. Safe for concurrent use.
type Service struct {
	mu      sync.Mutex
	alarms  map[wire.Place]map[string]*alarm
	data    map[wire.Place][]point
	lag     time.Duration
	partial int
	status  string
	page    int
}

type alarm struct {
	name, state     string
	composite       bool
	created, moved  time.Time
	history         []update
	unreadable, cut bool
}

type update struct {
	at       time.Time
	from, to string
}

type point struct {
	series string
	at     time.Time
	value  float64
}

// New is a service without an alarm.
func New() *Service {
	return &Service{alarms: map[wire.Place]map[string]*alarm{}, data: map[wire.Place][]point{}}
}

// MakeAlarm makes an alarm by hand. Like a new one of AWS's it has INSUFFICIENT_DATA.
func (s *Service) MakeAlarm(p wire.Place, name string, composite bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alarms[p] == nil {
		s.alarms[p] = map[string]*alarm{}
	}
	s.alarms[p][name] = &alarm{name: name, state: Insufficient, composite: composite, created: now, moved: now}
}

// DropAlarm deletes one, with its history.
func (s *Service) DropAlarm(p wire.Place, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.alarms[p], name)
}

// SetState moves an alarm to a state, and its history tells of it. The alarm must be there.
func (s *Service) SetState(p wire.Place, name, state string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.alarms[p][name]
	if a.state != state {
		a.history = append(a.history, update{now, a.state, state})
		a.state, a.moved = state, now
	}
}

// Put is a value of a metric at a time. dimensions are NAME=VALUE.
func (s *Service) Put(p wire.Place, namespace, metric string, at time.Time, value float64, dimensions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data[p] = append(s.data[p], point{series(namespace, metric, dimensions), at, value})
}

func series(namespace, metric string, dimensions []string) string {
	sorted := slices.Sorted(slices.Values(dimensions))
	return namespace + "\x00" + metric + "\x00" + strings.Join(sorted, "\x00")
}

// SetLag is how long after its time a value can be seen.
func (s *Service) SetLag(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = d
}

// SetStatus makes the next n answers of GetMetricData say this of their results: PartialData, InternalError.
func (s *Service) SetStatus(status string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.partial = status, n
}

// SetPage makes pages small: entries of lists, and points of each metric. 0: as many as AWS gives.
func (s *Service) SetPage(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = n
}

// Cut makes the history of an alarm tell states in its summary only, or with unreadable not even there: HistoryData
// ends after 4095 characters, wherever that is.
func (s *Service) Cut(p wire.Place, name string, unreadable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarms[p][name].cut, s.alarms[p][name].unreadable = true, unreadable
}

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string {
	return []string{"DescribeAlarms", "DescribeAlarmHistory", "GetMetricData", "PutMetricData"}
}

// Target is the alarms asked for.
func Target(r *wire.Request) string {
	var in struct {
		AlarmName  string
		AlarmNames []string
	}
	if json.Unmarshal(r.Body, &in) != nil {
		return ""
	}
	return in.AlarmName + strings.Join(in.AlarmNames, ",")
}

// Serve answers one request.
func (s *Service) Serve(r *wire.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Operation {
	case "DescribeAlarms":
		return s.describe(r)
	case "DescribeAlarmHistory":
		return s.history(r)
	case "GetMetricData":
		return s.metricData(r)
	case "PutMetricData":
		return s.putMetricData(r)
	}
	return nil, wire.Refuse("UnknownOperationException", "the sandbox doesn't serve %s", r.Operation)
}

func arn(p wire.Place, alarm string) string {
	return "arn:aws:cloudwatch:" + p.Region + ":" + p.Account + ":alarm:" + alarm
}

// cut is one page of n entries.
func (s *Service) cut(n, most int, asked *int, token string) (from, to int, next string, err error) {
	size := most
	if asked != nil {
		if *asked < 1 || *asked > 100 {
			return 0, 0, "", wire.Refuse("ValidationError", "1 validation error detected: Value '%d' at 'maxRecords' failed to satisfy constraint: Member must have value between 1 and 100", *asked)
		}
		size = *asked
	}
	if s.page > 0 {
		size = min(size, s.page)
	}
	if token != "" {
		if _, err := fmt.Sscanf(token, "p/%d", &from); err != nil || from < 0 || from > n {
			return 0, 0, "", wire.Refuse("InvalidNextToken", "Invalid NextToken")
		}
	}
	if to = min(from+size, n); to < n {
		next = fmt.Sprintf("p/%d", to)
	}
	return from, to, next, nil
}

func seconds(f float64) time.Time { return time.UnixMilli(int64(f * 1000)).UTC() }
