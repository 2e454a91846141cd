package kms

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"golang.org/x/time/rate"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/kindtest"
	"github.com/rastup/rekey/internal/rotation"
)

// A second opinion: the same steps against moto, which others wrote. It is an extra where it is installed; what the
// steps must do is proven against the sandbox. moto has neither GetKeyLastUsage nor CloudTrail, and decrypts with
// disabled keys: what they would say is answered before it, and refused isn't asked.
func TestTheStepsWorkAgainstMoto(t *testing.T) {
	session, err := cloud.Open(t.Context(), cloud.Options{Region: "us-east-1", Endpoint: before(t, kindtest.Moto(t)), Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		Writes: rate.NewLimiter(rate.Inf, 1)})
	if err != nil {
		t.Fatal(err)
	}
	client := session.KMS()
	ctx := rotation.WithFence(t.Context(), open{})
	for _, m := range []struct {
		spec  types.KeySpec
		usage types.KeyUsageType
	}{{"SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"}, {"RSA_2048", "SIGN_VERIFY"}, {"ECC_NIST_P256", "SIGN_VERIFY"}} { // moto names no MAC algorithms
		for _, end := range [][]string{{adopted, disable, decommission}, {enable, restore, discarded}} {
			alias := "alias/" + strings.ToLower(strings.ReplaceAll(string(m.spec), "_", "-")) + "-" + end[1]
			out, err := client.CreateKey(ctx, &kms.CreateKeyInput{KeySpec: m.spec, KeyUsage: m.usage, Tags: []types.Tag{{TagKey: aws.String("team"), TagValue: aws.String("pay")}}})
			if err != nil {
				t.Fatal(err)
			}
			old := *out.KeyMetadata.Arn
			if _, err := client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &alias, TargetKeyId: &old}); err != nil {
				t.Fatal(err)
			}
			target := Target{Alias: alias, Liaison: "@octo/compliance"}
			with, _ := json.Marshal(target)
			l := &lab{t: t, handler: New(kind.On(session, func([]byte) {})), plan: rotation.Plan{Rotation: "2026-11-25-moto"}}
			for _, s := range Kind().Recipe(&target) {
				l.plan.Steps = append(l.plan.Steps, rotation.Step{ID: alias + "/1/" + s.Name, Key: s.Name, Name: s.Name, With: with, Reads: s.Reads})
			}
			l.records = []rotation.Record{{At: start, Claim: &rotation.Claim{Plan: l.plan, Actors: rotation.Actors{Operator: "ana-sec"}}}}
			for _, s := range append(slices.Clone(upToLive), end...) {
				if err := l.try(s); err != nil {
					t.Fatalf("%s: %s: %v", alias, s, err)
				}
			}
			made := l.fact(create, factNew)
			want := map[string]string{old: "PendingDeletion", made: "Enabled", alias: made}
			if end[0] == enable {
				want = map[string]string{old: "Enabled", made: "Enabled", alias: old}
			}
			for _, arn := range []string{old, made} {
				if d, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &arn}); err != nil || string(d.KeyMetadata.KeyState) != want[arn] {
					t.Errorf("%s after %s: %s is %+v, %v", alias, end[2], arn, d, err)
				}
			}
			if d, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &alias}); err != nil || *d.KeyMetadata.Arn != want[alias] {
				t.Errorf("%s after %s: %+v, %v", alias, end[2], d, err)
			}
		}
	}
}

// before answers what moto doesn't have: KMS's word on last uses, and CloudTrail.
func before(t *testing.T, base string) string {
	to, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	answers := map[string]string{"TrentService.GetKeyLastUsage": `{"KeyLastUsage":{},"TrackingStartDate":1577836800,"KeyCreationDate":1577836800}`,
		"CloudTrail_20131101.LookupEvents": `{"Events":[]}`}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.Header.Get("X-Amz-Target")]
		if !ok {
			// moto's DisableKey and others like it fall over an ARN, which AWS takes.
			b, _ := io.ReadAll(r.Body)
			b = regexp.MustCompile(`"KeyId":"arn:aws:kms:[^"]*:key/`).ReplaceAll(b, []byte(`"KeyId":"`))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
			proxy.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.Copy(w, bytes.NewBufferString(answer))
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String()
}
