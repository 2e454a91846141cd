package sandbox_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/rastup/rekey/internal/sandbox"
)

func watch(b *bench) *cloudwatch.Client {
	return cloudwatch.NewFromConfig(config(b.url, sandbox.AccessKeyID, sandbox.SecretAccessKey, ""))
}

func TestAlarmsAreShownByTypeWithTheirHistory(t *testing.T) {
	b := newBench(t)
	c, w := watch(b), b.world.CloudWatch
	w.MakeAlarm(sandbox.Home, "errors", false, start)
	w.MakeAlarm(sandbox.Home, "all", true, start)
	w.SetState(sandbox.Home, "errors", "OK", start.Add(time.Minute))
	w.SetState(sandbox.Home, "errors", "ALARM", start.Add(2*time.Minute))
	out := must[*cloudwatch.DescribeAlarmsOutput](t)(c.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"errors", "all", "none"}}))
	if len(out.MetricAlarms) != 1 || len(out.CompositeAlarms) != 0 || out.MetricAlarms[0].StateValue != "ALARM" || !out.MetricAlarms[0].StateUpdatedTimestamp.Equal(start.Add(2*time.Minute)) {
		t.Errorf("%+v", out)
	}
	w.SetPage(1)
	both := []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}
	first := must[*cloudwatch.DescribeAlarmsOutput](t)(c.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmTypes: both}))
	second := must[*cloudwatch.DescribeAlarmsOutput](t)(c.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmTypes: both, NextToken: first.NextToken}))
	if len(first.CompositeAlarms) != 1 || first.CompositeAlarms[0].StateValue != "INSUFFICIENT_DATA" || len(second.MetricAlarms) != 1 || second.NextToken != nil {
		t.Errorf("%+v\n%+v", first, second)
	}
	w.SetPage(0)
	past := must[*cloudwatch.DescribeAlarmHistoryOutput](t)(c.DescribeAlarmHistory(ctx, &cloudwatch.DescribeAlarmHistoryInput{
		AlarmName: aws.String("errors"), StartDate: aws.Time(start.Add(90 * time.Second)), HistoryItemType: types.HistoryItemTypeStateUpdate}))
	if l := past.AlarmHistoryItems; len(l) != 1 || *l[0].HistorySummary != "Alarm updated from OK to ALARM" || !l[0].Timestamp.Equal(start.Add(2*time.Minute)) {
		t.Errorf("%+v", past.AlarmHistoryItems)
	}
	_, err := c.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{NextToken: aws.String("x")})
	refused(t, err, 400, "InvalidNextToken", "Invalid NextToken")
	b.world.Deny("*", "cloudwatch:DescribeAlarms", "*")
	_, err = c.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{})
	refused(t, err, 403, "AccessDenied", "User: arn:aws:iam::111111111111:user/operator is not authorized to perform: cloudwatch:DescribeAlarms on resource: arn:aws:cloudwatch:us-east-1:111111111111:alarm:* with an explicit deny in an identity-based policy")
}

func TestMetricDataThatIsPutIsThere(t *testing.T) {
	b := newBench(t)
	c := watch(b)
	put := func(namespace string, data ...types.MetricDatum) error {
		_, err := c.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: &namespace, MetricData: data})
		return err
	}
	datum := func(name string, value float64, at time.Time) types.MetricDatum {
		return types.MetricDatum{MetricName: &name, Value: &value, Unit: types.StandardUnitCount, Timestamp: &at}
	}
	if err := put("Rekey", datum("Scans", 1, start), datum("Overdue", 3, start.Add(-13*24*time.Hour))); err != nil {
		t.Fatal(err)
	}
	if v := b.world.CloudWatch.Values(sandbox.Home, "Rekey", "Overdue"); len(v) != 1 || v[0] != 3 {
		t.Errorf("%v", v)
	}
	for name, c := range map[string]struct {
		err     error
		code    string
		message string
	}{
		"AWS's namespace": {put("AWS/Rekey", datum("Scans", 1, start)), "InvalidParameterValue", "The value AWS/Rekey for parameter Namespace is invalid."},
		"no data":         {put("Rekey"), "MissingParameter", ""},
		"no name":         {put("Rekey", datum("", 1, start)), "MissingParameter", ""},
		"no value":        {put("Rekey", types.MetricDatum{MetricName: aws.String("Scans")}), "MissingParameter", ""},
		"too old":         {put("Rekey", datum("Scans", 1, start.Add(-15*24*time.Hour))), "InvalidParameterValue", "The parameter MetricData.member.1.Timestamp must specify a time within the past two weeks."},
		"too far ahead":   {put("Rekey", datum("Scans", 1, start), datum("Scans", 1, start.Add(3*time.Hour))), "InvalidParameterValue", ""},
	} {
		t.Run(name, func(t *testing.T) { refused(t, c.err, 400, c.code, c.message) })
	}
	if v := b.world.CloudWatch.Values(sandbox.Home, "Rekey", "Scans"); len(v) != 1 {
		t.Errorf("what was refused is there: %v", v)
	}
	b.world.Deny("*", "cloudwatch:PutMetricData", "*")
	refused(t, put("Rekey", datum("Scans", 1, start)), 403, "AccessDenied", "")
}

func TestMetricDataIsLateAndComesInParts(t *testing.T) {
	b := newBench(t)
	c, w := watch(b), b.world.CloudWatch
	for i := range 3 {
		w.Put(sandbox.Home, "shop", "errors", start.Add(time.Duration(i)*time.Minute), float64(i), "stage=dev")
	}
	w.Put(sandbox.Home, "shop", "errors", start.Add(10*time.Second), 4, "stage=dev")
	w.Put(sandbox.Home, "shop", "errors", start, 99)
	ask := func(stat string, token *string) (*cloudwatch.GetMetricDataOutput, error) {
		return c.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{StartTime: aws.Time(start), EndTime: aws.Time(start.Add(2 * time.Minute)), NextToken: token, ScanBy: types.ScanByTimestampAscending,
			MetricDataQueries: []types.MetricDataQuery{{Id: aws.String("m0"), MetricStat: &types.MetricStat{Period: aws.Int32(60), Stat: &stat, Metric: &types.Metric{
				Namespace: aws.String("shop"), MetricName: aws.String("errors"), Dimensions: []types.Dimension{{Name: aws.String("stage"), Value: aws.String("dev")}}}}}}})
	}
	w.SetLag(time.Minute)
	if out := must[*cloudwatch.GetMetricDataOutput](t)(ask("Sum", nil)); len(out.MetricDataResults) != 1 || len(out.MetricDataResults[0].Values) != 0 {
		t.Errorf("shown early: %+v", out.MetricDataResults)
	}
	b.clock.Move(5 * time.Minute)
	out := must[*cloudwatch.GetMetricDataOutput](t)(ask("Sum", nil))
	if r := out.MetricDataResults[0]; len(r.Values) != 2 || r.Values[0] != 4 || r.Values[1] != 1 || !r.Timestamps[0].Equal(start) || r.StatusCode != "Complete" {
		t.Errorf("%+v", r)
	}
	w.SetPage(1)
	out = must[*cloudwatch.GetMetricDataOutput](t)(ask("Average", nil))
	if r := out.MetricDataResults[0]; len(r.Values) != 1 || r.Values[0] != 2 || r.StatusCode != "PartialData" || out.NextToken == nil {
		t.Errorf("%+v", r)
	}
	out = must[*cloudwatch.GetMetricDataOutput](t)(ask("Average", out.NextToken))
	if r := out.MetricDataResults[0]; len(r.Values) != 1 || r.StatusCode != "Complete" || out.NextToken != nil {
		t.Errorf("%+v", r)
	}
	w.SetStatus("InternalError", 1)
	if out := must[*cloudwatch.GetMetricDataOutput](t)(ask("Sum", nil)); out.MetricDataResults[0].StatusCode != "InternalError" || len(out.MetricDataResults[0].Values) != 0 {
		t.Errorf("%+v", out.MetricDataResults[0])
	}
	_, err := ask("p99", nil)
	refused(t, err, 400, "ValidationError", "")
}
