package ecs

import (
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

func (s *Service) listTasks(r *wire.Request) (any, error) {
	var in struct {
		Cluster, ServiceName, DesiredStatus, NextToken string
		MaxResults                                     *int
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	all, err := s.tasksOf(r, in.Cluster, in.ServiceName)
	if err != nil {
		return nil, err
	}
	var arns []string
	for _, t := range all {
		if s.listed(t.task, in.DesiredStatus == "STOPPED", r.At) {
			arns = append(arns, t.arn)
		}
	}
	var out struct {
		ARNs []string `json:"taskArns"`
		Next string   `json:"nextToken,omitempty"`
	}
	out.ARNs, out.Next, err = page(arns, in.MaxResults, in.NextToken)
	return out, err
}

// A placed task is one with its ARN.
type placed struct {
	*task
	arn string
}

// tasksOf are those of a service, or of all of the cluster.
func (s *Service) tasksOf(r *wire.Request, cluster, service string) (all []placed, err error) {
	if service != "" {
		v, err := s.open(r, cluster, service)
		if err != nil {
			return nil, err
		}
		for _, t := range v.tasks {
			all = append(all, placed{t, v.taskARN(t)})
		}
		return all, nil
	}
	if err := r.May("ecs:ListTasks", "*"); err != nil { // Service Authorization Reference: no resource but container instances
		return nil, err
	}
	c, err := s.cluster(r.Place, cluster)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		s.settle(c[name], r.At)
		for _, t := range c[name].tasks {
			all = append(all, placed{t, c[name].taskARN(t)})
		}
	}
	for _, t := range s.alone[r.Place][short(cluster)] {
		all = append(all, placed{t, arnOf(r.Place, "task/"+short(cluster)+"/"+t.id)})
	}
	return all, nil
}

// page is the part of a list that is asked for, a hundred at most, and the token of the next.
func page(all []string, most *int, token string) (some []string, next string, err error) {
	size := 100
	if most != nil {
		size = *most
	}
	raw, _ := base64.RawURLEncoding.DecodeString(token) // what can't be decoded is no number either
	from, _ := strconv.Atoi(string(raw))
	if size < 1 || size > 100 || token != "" && from < 1 {
		return nil, "", wire.Refuse("InvalidParameterException", "Invalid maxResults or token.")
	}
	some = append([]string{}, all[min(from, len(all)):min(from+size, len(all))]...)
	if from+size < len(all) {
		next = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(from + size)))
	}
	return some, next, nil
}

func (s *Service) listClusters(r *wire.Request) (any, error) {
	var in struct {
		NextToken  string
		MaxResults *int
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("ecs:ListClusters", "*"); err != nil {
		return nil, err
	}
	var arns []string
	for _, name := range slices.Sorted(maps.Keys(s.clusters[r.Place])) {
		arns = append(arns, arnOf(r.Place, "cluster/"+name))
	}
	var out struct {
		ARNs []string `json:"clusterArns"`
		Next string   `json:"nextToken,omitempty"`
	}
	var err error
	out.ARNs, out.Next, err = page(arns, in.MaxResults, in.NextToken)
	return out, err
}

func (s *Service) listServices(r *wire.Request) (any, error) {
	var in struct {
		Cluster, NextToken string
		MaxResults         *int
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("ecs:ListServices", "*"); err != nil {
		return nil, err
	}
	c, err := s.cluster(r.Place, in.Cluster)
	if err != nil {
		return nil, err
	}
	var arns []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if c[name].status != "INACTIVE" { // Amazon ECS API reference, Service: such a one may no longer be listed
			arns = append(arns, c[name].arn())
		}
	}
	var out struct {
		ARNs []string `json:"serviceArns"`
		Next string   `json:"nextToken,omitempty"`
	}
	out.ARNs, out.Next, err = page(arns, in.MaxResults, in.NextToken)
	return out, err
}

// listed says whether a task is in the list of the stopped, or of the others.
func (s *Service) listed(t *task, stopped bool, now time.Time) bool {
	if now.Before(t.created) {
		return false
	}
	return t.over(now) == stopped && !(stopped && now.After(t.stopped.Add(kept)))
}

type shownTask struct {
	ARN        string      `json:"taskArn"`
	Cluster    string      `json:"clusterArn"`
	Definition string      `json:"taskDefinitionArn"`
	Group      string      `json:"group"`
	By         string      `json:"startedBy,omitempty"`
	Last       string      `json:"lastStatus"`
	Desired    string      `json:"desiredStatus"`
	Created    *wire.Epoch `json:"createdAt,omitempty"`
	Started    *wire.Epoch `json:"startedAt,omitempty"`
	Stopped    *wire.Epoch `json:"stoppedAt,omitempty"`
	Reason     string      `json:"stoppedReason,omitempty"`
	Code       string      `json:"stopCode,omitempty"`
}

func (s *Service) describeTasks(r *wire.Request) (any, error) {
	var in struct {
		Cluster string
		Tasks   []string
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if len(in.Tasks) == 0 || len(in.Tasks) > 100 {
		return nil, wire.Refuse("InvalidParameterException", "Tasks must have between 1 and 100 elements.")
	}
	c, err := s.cluster(r.Place, in.Cluster)
	if err != nil {
		return nil, err
	}
	var out struct {
		Tasks    []shownTask `json:"tasks"`
		Failures []failure   `json:"failures"`
	}
	out.Tasks, out.Failures = []shownTask{}, []failure{}
	for _, ref := range in.Tasks {
		arn := arnOf(r.Place, "task/"+short(in.Cluster)+"/"+short(ref))
		if err := r.May("ecs:DescribeTasks", arn); err != nil {
			return nil, err
		}
		found := false
		for _, v := range c {
			for _, t := range v.tasks {
				if t.id == short(ref) {
					found = true
					out.Tasks = append(out.Tasks, v.showTask(t, r.At))
				}
			}
		}
		for _, t := range s.alone[r.Place][short(in.Cluster)] {
			if t.id == short(ref) {
				found = true
				family, _, _ := strings.Cut(short(t.definition), ":")
				out.Tasks = append(out.Tasks, shownTask{ARN: arn, Cluster: arnOf(r.Place, "cluster/"+short(in.Cluster)), Definition: t.definition,
					Group: "family:" + family, Last: "RUNNING", Desired: "RUNNING", Created: wire.EpochOf(t.created), Started: wire.EpochOf(t.started)})
			}
		}
		if !found {
			out.Failures = append(out.Failures, failure{arn, "MISSING"})
		}
	}
	return out, nil
}

func (v *service) showTask(t *task, now time.Time) shownTask {
	out := shownTask{ARN: v.taskARN(t), Cluster: v.clusterARN(), Definition: t.definition, Group: "service:" + v.Name, By: t.deployment,
		Last: "PENDING", Desired: "RUNNING", Created: wire.EpochOf(t.created)}
	if !t.started.IsZero() && !now.Before(t.started) {
		out.Last, out.Started = "RUNNING", wire.EpochOf(t.started)
	}
	if t.over(now) {
		out.Last, out.Desired, out.Stopped, out.Reason, out.Code = "STOPPED", "STOPPED", wire.EpochOf(t.stopped), t.reason, "ServiceSchedulerInitiated"
		if t.started.IsZero() && !t.replaced() {
			out.Code = "TaskFailedToStart"
		}
	}
	return out
}
