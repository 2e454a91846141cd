package openapitest

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// A listener hears what a test would have failed for.
type listener struct {
	testing.TB
	heard []string
}

func (l *listener) Errorf(format string, a ...any) {
	l.heard = append(l.heard, fmt.Sprintf(format, a...))
}

func TestWhatGitHubDoesNotDescribeFails(t *testing.T) {
	const comment = `{"id": 1, "node_id": "x", "url": "https://a/b", "html_url": "https://a/b", "user": null, "created_at": "2026-11-23T10:00:00Z", "updated_at": "2026-11-23T10:00:00Z", "issue_url": "https://a/b", "body": "x"}`
	const comments = "/repos/o/r/issues/1/comments"
	for what, c := range map[string]struct {
		method, path, body string
		status             int
		answer, want       string
	}{
		"right":                   {"POST", comments, `{"body": "x"}`, 201, comment, ""},
		"right list":              {"GET", comments + "?per_page=100", "", 200, "[" + comment + "]", ""},
		"no such operation":       {"GET", "/repos/o/r/secrets", "", 200, "{}", "no such operation"},
		"another method":          {"PUT", comments, "", 200, "{}", "no such operation"},
		"no such parameter":       {"GET", comments + "?label=x", "", 200, "[]", `takes no parameter "label"`},
		"a wrong parameter":       {"GET", "/repos/o/r/issues?state=done", "", 200, "[]", "the request to"},
		"an incomplete request":   {"POST", comments, `{}`, 201, comment, `the request to issues/create-comment: /body: property "body" is missing`},
		"a wrong type":            {"POST", comments, `{"body": 1}`, 201, comment, "/body"},
		"an incomplete answer":    {"POST", comments, `{"body": "x"}`, 201, strings.ReplaceAll(comment, `"node_id"`, `"node"`), `/node_id: property "node_id" is missing`},
		"an incomplete entry":     {"GET", comments, "", 200, `[` + comment + `,{}]`, "/1/"},
		"an answer's wrong type":  {"POST", comments, `{"body": "x"}`, 201, strings.ReplaceAll(comment, `"id": 1`, `"id": "1"`), "/id: value must be an integer"},
		"no time":                 {"POST", comments, `{"body": "x"}`, 201, strings.ReplaceAll(comment, `10:00:00Z`, `10:00`), "date-time"},
		"another status":          {"POST", comments, `{"body": "x"}`, 200, comment, "isn't described to answer 200"},
		"a refusal":               {"POST", comments, `{"body": "x"}`, 403, `{"message": "no", "documentation_url": "https://a"}`, ""},
		"a bare refusal":          {"POST", comments, `{"body": "x"}`, 403, `{}`, "a refusal without message"},
		"a refusal without codes": {"POST", comments, `{"body": "x"}`, 422, `{"message": "no", "documentation_url": "https://a", "errors": [{"field": "body"}]}`, "neither texts nor objects"},
		"a path with slashes":     {"GET", "/repos/o/r/git/ref/heads/a/b", "", 404, `{"message": "no", "documentation_url": "https://a"}`, ""},
		"the issuer":              {"GET", "/_oidc/anything", "", 200, `{}`, ""},
	} {
		t.Run(what, func(t *testing.T) {
			l := &listener{TB: t}
			h := Handler(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.answer))
			}))
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			if c.body != "" {
				r.Header.Set("Content-Type", "application/json")
			} else {
				r.Body = http.NoBody
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status || w.Body.String() != c.answer {
				t.Errorf("passed on %d %s", w.Code, w.Body)
			}
			heard := strings.Join(l.heard, "\n")
			if (c.want == "") != (heard == "") || !strings.Contains(heard, c.want) {
				t.Errorf("heard %q, want %q", heard, c.want)
			}
		})
	}
}

func TestAnAbsentDescriptionFailsInCI(t *testing.T) {
	for _, c := range []struct {
		err  error
		ci   string
		skip bool
	}{
		{fmt.Errorf("x: %w", os.ErrNotExist), "", true}, {os.ErrNotExist, "true", false}, {errors.New("not JSON"), "", false},
	} {
		if skip, text := absent(c.err, c.ci); skip != c.skip || !strings.Contains(text, ".ci/openapi") {
			t.Errorf("%v with CI=%q: skips %v: %s", c.err, c.ci, skip, text)
		}
	}
}
