package cloudwatch

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// wanted says whether an alarm is of the types asked for: metric alarms only, unless others are named.
func (a *alarm) wanted(types []string) bool {
	if len(types) == 0 {
		return !a.composite
	}
	return slices.Contains(types, a.kind())
}

func (a *alarm) kind() string {
	if a.composite {
		return "CompositeAlarm"
	}
	return "MetricAlarm"
}

func knownTypes(types []string) error {
	for _, t := range types {
		if t != "MetricAlarm" && t != "CompositeAlarm" && t != "LogAlarm" {
			return wire.Refuse("ValidationError", "1 validation error detected: Value '[%s]' at 'alarmTypes' failed to satisfy constraint", t)
		}
	}
	return nil
}

func (s *Service) describe(r *wire.Request) (any, error) {
	var in struct {
		AlarmNames, AlarmTypes     []string
		AlarmNamePrefix, NextToken string
		StateValue                 string
		MaxRecords                 *int
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("cloudwatch:DescribeAlarms", arn(r.Place, "*")); err != nil {
		return nil, err
	}
	switch err := knownTypes(in.AlarmTypes); {
	case err != nil:
		return nil, err
	case len(in.AlarmNames) > 100:
		return nil, wire.Refuse("ValidationError", "1 validation error detected: Value at 'alarmNames' failed to satisfy constraint: Member must have length less than or equal to 100")
	case len(in.AlarmNames) > 0 && in.AlarmNamePrefix != "":
		return nil, wire.Refuse("ValidationError", "AlarmNamePrefix and AlarmNames cannot both be specified")
	}
	var found []*alarm
	for _, name := range slices.Sorted(maps.Keys(s.alarms[r.Place])) {
		a := s.alarms[r.Place][name]
		if a.wanted(in.AlarmTypes) && (len(in.AlarmNames) == 0 || slices.Contains(in.AlarmNames, name)) &&
			strings.HasPrefix(name, in.AlarmNamePrefix) && (in.StateValue == "" || in.StateValue == a.state) {
			found = append(found, a)
		}
	}
	from, to, next, err := s.cut(len(found), 50, in.MaxRecords, in.NextToken)
	if err != nil {
		return nil, err
	}
	metric, composite := []any{}, []any{}
	for _, a := range found[from:to] {
		shown := map[string]any{"AlarmName": a.name, "AlarmArn": arn(r.Place, a.name), "StateValue": a.state, "ActionsEnabled": true,
			"StateUpdatedTimestamp": a.moved, "StateTransitionedTimestamp": a.moved, "AlarmConfigurationUpdatedTimestamp": a.created}
		if a.composite {
			composite = append(composite, shown)
		} else {
			metric = append(metric, shown)
		}
	}
	return with(map[string]any{"MetricAlarms": metric, "CompositeAlarms": composite}, next), nil
}

func with(answer map[string]any, next string) map[string]any {
	if next != "" {
		answer["NextToken"] = next
	}
	return answer
}

func (s *Service) history(r *wire.Request) (any, error) {
	var in struct {
		AlarmName, HistoryItemType, ScanBy, NextToken string
		AlarmTypes                                    []string
		StartDate, EndDate                            *float64
		MaxRecords                                    *int
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	name := in.AlarmName
	if name == "" {
		name = "*"
	}
	if err := r.May("cloudwatch:DescribeAlarmHistory", arn(r.Place, name)); err != nil {
		return nil, err
	}
	if err := knownTypes(in.AlarmTypes); err != nil {
		return nil, err
	}
	items := []any{}
	for _, name := range slices.Sorted(maps.Keys(s.alarms[r.Place])) {
		a := s.alarms[r.Place][name]
		if !a.wanted(in.AlarmTypes) || in.AlarmName != "" && name != in.AlarmName || in.HistoryItemType != "" && in.HistoryItemType != "StateUpdate" {
			continue
		}
		for _, u := range a.history {
			if (in.StartDate == nil || !u.at.Before(seconds(*in.StartDate))) && (in.EndDate == nil || !u.at.After(seconds(*in.EndDate))) {
				items = append(items, a.item(u))
			}
		}
	}
	slices.SortStableFunc(items, func(a, b any) int {
		return a.(map[string]any)["Timestamp"].(time.Time).Compare(b.(map[string]any)["Timestamp"].(time.Time))
	})
	if in.ScanBy != "TimestampAscending" {
		slices.Reverse(items)
	}
	from, to, next, err := s.cut(len(items), 50, in.MaxRecords, in.NextToken)
	if err != nil {
		return nil, err
	}
	return with(map[string]any{"AlarmHistoryItems": items[from:to]}, next), nil
}

func (a *alarm) item(u update) map[string]any {
	type state struct {
		StateValue  string `json:"stateValue"`
		StateReason string `json:"stateReason"`
	}
	data, _ := json.Marshal(struct { // plain data: can't fail
		Version  string `json:"version"`
		OldState state  `json:"oldState"`
		NewState state  `json:"newState"`
	}{"1.0", state{u.from, "set by hand"}, state{u.to, "set by hand"}})
	summary := "Alarm updated from " + u.from + " to " + u.to
	if a.cut {
		data = data[:len(data)/2]
	}
	if a.unreadable {
		summary = "Alarm updated"
	}
	return map[string]any{"AlarmName": a.name, "AlarmType": a.kind(), "Timestamp": u.at, "HistoryItemType": "StateUpdate",
		"HistorySummary": summary, "HistoryData": string(data)}
}
