package s3

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

type prefixDoc struct{ Prefix string }

type content struct {
	Key               string
	LastModified      string
	ETag              string
	ChecksumAlgorithm string
	ChecksumType      string
	Size              int
	StorageClass      string
}

// escape writes a name as the caller asked for it.
func escape(r *wire.Request, name string) string {
	if r.Query.Get("encoding-type") != "url" {
		return name
	}
	return strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(name))
}

func maxKeys(r *wire.Request) (int, error) {
	text := r.Query.Get("max-keys")
	if text == "" {
		return 1000, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, invalidArgument("Provided max-keys not an integer or within integer range", "max-keys", text)
	}
	if n < 0 {
		return 0, invalidArgument("Argument maxKeys must be an integer between 0 and 2147483647", "maxKeys", text)
	}
	return min(n, 1000), nil
}

// group is the common prefix a key falls under; "" when it stands for itself.
func group(key, prefix, delimiter string) string {
	if delimiter == "" {
		return ""
	}
	head, _, found := strings.Cut(key[len(prefix):], delimiter)
	if !found {
		return ""
	}
	return prefix + head + delimiter
}

func (s *Service) listObjects(r *wire.Request, b *bucket, _ string) (any, error) {
	q := r.Query
	limit, err := maxKeys(r)
	if err != nil {
		return nil, err
	}
	if q.Get("list-type") != "2" {
		return nil, notImplemented("list-type")
	}
	out := struct {
		Name, Prefix          string
		Delimiter, StartAfter string `xml:",omitempty"`
		ContinuationToken     string `xml:",omitempty"`
		NextContinuationToken string `xml:",omitempty"`
		KeyCount, MaxKeys     int
		EncodingType          string `xml:",omitempty"`
		IsTruncated           bool
		Contents              []content
		CommonPrefixes        []prefixDoc
	}{
		Name: b.name, Prefix: escape(r, q.Get("prefix")), Delimiter: escape(r, q.Get("delimiter")), StartAfter: escape(r, q.Get("start-after")),
		ContinuationToken: q.Get("continuation-token"), MaxKeys: limit, EncodingType: q.Get("encoding-type"),
	}
	after := q.Get("start-after")
	if q.Has("continuation-token") {
		raw, err := base64.RawURLEncoding.DecodeString(q.Get("continuation-token"))
		if err != nil || len(raw) == 0 {
			return nil, invalidArgument("The continuation token provided is incorrect", "continuation-token", "")
		}
		after = string(raw)
	}
	last, prefix := "", q.Get("prefix")
	for _, key := range b.keys(prefix) {
		o := b.latest(key)
		g := group(key, prefix, q.Get("delimiter"))
		if o.marker || cmp.Or(g, key) <= after || g != "" && g == last {
			continue
		}
		if out.KeyCount == limit {
			out.IsTruncated = limit > 0
			break
		}
		out.KeyCount++
		last = cmp.Or(g, key)
		if g != "" {
			out.CommonPrefixes = append(out.CommonPrefixes, prefixDoc{escape(r, g)})
			continue
		}
		out.Contents = append(out.Contents, content{escape(r, key), stamp(o.modified), o.etag, o.algorithm(), "FULL_OBJECT", len(o.body), "STANDARD"})
	}
	if out.IsTruncated {
		out.NextContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(last))
	}
	return document("ListBucketResult", out), nil
}

func (o *object) algorithm() string {
	return strings.ToUpper(strings.TrimPrefix(o.sums[0].Name, "x-amz-checksum-"))
}

type versionDoc struct {
	Key               string
	VersionID         string `xml:"VersionId"`
	IsLatest          bool
	LastModified      string
	ETag              string `xml:",omitempty"`
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
	Size              *int   `xml:",omitempty"`
	StorageClass      string `xml:",omitempty"`
}

// listVersions lists keys in order, each key's versions newest first; a page begins after the two markers.
func (s *Service) listVersions(r *wire.Request, b *bucket, _ string) (any, error) {
	q := r.Query
	limit, err := maxKeys(r)
	if err != nil {
		return nil, err
	}
	keyMarker, idMarker := q.Get("key-marker"), q.Get("version-id-marker")
	if idMarker != "" && keyMarker == "" {
		return nil, invalidArgument("A version-id marker cannot be specified without a key marker.", "version-id-marker", idMarker)
	}
	out := struct {
		Name, Prefix, KeyMarker, VersionIdMarker string
		NextKeyMarker, NextVersionIdMarker       string `xml:",omitempty"`
		Delimiter                                string `xml:",omitempty"`
		MaxKeys                                  int
		EncodingType                             string `xml:",omitempty"`
		IsTruncated                              bool
		Version, DeleteMarker                    []versionDoc
		CommonPrefixes                           []prefixDoc
	}{
		Name: b.name, Prefix: escape(r, q.Get("prefix")), KeyMarker: escape(r, keyMarker), VersionIdMarker: idMarker,
		Delimiter: escape(r, q.Get("delimiter")), MaxKeys: limit, EncodingType: q.Get("encoding-type"),
	}
	n, last, lastID := 0, "", ""
	for _, l := range b.lines(q.Get("prefix"), q.Get("delimiter"), keyMarker, idMarker) {
		if n == limit {
			out.IsTruncated = limit > 0
			break
		}
		n++
		last, lastID = l.key, l.id
		switch {
		case l.o == nil:
			out.CommonPrefixes = append(out.CommonPrefixes, prefixDoc{escape(r, l.key)})
		case l.o.marker:
			out.DeleteMarker = append(out.DeleteMarker, versionDoc{Key: escape(r, l.key), VersionID: l.id, IsLatest: l.latest, LastModified: stamp(l.o.modified)})
		default:
			size := len(l.o.body)
			out.Version = append(out.Version, versionDoc{escape(r, l.key), l.id, l.latest, stamp(l.o.modified), l.o.etag, l.o.algorithm(), "FULL_OBJECT", &size, "STANDARD"})
		}
	}
	if out.IsTruncated {
		out.NextKeyMarker, out.NextVersionIdMarker = escape(r, last), lastID
	}
	return document("ListVersionsResult", out), nil
}

type line struct {
	key, id string
	latest  bool
	o       *object // nil: a common prefix
}

// lines are all versions and common prefixes after the markers.
func (b *bucket) lines(prefix, delimiter, keyMarker, idMarker string) (l []line) {
	last := ""
	for _, key := range b.keys(prefix) {
		if g := group(key, prefix, delimiter); g != "" {
			if g != last && g > keyMarker {
				l = append(l, line{key: g})
			}
			last = g
			continue
		}
		versions := b.objects[key]
		if key < keyMarker || key == keyMarker && idMarker == "" {
			continue
		}
		from := 0
		if key == keyMarker {
			from = 1 + slices.IndexFunc(versions, func(o *object) bool { return o.version == idMarker })
		}
		for i, o := range versions[from:] {
			l = append(l, line{key, o.version, from+i == 0, o})
		}
	}
	return l
}
