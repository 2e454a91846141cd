package cloud

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/rastup/rekey/internal/rotation"
)

// Codes that Judge knows, as more than one place must tell them apart.
const (
	AccessDenied      = "AccessDeniedException"
	NotFound          = "ResourceNotFoundException"
	InvalidParameter  = "InvalidParameterException"
	InvalidRequest    = "InvalidRequestException"
	ResourceExists    = "ResourceExistsException"
	LimitExceeded     = "LimitExceededException"
	EncryptionFailure = "EncryptionFailure"
	DecryptionFailure = "DecryptionFailure"
)

// definite are the codes by which AWS says no for good: nothing was done, and asking again won't help.
var definite = []string{AccessDenied, "AccessDenied", NotFound, InvalidParameter, InvalidRequest, ResourceExists,
	LimitExceeded, EncryptionFailure, DecryptionFailure, "EncryptionFailureException", "DecryptionFailureException",
	"MalformedPolicyDocumentException", "PreconditionNotMetException", "ValidationException", "ValidationError",
	"NoSuchEntity", "NoSuchBucket",
	"NotFoundException", "DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException", "InvalidArnException",
	"InvalidAliasNameException", "TagException", "UnsupportedOperationException",
	"InvalidParameterValueException", "CodeStorageExceededException",
	"ParameterNotFound", "ParameterMaxVersionLimitExceeded", "ParameterPatternMismatchException", "UnsupportedParameterType",
	"DBInstanceNotFound", "DBClusterNotFoundFault", "InvalidParameterCombination", "InvalidParameterValue",
	"ClusterNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException", "ClientException"}

// carries are the operations that send a value, or an environment, which may hold some. AWS's words about them are left out, but for those in harmless:
// a validation message may quote what it refuses.
var (
	carries  = []string{"PutSecretValue", "CreateSecret", "UpdateSecret", "PutParameter", "ModifyDBInstance", "ModifyDBCluster", "UpdateFunctionConfiguration", "RegisterTaskDefinition"}
	harmless = []string{noKMS, "Access to KMS is not allowed."}
)

const noKMS = "Access to KMS is not allowed"

// Judge says what an error of an SDK call means. A definite refusal of the service becomes a *rotation.Failure;
// everything else (throttling, 5xx, network, expired credentials, no lease, anything unknown) stays an error,
// whose outcome is unknown. Neither holds a response body or anything a value could hide in. doing names what
// was tried: "move AWSCURRENT of \"app/key\"". nil stays nil.
func Judge(err error, doing string) error {
	if err == nil {
		return nil
	}
	var refused *rotation.Failure
	if errors.As(err, &refused) { // the session's role, before the call was made
		return &rotation.Failure{Msg: doing + ": " + refused.Msg, Hint: refused.Hint}
	}
	c := callOf(err)
	if !slices.Contains(definite, c.code) || c.status >= 500 {
		return Unknown(err, doing)
	}
	return &rotation.Failure{Msg: doing + ": " + c.String(), Hint: c.hint()}
}

// Unknown is for a refusal that the caller can't take for definite: a *CallError with the same words as Judge's.
func Unknown(err error, doing string) error {
	var known *CallError
	if errors.As(err, &known) { // of the session's role: how the call itself failed says nothing more
		return &CallError{text: doing + ": " + known.text, cause: err}
	}
	return &CallError{text: doing + ": " + callOf(err).String(), cause: err}
}

// Code is AWS's code in err: "ResourceNotFoundException"; "" when AWS didn't answer with one.
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// A CallError is what may be shown of an error whose outcome is unknown.
type CallError struct {
	text  string
	cause error
}

func (e *CallError) Error() string { return e.text }

// Is tells a refused lease and an ended context; the rest of the cause stays in here, so that nobody prints it.
func (e *CallError) Is(target error) bool {
	return slices.Contains([]error{rotation.ErrNoLease, context.Canceled, context.DeadlineExceeded}, target) && errors.Is(e.cause, target)
}

// call is the part of an SDK error that may be shown.
type call struct {
	operation, code, message, request string
	status                            int
	identity, action, resource        string // of a refused permission
	explicit                          bool   // by a statement that denies it
}

var denied = regexp.MustCompile(`^User: (\S+) is not authorized to perform: ([\w-]+:\w+)(?: on resource: (\S+))?( with an explicit deny)?`)

func callOf(err error) (c call) {
	var op *smithy.OperationError
	if errors.As(err, &op) {
		c.operation = op.OperationName
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		c.status, c.request = response.HTTPStatusCode(), response.ServiceRequestID()
	}
	var api smithy.APIError
	var broken *smithy.DeserializationError
	var unsent *smithyhttp.RequestSendError
	switch {
	case errors.As(err, &api):
		c.code = Line(api.ErrorCode())
		if m := denied.FindStringSubmatch(api.ErrorMessage()); m != nil {
			c.identity, c.action, c.resource = m[1], m[2], m[3]
			c.message = c.identity + " may not " + c.action
			if c.resource != "" {
				c.message += " on " + c.resource
			}
			if c.explicit = m[4] != ""; c.explicit {
				c.message += " (explicit deny)"
			}
		} else if !slices.Contains(carries, c.operation) || slices.Contains(harmless, api.ErrorMessage()) {
			c.message = api.ErrorMessage()
		}
	case errors.As(err, &broken):
		c.message = fmt.Sprintf("the answer (HTTP %d) can't be read", c.status)
	case errors.As(err, &unsent):
		c.message = unsent.Err.Error()
	case op != nil:
		c.message = op.Err.Error()
	default:
		c.message = err.Error()
	}
	c.message = Line(c.message)
	return c
}

func (c call) String() string {
	var parts []string
	for _, p := range []string{c.code, c.message} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	s := strings.Join(parts, ": ")
	if c.operation != "" {
		s = c.operation + " answered " + s
		if c.code == "" {
			s = c.operation + ": " + c.message
		}
	}
	if c.request != "" {
		s += fmt.Sprintf(" (request %s)", Line(c.request))
	}
	return s
}

func (c call) hint() string {
	switch c.code {
	case AccessDenied, "AccessDenied":
		if strings.HasPrefix(c.message, noKMS) {
			return "allow kms:Decrypt and kms:GenerateDataKey on the secret's KMS key, in its key policy too"
		}
		if c.action == "" {
			return "the identity that acts lacks a permission: see the role's policies"
		}
		resource := c.resource
		if resource == "" {
			resource = "the resource"
		}
		if c.explicit {
			return fmt.Sprintf("a policy denies %s on %s to %s explicitly: no other policy can allow it, so change that one", c.action, resource, c.identity)
		}
		return fmt.Sprintf("allow %s on %s for %s", c.action, resource, c.identity)
	case NotFound, "NotFoundException", "ClusterNotFoundException", "ServiceNotFoundException":
		return "check name, region and account"
	case LimitExceeded:
		return "a quota of the account or the secret is used up: see AWS Service Quotas"
	case EncryptionFailure, DecryptionFailure, "EncryptionFailureException", "DecryptionFailureException":
		return "check that the KMS key is enabled, and that kms:Decrypt and kms:GenerateDataKey are allowed on it"
	}
	return ""
}

// Line is s on one line, without control characters, 300 characters at most.
func Line(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:299]) + "…"
	}
	return s
}
