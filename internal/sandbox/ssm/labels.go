package ssm

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// mostLabels is how many one version may have.
const mostLabels = 10

var labelName = regexp.MustCompile(`^[A-Za-z._-][A-Za-z0-9._-]{0,99}$`)

// valid says whether a label meets the requirements (Systems Manager API reference, LabelParameterVersion).
func valid(label string) bool {
	lower := strings.ToLower(label)
	return labelName.MatchString(label) && !strings.HasPrefix(lower, "aws") && !strings.HasPrefix(lower, "ssm")
}

// label moves a label to a version from whichever has it.
func (p *parameter) label(to *version, label string) {
	for _, v := range p.versions {
		v.labels = slices.DeleteFunc(v.labels, func(l string) bool { return l == label })
	}
	to.labels = append(to.labels, label)
}

type labelling struct {
	Name             string
	ParameterVersion int
	Labels           []string
}

// named reads a request about the labels of one version, and finds that.
func (s *Service) named(r *wire.Request) (in labelling, p *parameter, v *version, err error) {
	if err = r.Into(&in); err != nil {
		return in, nil, nil, err
	}
	if err = plainName(in.Name); err != nil {
		return in, nil, nil, err
	}
	if n := len(in.Labels); n < 1 || n > mostLabels {
		return in, nil, nil, wire.Refuse("ValidationException", "1 validation error detected: Value at 'labels' failed to satisfy constraint: Member must have length between 1 and %d, inclusive", mostLabels)
	}
	p, _, err = s.find(r, in.Name)
	switch {
	case err != nil:
		return in, nil, nil, err
	case p == nil:
		return in, nil, nil, wire.Refuse("ParameterNotFound", "Parameter %s not found.", in.Name)
	case in.ParameterVersion == 0:
		return in, p, p.latest(), nil
	}
	if v = p.find(strconv.Itoa(in.ParameterVersion)); v == nil {
		return in, nil, nil, noVersion(p, strconv.Itoa(in.ParameterVersion))
	}
	return in, p, v, nil
}

// labelVersion moves labels. Those that can't be any are in the answer, and nothing is said of them otherwise.
func (s *Service) labelVersion(r *wire.Request) (any, error) {
	in, p, v, err := s.named(r)
	if err != nil {
		return nil, err
	}
	invalid, more := []string{}, map[string]bool{}
	for _, l := range in.Labels {
		if !valid(l) {
			invalid = append(invalid, l)
		} else if !slices.Contains(v.labels, l) {
			more[l] = true
		}
	}
	if len(v.labels)+len(more) > mostLabels {
		return nil, wire.Refuse("ParameterVersionLabelLimitExceeded", "A parameter version can have maximum %d labels.Move one or more labels to another version and try again.", mostLabels)
	}
	for _, l := range in.Labels {
		if valid(l) {
			p.label(v, l)
		}
	}
	return struct {
		InvalidLabels    []string
		ParameterVersion int
	}{invalid, v.number}, nil
}

func (s *Service) unlabelVersion(r *wire.Request) (any, error) {
	in, _, v, err := s.named(r)
	if err != nil {
		return nil, err
	}
	removed, invalid := []string{}, []string{}
	for _, l := range in.Labels {
		if i := slices.Index(v.labels, l); i >= 0 {
			v.labels, removed = slices.Delete(v.labels, i, i+1), append(removed, l)
		} else {
			invalid = append(invalid, l)
		}
	}
	return struct{ RemovedLabels, InvalidLabels []string }{removed, invalid}, nil
}

type historyJSON struct {
	Name, Type, Value, DataType, Tier string
	Version                           int
	Labels                            []string
	LastModifiedDate                  *wire.Epoch
}

// history answers the versions that are kept, oldest first, fifty at a time.
func (s *Service) history(r *wire.Request) (any, error) {
	in := struct {
		Name, NextToken string
		WithDecryption  bool
		MaxResults      int
	}{MaxResults: 50}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	p, _, err := s.find(r, in.Name)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, wire.Refuse("ParameterNotFound", "Parameter %s not found.", in.Name)
	case in.MaxResults < 1 || in.MaxResults > 50:
		return nil, wire.Refuse("ValidationException", "1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must have value between 1 and 50")
	}
	from := max(0, len(p.versions)-keep)
	if in.NextToken != "" {
		raw, _ := base64.RawURLEncoding.DecodeString(in.NextToken) // what can't be decoded is no number
		if from, err = strconv.Atoi(string(raw)); err != nil || from < 0 || from > len(p.versions) {
			return nil, wire.Refuse("InvalidNextToken", "The specified token isn't valid.")
		}
	}
	var out struct {
		Parameters []historyJSON
		NextToken  string `json:",omitempty"`
	}
	out.Parameters = []historyJSON{}
	for _, v := range p.versions[from:min(from+in.MaxResults, len(p.versions))] {
		out.Parameters = append(out.Parameters, historyJSON{p.name, p.kind, p.shown(v, in.WithDecryption), p.data, "Standard", v.number, slices.Clone(v.labels), wire.EpochOf(v.made)})
	}
	if end := from + in.MaxResults; end < len(p.versions) {
		out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(end)))
	}
	return out, nil
}
