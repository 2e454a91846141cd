package app

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/overdue"
)

// Beat puts a value of each metric of the heartbeat, where one is configured: that a look was there, and what it saw. An
// alarm on Scans notices when there are no more of them. Said twice it counts one more look, which no alarm minds.
func (a *App) Beat(ctx context.Context, s overdue.Scan) error {
	h := a.Inputs.Config.Overdue.Heartbeat
	if h == nil {
		return nil
	}
	o := a.Cloud
	// No rotation depends on it, so it needs no lease; and this session can change nothing else.
	o.Region, o.Role, o.UnfencedCall, o.SessionName = h.Region, h.Role, "CloudWatch PutMetricData", "rekey-heartbeat"
	session, err := a.open(ctx, "\x00heartbeat", o)
	if err != nil {
		return err
	}
	data := []types.MetricDatum{count("Scans", 1, s.At), count("Overdue", s.Count(overdue.Overdue), s.At), count("Stuck", s.Count(overdue.Stuck), s.At)}
	_, err = session.CloudWatch().PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: &h.Namespace, MetricData: data})
	return cloud.Judge(err, "put the heartbeat in "+h.Namespace)
}

func count(metric string, n int, at time.Time) types.MetricDatum {
	return types.MetricDatum{MetricName: &metric, Value: aws.Float64(float64(n)), Unit: types.StandardUnitCount, Timestamp: &at}
}
