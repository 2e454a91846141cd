// Package s3 is Amazon S3 inside the sandbox, as far as evidence needs it: versions, delete markers, Object Lock,
// conditional writes, checksums. It owns buckets and objects and follows recorded answers of S3 where emulators
// differ. It must never let a locked version go, and never accept a header whose meaning it doesn't know
// (copy, encryption by customer's key).
package s3

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Modes of a lock.
const (
	Governance = "GOVERNANCE"
	Compliance = "COMPLIANCE"
)

// Service is S3 of all accounts; bucket names are global. Safe for concurrent use.
type Service struct {
	mu      sync.Mutex
	random  *wire.Random
	buckets map[string]*bucket
}

type bucket struct {
	name       string
	place      wire.Place
	created    time.Time
	versioning string // "", Enabled, Suspended
	locks      bool
	rule       *retentionRule
	objects    map[string][]*object // by key, newest first
}

type retentionRule struct {
	Mode  string
	Days  int `xml:",omitempty"`
	Years int `xml:",omitempty"`
}

type object struct {
	key, version string // version "null" without versioning
	marker       bool
	body         []byte
	etag         string
	sums         []wire.Field // x-amz-checksum-*: the one that was sent, else CRC64NVME
	headers      []wire.Field // Content-Type, x-amz-meta-*
	modified     time.Time
	mode         string
	until        time.Time
	hold         bool
}

// New is a service without a bucket.
func New(r *wire.Random) *Service { return &Service{random: r, buckets: map[string]*bucket{}} }

// latest is the object that a key stands for now, a delete marker too; nil when there is none.
func (b *bucket) latest(key string) *object {
	if l := b.objects[key]; len(l) > 0 {
		return l[0]
	}
	return nil
}

func (b *bucket) version(key, id string) *object {
	i := slices.IndexFunc(b.objects[key], func(o *object) bool { return o.version == id })
	if i < 0 {
		return nil
	}
	return b.objects[key][i]
}

// put makes o what its key stands for.
func (s *Service) put(b *bucket, o *object) {
	o.version = "null"
	if b.versioning == "Enabled" {
		o.version = s.random.Text(32, wire.Letters)
	}
	l := b.objects[o.key]
	if o.version == "null" {
		l = slices.DeleteFunc(slices.Clone(l), func(old *object) bool { return old.version == "null" })
	}
	b.objects[o.key] = append([]*object{o}, l...)
}

func (b *bucket) drop(o *object) {
	l := slices.DeleteFunc(slices.Clone(b.objects[o.key]), func(old *object) bool { return old == o })
	if len(l) == 0 {
		delete(b.objects, o.key)
		return
	}
	b.objects[o.key] = l
}

func (o *object) locked(now time.Time) bool { return o.hold || o.mode != "" && now.Before(o.until) }

// keys are all keys with the prefix, in order.
func (b *bucket) keys(prefix string) []string {
	var l []string
	for k := range b.objects {
		if strings.HasPrefix(k, prefix) {
			l = append(l, k)
		}
	}
	slices.Sort(l)
	return l
}

// A Version is one stored version of a key, or a delete marker.
type Version struct {
	Key, ID  string
	Marker   bool
	Body     []byte
	Modified time.Time
	Mode     string
	Until    time.Time
}

// Versions looks at a bucket without being seen: by key, then newest first. nil when there is no such bucket.
func (s *Service) Versions(bucketName, prefix string) []Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucketName]
	if b == nil {
		return nil
	}
	out := []Version{}
	for _, k := range b.keys(prefix) {
		for _, o := range b.objects[k] {
			out = append(out, Version{o.key, o.version, o.marker, slices.Clone(o.body), o.modified, o.mode, o.until})
		}
	}
	return out
}

// MakeBucket makes a bucket by hand, with versioning and Object Lock when locks is set.
func (s *Service) MakeBucket(p wire.Place, name string, locks bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[name] = newBucket(p, name, locks, now)
}

func newBucket(p wire.Place, name string, locks bool, now time.Time) *bucket {
	b := &bucket{name: name, place: p, created: now, locks: locks, objects: map[string][]*object{}}
	if locks {
		b.versioning = "Enabled"
	}
	return b
}

// PutByHand stores an object as somebody with every right and no condition would, at the given time: for histories
// that must be found suspicious. It answers the version.
func (s *Service) PutByHand(bucketName, key string, body []byte, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucketName]
	if b == nil {
		return ""
	}
	o := &object{key: key, body: slices.Clone(body), etag: etag(body), modified: now, sums: []wire.Field{{Name: "x-amz-checksum-crc64nvme", Value: sum("crc64nvme", body)}}}
	s.put(b, o)
	return o.version
}
