package cloud

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

func hasMethod(v any, name string) bool { _, ok := reflect.TypeOf(v).MethodByName(name); return ok }

// alone takes away what the machine's own AWS configuration says.
func alone(t *testing.T) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "credentials"))
}

func TestStandardEndpointVariablesAreFollowed(t *testing.T) {
	alone(t)
	var got []string
	note := func(who string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = append(got, who+" "+r.URL.Path)
			_, _ = w.Write([]byte("{}"))
		}))
		t.Cleanup(s.Close)
		return s
	}
	all, own := note("all"), note("secretsmanager")
	t.Setenv("AWS_ENDPOINT_URL", all.URL)
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", own.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	t.Setenv("AWS_REGION", "eu-central-1")
	s, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SecretsManager().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("a")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.S3().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k")}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"secretsmanager /", "all /bucket/k"}; !reflect.DeepEqual(got, want) {
		t.Errorf("called %q, want %q", got, want)
	}
	if s.Region() != "eu-central-1" {
		t.Errorf("region %q", s.Region())
	}
}

const assumed = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>k</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`

func TestTheRoleIsAssumedOnceAndOnlyWhenNeeded(t *testing.T) {
	var assumes []url.Values
	signedBy := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "" {
			_ = r.ParseForm()
			assumes = append(assumes, r.Form)
			_, _ = w.Write([]byte(assumed))
			return
		}
		signedBy = r.Header.Get("Authorization")
		_, _ = w.Write([]byte("{}"))
	}))
	defer server.Close()
	s, err := Open(t.Context(), Options{Region: "eu-central-1", Endpoint: server.URL, Role: "arn:aws:iam::111122223333:role/rekey",
		SessionName: "run 8123/1", SourceIdentity: "dependabot[bot]", Credentials: credentials.NewStaticCredentialsProvider("AKIDBASE", "b", "")})
	if err != nil {
		t.Fatal(err)
	}
	if len(assumes) != 0 {
		t.Fatal("Open called STS")
	}
	for range 3 {
		if _, err := s.SecretsManager().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("a")}); err != nil {
			t.Fatal(err)
		}
	}
	if len(assumes) != 1 || !strings.Contains(signedBy, "Credential=ASIAROLE/") {
		t.Fatalf("assumed %d times, signed by %q", len(assumes), signedBy)
	}
	for key, want := range map[string]string{"RoleArn": "arn:aws:iam::111122223333:role/rekey", "RoleSessionName": "run-8123-1",
		"SourceIdentity": "dependabot-bot-", "DurationSeconds": "3600", "Tags.member.1.Key": ""} {
		if got := assumes[0].Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func TestSessionNamesAreWhatSTSTakes(t *testing.T) {
	for in, want := range map[string]string{"": "", "a": "a-", "ana-sec": "ana-sec", "ä/b": "--b", strings.Repeat("x", 80): strings.Repeat("x", 64)} {
		if got := sessionName(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestWithoutCredentialsTheFirstCallFailsSoon(t *testing.T) {
	alone(t)
	s, err := Open(t.Context(), Options{Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	_, err = s.Identity(t.Context())
	if took := time.Since(begun); err == nil || took > 10*time.Second {
		t.Errorf("%v after %s", err, took)
	}
}

func BenchmarkOpen(b *testing.B) {
	for range b.N {
		if _, err := Open(b.Context(), Options{Region: "eu-central-1"}); err != nil {
			b.Fatal(err)
		}
	}
}
