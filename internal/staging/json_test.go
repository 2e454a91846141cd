package staging

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/rotation"
)

func TestReplaceKeepsEveryOtherByte(t *testing.T) {
	for _, tt := range []struct{ doc, want string }{
		{`{"k":"old"}`, `{"k":"NEW"}`},
		{" {\n\t\"a\" : 1.0e+2 ,\r\n \"k\"\t:\n  \"o\\\"l\\u0064\"  , \"z\":[1, {\"k\":\"inner\"}] }\n", " {\n\t\"a\" : 1.0e+2 ,\r\n \"k\"\t:\n  \"NEW\"  , \"z\":[1, {\"k\":\"inner\"}] }\n"},
		{`{"\u006b":"old","K":"other"}`, `{"\u006b":"NEW","K":"other"}`},
		{`{"k":"","big":123456789012345678901234567890}`, `{"k":"NEW","big":123456789012345678901234567890}`},
		{`{"é":"\ud83d","k":"🔑","":"empty"}`, `{"é":"\ud83d","k":"NEW","":"empty"}`},
	} {
		got, err := replace([]byte(tt.doc), "k", "NEW")
		if err != nil || string(got) != tt.want {
			t.Errorf("%s became %s (%v), want %s", tt.doc, got, err, tt.want)
		}
	}
	got, err := replace([]byte(`{"k":"old"}`), "k", `<&>"\`)
	if want := `{"k":"<&>\"\\"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestWhatIsNoPlainJSONObjectIsRefused(t *testing.T) {
	for _, doc := range []string{"", "null", `"k"`, `[]`, `{`, `{"k"}`, `{"k":}`, `{"k":"a"`, `{"k":"a",}`, `{"k":"a"} x`, `{"k":"a"}{"k":"b"}`,
		`{"k":"a","k":"b"}`, `{"x":1,"x":1,"k":"a"}`, `{"k":1}`, `{"k":null}`, `{"k":{}}`, `{"K":"a"}`, "\ufeff" + `{"k":"a"}`, `{"k":'a'}`, "{\"k\":\"a\nb\"}"} {
		_, err := replace([]byte(doc), "k", "NEW")
		var f *rotation.Failure
		if !errors.As(err, &f) {
			t.Errorf("%q: got %v, want a failure", doc, err)
		}
	}
}

func FuzzReplaceKey(f *testing.F) {
	f.Add([]byte(`{"k":"old"}`), "k", "new")
	f.Add([]byte("{ \"a\":[1,{\"k\":\"x\"}], \"k\" : \"o\\u006cd\" , \"b\":1e3}\n"), "k", `q"\`)
	f.Add([]byte(`{"k":"a","k":"b"}`), "k", "")
	f.Fuzz(func(t *testing.T, doc []byte, key, value string) {
		value = strings.ToValidUTF8(value, "")
		at, err := find(doc, key)
		got, replaced := replace(doc, key, value)
		if (err == nil) != (replaced == nil) {
			t.Fatalf("find: %v, replace: %v", err, replaced)
		}
		if err != nil {
			return
		}
		tail := len(doc) - at.to
		if string(got[:at.from]) != string(doc[:at.from]) || string(got[len(got)-tail:]) != string(doc[at.to:]) {
			t.Fatalf("%q became %q: bytes beside the value changed", doc, got)
		}
		var was, is map[string]any
		if json.Unmarshal(doc, &was) != nil || json.Unmarshal(got, &is) != nil {
			t.Fatalf("%q became %q: not both are JSON", doc, got)
		}
		if was[key] != at.value || is[key] != value {
			t.Fatalf("%q became %q: %q isn't the new value", doc, got, is[key])
		}
		was[key] = value
		if !reflect.DeepEqual(was, is) {
			t.Fatalf("%q became %q: something else differs", doc, got)
		}
	})
}
