package staging

import "testing"

func TestNamesOfOneKMSKey(t *testing.T) {
	const arn = "arn:aws:kms:eu-central-1:111122223333:key/1234"
	for _, tt := range []struct {
		a, b             string
		same, comparable bool
	}{
		{arn, arn, true, true},
		{arn, "1234", true, true},
		{arn, "key/1234", true, true},
		{arn, "arn:aws:kms:eu-west-1:111122223333:key/1234", false, true},
		{arn, "5678", false, true},
		{"alias/app", "arn:aws:kms:eu-central-1:111122223333:alias/app", true, true},
		{"alias/app", arn, false, false},
		{"", "DefaultEncryptionKey", true, true},
		{"alias/aws/secretsmanager", "", true, true},
		{"", arn, false, true},
	} {
		same, comparable := sameKey(tt.a, tt.b)
		if same != tt.same || comparable != tt.comparable {
			t.Errorf("%q and %q: same %t, comparable %t", tt.a, tt.b, same, comparable)
		}
	}
}

func TestTagValuesAreWhatAWSTakes(t *testing.T) {
	for in, want := range map[string]string{"ana-sec": "ana-sec", "dependabot[bot]": "dependabot_bot_", "Jörg <j@x>": "Jörg _j@x_", "a\nb": "a_b", "": ""} {
		if got := tagValue(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestCalledIsTheNameInAnARN(t *testing.T) {
	for in, want := range map[string]string{"app/key": "app/key", "arn:aws:secretsmanager:eu-central-1:1:secret:app/key-AbCdEf": "app/key"} {
		if got := called(in); got != want {
			t.Errorf("%q is called %q, want %q", in, got, want)
		}
	}
}
