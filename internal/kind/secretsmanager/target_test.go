package secretsmanager

import (
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/secret/spec"
)

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
		{"secret: app/key\nkey_pair: {type: ecdsa, curve: P-384, format: jwks}\n", ""},
		{"secret: app/key\ncommand: {run: [tools/new-licence], within: 2m}\n", ""},
		{"secret: app/key\ngenerate: {length: 40}\nkey_pair: {type: rsa, curve: P-256}\n", "t.yaml:3:11: generate and key_pair are both given [generate]\n    hint: keep one of them\n" +
			"t.yaml:3:30: only ECDSA keys have a curve to choose [key-pair]\n    hint: leave it out"},
		{"secret: app/key\ncommand: {run: [tools/new licence], set: {API_TOKEN: x}, within: 1h}\n", "t.yaml:2:17: the program \"tools/new licence\" has white space in its name [command]\n    hint: make each argument an item of the list: there is no shell that would split it\n" +
			"t.yaml:2:54: \"API_TOKEN\" looks like a secret, which doesn't belong in a file [secret-in-file]\n    hint: let the command fetch it itself, with rights of its own\n" +
			"t.yaml:2:66: within isn't between 0 and 5 minutes [out-of-range]\n    hint: give it at most 5m: a secret waits for it"},
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
