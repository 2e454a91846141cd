package secretsmanager

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
)

const cmk = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

var requests = regexp.MustCompile(`\(request [^)]*\)`)

// A definite no of every kind: what people read, and that nothing was changed.
var refusals = []struct {
	name   string
	target Target
	after  []string   // steps done before
	world  func(*lab) // what the world did then
	step   string     // that is refused
}{
	{"no such secret", Target{Secret: "app/kay"}, nil, nil, "preflight"},
	{"marked for deletion", Target{}, nil, func(l *lab) {
		_, err := l.person.DeleteSecret(l.t.Context(), &secretsmanager.DeleteSecretInput{SecretId: new(name)})
		l.ok(err)
	}, "preflight"},
	{"managed by a service", Target{}, nil, func(l *lab) { l.ok(l.world.SecretsManager.SetOwner(here, name, "rds", start)) }, "preflight"},
	{"managed by a partner", Target{}, nil, func(l *lab) {
		l.alter = func(op string, b []byte) []byte {
			if op == "DescribeSecret" {
				return bytes.Replace(b, []byte("{"), []byte(`{"Type":"SalesforceClientSecret",`), 1)
			}
			return b
		}
	}, "preflight"},
	{"rotated by Secrets Manager", Target{}, nil, func(l *lab) { l.ok(l.world.SecretsManager.SetRotation(here, name, true, start)) }, "preflight"},
	{"replica", Target{}, nil, func(l *lab) {
		l.ok(l.world.SecretsManager.Replicate(here, name, sm.Replica{Region: "eu-west-1", Status: "InSync"}, start))
		l.in("eu-west-1")
	}, "preflight"},
	{"replication failed", Target{}, nil, func(l *lab) {
		l.ok(l.world.SecretsManager.Replicate(here, name, sm.Replica{Region: "eu-west-1", Status: "Failed", Reason: "a secret of\nthat name exists"}, start))
	}, "preflight"},
	{"somebody's AWSPENDING", Target{}, nil, func(l *lab) { l.put("half-done", "AWSPENDING") }, "preflight"},
	{"other KMS key", Target{KMSKey: cmk}, nil, nil, "preflight"},
	{"KMS alias where the secret has an ID", Target{KMSKey: "alias/app"}, nil, func(l *lab) { l.ok(l.world.SecretsManager.SetKmsKey(here, name, cmk, start)) }, "preflight"},
	{"KMS key disabled", Target{}, nil, func(l *lab) {
		l.ok(l.world.SecretsManager.SetKmsKey(here, name, cmk, start))
		l.world.SecretsManager.SetKeyState(cmk, sm.Disabled)
	}, "preflight"},
	{"KMS key not allowed", Target{}, nil, func(l *lab) {
		l.ok(l.world.SecretsManager.SetKmsKey(here, name, cmk, start))
		l.world.SecretsManager.SetKeyState(cmk, sm.Forbidden)
	}, "preflight"},
	{"no JSON", Target{Key: "password"}, nil, nil, "preflight"},
	{"JSON array", Target{Key: "password"}, nil, func(l *lab) { l.put(`["password"]`) }, "preflight"},
	{"JSON cut off", Target{Key: "password"}, nil, func(l *lab) { l.put(`{"password":"planted-value"`) }, "preflight"},
	{"JSON without the key", Target{Key: "password"}, nil, func(l *lab) { l.put(`{"Password":"planted-value"}`) }, "preflight"},
	{"JSON key twice", Target{Key: "password"}, nil, func(l *lab) { l.put(`{"password":"planted-1","p\u0061ssword":"planted-2"}`) }, "preflight"},
	{"JSON value no string", Target{Key: "password"}, nil, func(l *lab) { l.put(`{"password":{"planted":"value"}}`) }, "preflight"},
	{"binary value", Target{Key: "password"}, nil, func(l *lab) {
		_, err := l.person.PutSecretValue(l.t.Context(), &secretsmanager.PutSecretValueInput{SecretId: new(name), SecretBinary: []byte(`{"password":"planted"}`)})
		l.ok(err)
	}, "preflight"},
	{"no room for labels", Target{}, nil, func(l *lab) {
		for i := range 18 {
			l.move(fmt.Sprintf("BLUE-%d", i), l.secret().Labels["AWSCURRENT"])
		}
	}, "preflight"},
	{"no room for tags", Target{}, nil, func(l *lab) {
		in := &secretsmanager.TagResourceInput{SecretId: new(name)}
		for i := range 49 {
			in.Tags = append(in.Tags, types.Tag{Key: new(fmt.Sprintf("cost-%d", i)), Value: new("x")})
		}
		_, err := l.person.TagResource(l.t.Context(), in)
		l.ok(err)
	}, "preflight"},
	{"may not describe", Target{}, nil, func(l *lab) { l.world.Deny(role, "secretsmanager:DescribeSecret", "*") }, "preflight"},
	{"may not read", Target{}, nil, func(l *lab) { l.world.Deny(role, "secretsmanager:GetSecretValue", "*") }, "preflight"},
	{"may not list versions", Target{}, nil, func(l *lab) { l.world.Deny(role, "secretsmanager:ListSecretVersionIds", "*") }, "preflight"},
	{"may not write", Target{}, nil, func(l *lab) {
		l.world.Deny(role, "secretsmanager:PutSecretValue", "*")
		l.world.Deny(role, "secretsmanager:Tag*", "*")
	}, "preflight"},
	{"rotated since preflight", Target{}, []string{"preflight"}, func(l *lab) { l.put("by hand") }, "create"},
	{"AWSPENDING since preflight", Target{}, []string{"preflight"}, func(l *lab) { l.put("by hand", "AWSPENDING") }, "create"},
	{"key gone since preflight", Target{Key: "password"}, []string{"put", "preflight"}, func(l *lab) {
		l.world.SecretsManager.SetKeyState(cmk, sm.Disabled)
		l.ok(l.world.SecretsManager.SetKmsKey(here, name, cmk, start))
	}, "create"},
	{"new version overwritten with the old value", Target{}, []string{"preflight", "create"}, func(l *lab) {
		l.alter = func(op string, b []byte) []byte { return replaceValue(op, b, l.fact("create", "new"), first) }
	}, "test"},
	{"new version of another length", Target{}, []string{"preflight", "create"}, func(l *lab) {
		l.alter = func(op string, b []byte) []byte { return replaceValue(op, b, l.fact("create", "new"), "short-planted") }
	}, "test"},
	{"new version differs elsewhere", Target{Key: "password"}, []string{"put", "preflight", "create"}, func(l *lab) {
		l.alter = func(op string, b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(`{\"user\":\"app\",\"password\":\"`+l.minted()), []byte(`{\"user\":\"eve\",\"password\":\"`+l.minted()))
		}
	}, "test"},
	{"other key on the new version", Target{}, []string{"preflight", "create"}, func(l *lab) { l.ok(l.world.SecretsManager.SetKmsKey(here, name, cmk, start)) }, "test"},
	{"replication of the new version failed", Target{}, []string{"preflight", "create"}, func(l *lab) {
		l.ok(l.world.SecretsManager.Replicate(here, name, sm.Replica{Region: "eu-west-1", Status: "Failed", Reason: "no"}, start))
	}, "test"},
	{"moved before promote", Target{}, []string{"preflight", "create", "test"}, func(l *lab) { l.put("by hand") }, "promote"},
	{"moved before decommission", Target{}, []string{"preflight", "create", "test", "promote"}, func(l *lab) { l.put("by hand") }, "decommission"},
	{"moved back before decommission", Target{}, []string{"preflight", "create", "test", "promote"}, func(l *lab) { l.move("AWSCURRENT", l.fact("preflight", "old")) }, "decommission"},
	{"somebody pins the old version", Target{}, []string{"preflight", "create", "test", "promote"}, func(l *lab) { l.move("BLUE", l.fact("preflight", "old")) }, "decommission"},
	{"moved before restore", Target{}, []string{"preflight", "create", "test", "promote"}, func(l *lab) { l.put("by hand") }, "restore"},
	{"discard of the live version", Target{}, []string{"preflight", "create", "test", "promote"}, nil, "discard"},
	{"somebody pins the new version", Target{}, []string{"preflight", "create"}, func(l *lab) { l.move("GREEN", l.fact("create", "new")) }, "discard"},
}

// minted is the value of the JSON key that create made.
func (l *lab) minted() string {
	var doc struct{ Password string }
	l.ok(json.Unmarshal([]byte(l.secret().Version(l.fact("create", "new")).Text), &doc))
	return doc.Password
}

// replaceValue makes GetSecretValue answer another value for a version.
func replaceValue(op string, b []byte, version, value string) []byte {
	if op != "GetSecretValue" || !bytes.Contains(b, []byte(version)) {
		return b
	}
	return fmt.Appendf(nil, `{"VersionId":%q,"SecretString":%q}`, version, value)
}

func TestRefusalsSayWhyAndChangeNothing(t *testing.T) {
	var all strings.Builder
	for _, tt := range refusals {
		l := newLab(t, tt.target)
		for _, step := range tt.after {
			if step == "put" {
				l.put(`{"user":"app","password":"old-planted-password"}`)
				continue
			}
			l.run(step)
		}
		if tt.world != nil {
			tt.world(l)
		}
		before, changes := l.state(), l.changes()
		_, err := l.ask(rotation.WithFence(t.Context(), open{}), tt.step)
		var f *rotation.Failure
		if !errors.As(err, &f) || f.Hint == "" {
			t.Errorf("%s: got %v, want a failure with a hint", tt.name, err)
		}
		if l.state() != before || l.changes() != changes {
			t.Errorf("%s: %d changing calls, state %q, was %q", tt.name, l.changes()-changes, l.state(), before)
		}
		l.silent()
		if strings.Contains(l.said[len(l.said)-1], "planted") {
			t.Errorf("%s: a value shows", tt.name)
		}
		text := l.said[len(l.said)-1]
		for i, v := range l.secret().Versions {
			text = strings.ReplaceAll(text, v.ID, fmt.Sprintf("VERSION-%d", i+1))
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, requests.ReplaceAllString(text, "(request ID)"))
	}
	goldentest.Equal(t, "refusals.txt", all.String())
}

// A look that is too old to show the label that was moved just now says so as a mismatch, and proves nothing.
func TestTheProofWaitsForALabelThatIsNotSeenYet(t *testing.T) {
	l := newLab(t, Target{})
	l.run("preflight")
	l.run("create")
	made := l.fact("create", "new")
	l.move("SEEN", made) // else the version would be gone with its last label
	_, err := l.person.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: new(name), VersionStage: new("AWSPENDING"), RemoveFromVersionId: &made})
	l.ok(err)
	res, err := l.ask(t.Context(), "test")
	if err != nil || res.Wait == "" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestWhatCannotBeAskedAboutIsSaid(t *testing.T) {
	for want, world := range map[string]func(*lab){
		"; write permissions checked": func(*lab) {},
		"AccessDenied)":               func(l *lab) { l.world.Deny(role, "iam:SimulatePrincipalPolicy", "*") },
		"AWS doesn't say who we are": func(l *lab) {
			l.world.Fail(func(c sandbox.Call) error {
				if c.Operation == "GetCallerIdentity" {
					return expired
				}
				return nil
			})
		},
	} {
		l := newLab(t, Target{})
		world(l)
		res, err := l.ask(t.Context(), "preflight")
		if err != nil || !strings.Contains(res.Text, want) {
			t.Errorf("got %q, %v; want %q", res.Text, err, want)
		}
	}
}
