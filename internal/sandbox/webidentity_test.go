package sandbox_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/golang-jwt/jwt/v5"

	"github.com/rastup/rekey/internal/cloud"
	client "github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/github"
	roles "github.com/rastup/rekey/internal/sandbox/sts"
)

const (
	issuer    = "https://token.actions.githubusercontent.com"
	provider  = "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"
	entryRole = "arn:aws:iam::111111111111:role/entry-prod"
	prodRole  = "arn:aws:iam::111111111111:role/act-prod"
)

const entryTrust = `{"Version": "2012-10-17", "Statement": [{
  "Effect": "Allow", "Principal": {"Federated": "` + provider + `"}, "Action": "sts:AssumeRoleWithWebIdentity",
  "Condition": {
    "StringEquals": {
      "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
      "token.actions.githubusercontent.com:ref": "refs/heads/main",
      "token.actions.githubusercontent.com:job_workflow_ref": "rastup/shop/.github/workflows/rotate.yml@refs/heads/main"},
    "StringLike": {"token.actions.githubusercontent.com:sub": ["repo:rastup/shop:environment:rekey-prod", "repo:rastup@*/shop@*:environment:rekey-prod"]}}}]}`

// A federation is an AWS that trusts a GitHub, and a run there.
type federation struct {
	*bench
	hub *github.Service
	at  string // GitHub's address
	run int64
}

func newFederation(t *testing.T, o github.Options) *federation {
	t.Helper()
	o.Repository = "rastup/shop"
	f := &federation{bench: newBench(t)}
	f.hub = github.New(f.clock, o)
	f.hub.AddUser("ada", "admin", false)
	f.hub.Commit("main", "ada", "first", map[string]string{"a": "b"})
	f.hub.Commit("topic", "ada", "second", map[string]string{"a": "c"})
	f.run = f.hub.StartRun("rotate.yml", "push", "main", "", "ada")
	server := httptest.NewServer(f.hub.Handler())
	t.Cleanup(server.Close)
	f.at = server.URL
	f.world.STS.AddProvider(roles.Provider{ARN: provider, Issuer: issuer, Audiences: []string{"sts.amazonaws.com"}, Key: f.hub.VerificationKey})
	f.world.STS.AddRole(roles.Role{ARN: entryRole, Policy: must[[]roles.Statement](t)(roles.ParseTrust([]byte(entryTrust))), MaxSession: 12 * time.Hour})
	f.world.STS.AddRole(roles.Role{ARN: prodRole, Policy: must[[]roles.Statement](t)(roles.ParseTrust([]byte(`{"Version": "2012-10-17", "Statement": {
	  "Effect": "Allow", "Principal": {"AWS": "` + entryRole + `"}, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
	  "Condition": {"StringLike": {"sts:SourceIdentity": "*", "aws:RequestTag/rekey:operator": "*"}}}}`))), MaxSession: 12 * time.Hour})
	return f
}

func (f *federation) token(t *testing.T, job github.TokenFor, audience string) string {
	t.Helper()
	path, bearer := f.hub.IssueToken(job)
	return must[string](t)(client.IDToken(ctx, client.TokenOptions{URL: f.at + path, Bearer: bearer, Audience: audience, Clock: f.clock}))
}

func (f *federation) assume(role, token string, seconds int32) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	f.use(aws.Config{Region: "us-east-1", BaseEndpoint: &f.url, HTTPClient: &http.Client{}, Retryer: func() aws.Retryer { return aws.NopRetryer{} }})
	in := &sts.AssumeRoleWithWebIdentityInput{RoleArn: &role, RoleSessionName: aws.String("run-1"), WebIdentityToken: &token}
	if seconds > 0 {
		in.DurationSeconds = &seconds
	}
	return f.sts.AssumeRoleWithWebIdentity(ctx, in)
}

func TestAJobsIdentityIsExchangedAndThePersonGoesAlong(t *testing.T) {
	for name, ids := range map[string]bool{"subject": false, "subject with ids": true} {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, github.Options{SubjectIDs: ids})
			job := github.TokenFor{Run: f.run, Environment: "rekey-prod"}
			out := must[*sts.AssumeRoleWithWebIdentityOutput](t)(f.assume(entryRole, f.token(t, job, "sts.amazonaws.com"), 7200))
			if *out.Audience != "sts.amazonaws.com" || *out.Provider != provider || !strings.HasSuffix(*out.SubjectFromWebIdentityToken, ":environment:rekey-prod") ||
				!out.Credentials.Expiration.Equal(start.Add(2*time.Hour)) || *out.AssumedRoleUser.Arn != "arn:aws:sts::111111111111:assumed-role/entry-prod/run-1" {
				t.Errorf("exchanged: %+v", out)
			}
			s := must[*cloud.Session](t)(cloud.Open(ctx, cloud.Options{
				Region: "us-east-1", Endpoint: f.url, Entry: entryRole, Role: prodRole, SessionName: "run 1", SourceIdentity: "ada",
				WebIdentity: func(context.Context) (string, error) { return f.token(t, job, "sts.amazonaws.com"), nil },
			}))
			if who := must[string](t)(s.Identity(ctx)); who != "arn:aws:sts::111111111111:assumed-role/act-prod/run-1" {
				t.Errorf("acts as %s", who)
			}
			calls := f.world.Calls()
			last := calls[len(calls)-1]
			if last.SourceIdentity != "ada" || last.Tags["rekey:operator"] != "ada" || len(last.Tags) != 1 {
				t.Errorf("the record of the call: %+v", last)
			}
			if first := calls[len(calls)-3]; first.Operation != "AssumeRoleWithWebIdentity" || first.Principal != "" || first.Target != entryRole {
				t.Errorf("the record of the exchange: %+v", first)
			}
		})
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	f := newFederation(t, github.Options{})
	prod := github.TokenFor{Run: f.run, Environment: "rekey-prod"}
	topic := f.hub.StartRun("rotate.yml", "workflow_dispatch", "topic", "", "ada")
	other := f.hub.StartRun("other.yml", "push", "main", "", "ada")
	elsewhere := f.hub.In("rastup/other").StartRun("rotate.yml", "push", "main", "", "ada")
	good := f.token(t, prod, "sts.amazonaws.com")
	head, rest, _ := strings.Cut(good, ".")
	claims, sign, _ := strings.Cut(rest, ".")
	spoilt := []byte(sign)
	spoilt[0] ^= 1
	stranger := must[string](t)(jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "https://elsewhere.example", "sub": "x"}).SignedString([]byte("key")))
	unsigned := must[string](t)(jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"iss": issuer, "sub": "x"}).SignedString(jwt.UnsafeAllowNoneSignatureType))
	path, bearer := f.hub.In("rastup/other").IssueToken(github.TokenFor{Run: elsewhere, Environment: "rekey-prod"})
	foreign := must[string](t)(client.IDToken(ctx, client.TokenOptions{URL: f.at + path, Bearer: bearer, Audience: "sts.amazonaws.com", Clock: f.clock}))
	const no = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
	for what, c := range map[string]struct {
		role, token string
		seconds     int32
		status      int
		code, text  string
	}{
		"another environment": {entryRole, f.token(t, github.TokenFor{Run: f.run, Environment: "rekey-dev"}, "sts.amazonaws.com"), 0, 403, "AccessDenied", no},
		"no environment":      {entryRole, f.token(t, github.TokenFor{Run: f.run}, "sts.amazonaws.com"), 0, 403, "AccessDenied", no},
		"another branch":      {entryRole, f.token(t, github.TokenFor{Run: topic, Environment: "rekey-prod"}, "sts.amazonaws.com"), 0, 403, "AccessDenied", no},
		"another workflow":    {entryRole, f.token(t, github.TokenFor{Run: other, Environment: "rekey-prod"}, "sts.amazonaws.com"), 0, 403, "AccessDenied", no},
		"another repository":  {entryRole, foreign, 0, 403, "AccessDenied", no},
		"no such role":        {"arn:aws:iam::111111111111:role/none", good, 0, 403, "AccessDenied", no},
		"a role for users":    {f.scenario.Roles["dev"], good, 0, 403, "AccessDenied", no},
		"another account":     {"arn:aws:iam::222222222222:role/entry-prod", good, 0, 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for " + issuer},
		"default audience":    {entryRole, f.token(t, prod, ""), 0, 400, "InvalidIdentityToken", "Incorrect token audience"},
		"not a token":         {entryRole, "not a token", 0, 400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"},
		"forged":              {entryRole, head + "." + claims + "." + string(spoilt), 0, 400, "InvalidIdentityToken", ""},
		"unsigned":            {entryRole, unsigned, 0, 400, "InvalidIdentityToken", ""},
		"another issuer":      {entryRole, stranger, 0, 400, "InvalidIdentityToken", ""},
		"too short":           {entryRole, good, 899, 400, "ValidationError", ""},
		"too long":            {entryRole, good, 43201, 400, "ValidationError", ""},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := f.assume(c.role, c.token, c.seconds)
			refused(t, err, c.status, c.code, c.text)
		})
	}
	f.clock.Move(5 * time.Minute)
	_, err := f.assume(entryRole, good, 0)
	refused(t, err, 400, "ExpiredTokenException", "Token expired: current date/time 1795428300 must be before the expiration date/time 1795428300")
	f.world.STS.AddProvider(roles.Provider{ARN: provider, Issuer: issuer, Audiences: []string{"sts.amazonaws.com"}, Key: func(string) (crypto.PublicKey, error) { return nil, errors.New("no such key") }})
	_, err = f.assume(entryRole, f.token(t, prod, "sts.amazonaws.com"), 0)
	refused(t, err, 400, "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
	f.world.Fail(func(sandbox.Call) error { return &sandbox.Error{Status: 403, Code: "IDPRejectedClaim", Message: "no"} })
	_, err = f.assume(entryRole, good, 0)
	refused(t, err, 403, "IDPRejectedClaim", "no")
	f.hub.EndRun(f.run, "success")
	path, bearer = f.hub.IssueToken(prod)
	if _, err := client.IDToken(ctx, client.TokenOptions{URL: f.at + path, Bearer: bearer, Clock: f.clock}); err == nil {
		t.Error("a run that has ended got a token")
	}
	if _, err := client.IDToken(ctx, client.TokenOptions{URL: f.at + path, Bearer: "another", Clock: f.clock}); err == nil {
		t.Error("somebody else got a token")
	}
}

func TestTagsAndSourceIdentityNeedTheTrustPolicy(t *testing.T) {
	f := newFederation(t, github.Options{})
	entry := must[*sts.AssumeRoleWithWebIdentityOutput](t)(f.assume(entryRole, f.token(t, github.TokenFor{Run: f.run, Environment: "rekey-prod"}, "sts.amazonaws.com"), 0)).Credentials
	tag := func(key, value string) ststypes.Tag { return ststypes.Tag{Key: &key, Value: &value} }
	assume := func(c *ststypes.Credentials, role string, more func(*sts.AssumeRoleInput)) (*sts.AssumeRoleOutput, error) {
		f.use(config(f.url, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken))
		in := &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("run-1")}
		if more != nil {
			more(in)
		}
		return f.sts.AssumeRole(ctx, in)
	}
	only := func(name string, actions ...string) string {
		arn := "arn:aws:iam::111111111111:role/" + name
		f.world.STS.AddRole(roles.Role{ARN: arn, Policy: []roles.Statement{{AWS: []string{entryRole, prodRole}, Actions: actions}}, MaxSession: 12 * time.Hour})
		return arn
	}
	bare := only("bare", "sts:AssumeRole")
	who := func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("ada") }
	tagged := func(in *sts.AssumeRoleInput) {
		in.Tags, in.TransitiveTagKeys = []ststypes.Tag{tag("rekey:operator", "ada")}, []string{"rekey:operator"}
	}
	both := func(in *sts.AssumeRoleInput) { who(in); tagged(in) }
	const user = "User: arn:aws:sts::111111111111:assumed-role/entry-prod/run-1 is not authorized to perform: "
	must[*sts.AssumeRoleOutput](t)(assume(entry, bare, nil))
	_, err := assume(entry, bare, who)
	refused(t, err, 403, "AccessDenied", user+"sts:SetSourceIdentity on resource: "+bare)
	_, err = assume(entry, bare, tagged)
	refused(t, err, 403, "AccessDenied", user+"sts:TagSession on resource: "+bare)
	_, err = assume(entry, prodRole, tagged)
	refused(t, err, 403, "AccessDenied", user+"sts:AssumeRole on resource: "+prodRole)
	_, err = assume(entry, prodRole, func(in *sts.AssumeRoleInput) { both(in); in.DurationSeconds = aws.Int32(3601) })
	refused(t, err, 400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	_, err = assume(entry, prodRole, func(in *sts.AssumeRoleInput) { both(in); in.Tags = append(in.Tags, tag("REKEY:operator", "eve")) })
	refused(t, err, 400, "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
	_, err = assume(entry, prodRole, func(in *sts.AssumeRoleInput) { both(in); in.TransitiveTagKeys = []string{"other"} })
	refused(t, err, 400, "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags.")
	prod := must[*sts.AssumeRoleOutput](t)(assume(entry, prodRole, both)).Credentials
	all := only("further", "sts:*")
	_, err = assume(prod, all, func(in *sts.AssumeRoleInput) { in.Tags = []ststypes.Tag{tag("rekey:Operator", "eve")} })
	refused(t, err, 400, "InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
	further := must[*sts.AssumeRoleOutput](t)(assume(prod, all, nil)).Credentials
	_, err = assume(prod, bare, nil)
	refused(t, err, 403, "AccessDenied", "User: arn:aws:sts::111111111111:assumed-role/act-prod/run-1 is not authorized to perform: sts:SetSourceIdentity on resource: "+bare)
	f.use(config(f.url, *further.AccessKeyId, *further.SecretAccessKey, *further.SessionToken))
	must[*sts.GetCallerIdentityOutput](t)(f.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	calls := f.world.Calls()
	if last := calls[len(calls)-1]; last.SourceIdentity != "ada" || last.Tags["rekey:operator"] != "ada" {
		t.Errorf("the person got lost: %+v", last)
	}
}

func TestTrustPoliciesAreReadStrictly(t *testing.T) {
	const whole = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"%s}]}`
	if l, err := roles.ParseTrust([]byte(strings.ReplaceAll(whole, "%s", `,"Condition":{"StringNotLike":{"aws:PrincipalArn":["a","b"]}}`))); err != nil || len(l) != 1 {
		t.Errorf("%v %v", l, err)
	}
	for _, text := range []string{
		`{}`, `[]`, `{"Version":"2012-10-17","Statement":[]}`, strings.ReplaceAll(whole, "2012", "2008"), strings.ReplaceAll(whole, "%s", `,"NotAction":"x"`),
		strings.ReplaceAll(whole, "%s", `,"Condition":{"ForAnyValue:StringLike":{"a":"b"}}`), strings.ReplaceAll(whole, "%s", `,"Resource":"*"`),
		`{"Version":"2012-10-17","Statement":{"Effect":"allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"}}}`,
	} {
		if l, err := roles.ParseTrust([]byte(strings.ReplaceAll(text, "%s", ""))); err == nil {
			t.Errorf("%s is %+v", text, l)
		}
	}
}

func TestADenialWins(t *testing.T) {
	f := newFederation(t, github.Options{})
	policy := append(must[[]roles.Statement](t)(roles.ParseTrust([]byte(entryTrust))), roles.Statement{
		Deny: true, Federated: []string{provider}, Actions: []string{"*"}, Condition: map[string]map[string][]string{"StringNotEquals": {"token.actions.githubusercontent.com:repository_id": {"1"}}},
	})
	f.world.STS.AddRole(roles.Role{ARN: entryRole, Policy: policy})
	_, err := f.assume(entryRole, f.token(t, github.TokenFor{Run: f.run, Environment: "rekey-prod"}, "sts.amazonaws.com"), 0)
	refused(t, err, 403, "AccessDenied", "")
}

func TestTheIssuerDescribesItself(t *testing.T) {
	f := newFederation(t, github.Options{})
	read := func(path string, v any) {
		t.Helper()
		out := must[*http.Response](t)(http.Get(f.at + path))
		defer func() { _ = out.Body.Close() }()
		check1(t, json.Unmarshal(must[[]byte](t)(io.ReadAll(out.Body)), v))
	}
	var about struct {
		Issuer string
		Keys   string `json:"jwks_uri"`
	}
	var set struct {
		Keys []struct{ Kid, Kty, Alg, N, E string }
	}
	read("/_oidc/.well-known/openid-configuration", &about)
	read(strings.TrimPrefix(about.Keys, f.at), &set)
	if about.Issuer != issuer || len(set.Keys) != 1 || set.Keys[0].Alg != "RS256" {
		t.Errorf("%+v %+v", about, set)
	}
	token, _, err := jwt.NewParser().ParseUnverified(f.token(t, github.TokenFor{Run: f.run}, ""), jwt.MapClaims{})
	check1(t, err)
	claims := token.Claims.(jwt.MapClaims)
	if token.Header["kid"] != set.Keys[0].Kid || claims["aud"] != "https://github.com/rastup" || claims["sub"] != "repo:rastup/shop:ref:refs/heads/main" || claims["run_attempt"] != "1" || claims["actor"] != "ada" {
		t.Errorf("%v %v", token.Header, claims)
	}
	if _, err := f.hub.VerificationKey("another"); err == nil {
		t.Error("has a key of any id")
	}
}

func TestManyIdentitiesAtOnce(t *testing.T) {
	f := newFederation(t, github.Options{})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			environment := []string{"rekey-prod", "rekey-dev"}[i%2]
			path, bearer := f.hub.IssueToken(github.TokenFor{Run: f.run, Environment: environment})
			token, err := client.IDToken(ctx, client.TokenOptions{URL: f.at + path, Bearer: bearer, Audience: "sts.amazonaws.com", Clock: f.clock})
			if err != nil {
				t.Error(err)
				return
			}
			c := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &f.url, HTTPClient: &http.Client{}, Retryer: aws.NopRetryer{}})
			_, err = c.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String(entryRole), RoleSessionName: aws.String("run-1"), WebIdentityToken: &token})
			if (err == nil) != (environment == "rekey-prod") {
				t.Errorf("%s: %v", environment, err)
			}
		})
	}
	all.Wait()
}
