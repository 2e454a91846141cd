package kindtest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/rastup/rekey/internal/kind/kindtest/ledger"
	"github.com/rastup/rekey/internal/plan"
)

// classes are what the rollback report counts a mode under.
var classes = map[mode]int{
	before: 0, after: 1,
	lost: 2, late: 2, lateEnd: 2, lateDead: 2, lateLong: 2, hangs: 2,
	throttled: 3, broken: 3, down: 3,
	storeGone: 4, stalled: 5, stalledIn: 5, promoted: 6, begun: 6,
}

// A tally counts the cases of one run, which come at the same time.
type tally struct {
	mu  sync.Mutex
	row ledger.Row
}

func newTally(w World) *tally {
	return &tally{row: ledger.Row{Kind: w.Kind.Name, Of: w.Of, All: Full(), Cases: map[string]int{}, Ends: map[string]int{}}}
}

// add counts the histories of one disturbance of one act.
func (y *tally) add(m mode, all []plan.State, bad *defect) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.row.Cases[ledger.Classes[classes[m]]] += len(all)
	for _, end := range all {
		name := "left to people" // stuck, held or waiting, and never by itself any further
		switch end {
		case plan.Finished:
			name = "finished"
		case plan.RolledBack:
			name = "rolled back"
		case plan.Refused, plan.Missed:
			name = "refused"
		}
		y.row.Ends[name]++
	}
	if bad != nil {
		y.row.Failed++
	}
}

// tell says what was counted, and leaves it where REKEY_REPORT says.
func (y *tally) tell(t *testing.T) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	said := fmt.Sprintf("%s: %d cases, %d failed: %v, ended %v", y.row.Name(), y.row.Total(), y.row.Failed, y.row.Cases, y.row.Ends)
	t.Log(said)
	fmt.Println("kindtest: " + said)
	if file := os.Getenv("REKEY_REPORT"); file != "" {
		return ledger.Leave(file, y.row)
	}
	return nil
}
