package evidence

import (
	"context"
	"fmt"

	"github.com/rastup/rekey/internal/rotation"
)

// Before reads the attempt that ends with the record before seq, its claim first. Faults in what it read are
// Findings. It lists nothing: Open did.
func (j *Journal) Before(ctx context.Context, c rotation.Chain, seq int) ([]rotation.Record, error) {
	if seq < 2 {
		return nil, fmt.Errorf("read before record %d of %s: there is nothing", seq, c)
	}
	last, err := readEntries(ctx, j.store, c, []Object{{Name: recordName(c, seq-1)}}, 1)
	if err != nil {
		return nil, err
	}
	var objects []Object
	for n := last[0].Record.ClaimSeq; n < seq-1; n++ {
		objects = append(objects, Object{Name: recordName(c, n)})
	}
	entries, err := readEntries(ctx, j.store, c, objects, j.opts.Readers)
	if err != nil {
		return nil, err
	}
	entries = append(entries, last...)
	if err := linked(c, entries, "").err(); err != nil {
		return nil, err
	}
	records := make([]rotation.Record, len(entries))
	for i, e := range entries {
		records[i] = e.Record
	}
	return records, nil
}
