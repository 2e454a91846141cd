package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rastup/rekey/internal/rotation"
)

// A Refusal is S3's answer without its body. fs.ErrNotExist for what isn't there.
type Refusal struct {
	Op, URI, Code string
	Status        int // HTTP
	RequestID     string
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s %s: %s (HTTP %d, request %q)", r.Op, r.URI, r.Code, r.Status, r.RequestID)
}

// Is lets errors.Is find fs.ErrNotExist and fs.ErrPermission.
func (r *Refusal) Is(target error) bool {
	return target == fs.ErrNotExist && (r.Code == "NoSuchKey" || r.Code == "NoSuchVersion") || target == fs.ErrPermission && r.Status == 403
}

// refusal strips the answer of what S3 wrote into it; errors that are no answer stay as they are.
func (s *Store) refusal(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var resp *smithyhttp.ResponseError
	c := code(err)
	if c == "" || !errors.As(err, &resp) {
		return fmt.Errorf("%s %s: %w", op, s.uri(name), err)
	}
	r := &Refusal{Op: op, URI: s.uri(name), Code: c, Status: resp.HTTPStatusCode()}
	var id interface{ ServiceRequestID() string }
	if errors.As(err, &id) {
		r.RequestID = id.ServiceRequestID()
	}
	return r
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// Check asks the bucket whether it can keep evidence: versioning and Object Lock on. What it lacks is a
// *rotation.Failure with what to do.
func (s *Store) Check(ctx context.Context) error {
	v, err := s.o.Client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &s.o.Bucket})
	if code(err) == "NoSuchBucket" {
		return rotation.Failf("create it with Object Lock enabled, or correct evidence.store",
			"evidence bucket %s: there is no such bucket", s.o.Bucket)
	}
	if err != nil {
		return s.refusal("GetBucketVersioning", "", err)
	}
	if v.Status != types.BucketVersioningStatusEnabled {
		return rotation.Failf("enable versioning, then Object Lock: without versions, what is written over is gone",
			"evidence bucket %s: versioning is off", s.o.Bucket)
	}
	l, err := s.o.Client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &s.o.Bucket})
	if err != nil && code(err) != "ObjectLockConfigurationNotFoundError" {
		return s.refusal("GetObjectLockConfiguration", "", err)
	}
	if err != nil || l.ObjectLockConfiguration == nil || l.ObjectLockConfiguration.ObjectLockEnabled != types.ObjectLockEnabledEnabled {
		return rotation.Failf("enable Object Lock on the bucket: without it evidence can be deleted",
			"evidence bucket %s: Object Lock is off", s.o.Bucket)
	}
	return nil
}
