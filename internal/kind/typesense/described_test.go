package typesense

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// described is Typesense's own description of its API.
func described(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("testdata/openapi.yml")
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// judged holds a call and its answer against the description.
func judged(t *testing.T, doc *openapi3.T, r *http.Request, body []byte, status int, header http.Header, answer []byte) error {
	t.Helper()
	req, err := http.NewRequest(r.Method, "https://node1.test"+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = r.Header.Clone()
	path, params := r.URL.Path, map[string]string{}
	if id, ok := strings.CutPrefix(path, "/keys/"); ok && !strings.Contains(id, "/") {
		path, params["keyId"] = "/keys/{keyId}", id
	}
	item := doc.Paths.Value(path)
	if item == nil || item.GetOperation(r.Method) == nil {
		return fmt.Errorf("no operation %s %s", r.Method, path)
	}
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params,
		Route:   &routers.Route{Spec: doc, Path: path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method)},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
		return err
	}
	return openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header,
		Body: io.NopCloser(bytes.NewReader(answer)), Options: in.Options})
}

// Every call about keys that a rotation, there and back, makes, and the sandbox's answers to them, are as Typesense
// describes them.
func TestEveryCallIsAsTypesenseDescribesIt(t *testing.T) {
	router, n := described(t), 0
	for _, steps := range [][]string{forward, append(forward[:5:5], "restore", "discard")} {
		l := newLab(t, nil)
		l.seen = func(r *http.Request, body []byte, res *http.Response, said []byte) {
			if !strings.HasPrefix(r.URL.Path, "/keys") { // searches are of the tests' own choice
				return
			}
			n++
			if err := judged(t, router, r, body, res.StatusCode, res.Header, said); err != nil {
				t.Errorf("%s %s, %d: %v", r.Method, r.URL.Path, res.StatusCode, err)
			}
		}
		l.run(steps...)
	}
	if n < 8 {
		t.Errorf("only %d calls were judged", n)
	}
}

func TestTheDescriptionRefusesWhatIsWrong(t *testing.T) {
	router := described(t)
	for name, tt := range map[string]struct{ method, path, body, answer string }{
		"no actions":        {"POST", "/keys", `{"description":"a","collections":["*"]}`, `{}`},
		"expiry as text":    {"POST", "/keys", `{"description":"a","actions":["*"],"collections":["*"],"expires_at":"never"}`, `{}`},
		"an ID of letters":  {"DELETE", "/keys/abc", ``, `{"id":1}`},
		"no ID in answer":   {"DELETE", "/keys/1", ``, `{}`},
		"list of the wrong": {"GET", "/keys", ``, `{"keys":[{"id":"a"}]}`},
		"no such path":      {"POST", "/keys/1/roll", ``, `{}`},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", "application/json")
		status := map[string]int{"POST": 201, "GET": 200, "DELETE": 200}[tt.method]
		if judged(t, router, r, []byte(tt.body), status, http.Header{"Content-Type": {"application/json"}}, []byte(tt.answer)) == nil {
			t.Errorf("%s: passed", name)
		}
	}
}
