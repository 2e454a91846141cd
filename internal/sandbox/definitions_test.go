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

func TestECSRegistersRevisions(t *testing.T) {
	s := newServices(t, own.Spec{})
	in := func(change func(*ecs.RegisterTaskDefinitionInput)) *ecs.RegisterTaskDefinitionInput {
		in := &ecs.RegisterTaskDefinitionInput{Family: aws.String("web"), TaskRoleArn: aws.String("arn:aws:iam::111111111111:role/shop"), Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}},
			ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("app:1"), MemoryReservation: aws.Int32(64),
				Secrets: []types.Secret{{Name: aws.String("DB"), ValueFrom: aws.String(s.arn + ":::" + s.first)}}}}}
		if change != nil {
			change(in)
		}
		return in
	}
	made := must[*ecs.RegisterTaskDefinitionOutput](t)(s.ecs.RegisterTaskDefinition(ctx, in(nil)))
	if d := made.TaskDefinition; d.Revision != 2 || d.Status != types.TaskDefinitionStatusActive || len(made.Tags) != 1 {
		t.Errorf("%+v", made)
	}
	for _, include := range [][]types.TaskDefinitionField{nil, {types.TaskDefinitionFieldTags}} {
		seen := must[*ecs.DescribeTaskDefinitionOutput](t)(s.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("web"), Include: include}))
		if d := seen.TaskDefinition; d.Revision != 2 || *d.TaskRoleArn != "arn:aws:iam::111111111111:role/shop" || *d.ContainerDefinitions[0].MemoryReservation != 64 || len(seen.Tags) != len(include) {
			t.Errorf("%+v, tags %v", d, seen.Tags)
		}
	}
	for code, change := range map[string]func(*ecs.RegisterTaskDefinitionInput){
		"Container list cannot be empty.":              func(in *ecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions = []types.ContainerDefinition{} },
		"Family should not be null or empty.":          func(in *ecs.RegisterTaskDefinitionInput) { in.Family = aws.String("") },
		"Container.image should not be null or empty.": func(in *ecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions[0].Image = nil },
		"Container.name should not be null or empty.":  func(in *ecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions[0].Name = nil },
		"Invalid setting for container 'app'. At least one of 'memory' or 'memoryReservation' must be specified.": func(in *ecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions[0].MemoryReservation = nil
		},
	} {
		_, err := s.ecs.RegisterTaskDefinition(ctx, in(change))
		refused(t, err, 400, "ClientException", code)
	}
	for _, key := range []string{"aws:mine", "team"} {
		_, err := s.ecs.RegisterTaskDefinition(ctx, in(func(in *ecs.RegisterTaskDefinitionInput) { in.Tags = append(in.Tags, types.Tag{Key: &key}) }))
		refused(t, err, 400, "InvalidParameterException", "")
	}

	s.world.ECS.DeregisterByHand(sandbox.Home, "web:1")
	must[*ecs.RegisterTaskDefinitionOutput](t)(s.ecs.RegisterTaskDefinition(ctx, in(nil)))
	list := func(in *ecs.ListTaskDefinitionsInput) []string {
		in.FamilyPrefix = aws.String("web")
		return must[*ecs.ListTaskDefinitionsOutput](t)(s.ecs.ListTaskDefinitions(ctx, in)).TaskDefinitionArns
	}
	const at = "arn:aws:ecs:us-east-1:111111111111:task-definition/web:"
	if l := list(&ecs.ListTaskDefinitionsInput{Sort: types.SortOrderDesc}); len(l) != 2 || l[0] != at+"3" || l[1] != at+"2" {
		t.Errorf("%q", l)
	}
	if l := list(&ecs.ListTaskDefinitionsInput{Status: types.TaskDefinitionStatusInactive}); len(l) != 1 || l[0] != at+"1" {
		t.Errorf("%q", l)
	}
	update := func(definition string) error {
		_, err := s.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("shop"), Service: aws.String("web"), TaskDefinition: &definition})
		return err
	}
	check1(t, update("web:2"))
	s.clock.Move(time.Hour)
	must[string](t)(s.world.PutByHand(s.secret, `{"password":"second"}`))
	check1(t, s.force())
	s.clock.Move(time.Hour)
	for _, task := range s.world.ECS.Tasks(sandbox.Home, "shop", "web", s.clock.Now()) {
		if task.Versions[s.arn+":::"+s.first] != s.first {
			t.Errorf("a task of what pins the first version reads %v", task.Versions)
		}
	}
	refused(t, update("web:1"), 400, "ClientException", "TaskDefinition is inactive")
	for _, action := range []string{"iam:PassRole", "ecs:TagResource", "ecs:RegisterTaskDefinition", "ecs:ListTaskDefinitions"} {
		s.world.Deny("*", action, "*")
		_, err := s.ecs.RegisterTaskDefinition(ctx, in(nil))
		if action == "ecs:ListTaskDefinitions" {
			_, err = s.ecs.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String("web")})
		}
		refused(t, err, 400, "AccessDeniedException", "")
	}
}
