package secretsmanager

import (
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// described is DescribeSecret's answer, and a line of ListSecrets with the labels under another name.
type described struct {
	ARN, Name         string
	Description       string              `json:",omitempty"`
	KmsKeyID          string              `json:"KmsKeyId,omitempty"`
	RotationEnabled   *bool               `json:",omitempty"`
	CreatedDate       *wire.Epoch         `json:",omitempty"`
	LastChangedDate   *wire.Epoch         `json:",omitempty"`
	LastAccessedDate  *wire.Epoch         `json:",omitempty"`
	DeletedDate       *wire.Epoch         `json:",omitempty"`
	Tags              *[]Tag              `json:",omitempty"`
	Labels            map[string][]string `json:"VersionIdsToStages,omitempty"`
	ListedLabels      map[string][]string `json:"SecretVersionsToStages,omitempty"`
	OwningService     string              `json:",omitempty"`
	PrimaryRegion     string              `json:",omitempty"`
	ReplicationStatus []Replica           `json:",omitempty"`
}

func (s *secret) describe(region string) described {
	d := described{
		ARN: s.arn(region), Name: s.name, Description: s.description, KmsKeyID: s.key, OwningService: s.owner,
		CreatedDate: wire.EpochOf(s.created), LastChangedDate: wire.EpochOf(s.changed),
		LastAccessedDate: wire.EpochOf(s.accessed), DeletedDate: wire.EpochOf(s.marked), Labels: map[string][]string{},
	}
	if s.tags != nil {
		tags := slices.Clone(s.tags)
		d.Tags = &tags
	}
	if s.rotates {
		on := true
		d.RotationEnabled = &on
	}
	for _, id := range s.labels {
		d.Labels[id] = s.stages(id)
	}
	if len(s.replicas) > 0 {
		d.PrimaryRegion = s.place.Region
		if region == s.place.Region {
			d.ReplicationStatus = slices.Clone(s.replicas)
		}
	}
	return d
}

func (s *Service) describeSecret(r *wire.Request) (any, error) {
	var in struct{ SecretId string }
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	of, err := s.open(r, in.SecretId, false)
	if err != nil {
		return nil, err
	}
	return of.describe(r.Region), nil
}

func (s *Service) tagResource(r *wire.Request) (any, error) {
	var in struct {
		SecretId string
		Tags     []Tag
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	of, err := s.alive(r, in.SecretId, true)
	if err != nil {
		return nil, err
	}
	if err := checkTags(of.tags, in.Tags); err != nil {
		return nil, err
	}
	of.tag(in.Tags)
	of.changed = r.At
	return nil, nil
}

func (s *secret) tag(tags []Tag) {
	for _, t := range tags {
		if i := slices.IndexFunc(s.tags, func(old Tag) bool { return old.Key == t.Key }); i >= 0 {
			s.tags[i].Value = t.Value
			continue
		}
		s.tags = append(s.tags, t)
	}
}

func checkTags(old, tags []Tag) error {
	n := len(old)
	for i, t := range tags {
		same := func(o Tag) bool { return o.Key == t.Key }
		switch {
		case t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256:
			return wire.Refuse("InvalidParameterException", "A tag key must be 1-128 characters long, a tag value at most 256.")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return wire.Refuse("InvalidParameterException", "Tag keys can't begin with aws:.")
		case slices.ContainsFunc(tags[:i], same):
			return wire.Refuse("InvalidParameterException", "Duplicate tag key %s.", t.Key)
		case !slices.ContainsFunc(old, same):
			n++
		}
	}
	if n > maxTags {
		return wire.Refuse("InvalidParameterException", "A secret can't have more than %d tags.", maxTags)
	}
	return nil
}

func (s *Service) untagResource(r *wire.Request) (any, error) {
	var in struct {
		SecretId string
		TagKeys  []string
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	of, err := s.alive(r, in.SecretId, true)
	if err != nil {
		return nil, err
	}
	of.tags = slices.DeleteFunc(of.tags, func(t Tag) bool { return slices.Contains(in.TagKeys, t.Key) })
	of.changed = r.At
	return nil, nil
}

type deletion struct {
	ARN, Name    string
	DeletionDate *wire.Epoch
}

func (s *Service) deleteSecret(r *wire.Request) (any, error) {
	var in struct {
		SecretId                   string
		RecoveryWindowInDays       *int
		ForceDeleteWithoutRecovery bool
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	days := 30
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
	}
	switch {
	case in.ForceDeleteWithoutRecovery && in.RecoveryWindowInDays != nil:
		return nil, wire.Refuse("InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case days < 7 || days > 30:
		return nil, wire.Refuse("InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	of, err := s.change(r, in.SecretId)
	switch {
	case err != nil:
		return nil, err
	case len(of.replicas) > 0:
		return nil, wire.Refuse("InvalidParameterException", "You can't delete secret %s that still has replica regions [%s]", in.SecretId, of.replicas[0].Region)
	}
	of.marked, of.changed = r.At, r.At
	of.gone = r.At.Add(time.Duration(days) * 24 * time.Hour)
	if in.ForceDeleteWithoutRecovery {
		of.gone = r.At
		delete(s.secrets[of.place], of.name)
	}
	return deletion{of.arn(r.Region), of.name, wire.EpochOf(of.gone)}, nil
}

func (s *Service) restoreSecret(r *wire.Request) (any, error) {
	var in struct{ SecretId string }
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	of, err := s.open(r, in.SecretId, true)
	if err != nil {
		return nil, err
	}
	of.marked, of.gone, of.changed = time.Time{}, time.Time{}, r.At
	return named{ARN: of.arn(r.Region), Name: of.name}, nil
}
