package rdsmaster

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// Steps whose facts are read, and the facts beside those of staging.
const (
	preflight, create, set, test, promote, restore = "preflight", "create", "set", "test", "promote", "restore"

	factResource = "resource" // preflight: RDS's own ID of the database, which another one of the same name hasn't
	factEngine   = "engine"   // preflight
	factAccepted = "accepted" // set, restore: when RDS took the password last, by its clock
)

// Kind is this kind's line in the table.
func Kind() kind.Kind {
	return kind.Kind{
		Name:    "rds-master",
		Shape:   func() kind.Target { return new(Target) },
		Recipe:  func(kind.Target) []rotation.Spec { return recipe() },
		New:     New,
		Inspect: kind.Stored(func(t kind.Target) (string, string) { return t.(*Target).Secret, "" }),
		Beyond:  "passwords of RDS",
		Overlap: false,
		Refused: false, // see the package comment
	}
}

// recipe's restore undoes set: from when RDS may have heard of the new password, the old one must be set again.
func recipe() []rotation.Spec {
	return []rotation.Spec{
		{Phase: rotation.Preconditions, Name: preflight, Looks: true},
		{Phase: rotation.Create, Name: create, Reads: staging.Reads[create]},
		{Phase: rotation.Create, Name: set, Within: patience, Reads: []string{preflight, create}},
		{Phase: rotation.Create, Name: test, Looks: true, Reads: []string{preflight, create, set}},
		{Phase: rotation.Deploy, Name: promote, Reads: staging.Reads[promote]},
		{Phase: rotation.Decommission, Name: "decommission", After: promote, Delay: rotation.Retain, Final: true, Reads: []string{preflight, create, set, promote}},
		{Phase: rotation.Rollback, Name: restore, Undoes: set, Reads: staging.Reads[restore]},
		{Phase: rotation.Rollback, Name: "discard", Undoes: create, Reads: staging.Reads["discard"]},
	}
}

// New makes the handler for one environment.
func New(d kind.Deps) rotation.Handler {
	h := &handler{labels: &staging.Labels{Client: d.SecretsManager, IAM: d.IAM, Identity: d.Identity, Region: d.Region, Keep: d.Keep},
		keep: d.Keep, rds: d.RDS, region: d.Region}
	return rotation.Handle(callOf, map[string]func(context.Context, call) (rotation.Result, error){
		preflight: h.preflight, "preview": h.preview, create: h.create, set: h.set, test: h.test, promote: h.promote,
		"decommission": h.decommission, restore: h.restore, "discard": h.discard,
	})
}

func callOf(s rotation.Step, past rotation.Past) (call, error) {
	c := call{step: s.ID, past: past}
	err := s.Into(&c.t)
	return c, err
}

type handler struct {
	labels *staging.Labels
	keep   secret.Keeper
	rds    *rds.Client
	region string
	sent   sync.Map // by step ID, a sent: what this process sent last
}

// A call is one step that is asked.
type call struct {
	t    Target
	step string // its ID
	past rotation.Past
}

func (h *handler) create(ctx context.Context, c call) (rotation.Result, error) {
	return h.labels.Create(ctx, c.past, func(_ context.Context, old staging.Content) (secret.Value, error) {
		v, err := h.keep.Generate(c.t.generate())
		if err != nil {
			return v, err
		}
		return h.labels.With(c.t.Secret, c.t.key(), old, v)
	})
}

func (h *handler) promote(ctx context.Context, c call) (rotation.Result, error) {
	return h.labels.Promote(ctx, c.past)
}

// decommission has nothing left to end at RDS.
func (h *handler) decommission(ctx context.Context, c call) (rotation.Result, error) {
	res, err := h.labels.Decommission(ctx, c.past)
	if err == nil && res.Wait == "" {
		res.Text += fmt.Sprintf("; at RDS the old password was overwritten (the new one was taken at %s); it was not tried: nothing here logs in, and sessions opened with it may go on",
			c.past.Fact(set, factAccepted))
	}
	return res, err
}

func (h *handler) discard(ctx context.Context, c call) (rotation.Result, error) {
	return h.labels.Discard(ctx, c.past)
}
