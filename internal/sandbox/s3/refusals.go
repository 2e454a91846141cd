package s3

import (
	"net/http"
	"strconv"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Refusals as recorded from S3.

func refuse(status int, code, message string, extra ...wire.Field) error {
	return &wire.Error{Status: status, Code: code, Message: message, Extra: extra}
}

func noBucket(name string) error {
	return refuse(404, "NoSuchBucket", "The specified bucket does not exist", wire.Field{Name: "BucketName", Value: name})
}

func noKey(key string, marker *object) error {
	e := &wire.Error{Status: 404, Code: "NoSuchKey", Message: "The specified key does not exist.", Extra: []wire.Field{{Name: "Key", Value: key}}}
	if marker != nil {
		e.Header = http.Header{"X-Amz-Delete-Marker": {"true"}, "X-Amz-Version-Id": {marker.version}}
	}
	return e
}

func noVersion(key, id string) error {
	return refuse(404, "NoSuchVersion", "The specified version does not exist.", wire.Field{Name: "Key", Value: key}, wire.Field{Name: "VersionId", Value: id})
}

func markerNotAllowed(r *wire.Request, o *object, named bool) error {
	e := &wire.Error{Status: 405, Code: "MethodNotAllowed", Message: "The specified method is not allowed against this resource.",
		Extra:  []wire.Field{{Name: "Method", Value: r.HTTP.Method}, {Name: "ResourceType", Value: "DeleteMarker"}},
		Header: http.Header{"X-Amz-Delete-Marker": {"true"}, "Allow": {"DELETE"}}}
	if named {
		e.Header.Set("Last-Modified", o.modified.Format(http.TimeFormat))
		e.Header.Set("X-Amz-Version-Id", o.version)
	}
	return e
}

func preconditionFailed(condition string) error {
	return refuse(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", wire.Field{Name: "Condition", Value: condition})
}

func conditionNotImplemented(header string) error {
	return refuse(501, "NotImplemented", "A header you provided implies functionality that is not implemented",
		wire.Field{Name: "Header", Value: header}, wire.Field{Name: "additionalMessage", Value: "We don't accept the provided value of " + header + " header for this API"})
}

func notImplemented(what string) error {
	return refuse(501, "NotImplemented", "A header you provided implies functionality that is not implemented", wire.Field{Name: "Header", Value: what})
}

func invalidArgument(message, name, value string) error {
	return refuse(400, "InvalidArgument", message, wire.Field{Name: "ArgumentName", Value: name}, wire.Field{Name: "ArgumentValue", Value: value})
}

func invalidRequest(message string) error { return refuse(400, "InvalidRequest", message) }

func malformedXML() error {
	return refuse(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}

func protected() error {
	return refuse(403, "AccessDenied", "Access Denied because object protected by object lock.")
}

func badRange(requested string, size int) error {
	return refuse(416, "InvalidRange", "The requested range is not satisfiable", wire.Field{Name: "RangeRequested", Value: requested}, wire.Field{Name: "ActualObjectSize", Value: strconv.Itoa(size)})
}

func wrongRegion(signed, home string) error {
	return refuse(400, "AuthorizationHeaderMalformed", "The authorization header is malformed; the region '"+signed+"' is wrong; expecting '"+home+"'", wire.Field{Name: "Region", Value: home})
}
