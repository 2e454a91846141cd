package kindtest

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/internal/vaulttest"
	"github.com/rastup/rekey/internal/kind/secretsmanager"
	"github.com/rastup/rekey/internal/rotation"
)

var update = flag.Bool("update", false, "write the goldens anew")

// TestMain keeps this machine's AWS configuration out.
func TestMain(m *testing.M) {
	for _, key := range []string{"AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"} {
		_ = os.Unsetenv(key)
	}
	_ = os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	_ = os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	os.Exit(m.Run())
}

func TestSecretsManager(t *testing.T) { Run(t, wholeValue) }

var wholeValue = World{Kind: secretsmanager.Kind(), Of: "whole value", New: vault}

const (
	name      = vaulttest.Name
	accessKey = vaulttest.AccessKey
	secretKey = vaulttest.SecretKey
)

func vault(clock func() time.Time) Instance {
	v, err := vaulttest.New(clock, "oldest-value-0000", "old-value-11111111", "partner-value-0000")
	if err != nil {
		panic(err)
	}
	return Instance{
		Target: json.RawMessage(`{"secret":"` + name + `"}`), Service: v.World.Handler(), Handler: handler,
		Reads: vaulttest.Reads, Name: vaulttest.Operation,
		State: v.State, Live: v.Live, Always: v.Always, Destroyed: v.Destroyed, Value: v.Value,
		Promoted: func() string { return v.Promoted("by-hand-222222222") },
		Begun:    func() func() error { return v.Begun("by-hand-333333333") },
		Happened: v.Happened, Finished: v.Finished, Restored: v.Restored,
	}
}

func handler(rt http.RoundTripper, seen func([]byte)) (rotation.Handler, func(context.Context, rotation.Past) error, error) {
	s, arm, err := vaulttest.Session(rt, seen)
	if err != nil {
		return nil, nil, err
	}
	return secretsmanager.New(kind.On(s, seen)), arm, nil
}

func TestCosts(t *testing.T) { Golden(t, *update, Costs(t, wholeValue, nil)) }
