package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/problem"
)

// maxPages is more than an honest answer has.
const maxPages = 500

// alarmTypes must be named: by itself CloudWatch leaves composite alarms out.
var alarmTypes = []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}

// alarms judges each alarm by its state now and by its history, which knows of an ALARM that is over.
func (h handler) alarms(ctx context.Context, p *Shape, at stretch, v *verdict) error {
	if len(p.Alarms) == 0 {
		return nil
	}
	states, err := h.states(ctx, p.Alarms)
	if err != nil {
		return err
	}
	var fine []string
	for _, name := range p.Alarms {
		state, there := states[name]
		quoted := problem.Quote(name)
		if !there {
			v.fail("check name, region and account: it may be a log alarm, which this check doesn't know", "there is no alarm %s", quoted)
			continue
		}
		if state == types.StateValueAlarm {
			v.fail(hintAlarm(at), "alarm %s is in ALARM", quoted)
			continue
		}
		first, unread, err := h.red(ctx, name, at)
		switch {
		case err != nil:
			return err
		case !first.IsZero():
			v.fail(hintAlarm(at), "alarm %s isn't in ALARM now but was at %s, %s", quoted, clock(first), at.since())
		case unread:
			v.unproven = append(v.unproven, "alarm "+quoted+" may have been in ALARM: its history can't be read, "+at.since())
		case state != types.StateValueOk:
			v.unproven = append(v.unproven, fmt.Sprintf("alarm %s has %s", quoted, cloud.Line(string(state))))
		default:
			fine = append(fine, quoted)
		}
	}
	if len(fine) > 0 {
		v.good = append(v.good, "OK all the time: "+strings.Join(fine, ", "))
	}
	return nil
}

func hintAlarm(at stretch) string {
	if at.before {
		return fmt.Sprintf("find out what is wrong first: nothing was changed; it must have been out of ALARM since %s", clock(at.from))
	}
	return "see the alarm's history in CloudWatch"
}

func (h handler) states(ctx context.Context, names []string) (map[string]types.StateValue, error) {
	states := map[string]types.StateValue{}
	in := &cloudwatch.DescribeAlarmsInput{AlarmNames: names, AlarmTypes: alarmTypes, MaxRecords: aws.Int32(100)}
	for range maxPages {
		out, err := h.CloudWatch.DescribeAlarms(ctx, in)
		if err != nil {
			return nil, cloud.Judge(err, "read the states of alarms")
		}
		for _, a := range out.MetricAlarms {
			states[aws.ToString(a.AlarmName)] = a.StateValue
		}
		for _, a := range out.CompositeAlarms {
			states[aws.ToString(a.AlarmName)] = a.StateValue
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return states, nil
		}
	}
	return nil, fmt.Errorf("read the states of alarms: no end after %d pages", maxPages)
}

// red is when an alarm's history first tells of ALARM; an alarm that left ALARM was in it before. unread is whether
// there is an entry that can't be understood.
func (h handler) red(ctx context.Context, name string, at stretch) (first time.Time, unread bool, err error) {
	in := &cloudwatch.DescribeAlarmHistoryInput{AlarmName: &name, AlarmTypes: alarmTypes, HistoryItemType: types.HistoryItemTypeStateUpdate,
		StartDate: &at.from, EndDate: &at.now, ScanBy: types.ScanByTimestampAscending, MaxRecords: aws.Int32(100)}
	for range maxPages {
		out, err := h.CloudWatch.DescribeAlarmHistory(ctx, in)
		if err != nil {
			return first, false, cloud.Judge(err, "read the history of alarm "+problem.Quote(name))
		}
		for _, item := range out.AlarmHistoryItems {
			from, to, ok := moved(item)
			switch {
			case !ok:
				unread = true
			case from == types.StateValueAlarm && first.IsZero():
				first = at.from
			case to == types.StateValueAlarm && first.IsZero():
				first = aws.ToTime(item.Timestamp)
			}
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return first, unread, nil
		}
	}
	return first, false, fmt.Errorf("read the history of alarm %s: no end after %d pages", problem.Quote(name), maxPages)
}

var summary = regexp.MustCompile(`from (OK|ALARM|INSUFFICIENT_DATA) to (OK|ALARM|INSUFFICIENT_DATA)`)

// moved reads an entry's states from its data, which may be cut off, or else from its summary.
func moved(item types.AlarmHistoryItem) (from, to types.StateValue, ok bool) {
	type state struct {
		StateValue types.StateValue `json:"stateValue"`
	}
	var data struct {
		OldState state `json:"oldState"`
		NewState state `json:"newState"`
	}
	if json.Unmarshal([]byte(aws.ToString(item.HistoryData)), &data) == nil && data.NewState.StateValue != "" {
		return data.OldState.StateValue, data.NewState.StateValue, true
	}
	m := summary.FindStringSubmatch(aws.ToString(item.HistorySummary))
	if m == nil {
		return "", "", false
	}
	return types.StateValue(m[1]), types.StateValue(m[2]), true
}
