package cloudwatch

import (
	"maps"
	"slices"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

type query struct {
	ID         string `json:"Id"`
	Expression string
	MetricStat *struct {
		Metric struct {
			Namespace, MetricName string
			Dimensions            []struct{ Name, Value string }
		}
		Period int
		Stat   string
	}
}

// metricData answers each period that has a value, by its beginning. A page holds a number of points of each metric;
// all but the last say PartialData.
func (s *Service) metricData(r *wire.Request) (any, error) {
	var in struct {
		MetricDataQueries  []query
		StartTime, EndTime *float64
		ScanBy, NextToken  string
		MaxDatapoints      *int
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("cloudwatch:GetMetricData", "*"); err != nil {
		return nil, err
	}
	if err := checkQueries(in.MetricDataQueries, in.StartTime, in.EndTime); err != nil {
		return nil, err
	}
	all, most := map[string][]datum{}, 0
	for _, q := range in.MetricDataQueries {
		all[q.ID] = s.points(r, q, seconds(*in.StartTime), seconds(*in.EndTime))
		if in.ScanBy != "TimestampAscending" {
			slices.Reverse(all[q.ID])
		}
		most = max(most, len(all[q.ID]))
	}
	from, to, next, err := s.cut(most, 100_800/len(in.MetricDataQueries), nil, in.NextToken)
	if err != nil {
		return nil, err
	}
	status := "Complete"
	if next != "" {
		status = "PartialData"
	}
	if s.partial > 0 {
		s.partial, status, to, next = s.partial-1, s.status, from, ""
	}
	results := []any{}
	for _, q := range in.MetricDataQueries {
		times, values := []any{}, []any{}
		for _, d := range all[q.ID][min(from, len(all[q.ID])):min(to, len(all[q.ID]))] {
			times, values = append(times, d.at), append(values, d.value)
		}
		results = append(results, map[string]any{"Id": q.ID, "Label": q.MetricStat.Metric.MetricName, "StatusCode": status, "Timestamps": times, "Values": values})
	}
	return with(map[string]any{"MetricDataResults": results, "Messages": []any{}}, next), nil
}

func checkQueries(queries []query, from, to *float64) error {
	bad := func(format string, a ...any) error { return wire.Refuse("ValidationError", format, a...) }
	if from == nil || to == nil || len(queries) == 0 || len(queries) > 500 {
		return bad("The parameters StartTime, EndTime and 1 to 500 MetricDataQueries are required.")
	}
	if *from >= *to {
		return bad("The parameter StartTime must be less than the parameter EndTime.")
	}
	seen := map[string]bool{}
	for _, q := range queries {
		switch {
		case q.ID == "" || seen[q.ID] || q.ID[0] < 'a' || q.ID[0] > 'z':
			return bad("The value '%s' for parameter MetricDataQueries.member.1.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$ or is there twice.", q.ID)
		case q.MetricStat == nil || q.Expression != "":
			return bad("the sandbox knows MetricStat only")
		case q.MetricStat.Period < 60 || q.MetricStat.Period%60 != 0:
			return bad("The parameter MetricDataQueries.member.1.MetricStat.Period must be a multiple of 60.")
		case !slices.Contains([]string{"Sum", "Average", "Minimum", "Maximum", "SampleCount"}, q.MetricStat.Stat):
			return bad("the sandbox knows simple statistics only")
		}
		seen[q.ID] = true
	}
	return nil
}

type datum struct {
	at    time.Time
	value float64
}

// points are the periods that begin from from, included, to to, and have a value that can be seen by now.
func (s *Service) points(r *wire.Request, q query, from, to time.Time) (found []datum) {
	var dimensions []string
	for _, d := range q.MetricStat.Metric.Dimensions {
		dimensions = append(dimensions, d.Name+"="+d.Value)
	}
	which, period := series(q.MetricStat.Metric.Namespace, q.MetricStat.Metric.MetricName, dimensions), time.Duration(q.MetricStat.Period)*time.Second
	values := map[time.Time][]float64{}
	for _, p := range s.data[r.Place] {
		begin := p.at.UTC().Truncate(period)
		if p.series == which && !begin.Before(from) && begin.Before(to) && !r.At.Before(p.at.Add(s.lag)) {
			values[begin] = append(values[begin], p.value)
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(values), time.Time.Compare) {
		found = append(found, datum{at, statistic(q.MetricStat.Stat, values[at])})
	}
	return found
}

func statistic(name string, values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	switch name {
	case "Average":
		return sum / float64(len(values))
	case "Minimum":
		return slices.Min(values)
	case "Maximum":
		return slices.Max(values)
	case "SampleCount":
		return float64(len(values))
	}
	return sum
}
