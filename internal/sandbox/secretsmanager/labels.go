package secretsmanager

import (
	"github.com/rastup/rekey/internal/sandbox/wire"
)

// updateSecretVersionStage is a compare-and-swap: a label that some version holds moves only when the caller names
// that version (API reference, UpdateSecretVersionStage).
func (s *Service) updateSecretVersionStage(r *wire.Request) (any, error) {
	var in struct{ SecretId, VersionStage, RemoveFromVersionId, MoveToVersionId string }
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := checkLabels([]string{in.VersionStage}); err != nil {
		return nil, err
	}
	of, err := s.change(r, in.SecretId)
	if err != nil {
		return nil, err
	}
	label, from, to := in.VersionStage, in.RemoveFromVersionId, in.MoveToVersionId
	if err := of.mayMove(label, from, to); err != nil {
		return nil, err
	}
	switch to {
	case "":
		delete(of.labels, label)
	default:
		of.attach(label, to)
	}
	of.changed = r.At
	return named{ARN: of.arn(r.Region), Name: of.name}, nil
}

func (s *secret) mayMove(label, from, to string) error {
	for _, id := range []string{from, to} {
		if id != "" && s.versions[id] == nil {
			return noVersion(id)
		}
	}
	holder, held := s.labels[label]
	switch {
	case from == "" && to == "":
		return wire.Refuse("InvalidParameterException", "You must specify RemoveFromVersionId, MoveToVersionId, or both.")
	case held && from != holder && !(from == "" && to == holder):
		return removeFrom(from, label, holder)
	case !held && from != "":
		return notAttached(label, from)
	case to == "" && label == Current:
		return currentStays()
	case s.labelsWith([]string{label}) > maxLabels:
		return tooManyLabels()
	}
	return nil
}
