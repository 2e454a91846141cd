// Package s3 is an evidence store in an S3 bucket with versioning and Object Lock.
//
// It owns how an object is written once and locked in the same request, and how its oldest version is found
// whatever was written over it or deleted. It must never delete, send an unconditional or unlocked write, bypass
// governance, or put a response's body into an error.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/rastup/rekey/internal/evidence"
)

const (
	maxObject = 256 << 20 // bytes of one object that are read
	maxKept   = 32 << 20  // bytes of all contents that are kept, for a process that opens a chain more than once
)

// Options of a Store. All but Prefix are required.
type Options struct {
	Client *s3.Client
	Bucket string
	Prefix string               // before every name; "" or "some/folder"
	Mode   types.ObjectLockMode // GOVERNANCE or COMPLIANCE
	Retain time.Duration        // how long each object is locked, from Clock
	Clock  func() time.Time
}

// A Store is a bucket, or a folder in one.
type Store struct {
	o      Options
	prefix string

	mu     sync.Mutex
	oldest map[string]string // object name → version ID: an oldest version stays the oldest
	kept   map[version][]byte
	size   int // of kept, bytes
}

// A version never changes: what was read of one needn't be read again.
type version struct{ name, id string }

// New makes a store; it calls nothing. See Check.
func New(o Options) (*Store, error) {
	switch {
	case o.Client == nil || o.Bucket == "" || o.Clock == nil:
		return nil, errors.New("evidence bucket: client, name and clock are required")
	case o.Mode != types.ObjectLockModeGovernance && o.Mode != types.ObjectLockModeCompliance:
		return nil, fmt.Errorf("evidence bucket %s: lock mode %q: GOVERNANCE or COMPLIANCE is wanted", o.Bucket, o.Mode)
	case o.Retain < 24*time.Hour:
		return nil, fmt.Errorf("evidence bucket %s: retention %s: a day at least is wanted", o.Bucket, o.Retain)
	}
	s := &Store{o: o, oldest: map[string]string{}, kept: map[version][]byte{}}
	if p := strings.Trim(o.Prefix, "/"); p != "" {
		s.prefix = p + "/"
	}
	return s, nil
}

// Create sends one conditional, locked PutObject. The SDK's own retry may run into what its first try wrote:
// that is ErrExists, and whoever asked compares the bytes.
func (s *Store) Create(ctx context.Context, name string, data []byte) error {
	sum := sha256.Sum256(data)
	_, err := s.o.Client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:                    &s.o.Bucket,
		Key:                       aws.String(s.prefix + name),
		Body:                      bytes.NewReader(data),
		IfNoneMatch:               aws.String("*"),
		ChecksumAlgorithm:         types.ChecksumAlgorithmSha256, // for a locked object S3 wants it named
		ChecksumSHA256:            aws.String(base64.StdEncoding.EncodeToString(sum[:])),
		ContentType:               aws.String(contentType(name)),
		ObjectLockMode:            s.o.Mode,
		ObjectLockRetainUntilDate: aws.Time(s.o.Clock().Add(s.o.Retain).UTC()),
	}, func(o *s3.Options) {
		// Two conditional writes at once: S3 asks the loser to try again, and then tells it who won.
		o.Retryer = retry.AddWithErrorCodes(o.Retryer, "ConditionalRequestConflict")
	})
	if code(err) == "PreconditionFailed" {
		return fmt.Errorf("%s: %w", s.uri(name), evidence.ErrExists)
	}
	return s.refusal("PutObject", name, err)
}

// Read gets the oldest version by its ID, where it didn't do so before.
func (s *Store) Read(ctx context.Context, name string) ([]byte, error) {
	if data, ok := s.again(name); ok {
		return data, nil
	}
	data, _, id, err := s.read(ctx, name)
	if err == nil {
		s.keep(version{name, id}, data)
	}
	return data, err
}

func (s *Store) again(name string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.oldest[name]
	data, kept := s.kept[version{name, id}]
	return bytes.Clone(data), ok && kept
}

func (s *Store) keep(v version, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, has := s.kept[v]; !has && s.size+len(data) <= maxKept {
		s.kept[v], s.size = bytes.Clone(data), s.size+len(data)
	}
}

// ReadLock gets the oldest version and its lock. S3 shows the lock to those who may s3:GetObjectRetention.
func (s *Store) ReadLock(ctx context.Context, name string) ([]byte, evidence.Lock, error) {
	data, lock, id, err := s.read(ctx, name)
	if err != nil || lock.Mode != "" {
		return data, lock, err
	}
	// Some servers don't show it with the object.
	out, err := s.o.Client.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &s.o.Bucket, Key: aws.String(s.prefix + name), VersionId: &id})
	switch c := code(err); {
	case c == "NoSuchObjectLockConfiguration" || c == "AccessDenied":
		return data, lock, nil
	case err != nil:
		return nil, lock, s.refusal("GetObjectRetention", name, err)
	case out.Retention == nil:
		return data, lock, nil
	}
	return data, evidence.Lock{Mode: string(out.Retention.Mode), Until: aws.ToTime(out.Retention.RetainUntilDate)}, nil
}

func (s *Store) read(ctx context.Context, name string) ([]byte, evidence.Lock, string, error) {
	id, known := s.known(name)
	if known {
		data, lock, err := s.get(ctx, name, id)
		if !missing(err) {
			return data, lock, id, err
		}
		s.forget(name)
	}
	if _, err := s.List(ctx, name); err != nil {
		return nil, evidence.Lock{}, "", err
	}
	if id, known = s.known(name); !known {
		return nil, evidence.Lock{}, "", &Refusal{Op: "GetObject", URI: s.uri(name), Code: "NoSuchKey", Status: 404}
	}
	data, lock, err := s.get(ctx, name, id)
	return data, lock, id, err
}

func (s *Store) get(ctx context.Context, name, version string) ([]byte, evidence.Lock, error) {
	out, err := s.o.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.o.Bucket, Key: aws.String(s.prefix + name), VersionId: &version})
	if err != nil {
		return nil, evidence.Lock{}, s.refusal("GetObject", name, err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(out.Body, maxObject+1))
	if err == nil && len(data) > maxObject {
		err = fmt.Errorf("more than %d bytes", maxObject)
	}
	if err != nil {
		return nil, evidence.Lock{}, fmt.Errorf("read %s: %w", s.uri(name), err)
	}
	return data, evidence.Lock{Mode: string(out.ObjectLockMode), Until: aws.ToTime(out.ObjectLockRetainUntilDate)}, nil
}

func (s *Store) known(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.oldest[name]
	return id, ok
}

func (s *Store) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.oldest, name)
}

func (s *Store) uri(name string) string { return "s3://" + s.o.Bucket + "/" + s.prefix + name }

func contentType(name string) string {
	switch path.Ext(name) {
	case ".json":
		return "application/json"
	case ".jsonl":
		return "application/x-ndjson"
	case ".md":
		return "text/markdown; charset=utf-8"
	case ".txt", ".log":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}
