package kms

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// actions are what a rotation and its undoing change.
var actions = []string{"kms:CreateKey", "kms:TagResource", "kms:UpdateAlias", "kms:DisableKey", "kms:EnableKey", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"}

// mayWrite asks IAM whether we may change keys, and says in words what came of it. IAM's simulation isn't everywhere,
// and doesn't know a key's own policy, which can allow alone: only what is denied explicitly refuses, and CreateKey,
// which no key's policy can allow.
func (h *handler) mayWrite(ctx context.Context, alias, arn string) (string, error) {
	if h.iam == nil {
		return "write permissions not checked", nil
	}
	who, err := h.identity(ctx)
	if err != nil {
		return "write permissions not checked: AWS doesn't say who we are", ctx.Err()
	}
	principal := h.principal(ctx, who)
	if principal == "" {
		return "write permissions not checked: " + who + " is neither role nor user", nil
	}
	place := arn[:strings.LastIndex(arn, ":")+1]
	out, err := h.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &principal,
		ActionNames: actions, ResourceArns: []string{arn, place + alias}}, unrepeated)
	if err != nil {
		code := cloud.Code(err)
		if code == "" {
			code = "no answer"
		}
		return fmt.Sprintf("write permissions not checked (SimulatePrincipalPolicy: %s)", cloud.Line(code)), ctx.Err()
	}
	return verdict(principal, out.EvaluationResults)
}

func verdict(principal string, results []types.EvaluationResult) (string, error) {
	var no, unsure []string
	seen := map[string]bool{}
	for _, r := range results {
		action := aws.ToString(r.EvalActionName)
		if r.EvalDecision == types.PolicyEvaluationDecisionTypeAllowed || seen[action] {
			continue
		}
		seen[action] = true
		if len(r.MissingContextValues) == 0 && (r.EvalDecision == types.PolicyEvaluationDecisionTypeExplicitDeny || action == "kms:CreateKey") {
			no = append(no, action)
		} else {
			unsure = append(unsure, action)
		}
	}
	switch {
	case len(no) > 0:
		return "", rotation.Failf("allow "+strings.Join(no, ", ")+" to it", "%s may not %s", principal, strings.Join(no, ", "))
	case len(unsure) > 0:
		return "write permissions not certain: they depend on tags or on the key's own policy (" + strings.Join(unsure, ", ") + ")", nil
	case len(results) == 0:
		return "write permissions not checked (SimulatePrincipalPolicy said nothing)", nil
	}
	return "write permissions checked", nil
}

// principal is the role or user behind an identity; "" when there is none. An assumed role's ARN lacks the role's
// path, so IAM is asked for it.
func (h *handler) principal(ctx context.Context, who string) string {
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
		if out, err := h.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &role}, unrepeated); err == nil {
			return aws.ToString(out.Role.Arn)
		}
		return fmt.Sprintf("arn:%s:iam::%s:role/%s", parts[1], parts[4], role)
	}
	return ""
}

func unrepeated(o *iam.Options) { o.Retryer = cloud.Once() }
