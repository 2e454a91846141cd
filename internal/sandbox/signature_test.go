package sandbox_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rastup/rekey/internal/sandbox"
)

func TestSignaturesAreVerified(t *testing.T) {
	b := newBench(t)
	out := must[*sts.AssumeRoleOutput](t)(b.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String(b.scenario.Roles["dev"]), RoleSessionName: aws.String("run-1")}))
	c := out.Credentials
	for what, k := range map[string]struct {
		id, secret, token string
		json, rest, query string
		restStatus        int
	}{
		"right":            {id: sandbox.AccessKeyID, secret: sandbox.SecretAccessKey},
		"session":          {id: *c.AccessKeyId, secret: *c.SecretAccessKey, token: *c.SessionToken},
		"wrong secret":     {id: sandbox.AccessKeyID, secret: "x", json: "InvalidSignatureException", rest: "SignatureDoesNotMatch", query: "SignatureDoesNotMatch", restStatus: 403},
		"unknown key":      {id: "AKIANOBODY", secret: "x", json: "UnrecognizedClientException", rest: "InvalidAccessKeyId", query: "InvalidClientTokenId", restStatus: 403},
		"session, no key":  {id: *c.AccessKeyId, secret: *c.SecretAccessKey, json: "UnrecognizedClientException", rest: "InvalidToken", query: "InvalidClientTokenId", restStatus: 400},
		"token of another": {id: sandbox.AccessKeyID, secret: sandbox.SecretAccessKey, token: "x", json: "UnrecognizedClientException", rest: "InvalidToken", query: "InvalidClientTokenId", restStatus: 400},
	} {
		t.Run(what, func(t *testing.T) {
			b.use(config(b.url, k.id, k.secret, k.token))
			_, errJSON := b.sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(name)})
			_, errREST := b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.scenario.Bucket, Key: aws.String("ä b"), Body: strings.NewReader("x")})
			_, errQuery := b.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			if k.json == "" {
				check1(t, errJSON)
				check1(t, errREST)
				check1(t, errQuery)
				return
			}
			refused(t, errJSON, 400, k.json, "")
			refused(t, errREST, k.restStatus, k.rest, "")
			refused(t, errQuery, 403, k.query, "")
		})
	}
	b.use(config(b.url, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken))
	b.clock.Move(time.Hour)
	_, err := b.sm.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(name)})
	refused(t, err, 400, "ExpiredTokenException", "The security token included in the request is expired")
}

// raw sends a JSON 1.1 request that no SDK would make.
func raw(t *testing.T, b *bench, op, body string, spoil func(*http.Request)) (int, string) {
	t.Helper()
	r := must[*http.Request](t)(http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/", strings.NewReader(body)))
	r.Header.Set("X-Amz-Target", "secretsmanager."+op)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	sum := sha256.Sum256([]byte(body))
	check1(t, v4.NewSigner().SignHTTP(ctx, aws.Credentials{AccessKeyID: sandbox.AccessKeyID, SecretAccessKey: sandbox.SecretAccessKey}, r, hex.EncodeToString(sum[:]), "secretsmanager", "us-east-1", time.Now()))
	if spoil != nil {
		spoil(r)
	}
	out := must[*http.Response](t)(http.DefaultClient.Do(r))
	defer func() { _ = out.Body.Close() }()
	return out.StatusCode, string(must[[]byte](t)(io.ReadAll(out.Body)))
}

func TestRequestsNoSDKMakes(t *testing.T) {
	b := newBench(t)
	for what, c := range map[string]struct {
		op, body string
		spoil    func(*http.Request)
		want     string
	}{
		"no token on the wire": {"PutSecretValue", `{"SecretId":"rekey/dev/app-database","SecretString":"x"}`, nil,
			`{"Message":"You must provide a ClientRequestToken value. We recommend a UUID-type value.","__type":"InvalidRequestException"}`},
		"no signature": {"ListSecrets", `{}`, func(r *http.Request) { r.Header.Del("Authorization") },
			`{"Message":"Missing Authentication Token","__type":"MissingAuthenticationTokenException"}`},
		"changed on the way":  {"ListSecrets", `{}`, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`[]`)) }, "InvalidSignatureException"},
		"a header slipped in": {"ListSecrets", `{}`, func(r *http.Request) { r.Header.Set("X-Amz-Extra", "1") }, "InvalidSignatureException"},
		"misspelt member":     {"DescribeSecret", `{"secretId":"rekey/dev/app-database"}`, nil, "InvalidParameterException"},
		"another service":     {"ListSecrets", `{}`, func(r *http.Request) { r.Header.Set("X-Amz-Target", "TrentService.ListKeys") }, "InvalidSignatureException"},
		"not JSON":            {"ListSecrets", `{`, nil, "SerializationException"},
		"unknown operation":   {"RotateSecret", `{}`, nil, "UnknownOperationException"},
	} {
		t.Run(what, func(t *testing.T) {
			status, body := raw(t, b, c.op, c.body, c.spoil)
			if status != 400 || !strings.Contains(body, c.want) {
				t.Errorf("%d %s, want 400 with %s", status, body, c.want)
			}
		})
	}
}

func TestServeListensOnLoopbackOnlyAndStops(t *testing.T) {
	w := sandbox.New(sandbox.NewClock(start))
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "nonsense"} {
		if _, err := sandbox.Serve(ctx, w, addr); err == nil {
			t.Errorf("listens on %q", addr)
		}
	}
	life, stop := context.WithCancel(ctx)
	s := must[*sandbox.Server](t)(sandbox.Serve(life, w, "127.0.0.1:0"))
	out := must[*http.Response](t)(http.Get(s.URL()))
	_ = out.Body.Close()
	stop()
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
	if out, err := http.Get(s.URL()); err == nil {
		_ = out.Body.Close()
		t.Error("still serves after its context ended")
	}
}
