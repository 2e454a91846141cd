package ecs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"golang.org/x/sync/errgroup"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/usage"
)

// What one call takes or answers at most (Amazon ECS API reference).
const (
	perList     = 100 // ListClusters, ListServices, ListTasks
	perServices = 10  // DescribeServices
	perTasks    = 100 // DescribeTasks
	atOnce      = 4   // DescribeTaskDefinition, which takes one
)

// running is a service, or the tasks of one family that belong to none, with the task definitions they run with.
type running struct {
	user        usage.User
	definitions []string // ARNs
	tasks       int
}

// inventory is all services and tasks of an environment. The task definitions hold environments: no value of one may
// leave this package.
type inventory struct {
	running     []running
	definitions map[string]*types.TaskDefinition
	gaps        []usage.Gap
}

// Find finds the services and tasks that run with a secret. All clusters are read once.
func Find(d consumer.Deps) consumer.Finder {
	shared := consumer.NewInventory(d.Now, (&reader{ecs: d.ECS}).read)
	return func(ctx context.Context, s usage.Secret) (usage.Found, error) {
		all, err := shared.Get(ctx)
		if err != nil {
			return usage.Found{}, err
		}
		return all.find(s), nil
	}
}

// find is those whose task definitions name the secret.
func (v *inventory) find(s usage.Secret) usage.Found {
	f := usage.Found{Gaps: v.gaps}
	for _, r := range v.running {
		u := r.user
		for _, arn := range r.definitions {
			d := v.definitions[arn]
			if d == nil {
				continue // a gap
			}
			for _, where := range naming(d, s) {
				if !slices.Contains(u.Found, where) {
					u.Found = append(u.Found, where)
				}
			}
		}
		if len(u.Found) > 0 {
			var names []string
			for _, arn := range r.definitions {
				names = append(names, called(arn))
			}
			u.Now = fmt.Sprintf("%s, %s", strings.Join(names, " and "), tasks(r.tasks))
			f.Users = append(f.Users, u)
		}
	}
	return f
}

func tasks(n int) string {
	if n == 1 {
		return "1 task"
	}
	return fmt.Sprintf("%d tasks", n)
}

// naming are the places of a task definition that name the secret, as valueFrom does or in any text.
func naming(d *types.TaskDefinition, s usage.Secret) (all []string) {
	for _, p := range places(d) {
		m, exact := names(*p.ref, s.ARN)
		how := s.In(*p.ref)
		switch {
		case exact && m.version != "":
			all = append(all, p.where()+", a fixed version")
		case exact && m.stage != "" && m.stage != "AWSCURRENT":
			all = append(all, p.where()+", stage "+cloud.Line(m.stage))
		case exact || how != "":
			all = append(all, p.where())
		}
	}
	return all
}

// A reader reads an inventory.
type reader struct{ ecs *ecs.Client }

func (r *reader) read(ctx context.Context) *inventory {
	v := &inventory{definitions: map[string]*types.TaskDefinition{}}
	var clusters []string
	lists := ecs.NewListClustersPaginator(r.ecs, &ecs.ListClustersInput{MaxResults: aws.Int32(perList)})
	for lists.HasMorePages() {
		page, err := lists.NextPage(ctx)
		if err != nil {
			v.unseen("the clusters of Amazon ECS", err)
			break
		}
		clusters = append(clusters, page.ClusterArns...)
	}
	for _, c := range clusters {
		r.services(ctx, v, c)
		r.tasks(ctx, v, c)
	}
	r.describe(ctx, v)
	return v
}

func (v *inventory) unseen(what string, err error) {
	v.gaps = append(v.gaps, consumer.Unseen("ecs", what, err))
}

// failed are those that weren't described, but for what ended since it was listed.
func (v *inventory) failed(what string, failures []types.Failure) {
	for _, f := range failures {
		if reason := aws.ToString(f.Reason); reason != "MISSING" {
			v.gaps = append(v.gaps, usage.Gap{Uses: "ecs", What: called(aws.ToString(f.Arn)) + " of " + what, Why: cloud.Line(reason)})
		}
	}
}

// services are those of a cluster.
func (r *reader) services(ctx context.Context, v *inventory, cluster string) {
	var names []string
	lists := ecs.NewListServicesPaginator(r.ecs, &ecs.ListServicesInput{Cluster: &cluster, MaxResults: aws.Int32(perList)})
	for lists.HasMorePages() {
		page, err := lists.NextPage(ctx)
		if err != nil {
			v.unseen("the services of cluster "+called(cluster), err)
			break
		}
		names = append(names, page.ServiceArns...)
	}
	for some := range slices.Chunk(names, perServices) {
		out, err := r.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: some})
		if err != nil {
			v.unseen("the services of cluster "+called(cluster), err)
			return
		}
		v.failed("the services of cluster "+called(cluster), out.Failures)
		for _, s := range out.Services {
			v.running = append(v.running, service(cluster, s))
		}
	}
}

// service is one with all task definitions that it has tasks of, or starts them with.
func service(cluster string, s types.Service) running {
	in, name := called(cluster), cloud.Line(aws.ToString(s.ServiceName))
	r := running{tasks: int(s.RunningCount), user: usage.User{Uses: "ecs", With: map[string]string{"cluster": in, "service": name}, What: "ECS service", Name: in + "/" + name}}
	add := func(arn *string) {
		if a := aws.ToString(arn); a != "" && !slices.Contains(r.definitions, a) {
			r.definitions = append(r.definitions, a)
		}
	}
	add(s.TaskDefinition)
	for _, d := range s.Deployments {
		add(d.TaskDefinition)
	}
	for _, t := range s.TaskSets { // of a service that ECS doesn't deploy itself
		add(t.TaskDefinition)
	}
	return r
}

// tasks are those of a cluster that belong to no service: started by RunTask, a schedule, a pipeline.
func (r *reader) tasks(ctx context.Context, v *inventory, cluster string) {
	what := "the tasks of cluster " + called(cluster)
	alone := map[string]*running{} // by family
	lists := ecs.NewListTasksPaginator(r.ecs, &ecs.ListTasksInput{Cluster: &cluster, MaxResults: aws.Int32(perList)})
	for lists.HasMorePages() {
		page, err := lists.NextPage(ctx)
		if err != nil {
			v.unseen(what, err)
			break
		}
		if len(page.TaskArns) == 0 {
			continue
		}
		out, err := r.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: page.TaskArns})
		if err != nil {
			v.unseen(what, err)
			break
		}
		v.failed(what, out.Failures)
		for _, t := range out.Tasks {
			if strings.HasPrefix(aws.ToString(t.Group), "service:") {
				continue
			}
			arn := aws.ToString(t.TaskDefinitionArn)
			family, _, _ := strings.Cut(called(arn), ":")
			a := alone[family]
			if a == nil {
				a = &running{user: usage.User{What: "ECS task of no service", Name: called(cluster) + "/" + family}}
				alone[family] = a
			}
			if a.tasks++; !slices.Contains(a.definitions, arn) {
				a.definitions = append(a.definitions, arn)
			}
		}
	}
	for _, family := range slices.Sorted(maps.Keys(alone)) {
		v.running = append(v.running, *alone[family])
	}
}

// describe reads each task definition once, however many run with it.
func (r *reader) describe(ctx context.Context, v *inventory) {
	for _, t := range v.running {
		for _, arn := range t.definitions {
			v.definitions[arn] = nil
		}
	}
	arns := slices.Sorted(maps.Keys(v.definitions))
	answers, errs := make([]*types.TaskDefinition, len(arns)), make([]error, len(arns))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i := range arns {
		g.Go(func() error {
			out, err := r.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arns[i]})
			if errs[i] = err; err == nil {
				answers[i] = out.TaskDefinition
			}
			return nil
		})
	}
	_ = g.Wait() // each has its own error
	for i, arn := range arns {
		if v.definitions[arn] = answers[i]; answers[i] == nil {
			v.unseen("the task definition "+called(arn), errs[i])
		}
	}
}
