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

// mayWrite asks IAM whether we may change the secret, and says in words what came of it.
func (l *Labels) mayWrite(ctx context.Context, arn string) (string, error) {
	return l.may(ctx, asked{"write permissions", "they depend on tags or on the secret's own policy", arn, actions, func() bool { return l.ownPolicy(ctx, arn) }})
}

// May asks the same about one action on something that has no policy of its own. A definite no is a *rotation.Failure.
func (l *Labels) May(ctx context.Context, action, arn string) (string, error) {
	return l.may(ctx, asked{action, "it depends on tags", arn, []string{action}, func() bool { return false }})
}

// asked is what IAM is asked, and how the answer is put.
type asked struct {
	what, why string // why: where the answer isn't certain
	arn       string
	actions   []string
	ownPolicy func() bool // may allow what the principal's don't
}

// may goes by IAM's simulation, which isn't everywhere, and isn't the last word: it doesn't know a resource's own policy
// when a role asks, nor the tags a policy's condition may depend on (IAM API reference, SimulatePrincipalPolicy). Only
// what it is sure of refuses.
func (l *Labels) may(ctx context.Context, a asked) (string, error) {
	if l.IAM == nil {
		return a.what + " not checked", nil
	}
	who, err := l.Identity(ctx)
	if err != nil {
		return a.what + " not checked: AWS doesn't say who we are", ctx.Err()
	}
	principal := l.principal(ctx, who)
	if principal == "" {
		return a.what + " not checked: " + who + " is neither role nor user", nil
	}
	out, err := l.IAM.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &principal,
		ActionNames: a.actions, ResourceArns: []string{a.arn}}, once)
	if err != nil {
		code := cloud.Code(err)
		if code == "" {
			code = "no answer"
		}
		return fmt.Sprintf("%s not checked (SimulatePrincipalPolicy: %s)", a.what, cloud.Line(code)), ctx.Err()
	}
	return a.verdict(principal, out.EvaluationResults)
}

func (a asked) verdict(principal string, results []types.EvaluationResult) (string, error) {
	var no, unsure []string
	for _, r := range results {
		action := aws.ToString(r.EvalActionName)
		switch {
		case r.EvalDecision == types.PolicyEvaluationDecisionTypeAllowed:
		case len(r.MissingContextValues) > 0:
			unsure = append(unsure, action)
		case r.EvalDecision == types.PolicyEvaluationDecisionTypeExplicitDeny, !a.ownPolicy():
			no = append(no, action)
		default:
			unsure = append(unsure, action)
		}
	}
	switch {
	case len(no) > 0:
		return "", rotation.Failf(fmt.Sprintf("allow %s on %s", strings.Join(no, ", "), a.arn), "%s may not %s", principal, strings.Join(no, ", "))
	case len(unsure) > 0:
		return a.what + " not certain: " + a.why + " (" + strings.Join(unsure, ", ") + ")", nil
	case len(results) == 0:
		return a.what + " not checked (SimulatePrincipalPolicy said nothing)", nil
	}
	return a.what + " checked", nil
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
