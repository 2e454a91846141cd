// Package ssm is the part of AWS Systems Manager Parameter Store that a pointer needs: one parameter is read and
// overwritten, and those of a path are listed. It owns parameters and their versions.
//
// An overwrite has no token: each one makes another version, of which a hundred are kept. A SecureString is answered as
// ciphertext unless it is asked for decrypted.
//
// It must never serve what would make a parameter, or change one into another type.
package ssm

import (
	"encoding/json"
	"slices"
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
	Labelled bool   // its first version has a label
}

type parameter struct {
	Parameter
	version  int
	labelled int // the oldest version with a label; 0: none
	changed  time.Time
	values   []string // of all versions
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
		old = &parameter{}
		s.all[p][made.Name] = old
	}
	old.Parameter = made
	if made.Labelled && old.labelled == 0 {
		old.labelled = old.version + 1
	}
	old.put(made.Value, now)
}

func (p *parameter) put(value string, now time.Time) {
	p.Value, p.version, p.changed, p.values = value, p.version+1, now, append(p.values, value)
}

// Values are those of all versions of a parameter, oldest first.
func (s *Service) Values(p wire.Place, name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.all[p][name]; found != nil {
		return slices.Clone(found.values)
	}
	return nil
}

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string { return []string{"GetParameter", "GetParametersByPath", "PutParameter"} }

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
	LastModifiedDate                 *wire.Epoch
}

func (s *Service) get(r *wire.Request) (any, error) {
	var in struct {
		Name           string
		WithDecryption bool
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	p, arn, err := s.find(r, in.Name)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, wire.Refuse("ParameterNotFound", "")
	}
	return struct{ Parameter parameterJSON }{p.show(arn, in.WithDecryption)}, nil
}

func (p *parameter) show(arn string, decrypted bool) parameterJSON {
	value := p.Value
	if p.Type == "SecureString" && !decrypted {
		value = "AQICAHh" + strings.Repeat("c", 40)
	}
	return parameterJSON{p.Name, p.Type, value, arn, p.DataType, p.version, wire.EpochOf(p.changed)}
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
	case in.Type != "" && in.Type != p.Type:
		return nil, wire.Refuse("ValidationException", "the sandbox doesn't serve a PutParameter that changes the type")
	case p.labelled > 0 && p.version+1-keep >= p.labelled:
		return nil, wire.Refuse("ParameterMaxVersionLimitExceeded", "You attempted to create a new version of %s by calling the PutParameter API with the overwrite flag. Version %d, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.", p.Name, p.labelled)
	}
	p.put(in.Value, r.At)
	return struct {
		Version int
		Tier    string
	}{p.version, "Standard"}, nil
}
