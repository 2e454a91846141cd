package lambda

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

const prefix = "/2015-03-31/functions/"

// lists are the operations on no one function, by path.
var lists = map[string]struct {
	name string
	do   func(*Service, *wire.Request) (any, error)
}{
	"/2015-03-31/functions":             {"ListFunctions", (*Service).listFunctions},
	"/2015-03-31/event-source-mappings": {"ListEventSourceMappings", (*Service).listSources},
}

// An operation answers with the lock held.
type operation struct {
	method, path string // below the function's name
	do           func(*Service, *wire.Request, *function) (any, error)
	takes        []string // members of the body, and of the query
}

func operations() map[string]operation {
	return map[string]operation{
		"GetFunctionConfiguration":    {"GET", "configuration", (*Service).configuration, []string{"Qualifier"}},
		"UpdateFunctionConfiguration": {"PUT", "configuration", (*Service).update, []string{"Environment", "RevisionId"}},
		"ListVersionsByFunction":      {"GET", "versions", (*Service).versions, []string{"Marker", "MaxItems"}},
		"PublishVersion":              {"POST", "versions", (*Service).publishVersion, []string{"CodeSha256", "Description", "RevisionId"}},
		"GetAlias":                    {"GET", "aliases/*", (*Service).alias, nil},
		"UpdateAlias":                 {"PUT", "aliases/*", (*Service).updateAlias, []string{"FunctionVersion", "RevisionId"}},
	}
}

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string {
	names := slices.Collect(maps.Keys(operations()))
	for _, l := range lists {
		names = append(names, l.name)
	}
	slices.Sort(names)
	return names
}

// listed is the path of a list that the request asks for; "" when it asks for none.
func listed(r *wire.Request) string {
	path := strings.TrimSuffix(r.Path, "/")
	if _, ok := lists[path]; !ok || r.HTTP.Method != http.MethodGet {
		return ""
	}
	return path
}

// Name finds the operation in a request's method and path, and answers what it is aimed at: "NAME", "NAME:ALIAS".
func Name(r *wire.Request) (op, target string) {
	if path := listed(r); path != "" {
		return lists[path].name, ""
	}
	name, rest, ok := strings.Cut(strings.TrimPrefix(r.Path, prefix), "/")
	if !ok || !strings.HasPrefix(r.Path, prefix) {
		return "", ""
	}
	name = nameOf(r.Place, name)
	for op, o := range operations() {
		if o.method != r.HTTP.Method || !wire.Match(o.path, rest) {
			continue
		}
		if _, alias, ok := strings.Cut(rest, "/"); ok {
			name += ":" + alias
		}
		return op, name
	}
	return "", name
}

// Serve answers one request: a value to write as JSON, or a *wire.Error.
func (s *Service) Serve(r *wire.Request) (any, error) {
	if path := listed(r); path != "" {
		return s.list(r, path)
	}
	op, target := Name(r)
	o, ok := operations()[op]
	if !ok {
		return nil, &wire.Error{Status: http.StatusNotFound, Code: "UnknownOperationException", Message: "the sandbox doesn't serve " + r.HTTP.Method + " " + r.Path}
	}
	var body map[string]json.RawMessage
	if len(r.Body) > 0 && json.Unmarshal(r.Body, &body) != nil {
		return nil, wire.Refuse("InvalidRequestContentException", "Could not parse request body into json")
	}
	for _, member := range append(slices.Collect(maps.Keys(body)), slices.Collect(maps.Keys(r.Query))...) {
		if !slices.Contains(o.takes, member) {
			return nil, wire.Refuse("InvalidParameterValueException", "the sandbox doesn't serve %s with %s", op, member)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name, _, _ := strings.Cut(target, ":")
	arn := "arn:aws:lambda:" + r.Region + ":" + r.Account + ":function:" + name
	if err := r.May("lambda:"+op, arn); err != nil {
		return nil, err
	}
	f := s.functions[r.Place][name]
	if f == nil {
		return nil, &wire.Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "Function not found: " + arn}
	}
	return o.do(s, r, f)
}

// Write writes an answer, or a refusal, as REST-JSON does and says with which status.
func Write(out http.ResponseWriter, operation string, answer any, refused *wire.Error) {
	out.Header().Set("Content-Type", "application/json")
	status := http.StatusOK
	if operation == "PublishVersion" {
		status = http.StatusCreated
	}
	if refused != nil {
		status = refused.Status
		out.Header().Set("X-Amzn-Errortype", refused.Code)
		message := "message"
		if refused.Code == "ResourceNotFoundException" {
			message = "Message"
		}
		answer = map[string]string{"Type": "User", message: refused.Message}
	}
	out.WriteHeader(status)
	_ = json.NewEncoder(out).Encode(answer) // a caller that went away needs no answer
}
