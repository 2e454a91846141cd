package sandbox

import (
	"encoding/json"
	"fmt"

	"github.com/rastup/rekey/internal/sandbox/secretsmanager"
	"github.com/rastup/rekey/internal/sandbox/sts"
	"github.com/rastup/rekey/internal/sandbox/wire"
)

// Home is where Seed puts everything.
var Home = wire.Place{Account: "111111111111", Region: "us-east-1"}

// The one access key of the scenario. It opens nothing but a sandbox.
const (
	AccessKeyID     = "AKIASANDBOXREKEY0001"
	SecretAccessKey = "sandbox/only/never-a-real-key/rekey-0001"
)

// A Scenario is what Seed made.
type Scenario struct {
	Account, Region string
	Principal       string            // ARN of the user with the access key
	Bucket          string            // evidence, with Object Lock
	LogGroup        string            // audit copy
	Environments    []string          // in order
	Secrets         map[string]string // environment to the secret's name
	Roles           map[string]string // environment to the role's ARN
}

// Seed fills w with the scenario of `rekey sandbox` and the demo: an application's database login in three
// environments, a role for each, a bucket for evidence and a log group.
func Seed(w *World) (Scenario, error) {
	s := Scenario{
		Account: Home.Account, Region: Home.Region, Principal: "arn:aws:iam::" + Home.Account + ":user/operator",
		Bucket: "rekey-evidence", LogGroup: "/rekey/audit", Environments: []string{"dev", "stage", "prod"},
		Secrets: map[string]string{}, Roles: map[string]string{},
	}
	w.AddKey(AccessKeyID, SecretAccessKey, s.Principal)
	w.S3.MakeBucket(Home, s.Bucket, true, w.Now())
	w.Logs.MakeGroup(Home, s.LogGroup, w.Now())
	for _, env := range s.Environments {
		name, role := "rekey/"+env+"/app-database", "arn:aws:iam::"+Home.Account+":role/rekey-"+env
		s.Secrets[env], s.Roles[env] = name, role
		w.STS.AddRole(sts.Role{ARN: role, Trust: []string{s.Principal}, Created: w.Now()})
		value, err := json.Marshal(map[string]any{
			"engine": "postgres", "host": "db." + env + ".example.internal", "port": 5432, "dbname": "app",
			"username": "app", "password": "sandbox-" + w.random.Text(32, wire.Letters),
		})
		if err != nil {
			return Scenario{}, fmt.Errorf("seed %q: %w", name, err)
		}
		if _, err := w.PutByHand(name, string(value)); err != nil {
			return Scenario{}, fmt.Errorf("seed: %w", err)
		}
	}
	return s, nil
}

// PutByHand is a person in the console of the Home account and Region: see secretsmanager.Service.PutByHand.
func (w *World) PutByHand(name, value string, labels ...string) (versionID string, err error) {
	return w.SecretsManager.PutByHand(Home, name, value, w.Now(), labels...)
}

// Secret looks at a secret of the Home account and Region without being seen; the zero Secret when there is none.
func (w *World) Secret(name string) secretsmanager.Secret {
	s, _ := w.SecretsManager.Secret(Home, name, w.Now())
	return s
}
