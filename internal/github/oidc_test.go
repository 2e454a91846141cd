package github

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/rotation"
)

const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl"

func TestIDToken(t *testing.T) {
	ok := answer(200, `{"count":100,"value":"`+jwt+`"}`)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("arrived elsewhere: %q", r.Header) }))
	defer elsewhere.Close()
	for _, tt := range []struct {
		name   string
		script []reply
		want   string
	}{
		{"at once", []reply{ok}, "done 1"},
		{"500, lost and 429 before", []reply{answer(500, jwt), cut, answer(429, ""), ok}, "done 4"},
		{"in trouble for good", []reply{answer(503, jwt)}, "not done 4"},
		{"refused", []reply{answer(403, jwt)}, "refused 1"},
		{"unauthorized", []reply{answer(401, jwt)}, "refused 1"},
		{"redirected", []reply{answer(302, jwt, "Location", elsewhere.URL)}, "not done 1"},
		{"no token", []reply{answer(200, `{"value":""}`)}, "not done 1"},
		{"something else", []reply{answer(200, `{"value":"two words `+jwt+`"}`)}, "not done 1"},
		{"no JSON", []reply{answer(200, jwt)}, "not done 1"},
	} {
		k := newClock()
		s := serve(t, k, tt.script...)
		got, err := IDToken(t.Context(), TokenOptions{URL: s.URL + "/token?api-version=2.0", Bearer: token, Audience: "sts.amazonaws.com", Transport: once(), Clock: k})
		if is := fmt.Sprint(kind(err), " ", len(s.calls())); is != tt.want {
			t.Errorf("%s: %s, want %s (%v)", tt.name, is, tt.want, err)
		}
		if err == nil && got != jwt {
			t.Errorf("%s: got another token", tt.name)
		}
		if s.calls()[0] != "GET /token?api-version=2.0&audience=sts.amazonaws.com" {
			t.Errorf("%s: asked %q", tt.name, s.calls()[0])
		}
		for _, hidden := range []string{token, jwt} {
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), hidden) {
				t.Errorf("%s: a token shows", tt.name)
			}
		}
	}
}

func TestIDTokenIsAskedForOverHTTPSOnly(t *testing.T) {
	never := trip(func(r *http.Request) (*http.Response, error) {
		t.Errorf("sent to %s", r.URL)
		return nil, errors.New("no")
	})
	for name, o := range map[string]TokenOptions{
		"http":         {URL: "http://runner.example/token", Bearer: token},
		"no scheme":    {URL: "runner.example/token", Bearer: token},
		"no URL":       {Bearer: token},
		"no bearer":    {URL: "https://runner.example/token"},
		"a broken URL": {URL: "https://runner.example/%zz", Bearer: token},
	} {
		o.Transport, o.Clock = never, newClock()
		_, err := IDToken(t.Context(), o)
		var no *rotation.Failure
		if !errors.As(err, &no) || no.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
