package sandbox_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/ecs"
)

type services struct {
	*bench
	t        *testing.T
	ecs      *ecs.Client
	secret   string // name
	first    string // its version
	arn, def string
}

func newServices(t *testing.T, spec own.Spec) *services {
	b := newBench(t)
	s := &services{bench: b, t: t, ecs: ecs.NewFromConfig(config(b.url, sandbox.AccessKeyID, sandbox.SecretAccessKey, "")), secret: b.scenario.Secrets["dev"]}
	s.arn, s.first = b.world.Secret(s.secret).ARN, b.world.Secret(s.secret).Labels["AWSCURRENT"]
	s.def = b.world.ECS.RegisterByHand(sandbox.Home, own.Definition{Family: "web", Containers: []own.Container{{Name: "app", Secrets: []own.Secret{{Name: "DB", ValueFrom: s.arn + ":password::"}}}}})
	spec.Cluster, spec.Name, spec.TaskDefinition, spec.Desired = "shop", "web", "web:1", 2
	check1(t, b.world.ECS.MakeByHand(sandbox.Home, spec, start))
	return s
}

func (s *services) seen() types.Service {
	s.t.Helper()
	return must[*ecs.DescribeServicesOutput](s.t)(s.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String("shop"), Services: []string{"web"}})).Services[0]
}

func (s *services) force() error {
	_, err := s.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("shop"), Service: aws.String("web"), ForceNewDeployment: true})
	return err
}

// with is how many tasks run with a version.
func (s *services) with(version string) (n int) {
	for _, task := range s.world.ECS.Tasks(sandbox.Home, "shop", "web", s.clock.Now()) {
		if task.Running && task.Versions[s.arn+":password::"] == version {
			n++
		}
	}
	return n
}

func TestECSTasksKeepTheVersionTheyStartedWith(t *testing.T) {
	s := newServices(t, own.Spec{})
	second := must[string](t)(s.world.PutByHand(s.secret, `{"password":"second"}`))
	s.clock.Move(time.Hour)
	if s.with(s.first) != 2 {
		t.Error("a task took a later version up by itself")
	}
	check1(t, s.force())
	for _, tt := range []struct {
		after       time.Duration
		first, next int
		state       types.DeploymentRolloutState
		deployments int
	}{
		{0, 2, 0, types.DeploymentRolloutStateInProgress, 2},
		{25 * time.Second, 2, 1, types.DeploymentRolloutStateInProgress, 2},
		{30 * time.Second, 1, 1, types.DeploymentRolloutStateInProgress, 2},
		{40 * time.Second, 0, 2, types.DeploymentRolloutStateCompleted, 1},
	} {
		s.clock.Move(start.Add(time.Hour + tt.after).Sub(s.clock.Now()))
		v := s.seen()
		if s.with(s.first) != tt.first || s.with(second) != tt.next || v.Deployments[0].RolloutState != tt.state || len(v.Deployments) != tt.deployments {
			t.Errorf("after %s: %d and %d, %+v", tt.after, s.with(s.first), s.with(second), v.Deployments)
		}
	}
	list := must[*ecs.ListTasksOutput](t)(s.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String("shop"), ServiceName: aws.String("web"), DesiredStatus: types.DesiredStatusRunning}))
	tasks := must[*ecs.DescribeTasksOutput](t)(s.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String("shop"), Tasks: append(list.TaskArns, "none")}))
	if len(tasks.Tasks) != 2 || len(tasks.Failures) != 1 || *tasks.Tasks[0].StartedBy != *s.seen().Deployments[0].Id {
		t.Errorf("%+v", tasks)
	}
	d := must[*ecs.DescribeTaskDefinitionOutput](t)(s.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &s.def}))
	if *d.TaskDefinition.ContainerDefinitions[0].Secrets[0].ValueFrom != s.arn+":password::" {
		t.Errorf("%+v", d.TaskDefinition)
	}
}

// What a circuit breaker starts again reads what is live, not what ran before.
func TestECSCircuitBreakerRollsBackToTheLiveVersion(t *testing.T) {
	s := newServices(t, own.Spec{Breaker: true, Rollback: true})
	second := must[string](t)(s.world.PutByHand(s.secret, `{"password":"second"}`))
	s.world.ECS.Break(sandbox.Home, "shop", "web", own.Fault{Stopped: "Essential container in task exited", Deployments: 1}, start)
	check1(t, s.force())
	s.clock.Move(50 * time.Second)
	v := s.seen()
	if len(v.Deployments) != 3 || v.Deployments[1].RolloutState != types.DeploymentRolloutStateFailed || v.Deployments[1].FailedTasks != 3 {
		t.Errorf("%+v", v.Deployments)
	}
	s.clock.Move(time.Minute)
	if v = s.seen(); len(v.Deployments) != 1 || v.Deployments[0].RolloutState != types.DeploymentRolloutStateCompleted || s.with(second) != 2 {
		t.Errorf("%+v, %d with the second", v.Deployments, s.with(second))
	}
	list := must[*ecs.ListTasksOutput](t)(s.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String("shop"), ServiceName: aws.String("web"), DesiredStatus: types.DesiredStatusStopped}))
	if len(list.TaskArns) != 6 { // three that failed, one that would have, two from before
		t.Errorf("%d stopped tasks", len(list.TaskArns))
	}
}

// A version that can't be read keeps tasks from starting; without a circuit breaker that goes on for ever.
func TestECSTasksThatCantReadTheirSecretDontStart(t *testing.T) {
	s := newServices(t, own.Spec{})
	check1(t, s.world.SecretsManager.MoveByHand(sandbox.Home, s.secret, "AWSCURRENT", "", start))
	check1(t, s.force())
	s.clock.Move(time.Hour)
	if v := s.seen(); v.Deployments[0].RolloutState != types.DeploymentRolloutStateInProgress || v.Deployments[0].FailedTasks < 10 || s.with(s.first) != 2 {
		t.Errorf("%+v", v.Deployments)
	}
}

func TestECSRefuses(t *testing.T) {
	s := newServices(t, own.Spec{})
	update := func(cluster, service string, change func(*ecs.UpdateServiceInput)) error {
		in := &ecs.UpdateServiceInput{Cluster: &cluster, Service: &service, ForceNewDeployment: true}
		if change != nil {
			change(in)
		}
		_, err := s.ecs.UpdateService(ctx, in)
		return err
	}
	refused(t, update("none", "web", nil), 400, "ClusterNotFoundException", "Cluster not found.")
	refused(t, update("shop", "none", nil), 400, "ServiceNotFoundException", "Service not found.")
	refused(t, update("shop", "web", func(in *ecs.UpdateServiceInput) { in.PlatformVersion = aws.String("LATEST") }), 400, "InvalidParameterException", "the sandbox doesn't serve UpdateService with platformVersion")
	refused(t, update("shop", "web", func(in *ecs.UpdateServiceInput) { in.TaskDefinition = aws.String("web:9") }), 400, "ClientException", "")
	_, err := s.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("none:1")})
	refused(t, err, 400, "ClientException", "Unable to describe task definition.")
	out := must[*ecs.DescribeServicesOutput](t)(s.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String("shop"), Services: []string{"none"}}))
	if len(out.Services) != 0 || *out.Failures[0].Reason != "MISSING" {
		t.Errorf("%+v", out)
	}
	s.world.Fail(func(c sandbox.Call) error { return sandbox.Throttled(c) })
	refused(t, update("shop", "web", nil), 400, "ThrottlingException", "Rate exceeded")
	s.world.Fail(nil)
	s.world.Deny("*", "ecs:UpdateService", "*:service/shop/web")
	refused(t, s.force(), 400, "AccessDeniedException", "")
	s.world.Permit("*", "ecs:UpdateService", "*:service/shop/web")
	s.world.ECS.SetByHand(sandbox.Home, "shop", "web", start, func(x *own.Spec) { x.Controller = "CODE_DEPLOY" })
	refused(t, s.force(), 400, "InvalidParameterException", "")
	s.world.ECS.Remove(sandbox.Home, "shop", "web", false, start)
	refused(t, s.force(), 400, "ServiceNotActiveException", "Service was not ACTIVE.")
	if n := s.world.ECS.Begun(sandbox.Home, "shop", "web", start); n != 1 {
		t.Errorf("%d deployments", n)
	}
}
