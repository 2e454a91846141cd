package secretsmanager

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/kindtest"
	"github.com/rastup/rekey/internal/rotation"
	"golang.org/x/time/rate"
)

// A second opinion: the same steps against moto, which others wrote. It is an extra where it is installed; what
// the steps must do is proven against the sandbox.
func TestTheStepsWorkAgainstMoto(t *testing.T) {
	url := kindtest.Moto(t)
	o := cloud.Options{Region: region, Endpoint: url, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), Writes: rate.NewLimiter(rate.Inf, 1)}
	session, err := cloud.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range [][]string{{"decommission"}, {"restore", "discard"}} {
		name := "app/" + end[0]
		l := &lab{t: t, handler: New(kind.On(session, func([]byte) {})), plan: planOf(t, Target{Secret: name, Key: "password"}, 1)}
		l.records = []rotation.Record{{At: start, Claim: &rotation.Claim{Plan: l.plan, Actors: rotation.Actors{Operator: "ana-sec"}}}}
		client := session.SecretsManager()
		_, err := client.CreateSecret(rotation.WithFence(t.Context(), open{}), &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String(`{"user":"app","password":"old"}`)})
		l.ok(err)
		l.run(forward[:4]...).run(end...)
		out, err := client.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &name})
		l.ok(err)
		live := l.fact("create", "new")
		if end[0] == "restore" {
			live = l.fact("preflight", "old")
		}
		for id, labels := range out.VersionIdsToStages {
			if id == live && (len(labels) != 1 || labels[0] != "AWSCURRENT") || id != live && len(labels) > 0 {
				t.Errorf("after %s version %s has %q", end[0], id, labels)
			}
		}
	}
}
