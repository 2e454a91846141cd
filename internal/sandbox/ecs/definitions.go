package ecs

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// registrable are the members of RegisterTaskDefinition but tags (Amazon ECS API reference).
var registrable = []string{"containerDefinitions", "cpu", "enableFaultInjection", "ephemeralStorage", "executionRoleArn", "family", "inferenceAccelerators", "ipcMode",
	"memory", "networkMode", "pidMode", "placementConstraints", "proxyConfiguration", "requiresCompatibilities", "runtimePlatform", "taskRoleArn", "volumes"}

// A definition is one revision. It never changes, but may become inactive.
type definition struct {
	family   string
	arn      string
	revision int
	fields   map[string]json.RawMessage // as registered
	from     []string                   // what its tasks read when they start
	tags     []tag
	inactive bool
}

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type credentials struct {
	Parameter string `json:"credentialsParameter"`
}

type logs struct {
	Driver  string   `json:"logDriver"`
	Options []Secret `json:"secretOptions"`
}

type container struct {
	Name        string       `json:"name"`
	Image       string       `json:"image"`
	Memory      int          `json:"memory,omitempty"`
	Reservation int          `json:"memoryReservation,omitempty"`
	Secrets     []Secret     `json:"secrets,omitempty"`
	Logs        *logs        `json:"logConfiguration,omitempty"`
	Repository  *credentials `json:"repositoryCredentials,omitempty"`
	Variables   []Variable   `json:"environment,omitempty"`
}

// register makes the next revision of a family.
func (s *Service) register(p wire.Place, family string, fields map[string]json.RawMessage, containers []container, tags []tag) *definition {
	if s.latest[p] == nil {
		s.latest[p] = map[string]int{}
	}
	s.latest[p][family]++
	n := s.latest[p][family]
	d := &definition{family: family, arn: arnOf(p, "task-definition/"+family+":"+strconv.Itoa(n)), revision: n, fields: fields, tags: tags}
	for _, c := range containers {
		all := c.Secrets
		if c.Logs != nil {
			all = slices.Concat(all, c.Logs.Options)
		}
		for _, secret := range all {
			d.from = append(d.from, secret.ValueFrom)
		}
		if c.Repository != nil {
			d.from = append(d.from, c.Repository.Parameter)
		}
	}
	s.defs[d.arn] = d
	return d
}

func (s *Service) registerTaskDefinition(r *wire.Request) (any, error) {
	var fields map[string]json.RawMessage
	var in struct {
		Family, Memory, ExecutionRoleARN, TaskRoleARN string
		ContainerDefinitions                          []container
		Tags                                          []tag
	}
	if err := r.Into(&fields); err != nil {
		return nil, err
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	delete(fields, "tags")
	for name := range fields {
		if !slices.Contains(registrable, name) {
			return nil, wire.Refuse("InvalidParameterException", "the sandbox doesn't serve RegisterTaskDefinition with %s", name)
		}
	}
	arn := arnOf(r.Place, "task-definition/"+in.Family+":*")
	for _, may := range [][2]string{{"ecs:RegisterTaskDefinition", arn}, {"ecs:TagResource", arn}, {"iam:PassRole", in.ExecutionRoleARN}, {"iam:PassRole", in.TaskRoleARN}} {
		if may[1] == "" || may[0] == "ecs:TagResource" && len(in.Tags) == 0 {
			continue
		}
		if err := r.May(may[0], may[1]); err != nil {
			return nil, err
		}
	}
	switch {
	case in.Family == "":
		return nil, wire.Refuse("ClientException", "Family should not be null or empty.")
	case len(in.ContainerDefinitions) == 0:
		return nil, wire.Refuse("ClientException", "Container list cannot be empty.")
	case len(in.Tags) > 50:
		return nil, wire.Refuse("InvalidParameterException", "The tag list can contain up to 50 tags.")
	}
	for i, t := range in.Tags {
		switch {
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return nil, wire.Refuse("InvalidParameterException", "Tag keys cannot start with the reserved prefix aws:.")
		case slices.ContainsFunc(in.Tags[:i], func(o tag) bool { return o.Key == t.Key }):
			return nil, wire.Refuse("InvalidParameterException", "Duplicate tag keys found.")
		}
	}
	for _, c := range in.ContainerDefinitions {
		switch {
		case c.Name == "":
			return nil, wire.Refuse("ClientException", "Container.name should not be null or empty.")
		case c.Image == "":
			return nil, wire.Refuse("ClientException", "Container.image should not be null or empty.")
		case c.Memory == 0 && c.Reservation == 0 && in.Memory == "":
			return nil, wire.Refuse("ClientException", "Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", c.Name)
		}
	}
	return s.register(r.Place, in.Family, fields, in.ContainerDefinitions, in.Tags).show(true), nil
}

type shownDefinition struct {
	Definition map[string]any `json:"taskDefinition"`
	Tags       []tag          `json:"tags,omitempty"`
}

// show is a definition as registered, with what ECS adds.
func (d *definition) show(tags bool) shownDefinition {
	out := shownDefinition{Definition: map[string]any{"taskDefinitionArn": d.arn, "revision": d.revision, "status": d.status(), "compatibilities": []string{"EC2"}}}
	for name, value := range d.fields {
		out.Definition[name] = value
	}
	if tags {
		out.Tags = d.tags
	}
	return out
}

func (d *definition) status() string {
	if d.inactive {
		return "INACTIVE"
	}
	return "ACTIVE"
}

func (s *Service) describeTaskDefinition(r *wire.Request) (any, error) {
	var in struct {
		TaskDefinition string
		Include        []string
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("ecs:DescribeTaskDefinition", "*"); err != nil {
		return nil, err
	}
	d := s.defined(r.Place, in.TaskDefinition)
	if d == nil {
		return nil, wire.Refuse("ClientException", "Unable to describe task definition.")
	}
	return d.show(slices.Contains(in.Include, "TAGS")), nil
}

// listTaskDefinitions serves those of one family.
func (s *Service) listTaskDefinitions(r *wire.Request) (any, error) {
	var in struct {
		FamilyPrefix, Sort, Status, NextToken string
		MaxResults                            *int
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("ecs:ListTaskDefinitions", "*"); err != nil {
		return nil, err
	}
	if in.FamilyPrefix == "" {
		return nil, wire.Refuse("InvalidParameterException", "the sandbox doesn't serve ListTaskDefinitions without familyPrefix")
	}
	if in.Status == "" {
		in.Status = "ACTIVE"
	}
	var arns []string
	for n := 1; n <= s.latest[r.Place][in.FamilyPrefix]; n++ {
		if d := s.defined(r.Place, in.FamilyPrefix+":"+strconv.Itoa(n)); d.status() == in.Status {
			arns = append(arns, d.arn)
		}
	}
	if in.Sort == "DESC" {
		slices.Reverse(arns)
	}
	var out struct {
		ARNs []string `json:"taskDefinitionArns"`
		Next string   `json:"nextToken,omitempty"`
	}
	var err error
	out.ARNs, out.Next, err = page(arns, in.MaxResults, in.NextToken)
	return out, err
}

// defined finds a task definition by ARN, by family:revision, or the newest of a family.
func (s *Service) defined(p wire.Place, ref string) *definition {
	if !strings.HasPrefix(ref, "arn:") {
		if !strings.Contains(ref, ":") {
			ref += ":" + strconv.Itoa(s.latest[p][ref])
		}
		ref = arnOf(p, "task-definition/"+ref)
	}
	return s.defs[ref]
}
