package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// An authorization is the Authorization header of Signature Version 4.
type authorization struct {
	key, date, region, service string
	signed                     []string // names of the signed headers
}

// readAuthorization knows AWS4-HMAC-SHA256 in a header and nothing else.
func readAuthorization(h string) (a authorization, ok bool) {
	rest, ok := strings.CutPrefix(h, "AWS4-HMAC-SHA256 ")
	if !ok {
		return a, false
	}
	part := map[string]string{}
	for _, p := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		part[name] = value
	}
	scope := strings.Split(part["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || part["Signature"] == "" {
		return a, false
	}
	a = authorization{scope[0], scope[1], scope[2], scope[3], strings.Split(part["SignedHeaders"], ";")}
	return a, slices.Contains(a.signed, "host")
}

// refusals of a signature, in the words of S3 and of everybody else.
func (w *World) refuseSignature(service, code string) *wire.Error {
	texts := map[string][2]wire.Error{
		"none": {
			{Status: 400, Code: "MissingAuthenticationTokenException", Message: "Missing Authentication Token"},
			{Status: 403, Code: "AccessDenied", Message: "Access Denied"},
		},
		"unknown": {
			{Status: 400, Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."},
			{Status: 403, Code: "InvalidAccessKeyId", Message: "The AWS Access Key Id you provided does not exist in our records."},
		},
		"wrong": {
			{Status: 400, Code: "InvalidSignatureException", Message: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."},
			{Status: 403, Code: "SignatureDoesNotMatch", Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
		},
		"token": {
			{Status: 400, Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."},
			{Status: 400, Code: "InvalidToken", Message: "The provided token is malformed or otherwise invalid."},
		},
		"expired": {
			{Status: 400, Code: "ExpiredTokenException", Message: "The security token included in the request is expired"},
			{Status: 400, Code: "ExpiredToken", Message: "The provided token has expired."},
		},
	}
	e := texts[code][0]
	switch service {
	case "s3":
		e = texts[code][1]
	case "lambda":
		e.Status = http.StatusForbidden
	case "sts", "iam", "rds", "monitoring":
		e.Status = http.StatusForbidden
		e.Code = map[string]string{"none": "MissingAuthenticationToken", "unknown": "InvalidClientTokenId", "wrong": "SignatureDoesNotMatch", "token": "InvalidClientTokenId", "expired": "ExpiredToken"}[code]
	}
	return &e
}

// authenticate finds out who signed r, and that nothing signed was changed on the way.
func (w *World) authenticate(r *http.Request, service string, body []byte, a authorization, ok bool) (wire.Identity, *wire.Error) {
	if !ok {
		return wire.Identity{}, w.refuseSignature(service, "none")
	}
	w.mu.Lock()
	k, known := w.keys[a.key]
	w.mu.Unlock()
	if !known {
		return wire.Identity{}, w.refuseSignature(service, "unknown")
	}
	if subtle.ConstantTimeCompare([]byte(k.token), []byte(r.Header.Get("X-Amz-Security-Token"))) != 1 {
		return wire.Identity{}, w.refuseSignature(service, "token")
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && !slices.Contains(a.signed, strings.ToLower(name)) {
			return wire.Identity{}, w.refuseSignature(service, "wrong")
		}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || a.service != service || at.Format("20060102") != a.date || !a.matches(r, k.secret, payloadHash(r, service, body), at) {
		return wire.Identity{}, w.refuseSignature(service, "wrong")
	}
	if !k.who.Expires.IsZero() && !w.Now().Before(k.who.Expires) {
		return wire.Identity{}, w.refuseSignature(service, "expired")
	}
	return k.who, nil
}

// payloadHash is what stands for the body in the signature. Only S3 lets the header say it; it then holds the body
// against the header.
func payloadHash(r *http.Request, service string, body []byte) string {
	if h := r.Header.Get("X-Amz-Content-Sha256"); service == "s3" && h != "" {
		return h
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// matches signs the same request again, with the headers that were signed and no others.
func (a authorization) matches(r *http.Request, secret, hash string, at time.Time) bool {
	again := &http.Request{Method: r.Method, Host: r.Host, Header: http.Header{}}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	again.URL = &url.URL{Scheme: "http", Host: r.Host, Opaque: "//" + r.Host + path, RawQuery: r.URL.RawQuery}
	for _, name := range a.signed {
		switch values := r.Header.Values(name); {
		case name == "content-length":
			n, err := strconv.ParseInt(r.Header.Get(name), 10, 64)
			if err != nil {
				n = r.ContentLength
			}
			again.ContentLength = n
		case name != "host" && len(values) > 0:
			again.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = a.service == "s3" })
	err := signer.SignHTTP(r.Context(), aws.Credentials{AccessKeyID: a.key, SecretAccessKey: secret}, again, hash, a.service, a.region, at)
	return err == nil && subtle.ConstantTimeCompare([]byte(again.Header.Get("Authorization")), []byte(normal(r.Header.Get("Authorization")))) == 1
}

// normal spaces the header as the SDK for Go does; others leave the blanks out.
func normal(h string) string {
	parts := strings.Split(h, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return strings.Join(parts, ", ")
}
