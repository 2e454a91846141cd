package secretsmanager

import (
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

var validName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`) })

type named struct {
	ARN, Name string
	VersionID string   `json:"VersionId,omitempty"`
	Stages    []string `json:"VersionStages,omitempty"`
}

func (s *Service) createSecret(r *wire.Request) (any, error) {
	var in struct {
		Name, Description, ClientRequestToken string
		KmsKey                                string `json:"KmsKeyId"`
		SecretString                          *string
		SecretBinary                          []byte
		Tags                                  []Tag
		AddReplicaRegions                     []struct{ Region string }
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("secretsmanager:CreateSecret", (&secret{place: r.Place, name: in.Name, suffix: "??????"}).arn(r.Region)); err != nil {
		return nil, err
	}
	if !validName().MatchString(in.Name) {
		return nil, wire.Refuse("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	if len(in.AddReplicaRegions) > 0 {
		return nil, wire.Refuse("InvalidParameterException", "the sandbox makes replicas by hand only: Replicate")
	}
	if err := checkToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return nil, err
	}
	if old, _ := s.find(r.Place, in.Name, r.At); old != nil && old.name == in.Name {
		v := old.versions[in.ClientRequestToken]
		switch {
		case !old.marked.IsZero():
			return nil, alreadyScheduled()
		case old.token == in.ClientRequestToken && v != nil && v.same(in.SecretString, in.SecretBinary):
			return named{ARN: old.arn(r.Region), Name: old.name, VersionID: v.id}, nil
		}
		return nil, exists(in.Name)
	}
	made := s.newSecret(r.Place, in.Name, in.KmsKey, r.At)
	made.description, made.token = in.Description, in.ClientRequestToken
	if len(in.Tags) > 0 {
		made.tags = slices.Clone(in.Tags)
	}
	out := named{ARN: made.arn(r.Region), Name: made.name}
	if in.SecretString != nil || in.SecretBinary != nil {
		v, err := s.newVersion(made, in.ClientRequestToken, in.SecretString, in.SecretBinary, r.At)
		if err != nil {
			return nil, err
		}
		made.attach(Current, v.id)
		out.VersionID = v.id
	}
	s.keepSecret(made)
	return out, nil
}

func (s *Service) newSecret(p wire.Place, name, key string, now time.Time) *secret {
	s.made++
	return &secret{
		place: p, name: name, key: key, suffix: s.random.Text(6, wire.Letters), created: now, changed: now,
		versions: map[string]*version{}, labels: map[string]string{}, number: s.made,
	}
}

func (s *Service) keepSecret(made *secret) {
	if s.secrets[made.place] == nil {
		s.secrets[made.place] = map[string]*secret{}
	}
	s.secrets[made.place][made.name] = made
}

// newVersion checks the value and the key, and adds a version without a label.
func (s *Service) newVersion(to *secret, id string, text *string, binary []byte, now time.Time) (*version, error) {
	switch {
	case text == nil && binary == nil:
		return nil, wire.Refuse("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	case text != nil && binary != nil:
		return nil, wire.Refuse("InvalidParameterException", "You can't specify both a binary secret value and a string secret value in the same secret.")
	case len(binary) > maxValue, text != nil && len(*text) > maxValue:
		return nil, wire.Refuse("InvalidParameterException", "The value of the secret must have a length less than or equal to %d bytes.", maxValue)
	}
	switch s.keys[to.key] {
	case Disabled:
		return nil, keyDown(false)
	case Forbidden:
		return nil, keyForbidden()
	}
	to.versionsMade++
	v := &version{id: id, key: to.key, text: text, binary: binary, created: now, number: to.versionsMade}
	to.versions[id] = v
	to.changed = now
	return v, nil
}

func checkToken(t string) error {
	switch {
	case t == "":
		return tokenMissing()
	case len(t) < 32 || len(t) > 64:
		return tokenLength()
	}
	return nil
}

func (s *Service) putSecretValue(r *wire.Request) (any, error) {
	var in struct {
		SecretId, ClientRequestToken string
		SecretString                 *string
		SecretBinary                 []byte
		VersionStages                []string
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := checkToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	if err := checkLabels(in.VersionStages); err != nil {
		return nil, err
	}
	to, err := s.change(r, in.SecretId)
	if err != nil {
		return nil, err
	}
	if v := to.versions[in.ClientRequestToken]; v != nil {
		if !v.same(in.SecretString, in.SecretBinary) {
			return nil, tokenInUse(v.id, to.arn(r.Region))
		}
		return named{to.arn(r.Region), to.name, v.id, to.stages(v.id)}, nil
	}
	stages := in.VersionStages
	if len(stages) == 0 || len(to.versions) == 0 {
		stages = append(slices.Clone(stages), Current)
	}
	if to.labelsWith(stages) > maxLabels {
		return nil, tooManyLabels()
	}
	v, err := s.newVersion(to, in.ClientRequestToken, in.SecretString, in.SecretBinary, r.At)
	if err != nil {
		return nil, err
	}
	for _, label := range stages {
		to.attach(label, v.id)
	}
	to.prune(r.At)
	return named{to.arn(r.Region), to.name, v.id, to.stages(v.id)}, nil
}

func checkLabels(l []string) error {
	if l != nil && (len(l) == 0 || len(l) > maxLabels) {
		return wire.Refuse("InvalidParameterException", "VersionStages must have between 1 and %d members.", maxLabels)
	}
	for _, label := range l {
		if label == "" || len(label) > 256 {
			return wire.Refuse("InvalidParameterException", "A staging label must be 1-256 characters long.")
		}
	}
	return nil
}

// labelsWith counts the labels there would be.
func (s *secret) labelsWith(more []string) int {
	n := len(s.labels)
	for i, label := range more {
		if _, ok := s.labels[label]; !ok && !slices.Contains(more[:i], label) {
			n++
		}
	}
	return n
}

func (s *Service) getSecretValue(r *wire.Request) (any, error) {
	var in struct{ SecretId, VersionId, VersionStage string }
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	of, err := s.alive(r, in.SecretId, false)
	if err != nil {
		return nil, err
	}
	v, err := of.pick(in.VersionId, in.VersionStage)
	if err != nil {
		return nil, err
	}
	switch s.keys[v.key] {
	case Disabled:
		return nil, keyDown(true)
	case Forbidden:
		return nil, keyForbidden()
	}
	day := r.At.Truncate(24 * time.Hour)
	v.accessed, of.accessed = day, day
	return struct {
		named
		CreatedDate  *wire.Epoch
		SecretString *string `json:",omitempty"`
		SecretBinary []byte  `json:",omitempty"`
	}{named{of.arn(r.Region), of.name, v.id, of.stages(v.id)}, wire.EpochOf(v.created), v.text, v.binary}, nil
}

// pick finds the version by id, by label, or by both when they agree.
func (s *secret) pick(id, label string) (*version, error) {
	if id != "" {
		v := s.versions[id]
		switch {
		case v == nil:
			return nil, noVersion(id)
		case label != "" && s.labels[label] != id:
			return nil, mismatch()
		}
		return v, nil
	}
	if label == "" {
		label = Current
	}
	v := s.versions[s.labels[label]]
	if v == nil {
		return nil, noLabel(label)
	}
	return v, nil
}

func (s *Service) updateSecret(r *wire.Request) (any, error) {
	var in struct {
		SecretId, ClientRequestToken string
		Description, KmsKeyId        *string
		SecretString                 *string
		SecretBinary                 []byte
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := checkToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	to, err := s.change(r, in.SecretId)
	if err != nil {
		return nil, err
	}
	out := named{ARN: to.arn(r.Region), Name: to.name}
	if in.SecretString != nil || in.SecretBinary != nil {
		if v := to.versions[in.ClientRequestToken]; v != nil {
			return nil, tokenInUse(v.id, to.arn(r.Region))
		}
		v, err := s.newVersion(to, in.ClientRequestToken, in.SecretString, in.SecretBinary, r.At)
		if err != nil {
			return nil, err
		}
		to.attach(Current, v.id)
		to.prune(r.At)
		out.VersionID = v.id
	}
	if in.Description != nil {
		to.description = *in.Description
	}
	if in.KmsKeyId != nil {
		to.rekey(*in.KmsKeyId)
	}
	to.changed = r.At
	return out, nil
}

// rekey re-encrypts only the versions with AWS's own labels, as UpdateSecret does.
func (s *secret) rekey(key string) {
	s.key = key
	for _, label := range []string{Current, Pending, Previous} {
		if v := s.versions[s.labels[label]]; v != nil {
			v.key = key
		}
	}
}
