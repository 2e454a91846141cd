package secretsmanager

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// An operation answers with the lock held.
type operation func(*Service, *wire.Request) (any, error)

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string {
	var l []string
	for name := range operations() {
		l = append(l, name)
	}
	return sorted(l)
}

func operations() map[string]operation {
	return map[string]operation{
		"CreateSecret":             (*Service).createSecret,
		"DescribeSecret":           (*Service).describeSecret,
		"GetSecretValue":           (*Service).getSecretValue,
		"PutSecretValue":           (*Service).putSecretValue,
		"UpdateSecret":             (*Service).updateSecret,
		"UpdateSecretVersionStage": (*Service).updateSecretVersionStage,
		"ListSecretVersionIds":     (*Service).listSecretVersionIDs,
		"ListSecrets":              (*Service).listSecrets,
		"TagResource":              (*Service).tagResource,
		"UntagResource":            (*Service).untagResource,
		"DeleteSecret":             (*Service).deleteSecret,
		"RestoreSecret":            (*Service).restoreSecret,
	}
}

// Target is what the caller names: the secret.
func Target(r *wire.Request) string {
	var in struct{ SecretId, Name string }
	if json.Unmarshal(r.Body, &in) != nil {
		return ""
	}
	return cmp.Or(in.SecretId, in.Name)
}

// Serve answers one request: a value to write as JSON, nil for an empty object, or a *wire.Error.
func (s *Service) Serve(r *wire.Request) (any, error) {
	op, ok := operations()[r.Operation]
	if !ok {
		return nil, wire.Refuse("UnknownOperationException", "the sandbox doesn't serve %s", r.Operation)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return op(s, r)
}

// open looks a secret up for an operation, after asking for the permission to it.
func (s *Service) open(r *wire.Request, ref string, changes bool) (*secret, error) {
	if ref == "" {
		return nil, wire.Refuse("InvalidParameterException", "You must provide a value for the SecretId parameter.")
	}
	found, replica := s.find(r.Place, ref, r.At)
	resource := ref
	if found != nil {
		resource = found.arn(r.Region)
	}
	if err := r.May("secretsmanager:"+r.Operation, resource); err != nil {
		return nil, err
	}
	switch {
	case found == nil:
		return nil, notFound()
	case changes && replica:
		return nil, onReplica()
	}
	return found, nil
}

// alive opens a secret for an operation that one marked for deletion refuses.
func (s *Service) alive(r *wire.Request, ref string, changes bool) (*secret, error) {
	found, err := s.open(r, ref, changes)
	switch {
	case err != nil:
		return nil, err
	case !found.marked.IsZero():
		return nil, markedForDeletion()
	}
	return found, nil
}

// change opens a secret for an operation that alters versions or labels.
func (s *Service) change(r *wire.Request, ref string) (*secret, error) {
	found, err := s.alive(r, ref, true)
	switch {
	case err != nil:
		return nil, err
	case found.owner != "":
		return nil, managed()
	}
	return found, nil
}

func sorted(l []string) []string {
	slices.Sort(l)
	return l
}
