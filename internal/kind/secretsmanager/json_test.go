package secretsmanager

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret/spec"
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

func TestTwoNamesOfOneSecretAreOneTarget(t *testing.T) {
	name := Target{Secret: "app/key"}
	for _, other := range []Target{{Secret: "arn:aws:secretsmanager:eu-central-1:111122223333:secret:app/key-AbCdEf"}, {Secret: "app/key", Key: "password"}} {
		if other.Identity() != name.Identity() {
			t.Errorf("%v is %q, %v is %q", other, other.Identity(), name, name.Identity())
		}
	}
	if other := (&Target{Secret: "app/key-AbCdEf"}); other.Identity() == name.Identity() {
		t.Error("two secrets are taken for one")
	}
}

func TestMistakesInATargetAreAllReported(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"secret: app/key\nkey: password\nkms_key: alias/app\ngenerate: {length: 40, alphabet: hex}\n", ""},
		{"secret: arn:aws:secretsmanager:eu-central-1:111122223333:secret:app/key-AbCdEf\n", ""},
		{"key: password\n", "t.yaml:1:1: it lacks secret [missing-key]"},
		{"secret: app key\ngenerate:\n  length: 3\n", "t.yaml:1:9: \"app key\" is no name of a secret [secret-name]\n    hint: letters, digits and /_+=.@- are allowed, 512 characters at most\n" +
			"t.yaml:3:11: 3 characters out of 62 have 18 bits of entropy, at least 64 are needed [generate]\n    hint: make it 11 or longer, or allow more characters"},
		{"secret: arn:aws:s3:::bucket\nkeys: x\n", "t.yaml:1:9: \"arn:aws:s3:::bucket\" is no ARN of a secret [secret-name]\n    hint: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX\n" +
			"t.yaml:2:1: it has no key \"keys\" [unknown-key]\n    hint: did you mean \"key\"?"},
	} {
		var list problem.List
		problem.Decode(problem.Source{File: "t.yaml", Text: []byte(tt.yaml)}, new(Target), &list)
		var got []string
		for _, p := range list.Sorted() {
			got = append(got, p.String())
		}
		if s := strings.Join(got, "\n"); s != tt.want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", tt.yaml, s, tt.want)
		}
	}
}

func TestFitsIsWhatGenerateMakes(t *testing.T) {
	s := spec.Spec{Length: 16, Characters: "abcXYZ12-", RequireEachClass: true}
	for v, want := range map[string]bool{"abcXYZ12-abcXYZ1": true, "abcXYZ12-abcXYZ": false, "abcXYZ12-abcXYZ!": false, "abcXYZ12aabcXYZ1": false, "": false, "äbcXYZ12-abcXYZ": false} {
		if fits(v, s) != want {
			t.Errorf("%q fits: %t, want %t", v, !want, want)
		}
	}
}
