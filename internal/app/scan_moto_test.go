package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awssecrets "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/kind/kindtest"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/sandbox"
)

// A second opinion on ages and what differs, with nothing but an endpoint: moto, which others wrote. It is an extra where
// it is installed; what a scan must say is proven against the sandbox.
func TestAScanIsRightAgainstMoto(t *testing.T) {
	url := kindtest.Moto(t)
	who := credentials.NewStaticCredentialsProvider("a", "b", "")
	sm := awssecrets.New(awssecrets.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: who})
	keys := awskms.New(awskms.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: who})
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"shop/quarter", "shop/year", "legacy/ftp"} {
		_, err := sm.CreateSecret(t.Context(), &awssecrets.CreateSecretInput{Name: &name, SecretString: aws.String("x")})
		ok(err)
	}
	key, err := keys.CreateKey(t.Context(), &awskms.CreateKeyInput{})
	ok(err)
	_, err = keys.CreateAlias(t.Context(), &awskms.CreateAliasInput{AliasName: aws.String("alias/shop-signing"), TargetKeyId: key.KeyMetadata.KeyId})
	ok(err)
	now := time.Now().UTC()
	w := &town{t: t, root: t.TempDir(), clock: sandbox.NewClock(now.AddDate(0, 0, 100)), url: url, lookup: func(string) (string, bool) { return "", false }}
	today := now.Format(time.DateOnly)
	w.write(".github/rekey.yml", "environments: [{name: dev, region: us-east-1}]\nevidence: {store: \"file://evidence\"}\n")
	w.write("evidence/.keep", "")
	w.write("ops/config/registry.md", strings.ReplaceAll(strings.ReplaceAll(`| Secret | Kind | Owner | Interval | Last rotated |
|---|---|---|---|---|
| shop/quarter | secretsmanager | @ana | 90 days | TODAY |
| shop/year | secretsmanager | @ana | 1 year | 2025-01-01 |
| shop/gone | secretsmanager | @ana | 90 days | TODAY |
| shop/signing | kms | @ana | 1 year | TODAY |

## shop/quarter
~~~yaml
dev: {target: {secret: shop/quarter}}
~~~
## shop/year
~~~yaml
dev: {target: {secret: shop/year}}
~~~
## shop/gone
~~~yaml
dev: {target: {secret: shop/gone}}
~~~
## shop/signing
~~~yaml
dev: {target: {alias: alias/shop-signing}}
~~~
`, "TODAY", today), "~~~", "```"))
	there := func(x *app.World) {
		x.Cloud = cloud.Options{Endpoint: url, Credentials: who}
		x.Reads, x.Preview = true, true
	}
	_, err = w.process(there).Init(t.Context())
	ok(err)
	s, err := w.process(there).Scan(t.Context())
	ok(err)
	got := map[string]string{}
	for _, one := range s.Standings {
		got[one.Secret] = string(one.State)
		if one.Age == nil || one.Secret != "shop/gone" && one.Age.Since.Format(time.DateOnly) != today {
			t.Errorf("%s: %+v", one.Secret, one.Age)
		}
	}
	for name, want := range map[string]overdue.State{"shop/quarter": overdue.Overdue, "shop/year": overdue.Current, "shop/gone": overdue.Overdue, "shop/signing": overdue.Current} {
		if got[name] != string(want) {
			t.Errorf("%s is %s, want %s", name, got[name], want)
		}
	}
	var differs []string
	for _, f := range s.Findings {
		about := f.Secret
		if about == "" {
			about, _, _ = strings.Cut(f.Text, ",")
		}
		differs = append(differs, f.Rule+" "+about)
	}
	if want := "dates-differ shop/year; row-without-secret shop/gone; secret-without-row legacy/ftp"; strings.Join(differs, "; ") != want {
		t.Errorf("findings %q, want %q", differs, want)
	}
}
