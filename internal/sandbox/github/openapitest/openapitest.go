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
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

const file = ".tools/openapi/api.github.com.json"

// A description is what loads once for a test binary, in about two seconds.
type description struct {
	doc   *openapi3.T
	paths []path // the more exact come first
}

type path struct {
	template string
	segments []string
	item     *openapi3.PathItem
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
	name := filepath.Join(dir, file)
	if _, err := os.Stat(name); err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromFile(name) // not validated: that takes a minute, and it is GitHub's
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if err := mend(doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d := &description{doc: doc}
	for template, item := range doc.Paths.Map() {
		d.paths = append(d.paths, path{template, strings.Split(template[1:], "/"), item})
	}
	slices.SortFunc(d.paths, func(a, b path) int {
		if n := a.weight() - b.weight(); n != 0 {
			return n
		}
		return strings.Compare(a.template, b.template)
	})
	return d, nil
})

// mend corrects what the description gets wrong of GitHub, and fails where it no longer says that.
func mend(doc *openapi3.T) error {
	for _, name := range []string{"pull-request-simple", "pull-request"} { // a head's repository is null where the fork is gone
		if err := letBeNull(doc, name, "head", "repo"); err != nil {
			return err
		}
	}
	// GitHub documentation, "Understanding the search syntax", which the parameter's own text refers to: >=2026-11-23.
	created := doc.Components.Parameters["created"]
	if created == nil || created.Value.Schema.Value.Format != "date-time" {
		return errors.New("the parameter created is no time any more")
	}
	created.Value.Schema.Value.Format = ""
	return nil
}

func letBeNull(doc *openapi3.T, schema string, way ...string) error {
	at := doc.Components.Schemas[schema]
	for i, name := range way {
		if at == nil || at.Value.Properties[name] == nil {
			return fmt.Errorf("%s has no %s", schema, strings.Join(way, "/"))
		}
		if i == len(way)-1 {
			copied := *at.Value.Properties[name].Value
			copied.Nullable = true
			at.Value.Properties[name] = openapi3.NewSchemaRef("", &copied)
		}
		at = at.Value.Properties[name]
	}
	return nil
}

// many are the parameters that hold slashes.
var many = []string{"{path}", "{ref}"}

// weight is small for templates with many literal segments; those whose end takes any number come last.
func (p path) weight() (n int) {
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

func (d *description) find(method, escaped string) (*path, *openapi3.Operation, map[string]string) {
	have := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for i := range d.paths {
		p := &d.paths[i]
		if args := p.match(have); args != nil {
			if op := p.item.GetOperation(method); op != nil {
				return p, op, args
			}
		}
	}
	return nil, nil, nil
}

func (p path) match(have []string) map[string]string {
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
	p, op, args := d.find(in.Method, in.URL.EscapedPath())
	if op == nil {
		return errors.New("GitHub describes no such operation")
	}
	for name := range in.URL.Query() {
		if !takes(p.item, op, name) && !slices.Contains(ofLists, name) {
			return fmt.Errorf("%s takes no parameter %q", op.OperationID, name)
		}
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, RejectWhenRequestBodyNotSpecified: true}
	asked := &openapi3filter.RequestValidationInput{
		Request: in, PathParams: args, Options: options,
		Route: &routers.Route{Spec: d.doc, Path: p.template, PathItem: p.item, Method: in.Method, Operation: op},
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
