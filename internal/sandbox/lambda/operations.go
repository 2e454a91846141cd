package lambda

import (
	"encoding/json"
	"maps"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

type configurationJSON struct {
	FunctionName, FunctionArn, Version, CodeSha256 string
	Description, Handler, Runtime, Role            string
	LastModified, RevisionId                       string
	State                                          string `json:",omitempty"`
	LastUpdateStatus                               string `json:",omitempty"`
	LastUpdateStatusReason                         string `json:",omitempty"`
	LastUpdateStatusReasonCode                     string `json:",omitempty"`
	Timeout, MemorySize                            int
	PackageType                                    string
	Architectures                                  []string
	Environment                                    *environmentJSON `json:",omitempty"`
}

type environmentJSON struct {
	Variables map[string]string `json:",omitempty"`
	Error     *errorJSON        `json:",omitempty"`
}

type errorJSON struct{ ErrorCode, Message string }

func (f *function) answer(c *configuration, now time.Time) configurationJSON {
	out := configurationJSON{
		FunctionName: c.Name, FunctionArn: f.arn() + ":" + c.version, Version: c.version, CodeSha256: c.Code, Description: c.description,
		Handler: c.Handler, Runtime: "provided.al2023", Role: "arn:aws:iam::" + f.place.Account + ":role/" + c.Name,
		LastModified: c.updated.Format("2006-01-02T15:04:05.000-0700"), RevisionId: c.revision, State: c.State,
		Timeout: c.Timeout, MemorySize: 128, PackageType: "Zip", Architectures: []string{"arm64"},
	}
	if c.version == Latest {
		if out.LastUpdateStatus = f.status(now); out.LastUpdateStatus == Failed {
			out.LastUpdateStatusReason, out.LastUpdateStatusReasonCode = "The function's environment is broken.", "InternalError"
		}
	}
	switch {
	case c.Hidden:
		out.Environment = &environmentJSON{Error: &errorJSON{"AccessDeniedException", "Lambda was unable to decrypt your environment variables because the KMS access was denied."}}
	case len(c.Environment) > 0:
		out.Environment = &environmentJSON{Variables: maps.Clone(c.Environment)}
	}
	return out
}

func (s *Service) configuration(r *wire.Request, f *function) (any, error) {
	c := f.find(r.Query.Get("Qualifier"))
	if c == nil {
		return nil, &wire.Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "Function not found: " + f.arn() + ":" + r.Query.Get("Qualifier")}
	}
	return f.answer(c, r.At), nil
}

func precondition() error {
	return &wire.Error{Status: http.StatusPreconditionFailed, Code: "PreconditionFailedException",
		Message: "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"}
}

// free refuses while an update is in progress.
func (f *function) free(now time.Time) error {
	if f.status(now) != InProgress && f.latest.State != Pending {
		return nil
	}
	return &wire.Error{Status: http.StatusConflict, Code: "ResourceConflictException",
		Message: "The operation cannot be performed at this time. An update is in progress for resource: " + f.arn()}
}

func (s *Service) update(r *wire.Request, f *function) (any, error) {
	var in struct {
		Environment *struct{ Variables map[string]string }
		RevisionId  string
	}
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return nil, wire.Refuse("InvalidRequestContentException", "Could not parse request body into json")
	}
	if err := f.free(r.At); err != nil {
		return nil, err
	}
	if in.RevisionId != "" && in.RevisionId != f.latest.revision {
		return nil, precondition()
	}
	if in.Environment != nil {
		text, _ := json.Marshal(in.Environment.Variables) // strings: can't fail
		if len(text) > maxEnvironment {
			return nil, wire.Refuse("InvalidParameterValueException",
				"Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: %s", text)
		}
		f.latest.Environment = maps.Clone(in.Environment.Variables)
	}
	s.changed(f, r.At)
	f.until, f.outcome = r.At.Add(s.takes), Successful
	if s.fails {
		f.outcome = Failed
	}
	return f.answer(&f.latest, r.At), nil
}

func (s *Service) publishVersion(r *wire.Request, f *function) (any, error) {
	var in struct{ CodeSha256, Description, RevisionId string }
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return nil, wire.Refuse("InvalidRequestContentException", "Could not parse request body into json")
	}
	if err := f.free(r.At); err != nil {
		return nil, err
	}
	switch {
	case in.RevisionId != "" && in.RevisionId != f.latest.revision:
		return nil, precondition()
	case in.CodeSha256 != "" && in.CodeSha256 != f.latest.Code:
		return nil, wire.Refuse("InvalidParameterValueException", "CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.", in.CodeSha256, f.latest.Code)
	}
	return f.answer(s.publish(f, in.Description), r.At), nil
}

// versions answers a few at a time, $LATEST first.
func (s *Service) versions(r *wire.Request, f *function) (any, error) {
	at, _ := strconv.Atoi(r.Query.Get("Marker")) // absent: 0
	most, _ := strconv.Atoi(r.Query.Get("MaxItems"))
	if most <= 0 || most > 50 {
		most = 50
	}
	var out struct {
		NextMarker string `json:",omitempty"`
		Versions   []configurationJSON
	}
	for i := at; i <= len(f.published); i++ {
		if len(out.Versions) == most {
			out.NextMarker = strconv.Itoa(i)
			break
		}
		c := &f.latest
		if i > 0 {
			c = &f.published[i-1]
		}
		out.Versions = append(out.Versions, f.answer(c, r.At))
	}
	return out, nil
}

type aliasJSON struct {
	AliasArn, Name, FunctionVersion, Description, RevisionId string
	RoutingConfig                                            *routingJSON `json:",omitempty"`
}

type routingJSON struct{ AdditionalVersionWeights map[string]float64 }

// called is the alias that the request names.
func (f *function) called(r *wire.Request) (*alias, error) {
	name := path.Base(r.Path)
	if a := f.aliases[name]; a != nil {
		return a, nil
	}
	return nil, &wire.Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "Cannot find alias arn: " + f.arn() + ":" + name}
}

func (f *function) answerAlias(a *alias) aliasJSON {
	out := aliasJSON{AliasArn: f.arn() + ":" + a.name, Name: a.name, FunctionVersion: a.version, RevisionId: a.revision}
	if len(a.weights) > 0 {
		out.RoutingConfig = &routingJSON{maps.Clone(a.weights)}
	}
	return out
}

func (s *Service) alias(r *wire.Request, f *function) (any, error) {
	a, err := f.called(r)
	if err != nil {
		return nil, err
	}
	return f.answerAlias(a), nil
}

func (s *Service) updateAlias(r *wire.Request, f *function) (any, error) {
	var in struct{ FunctionVersion, RevisionId string }
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return nil, wire.Refuse("InvalidRequestContentException", "Could not parse request body into json")
	}
	a, err := f.called(r)
	switch {
	case err != nil:
		return nil, err
	case in.RevisionId != "" && in.RevisionId != a.revision:
		return nil, precondition()
	case in.FunctionVersion == "":
		return f.answerAlias(a), nil
	case f.find(in.FunctionVersion) == nil:
		return nil, &wire.Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "Function not found: " + f.arn() + ":" + in.FunctionVersion}
	}
	a.version, a.revision = in.FunctionVersion, s.random.UUID()
	return f.answerAlias(a), nil
}
