package s3

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// kept are the headers of a put that come back with the object.
var kept = []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires"}

// understood are the x-amz-* headers of a put that the sandbox gives their meaning, or may ignore.
var understood = []string{
	"X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Expected-Bucket-Owner", "X-Amz-Decoded-Content-Length",
	"X-Amz-Trailer", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date",
	"X-Amz-Object-Lock-Legal-Hold", "X-Amz-Server-Side-Encryption", "X-Amz-User-Agent",
}

func (s *Service) putObject(r *wire.Request, b *bucket, key string) (any, error) {
	for name := range r.HTTP.Header {
		algorithm, isSum := strings.CutPrefix(strings.ToLower(name), "x-amz-checksum-")
		known := slices.Contains(understood, name) || strings.HasPrefix(name, "X-Amz-Meta-") || isSum && slices.Contains(algorithms, algorithm)
		if strings.HasPrefix(name, "X-Amz-") && !known {
			return nil, notImplemented(strings.ToLower(name))
		}
	}
	if len(key) > 1024 {
		return nil, refuse(400, "KeyTooLongError", "Your key is too long")
	}
	o := &object{key: key, body: r.Body, etag: etag(r.Body), modified: r.At, sums: sentSums(r)}
	if len(o.sums) == 0 {
		o.sums = []wire.Field{{Name: "x-amz-checksum-crc64nvme", Value: sum("crc64nvme", r.Body)}}
	}
	for name, values := range r.HTTP.Header {
		if value := strings.TrimPrefix(values[0], "aws-chunked"); value != "" && (slices.Contains(kept, name) || strings.HasPrefix(name, "X-Amz-Meta-")) {
			o.headers = append(o.headers, wire.Field{Name: name, Value: strings.TrimLeft(value, ", ")})
		}
	}
	if err := o.lock(r, b); err != nil {
		return nil, err
	}
	if err := b.mayPut(r, key); err != nil {
		return nil, err
	}
	s.put(b, o)
	out := ok(wire.Field{Name: "ETag", Value: o.etag}, wire.Field{Name: "x-amz-server-side-encryption", Value: "AES256"}, wire.Field{Name: "x-amz-checksum-type", Value: "FULL_OBJECT"})
	out.headers = append(out.headers, o.sums...)
	if b.versioning != "" {
		out.headers = append(out.headers, wire.Field{Name: "x-amz-version-id", Value: o.version})
	}
	return out, nil
}

// mayPut holds the conditions of a write against what the key stands for. A delete marker is nothing.
func (b *bucket) mayPut(r *wire.Request, key string) error {
	absent, match := r.HTTP.Header.Get("If-None-Match"), r.HTTP.Header.Get("If-Match")
	now := b.latest(key)
	there := now != nil && !now.marker
	switch {
	case absent != "" && match != "":
		return conditionNotImplemented("If-Match,If-None-Match")
	case absent != "" && absent != "*":
		return conditionNotImplemented("If-None-Match")
	case match == "*":
		return conditionNotImplemented("If-Match")
	case absent == "*" && there:
		return preconditionFailed("If-None-Match")
	case match != "" && !there:
		return noKey(key, nil)
	case match != "" && strings.Trim(match, `"`) != strings.Trim(now.etag, `"`):
		return preconditionFailed("If-Match")
	}
	return nil
}

// pick finds what a read is about.
func (b *bucket) pick(r *wire.Request, key string) (*object, error) {
	id := r.Query.Get("versionId")
	if id == "" {
		o := b.latest(key)
		if o == nil || o.marker {
			if r.May("s3:ListBucket", "arn:aws:s3:::"+b.name) != nil {
				return nil, refuse(403, "AccessDenied", "Access Denied")
			}
			return nil, noKey(key, o)
		}
		return o, nil
	}
	if err := checkVersionID(id); err != nil {
		return nil, err
	}
	o := b.version(key, id)
	switch {
	case o == nil:
		return nil, noVersion(key, id)
	case o.marker:
		return nil, markerNotAllowed(r, o, true)
	}
	return o, nil
}

func checkVersionID(id string) error {
	if id != "null" && len(id) != 32 {
		return invalidArgument("Invalid version id specified", "versionId", id)
	}
	return nil
}

func (s *Service) getObject(r *wire.Request, b *bucket, key string) (any, error) {
	o, err := b.pick(r, key)
	if err != nil {
		return nil, err
	}
	h := r.HTTP.Header
	if match := h.Get("If-Match"); match != "" && match != "*" && strings.Trim(match, `"`) != strings.Trim(o.etag, `"`) {
		return nil, preconditionFailed("If-Match")
	}
	out := ok(
		wire.Field{Name: "ETag", Value: o.etag}, wire.Field{Name: "Content-Type", Value: "binary/octet-stream"},
		wire.Field{Name: "Last-Modified", Value: o.modified.Format(http.TimeFormat)}, wire.Field{Name: "Accept-Ranges", Value: "bytes"},
		wire.Field{Name: "x-amz-server-side-encryption", Value: "AES256"})
	out.headers = append(out.headers, o.headers...)
	out.headers = append(out.headers, o.lockHeaders()...)
	if b.versioning != "" {
		out.headers = append(out.headers, wire.Field{Name: "x-amz-version-id", Value: o.version})
	}
	if none := h.Get("If-None-Match"); none != "" && (none == "*" || strings.Trim(none, `"`) == strings.Trim(o.etag, `"`)) {
		out.status = http.StatusNotModified
		return out, nil
	}
	from, to, partial, err := readRange(h.Get("Range"), len(o.body))
	if err != nil {
		return nil, err
	}
	if partial {
		out.status = http.StatusPartialContent
		out.headers = append(out.headers, wire.Field{Name: "Content-Range", Value: "bytes " + strconv.Itoa(from) + "-" + strconv.Itoa(to-1) + "/" + strconv.Itoa(len(o.body))})
	}
	if strings.EqualFold(h.Get("X-Amz-Checksum-Mode"), "ENABLED") && to-from == len(o.body) {
		out.headers = append(append(out.headers, o.sums...), wire.Field{Name: "x-amz-checksum-type", Value: "FULL_OBJECT"})
	}
	out.body = o.body[from:to]
	out.headers = append(out.headers, wire.Field{Name: "Content-Length", Value: strconv.Itoa(to - from)})
	return out, nil
}

// readRange reads one byte range. What S3 can't read it ignores; what lies outside it refuses.
func readRange(h string, size int) (from, to int, partial bool, err error) {
	text, ok := strings.CutPrefix(h, "bytes=")
	first, last, dash := strings.Cut(text, "-")
	if !ok || !dash || strings.Contains(text, ",") {
		return 0, size, false, nil
	}
	a, errA := strconv.Atoi(first)
	z, errZ := strconv.Atoi(last)
	switch {
	case first == "" && errZ == nil && z == 0, errA == nil && a >= size && (last == "" || errZ == nil && z >= a):
		return 0, 0, false, badRange(h, size)
	case first == "" && errZ == nil && z > 0:
		return max(size-z, 0), size, true, nil
	case errA == nil && last == "":
		return a, size, true, nil
	case errA == nil && errZ == nil && a <= z:
		return a, min(z+1, size), true, nil
	}
	return 0, size, false, nil
}

func (s *Service) deleteObject(r *wire.Request, b *bucket, key string) (any, error) {
	id := r.Query.Get("versionId")
	if r.HTTP.Header.Get("If-Match") != "" {
		return nil, conditionNotImplemented("If-Match")
	}
	if bypasses(r) && !b.locks {
		return nil, invalidArgument("x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.", "x-amz-bypass-governance-retention", "")
	}
	out := ok()
	out.status = http.StatusNoContent
	if id == "" {
		switch b.versioning {
		case "":
			if o := b.latest(key); o != nil {
				b.drop(o)
			}
		default:
			o := &object{key: key, marker: true, modified: r.At}
			s.put(b, o)
			out.headers = []wire.Field{{Name: "x-amz-delete-marker", Value: "true"}, {Name: "x-amz-version-id", Value: o.version}}
		}
		return out, nil
	}
	if err := checkVersionID(id); err != nil {
		return nil, err
	}
	out.headers = []wire.Field{{Name: "x-amz-version-id", Value: id}}
	o := b.version(key, id)
	if o == nil {
		return out, nil
	}
	if o.locked(r.At) && (o.hold || o.mode == Compliance || !bypasses(r)) {
		return nil, protected()
	}
	if o.marker {
		out.headers = append(out.headers, wire.Field{Name: "x-amz-delete-marker", Value: "true"})
	}
	b.drop(o)
	return out, nil
}

// lock reads the lock of a put, or takes the bucket's default.
func (o *object) lock(r *wire.Request, b *bucket) error {
	h := r.HTTP.Header
	const modeHeader, untilHeader = "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"
	mode, until, hold := h.Get(modeHeader), h.Get(untilHeader), h.Get("X-Amz-Object-Lock-Legal-Hold")
	asked := mode != "" || until != "" || hold != ""
	switch {
	case asked && !b.locks:
		return invalidRequest("Bucket is missing ObjectLockConfiguration")
	case (mode == "") != (until == ""):
		missing := cmp.Or(map[bool]string{true: modeHeader}[mode == ""], untilHeader)
		return invalidArgument("x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied", missing, "")
	case (asked || b.rule != nil) && !proven(r):
		return invalidRequest("Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
	case mode != "" && mode != Governance && mode != Compliance:
		return invalidArgument("Unknown wormMode directive.", modeHeader, mode)
	case hold != "" && hold != "ON" && hold != "OFF":
		return invalidArgument("Legal Hold must be either of 'ON' or 'OFF'", "x-amz-object-lock-legal-hold", hold)
	}
	o.hold = hold == "ON"
	if mode == "" {
		if b.rule != nil {
			o.mode, o.until = b.rule.Mode, r.At.AddDate(b.rule.Years, 0, b.rule.Days)
		}
		return nil
	}
	at, err := time.Parse(time.RFC3339, until)
	switch {
	case err != nil:
		return invalidArgument("The retain until date must be provided in ISO 8601 format", untilHeader, until)
	case !at.After(r.At):
		return invalidArgument("The retain until date must be in the future!", untilHeader, until)
	}
	o.mode, o.until = mode, at.UTC()
	return nil
}

func (o *object) lockHeaders() (l []wire.Field) {
	if o.mode != "" {
		l = append(l, wire.Field{Name: "x-amz-object-lock-mode", Value: o.mode}, wire.Field{Name: "x-amz-object-lock-retain-until-date", Value: stamp(o.until)})
	}
	if o.hold {
		l = append(l, wire.Field{Name: "x-amz-object-lock-legal-hold", Value: "ON"})
	}
	return l
}

// stamp is S3's time in documents: milliseconds, UTC.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
