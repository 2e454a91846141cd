// Package bundle projects the journal into the bundles that people and auditors look for: records and summary of
// an environment that came to rest, and close.json when the rotation is over everywhere. It is rebuilt from the
// journal until it is right, and never read back as state.
package bundle

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/summary"
	"github.com/rastup/rekey/internal/rotation"
)

// A Shelf is where bundles are kept; evidence.Bundle is one.
type Shelf interface {
	Write(context.Context, *evidence.Chain, []byte) (folder string, err error)
	Close(ctx context.Context, secret, rotation string, data []byte) error
}

// Write keeps records and summary of an environment that came to rest: over, or waiting for its retention.
// While a step is due there is nothing to write yet.
func Write(ctx context.Context, s Shelf, st apply.Status) error {
	if st.Decision.State == plan.Open || len(st.Records) == 0 || st.Chain.Head().Seq != st.Records[len(st.Records)-1].Seq {
		return nil
	}
	md := summary.Markdown(report.Environment{Name: st.Plan.Environment, Plan: st.Plan, Records: st.Records, Decision: st.Decision, Head: st.Head})
	if _, err := s.Write(ctx, st.Chain, md); err != nil {
		return fmt.Errorf("bundle of %s: %w", st.Plan.Chain, err)
	}
	return nil
}

// Closed is what close.json says. No time of writing: whoever notices writes the same bytes.
type Closed struct {
	Secret       string        `json:"secret"`
	Rotation     string        `json:"rotation"`
	Ticket       string        `json:"ticket,omitempty"`
	Ended        time.Time     `json:"ended"` // the last record of any environment
	Environments []Environment `json:"environments"`
}

// An Environment is how a rotation ended in one.
type Environment struct {
	Environment string         `json:"environment"`
	Outcome     plan.State     `json:"outcome"`
	Why         string         `json:"why,omitempty"`
	Attempt     int            `json:"attempt,omitempty"`
	Head        *rotation.Head `json:"head,omitempty"` // its last record; none when it never began
}

// Over says whether a rotation is over: every environment has ended, and none can be started again. One that
// rolled back can, as long as its request may still begin.
func Over(all []apply.Status, withdrawn bool, now time.Time) bool {
	for _, s := range all {
		state := s.Decision.State
		if !state.Over() || state == plan.RolledBack && !withdrawn && !now.After(s.Plan.StartBy) {
			return false
		}
	}
	return len(all) > 0
}

// Close writes close.json. all are the rotation's environments in order.
func Close(ctx context.Context, s Shelf, all []apply.Status) error {
	c := Closed{Secret: all[0].Plan.Secret, Rotation: all[0].Plan.Rotation}
	for _, st := range all {
		e := Environment{Environment: st.Plan.Environment, Outcome: st.Decision.State, Why: st.Decision.Why}
		if n := len(st.Records); n > 0 {
			last := st.Records[n-1]
			e.Attempt, e.Head = st.Plan.Attempt, head(st, last)
			if last.At.After(c.Ended) {
				c.Ended = last.At
			}
			if k := st.Records[0].Claim; c.Ticket == "" {
				c.Ticket = k.Ticket
			}
		}
		c.Environments = append(c.Environments, e)
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := s.Close(ctx, c.Secret, c.Rotation, data); err != nil {
		return fmt.Errorf("close %s of %s: %w", c.Rotation, c.Secret, err)
	}
	return nil
}

// head is the rotation's own last record, also where the chain has gone on with another rotation.
func head(st apply.Status, last rotation.Record) *rotation.Head {
	h := st.Head
	if h.Seq != last.Seq {
		h = rotation.Head{Chain: last.Chain, Seq: last.Seq}
	}
	return &h
}
