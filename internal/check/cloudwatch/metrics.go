package cloudwatch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// A series is what came of one metric.
type series struct {
	status types.StatusCode
	times  []time.Time
	values []float64
}

// metrics judges every value of a whole period that ought to be there by now. Periods differ, and a request has one
// beginning and one end: each length of period is a request of its own.
func (h handler) metrics(ctx context.Context, p *Shape, at stretch, v *verdict) error {
	by := map[time.Duration][]Metric{}
	for _, m := range p.Metrics {
		by[m.period()] = append(by[m.period()], m)
	}
	for _, period := range slices.Sorted(maps.Keys(by)) {
		from, to := whole(at, period)
		if !from.Before(to) {
			continue // nothing yet: ready isn't before there is a whole period, since over holds two
		}
		found, err := h.values(ctx, by[period], from, to)
		if err != nil {
			return err
		}
		for i, m := range by[period] {
			if err := m.judge(found[i], int(to.Sub(from)/period), at, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// whole is the beginning and the end of the periods that lie within at, their last data included; the end is no period's
// beginning any more.
func whole(at stretch, period time.Duration) (from, to time.Time) {
	if from = at.from.Truncate(period); from.Before(at.from) {
		from = from.Add(period)
	}
	to = at.to
	if at.settled.Before(to) {
		to = at.settled
	}
	return from, to.Truncate(period)
}

// values asks for several metrics at once, page by page.
func (h handler) values(ctx context.Context, metrics []Metric, from, to time.Time) ([]series, error) {
	in := &cloudwatch.GetMetricDataInput{StartTime: &from, EndTime: &to, ScanBy: types.ScanByTimestampAscending}
	for i, m := range metrics {
		stat := &types.MetricStat{Stat: aws.String(m.Stat), Period: aws.Int32(int32(m.period() / time.Second)),
			Metric: &types.Metric{Namespace: aws.String(m.Namespace), MetricName: aws.String(m.Metric)}}
		for _, name := range slices.Sorted(maps.Keys(m.Dimensions)) {
			stat.Metric.Dimensions = append(stat.Metric.Dimensions, types.Dimension{Name: aws.String(name), Value: aws.String(m.Dimensions[name])})
		}
		in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{Id: aws.String(id(i)), MetricStat: stat})
	}
	found := make([]series, len(metrics))
	for range maxPages {
		out, err := h.CloudWatch.GetMetricData(ctx, in)
		if err != nil {
			return nil, cloud.Judge(err, "read metrics")
		}
		for _, r := range out.MetricDataResults {
			i, err := strconv.Atoi(strings.TrimPrefix(aws.ToString(r.Id), "m"))
			if err != nil || i < 0 || i >= len(found) || len(r.Timestamps) != len(r.Values) {
				return nil, fmt.Errorf("read metrics: the answer isn't to what was asked")
			}
			f := &found[i]
			f.status, f.times, f.values = r.StatusCode, append(f.times, r.Timestamps...), append(f.values, r.Values...)
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return found, nil
		}
	}
	return nil, fmt.Errorf("read metrics: no end after %d pages", maxPages)
}

func id(i int) string { return "m" + strconv.Itoa(i) }

// judge holds one metric against its bounds. A part of its values is no reason to judge it.
func (m *Metric) judge(s series, periods int, at stretch, v *verdict) error {
	name := m.String()
	switch s.status {
	case types.StatusCodeComplete:
	case types.StatusCodeForbidden:
		return rotation.Failf("allow cloudwatch:GetMetricData, in the account that has the metric, too", "%s may not be read", name)
	default:
		v.partly = append(v.partly, fmt.Sprintf("%s: CloudWatch answers a part of it only (%s)", name, cloud.Line(string(s.status))))
		return nil
	}
	if len(s.values) == 0 {
		v.unproven = append(v.unproven, fmt.Sprintf("%s has no value in %d periods of %s", name, periods, span(m.period())))
		return nil
	}
	bad, worst, when := 0, 0.0, time.Time{}
	for i, value := range s.values {
		if m.within(value) {
			continue
		}
		if bad++; when.IsZero() || s.times[i].Before(when) {
			worst, when = value, s.times[i]
		}
	}
	if bad > 0 {
		hint := "see the metric in CloudWatch"
		if at.before {
			hint = "find out what is wrong first: nothing was changed; or mend the bound"
		}
		v.fail(hint, "%s is not %s in %d of %d periods of %s: %s at %s, %s", name, m.bounds(), bad, periods, span(m.period()), number(worst), clock(when), at.since())
		return nil
	}
	v.good = append(v.good, fmt.Sprintf("%s is %s in %d of %d periods of %s that have a value", name, m.bounds(), len(s.values), periods, span(m.period())))
	return nil
}

// within is false of NaN, too.
func (m *Metric) within(value float64) bool {
	return value == value && (m.Most == nil || value <= *m.Most) && (m.Least == nil || value >= *m.Least)
}

func (m *Metric) bounds() string {
	var l []string
	if m.Least != nil {
		l = append(l, "at least "+number(*m.Least))
	}
	if m.Most != nil {
		l = append(l, "at most "+number(*m.Most))
	}
	return strings.Join(l, " and ")
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

// String is the metric as people know it: Sum of AWS/Lambda Errors (FunctionName shop).
func (m *Metric) String() string {
	text := m.Stat + " of " + m.Namespace + " " + m.Metric
	var l []string
	for _, name := range slices.Sorted(maps.Keys(m.Dimensions)) {
		l = append(l, name+" "+m.Dimensions[name])
	}
	if len(l) > 0 {
		text += " (" + strings.Join(l, ", ") + ")"
	}
	return problem.Plain(text)
}
