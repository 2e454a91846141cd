package ecs

import (
	"encoding/base64"
	"strconv"
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
	if in.ServiceName == "" {
		return nil, wire.Refuse("InvalidParameterException", "the sandbox lists the tasks of one service only")
	}
	v, err := s.open(r, in.Cluster, in.ServiceName)
	if err != nil {
		return nil, err
	}
	size := 100
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	raw, _ := base64.RawURLEncoding.DecodeString(in.NextToken) // what can't be decoded is no number either
	from, _ := strconv.Atoi(string(raw))
	if size < 1 || size > 100 || in.NextToken != "" && from < 1 {
		return nil, wire.Refuse("InvalidParameterException", "Invalid maxResults or token.")
	}
	var out struct {
		ARNs []string `json:"taskArns"`
		Next string   `json:"nextToken,omitempty"`
	}
	out.ARNs = []string{}
	n := 0
	for _, t := range v.tasks {
		if !s.listed(t, in.DesiredStatus == "STOPPED", r.At) {
			continue
		}
		if n++; n <= from {
			continue
		}
		if len(out.ARNs) == size {
			out.Next = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(from + size)))
			break
		}
		out.ARNs = append(out.ARNs, v.taskARN(t))
	}
	return out, nil
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
	By         string      `json:"startedBy"`
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
