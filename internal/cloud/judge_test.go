package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
)

const planted = "hunter2-planted-value"

// Every answer is given to a call that sends a value and to one that doesn't.
func TestJudgeSaysWhatWasRefusedAndNothingElse(t *testing.T) {
	arn := "arn:aws:secretsmanager:eu-central-1:111122223333:secret:app/key-AbCdEf"
	no := func(code, message string) trip {
		b, _ := json.Marshal(map[string]string{"__type": code, "Message": message})
		return status(400, string(b))
	}
	var all strings.Builder
	for _, tt := range []struct {
		name   string
		answer trip
	}{
		{"denied by policy", no(AccessDenied, "User: arn:aws:sts::111122223333:assumed-role/rekey/run is not authorized to perform: secretsmanager:TagResource on resource: "+arn+" because no identity-based policy allows the action")},
		{"denied explicitly", no(AccessDenied, "User: arn:aws:iam::111122223333:user/li is not authorized to perform: secretsmanager:TagResource on resource: "+arn+" with an explicit deny in an identity-based policy")},
		{"denied by KMS", no(AccessDenied, "Access to KMS is not allowed")},
		{"denied, said otherwise", no(AccessDenied, "nope")},
		{"not found", no(NotFound, "Secrets Manager can't find the specified secret.")},
		{"invalid parameter", no(InvalidParameter, "bad\r\n\x1b[31mthing ::error::x")},
		{"quotes what it refuses", no("ValidationException", "1 validation error detected: Value '"+planted+"' at 'secretString' failed to satisfy constraint")},
		{"long", no(InvalidRequest, strings.Repeat("very ", 100))},
		{"quota", no(LimitExceeded, "too many labels")},
		{"KMS key disabled", no(DecryptionFailure, "key is disabled")},
		{"throttled", no("ThrottlingException", "Rate exceeded")},
		{"expired", no("ExpiredTokenException", "The security token included in the request is expired")},
		{"no such code", no("SomethingNewException", planted)},
		{"server error", status(500, planted)},
		{"HTML of a proxy", status(502, "<html>"+planted+"</html>")},
		{"broken JSON", status(200, `{"VersionId": `+planted)},
		{"connection lost", broken(io.ErrUnexpectedEOF)},
	} {
		for _, op := range []string{"TagResource", "PutSecretValue"} {
			synctest.Test(t, func(t *testing.T) {
				s, _ := answers(t, Options{}, tt.answer)
				ctx := rotation.WithFence(t.Context(), &gate{left: 9})
				err := put(ctx, s)
				if op == "TagResource" {
					_, err = s.SecretsManager().UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: aws.String("a"), TagKeys: []string{"k"}})
				}
				err = Judge(err, "do it")
				if op == "PutSecretValue" && strings.Contains(fmt.Sprintf("%v %+v", err, err), planted) {
					t.Errorf("%s: the value shows", tt.name)
				}
				var f *rotation.Failure
				if errors.As(err, &f) {
					fmt.Fprintf(&all, "%s\n  refused: %s\n  hint: %s\n", tt.name, f.Msg, f.Hint)
				} else if err != nil {
					fmt.Fprintf(&all, "%s\n  unknown: %v\n", tt.name, err)
				}
			})
		}
	}
	goldentest.Equal(t, "judge.txt", all.String())
}

func TestJudgeKeepsWhatTheLoopMustTell(t *testing.T) {
	if Judge(nil, "x") != nil {
		t.Error("nil became an error")
	}
	for _, e := range []error{rotation.ErrNoLease, context.Canceled, context.DeadlineExceeded} {
		if !errors.Is(Judge(fmt.Errorf("call: %w", e), "x"), e) {
			t.Errorf("%v is lost", e)
		}
	}
}
