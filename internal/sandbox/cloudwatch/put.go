package cloudwatch

import (
	"math"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

type given struct {
	MetricName string
	Dimensions []struct{ Name, Value string }
	Timestamp  *float64
	Unit       string
	Value      *float64
}

// putMetricData takes values as the API reference of PutMetricData has it: 1 to 1000 data in a namespace of one's own, of
// the two weeks past or the two hours ahead. In what words a time too far ahead is refused isn't known; the code is.
func (s *Service) putMetricData(r *wire.Request) (any, error) {
	var in struct {
		Namespace  string
		MetricData []given
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("cloudwatch:PutMetricData", "*"); err != nil {
		return nil, err
	}
	bad := func(format string, a ...any) (any, error) {
		return nil, wire.Refuse("InvalidParameterValue", format, a...)
	}
	switch {
	case in.Namespace == "":
		return nil, wire.Refuse("MissingParameter", "The parameter Namespace is required.")
	case len(in.MetricData) == 0:
		return nil, wire.Refuse("MissingParameter", "The parameter MetricData is required.")
	case in.Namespace[0] == ':', len(in.Namespace) > 255, strings.HasPrefix(in.Namespace, "AWS/"):
		return bad("The value %s for parameter Namespace is invalid.", in.Namespace)
	case len(in.MetricData) > 1000:
		return bad("The collection MetricData must not have a size greater than 1000.")
	}
	var points []point
	for i, d := range in.MetricData {
		p, err := d.point(in.Namespace, i+1, r.At)
		if err != nil {
			return nil, err
		}
		points = append(points, p)
	}
	s.data[r.Place] = append(s.data[r.Place], points...)
	return map[string]any{}, nil
}

// point is the nth datum of a request at now.
func (d given) point(namespace string, n int, now time.Time) (point, error) {
	bad := func(format string, a ...any) (point, error) {
		return point{}, wire.Refuse("InvalidParameterValue", format, a...)
	}
	at := now
	if d.Timestamp != nil {
		at = seconds(*d.Timestamp)
	}
	switch {
	case d.MetricName == "":
		return point{}, wire.Refuse("MissingParameter", "The parameter MetricData.member.%d.MetricName is required.", n)
	case d.Value == nil:
		return point{}, wire.Refuse("MissingParameter", "At least one of the parameters MetricData.member.%d.Value, Values or StatisticValues must be specified.", n)
	case math.IsNaN(*d.Value), math.Abs(*d.Value) > math.Ldexp(1, 360):
		return bad("The value %v for parameter MetricData.member.%d.Value is invalid.", *d.Value, n)
	case !units[d.Unit]:
		return bad("The parameter MetricData.member.%d.Unit must be a value in the set [ ... ].", n)
	case len(d.Dimensions) > 30:
		return bad("The collection MetricData.member.%d.Dimensions must not have a size greater than 30.", n)
	case at.Before(now.Add(-14 * 24 * time.Hour)):
		return bad("The parameter MetricData.member.%d.Timestamp must specify a time within the past two weeks.", n)
	case at.After(now.Add(2 * time.Hour)):
		return bad("The parameter MetricData.member.%d.Timestamp must specify a time within the next two hours.", n)
	}
	var dimensions []string
	for _, x := range d.Dimensions {
		dimensions = append(dimensions, x.Name+"="+x.Value)
	}
	return point{series(namespace, d.MetricName, dimensions), at, *d.Value}, nil
}

// units are those that the sandbox takes.
var units = map[string]bool{"": true, "None": true, "Count": true, "Seconds": true, "Percent": true}

// Values are those of a metric by now, oldest first, for who looks by hand. dimensions are NAME=VALUE.
func (s *Service) Values(p wire.Place, namespace, metric string, dimensions ...string) (values []float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.data[p] {
		if d.series == series(namespace, metric, dimensions) {
			values = append(values, d.value)
		}
	}
	return values
}
