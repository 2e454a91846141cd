package staging

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/rastup/rekey/internal/rotation"
)

// tagRevoked is how a person says that the credential of a version is revoked where it was issued.
const tagRevoked = "rekey-revoked"

// Handover is the command line by which a person stores the new value so that Await knows it: under the rotation's
// token as its version ID, which nobody else's value can have. The value stays on their machine: it is read from a file.
func Handover(name string) string {
	return "aws secretsmanager put-secret-value --secret-id " + name +
		" --client-request-token {token} --version-stages AWSPENDING --secret-string file://new-value"
}

// Await is Create for a value that a person stores. It only looks, and waits as long as that takes. It records "new".
func (l *Labels) Await(ctx context.Context, past rotation.Past) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	s, err := l.look(ctx, k.arn)
	if err != nil {
		return rotation.Result{}, err
	}
	if at := s.at[Current]; at != k.old {
		return rotation.Result{}, rotation.Failf("store it with --version-stages AWSPENDING: without that, and in the console, a new value is live at once, and unproven",
			"AWSCURRENT of %q was on %s at preflight and is on %s now", called(k.arn), version(k.old), version(at))
	}
	wait := fmt.Sprintf("a person to store the new value of %q", called(k.arn))
	switch at := s.at[Pending]; at {
	case k.token:
		return rotation.Result{Facts: map[string]string{factNew: k.token}, Text: "stored by a person as " + version(k.token) + ", AWSPENDING"}, nil
	case "":
	default: // whatever it is, it wasn't stored for this rotation; storing the right one takes the label from it
		wait += fmt.Sprintf(" as version %s; AWSPENDING is on version %s, which isn't that", k.token, at)
	}
	return rotation.Result{Wait: wait, Again: rotation.Later}, nil
}

// Revoked is the command line by which a person says that the old value is revoked where it was issued.
func Revoked(name string) string {
	return "aws secretsmanager tag-resource --secret-id " + name + " --tags Key=" + tagRevoked + ",Value={token}"
}

// AwaitRevoked waits for a person to say what Revoked says. token is that step's own.
func (l *Labels) AwaitRevoked(ctx context.Context, past rotation.Past, token string) (rotation.Result, error) {
	k, err := recall(past)
	if err != nil {
		return rotation.Result{}, err
	}
	s, err := l.look(ctx, k.arn)
	if err != nil {
		return rotation.Result{}, err
	}
	if s.tags[tagRevoked] != token {
		return rotation.Result{Wait: fmt.Sprintf("a person to revoke the old value where it was issued, and to tag %q", called(k.arn)), Again: rotation.Later}, nil
	}
	return rotation.Result{Text: "a person says that it is revoked where it was issued (tag " + tagRevoked + "); no proof of that can be had here"}, nil
}

// Plausible refuses a new version that can't be what a person meant to store, as far as the old one tells. Refusals are
// *rotation.Failure.
func (l *Labels) Plausible(name string, was, is Content) (text string, err error) {
	if _, err := l.Made(name, "", was, is); err != nil {
		return "", err
	}
	a, b := was.Reveal(), is.Reveal()
	spaced := func(v []byte) bool { return !bytes.Equal(v, bytes.TrimSpace(v)) }
	switch from, to := keys(a), keys(b); {
	case len(b) == 0:
		return "", rotation.Failf(Discarded, "the new value is empty")
	case !is.Binary && spaced(b) && !spaced(a):
		return "", rotation.Failf("store it without the line break that editors put at the end of a file",
			"the new value begins or ends with white space, the old one doesn't")
	case from != nil && to == nil:
		return "", rotation.Failf(Discarded, "the old value is a JSON object, the new one isn't")
	case from != nil && !slices.Equal(from, to):
		return "", rotation.Failf(Discarded, "the new JSON value hasn't the same keys as the old one")
	case from != nil:
		return "differs from the old value and has the same JSON keys", nil
	}
	return "differs from the old value", nil
}

// keys are those of a JSON object, sorted; nil where v is none.
func keys(v []byte) []string {
	var doc map[string]json.RawMessage
	if json.Unmarshal(v, &doc) != nil || doc == nil {
		return nil
	}
	return append([]string{}, slices.Sorted(maps.Keys(doc))...)
}
