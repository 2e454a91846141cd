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

// mentions are all places where a task definition names the secret.
func mentions(d *types.TaskDefinition, arn string) (all []mention) {
	add := func(c types.ContainerDefinition, what, ref string) {
		if m, ok := names(ref, arn); ok {
			m.where = cloud.Line(aws.ToString(c.Name)) + " (" + cloud.Line(what) + ")"
			all = append(all, m)
		}
	}
	for _, c := range d.ContainerDefinitions {
		for _, s := range c.Secrets {
			add(c, aws.ToString(s.Name), aws.ToString(s.ValueFrom))
		}
		if c.LogConfiguration != nil {
			for _, s := range c.LogConfiguration.SecretOptions {
				add(c, "log option "+aws.ToString(s.Name), aws.ToString(s.ValueFrom))
			}
		}
		if c.RepositoryCredentials != nil {
			add(c, "repository credentials", aws.ToString(c.RepositoryCredentials.CredentialsParameter))
		}
		for _, v := range c.Environment { // the program reads it by itself
			add(c, "by name in "+aws.ToString(v.Name), aws.ToString(v.Value))
		}
	}
	return all
}

// examine refuses a task definition whose tasks wouldn't take up what is live, and says where it names the secret. Of what
// isn't in Secrets Manager no place is asked for.
func (h *handler) examine(ctx context.Context, definition, arn string) (string, error) {
	out, err := h.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &definition})
	short := called(definition)
	switch {
	case err != nil:
		return "", cloud.Judge(err, "look at the task definition "+short)
	case out.TaskDefinition == nil:
		return "", fmt.Errorf("look at the task definition %s: the answer holds none", short)
	case !secretsManagers(arn):
		return short + " needn't name the secret, which isn't in Secrets Manager", nil
	}
	all := mentions(out.TaskDefinition, arn)
	var where []string
	for _, m := range all {
		switch {
		case m.version != "":
			return "", rotation.Failf("register and deploy a task definition without the version at the end of valueFrom: what names one never follows a rotation",
				"%s of %s reads the fixed version %s: a new version needs a new task definition", m.where, short, cloud.Line(m.version))
		case m.stage != "" && m.stage != "AWSCURRENT":
			return "", rotation.Failf("register and deploy a task definition that reads AWSCURRENT, or names no stage",
				"%s of %s reads the stage %s, not AWSCURRENT", m.where, short, cloud.Line(m.stage))
		}
		if !slices.Contains(where, m.where) {
			where = append(where, m.where)
		}
	}
	if len(all) == 0 {
		return "", rotation.Failf("take the service out of the registry's consumers, or have its task definition name the secret",
			"the registry lists the service, but no container of %s names %s: that is drift", short, arn)
	}
	return short + " names the secret in " + strings.Join(where, ", "), nil
}
