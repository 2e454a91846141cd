package typesense_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/typesense"
	"github.com/rastup/rekey/internal/sandbox/wire"
)

const root = "bootstrap-0000000000000000000001"

type answer struct {
	ID      *int64
	Value   string
	Prefix  string `json:"value_prefix"`
	Keys    []answer
	Message string
	status  int
}

func open() (*typesense.Service, *sandbox.Clock) {
	c := sandbox.NewClock(time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC))
	return typesense.New(c, wire.NewRandom(1), root, "products"), c
}

func call(t *testing.T, s *typesense.Service, key, method, url, body string) (a answer) {
	t.Helper()
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	r.Header.Set(typesense.Header, key)
	out := httptest.NewRecorder()
	s.ServeHTTP(out, r)
	_ = json.Unmarshal(out.Body.Bytes(), &a) // a list of collections is no object
	a.status = out.Code
	return a
}

func TestAValueIsSaidOnceAndMakesOneKey(t *testing.T) {
	s, _ := open()
	const body = `{"value":"abcd-own-value","description":"a","actions":["documents:search"],"collections":["prod.*"]}`
	made := call(t, s, root, "POST", "http://n/keys", body)
	if made.status != 201 || made.ID == nil || made.Value != "abcd-own-value" {
		t.Fatalf("%+v", made)
	}
	if got := call(t, s, root, "POST", "http://n/keys", body); got.status != 409 || got.Message != "API key generation conflict." {
		t.Errorf("%+v", got)
	}
	if got := call(t, s, root, "GET", "http://n/keys", ""); len(got.Keys) != 1 || got.Keys[0].Value != "" || got.Keys[0].Prefix != "abcd" {
		t.Errorf("%+v", got)
	}
	for range 2 {
		if got := call(t, s, root, "DELETE", "http://n/keys/0", ""); got.ID != nil && *got.ID != 0 {
			t.Errorf("%+v", got)
		}
	}
	if got := call(t, s, root, "DELETE", "http://n/keys/0", ""); got.status != 404 || got.Message != "Not found." {
		t.Errorf("%+v", got)
	}
	if got := call(t, s, root, "POST", "http://n/keys", body); got.status != 201 {
		t.Errorf("the same value after it was deleted: %+v", got)
	}
}

func TestKeysMayDoWhatTheirActionsSay(t *testing.T) {
	s, c := open()
	s.Add(typesense.Key{Value: "search", Actions: []string{"documents:search"}, Collections: []string{"prod.*"}})
	s.Add(typesense.Key{Value: "other", Actions: []string{"documents:*"}, Collections: []string{"orders"}})
	s.Add(typesense.Key{Value: "keys", Actions: []string{"keys:list"}, Collections: []string{"*"}})
	s.Add(typesense.Key{Value: "old", Actions: []string{"*"}, Collections: []string{"*"}, Expires: c.Now().Unix()})
	const search = "/collections/products/documents/search?q=*"
	for _, tt := range []struct {
		key, method, path string
		status            int
	}{
		{"search", "GET", search, 200}, {"search", "GET", "/collections", 401}, {"search", "GET", "/keys", 401}, {"search", "POST", "/keys", 401},
		{"other", "GET", search, 401}, {"keys", "GET", "/keys", 200}, {"keys", "GET", "/keys/0", 401}, {"keys", "DELETE", "/keys/0", 401},
		{"old", "GET", search, 401}, {"", "GET", search, 401}, {"nobody", "GET", search, 401}, {root, "GET", search, 200}, {root, "GET", "/collections", 200},
		{root, "GET", "/collections/none/documents/search", 404}, {root, "GET", "/keys/9", 404}, {root, "GET", "/keys/x", 400}, {root, "PUT", "/keys/0", 404},
		{root, "POST", "/keys", 400}, {"", "GET", "/health", 200}, {"nobody", "GET", "/health", 200},
	} {
		if got := call(t, s, tt.key, tt.method, "http://n"+tt.path, ""); got.status != tt.status {
			t.Errorf("%+v: %d %s", tt, got.status, got.Message)
		}
	}
}

func TestAKeyThatMakesKeysSaysWhatItMust(t *testing.T) {
	s, _ := open()
	for _, body := range []string{`{`, `{"actions":["*"],"collections":["*"]}`, `{"description":"","collections":["*"]}`, `{"description":"","actions":["*"]}`,
		`{"description":"","actions":["*"],"collections":["*"],"expires_at":-1}`, `{"description":"","actions":"*","collections":["*"]}`} {
		if got := call(t, s, root, http.MethodPost, "http://n/keys", body); got.status != 400 {
			t.Errorf("%s: %+v", body, got)
		}
	}
	if n := len(s.Keys()); n != 0 {
		t.Errorf("%d keys", n)
	}
}

func TestANodeMayLag(t *testing.T) {
	s, c := open()
	s.Lag("late", 10*time.Second)
	s.Add(typesense.Key{Value: "k", Actions: []string{"*"}, Collections: []string{"*"}})
	want := func(host string, status int) {
		t.Helper()
		if got := call(t, s, "k", "GET", "http://"+host+"/collections", ""); got.status != status {
			t.Errorf("%s: %d, want %d", host, got.status, status)
		}
	}
	want("soon", 200)
	want("late", 401)
	c.Move(11 * time.Second)
	want("late", 200)
	s.Remove(0)
	want("soon", 401)
	want("late", 200)
	c.Move(11 * time.Second)
	want("late", 401)
}
