package ssm

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// list answers the parameters below a path, ten at most. Names without a slash are below "/", too.
func (s *Service) list(r *wire.Request) (any, error) {
	var in struct {
		Path, NextToken           string
		Recursive, WithDecryption bool
		MaxResults                *int
		ParameterFilters          []filter
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	size, from := 10, 0
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	if in.NextToken != "" {
		var err error
		if from, err = strconv.Atoi(in.NextToken); err != nil || from < 1 {
			return nil, wire.Refuse("InvalidNextToken", "The specified token isn't valid.")
		}
	}
	switch {
	case !strings.HasPrefix(in.Path, "/"):
		return nil, wire.Refuse("ValidationException", "The parameter path must begin with a slash.")
	case size < 1 || size > 10:
		return nil, wire.Refuse("ValidationException", "1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 10", size)
	}
	if err := r.May("ssm:GetParametersByPath", "arn:aws:ssm:"+r.Region+":"+r.Account+":parameter"+in.Path); err != nil {
		return nil, err
	}
	found, err := s.below(r, in.Path, in.Recursive, in.ParameterFilters)
	if err != nil {
		return nil, err
	}
	var out struct {
		Parameters []parameterJSON
		NextToken  string `json:",omitempty"`
	}
	out.Parameters = []parameterJSON{}
	for _, p := range found[min(from, len(found)):min(from+size, len(found))] {
		out.Parameters = append(out.Parameters, p.show(p.find(""), "arn:aws:ssm:"+r.Region+":"+r.Account+":parameter/"+strings.TrimPrefix(p.name, "/"), in.WithDecryption))
	}
	if from+size < len(found) {
		out.NextToken = strconv.Itoa(from + size)
	}
	return out, nil
}

type filter struct {
	Key, Option string
	Values      []string
}

// below are the parameters of a path that fit, by name.
func (s *Service) below(r *wire.Request, path string, recursive bool, filters []filter) (found []*parameter, err error) {
	for _, f := range filters {
		if f.Key != "Type" { // of those that AWS takes here, the one that is served
			return nil, wire.Refuse("InvalidFilterKey", "The following filter key is not valid: %s.", f.Key)
		}
		if f.Option != "" && f.Option != "Equals" {
			return nil, wire.Refuse("InvalidFilterOption", "The following filter option is not valid: %s.", f.Option)
		}
	}
	path = strings.TrimSuffix(path, "/") + "/"
	for _, name := range slices.Sorted(maps.Keys(s.all[r.Place])) {
		rest, in := strings.CutPrefix("/"+strings.TrimPrefix(name, "/"), path)
		if !in || !recursive && strings.Contains(rest, "/") {
			continue
		}
		p := s.all[r.Place][name]
		if !slices.ContainsFunc(filters, func(f filter) bool { return !slices.Contains(f.Values, p.kind) }) {
			found = append(found, p)
		}
	}
	return found, nil
}
