package ecs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
)

// adopted waits while a task from before the step's deployment isn't over. A task is created before it reads.
func (h *handler) adopted(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	var p Shape
	if err := s.Into(&p); err != nil {
		return rotation.Result{}, err
	}
	deploy := consumer.Key(consumer.Deploy, consumer.Named(s))
	since, err := time.Parse(time.RFC3339Nano, past.Fact(deploy, factSince))
	if err != nil {
		return rotation.Result{}, errors.New("the records hold no deployment of " + p.Service)
	}
	l, err := h.look(ctx, p)
	if err != nil {
		return rotation.Result{}, err
	}
	if l.gone != "" {
		return rotation.Result{Text: "nothing of " + p.Service + " runs any more: " + l.gone}, nil
	}
	all, err := h.tasks(ctx, p, types.DesiredStatusRunning)
	if err != nil {
		return rotation.Result{}, err
	}
	old, first, runs := 0, time.Time{}, []string(nil)
	for _, t := range all {
		at := aws.ToTime(t.CreatedAt)
		if aws.ToString(t.StartedBy) == past.Fact(deploy, factDeployment) || !at.Before(since) {
			continue
		}
		if old++; first.IsZero() || at.Before(first) {
			first = at
		}
		if def := called(aws.ToString(t.TaskDefinitionArn)); !slices.Contains(runs, def) {
			runs = append(runs, def)
		}
	}
	if old > 0 {
		return rotation.Result{Again: rotation.Later, Wait: fmt.Sprintf("%d of %d tasks of %s to end that run with the old version: of %s, the first since %s",
			old, len(all), p.Service, strings.Join(slices.Sorted(slices.Values(runs)), " and "), stamp(first))}, nil
	}
	definitions := []string{aws.ToString(l.TaskDefinition)}
	for _, t := range all {
		if arn := aws.ToString(t.TaskDefinitionArn); !slices.Contains(definitions, arn) {
			definitions = append(definitions, arn)
		}
	}
	for _, arn := range definitions {
		if pinned, err := h.pinned(ctx, arn, past); err != nil || pinned.Wait != "" {
			return pinned, err
		}
	}
	text := fmt.Sprintf("all %d tasks of %s began after %s, when the new version was the live one", len(all), p.Service, stamp(since))
	if p.Revision {
		text += fmt.Sprintf("; %s pins no other", called(definitions[0]))
	}
	return rotation.Result{Text: text}, nil
}

// pinned waits while a task definition, which may be another one than was deployed by now, names something else than the
// live version: its tasks run with that however late they began.
func (h *handler) pinned(ctx context.Context, definition string, past rotation.Past) (rotation.Result, error) {
	arn := past.Fact("preflight", "arn")
	if !secretsManagers(arn) {
		return rotation.Result{}, nil
	}
	out, err := h.define(ctx, definition)
	if err != nil {
		return rotation.Result{}, err
	}
	for _, m := range mentions(out.TaskDefinition, arn) {
		if m.version != "" && m.version != past.Fact("create", "new") || m.version == "" && m.stage != "" && m.stage != "AWSCURRENT" {
			return rotation.Result{Again: rotation.Later, Wait: fmt.Sprintf("%s of %s to read the live version: it names %s", m.where, called(definition), cloud.Line(m.stage+m.version))}, nil
		}
	}
	return rotation.Result{}, nil
}
