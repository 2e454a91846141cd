package sandbox_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/rastup/rekey/internal/sandbox"
	parameters "github.com/rastup/rekey/internal/sandbox/ssm"
)

func TestParameterStoreMakesAVersionOfEachOverwrite(t *testing.T) {
	b := newBench(t)
	client := ssm.NewFromConfig(config(b.url, sandbox.AccessKeyID, sandbox.SecretAccessKey, ""))
	name := aws.String("/shop/version")
	get := func(name *string) (*ssm.GetParameterOutput, error) {
		return client.GetParameter(ctx, &ssm.GetParameterInput{Name: name})
	}
	put := func(value string) error {
		_, err := client.PutParameter(ctx, &ssm.PutParameterInput{Name: name, Value: &value, Overwrite: aws.Bool(true)})
		return err
	}
	_, err := get(name)
	refused(t, err, 400, "ParameterNotFound", "")
	b.world.SSM.PutByHand(sandbox.Home, parameters.Parameter{Name: *name, Value: "a", Label: "live"}, b.world.Now())
	check1(t, put("b"))
	check1(t, put("b"))
	arn := "arn:aws:ssm:us-east-1:111111111111:parameter/shop/version"
	got := must[*ssm.GetParameterOutput](t)(get(&arn)).Parameter
	if *got.Value != "b" || got.Version != 3 || *got.ARN != arn {
		t.Errorf("%+v", got)
	}
	for range 97 {
		check1(t, put("c"))
	}
	refused(t, put("d"), 400, "ParameterMaxVersionLimitExceeded", "")
	refused(t, put(""), 400, "ValidationException", "")
	b.world.SSM.PutByHand(sandbox.Home, parameters.Parameter{Name: "hidden", Type: "SecureString", Value: "planted"}, b.world.Now())
	if got := must[*ssm.GetParameterOutput](t)(get(aws.String("hidden"))).Parameter; *got.Value == "planted" {
		t.Error("a SecureString is shown without being asked for decrypted")
	}
}

func TestParameterStoreMovesLabels(t *testing.T) {
	b := newBench(t)
	client := ssm.NewFromConfig(config(b.url, sandbox.AccessKeyID, sandbox.SecretAccessKey, ""))
	name := aws.String("/shop/version")
	for _, v := range []string{"a", "b"} {
		b.world.SSM.PutByHand(sandbox.Home, parameters.Parameter{Name: *name, Value: v}, b.world.Now())
	}
	label := func(version int64, labels ...string) (*ssm.LabelParameterVersionOutput, error) {
		return client.LabelParameterVersion(ctx, &ssm.LabelParameterVersionInput{Name: name, ParameterVersion: &version, Labels: labels})
	}
	read := func(selector string) (*ssm.GetParameterOutput, error) {
		return client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(*name + ":" + selector)})
	}
	_, err := read("live")
	refused(t, err, 400, "ParameterVersionNotFound", "")
	for want, version := range map[string]int64{"a": 1, "b": 2} {
		check1(t, error2(label(version, "live")))
		got := must[*ssm.GetParameterOutput](t)(read("live")).Parameter
		if *got.Value != want || got.Version != version || *got.Selector != ":live" {
			t.Errorf("live is %+v", got)
		}
	}
	if out := must[*ssm.LabelParameterVersionOutput](t)(label(1, "1st", "aws-live", "SSM", "no space", "fine")); fmt.Sprint(out.InvalidLabels) != "[1st aws-live SSM no space]" {
		t.Errorf("invalid are %v", out.InvalidLabels)
	}
	_, err = label(7, "live")
	refused(t, err, 400, "ParameterVersionNotFound", "")
	check1(t, error2(label(1, "b", "c", "d", "e", "f", "g", "h", "i", "j")))
	_, err = label(1, "k")
	refused(t, err, 400, "ParameterVersionLabelLimitExceeded", "")
	_, err = client.LabelParameterVersion(ctx, &ssm.LabelParameterVersionInput{Name: aws.String("arn:aws:ssm:us-east-1:111111111111:parameter/shop/version"), Labels: []string{"live"}})
	refused(t, err, 400, "ValidationException", "")
	_, err = client.PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("arn:aws:ssm:us-east-1:111111111111:parameter/shop/version"), Value: aws.String("c"), Overwrite: aws.Bool(true)})
	refused(t, err, 400, "ValidationException", "")
	gone := must[*ssm.UnlabelParameterVersionOutput](t)(client.UnlabelParameterVersion(ctx, &ssm.UnlabelParameterVersionInput{Name: name, ParameterVersion: aws.Int64(1), Labels: []string{"b", "never"}}))
	if fmt.Sprint(gone.RemovedLabels, gone.InvalidLabels) != "[b] [never]" {
		t.Errorf("%+v", gone)
	}
	for range 120 {
		b.world.SSM.PutByHand(sandbox.Home, parameters.Parameter{Name: *name, Value: "more"}, b.world.Now())
	}
	var versions []int64
	pages := ssm.NewGetParameterHistoryPaginator(client, &ssm.GetParameterHistoryInput{Name: name})
	for pages.HasMorePages() {
		for _, v := range must[*ssm.GetParameterHistoryOutput](t)(pages.NextPage(ctx)).Parameters {
			versions = append(versions, v.Version)
		}
	}
	if len(versions) != 100 || versions[0] != 23 || versions[99] != 122 {
		t.Errorf("versions %v", versions)
	}
}

func error2[T any](_ T, err error) error { return err }
