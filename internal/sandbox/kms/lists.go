package kms

import (
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

type listing struct {
	KeyID, Marker string
	Limit         *int
}

func list(r *wire.Request) (l listing, err error) {
	var in struct {
		KeyId, Marker string
		Limit         *int
	}
	err = r.Into(&in)
	return listing{in.KeyId, in.Marker, in.Limit}, err
}

func (s *Service) listKeys(r *wire.Request) (any, error) {
	in, err := list(r)
	if err != nil {
		return nil, err
	}
	if err := r.May("kms:ListKeys", "*"); err != nil {
		return nil, err
	}
	type line struct {
		KeyID  string `json:"KeyId"`
		KeyArn string
	}
	all := []line{}
	for _, k := range s.ordered(r.Place, r.At) {
		if !r.At.Before(k.created.Add(s.list)) {
			all = append(all, line{k.id, k.arn()})
		}
	}
	some, p, err := cut(all, in.Limit, in.Marker, 100, 1000)
	return struct {
		Keys []line
		page
	}{some, p}, err
}

func (s *Service) listResourceTags(r *wire.Request) (any, error) {
	in, err := list(r)
	if err != nil {
		return nil, err
	}
	k, err := s.own(r, in.KeyID)
	if err != nil {
		return nil, err
	}
	tags := k.tags
	if r.At.Before(k.created.Add(s.list)) {
		tags = nil
	}
	some, p, err := cut(tags, in.Limit, in.Marker, 50, 50)
	return struct {
		Tags []Tag
		page
	}{some, p}, err
}

func (s *Service) listGrants(r *wire.Request) (any, error) {
	in, err := list(r)
	if err != nil {
		return nil, err
	}
	k, err := s.own(r, in.KeyID)
	if err != nil {
		return nil, err
	}
	some, p, err := cut(k.grants, in.Limit, in.Marker, 50, 100)
	return struct {
		Grants []Grant
		page
	}{some, p}, err
}

func (s *Service) tagResource(r *wire.Request) (any, error) {
	var in struct {
		KeyId string
		Tags  []Tag
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	k, err := s.alive(r, in.KeyId)
	if err == nil {
		err = checkTags(k.tags, in.Tags)
	}
	if err != nil {
		return nil, err
	}
	k.tag(in.Tags)
	return nil, nil
}

func (k *key) tag(tags []Tag) {
	for _, t := range tags {
		if i := slices.IndexFunc(k.tags, func(o Tag) bool { return o.TagKey == t.TagKey }); i >= 0 {
			k.tags[i].TagValue = t.TagValue
			continue
		}
		k.tags = append(k.tags, t)
	}
}

func (s *Service) untagResource(r *wire.Request) (any, error) {
	var in struct {
		KeyId   string
		TagKeys []string
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	k, err := s.alive(r, in.KeyId)
	if err != nil {
		return nil, err
	}
	k.tags = slices.DeleteFunc(k.tags, func(t Tag) bool { return slices.Contains(in.TagKeys, t.TagKey) })
	return nil, nil
}

func checkTags(old, tags []Tag) error {
	n := len(old)
	for i, t := range tags {
		same := func(o Tag) bool { return o.TagKey == t.TagKey }
		switch {
		case t.TagKey == "" || len(t.TagKey) > 128 || len(t.TagValue) > 256 || strings.HasPrefix(strings.ToLower(t.TagKey), "aws:"):
			return wire.Refuse("TagException", "Invalid tag key or value")
		case slices.ContainsFunc(tags[:i], same):
			return wire.Refuse("TagException", "Duplicate tag keys")
		case !slices.ContainsFunc(old, same):
			n++
		}
	}
	if n > maxTags {
		return wire.Refuse("TagException", "Too many tags")
	}
	return nil
}

func (s *Service) listAliases(r *wire.Request) (any, error) {
	in, err := list(r)
	if err != nil {
		return nil, err
	}
	if err := r.May("kms:ListAliases", "*"); err != nil {
		return nil, err
	}
	of := ""
	if in.KeyID != "" {
		k, err := s.resolve(r.Place, in.KeyID, r.At)
		if err != nil {
			return nil, err
		}
		of = k.id
	}
	type line struct {
		AliasName, AliasArn string
		TargetKeyID         string `json:"TargetKeyId"`
		CreationDate        *wire.Epoch
		LastUpdatedDate     *wire.Epoch
	}
	all := []line{}
	for _, a := range s.aliases[r.Place] {
		at := a.target
		if a.before != "" && r.At.Before(a.moved.Add(s.list)) {
			at = a.before
		}
		if of == "" && !r.At.Before(a.created.Add(s.list)) || at == of {
			all = append(all, line{a.name, arnOf(r.Place, a.name), at, wire.EpochOf(a.created), wire.EpochOf(a.moved)})
		}
	}
	slices.SortFunc(all, func(a, b line) int { return strings.Compare(a.AliasName, b.AliasName) })
	some, p, err := cut(all, in.Limit, in.Marker, 50, 100)
	return struct {
		Aliases []line
		page
	}{some, p}, err
}

func (s *Service) createAlias(r *wire.Request) (any, error) {
	k, name, err := s.pointing(r)
	if err != nil {
		return nil, err
	}
	switch {
	case !strings.HasPrefix(name, "alias/") || strings.HasPrefix(name, "alias/aws/"):
		return nil, wire.Refuse("InvalidAliasNameException", "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html")
	case s.aliases[r.Place][name] != nil:
		return nil, wire.Refuse("AlreadyExistsException", "An alias with the name %s already exists", arnOf(r.Place, name))
	}
	s.point(r.Place, name, k, r.At)
	return nil, nil
}

func (s *Service) point(p wire.Place, name string, k *key, now time.Time) {
	if s.aliases[p] == nil {
		s.aliases[p] = map[string]*alias{}
	}
	a := s.aliases[p][name]
	if a == nil {
		a = &alias{name: name, created: now}
		s.aliases[p][name] = a
	}
	if a.target != k.id {
		a.before, a.target, a.moved = a.target, k.id, now
	}
}

// pointing reads a request that points an alias at a key, which must not be on its way out.
func (s *Service) pointing(r *wire.Request) (*key, string, error) {
	var in struct{ AliasName, TargetKeyId string }
	if err := r.Into(&in); err != nil {
		return nil, "", err
	}
	if err := r.May("kms:"+r.Operation, arnOf(r.Place, in.AliasName)); err != nil {
		return nil, "", err
	}
	k, err := s.own(r, in.TargetKeyId)
	if err == nil && k.state == PendingDeletion {
		err = pending(k)
	}
	n := 0
	for _, a := range s.aliases[r.Place] {
		if k != nil && a.target == k.id && a.name != in.AliasName {
			n++
		}
	}
	if err == nil && n >= maxAliases {
		err = wire.Refuse("LimitExceededException", "Alias limit exceeded")
	}
	return k, in.AliasName, err
}

func (s *Service) updateAlias(r *wire.Request) (any, error) {
	k, name, err := s.pointing(r)
	if err != nil {
		return nil, err
	}
	a := s.aliases[r.Place][name]
	if a == nil {
		return nil, wire.Refuse("NotFoundException", "Alias %s is not found.", arnOf(r.Place, name))
	}
	was := s.keys[r.Place][a.target]
	if was != nil && !was.gone(r.At) {
		if err := r.May("kms:UpdateAlias", was.arn()); err != nil {
			return nil, err
		}
		if was.usage != k.usage || (was.spec == "SYMMETRIC_DEFAULT") != (k.spec == "SYMMETRIC_DEFAULT") {
			return nil, wire.Refuse("ValidationException", "Alias %s must point to a key of the same type and usage", arnOf(r.Place, name))
		}
	}
	s.point(r.Place, name, k, r.At)
	return nil, nil
}

func (s *Service) deleteAlias(r *wire.Request) (any, error) {
	var in struct{ AliasName string }
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("kms:DeleteAlias", arnOf(r.Place, in.AliasName)); err != nil {
		return nil, err
	}
	if s.aliases[r.Place][in.AliasName] == nil {
		return nil, wire.Refuse("NotFoundException", "Alias %s is not found.", arnOf(r.Place, in.AliasName))
	}
	delete(s.aliases[r.Place], in.AliasName)
	return nil, nil
}
