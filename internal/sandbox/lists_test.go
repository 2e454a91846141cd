package sandbox_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/ecs"
	functions "github.com/rastup/rekey/internal/sandbox/lambda"
	parameters "github.com/rastup/rekey/internal/sandbox/ssm"
)

func TestECSListsServicesAndTasksByThePage(t *testing.T) {
	s := newServices(t, own.Spec{})
	for i := range 100 {
		check1(t, s.world.ECS.MakeByHand(sandbox.Home, own.Spec{Cluster: "shop", Name: fmt.Sprintf("s%03d", i), TaskDefinition: "web:1"}, start))
	}
	check1(t, s.world.ECS.RunByHand(sandbox.Home, "jobs", "web:1", start))
	check1(t, s.world.ECS.RunByHand(sandbox.Home, "shop", "web:1", start))
	clusters := must[*ecs.ListClustersOutput](t)(s.ecs.ListClusters(ctx, nil)).ClusterArns
	if len(clusters) != 2 || clusters[1] != "arn:aws:ecs:us-east-1:111111111111:cluster/shop" {
		t.Errorf("%q", clusters)
	}
	page := must[*ecs.ListServicesOutput](t)(s.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: &clusters[1], MaxResults: aws.Int32(100)}))
	rest := must[*ecs.ListServicesOutput](t)(s.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: &clusters[1], NextToken: page.NextToken}))
	if len(page.ServiceArns) != 100 || len(rest.ServiceArns) != 1 || rest.NextToken != nil {
		t.Errorf("%d and %d services", len(page.ServiceArns), len(rest.ServiceArns))
	}
	tasks := must[*ecs.ListTasksOutput](t)(s.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String("shop")})).TaskArns
	if len(tasks) != 3 { // two of web, one of nobody
		t.Errorf("%q", tasks)
	}
	seen := must[*ecs.DescribeTasksOutput](t)(s.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String("shop"), Tasks: tasks})).Tasks
	if g := aws.ToString(seen[2].Group); g != "family:web" {
		t.Errorf("group %q", g)
	}
	_, err := s.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: aws.String("other")})
	refused(t, err, 400, "ClusterNotFoundException", "Cluster not found.")
	_, err = s.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: aws.String("shop"), MaxResults: aws.Int32(101)})
	refused(t, err, 400, "InvalidParameterException", "")
	_, err = s.ecs.ListClusters(ctx, &ecs.ListClustersInput{NextToken: aws.String("x")})
	refused(t, err, 400, "InvalidParameterException", "")
	for _, op := range []string{"ListClusters", "ListServices", "ListTasks"} {
		s.world.Deny("*", "ecs:"+op, "*")
	}
	_, err = s.ecs.ListClusters(ctx, nil)
	refused(t, err, 400, "AccessDeniedException", "")
	_, err = s.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: aws.String("shop")})
	refused(t, err, 400, "AccessDeniedException", "")
	_, err = s.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String("shop")})
	refused(t, err, 400, "AccessDeniedException", "")
}

func TestLambdaListsFiftyFunctionsAndAHundredSources(t *testing.T) {
	b, client, arn := newFunction(t)
	for i := range 50 {
		b.world.Lambda.MakeByHand(sandbox.Home, functions.Function{Name: fmt.Sprintf("f%02d", i)}, b.world.Now())
	}
	for range 101 {
		b.world.Lambda.MapByHand(sandbox.Home, functions.Source{Function: "shop", From: "arn:aws:mq:us-east-1:111111111111:broker:orders:b-1", Access: map[string]string{"BASIC_AUTH": "arn:x"}})
	}
	page := must[*lambda.ListFunctionsOutput](t)(client.ListFunctions(ctx, &lambda.ListFunctionsInput{MaxItems: aws.Int32(1000)}))
	rest := must[*lambda.ListFunctionsOutput](t)(client.ListFunctions(ctx, &lambda.ListFunctionsInput{Marker: page.NextMarker}))
	if len(page.Functions) != 50 || len(rest.Functions) != 1 || *rest.Functions[0].FunctionArn != arn || rest.Functions[0].Environment.Variables["A"] != "1" || rest.NextMarker != nil {
		t.Errorf("%d and %+v", len(page.Functions), rest.Functions)
	}
	sources := must[*lambda.ListEventSourceMappingsOutput](t)(client.ListEventSourceMappings(ctx, nil))
	if len(sources.EventSourceMappings) != 100 || aws.ToString(sources.NextMarker) == "" {
		t.Errorf("%d sources", len(sources.EventSourceMappings))
	}
	_, err := client.ListFunctions(ctx, &lambda.ListFunctionsInput{Marker: aws.String("x")})
	refused(t, err, 400, "InvalidParameterValueException", "")
	b.world.Deny("*", "lambda:List*", "*")
	_, err = client.ListFunctions(ctx, nil)
	refused(t, err, 403, "AccessDeniedException", "")
	_, err = client.ListEventSourceMappings(ctx, nil)
	refused(t, err, 403, "AccessDeniedException", "")
}

func TestSSMListsTenParametersOfAPath(t *testing.T) {
	b := newBench(t)
	client := ssm.NewFromConfig(config(b.url, sandbox.AccessKeyID, sandbox.SecretAccessKey, ""))
	for i := range 11 {
		b.world.SSM.PutByHand(sandbox.Home, parameters.Parameter{Name: fmt.Sprintf("/shop/p%02d", i), Value: "v"}, b.world.Now())
	}
	b.world.SSM.PutByHand(sandbox.Home, parameters.Parameter{Name: "plain", Value: "v"}, b.world.Now())
	b.world.SSM.PutByHand(sandbox.Home, parameters.Parameter{Name: "/shop/key", Type: "SecureString", Value: "hidden"}, b.world.Now())
	list := func(in ssm.GetParametersByPathInput) (*ssm.GetParametersByPathOutput, error) {
		return client.GetParametersByPath(ctx, &in)
	}
	filter := []ssmtypes.ParameterStringFilter{{Key: aws.String("Type"), Values: []string{"String"}}}
	page := must[*ssm.GetParametersByPathOutput](t)(list(ssm.GetParametersByPathInput{Path: aws.String("/"), Recursive: aws.Bool(true), ParameterFilters: filter}))
	rest := must[*ssm.GetParametersByPathOutput](t)(list(ssm.GetParametersByPathInput{Path: aws.String("/"), Recursive: aws.Bool(true), ParameterFilters: filter, NextToken: page.NextToken}))
	if len(page.Parameters) != 10 || len(rest.Parameters) != 2 || *rest.Parameters[1].Name != "plain" || rest.NextToken != nil {
		t.Errorf("%d and %+v", len(page.Parameters), rest.Parameters)
	}
	if got := must[*ssm.GetParametersByPathOutput](t)(list(ssm.GetParametersByPathInput{Path: aws.String("/")})); len(got.Parameters) != 1 {
		t.Errorf("%d parameters directly below /", len(got.Parameters))
	}
	_, err := list(ssm.GetParametersByPathInput{Path: aws.String("/"), MaxResults: aws.Int32(11)})
	refused(t, err, 400, "ValidationException", "")
	_, err = list(ssm.GetParametersByPathInput{Path: aws.String("shop")})
	refused(t, err, 400, "ValidationException", "")
	_, err = list(ssm.GetParametersByPathInput{Path: aws.String("/"), ParameterFilters: []ssmtypes.ParameterStringFilter{{Key: aws.String("Name"), Values: []string{"x"}}}})
	refused(t, err, 400, "InvalidFilterKey", "")
	b.world.Deny("*", "ssm:GetParameter*", "*")
	_, err = list(ssm.GetParametersByPathInput{Path: aws.String("/")})
	refused(t, err, 400, "AccessDeniedException", "")
}
