package cloudwatch_test

import (
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/check/cloudwatch"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
)

var update = flag.Bool("update", false, "write the golden texts anew")

var requests = regexp.MustCompile(`\(request [0-9a-f-]+\)`)

// golden tells every story's texts in one file.
func TestTexts(t *testing.T) {
	var all strings.Builder
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			l := newLab(t)
			s.play(l)
			all.WriteString("# " + s.name + "\n" + requests.ReplaceAllString(l.told.String(), "(request ID)") + "\n")
		})
	}
	const file = "testdata/texts.txt"
	if *update {
		if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), all.String()); diff != "" {
		t.Errorf("run go test ./internal/check/cloudwatch -update\n%s", diff)
	}
}

func minutes(n float64) time.Duration { return time.Duration(n * float64(time.Minute)) }

var stories = []struct {
	name string
	play func(*lab)
}{
	{"all is well", func(l *lab) {
		p := cloudwatch.Shape{Alarms: []string{"errors", "shop"}, Metrics: metric(2), Logs: []cloudwatch.Log{{Group: group}, {Group: group, Pattern: "FATAL"}}}
		l.alarm("errors", false, "OK")
		l.alarm("shop", true, "OK")
		l.errors(start.Add(-minutes(20)), 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1)
		l.log(start.Add(-minutes(3)), "order 1 paid")
		l.tell("before", baseline, p)
		l.done("promote", start, nil)
		l.done("deploy/shop", start.Add(minutes(2)), nil)
		l.clock.Move(minutes(2.5))
		l.tell("early", validate, p)
		l.errors(start, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99)
		l.log(start.Add(minutes(4)), "order 2 paid")
		l.clock.Move(minutes(14))
		l.tell("nearly", validate, p)
		l.clock.Move(minutes(0.5))
		l.tell("all data ought to be there", validate, p)
	}},
	{"an alarm was red before", func(l *lab) {
		p := cloudwatch.Shape{Alarms: []string{"errors"}}
		l.alarm("errors", false, "ALARM")
		l.tell("still", baseline, p)
		l.world.CloudWatch.SetState(home, "errors", "OK", start)
		l.clock.Move(minutes(1))
		l.tell("just out of it", baseline, p)
		l.clock.Move(minutes(30))
		l.tell("long out of it", baseline, p)
	}},
	{"an alarm that goes red and green between two looks", func(l *lab) {
		p := cloudwatch.Shape{Alarms: []string{"errors", "shop"}}
		l.alarm("errors", false, "OK")
		l.alarm("shop", true, "OK")
		l.done("promote", start, nil)
		l.clock.Move(minutes(5))
		l.tell("early", validate, p)
		l.world.CloudWatch.SetState(home, "shop", "ALARM", start.Add(minutes(6)))
		l.world.CloudWatch.SetState(home, "shop", "OK", start.Add(minutes(7)))
		l.world.CloudWatch.SetPage(1)
		l.clock.Move(minutes(5))
		l.tell("the history knows", validate, p)
		l.world.CloudWatch.Cut(home, "shop", false)
		l.tell("its data is cut off", validate, p)
		l.world.CloudWatch.Cut(home, "shop", true)
		l.clock.Move(minutes(5))
		l.tell("nothing can be read of it", validate, p)
	}},
	{"an alarm that is red since before promote, or now", func(l *lab) {
		l.alarm("errors", false, "ALARM")
		l.done("promote", start, nil)
		l.clock.Move(minutes(1))
		l.tell("now", validate, cloudwatch.Shape{Alarms: []string{"errors"}})
		l.world.CloudWatch.SetState(home, "errors", "OK", start.Add(minutes(1)))
		l.tell("no more", validate, cloudwatch.Shape{Alarms: []string{"errors"}})
	}},
	{"an alarm without data, and one that isn't there", func(l *lab) {
		l.alarm("errors", false, "INSUFFICIENT_DATA")
		l.tell("before", baseline, cloudwatch.Shape{Alarms: []string{"errors"}})
		l.done("promote", start, nil)
		l.clock.Move(minutes(3))
		l.tell("early", validate, cloudwatch.Shape{Alarms: []string{"errors"}})
		l.clock.Move(minutes(12))
		l.tell("late", validate, cloudwatch.Shape{Alarms: []string{"errors"}})
		l.tell("late, with missing: warn", validate, cloudwatch.Shape{Alarms: []string{"errors"}, Missing: "warn"})
		l.tell("no such", validate, cloudwatch.Shape{Alarms: []string{"erors"}, Missing: "warn"})
	}},
	{"a metric beyond its bound", func(l *lab) {
		least := 3.0
		low := metric(5)
		low[0].Least, low[0].Stat = &least, "Average"
		l.done("promote", start.Add(10*time.Second), nil)
		l.errors(start, 9, 4, 4, 9, 4, 1)
		l.clock.Move(minutes(6))
		l.tell("not looked at yet", validate, cloudwatch.Shape{Metrics: metric(5)})
		l.clock.Move(minutes(3))
		l.tell("as soon as it is seen", validate, cloudwatch.Shape{Metrics: metric(5)})
		l.clock.Move(minutes(6.5))
		l.tell("above and below", validate, cloudwatch.Shape{Metrics: low, Delay: rotation.Duration(time.Minute)})
		l.tell("before", baseline, cloudwatch.Shape{Metrics: metric(5)})
	}},
	{"a metric without values, or with some", func(l *lab) {
		p := cloudwatch.Shape{Metrics: metric(0)}
		l.tell("before", baseline, p)
		l.done("promote", start, nil)
		l.clock.Move(minutes(15))
		l.tell("none", validate, p)
		p.Missing = "warn"
		l.tell("none, with missing: warn", validate, p)
		l.alarm("errors", false, "OK")
		p.Alarms = []string{"errors"}
		l.tell("none, but an alarm that is OK", validate, p)
		p.Missing = ""
		l.errors(start.Add(minutes(3)), 0)
		l.tell("one", validate, p)
	}},
	{"values that come late", func(l *lab) {
		p := cloudwatch.Shape{Metrics: metric(0), Over: rotation.Duration(minutes(5)), Delay: rotation.Duration(minutes(10))}
		l.world.CloudWatch.SetLag(minutes(9))
		l.done("promote", start, nil)
		l.errors(start, 0, 0, 0, 0, 7)
		l.clock.Move(minutes(12))
		l.tell("not there yet", validate, p)
		l.clock.Move(minutes(3))
		l.tell("there", validate, p)
	}},
	{"a part of the values", func(l *lab) {
		p := cloudwatch.Shape{Metrics: metric(0)}
		l.done("promote", start, nil)
		l.errors(start, 0, 0, 0, 0)
		l.clock.Move(minutes(15))
		l.world.CloudWatch.SetStatus("PartialData", 1)
		l.tell("a part", validate, p)
		l.world.CloudWatch.SetStatus("InternalError", 1)
		l.tell("an error", validate, p)
		l.world.CloudWatch.SetPage(1)
		l.tell("pages", validate, p)
		l.world.CloudWatch.SetPage(0)
		l.clock.Move(minutes(5))
		l.world.CloudWatch.SetStatus("PartialData", 2)
		l.tell("still a part", validate, p)
		p.Missing = "warn"
		l.tell("still a part, with missing: warn", validate, p)
	}},
	{"log lines that match", func(l *lab) {
		own, named := cloudwatch.Shape{Logs: []cloudwatch.Log{{Group: group}}}, cloudwatch.Shape{Logs: []cloudwatch.Log{{Group: group, Pattern: "FATAL"}}}
		l.world.Logs.SetEmptyPages(true)
		l.done("promote", start, nil)
		l.log(start.Add(-minutes(1)), "FATAL AccessDeniedException on "+secret)
		l.log(start.Add(minutes(1)), "FATAL AccessDeniedException: not authorized to perform secretsmanager:GetSecretValue on resource: shop/database-replica")
		l.clock.Move(minutes(2))
		l.tell("others' trouble", validate, own)
		l.tell("what was asked for", validate, named)
		l.clock.Move(time.Second)
		l.log(start.Add(minutes(2)), "AccessDeniedException: not authorized to perform: secretsmanager:GetSecretValue on resource: "+secret+" because")
		l.tell("one", validate, own)
		l.log(start.Add(minutes(1.5)), `{"errorCode":"AccessDenied","requestParameters":{"secretId":"shop\/database"}}`)
		l.clock.Move(minutes(1))
		l.tell("two", validate, own)
		l.tell("before", baseline, own)
	}},
	{"a trail's log group", func(l *lab) {
		p := cloudwatch.Shape{Logs: []cloudwatch.Log{{Group: group, Trail: true}}}
		const read = `"requestParameters":{"secretId":"` + secret + `"}`
		l.done("promote", start, nil)
		l.event(start.Add(minutes(1)), "secretsmanager", "", read)
		l.clock.Move(minutes(10))
		l.event(start.Add(-minutes(1)), "secretsmanager", "AccessDenied", read) // from before, and told late
		l.tell("after ten minutes", validate, p)
		l.clock.Move(minutes(14))
		l.tell("after twenty-four", validate, p)
		l.clock.Move(minutes(1))
		l.tell("after twenty-five", validate, p)
		l.event(start.Add(minutes(9)), "kms", "KMSInvalidStateException", `"requestParameters":{"encryptionContext":{"SecretARN":"`+secret+`"}}`)
		l.clock.Move(time.Second)
		l.tell("a key that is pending deletion, told late", validate, p)
		l.event(start.Add(minutes(8)), "kms", "AccessDenied", `"errorMessage":"not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:111111111111:key/`+key+`"`)
		l.clock.Move(time.Second)
		l.records[1].Facts["kms_key"] = "arn:aws:kms:us-east-1:111111111111:key/" + key
		l.tell("and one of its key", validate, p)
		l.records[1].Facts["kms_key"] = "alias/shop"
	}},
	{"logs without lines", func(l *lab) {
		p := cloudwatch.Shape{Logs: []cloudwatch.Log{{Group: group}}}
		l.done("promote", start, nil)
		l.clock.Move(minutes(15))
		l.tell("nothing", validate, p)
		l.tell("nothing, with missing: warn", validate, cloudwatch.Shape{Logs: p.Logs, Missing: "warn"})
		l.tell("no such group", validate, cloudwatch.Shape{Logs: []cloudwatch.Log{{Group: "/shop/other"}}})
		l.records = l.records[:1]
		l.tell("nobody knows what it is called", baseline, p)
	}},
	{"after a restore", func(l *lab) {
		p := cloudwatch.Shape{Alarms: []string{"errors"}, Metrics: metric(0)}
		l.alarm("errors", false, "ALARM")
		l.tell("no record of it", restored, p)
		l.done("promote", start.Add(-minutes(20)), nil)
		l.done("restore", start, nil)
		l.done("back/shop", start.Add(minutes(1)), nil)
		l.errors(start, 3)
		l.clock.Move(minutes(8))
		l.tell("still red", restored, p)
		l.world.CloudWatch.SetState(home, "errors", "OK", start.Add(minutes(9)))
		l.clock.Move(minutes(8))
		l.tell("was red", restored, p)
		l.clock.Move(minutes(16))
		l.tell("without values", restored, p)
		l.errors(start.Add(minutes(20)), 0, 0, 0)
		l.tell("well again", restored, p)
	}},
	{"what may not be read", func(l *lab) {
		l.alarm("errors", false, "OK")
		l.done("promote", start, nil)
		l.clock.Move(minutes(15))
		for _, c := range []struct {
			action string
			p      cloudwatch.Shape
		}{
			{"cloudwatch:DescribeAlarms", cloudwatch.Shape{Alarms: []string{"errors"}}}, {"cloudwatch:DescribeAlarmHistory", cloudwatch.Shape{Alarms: []string{"errors"}}},
			{"cloudwatch:GetMetricData", cloudwatch.Shape{Metrics: metric(0)}}, {"logs:FilterLogEvents", cloudwatch.Shape{Logs: []cloudwatch.Log{{Group: group}}}},
		} {
			l.world.Deny("*", c.action, "*")
			l.tell(c.action, validate, c.p)
			l.world.Permit("*", c.action, "*")
		}
		l.world.Fail(func(c sandbox.Call) error { return sandbox.Throttled(c) })
		l.tell("too fast", validate, cloudwatch.Shape{Alarms: []string{"errors"}, Missing: "warn"})
		l.world.Fail(func(c sandbox.Call) error { return sandbox.Broken(c) })
		l.tell("broken", validate, cloudwatch.Shape{Logs: []cloudwatch.Log{{Group: group}}, Missing: "warn"})
		l.world.Fail(func(c sandbox.Call) error { return sandbox.ErrLost })
		if said := outcome(l.look(validate, cloudwatch.Shape{Metrics: metric(0), Missing: "warn"})); !strings.HasPrefix(said, "unknown: ") {
			l.t.Errorf("no answer: %s", said)
		}
		l.world.CloudWatch.SetState(home, "errors", "ALARM", start.Add(minutes(9)))
		l.world.Fail(func(c sandbox.Call) error {
			if c.Operation == "GetMetricData" {
				return sandbox.Throttled(c)
			}
			return nil
		})
		l.tell("too fast, but bad all the same", validate, cloudwatch.Shape{Alarms: []string{"errors"}, Metrics: metric(0)})
	}},
	{"a kind without promote, and a plan without a record of it", func(l *lab) {
		l.tell("not done", validate, cloudwatch.Shape{Metrics: metric(0)})
		l.records[0].Claim.Plan.Steps[0].Key = "other"
		l.tell("no step", baseline, cloudwatch.Shape{Metrics: metric(0), Missing: "warn"})
	}},
}

func TestItOnlyReadsAndKnowsItsClients(t *testing.T) {
	l := newLab(t)
	l.alarm("errors", false, "OK")
	l.done("promote", start, nil)
	l.clock.Move(minutes(15))
	before := len(l.world.Calls())
	if _, err := l.look(validate, cloudwatch.Shape{Alarms: []string{"errors"}, Metrics: metric(0), Logs: []cloudwatch.Log{{Group: group}}}); err == nil {
		t.Error("passes without data")
	}
	var got []string
	for _, c := range l.world.Calls()[before:] {
		got = append(got, c.Operation)
	}
	if want := "DescribeAlarms DescribeAlarmHistory GetMetricData FilterLogEvents FilterLogEvents"; strings.Join(got, " ") != want {
		t.Errorf("called %v, want %s", got, want)
	}
	h := cloudwatch.New(check.Deps{Now: l.clock.Now})
	if _, err := h["validate"](t.Context(), rotation.Step{With: json.RawMessage("{}")}, rotation.Past{}); err == nil {
		t.Error("passes without clients")
	}
}

// Whatever the parameters, the last look is before the deadline, and the last one for late parts as well.
func TestItDecidesBeforeItsDeadline(t *testing.T) {
	l := newLab(t)
	l.done("promote", start, nil)
	l.world.CloudWatch.SetStatus("PartialData", 1000)
	p := cloudwatch.Shape{Metrics: metric(0), Missing: "warn"}
	deadline := start.Add(time.Duration(p.Deadline()))
	for {
		res, err := l.look(validate, p)
		if err != nil {
			t.Fatal(err)
		}
		if res.Wait == "" {
			if !strings.HasPrefix(res.Text, "not proven: ") || res.Facts["proven"] != "no" {
				t.Errorf("%+v", res)
			}
			break
		}
		if l.clock.Move(res.Again); !l.clock.Now().Before(deadline) {
			t.Fatalf("no decision by %s", deadline)
		}
	}
}

func TestParametersAreReadStrictly(t *testing.T) {
	const m = "metrics: [{namespace: a, metric: b, stat: Sum, "
	for in, want := range map[string]string{
		"alarms: [a, b]\nover: 6h\ndelay: 1h\nmissing: warn": "",
		m + "most: 0}]": "",
		m + "most: 0.5, least: -1, period: 5m, dimensions: {FunctionName: shop}}]": "",
		"logs: [{group: /a/b}, {group: /a/b, pattern: \"{ $.x = 1 }\"}]":           "",
		"over: 5m":       "x.yml:1:1: it looks at nothing [missing-key]\n    hint: name at least one alarm, metric or log group\n",
		"alarms: [a, a]": "x.yml:1:13: \"a\" is there twice [alarm]\n    hint: remove one\n",
		"alarms: [\"arn:aws:cloudwatch:a:1:alarm:x\"]":               "x.yml:1:10: \"arn:aws:cloudwatch:a:1:alarm:x\" is an ARN, not a name [alarm]\n    hint: write what comes after \":alarm:\"\n",
		"alarms: [a]\nover: 7h":                                      "x.yml:2:7: over is longer than six hours [out-of-range]\n    hint: give it at most 6h\n",
		"alarms: [a]\nover: 10s":                                     "x.yml:2:7: over is shorter than a minute [out-of-range]\n    hint: leave it out for 10m\n",
		"alarms: [a]\ndelay: 2h":                                     "x.yml:2:8: delay is longer than an hour [out-of-range]\n    hint: give it at most 1h\n",
		"logs: [{group: a, trail: true}]\ndelay: 15m":                "",
		"logs: [{group: b}, {group: a, trail: true}]\ndelay: 5m":     "x.yml:2:8: a trail's events come later than 5m: logs[1] would be looked at before they are there [out-of-range]\n    hint: leave it out for 15m\n",
		"alarms: [a]\nmissing: pass":                                 "x.yml:2:10: missing can't be \"pass\" [value]\n    hint: it can be: fail, warn\n",
		m + "period: 1m}]":                                           "x.yml:1:11: a metric without a bound is never wrong [missing-key]\n    hint: give it most, least, or both\n",
		m + "most: 1, least: 2}]":                                    "x.yml:1:64: least is more than most: no value is good [out-of-range]\n",
		m + "most: 1, period: 7m}]":                                  "x.yml:1:65: a period is whole minutes that divide an hour [out-of-range]\n    hint: take 1m, 5m, 10m, 15m, 30m or 1h\n",
		m + "most: 1, period: 15m}]":                                 "x.yml:1:65: 10m may hold no whole period of 15m: over must be two periods long [out-of-range]\n    hint: make over longer or the period shorter\n",
		"metrics: [{namespace: a, metric: b, stat: Total, most: 1}]": "x.yml:1:43: \"Total\" is no statistic [statistic]\n    hint: write it like Sum, Average, Maximum or p99\n",
		"logs: [{group: \"a b\"}]":                                   "x.yml:1:16: \"a b\" is no log group's name [log-group]\n    hint: write the log group's name, such as /shop/app\n",
		"logs: [{group: a, pattern: \" \"}]":                         "x.yml:1:28: an empty pattern would match every line [pattern]\n    hint: leave it out for what the secret's own trouble looks like\n",
	} {
		var l problem.List
		problem.Decode(problem.Source{File: "x.yml", What: "the check", Text: []byte(in)}, cloudwatch.Check().Shape(), &l)
		if got := l.String(); got != want {
			t.Errorf("%s:\n got %q\nwant %q", in, got, want)
		}
	}
	if d := (&cloudwatch.Shape{}).Deadline(); d != rotation.Duration(25*time.Minute) {
		t.Errorf("default deadline %s", d)
	}
}
