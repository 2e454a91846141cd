package s3

import (
	"encoding/xml"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

type retention struct {
	Mode            string `xml:",omitempty"`
	RetainUntilDate string `xml:",omitempty"`
}

// lockable finds the version a call about locks is about.
func (b *bucket) lockable(r *wire.Request, key string) (*object, error) {
	if !b.locks {
		return nil, invalidRequest("Bucket is missing Object Lock Configuration")
	}
	if o := b.latest(key); o != nil && o.marker && r.Query.Get("versionId") == "" {
		return nil, markerNotAllowed(r, o, false)
	}
	return b.pick(r, key)
}

func (s *Service) getRetention(r *wire.Request, b *bucket, key string) (any, error) {
	o, err := b.lockable(r, key)
	switch {
	case err != nil:
		return nil, err
	case o.mode == "":
		return nil, refuse(404, "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration")
	}
	return document("Retention", retention{o.mode, stamp(o.until)}), nil
}

// putRetention lets a lock grow; it shrinks only under GOVERNANCE, with the bypass.
func (s *Service) putRetention(r *wire.Request, b *bucket, key string) (any, error) {
	if !proven(r) {
		return nil, invalidRequest("Missing required header for this request: Content-MD5")
	}
	o, err := b.lockable(r, key)
	if err != nil {
		return nil, err
	}
	var in retention
	if xml.Unmarshal(r.Body, &in) != nil || (in.Mode == "") != (in.RetainUntilDate == "") || in.Mode != "" && in.Mode != Governance && in.Mode != Compliance {
		return nil, malformedXML()
	}
	var until time.Time
	if in.Mode != "" {
		if until, err = time.Parse(time.RFC3339, in.RetainUntilDate); err != nil {
			return nil, malformedXML()
		}
		if !until.After(r.At) {
			return nil, invalidArgument("The retain until date must be in the future!", "RetainUntilDate", in.RetainUntilDate)
		}
	}
	if o.mode != "" && r.At.Before(o.until) {
		shrinks := until.Before(o.until) || o.mode == Compliance && in.Mode != Compliance
		if shrinks && (o.mode == Compliance || !bypasses(r)) {
			return nil, protected()
		}
	}
	o.mode, o.until = in.Mode, until.UTC()
	return ok(), nil
}

type hold struct{ Status string }

func (s *Service) getHold(r *wire.Request, b *bucket, key string) (any, error) {
	o, err := b.lockable(r, key)
	if err != nil {
		return nil, err
	}
	return document("LegalHold", hold{map[bool]string{true: "ON", false: "OFF"}[o.hold]}), nil
}

func (s *Service) putHold(r *wire.Request, b *bucket, key string) (any, error) {
	if !proven(r) {
		return nil, invalidRequest("Missing required header for this request: Content-MD5")
	}
	o, err := b.lockable(r, key)
	if err != nil {
		return nil, err
	}
	var in hold
	if xml.Unmarshal(r.Body, &in) != nil || in.Status != "ON" && in.Status != "OFF" {
		return nil, malformedXML()
	}
	o.hold = in.Status == "ON"
	return ok(), nil
}
