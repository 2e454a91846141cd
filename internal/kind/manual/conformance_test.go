package manual_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/internal/vaulttest"
	"github.com/rastup/rekey/internal/kind/kindtest"
	"github.com/rastup/rekey/internal/kind/manual"
	"github.com/rastup/rekey/internal/rotation"
)

// TestMain keeps this machine's AWS configuration out.
func TestMain(m *testing.M) {
	for _, key := range []string{"AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"} {
		_ = os.Unsetenv(key)
	}
	_ = os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	_ = os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	os.Exit(m.Run())
}

var byHand = kindtest.World{Kind: manual.Kind(), Of: "by a person", Stride: 47, New: partner}

func TestConformance(t *testing.T) { kindtest.Run(t, byHand) }

func TestCosts(t *testing.T) { kindtest.Golden(t, *goldentest.Update, kindtest.Costs(t, byHand, nil)) }

// partner is a secret whose new values a person gets from elsewhere, and is asked to revoke there, too.
func partner(clock func() time.Time) kindtest.Instance {
	v, err := vaulttest.New(clock, "oldest-value-0000", "old-value-11111111", "partner-value-0000")
	if err != nil {
		panic(err)
	}
	v.Revoked = true
	return kindtest.Instance{
		Target:  json.RawMessage(`{"secret":"` + vaulttest.Name + `","steps":["Ask the partner for a key."],"revoke":["Have the old key revoked."]}`),
		Service: v.World.Handler(), Handler: handler, Reads: vaulttest.Reads, Name: vaulttest.Operation,
		State: v.State, Live: v.Live, Always: v.Always, Destroyed: v.Destroyed, Value: v.Value,
		Promoted: func() string { return v.Promoted("by-hand-222222222") },
		Begun:    func() func() error { return v.Begun("by-hand-333333333") },
		Happened: v.Happened, Finished: v.Finished, Restored: v.Restored,
		Person: func(ask *rotation.Ask) { v.Run(ask.Run, "handed-over-"+clock().Format("150405.000")) },
	}
}

func handler(rt http.RoundTripper, seen func([]byte)) (rotation.Handler, func(context.Context, rotation.Past) error, error) {
	s, arm, err := vaulttest.Session(rt, seen)
	if err != nil {
		return nil, nil, err
	}
	return manual.New(kind.On(s, seen)), arm, nil
}
