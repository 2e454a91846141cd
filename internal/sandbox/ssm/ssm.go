// Package ssm is the part of AWS Systems Manager Parameter Store that a pointer needs: one parameter is read and
// overwritten, those of a path are listed, and its versions are listed and labelled. It owns parameters, their versions and
// labels.
//
// An overwrite has no token: each one makes another version, of which a hundred are kept. A label is on one version at a
// time, and moves without a condition. A SecureString is answered as ciphertext unless it is asked for decrypted.
//
// It must never serve what would make a parameter, or change one into another type.
package ssm

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// keep is how many versions of a parameter there are at most; a labelled one isn't dropped for another.
const keep = 100

// A Parameter is one as a person makes it.
type Parameter struct {
	Name     string
	Type     string // default String
	Value    string
	DataType string // default text
	Label    string // moved to the version that this makes; "" none
}

type parameter struct {
	name, kind, data string
	versions         []*version // oldest first, the dropped ones too
}

type version struct {
	number  int
	value   string
	made    time.Time
	labels  []string
	dropped bool
}

// Service is Parameter Store of all accounts and Regions. Safe for concurrent use.
type Service struct {
	mu  sync.Mutex
	all map[wire.Place]map[string]*parameter
}

// New is a service without a parameter.
func New() *Service { return &Service{all: map[wire.Place]map[string]*parameter{}} }

// PutByHand makes a parameter or, as a person would, overwrites it.
func (s *Service) PutByHand(p wire.Place, made Parameter, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if made.Type == "" {
		made.Type = "String"
	}
	if made.DataType == "" {
		made.DataType = "text"
	}
	if s.all[p] == nil {
		s.all[p] = map[string]*parameter{}
	}
	old := s.all[p][made.Name]
	if old == nil {
		old = &parameter{name: made.Name}
		s.all[p][made.Name] = old
	}
	old.kind, old.data = made.Type, made.DataType
	v := old.put(made.Value, now)
	if made.Label != "" {
		old.label(v, made.Label)
	}
}

// LabelByHand moves a label to a version, as a person would.
func (s *Service) LabelByHand(p wire.Place, name, label string, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.all[p][name]; found != nil {
		if v := found.find(strconv.Itoa(number)); v != nil {
			found.label(v, label)
		}
	}
}

func (p *parameter) put(value string, now time.Time) *version {
	if n := len(p.versions) - keep; n >= 0 {
		p.versions[n].dropped = true
	}
	v := &version{number: len(p.versions) + 1, value: value, made: now}
	p.versions = append(p.versions, v)
	return v
}

func (p *parameter) latest() *version { return p.versions[len(p.versions)-1] }

// find is a version by its number or a label; "" is the latest.
func (p *parameter) find(selector string) *version {
	if selector == "" {
		return p.latest()
	}
	for _, v := range p.versions {
		if !v.dropped && (strconv.Itoa(v.number) == selector || slices.Contains(v.labels, selector)) {
			return v
		}
	}
	return nil
}

// Values are those of all versions there ever were of a parameter, oldest first.
func (s *Service) Values(p wire.Place, name string) (values []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.all[p][name]; found != nil {
		for _, v := range found.versions {
			values = append(values, v.value)
		}
	}
	return values
}

// Labelled is the number and the value of the version that a label is on; zero when there is none.
func (s *Service) Labelled(p wire.Place, name, label string) (number int, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.all[p][name]; found != nil {
		if v := found.find(label); v != nil {
			return v.number, v.value
		}
	}
	return 0, ""
}

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string {
	return []string{"GetParameter", "GetParameterHistory", "GetParametersByPath", "LabelParameterVersion", "PutParameter", "UnlabelParameterVersion"}
}

// Target is what the caller names: the parameter.
func Target(r *wire.Request) string {
	var in struct{ Name string }
	_ = json.Unmarshal(r.Body, &in) // Serve refuses it
	return in.Name
}

// Serve answers one request: a value to write as JSON, or a *wire.Error.
func (s *Service) Serve(r *wire.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Operation {
	case "GetParameter":
		return s.get(r)
	case "GetParametersByPath":
		return s.list(r)
	case "PutParameter":
		return s.put(r)
	case "GetParameterHistory":
		return s.history(r)
	case "LabelParameterVersion":
		return s.labelVersion(r)
	case "UnlabelParameterVersion":
		return s.unlabelVersion(r)
	}
	return nil, wire.Refuse("UnknownOperationException", "the sandbox doesn't serve %s", r.Operation)
}

// find is the parameter that the caller names and may act on. A name is an ARN's end, too.
func (s *Service) find(r *wire.Request, name string) (*parameter, string, error) {
	prefix := "arn:aws:ssm:" + r.Region + ":" + r.Account + ":parameter"
	if rest, ok := strings.CutPrefix(name, prefix); ok {
		if name = rest; strings.Count(rest, "/") == 1 {
			name = rest[1:]
		}
	}
	arn := prefix + "/" + strings.TrimPrefix(name, "/")
	if err := r.May("ssm:"+r.Operation, arn); err != nil {
		return nil, "", err
	}
	return s.all[r.Place][name], arn, nil
}

type parameterJSON struct {
	Name, Type, Value, ARN, DataType string
	Version                          int
	Selector                         string `json:",omitempty"`
	LastModifiedDate                 *wire.Epoch
}

// show is a version as it is answered.
func (p *parameter) show(v *version, arn string, decrypted bool) parameterJSON {
	return parameterJSON{p.name, p.kind, p.shown(v, decrypted), arn, p.data, v.number, "", wire.EpochOf(v.made)}
}

// shown is its value.
func (p *parameter) shown(v *version, decrypted bool) string {
	if p.kind == "SecureString" && !decrypted {
		return "AQICAHh" + strings.Repeat("c", 40)
	}
	return v.value
}

func (s *Service) get(r *wire.Request) (any, error) {
	var in struct {
		Name           string
		WithDecryption bool
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	name, selector := in.Name, ""
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') { // after an ARN's last slash, or in a plain name
		name, selector = name[:i], name[i+1:]
	}
	p, arn, err := s.find(r, name)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, wire.Refuse("ParameterNotFound", "")
	}
	v := p.find(selector)
	if v == nil {
		return nil, noVersion(p, selector)
	}
	out := p.show(v, arn, in.WithDecryption)
	if selector != "" {
		out.Selector = ":" + selector
	}
	return struct{ Parameter parameterJSON }{out}, nil
}

func noVersion(p *parameter, selector string) error {
	return wire.Refuse("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", selector, p.name)
}

// plainName refuses an ARN, which only reading operations take (Systems Manager API reference, PutParameter).
func plainName(name string) error {
	if strings.HasPrefix(name, "arn:") {
		return wire.Refuse("ValidationException", "Parameter name: can't be an ARN.")
	}
	return nil
}

func (s *Service) put(r *wire.Request) (any, error) {
	var in struct {
		Name, Value, Type, DataType string
		Overwrite                   bool
		Tags                        []any
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := plainName(in.Name); err != nil {
		return nil, err
	}
	p, _, err := s.find(r, in.Name)
	switch {
	case err != nil:
		return nil, err
	case len(in.Tags) > 0 && in.Overwrite:
		return nil, wire.Refuse("ValidationException", "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case p == nil:
		return nil, wire.Refuse("ValidationException", "the sandbox doesn't serve a PutParameter that makes one")
	case !in.Overwrite:
		return nil, wire.Refuse("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case len(in.Value) == 0 || len(in.Value) > 4096:
		return nil, wire.Refuse("ValidationException", "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier.")
	case in.Type != "" && in.Type != p.kind:
		return nil, wire.Refuse("ValidationException", "the sandbox doesn't serve a PutParameter that changes the type")
	}
	if n := len(p.versions) - keep; n >= 0 && len(p.versions[n].labels) > 0 {
		return nil, wire.Refuse("ParameterMaxVersionLimitExceeded", "You attempted to create a new version of %s by calling the PutParameter API with the overwrite flag. Version %d, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.", p.name, n+1)
	}
	return struct {
		Version int
		Tier    string
	}{p.put(in.Value, r.At).number, "Standard"}, nil
}
