package evidence

import (
	"errors"
	"fmt"

	"github.com/rastup/rekey/internal/rotation"
)

// linked holds successive records against each other. start is what the first continues from; "" isn't known.
// Entries that aren't neighbours are not compared: their gap is a finding already.
func linked(c rotation.Chain, entries []Entry, start string) (f Findings) {
	broken := func(i int) bool { // between i and the one after
		return i >= 0 && i+1 < len(entries) && entries[i+1].Record.Seq == entries[i].Record.Seq+1 &&
			entries[i+1].Record.Prev != entries[i].Digest
	}
	for i, e := range entries {
		if i == 0 && start != "" && e.Record.Prev != start {
			f = append(f, Finding{c, e.name, e.Record.Seq, RuleAltered,
				"doesn't continue from this store's marker: the record, the marker or the whole chain isn't the one that was written"})
		}
		switch {
		case broken(i) && broken(i-1) && i > 0:
			// Both neighbours disagree with it, and it was named already for what it continues from.
		case broken(i) && broken(i+1):
			next := entries[i+1]
			f = append(f, Finding{c, next.name, next.Record.Seq, RuleAltered,
				fmt.Sprintf("was changed: neither does it continue from record %d, nor record %d from it", e.Record.Seq, next.Record.Seq+1)})
		case broken(i):
			next := entries[i+1].Record
			f = append(f, Finding{c, e.name, e.Record.Seq, RuleAltered,
				fmt.Sprintf("was changed, or record %d was: it is %s, and record %d continues from %s", next.Seq, e.Digest, next.Seq, next.Prev)})
		}
		if i > 0 && e.Record.Seq == entries[i-1].Record.Seq+1 && e.Record.Claim == nil {
			if err := follows(entries[i-1].Record, e.Record); err != nil {
				f = append(f, Finding{c, e.name, e.Record.Seq, RuleOrder, err.Error()})
			}
		}
	}
	return f
}

// follows says why r, which is no claim, can't come after prev.
func follows(prev, r rotation.Record) error {
	switch {
	case prev.ClaimSeq != r.ClaimSeq:
		return fmt.Errorf("belongs to the claim in record %d, while record %d belongs to that in record %d", r.ClaimSeq, prev.Seq, prev.ClaimSeq)
	case prev.Rotation != r.Rotation || prev.Attempt != r.Attempt:
		return errors.New("belongs to another rotation or attempt than the record before, without a claim between them")
	}
	return nil
}
