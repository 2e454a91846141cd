package secretsmanager

import "github.com/rastup/rekey/internal/sandbox/wire"

// Refusals, word for word as recorded from AWS, except where a comment says otherwise.

func notFound() error {
	return wire.Refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

func noVersion(id string) error {
	return wire.Refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", id)
}

func noLabel(label string) error {
	return wire.Refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %s", label)
}

func mismatch() error {
	return wire.Refuse("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
}

func markedForDeletion() error {
	return wire.Refuse("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
}

func alreadyScheduled() error {
	return wire.Refuse("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
}

func exists(name string) error {
	return wire.Refuse("ResourceExistsException", "The operation failed because the secret %s already exists.", name)
}

func tokenInUse(token, arn string) error {
	return wire.Refuse("ResourceExistsException", "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", token, arn)
}

func tokenMissing() error {
	return wire.Refuse("InvalidRequestException", "You must provide a ClientRequestToken value. We recommend a UUID-type value.")
}

func tokenLength() error {
	return wire.Refuse("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
}

func onReplica() error {
	return wire.Refuse("InvalidRequestException", "Operation not permitted on a replica secret. Call must be made in primary secret's region.")
}

// managed has the API reference's words for InvalidRequestException; AWS's own text is unconfirmed.
func managed() error {
	return wire.Refuse("InvalidRequestException", "The secret is managed by another service, and you must use that service to update it.")
}

func currentStays() error {
	return wire.Refuse("InvalidParameterException", "You can only move staging label AWSCURRENT to a different secret version. It can’t be completely removed.")
}

// removeFrom is recorded for an empty RemoveFromVersionId; for one that names another version the text is
// unconfirmed, the code isn't.
func removeFrom(named, label, holder string) error {
	empty := "can't be empty"
	if named != "" {
		empty = "is incorrect"
	}
	return wire.Refuse("InvalidParameterException", "The parameter RemoveFromVersionId %s. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", empty, label, holder)
}

func notAttached(label, id string) error {
	return wire.Refuse("InvalidParameterException", "Version stage %s not found in version %s", label, id)
}

func tooManyLabels() error {
	return wire.Refuse("LimitExceededException", "The secret can't have more than %d staging labels.", maxLabels)
}

func invalidToken() error {
	return wire.Refuse("InvalidNextTokenException", "The NextToken value is invalid.")
}

// keyDown has the API reference's words for EncryptionFailure and DecryptionFailure.
func keyDown(decrypting bool) error {
	if decrypting {
		return wire.Refuse("DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key.")
	}
	return wire.Refuse("EncryptionFailure", "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the KMS key is available, enabled, and not in an invalid state.")
}

func keyForbidden() error {
	return wire.Refuse("AccessDeniedException", "Access to KMS is not allowed")
}
