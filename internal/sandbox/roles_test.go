package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	roles "github.com/rastup/rekey/internal/sandbox/sts"
)

func TestAssumeRole(t *testing.T) {
	b := newBench(t)
	assume := func(more func(*sts.AssumeRoleInput)) (*sts.AssumeRoleOutput, error) {
		in := &sts.AssumeRoleInput{RoleArn: aws.String(b.scenario.Roles["dev"]), RoleSessionName: aws.String("run-1")}
		if more != nil {
			more(in)
		}
		return b.sts.AssumeRole(ctx, in)
	}
	const second = "arn:aws:iam::111111111111:role/second"
	b.world.STS.AddRole(roles.Role{ARN: second, Trust: []string{b.scenario.Roles["dev"]}, MaxSession: 12 * time.Hour})
	for what, c := range map[string]struct {
		more   func(*sts.AssumeRoleInput)
		status int
		code   string
		text   string
	}{
		"unknown role":    {func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::111111111111:role/none") }, 403, "AccessDenied", "User: arn:aws:iam::111111111111:user/operator is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111111111111:role/none"},
		"not trusted":     {func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String(second) }, 403, "AccessDenied", ""},
		"bad name":        {func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("a b") }, 400, "ValidationError", ""},
		"too short":       {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(60) }, 400, "ValidationError", ""},
		"over the role's": {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(7200) }, 400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		"session policy":  {func(in *sts.AssumeRoleInput) { in.Policy = aws.String("{}") }, 400, "MalformedPolicyDocument", ""},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := assume(c.more)
			refused(t, err, c.status, c.code, c.text)
		})
	}
	out := must[*sts.AssumeRoleOutput](t)(assume(func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("ada") }))
	if !out.Credentials.Expiration.Equal(start.Add(time.Hour)) {
		t.Errorf("the session ends at %v", out.Credentials.Expiration)
	}
	b.use(config(b.url, *out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken))
	me := must[*sts.GetCallerIdentityOutput](t)(b.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	if *me.Arn != "arn:aws:sts::111111111111:assumed-role/rekey-dev/run-1" || *me.Account != "111111111111" || !strings.HasSuffix(*me.UserId, ":run-1") {
		t.Errorf("the session is %s, %s", *me.Arn, *me.UserId)
	}
	_, err := assume(func(in *sts.AssumeRoleInput) { in.RoleArn, in.DurationSeconds = aws.String(second), aws.Int32(7200) })
	refused(t, err, 400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	_, err = assume(func(in *sts.AssumeRoleInput) { in.RoleArn, in.SourceIdentity = aws.String(second), aws.String("eve") })
	refused(t, err, 403, "AccessDenied", "")
	chained := must[*sts.AssumeRoleOutput](t)(assume(func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String(second) }))
	if aws.ToString(chained.SourceIdentity) != "ada" {
		t.Errorf("the chained session's source identity is %q", aws.ToString(chained.SourceIdentity))
	}
}

func TestPermissionsAreThoseOfTheSimulator(t *testing.T) {
	b := newBench(t)
	role := b.scenario.Roles["dev"]
	b.world.Allow(role, "secretsmanager:*", "arn:aws:secretsmanager:*:*:secret:rekey/dev/*")
	b.world.Deny(role, "secretsmanager:DeleteSecret", "*")
	arn := b.world.Secret(name).ARN
	prod := b.world.Secret("rekey/prod/app-database").ARN
	out := must[*sts.AssumeRoleOutput](t)(b.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("run-1")}))
	simulated := must[*iam.SimulatePrincipalPolicyOutput](t)(b.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: &role, ActionNames: []string{"secretsmanager:DescribeSecret", "secretsmanager:DeleteSecret"}, ResourceArns: []string{arn, prod}}))
	want := map[string]types.PolicyEvaluationDecisionType{
		"secretsmanager:DescribeSecret " + arn: "allowed", "secretsmanager:DescribeSecret " + prod: "implicitDeny",
		"secretsmanager:DeleteSecret " + arn: "explicitDeny", "secretsmanager:DeleteSecret " + prod: "explicitDeny",
	}
	b.use(config(b.url, *out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken))
	for _, e := range simulated.EvaluationResults {
		if want[*e.EvalActionName+" "+*e.EvalResourceName] != e.EvalDecision {
			t.Errorf("%s on %s: %s", *e.EvalActionName, *e.EvalResourceName, e.EvalDecision)
		}
		var err error
		switch *e.EvalActionName {
		case "secretsmanager:DescribeSecret":
			_, err = b.sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: e.EvalResourceName})
		default:
			_, err = b.sm.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: e.EvalResourceName})
		}
		if (err == nil) != (e.EvalDecision == "allowed") {
			t.Errorf("simulated %s, called: %v", e.EvalDecision, err)
		}
		if e.EvalDecision == "implicitDeny" {
			refused(t, err, 400, "AccessDeniedException", "User: arn:aws:sts::111111111111:assumed-role/rekey-dev/run-1 is not authorized to perform: secretsmanager:DescribeSecret on resource: "+prod+" because no identity-based policy allows the secretsmanager:DescribeSecret action")
		}
	}
	_, err := b.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &role, ActionNames: []string{"s3:GetObject"}})
	refused(t, err, 403, "AccessDenied", "")
}

func TestGetRole(t *testing.T) {
	b := newBench(t)
	r := must[*iam.GetRoleOutput](t)(b.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("rekey-dev")})).Role
	if *r.Arn != b.scenario.Roles["dev"] || *r.Path != "/" || *r.MaxSessionDuration != 3600 || !r.CreateDate.Equal(start) {
		t.Errorf("role %+v", r)
	}
	_, err := b.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("none")})
	refused(t, err, 404, "NoSuchEntity", "The role with name none cannot be found.")
	_, err = b.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: aws.String("arn:aws:iam::111111111111:role/none"), ActionNames: []string{"s3:GetObject"}})
	refused(t, err, 404, "NoSuchEntity", "")
}
