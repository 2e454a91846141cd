package cloud

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	entryRole = "arn:aws:iam::111122223333:role/rekey-entry"
	prodRole  = "arn:aws:iam::444455556666:role/rekey-prod"
	claims    = `{"sub":"repo:rastup/platform:environment:rekey-prod","aud":"sts.amazonaws.com","ref":"refs/heads/main",` +
		`"job_workflow_ref":"rastup/platform/.github/workflows/rotate.yml@refs/heads/main"}`
)

// identities fetches a token that is another one each time.
type identities struct {
	mu      sync.Mutex
	fetched []string
	err     error
}

func (i *identities) fetch(context.Context) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return "", i.err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	token := strings.Join([]string{b64([]byte(`{"alg":"RS256"}`)), b64([]byte(claims)), b64(fmt.Appendf(nil, "planted signature %d", len(i.fetched)))}, ".")
	i.fetched = append(i.fetched, token)
	return token, nil
}

// A tokenService is a small STS: it answers by a script, its last answer again and again. Other calls find nothing.
type tokenService struct {
	mu     sync.Mutex
	script []func(*http.Request) (int, string)
	forms  []url.Values
	signed []string // who signed what, "" for nobody
}

func (s *tokenService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, _, _ := strings.Cut(r.Header.Get("Authorization"), "/")
	s.signed = append(s.signed, strings.TrimPrefix(who, "AWS4-HMAC-SHA256 Credential="))
	if r.Header.Get("X-Amz-Target") != "" {
		_, _ = w.Write([]byte("{}"))
		return
	}
	_ = r.ParseForm()
	s.forms = append(s.forms, r.Form)
	status, body := s.script[min(len(s.forms), len(s.script))-1](r)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func gives(key string, until time.Time) func(*http.Request) (int, string) {
	return func(r *http.Request) (int, string) {
		op := r.Form.Get("Action")
		return 200, fmt.Sprintf(`<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>%[2]s</AccessKeyId>`+
			`<SecretAccessKey>k</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%[3]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
			op, key, until.UTC().Format(time.RFC3339))
	}
}

func refuses(status int, code, message string) func(*http.Request) (int, string) {
	return func(r *http.Request) (int, string) {
		message := strings.ReplaceAll(message, "TOKEN", r.Form.Get("WebIdentityToken"))
		return status, fmt.Sprintf(`<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>req-1</RequestId></ErrorResponse>`, code, message)
	}
}

// session talks to the service without a network, so that it can be in a bubble where waiting costs nothing.
func (s *tokenService) session(t *testing.T, i *identities, entry, role string) *Session {
	t.Helper()
	alone(t)
	o := Options{Region: "eu-central-1", Endpoint: "http://aws.test", Entry: entry, Role: role, WebIdentity: i.fetch,
		SessionName: "rekey-li pay", SourceIdentity: "li pay", Transport: trip(func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			return w.Result(), nil
		})}
	made, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func describe(t *testing.T, s *Session) error {
	_, err := s.SecretsManager().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("a")})
	return err
}

func expectForm(t *testing.T, form url.Values, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := form.Get(name); got != value {
			t.Errorf("%s: %s is %q, want %q", form.Get("Action"), name, got, value)
		}
	}
}

func TestTheJobsIdentityIsExchangedAndChained(t *testing.T) {
	later := time.Now().Add(10 * time.Hour)
	s, i := &tokenService{script: []func(*http.Request) (int, string){gives("ASIAENTRY", later), gives("ASIAPROD", later)}}, &identities{}
	made := s.session(t, i, entryRole, prodRole)
	if len(s.signed)+len(i.fetched) != 0 {
		t.Fatal("Open called somebody")
	}
	for range 3 {
		if err := describe(t, made); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(s.signed, " "); got != " ASIAENTRY ASIAPROD ASIAPROD ASIAPROD" || len(i.fetched) != 1 {
		t.Fatalf("signed by %q, %d tokens", got, len(i.fetched))
	}
	expectForm(t, s.forms[0], map[string]string{"Action": "AssumeRoleWithWebIdentity", "RoleArn": entryRole, "WebIdentityToken": i.fetched[0],
		"RoleSessionName": "rekey-li-pay", "DurationSeconds": "3600"})
	expectForm(t, s.forms[1], map[string]string{"Action": "AssumeRole", "RoleArn": prodRole, "RoleSessionName": "rekey-li-pay", "SourceIdentity": "li-pay",
		"DurationSeconds": "3600", "Tags.member.1.Key": "rekey:operator", "Tags.member.1.Value": "li-pay", "Tags.member.2.Key": "", "TransitiveTagKeys.member.1": "rekey:operator"})
}

func TestWithoutAnEntryTheRoleItselfIsTaken(t *testing.T) {
	for _, r := range []struct{ entry, role string }{{"", prodRole}, {prodRole, ""}, {prodRole, prodRole}} {
		s, i := &tokenService{script: []func(*http.Request) (int, string){gives("ASIAPROD", time.Now().Add(time.Hour))}}, &identities{}
		if err := describe(t, s.session(t, i, r.entry, r.role)); err != nil {
			t.Fatal(err)
		}
		expectForm(t, s.forms[0], map[string]string{"Action": "AssumeRoleWithWebIdentity", "RoleArn": prodRole})
		if len(s.forms) != 1 {
			t.Errorf("%d calls of STS", len(s.forms))
		}
	}
	if _, err := Open(t.Context(), Options{Region: "eu-central-1", WebIdentity: (&identities{}).fetch}); err == nil {
		t.Error("an identity is exchanged for no role")
	}
}

func TestEachRenewalHasItsOwnToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hour := func(r *http.Request) (int, string) { return gives("ASIA", time.Now().Add(time.Hour))(r) }
		s, i := &tokenService{script: []func(*http.Request) (int, string){hour}}, &identities{}
		made := s.session(t, i, entryRole, prodRole)
		for range 5 {
			if err := describe(t, made); err != nil {
				t.Fatal(err)
			}
			time.Sleep(58 * time.Minute) // of the bubble: they end in two minutes
		}
		if len(i.fetched) != 5 || len(s.forms) != 10 {
			t.Errorf("%d tokens, %d roles taken", len(i.fetched), len(s.forms))
		}
		for n, token := range i.fetched {
			expectForm(t, s.forms[2*n], map[string]string{"WebIdentityToken": token})
		}
	})
}

func TestRefusedIdentities(t *testing.T) {
	ok := gives("ASIA", time.Now().Add(100*24*365*time.Hour))
	var text strings.Builder
	for _, tt := range []struct {
		name   string
		script []func(*http.Request) (int, string)
		tokens int // fetched
		calls  int // of STS
	}{
		{"expired token", []func(*http.Request) (int, string){refuses(400, expiredToken, "Token expired: TOKEN"), ok}, 2, 3},
		{"invalid token", []func(*http.Request) (int, string){refuses(400, invalidToken, "x"), refuses(400, invalidToken, "x"), ok}, 3, 4},
		{"invalid for good", []func(*http.Request) (int, string){refuses(400, invalidToken, "No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com")}, 3, 3},
		{"provider out of reach", []func(*http.Request) (int, string){refuses(400, unreachable, "x"), refuses(400, unreachable, "x"), ok}, 1, 4},
		{"provider out of reach for good", []func(*http.Request) (int, string){refuses(400, unreachable, "The request could not be completed")}, 1, 3},
		{"denied", []func(*http.Request) (int, string){refuses(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")}, 1, 1},
		{"claim rejected", []func(*http.Request) (int, string){refuses(403, rejectedClaim, "rejected TOKEN")}, 1, 1},
		{"quotes the token", []func(*http.Request) (int, string){refuses(400, "ValidationError", "1 validation error detected: Value 'TOKEN' at 'webIdentityToken' failed")}, 1, 1},
		{"server error", []func(*http.Request) (int, string){refuses(500, "InternalFailure", "TOKEN")}, 1, 3},
		{"entry denied to the role", []func(*http.Request) (int, string){ok, refuses(403, "AccessDenied",
			"User: arn:aws:sts::111122223333:assumed-role/rekey-entry/rekey is not authorized to perform: sts:TagSession on resource: "+prodRole)}, 1, 2},
	} {
		synctest.Test(t, func(t *testing.T) { // the SDK waits between attempts
			s, i := &tokenService{script: tt.script}, &identities{}
			err := Judge(describe(t, s.session(t, i, entryRole, prodRole)), "look")
			if len(i.fetched) != tt.tokens || len(s.forms) != tt.calls {
				t.Errorf("%s: %d tokens fetched, STS called %d times; want %d and %d", tt.name, len(i.fetched), len(s.forms), tt.tokens, tt.calls)
			}
			for _, token := range i.fetched {
				for part := range strings.SplitSeq(token, ".") {
					if strings.Contains(fmt.Sprintf("%v %+v", err, err), part) {
						t.Errorf("%s: the token shows: %v", tt.name, err)
					}
				}
			}
			var f *rotation.Failure
			switch {
			case errors.As(err, &f):
				fmt.Fprintf(&text, "%s\n  refused: %s\n  hint: %s\n", tt.name, f.Msg, f.Hint)
			case err != nil:
				fmt.Fprintf(&text, "%s\n  unknown: %v\n", tt.name, err)
			default:
				fmt.Fprintf(&text, "%s\n  done\n", tt.name)
			}
		})
	}
	goldentest.Equal(t, "identity.txt", text.String())
}

func TestWhatFetchingTheIdentitySaidIsKept(t *testing.T) {
	no := rotation.Failf("give the job permissions: id-token: write", "ask GitHub for this job's identity: it has none")
	for _, cause := range []error{no, errors.New("ask GitHub for this job's identity: GitHub answered 503"), context.Canceled} {
		s := &tokenService{}
		err := Judge(s.session(t, &identities{err: cause}, entryRole, prodRole).Ready(t.Context()), "x")
		var f, want *rotation.Failure
		if errors.As(err, &f) != errors.As(cause, &want) || !strings.Contains(err.Error(), cause.Error()) || want != nil && f.Hint != want.Hint {
			t.Errorf("%v became %v", cause, err)
		}
		if errors.Is(cause, context.Canceled) != errors.Is(err, context.Canceled) {
			t.Errorf("%v is lost in %v", cause, err)
		}
	}
}

func TestTheIdentityIsNotSentToWhereARedirectSays(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the token went elsewhere") }))
	defer elsewhere.Close()
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
		here := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		defer here.Close()
		s, err := Open(t.Context(), Options{Region: "eu-central-1", Endpoint: here.URL, Role: prodRole, WebIdentity: (&identities{}).fetch})
		if err != nil {
			t.Fatal(err)
		}
		if err := describe(t, s); err == nil {
			t.Errorf("%d counts as success", status)
		}
	}
}
