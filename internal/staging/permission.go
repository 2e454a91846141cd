package staging

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// actions are what a rotation and its undoing change.
var actions = []string{"secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage",
	"secretsmanager:TagResource", "secretsmanager:UntagResource"}

// mayWrite asks IAM whether we may change the secret, and says in words what came of it. IAM's simulation isn't
// everywhere, and isn't the last word: it doesn't know the secret's own policy when a role asks, nor the tags a
// policy's condition may depend on (IAM API reference, SimulatePrincipalPolicy). Only what it is sure of refuses.
func (l *Labels) mayWrite(ctx context.Context, arn string) (string, error) {
	if l.IAM == nil {
		return "write permissions not checked", nil
	}
	who, err := l.Identity(ctx)
	if err != nil {
		return "write permissions not checked: AWS doesn't say who we are", ctx.Err()
	}
	principal := l.principal(ctx, who)
	if principal == "" {
		return "write permissions not checked: " + who + " is neither role nor user", nil
	}
	out, err := l.IAM.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &principal,
		ActionNames: actions, ResourceArns: []string{arn}}, once)
	if err != nil {
		code := cloud.Code(err)
		if code == "" {
			code = "no answer"
		}
		return fmt.Sprintf("write permissions not checked (SimulatePrincipalPolicy: %s)", cloud.Line(code)), ctx.Err()
	}
	return l.verdict(ctx, arn, principal, out.EvaluationResults)
}

func (l *Labels) verdict(ctx context.Context, arn, principal string, results []types.EvaluationResult) (string, error) {
	var no, unsure []string
	for _, r := range results {
		action := aws.ToString(r.EvalActionName)
		switch {
		case r.EvalDecision == types.PolicyEvaluationDecisionTypeAllowed:
		case len(r.MissingContextValues) > 0:
			unsure = append(unsure, action)
		case r.EvalDecision == types.PolicyEvaluationDecisionTypeExplicitDeny, !l.ownPolicy(ctx, arn):
			no = append(no, action)
		default:
			unsure = append(unsure, action)
		}
	}
	switch {
	case len(no) > 0:
		return "", rotation.Failf(fmt.Sprintf("allow %s on %s", strings.Join(no, ", "), arn), "%s may not %s", principal, strings.Join(no, ", "))
	case len(unsure) > 0:
		return "write permissions not certain: they depend on tags or on the secret's own policy (" + strings.Join(unsure, ", ") + ")", nil
	case len(results) == 0:
		return "write permissions not checked (SimulatePrincipalPolicy said nothing)", nil
	}
	return "write permissions checked", nil
}

// ownPolicy says whether the secret has, or may have, a policy of its own that could allow what the role's don't.
func (l *Labels) ownPolicy(ctx context.Context, arn string) bool {
	out, err := l.Client.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: &arn})
	return err != nil || aws.ToString(out.ResourcePolicy) != ""
}

// principal is the role or user behind an identity; "" when there is none. An assumed role's ARN lacks the
// role's path, so IAM is asked for it.
func (l *Labels) principal(ctx context.Context, who string) string {
	parts := strings.SplitN(who, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	kind, rest, _ := strings.Cut(parts[5], "/")
	switch kind {
	case "user", "role":
		return who
	case "assumed-role":
		role, _, _ := strings.Cut(rest, "/")
		if out, err := l.IAM.GetRole(ctx, &iam.GetRoleInput{RoleName: &role}, once); err == nil {
			return aws.ToString(out.Role.Arn)
		}
		return fmt.Sprintf("arn:%s:iam::%s:role/%s", parts[1], parts[4], role)
	}
	return ""
}

func once(o *iam.Options) { o.Retryer = cloud.Once() }
