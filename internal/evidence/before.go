package evidence

import (
	"context"
	"fmt"

	"github.com/rastup/rekey/internal/rotation"
)

// Before reads the attempt that ends with the record before seq, its claim first. Faults in what it read are
// Findings; it reads record seq again, so that each attempt is held against the next. It lists nothing: Open did.
func (j *Journal) Before(ctx context.Context, c rotation.Chain, seq int) ([]rotation.Record, error) {
	if seq < 2 {
		return nil, fmt.Errorf("read before record %d of %s: there is nothing", seq, c)
	}
	ends, err := readEntries(ctx, j.store, c, []Object{{Name: recordName(c, seq-1)}, {Name: recordName(c, seq)}}, 2)
	if err != nil {
		return nil, err
	}
	var objects []Object
	for n := ends[0].Record.ClaimSeq; n < seq-1; n++ {
		objects = append(objects, Object{Name: recordName(c, n)})
	}
	entries, err := readEntries(ctx, j.store, c, objects, j.opts.Readers)
	if err != nil {
		return nil, err
	}
	if err := linked(c, append(entries, ends...), "").err(); err != nil {
		return nil, err
	}
	records := make([]rotation.Record, 0, len(entries)+1)
	for _, e := range append(entries, ends[0]) {
		records = append(records, e.Record)
	}
	return records, nil
}
