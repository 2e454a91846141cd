package sandbox

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"

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
	"github.com/rastup/rekey/internal/sandbox/stripe"
	"github.com/rastup/rekey/internal/sandbox/sts"
	"github.com/rastup/rekey/internal/sandbox/typesense"
	"github.com/rastup/rekey/internal/sandbox/wire"
)

// ErrLost, returned from a Fail hook, lets the call have its effect and cuts the connection instead of answering.
var ErrLost = errors.New("the answer is lost")

// maxBody is more than any request the sandbox serves may have.
const maxBody = 64 << 20

// Handler is the one endpoint of all services, as AWS_ENDPOINT_URL wants it.
func (w *World) Handler() http.Handler { return http.HandlerFunc(w.serve) }

func (w *World) serve(out http.ResponseWriter, in *http.Request) {
	if stripe.Mine(in) {
		w.Stripe.ServeHTTP(out, in)
		return
	}
	if typesense.Mine(in) {
		w.Typesense.ServeHTTP(out, in)
		return
	}
	id := w.random.UUID()
	out.Header().Set("Date", w.Now().Format(http.TimeFormat))
	a, signed := readAuthorization(in.Header.Get("Authorization"))
	service := serviceOf(in, a)
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, maxBody))
	if err != nil {
		write(out, service, "", in, id, nil, &wire.Error{Status: 400, Code: "IncompleteBody", Message: "The request body terminated unexpectedly"})
		return
	}
	var who wire.Identity
	var refused *wire.Error
	if !signed && sts.Unsigned(in, body) {
		service = "sts"
	} else if who, refused = w.authenticate(in, service, body, a, signed); refused != nil {
		write(out, service, "", in, id, nil, refused)
		return
	}
	r := &wire.Request{
		Service: service, Who: who, At: w.Now(), HTTP: in, Path: in.URL.Path, Query: in.URL.Query(), Body: body, ID: id,
		Place: wire.Place{Account: accountOf(who.ARN), Region: a.region},
	}
	r.May = func(action, resource string) error { return w.may(service, who, action, resource) }
	target := name(r)
	number, injected := w.arrive(Call{
		At: r.At, Service: service, Operation: r.Operation, Principal: who.ARN, SourceIdentity: who.Source, Tags: maps.Clone(who.Tags), Target: target, Region: a.region,
	})
	answer, err := any(nil), injected
	if err == nil || errors.Is(err, ErrLost) {
		answer, err = w.act(r)
	}
	if err != nil {
		w.answered(number, refusal(err).Code)
	}
	if errors.Is(injected, ErrLost) {
		panic(http.ErrAbortHandler) // net/http's way to cut a connection; the server doesn't log it
	}
	write(out, service, r.Operation, in, id, answer, err)
}

// serviceOf reads the target's prefix, then the scope of the signature; what has neither is S3's. A service that the
// sandbox doesn't know stays what it calls itself, and is refused.
func serviceOf(in *http.Request, a authorization) string {
	prefix, _, _ := strings.Cut(in.Header.Get("X-Amz-Target"), ".")
	switch {
	case prefix == "secretsmanager":
		return "secretsmanager"
	case prefix == "Logs_20140328":
		return "logs"
	case prefix == "TrentService":
		return "kms"
	case prefix == "AmazonEC2ContainerServiceV20141113":
		return "ecs"
	case prefix == "CloudTrail_20131101", prefix == "com": // the CLI says com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101
		return "cloudtrail"
	case a.service != "":
		return a.service
	}
	return "s3"
}

// name fills in the operation and answers what it is aimed at.
func name(r *wire.Request) (target string) {
	switch r.Service {
	case "s3":
		r.Path = bucketPath(r.HTTP.Host, r.Path)
		r.Operation, target = s3.Name(r)
		return target
	case "lambda":
		r.Operation, target = lambda.Name(r)
		return target
	case "sts", "iam", "rds":
		if form, err := url.ParseQuery(string(r.Body)); err == nil {
			r.Query = form
		}
		r.Operation = r.Query.Get("Action")
		switch r.Service {
		case "sts":
			return sts.Target(r)
		case "rds":
			return rds.Target(r)
		}
		return iam.Target(r)
	}
	if r.Service == "monitoring" { // Smithy's RPC v2: /service/NAME/operation/OPERATION
		r.Operation = r.Path[strings.LastIndexByte(r.Path, '/')+1:]
		if body, err := wire.FromCBOR(wire.Unzip(r.HTTP, r.Body)); err == nil {
			r.Body = body
		}
		return cloudwatch.Target(r)
	}
	target = r.HTTP.Header.Get("X-Amz-Target")
	r.Operation = target[strings.LastIndexByte(target, '.')+1:]
	switch r.Service {
	case "kms":
		return kms.Target(r)
	case "cloudtrail":
		return cloudtrail.Target(r)
	case "ecs":
		return ecs.Target(r)
	case "logs":
		return logs.Target(r)
	case "secretsmanager":
		return secretsmanager.Target(r)
	case "ssm":
		return ssm.Target(r)
	}
	return ""
}

// bucketPath turns bucket.HOST/key into /bucket/key: buckets may come before s3.*, localhost or an IP address.
func bucketPath(host, path string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if net.ParseIP(host) != nil {
		return path
	}
	for _, mark := range []string{".s3.", ".s3-", ".localhost", ".127.0.0.1"} {
		if i := strings.Index(host, mark); i > 0 {
			return "/" + host[:i] + path
		}
	}
	return path
}

func (w *World) act(r *wire.Request) (any, error) {
	switch r.Service {
	case "secretsmanager":
		return w.SecretsManager.Serve(r)
	case "kms":
		return w.KMS.Serve(r)
	case "cloudtrail":
		return w.CloudTrail.Serve(r)
	case "logs":
		return w.Logs.Serve(r)
	case "monitoring":
		return w.CloudWatch.Serve(r)
	case "sts":
		return w.STS.Serve(r)
	case "iam":
		return w.IAM.Serve(r)
	case "rds":
		return w.RDS.Serve(r)
	case "lambda":
		return w.Lambda.Serve(r)
	case "ssm":
		return w.SSM.Serve(r)
	case "ecs":
		return w.ECS.Serve(r)
	case "s3":
		return w.S3.Serve(r)
	}
	return nil, wire.Refuse("UnknownOperationException", "the sandbox doesn't serve %s", r.Service)
}

func accountOf(arn string) string {
	if p := strings.Split(arn, ":"); len(p) > 4 {
		return p[4]
	}
	return ""
}

// refusal makes a service's error of any error.
func refusal(err error) *wire.Error {
	var e *wire.Error
	if errors.As(err, &e) {
		return e
	}
	return &wire.Error{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: err.Error()}
}

// Throttled is the refusal of a caller that is too fast, for a Fail hook.
func Throttled(c Call) *Error {
	switch c.Service {
	case "s3":
		return &Error{Status: http.StatusServiceUnavailable, Code: "SlowDown", Message: "Please reduce your request rate."}
	case "rds", "monitoring":
		return wire.Refuse("Throttling", "Rate exceeded")
	case "lambda":
		return &Error{Status: http.StatusTooManyRequests, Code: "TooManyRequestsException", Message: "Rate Exceeded."}
	}
	return wire.Refuse("ThrottlingException", "Rate exceeded")
}

// Broken is an error of the service itself, for a Fail hook.
func Broken(c Call) *Error {
	code := map[string]string{"s3": "InternalError", "secretsmanager": "InternalServiceError", "logs": "ServiceUnavailableException", "kms": "KMSInternalException",
		"lambda": "ServiceException", "ssm": "InternalServerError", "ecs": "ServerException"}[c.Service]
	if code == "" {
		code = "InternalFailure"
	}
	return &Error{Status: http.StatusInternalServerError, Code: code, Message: "We encountered an internal error. Please try again."}
}

func write(out http.ResponseWriter, service, operation string, in *http.Request, id string, answer any, err error) {
	var buf bytes.Buffer
	status := http.StatusOK
	switch service {
	case "s3":
		s3.Write(out, in, id, answer, asError(err))
		return
	case "lambda":
		out.Header().Set("X-Amzn-Requestid", id)
		lambda.Write(out, operation, answer, asError(err))
		return
	case "sts", "iam", "rds":
		out.Header().Set("Content-Type", "text/xml")
		out.Header().Set("X-Amzn-Requestid", id)
		status = wire.WriteQuery(&buf, service, id, answer, asError(err))
	case "monitoring":
		out.Header().Set("Content-Type", "application/cbor")
		out.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		out.Header().Set("X-Amzn-Requestid", id)
		if refused := asError(err); refused != nil {
			out.Header().Set("X-Amzn-Query-Error", refused.Code+";Sender")
		}
		status = wire.WriteCBOR(&buf, answer, asError(err))
	default:
		out.Header().Set("Content-Type", "application/x-amz-json-1.1")
		out.Header().Set("X-Amzn-Requestid", id)
		status = wire.WriteJSON(&buf, service, answer, asError(err))
	}
	out.WriteHeader(status)
	_, _ = out.Write(buf.Bytes()) // a caller that went away needs no answer
}

func asError(err error) *wire.Error {
	if err == nil {
		return nil
	}
	return refusal(err)
}
