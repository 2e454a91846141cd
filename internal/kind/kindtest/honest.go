package kindtest

import (
	"context"
	"fmt"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// honest holds a chain's records against the rules that every history keeps.
func (l *lab) honest(c rotation.Chain) error {
	if err := l.whole(c); err != nil {
		return err
	}
	all := l.records(c)
	gone := map[rotation.Runner]bool{} // superseded
	var runner rotation.Runner
	var attempt []rotation.Record
	for _, r := range all {
		if r.Outcome == rotation.Attached {
			attempt = append(attempt, r)
			continue
		}
		if r.Runner != runner {
			gone[runner], runner = true, r.Runner
		}
		if gone[runner] {
			return fmt.Errorf("record %d is by %s, after another runner had taken over", r.Seq, runner.ID)
		}
		if r.Claim != nil {
			if err := free(attempt, r); err != nil {
				return err
			}
			attempt = nil
		}
		if err := order(attempt, r); err != nil {
			return err
		}
		attempt = append(attempt, r)
	}
	return nil
}

// whole reads a chain to its beginning as every reader does.
func (l *lab) whole(c rotation.Chain) error {
	j := evidence.New(l.mem, evidence.Options{Readers: 1})
	ch, err := j.Open(context.Background(), c)
	if err != nil {
		return fmt.Errorf("the chain: %w", err)
	}
	for records := ch.Records; len(records) > 0 && records[0].Seq > 1; {
		if records, err = j.Before(context.Background(), c, records[0].Seq); err != nil {
			return fmt.Errorf("the chain: %w", err)
		}
	}
	return nil
}

// free: at most one rotation is open in a chain.
func free(before []rotation.Record, claim rotation.Record) error {
	if len(before) == 0 {
		return nil
	}
	p := before[0].Claim.Plan
	switch d := plan.Next(&p, before, claim.At); {
	case d.State.Over(), !plan.MayHaveBegun(&p, before):
	case claim.Claim.Plan.Supersede && claim.Rotation != p.Rotation && plan.Validated(&p, before, claim.At):
	default:
		return fmt.Errorf("record %d claims the chain for %s while %s is %s", claim.Seq, claim.Rotation, p.Rotation, d.State)
	}
	return nil
}

// order: nothing is done twice, nothing final before it was announced, nothing forward once it is taken back.
func order(before []rotation.Record, r rotation.Record) error {
	if r.Claim != nil || r.Step == "" || len(before) == 0 {
		return nil
	}
	p := before[0].Claim.Plan
	s, ok := p.Step(r.Step)
	if !ok {
		return fmt.Errorf("record %d is about step %s, which the plan hasn't", r.Seq, r.Step)
	}
	begun := false
	for _, b := range before {
		if b.Step == r.Step && b.Outcome == rotation.Done && r.Outcome == rotation.Done {
			return fmt.Errorf("record %d: %s is done for the second time", r.Seq, r.Step)
		}
		begun = begun || b.Step == r.Step && b.Outcome == rotation.Begun
		was, _ := p.Step(b.Step)
		if was.Phase == rotation.Rollback && s.Phase != rotation.Rollback {
			return fmt.Errorf("record %d: %s, after %s had begun to take it back", r.Seq, r.Step, b.Step)
		}
	}
	if s.Final && r.Outcome == rotation.Done && !begun {
		return fmt.Errorf("record %d: %s was final, and no record said that it begins", r.Seq, r.Step)
	}
	return nil
}
