package kms

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/rotation"
)

// Names of steps and facts.
const (
	preflight, create, test, promote    = "preflight", "create", "test", "promote"
	adopted, disable, decommission      = "adopted", "disable", "decommission"
	refused, enable, restore, discarded = "refused", "enable", "restore", "discard"

	factOld    = "old"    // ARN of the key the alias named
	factAlias  = "alias"  // what who uses the key may know it by
	factSpec   = "spec"   // of that key
	factUsage  = "usage"  // likewise
	factPeriod = "period" // of its automatic rotation, in days; absent: none
	factAsked  = "asked"  // by AWS's clock: CreateKey may have left since
	factAsks   = "asks"   // how often it was about to
	factNew    = "new"    // ARN of the new key
	factMoves  = "moves"  // the key the alias may name from here on
	factFound  = "found"  // and a number: ARN of a key that was made without an answer
	factKept   = "kept"   // ARN of a new key that stays after the rollback
	factGone   = "deletion"

	factRefused = "refused" // KMS's code when an old key was tried
)

// Kind is this kind's line in the table.
func Kind() kind.Kind {
	return kind.Kind{
		Name:    "kms",
		Shape:   func() kind.Target { return new(Target) },
		Recipe:  func(t kind.Target) []rotation.Spec { return recipe(t.(*Target)) },
		New:     New,
		Inspect: inspect,
		Overlap: true,
		Refused: true,
	}
}

func recipe(t *Target) []rotation.Spec {
	found := []string{preflight, create}
	all := []string{preflight, create, promote}
	return []rotation.Spec{
		{Phase: rotation.Preconditions, Name: preflight, Looks: true},
		// A lost answer is waited out (see patience); then there is time for another key.
		{Phase: rotation.Create, Name: create, Reads: []string{preflight}, Within: rotation.Duration(time.Hour)},
		{Phase: rotation.Create, Name: test, Reads: found, Looks: true},
		{Phase: rotation.Deploy, Name: promote, Reads: found},
		{Phase: rotation.Decommission, Name: adopted, Reads: all, Looks: true, After: promote, Delay: rotation.Retain},
		{Phase: rotation.Decommission, Name: disable, Reads: all},
		{Phase: rotation.Decommission, Name: decommission, Reads: all, After: disable, Delay: t.soak(), Final: true},
		{Phase: rotation.Decommission, Name: refused, Reads: all, Looks: true},
		{Phase: rotation.Rollback, Name: enable, Undoes: disable, Reads: found},
		{Phase: rotation.Rollback, Name: restore, Undoes: promote, Reads: all},
		{Phase: rotation.Rollback, Name: discarded, Undoes: create, Reads: all},
	}
}

type handler struct {
	kms      *kms.Client
	trail    *cloudtrail.Client
	secrets  *secretsmanager.Client
	iam      *iam.Client
	identity func(context.Context) (string, error)
	region   string

	mu      sync.Mutex
	unspent map[string]bool // intents to call CreateKey that this process recorded and didn't use yet
}

// A step has its target and what was recorded.
type step func(context.Context, Target, rotation.Past) (rotation.Result, error)

// New makes the handler for one environment. Its steps may run for many rotations at once.
func New(d kind.Deps) rotation.Handler {
	h := &handler{kms: d.KMS, trail: d.CloudTrail, secrets: d.SecretsManager, iam: d.IAM, identity: d.Identity, region: d.Region, unspent: map[string]bool{}}
	out := rotation.Handler{}
	for name, f := range map[string]step{
		preflight: h.preflight, "preview": h.preview, create: h.create, test: h.test, promote: h.promote, adopted: h.adopted, disable: h.disable,
		decommission: h.decommission, refused: h.refused, enable: h.enable, restore: h.restore, discarded: h.discard,
	} {
		out[name] = func(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
			var t Target
			if err := s.Into(&t); err != nil {
				return rotation.Result{}, err
			}
			return f(ctx, t, past)
		}
	}
	return out
}
