package cloud

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// Retry is the SDK's standard: three attempts. It differs in one thing: an exhausted quota is no throttling,
// and doesn't pass by itself. For reads, and for changing calls with an idempotency token or without a condition.
func Retry() aws.Retryer { return standard(nil) }

func standard(backoff retry.BackoffDelayer) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = backoff // nil is its own
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(quota)}, retry.DefaultRetryables...)
	})
}

// Once is for changing calls that mean something else the second time: those that compare and swap, and those
// that make a thing without a token. A call is sent again only where AWS said it didn't take it (throttling).
// After a lost answer the SDK's standard would repeat it, and report the second one's refusal, or a second thing,
// as what came of the first.
//
//	client.UpdateSecretVersionStage(ctx, in, func(o *secretsmanager.Options) { o.Retryer = cloud.Once() })
func Once() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Retryables = []retry.IsErrorRetryable{retry.IsErrorRetryableFunc(quota),
			retry.NoRetryCanceledError{}, retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes}}
	})
}

func quota(err error) aws.Ternary {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "LimitExceededException" {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}
