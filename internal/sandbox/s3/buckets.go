package s3

import (
	"encoding/xml"
	"regexp"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

var validBucket = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (s *Service) createBucket(r *wire.Request, name string) (any, error) {
	var in struct{ LocationConstraint string }
	if len(r.Body) > 0 && xml.Unmarshal(r.Body, &in) != nil {
		return nil, malformedXML()
	}
	home := in.LocationConstraint
	if home == "" {
		home = "us-east-1"
	}
	switch old := s.buckets[name]; {
	case !validBucket.MatchString(name):
		return nil, refuse(400, "InvalidBucketName", "The specified bucket is not valid.", wire.Field{Name: "BucketName", Value: name})
	case home != r.Region && in.LocationConstraint == "":
		return nil, refuse(400, "IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.")
	case home != r.Region:
		return nil, refuse(400, "IllegalLocationConstraintException", "The "+home+" location constraint is incompatible for the region specific endpoint this request was sent to.")
	case old != nil && old.place.Account != r.Account:
		return nil, refuse(409, "BucketAlreadyExists", "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.", wire.Field{Name: "BucketName", Value: name})
	case old != nil && home != "us-east-1":
		return nil, refuse(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.", wire.Field{Name: "BucketName", Value: name})
	case old == nil:
		s.buckets[name] = newBucket(r.Place, name, r.HTTP.Header.Get("X-Amz-Bucket-Object-Lock-Enabled") == "true", r.At)
	}
	return ok(wire.Field{Name: "Location", Value: "/" + name}), nil
}

func (s *Service) headBucket(_ *wire.Request, b *bucket, _ string) (any, error) {
	return ok(wire.Field{Name: "x-amz-bucket-region", Value: b.place.Region}), nil
}

func (s *Service) getLocation(_ *wire.Request, b *bucket, _ string) (any, error) {
	region := b.place.Region
	if region == "us-east-1" {
		region = ""
	}
	return document("LocationConstraint", struct {
		Region string `xml:",chardata"`
	}{region}), nil
}

func (s *Service) getVersioning(_ *wire.Request, b *bucket, _ string) (any, error) {
	return document("VersioningConfiguration", struct {
		Status string `xml:",omitempty"`
	}{b.versioning}), nil
}

func (s *Service) putVersioning(r *wire.Request, b *bucket, _ string) (any, error) {
	var in struct{ Status string }
	switch err := xml.Unmarshal(r.Body, &in); {
	case err != nil, in.Status != "Enabled" && in.Status != "Suspended":
		return nil, malformedXML()
	case b.locks && in.Status == "Suspended":
		return nil, refuse(409, "InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
	}
	b.versioning = in.Status
	return ok(), nil
}

type lockConfiguration struct {
	ObjectLockEnabled string
	Rule              *lockRule `xml:",omitempty"`
}

type lockRule struct{ DefaultRetention *retentionRule }

func (s *Service) getLock(_ *wire.Request, b *bucket, _ string) (any, error) {
	if !b.locks {
		return nil, refuse(404, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket", wire.Field{Name: "BucketName", Value: b.name})
	}
	c := lockConfiguration{ObjectLockEnabled: "Enabled"}
	if b.rule != nil {
		c.Rule = &lockRule{b.rule}
	}
	return document("ObjectLockConfiguration", c), nil
}

func (s *Service) putLock(r *wire.Request, b *bucket, _ string) (any, error) {
	if !proven(r) {
		return nil, invalidRequest("Missing required header for this request: Content-MD5")
	}
	var in lockConfiguration
	if xml.Unmarshal(r.Body, &in) != nil || in.ObjectLockEnabled != "Enabled" {
		return nil, malformedXML()
	}
	var rule *retentionRule
	if in.Rule != nil {
		rule = in.Rule.DefaultRetention
		if rule == nil || rule.Mode != Governance && rule.Mode != Compliance || (rule.Days > 0) == (rule.Years > 0) {
			return nil, malformedXML()
		}
	}
	if b.versioning != "Enabled" {
		return nil, refuse(409, "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
	}
	b.locks, b.rule = true, rule
	return ok(), nil
}
