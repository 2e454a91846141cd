package secretsmanager

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// SetEmptyPages puts an empty page with a NextToken before every page of ListSecrets, as AWS is free to do.
func (s *Service) SetEmptyPages(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emptyPages = on
}

type listedVersion struct {
	VersionID        string      `json:"VersionId"`
	VersionStages    []string    `json:",omitempty"`
	CreatedDate      *wire.Epoch `json:",omitempty"`
	LastAccessedDate *wire.Epoch `json:",omitempty"`
	KmsKeyIDs        []string    `json:"KmsKeyIds"`
}

func (s *Service) listSecretVersionIDs(r *wire.Request) (any, error) {
	var in struct {
		SecretId, NextToken string
		MaxResults          *int
		IncludeDeprecated   bool
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	of, err := s.open(r, in.SecretId, false)
	if err != nil {
		return nil, err
	}
	all := []listedVersion{}
	for _, v := range of.ordered() {
		stages := of.stages(v.id)
		if len(stages) > 0 || in.IncludeDeprecated {
			all = append(all, listedVersion{v.id, stages, wire.EpochOf(v.created), wire.EpochOf(v.accessed), []string{cmp.Or(v.key, DefaultKey)}})
		}
	}
	page, next, err := cut(all, in.MaxResults, in.NextToken, "v", false)
	if err != nil {
		return nil, err
	}
	return struct {
		ARN, Name string
		Versions  []listedVersion
		NextToken string `json:",omitempty"`
	}{of.arn(r.Region), of.name, page, next}, nil
}

// ordered are the versions, oldest first.
func (s *secret) ordered() []*version {
	var l []*version
	for _, v := range s.versions {
		l = append(l, v)
	}
	slices.SortFunc(l, func(a, b *version) int { return a.number - b.number })
	return l
}

type filter struct {
	Key    string
	Values []string
}

func (s *Service) listSecrets(r *wire.Request) (any, error) {
	var in struct {
		NextToken              string
		MaxResults             *int
		IncludePlannedDeletion bool
		SortOrder              string
		Filters                []filter
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("secretsmanager:ListSecrets", "*"); err != nil {
		return nil, err
	}
	var found []*secret
	for _, shelf := range []map[string]*secret{s.secrets[r.Place], s.replicas[r.Place]} {
		for _, c := range shelf {
			dead := !c.gone.IsZero() && !r.At.Before(c.gone)
			if dead || !c.marked.IsZero() && !in.IncludePlannedDeletion {
				continue
			}
			fits, err := c.fits(in.Filters)
			if err != nil {
				return nil, err
			}
			if fits {
				found = append(found, c)
			}
		}
	}
	slices.SortFunc(found, func(a, b *secret) int { return a.number - b.number })
	if in.SortOrder == "desc" {
		slices.Reverse(found)
	}
	all := []described{}
	for _, c := range found {
		d := c.describe(r.Region)
		d.Labels, d.ListedLabels, d.ReplicationStatus = nil, d.Labels, nil
		all = append(all, d)
	}
	page, next, err := cut(all, in.MaxResults, in.NextToken, "s", s.emptyPages)
	if err != nil {
		return nil, err
	}
	return struct {
		SecretList []described
		NextToken  string `json:",omitempty"`
	}{page, next}, nil
}

// fits holds a secret against all filters; values are prefixes, "!" turns one around (API reference, Filter).
func (s *secret) fits(filters []filter) (bool, error) {
	for _, f := range filters {
		var texts []string
		switch f.Key {
		case "name":
			texts = []string{s.name}
		case "description":
			texts = []string{s.description}
		case "owning-service":
			texts = []string{s.owner}
		case "primary-region":
			texts = []string{s.place.Region}
		case "tag-key", "tag-value":
			for _, t := range s.tags {
				texts = append(texts, map[string]string{"tag-key": t.Key, "tag-value": t.Value}[f.Key])
			}
		default:
			return false, wire.Refuse("InvalidParameterException", "the sandbox doesn't filter by %q", f.Key)
		}
		hit := slices.ContainsFunc(f.Values, func(v string) bool {
			want, negated := strings.CutPrefix(v, "!")
			return slices.ContainsFunc(texts, func(t string) bool { return strings.HasPrefix(t, want) }) != negated
		})
		if !hit {
			return false, nil
		}
	}
	return true, nil
}

// cut is one page. A token says where the page begins; with empty set every page comes after an empty one.
func cut[T any](all []T, limit *int, token, kind string, empty bool) (page []T, next string, err error) {
	size := 100
	if limit != nil {
		size = *limit
	}
	if size < 1 || size > 100 {
		return nil, "", wire.Refuse("InvalidParameterException", "MaxResults must be between 1 and 100.")
	}
	from, skipped := 0, false
	if token != "" {
		raw, _ := base64.RawURLEncoding.DecodeString(token) // what can't be decoded has no such prefix
		text, ok := strings.CutPrefix(string(raw), kind+":")
		text, skipped = strings.CutSuffix(text, "e")
		var err error
		if from, err = strconv.Atoi(text); err != nil || !ok || from < 0 || from > len(all) {
			return nil, "", invalidToken()
		}
	}
	tokenFor := func(at int, mark string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(kind + ":" + strconv.Itoa(at) + mark))
	}
	if empty && !skipped {
		return []T{}, tokenFor(from, "e"), nil
	}
	to := min(from+size, len(all))
	if to < len(all) {
		next = tokenFor(to, "")
	}
	return all[from:to], next, nil
}
