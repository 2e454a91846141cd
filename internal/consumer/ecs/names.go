package ecs

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// A mention is one place of a task definition that names the secret.
type mention struct {
	where          string // "web (DB_PASSWORD)"
	stage, version string // as pinned there; "" for the live one
}

// secretsManagers says whether an ARN is a secret's in Secrets Manager: what else there is, task definitions don't name.
func secretsManagers(arn string) bool { return strings.Contains(arn, ":secretsmanager:") }

var suffix = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)

// names says whether a reference is to the secret with this ARN: the ARN, it without the characters that Secrets Manager
// added, or the name; after an ARN, :json-key:stage:version (Amazon ECS developer guide, sensitive data).
func names(ref, arn string) (m mention, ok bool) {
	short := suffix.ReplaceAllString(arn, "")
	bare := short[strings.LastIndexByte(short, ':')+1:]
	parts := strings.Split(ref, ":")
	if len(parts) >= 7 {
		ref = strings.Join(parts[:7], ":")
	}
	if len(parts) == 10 {
		m.stage, m.version = parts[8], parts[9]
	}
	return m, ref == arn || ref == short || ref == bare
}

// A place is where a task definition can name a secret.
type place struct {
	container, what string
	ref             *string // what stands there
}

func (p place) where() string { return p.container + " (" + p.what + ")" }

// places are all of a task definition. Those of variables hold what may be a value itself: it must not leave this package.
func places(d *types.TaskDefinition) (all []place) {
	for _, c := range d.ContainerDefinitions {
		add := func(what string, ref *string) {
			if ref != nil {
				all = append(all, place{cloud.Line(aws.ToString(c.Name)), cloud.Line(what), ref})
			}
		}
		for _, s := range c.Secrets {
			add(aws.ToString(s.Name), s.ValueFrom)
		}
		if c.LogConfiguration != nil {
			for _, s := range c.LogConfiguration.SecretOptions {
				add("log option "+aws.ToString(s.Name), s.ValueFrom)
			}
		}
		if c.RepositoryCredentials != nil {
			add("repository credentials", c.RepositoryCredentials.CredentialsParameter)
		}
		for _, v := range c.Environment { // the program reads it by itself
			add("by name in "+aws.ToString(v.Name), v.Value)
		}
	}
	return all
}

// mentions are all places where a task definition names the secret.
func mentions(d *types.TaskDefinition, arn string) (all []mention) {
	for _, p := range places(d) {
		if m, ok := names(*p.ref, arn); ok {
			m.where = p.where()
			all = append(all, m)
		}
	}
	return all
}

// define looks at a task definition.
func (h *handler) define(ctx context.Context, arn string, include ...types.TaskDefinitionField) (*ecs.DescribeTaskDefinitionOutput, error) {
	out, err := h.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arn, Include: include})
	switch {
	case err != nil:
		return nil, cloud.Judge(err, "look at the task definition "+called(arn))
	case out.TaskDefinition == nil:
		return nil, fmt.Errorf("look at the task definition %s: the answer holds none", called(arn))
	}
	return out, nil
}

// examine refuses a task definition whose tasks wouldn't take up what is live, and says where it names the secret. Of what
// isn't in Secrets Manager no place is asked for.
func (h *handler) examine(ctx context.Context, p Shape, definition string, past rotation.Past) (string, error) {
	out, err := h.define(ctx, definition)
	if err != nil {
		return "", err
	}
	return p.examined(out.TaskDefinition, past)
}

func (s *Shape) examined(d *types.TaskDefinition, past rotation.Past) (string, error) {
	arn, short := past.Fact("preflight", "arn"), called(aws.ToString(d.TaskDefinitionArn))
	switch {
	case !secretsManagers(arn) && s.Revision:
		return "", rotation.Failf("leave revision out", "the registry says revision: true, but the secret isn't in Secrets Manager: no task definition pins a version of it")
	case !secretsManagers(arn):
		return short + " needn't name the secret, which isn't in Secrets Manager", nil
	}
	all := mentions(d, arn)
	var where []string
	pins := false
	for _, m := range all {
		switch {
		case m.stage != "" && m.stage != "AWSCURRENT":
			return "", rotation.Failf("register and deploy a task definition that reads AWSCURRENT, or names no stage",
				"%s of %s reads the stage %s, not AWSCURRENT", m.where, short, cloud.Line(m.stage))
		case m.version != "" && !s.Revision:
			return "", rotation.Failf("write revision: true, and allow ecs:RegisterTaskDefinition, ecs:TagResource, ecs:ListTaskDefinitions and iam:PassRole; or deploy a task definition without the version at the end of valueFrom",
				"%s of %s reads the fixed version %s: a new version needs a new task definition", m.where, short, cloud.Line(m.version))
		case m.version != "" && m.version != past.Fact("preflight", "old") && m.version != past.Fact("create", "new"):
			return "", rotation.Failf("deploy a task definition that reads the live version",
				"%s of %s reads the version %s, which isn't the live one", m.where, short, cloud.Line(m.version))
		}
		pins = pins || m.version != ""
		if !slices.Contains(where, m.where) {
			where = append(where, m.where)
		}
	}
	switch {
	case len(all) == 0 && !s.Revision:
		return "", rotation.Failf("take the service out of the registry's consumers, or have its task definition name the secret",
			"the registry lists the service, but no container of %s names %s: that is drift", short, arn)
	case s.Revision && !pins:
		return "", rotation.Failf("leave revision out: a new deployment of the same task definition does it",
			"the registry says revision: true, but %s pins no version of %s", short, arn)
	case pins:
		return short + " names the secret in " + strings.Join(where, ", ") + " and pins its version: a revision of it will be registered for the new one", nil
	}
	return short + " names the secret in " + strings.Join(where, ", "), nil
}
