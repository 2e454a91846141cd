package evidence

import (
	"errors"
	"fmt"

	"github.com/rastup/rekey/internal/rotation"
)

// linked holds successive records against each other. start is what the first continues from; "" isn't known.
// Entries that aren't neighbours are not compared: their gap is a finding already.
func linked(c rotation.Chain, entries []Entry, start string) (f Findings) {
	for i, e := range entries {
		switch {
		case i == 0 && start != "" && e.Record.Prev != start:
			f = append(f, Finding{c, e.name, e.seq, RuleAltered,
				"doesn't continue from this store's marker: the record, the marker or the whole chain isn't the one that was written"})
		case i > 0 && e.Record.Claim == nil && neighbours(entries, i-1):
			if err := follows(entries[i-1].Record, e.Record); err != nil {
				f = append(f, Finding{c, e.name, e.seq, RuleOrder, err.Error()})
			}
		}
	}
	for i := 0; i < len(entries); i++ {
		last := i
		for broken(entries, last) {
			last++
		}
		if last > i {
			f = append(f, alteration(c, entries[i:last+1]))
			i = last
		}
	}
	return f
}

func neighbours(entries []Entry, i int) bool {
	return i+1 < len(entries) && entries[i+1].seq == entries[i].seq+1
}

// broken says whether the record after entries[i] doesn't continue from it.
func broken(entries []Entry, i int) bool {
	return neighbours(entries, i) && entries[i+1].Record.Prev != entries[i].Digest
}

// alteration names what was changed in a run of records of which none continues from the one before.
func alteration(c rotation.Chain, run []Entry) Finding {
	first, second, last := run[0], run[1], run[len(run)-1]
	switch len(run) {
	case 2:
		return Finding{c, first.name, first.seq, RuleAltered, fmt.Sprintf("was changed, or record %d was: it is %s, and record %d continues from %s",
			second.seq, first.Digest, second.seq, second.Record.Prev)}
	case 3:
		return Finding{c, second.name, second.seq, RuleAltered,
			fmt.Sprintf("was changed: neither does it continue from record %d, nor record %d from it", first.seq, last.seq)}
	}
	return Finding{c, second.name, second.seq, RuleAltered,
		fmt.Sprintf("records %d to %d were changed: from %d to %d none continues from the one before", second.seq, last.seq-1, second.seq, last.seq)}
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
