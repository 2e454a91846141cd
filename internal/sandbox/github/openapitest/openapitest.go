// Package openapitest holds every request to GitHub, and every answer of the sandbox's, against GitHub's own
// description of its REST API. It owns the loaded description and must only be imported by tests.
//
// The description is fetched by .ci/openapi. Where it is absent a test is skipped, and fails when CI is true.
package openapitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

const file = ".tools/openapi/api.github.com.json"

// A description is read once for a test binary, and each path understood when it is first asked for: all of them
// would take seconds.
type description struct {
	paths      []*path // the more exact come first
	components map[string]map[string]json.RawMessage
}

type path struct {
	template string
	segments []string
	raw      json.RawMessage

	once sync.Once
	doc  *openapi3.T // of this path only
	item *openapi3.PathItem
	err  error
}

var load = sync.OnceValues(func() (*description, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return nil, errors.New("no go.mod above the test's folder")
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, err
	}
	var all struct {
		Paths      map[string]json.RawMessage
		Components map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	d := &description{components: all.Components}
	for template, raw := range all.Paths {
		d.paths = append(d.paths, &path{template: template, segments: strings.Split(template[1:], "/"), raw: raw})
	}
	slices.SortFunc(d.paths, func(a, b *path) int {
		if n := a.weight() - b.weight(); n != 0 {
			return n
		}
		return strings.Compare(a.template, b.template)
	})
	return d, nil
})

var reference = regexp.MustCompile(`"\$ref":\s*"#/components/([^/"]+)/([^"]+)"`)

// understand makes a description of one path and the components it needs. It isn't validated: it is GitHub's own.
func (p *path) understand(all map[string]map[string]json.RawMessage) {
	needed := map[string]map[string]json.RawMessage{}
	for todo := []json.RawMessage{p.raw}; len(todo) > 0; todo = todo[1:] {
		for _, m := range reference.FindAllSubmatch(todo[0], -1) {
			kind, name := string(m[1]), string(m[2])
			if _, has := needed[kind][name]; has {
				continue
			}
			if needed[kind] == nil {
				needed[kind] = map[string]json.RawMessage{}
			}
			needed[kind][name] = all[kind][name]
			todo = append(todo, all[kind][name])
		}
	}
	text, err := json.Marshal(map[string]any{
		"openapi": "3.0.3", "info": map[string]string{"title": "GitHub", "version": "1"}, "paths": map[string]json.RawMessage{p.template: p.raw}, "components": needed,
	})
	if err == nil {
		p.doc, err = openapi3.NewLoader().LoadFromData(text)
	}
	if err == nil {
		p.item, err = p.doc.Paths.Value(p.template), mend(p.doc)
	}
	if err != nil {
		p.err = fmt.Errorf("%s: %s: %w", file, p.template, err)
	}
}

// mend corrects what the description gets wrong of GitHub, and fails where it no longer says that.
func mend(doc *openapi3.T) error {
	for _, name := range []string{"pull-request-simple", "pull-request"} { // a head's repository is null where the fork is gone
		if err := letBeNull(doc.Components.Schemas[name], "head", "repo"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	// GitHub documentation, "Understanding the search syntax", which the parameter's own text refers to: >=2026-11-23.
	if created := doc.Components.Parameters["created"]; created != nil {
		if created.Value.Schema.Value.Format != "date-time" {
			return errors.New("the parameter created is no time any more")
		}
		created.Value.Schema.Value.Format = ""
	}
	return nil
}

func letBeNull(at *openapi3.SchemaRef, way ...string) error {
	if at == nil {
		return nil // this path has no use for it
	}
	for i, name := range way {
		is := at.Value.Properties[name]
		if is == nil {
			return fmt.Errorf("there is no %s", strings.Join(way, "/"))
		}
		if i == len(way)-1 {
			copied := *is.Value
			copied.Nullable = true
			is = openapi3.NewSchemaRef("", &copied)
			at.Value.Properties[name] = is
		}
		at = is
	}
	return nil
}

// many are the parameters that hold slashes.
var many = []string{"{path}", "{ref}"}

// weight is small for templates with many literal segments; those whose end takes any number come last.
func (p *path) weight() (n int) {
	for _, s := range p.segments {
		if !strings.HasPrefix(s, "{") {
			n--
		}
	}
	if slices.Contains(many, p.segments[len(p.segments)-1]) {
		n += 100
	}
	return n
}

func (d *description) find(method, escaped string) (*path, *openapi3.Operation, map[string]string, error) {
	have := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for _, p := range d.paths {
		args := p.match(have)
		if args == nil {
			continue
		}
		if p.once.Do(func() { p.understand(d.components) }); p.err != nil {
			return nil, nil, nil, p.err
		}
		if op := p.item.GetOperation(method); op != nil {
			return p, op, args, nil
		}
	}
	return nil, nil, nil, errors.New("GitHub describes no such operation")
}

func (p *path) match(have []string) map[string]string {
	args := map[string]string{}
	for i, s := range p.segments {
		switch {
		case i >= len(have):
			return nil
		case i == len(p.segments)-1 && slices.Contains(many, s):
			args[strings.Trim(s, "{}")] = strings.Join(have[i:], "/")
			return args
		case strings.HasPrefix(s, "{"):
			args[strings.Trim(s, "{}")] = have[i]
		case s != have[i]:
			return nil
		}
	}
	if len(have) != len(p.segments) {
		return nil
	}
	return args
}

// Handler passes requests on to h and fails the test for one that GitHub doesn't describe, or whose answer isn't
// complete and of the described types. What is below /_oidc/ isn't part of the API.
func Handler(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	d, err := load()
	if skip, text := absent(err, os.Getenv("CI")); skip {
		t.Skip(text)
	} else if err != nil {
		t.Fatal(text)
	}
	return http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		if strings.HasPrefix(in.URL.Path, "/_oidc/") {
			h.ServeHTTP(out, in)
			return
		}
		body, err := io.ReadAll(in.Body)
		if err != nil {
			t.Errorf("%s %s: read the body: %v", in.Method, in.URL.Path, err)
		}
		in.Body = io.NopCloser(bytes.NewReader(body))
		got := httptest.NewRecorder()
		h.ServeHTTP(got, in)
		in.Body = io.NopCloser(bytes.NewReader(body))
		if err := d.check(in, got.Code, got.Header(), got.Body.Bytes()); err != nil {
			t.Errorf("%s %s: %v", in.Method, in.URL.RequestURI(), err)
		}
		for name, v := range got.Header() {
			out.Header()[name] = v
		}
		out.WriteHeader(got.Code)
		_, _ = out.Write(got.Body.Bytes()) // a caller that went away needs no answer
	})
}

// absent says whether a test that can't have the description is skipped, and why.
func absent(err error, ci string) (skip bool, text string) {
	if errors.Is(err, os.ErrNotExist) && ci != "true" {
		return true, "GitHub's API description is absent: .ci/openapi fetches " + file
	}
	return false, fmt.Sprintf("GitHub's API description: %v (.ci/openapi fetches it)", err)
}

func (d *description) check(in *http.Request, status int, header http.Header, body []byte) error {
	p, op, args, err := d.find(in.Method, in.URL.EscapedPath())
	if err != nil {
		return err
	}
	for name := range in.URL.Query() {
		if !takes(p.item, op, name) && !slices.Contains(ofLists, name) {
			return fmt.Errorf("%s takes no parameter %q", op.OperationID, name)
		}
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, RejectWhenRequestBodyNotSpecified: true}
	asked := &openapi3filter.RequestValidationInput{
		Request: in, PathParams: args, Options: options,
		Route: &routers.Route{Spec: p.doc, Path: p.template, PathItem: p.item, Method: in.Method, Operation: op},
	}
	if err := openapi3filter.ValidateRequest(context.Background(), asked); err != nil {
		return fmt.Errorf("the request to %s: %w", op.OperationID, short(err))
	}
	switch described := op.Responses.Status(status) != nil; {
	case status >= 500:
		return nil
	case status >= 400:
		return refusal(body)
	case !described:
		return fmt.Errorf("%s isn't described to answer %d", op.OperationID, status)
	}
	answered := &openapi3filter.ResponseValidationInput{RequestValidationInput: asked, Status: status, Header: header, Options: options}
	answered.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(context.Background(), answered); err != nil {
		return fmt.Errorf("the answer %d of %s: %w", status, op.OperationID, short(err))
	}
	return nil
}

// ofLists may be sent to every list: GitHub ignores them where a list has no pages.
var ofLists = []string{"per_page", "page"}

func takes(item *openapi3.PathItem, op *openapi3.Operation, name string) bool {
	return op.Parameters.GetByInAndName("query", name) != nil || item.Parameters.GetByInAndName("query", name) != nil
}

// refusal holds a body against the description's basic error and its two validation errors. Which of them an operation
// answers it often gives as "one of", where all fit.
func refusal(body []byte) error {
	var e struct {
		Message, Status string
		URL             string `json:"documentation_url"`
		Errors          []json.RawMessage
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Message == "" || e.URL == "" {
		return errors.New("a refusal without message and documentation_url")
	}
	for _, raw := range e.Errors {
		var text string
		var one struct{ Resource, Field, Code, Message string }
		if json.Unmarshal(raw, &text) != nil && (json.Unmarshal(raw, &one) != nil || one.Code == "") {
			return errors.New("a refusal whose errors are neither texts nor objects with a code")
		}
	}
	return nil
}

// short leaves the schema and the value out of a validation error.
func short(err error) error {
	var e *openapi3.SchemaError
	if !errors.As(err, &e) {
		return err
	}
	for inner := e; errors.As(inner.Origin, &inner); {
		e = inner
	}
	return fmt.Errorf("/%s: %s", strings.Join(e.JSONPointer(), "/"), e.Reason)
}
