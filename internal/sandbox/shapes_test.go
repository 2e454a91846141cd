package sandbox_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rastup/rekey/internal/sandbox/cloudtrail"
	"github.com/rastup/rekey/internal/sandbox/cloudwatch"
	"github.com/rastup/rekey/internal/sandbox/ecs"
	"github.com/rastup/rekey/internal/sandbox/iam"
	"github.com/rastup/rekey/internal/sandbox/kms"
	"github.com/rastup/rekey/internal/sandbox/lambda"
	"github.com/rastup/rekey/internal/sandbox/logs"
	"github.com/rastup/rekey/internal/sandbox/rds"
	"github.com/rastup/rekey/internal/sandbox/s3"
	"github.com/rastup/rekey/internal/sandbox/secretsmanager"
	"github.com/rastup/rekey/internal/sandbox/ssm"
	"github.com/rastup/rekey/internal/sandbox/sts"
	"github.com/rastup/rekey/internal/sandbox/wire"
)

// An operation is AWS's own description, see testdata/extract.go.
type operation struct {
	Method, URI              string
	Errors, Members, Headers []string
}

var shapes = sync.OnceValues(func() (m map[string]map[string]operation, err error) {
	b, err := os.ReadFile("testdata/shapes.json")
	if err != nil {
		return nil, err
	}
	return m, json.Unmarshal(b, &m)
})

// common are the errors every operation of a service may answer without declaring them: the "Common Errors" page of
// each API reference, and S3's "List of error codes".
var common = map[string][]string{
	"secretsmanager": {"AccessDeniedException", "ExpiredTokenException", "InvalidSignatureException", "MissingAuthenticationTokenException", "SerializationException", "ThrottlingException", "UnknownOperationException", "UnrecognizedClientException", "ValidationException"},
	"logs":           {"AccessDeniedException", "ExpiredTokenException", "InvalidSignatureException", "MissingAuthenticationTokenException", "SerializationException", "ThrottlingException", "UnknownOperationException", "UnrecognizedClientException"},
	"kms":            {"AccessDeniedException", "ExpiredTokenException", "InvalidSignatureException", "MissingAuthenticationTokenException", "SerializationException", "ThrottlingException", "UnknownOperationException", "UnrecognizedClientException", "ValidationException"},
	"cloudtrail":     {"AccessDeniedException", "ExpiredTokenException", "InvalidSignatureException", "MissingAuthenticationTokenException", "SerializationException", "ThrottlingException", "UnknownOperationException", "UnrecognizedClientException", "ValidationException"},
	"ecs":            {"AccessDeniedException", "ExpiredTokenException", "InvalidSignatureException", "MissingAuthenticationTokenException", "SerializationException", "ThrottlingException", "UnknownOperationException", "UnrecognizedClientException", "ValidationException"},
	"sts":            {"AccessDenied", "ExpiredToken", "InvalidAction", "InvalidClientTokenId", "InvalidParameterValue", "MissingAuthenticationToken", "SignatureDoesNotMatch", "ValidationError"},
	"iam":            {"AccessDenied", "ExpiredToken", "InvalidAction", "InvalidClientTokenId", "MissingAuthenticationToken", "SignatureDoesNotMatch", "ValidationError"},
	"rds":            {"AccessDenied", "ExpiredToken", "InvalidAction", "InvalidClientTokenId", "InvalidParameterCombination", "InvalidParameterValue", "MissingAuthenticationToken", "SignatureDoesNotMatch", "Throttling"},
	"monitoring":     {"AccessDenied", "ExpiredToken", "InvalidClientTokenId", "MissingAuthenticationToken", "SignatureDoesNotMatch", "Throttling", "UnknownOperationException", "ValidationError"},
	"lambda":         {"AccessDeniedException", "ExpiredTokenException", "InvalidRequestContentException", "InvalidSignatureException", "MissingAuthenticationTokenException", "UnrecognizedClientException"},
	"ssm":            {"AccessDeniedException", "ExpiredTokenException", "InvalidSignatureException", "MissingAuthenticationTokenException", "SerializationException", "ThrottlingException", "UnknownOperationException", "UnrecognizedClientException", "ValidationException"},
	"s3": {"AccessDenied", "AuthorizationHeaderMalformed", "BadDigest", "BucketAlreadyExists", "BucketAlreadyOwnedByYou", "ConditionalRequestConflict", "ExpiredToken",
		"IllegalLocationConstraintException", "IncompleteBody", "InternalError", "InvalidAccessKeyId", "InvalidArgument", "InvalidBucketName", "InvalidBucketState",
		"InvalidDigest", "InvalidRange", "InvalidRequest", "InvalidToken", "KeyTooLongError", "MalformedXML", "MethodNotAllowed", "NoSuchBucket", "NoSuchKey", "NoSuchObjectLockConfiguration",
		"NoSuchVersion", "NotImplemented", "ObjectLockConfigurationNotFoundError", "PreconditionFailed", "SignatureDoesNotMatch", "SlowDown", "XAmzContentSHA256Mismatch"},
}

// transport headers say nothing about the operation.
var transport = []string{"date", "server", "content-length", "content-type", "x-amz-request-id", "x-amz-id-2", "x-amzn-requestid", "allow", "etag", "last-modified",
	"cache-control", "content-encoding", "smithy-protocol", "x-amzn-query-error", "x-amz-delete-marker", "x-amz-version-id"}

func TestEveryServedOperationExists(t *testing.T) {
	all, err := shapes()
	if err != nil {
		t.Fatal(err)
	}
	for service, served := range map[string][]string{
		"secretsmanager": secretsmanager.Operations(), "s3": s3.Operations(), "logs": logs.Operations(), "sts": sts.Operations(), "iam": iam.Operations(),
		"kms": kms.Operations(), "cloudtrail": cloudtrail.Operations(), "rds": rds.Operations(), "monitoring": cloudwatch.Operations(), "lambda": lambda.Operations(), "ssm": ssm.Operations(), "ecs": ecs.Operations(),
	} {
		for _, op := range served {
			if _, ok := all[service][op]; !ok {
				t.Errorf("%s has no operation %s", service, op)
			}
		}
		if len(served) != len(all[service]) {
			t.Errorf("%s serves %d operations, shapes.json describes %d", service, len(served), len(all[service]))
		}
	}
}

// described holds every answer of h against AWS's description: the operation exists, the refusal is declared for it
// or common, members and headers belong to its output.
func described(t *testing.T, h http.Handler) http.Handler {
	t.Helper()
	all, err := shapes()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		service, op := asked(all, r, body)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
		if d, ok := all[service][op]; ok && r.Method != http.MethodHead {
			for _, problem := range check(service, d, rec) {
				t.Errorf("%s %s: %s", service, op, problem)
			}
		}
	})
}

// asked finds the operation from the request alone, by AWS's description and not by the sandbox's dispatch.
func asked(all map[string]map[string]operation, r *http.Request, body []byte) (service, op string) {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		dot := strings.LastIndexByte(target, '.')
		return map[string]string{"secretsmanager": "secretsmanager", "Logs_20140328": "logs", "TrentService": "kms", "AmazonSSM": "ssm", "AmazonEC2ContainerServiceV20141113": "ecs",
			"CloudTrail_20131101": "cloudtrail", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101": "cloudtrail"}[target[:dot]], target[dot+1:]
	}
	if at, ok := strings.CutPrefix(r.URL.Path, "/service/GraniteServiceVersion20100801/operation/"); ok {
		return "monitoring", at
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Has("Action") {
		return map[string]string{"2011-06-15": "sts", "2010-05-08": "iam", "2014-10-31": "rds"}[form.Get("Version")], form.Get("Action")
	}
	if strings.HasPrefix(r.URL.Path, "/2015-03-31/") {
		return "lambda", rest(all["lambda"], r)
	}
	best := -1
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	for name, d := range all["s3"] {
		path, query, _ := strings.Cut(d.URI, "?")
		fits := d.Method == r.Method && strings.Contains(path, "{Key+}") == (key != "")
		n := 0
		for pair := range strings.SplitSeq(query, "&") {
			k, v, _ := strings.Cut(pair, "=")
			if k == "" || k == "x-id" {
				continue
			}
			fits, n = fits && r.URL.Query().Has(k) && (v == "" || r.URL.Query().Get(k) == v), n+1
		}
		if fits && n > best {
			best, op = n, name
		}
	}
	return "s3", op
}

// rest finds an operation by method and path, whose members in braces stand for one segment.
func rest(ops map[string]operation, r *http.Request) string {
	for name, d := range ops {
		want, got := strings.Split(d.URI, "/"), strings.Split(r.URL.EscapedPath(), "/")
		fits := d.Method == r.Method && len(want) == len(got)
		for i := range want {
			fits = fits && (want[i] == got[i] || strings.HasPrefix(want[i], "{"))
		}
		if fits {
			return name
		}
	}
	return ""
}

func check(service string, d operation, rec *httptest.ResponseRecorder) (problems []string) {
	body := rec.Body.Bytes()
	if service == "monitoring" {
		var err error
		if body, err = wire.FromCBOR(body); err != nil {
			return []string{err.Error()}
		}
	}
	if rec.Code >= 400 {
		code := cmp.Or(rec.Header().Get("X-Amzn-Errortype"), errorCode(body))
		if !slices.Contains(d.Errors, code) && !slices.Contains(common[service], code) {
			return []string{"answers undeclared " + code}
		}
		return nil
	}
	for name := range rec.Header() {
		name = strings.ToLower(name)
		if !slices.Contains(d.Headers, name) && !slices.Contains(transport, name) && !strings.HasPrefix(name, "x-amz-meta-") {
			problems = append(problems, "answers undeclared header "+name)
		}
	}
	members, err := jsonMembers(body, d.Members)
	if slices.Contains([]string{"s3", "sts", "iam", "rds"}, service) {
		if !strings.Contains(rec.Header().Get("Content-Type"), "xml") {
			return problems
		}
		members, err = xmlMembers(rec.Body.Bytes(), service != "s3")
	}
	if err != nil {
		return append(problems, err.Error())
	}
	for _, m := range members {
		if !slices.Contains(d.Members, m) {
			problems = append(problems, "answers undeclared member "+m)
		}
	}
	return problems
}

func errorCode(body []byte) string {
	var j struct {
		Type string `json:"__type"`
	}
	if json.Unmarshal(body, &j) == nil {
		return j.Type
	}
	var x struct {
		Code  string
		Error struct{ Code string }
	}
	if xml.Unmarshal(body, &x) != nil {
		return "no error document"
	}
	return x.Code + x.Error.Code
}

// jsonMembers are the dotted paths of a document; keys of what is described as a map become *.
func jsonMembers(body []byte, known []string) (paths []string, err error) {
	var doc any
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	var walk func(v any, path string)
	walk = func(v any, path string) {
		switch v := v.(type) {
		case map[string]any:
			for k, inner := range v {
				here := strings.TrimPrefix(path+"."+k, ".")
				if star := path + ".*"; slices.Contains(known, star) {
					here = star
				}
				paths = append(paths, here)
				walk(inner, here)
			}
		case []any:
			for _, inner := range v {
				walk(inner, path)
			}
		}
	}
	walk(doc, "")
	return paths, nil
}

// xmlMembers are the dotted paths below the root; of query services, below the result.
func xmlMembers(body []byte, query bool) (paths []string, err error) {
	dec := xml.NewDecoder(bytes.NewReader(body))
	var stack []string
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return paths, nil
		}
		if err != nil {
			return nil, err
		}
		switch e := token.(type) {
		case xml.StartElement:
			stack = append(stack, e.Name.Local)
			skip := 1
			if query {
				skip = 2
			}
			if len(stack) > skip && stack[1] != "ResponseMetadata" {
				var inner []string
				for i, name := range stack[skip:] {
					if query && (name == "member" || i > 0 && name+"s" == stack[skip+i-1]) { // an element of a list
						continue
					}
					inner = append(inner, name)
				}
				if len(inner) > 0 {
					paths = append(paths, strings.Join(inner, "."))
				}
			}
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		}
	}
}
