package s3

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

type operation struct {
	do     func(*Service, *wire.Request, *bucket, string) (any, error)
	action string // IAM's name where it isn't the operation's
	key    bool   // aims at an object
}

func operations() map[string]operation {
	return map[string]operation{
		"CreateBucket":               {action: "CreateBucket"},
		"HeadBucket":                 {do: (*Service).headBucket, action: "ListBucket"},
		"GetBucketLocation":          {do: (*Service).getLocation},
		"GetBucketVersioning":        {do: (*Service).getVersioning},
		"PutBucketVersioning":        {do: (*Service).putVersioning},
		"GetObjectLockConfiguration": {do: (*Service).getLock, action: "GetBucketObjectLockConfiguration"},
		"PutObjectLockConfiguration": {do: (*Service).putLock, action: "PutBucketObjectLockConfiguration"},
		"ListObjectsV2":              {do: (*Service).listObjects, action: "ListBucket"},
		"ListObjectVersions":         {do: (*Service).listVersions, action: "ListBucketVersions"},
		"PutObject":                  {do: (*Service).putObject, key: true},
		"GetObject":                  {do: (*Service).getObject, key: true},
		"HeadObject":                 {do: (*Service).getObject, action: "GetObject", key: true},
		"DeleteObject":               {do: (*Service).deleteObject, key: true},
		"GetObjectRetention":         {do: (*Service).getRetention, key: true},
		"PutObjectRetention":         {do: (*Service).putRetention, key: true},
		"GetObjectLegalHold":         {do: (*Service).getHold, key: true},
		"PutObjectLegalHold":         {do: (*Service).putHold, key: true},
	}
}

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string {
	var l []string
	for name := range operations() {
		l = append(l, name)
	}
	return l
}

// Name is the operation a request asks for, and "bucket/key". An operation the sandbox doesn't serve is named after
// its method and subresource.
func Name(r *wire.Request) (op, target string) {
	bucketName, key, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/")
	target = bucketName
	sub := subresource(r)
	level := map[string]string{
		"PUT": "CreateBucket", "HEAD": "HeadBucket", "GET ?location": "GetBucketLocation", "GET ?versioning": "GetBucketVersioning",
		"PUT ?versioning": "PutBucketVersioning", "GET ?object-lock": "GetObjectLockConfiguration", "PUT ?object-lock": "PutObjectLockConfiguration",
		"GET ?list-type": "ListObjectsV2", "GET ?versions": "ListObjectVersions",
	}
	if key != "" {
		target += "/" + key
		level = map[string]string{
			"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject",
			"GET ?retention": "GetObjectRetention", "PUT ?retention": "PutObjectRetention",
			"GET ?legal-hold": "GetObjectLegalHold", "PUT ?legal-hold": "PutObjectLegalHold",
		}
	}
	asked := strings.TrimSpace(r.HTTP.Method + " " + sub)
	if name, ok := level[asked]; ok && bucketName != "" && r.HTTP.Header.Get("X-Amz-Copy-Source") == "" {
		return name, target
	}
	return asked, target
}

// subresource is the query parameter that makes another operation of a method.
func subresource(r *wire.Request) string {
	known := map[string]bool{ // parameters that don't
		"versionId": true, "x-id": true, "prefix": true, "delimiter": true, "marker": true, "max-keys": true, "encoding-type": true,
		"continuation-token": true, "start-after": true, "fetch-owner": true, "key-marker": true, "version-id-marker": true,
		"response-content-type": true,
	}
	for _, first := range []string{"versions", "versioning", "object-lock", "retention", "legal-hold", "list-type", "location"} {
		if r.Query.Has(first) {
			return "?" + first
		}
	}
	for name := range r.Query {
		if !known[name] {
			return "?" + name
		}
	}
	return ""
}

// Serve answers one request: an answer, or a *wire.Error.
func (s *Service) Serve(r *wire.Request) (any, error) {
	op, ok := operations()[r.Operation]
	if !ok {
		return nil, notImplemented(r.Operation)
	}
	if err := checkPayload(r); err != nil {
		return nil, err
	}
	name, key, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/")
	if err := permitted(r, op, name, key); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Operation == "CreateBucket" {
		return s.createBucket(r, name)
	}
	b := s.buckets[name]
	switch {
	case b == nil:
		return nil, noBucket(name)
	case r.Region != b.place.Region:
		return nil, wrongRegion(r.Region, b.place.Region)
	case b.place.Account != r.Account:
		return nil, refuse(403, "AccessDenied", "Access Denied")
	}
	if owner := r.HTTP.Header.Get("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != b.place.Account {
		return nil, refuse(403, "AccessDenied", "Access Denied")
	}
	return op.do(s, r, b, key)
}

// permitted asks for every action that IAM wants for the call.
func permitted(r *wire.Request, op operation, bucketName, key string) error {
	action, resource := op.action, "arn:aws:s3:::"+bucketName
	if action == "" {
		action = r.Operation
	}
	if op.key {
		resource += "/" + key
		if r.Query.Get("versionId") != "" && (action == "GetObject" || action == "DeleteObject") {
			action += "Version"
		}
	}
	actions := []string{action}
	for header, more := range map[string]string{"X-Amz-Object-Lock-Mode": "PutObjectRetention", "X-Amz-Object-Lock-Legal-Hold": "PutObjectLegalHold"} {
		if r.Operation == "PutObject" && r.HTTP.Header.Get(header) != "" {
			actions = append(actions, more)
		}
	}
	if bypasses(r) {
		actions = append(actions, "BypassGovernanceRetention")
	}
	for _, a := range actions {
		if err := r.May("s3:"+a, resource); err != nil {
			return err
		}
	}
	return nil
}

func bypasses(r *wire.Request) bool {
	return strings.EqualFold(r.HTTP.Header.Get("X-Amz-Bypass-Governance-Retention"), "true")
}

// An answer is what S3 writes: headers, and a document or bytes.
type answer struct {
	status  int
	headers []wire.Field
	root    string // of the document
	doc     any
	body    []byte
}

func ok(headers ...wire.Field) *answer { return &answer{status: http.StatusOK, headers: headers} }

func document(root string, doc any) *answer {
	return &answer{status: http.StatusOK, root: root, doc: doc}
}

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// Write writes an answer or a refusal as S3 does; a refused HEAD has no document.
func Write(out http.ResponseWriter, in *http.Request, id string, value any, refused *wire.Error) {
	h := out.Header()
	h.Set("X-Amz-Request-Id", strings.ToUpper(strings.ReplaceAll(id, "-", "")[:16]))
	h.Set("X-Amz-Id-2", id)
	h.Set("Server", "AmazonS3")
	a, _ := value.(*answer)
	if refused != nil || a == nil {
		writeRefusal(out, in, refused)
		return
	}
	for _, f := range a.headers {
		h.Set(f.Name, f.Value)
	}
	body := a.body
	if a.doc != nil {
		var buf bytes.Buffer
		buf.WriteString(xml.Header)
		_ = xml.NewEncoder(&buf).EncodeElement(a.doc, xml.StartElement{Name: xml.Name{Space: namespace, Local: a.root}})
		h.Set("Content-Type", "application/xml")
		body = buf.Bytes()
	}
	out.WriteHeader(a.status)
	if in.Method != http.MethodHead {
		_, _ = out.Write(body)
	}
}

func writeRefusal(out http.ResponseWriter, in *http.Request, e *wire.Error) {
	if e == nil {
		e = &wire.Error{Status: 500, Code: "InternalError", Message: "We encountered an internal error. Please try again."}
	}
	for name, values := range e.Header {
		out.Header()[name] = values
	}
	if in.Method == http.MethodHead {
		out.WriteHeader(e.Status)
		return
	}
	var buf bytes.Buffer
	buf.WriteString(xml.Header)
	buf.WriteString("<Error>")
	enc := xml.NewEncoder(&buf)
	fields := append([]wire.Field{{Name: "Code", Value: e.Code}, {Name: "Message", Value: e.Message}}, e.Extra...)
	for _, f := range append(fields, wire.Field{Name: "RequestId", Value: out.Header().Get("X-Amz-Request-Id")}, wire.Field{Name: "HostId", Value: out.Header().Get("X-Amz-Id-2")}) {
		_ = enc.EncodeElement(f.Value, xml.StartElement{Name: xml.Name{Local: f.Name}})
	}
	_ = enc.Flush()
	buf.WriteString("</Error>")
	out.Header().Set("Content-Type", "application/xml")
	out.WriteHeader(e.Status)
	_, _ = out.Write(buf.Bytes())
}
