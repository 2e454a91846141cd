// Package cloudwatch is the check that looks at what CloudWatch knows of the time since the new credential is live:
// alarms, metrics, and log lines that tell of trouble. It only reads. Data that isn't there proves nothing, so that it
// must never take a gap for good news; and since a log line may hold a secret, it must never quote one.
//
// What it can't see: an alarm that treats missing data as good is OK without any; one that was deleted and made anew
// has no history; what is logged or measured after over and delay have passed.
package cloudwatch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// Defaults and bounds of a Shape.
const (
	DefaultOver   = rotation.Duration(10 * time.Minute)
	MostOver      = rotation.Duration(6 * time.Hour)
	DefaultDelay  = rotation.Duration(5 * time.Minute)
	MostDelay     = rotation.Duration(time.Hour)
	TrailDelay    = rotation.Duration(15 * time.Minute) // the default and the least where a trail's log group is looked at
	DefaultPeriod = rotation.Duration(time.Minute)

	patience = 5 * time.Minute  // for data that is only partly there when all of it should be
	margin   = 10 * time.Minute // between the last look and the deadline: more than patience
	every    = time.Minute      // between two looks
	most     = 100              // entries of each list
)

// Check is this check's line in the table.
func Check() check.Check {
	return check.Check{Name: "cloudwatch", Shape: func() check.Shape { return new(Shape) }, New: New}
}

// A Shape says what CloudWatch must show since the new credential is live. Before the rotation the same must hold.
type Shape struct {
	// Alarms that must be OK, and not have been in ALARM; metric and composite ones, by name.
	Alarms []string `json:"alarms,omitempty" yaml:"alarms" jsonschema:"maxItems=100"`
	// Metrics whose values must keep within bounds.
	Metrics []Metric `json:"metrics,omitempty" yaml:"metrics" jsonschema:"maxItems=100"`
	// Logs that must hold no line of a pattern.
	Logs []Log `json:"logs,omitempty" yaml:"logs" jsonschema:"maxItems=100"`
	// Over is how long after the new credential is live, and its consumers are deployed, is looked at; at most 6h. Default: 10m.
	Over rotation.Duration `json:"over,omitempty" yaml:"over"`
	// Delay is how late data may come, at most 1h: so long is waited after over. Default: 5m; with a trail's log group 15m,
	// which is also the least then.
	Delay rotation.Duration `json:"delay,omitempty" yaml:"delay"`
	// Missing is what data that isn't there means: fail, or warn, which goes on and says "not proven". Default: fail.
	Missing string `json:"missing,omitempty" yaml:"missing" jsonschema:"enum=fail,enum=warn"`
}

// A Metric is one series of values and its bounds: most, least, or both.
type Metric struct {
	// Namespace, such as AWS/Lambda.
	Namespace string `json:"namespace" yaml:"namespace" rekey:"required" jsonschema:"required"`
	// Metric is its name, such as Errors.
	Metric string `json:"metric" yaml:"metric" rekey:"required" jsonschema:"required"`
	// Dimensions, all of them: CloudWatch takes each set of dimensions for a metric of its own.
	Dimensions map[string]string `json:"dimensions,omitempty" yaml:"dimensions"`
	// Stat is the statistic of each period, such as Sum, Average, Maximum or p99.
	Stat string `json:"stat" yaml:"stat" rekey:"required" jsonschema:"required"`
	// Most is the highest value that is good.
	Most *float64 `json:"most,omitempty" yaml:"most"`
	// Least is the lowest value that is good.
	Least *float64 `json:"least,omitempty" yaml:"least"`
	// Period of each value: 1m, 5m, 10m, 15m, 30m or 1h. Default: 1m.
	Period rotation.Duration `json:"period,omitempty" yaml:"period"`
}

// A Log is a log group and what none of its lines may match.
type Log struct {
	// Group is the log group's name.
	Group string `json:"group" yaml:"group" rekey:"required" jsonschema:"required"`
	// Pattern in CloudWatch Logs' filter syntax. Left out, it is refused accesses and failed decryptions that name the secret or its key.
	Pattern string `json:"pattern,omitempty" yaml:"pattern"`
	// Trail says that a trail of CloudTrail's writes there: its events come late, and are waited for.
	Trail bool `json:"trail,omitempty" yaml:"trail"`
}

// Deadline leaves time to look again at what wasn't all there when it should have been.
func (s *Shape) Deadline() rotation.Duration { return s.over() + s.delay() + rotation.Duration(margin) }

func (s *Shape) over() rotation.Duration { return or(s.Over, DefaultOver) }
func (m *Metric) period() time.Duration  { return time.Duration(or(m.Period, DefaultPeriod)) }

// delay is Delay or its default. CloudTrail hands events to CloudWatch Logs within about 5 minutes on average and promises
// nothing (CloudTrail user guide, sending events to CloudWatch Logs): three times that is waited.
func (s *Shape) delay() rotation.Duration {
	if s.trail() >= 0 {
		return or(s.Delay, TrailDelay)
	}
	return or(s.Delay, DefaultDelay)
}

// trail is the first log group that a trail writes to; -1 when there is none.
func (s *Shape) trail() int { return slices.IndexFunc(s.Logs, func(l Log) bool { return l.Trail }) }

func or(d, otherwise rotation.Duration) rotation.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

var (
	statistic = regexp.MustCompile(`^(Sum|Average|Minimum|Maximum|SampleCount|IQM|(p|tm|tc|ts|wm)\d{1,2}(\.\d+)?)$`)
	groupName = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)
)

// Check reports what can't be right whatever CloudWatch knows.
func (s *Shape) Check(r *problem.Report) {
	if len(s.Alarms)+len(s.Metrics)+len(s.Logs) == 0 && !r.Has("alarms") && !r.Has("metrics") && !r.Has("logs") {
		r.Add("", "missing-key", "name at least one alarm, metric or log group", "it looks at nothing")
	}
	for name, n := range map[string]int{"alarms": len(s.Alarms), "metrics": len(s.Metrics), "logs": len(s.Logs)} {
		if n > most {
			r.Add(name, "out-of-range", "make it two checks", "%s has %d entries, more than %d", name, n, most)
		}
	}
	seen := map[string]bool{}
	for i, name := range s.Alarms {
		field := fmt.Sprintf("alarms[%d]", i)
		switch {
		case name == "" || len(name) > 255:
			r.Add(field, "alarm", "write the alarm's name as CloudWatch shows it", "an alarm's name has 1 to 255 characters")
		case strings.HasPrefix(name, "arn:"):
			r.Add(field, "alarm", "write what comes after \":alarm:\"", "%s is an ARN, not a name", problem.Quote(name))
		case seen[name]:
			r.Add(field, "alarm", "remove one", "%s is there twice", problem.Quote(name))
		}
		seen[name] = true
	}
	for i := range s.Metrics {
		s.checkMetric(r, fmt.Sprintf("metrics[%d]", i), &s.Metrics[i])
	}
	for i, l := range s.Logs {
		if field := fmt.Sprintf("logs[%d]", i); l.Group != "" && !groupName.MatchString(l.Group) {
			r.Add(field+".group", "log-group", "write the log group's name, such as /shop/app", "%s is no log group's name", problem.Quote(l.Group))
		} else if len(l.Pattern) > 1024 {
			r.Add(field+".pattern", "out-of-range", "", "a pattern has at most 1024 characters")
		} else if l.Pattern != "" && strings.TrimSpace(l.Pattern) == "" {
			r.Add(field+".pattern", "pattern", "leave it out for what the secret's own trouble looks like", "an empty pattern would match every line")
		}
	}
	if s.Over > MostOver {
		r.Add("over", "out-of-range", "give it at most 6h", "over is longer than six hours")
	}
	if s.Over != 0 && s.Over < rotation.Duration(time.Minute) {
		r.Add("over", "out-of-range", "leave it out for 10m", "over is shorter than a minute")
	}
	switch {
	case s.Delay > MostDelay:
		r.Add("delay", "out-of-range", "give it at most 1h", "delay is longer than an hour")
	case s.Delay != 0 && s.Delay < TrailDelay && s.trail() >= 0:
		r.Add("delay", "out-of-range", "leave it out for 15m", "a trail's events come later than %s: logs[%d] would be looked at before they are there", span(time.Duration(s.Delay)), s.trail())
	}
}

func (s *Shape) checkMetric(r *problem.Report, field string, m *Metric) {
	if m.Stat != "" && !statistic.MatchString(m.Stat) {
		r.Add(field+".stat", "statistic", "write it like Sum, Average, Maximum or p99", "%s is no statistic", problem.Quote(m.Stat))
	}
	if len(m.Dimensions) > 30 {
		r.Add(field+".dimensions", "out-of-range", "", "a metric has at most 30 dimensions")
	}
	if m.Most == nil && m.Least == nil {
		r.Add(field, "missing-key", "give it most, least, or both", "a metric without a bound is never wrong")
	} else if m.Most != nil && m.Least != nil && *m.Least > *m.Most {
		r.Add(field+".least", "out-of-range", "", "least is more than most: no value is good")
	}
	p := m.period()
	switch {
	case p < time.Minute || p%time.Minute != 0 || time.Hour%p != 0:
		r.Add(field+".period", "out-of-range", "take 1m, 5m, 10m, 15m, 30m or 1h", "a period is whole minutes that divide an hour")
	case time.Duration(s.over()) < 2*p:
		r.Add(field+".period", "out-of-range", "make over longer or the period shorter",
			"%s may hold no whole period of %s: over must be two periods long", span(time.Duration(s.over())), span(p))
	}
}

// span is a duration as people write it: 5m, 1h30m.
func span(d time.Duration) string {
	text := d.Round(time.Second).String()
	text = strings.TrimSuffix(text, "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	if text == "" || !strings.ContainsAny(text[len(text)-1:], "hms") {
		return d.Round(time.Second).String()
	}
	return text
}
