package sandbox_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/lambda"
)

var shop = aws.String("shop")

func newFunction(t *testing.T) (*bench, *lambda.Client, string) {
	b := newBench(t)
	arn := b.world.Lambda.MakeByHand(sandbox.Home, own.Function{Name: "shop", Environment: map[string]string{"A": "1"}, Cache: 5 * time.Minute}, b.world.Now())
	return b, lambda.NewFromConfig(config(b.url, sandbox.AccessKeyID, sandbox.SecretAccessKey, "")), arn
}

func TestLambdaUpdatesUnderARevisionOneAtATime(t *testing.T) {
	b, client, arn := newFunction(t)
	look := func() *lambda.GetFunctionConfigurationOutput {
		t.Helper()
		return must[*lambda.GetFunctionConfigurationOutput](t)(client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &arn}))
	}
	set := func(revision string, vars map[string]string) error {
		_, err := client.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: shop, RevisionId: &revision, Environment: &types.Environment{Variables: vars}})
		return err
	}
	was := look()
	if was.Environment.Variables["A"] != "1" || was.LastUpdateStatus != types.LastUpdateStatusSuccessful || was.State != types.StateActive {
		t.Errorf("%+v", was)
	}
	check1(t, set(*was.RevisionId, map[string]string{"A": "1", "B": "2"}))
	refused(t, set(*was.RevisionId, nil), 409, "ResourceConflictException", "The operation cannot be performed at this time. An update is in progress for resource: "+arn)
	if got := look(); got.LastUpdateStatus != types.LastUpdateStatusInProgress || *got.RevisionId == *was.RevisionId {
		t.Errorf("%s", got.LastUpdateStatus)
	}
	b.clock.Move(5 * time.Second)
	refused(t, set(*was.RevisionId, nil), 412, "PreconditionFailedException", "")
	err := set(*look().RevisionId, map[string]string{"A": strings.Repeat("x", 4096)})
	refused(t, err, 400, "InvalidParameterValueException", "")
	if !strings.Contains(err.Error(), "xxx") {
		t.Error("AWS quotes an environment that is too big")
	}
	b.world.Lambda.SetPace(time.Second, true)
	check1(t, set(*look().RevisionId, map[string]string{"A": "3"}))
	b.clock.Move(time.Second)
	if got := look(); got.LastUpdateStatus != types.LastUpdateStatusFailed {
		t.Errorf("%s", got.LastUpdateStatus)
	}
	_, err = client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("other")})
	refused(t, err, 404, "ResourceNotFoundException", "Function not found: "+strings.Replace(arn, "shop", "other", 1))
	b.world.Deny("*", "lambda:GetFunctionConfiguration", arn)
	_, err = client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: shop})
	refused(t, err, 403, "AccessDeniedException", "")
}

func TestLambdaPublishesAVersionOnceAndItsEnvironmentIsFrozen(t *testing.T) {
	b, client, _ := newFunction(t)
	publish := func(description string) string {
		t.Helper()
		return *must[*lambda.PublishVersionOutput](t)(client.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: shop, Description: &description})).Version
	}
	if a, same := publish("one"), publish("two"); a != "1" || same != "1" {
		t.Errorf("published %s and %s", a, same)
	}
	b.world.Lambda.AliasByHand(sandbox.Home, "shop", "live", "1", nil)
	for i := range 60 {
		b.world.Lambda.ChangeByHand(sandbox.Home, "shop", b.world.Now(), func(f *own.Function) { f.Environment["A"] = fmt.Sprint(i) })
		publish("more")
	}
	var all []types.FunctionConfiguration
	pages := lambda.NewListVersionsByFunctionPaginator(client, &lambda.ListVersionsByFunctionInput{FunctionName: shop})
	for pages.HasMorePages() {
		all = append(all, must[*lambda.ListVersionsByFunctionOutput](t)(pages.NextPage(ctx)).Versions...)
	}
	if len(all) != 62 || *all[0].Version != own.Latest || all[1].Environment.Variables["A"] != "1" || *all[1].Description != "one" {
		t.Errorf("%d versions", len(all))
	}
	at := must[*lambda.GetAliasOutput](t)(client.GetAlias(ctx, &lambda.GetAliasInput{FunctionName: shop, Name: aws.String("live")}))
	move := func(to string) error {
		_, err := client.UpdateAlias(ctx, &lambda.UpdateAliasInput{FunctionName: shop, Name: aws.String("live"), FunctionVersion: &to, RevisionId: at.RevisionId})
		return err
	}
	refused(t, move("99"), 404, "ResourceNotFoundException", "")
	check1(t, move("61"))
	refused(t, move("1"), 412, "PreconditionFailedException", "")
	if got := b.world.Lambda.Environment(sandbox.Home, "shop", "live")["A"]; got != "59" {
		t.Errorf("live has A=%s", got)
	}
	_, err := client.GetAlias(ctx, &lambda.GetAliasInput{FunctionName: shop, Name: aws.String("dead")})
	refused(t, err, 404, "ResourceNotFoundException", "")
}

func TestLambdaRunsWithWhatItReadWhenItStarted(t *testing.T) {
	b, _, _ := newFunction(t)
	value := "old"
	invoke := func() string {
		return b.world.Lambda.Invoke(sandbox.Home, "shop", "", b.world.Now(), func() string { return value })
	}
	first := invoke()
	value = "new"
	cached := invoke()
	b.clock.Move(5 * time.Minute)
	aged := invoke()
	value = "newest"
	b.world.Lambda.ChangeByHand(sandbox.Home, "shop", b.world.Now(), func(f *own.Function) { f.Environment["B"] = "1" })
	if got := []string{first, cached, aged, invoke()}; fmt.Sprint(got) != "[old old new newest]" {
		t.Error(got)
	}
}
