// Package ledger is the rollback report: how many histories the conformance suite tried of each kind, by what disturbed
// them, and how they ended; and the blocks of the README that programs write.
//
// It must never count by itself: its numbers are those that tests left in a file.
package ledger

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Classes are what a case is counted under, in the report's order.
var Classes = []string{"stopped before a call", "stopped after it", "answer lost or late", "throttled or down", "evidence store gone", "two runners", "a person in between"}

// Ends are how a case ends, in the report's order. What a person changed by hand may be left to people; nothing else may.
var Ends = []string{"finished", "rolled back", "refused", "left to people"}

// Rollback is the report's block in a document.
const Rollback = "rollback report"

// Costs is the block of what a rotation costs, which kinds' goldens have the rows of.
const Costs = "costs"

// A Row is what one run of the suite counted.
type Row struct {
	Kind   string         `json:"kind"`
	Of     string         `json:"of,omitempty"` // which of the kind's worlds
	All    bool           `json:"all"`          // every case, not the selection
	Cases  map[string]int `json:"cases"`        // by class
	Ends   map[string]int `json:"ends"`
	Failed int            `json:"failed"`
}

// Name is the row's.
func (r Row) Name() string {
	if r.Of == "" {
		return "`" + r.Kind + "`"
	}
	return "`" + r.Kind + "`, " + r.Of
}

// Total is its cases.
func (r Row) Total() (n int) {
	for _, c := range r.Cases {
		n += c
	}
	return n
}

// Leave adds a row to a file, whoever else does so at the same time.
func Leave(file string, r Row) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// Load is the rows of a file, one for each world: of several the one with all cases, or the last one. No file is no rows.
func Load(file string) (rows []Row, err error) {
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		var r Row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		i := slices.IndexFunc(rows, func(x Row) bool { return x.Name() == r.Name() })
		switch {
		case i < 0:
			rows = append(rows, r)
		case r.All || !rows[i].All:
			rows[i] = r
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.Name(), b.Name()) })
	return rows, nil
}

// CostTable is that block, of the texts of goldens.
func CostTable(texts []string) string {
	var rows []string
	for _, text := range texts {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "| ") {
				rows = append(rows, line)
			}
		}
	}
	slices.Sort(rows)
	return "| one rotation | calls | in a row | until the new one is live | by step: calls (in a row, where those are fewer) |\n|---|---:|---:|---:|---|\n" + strings.Join(rows, "")
}

// Sound refuses what isn't fit to be published.
func Sound(rows []Row) error {
	if len(rows) == 0 {
		return errors.New("no test left a row: REKEY_REPORT names the file they write to")
	}
	for _, r := range rows {
		if ended := r.Ends["finished"] + r.Ends["rolled back"] + r.Ends["refused"] + r.Ends["left to people"]; r.Failed > 0 || r.Total() == 0 || ended != r.Total() {
			return fmt.Errorf("%s: %d cases, %d ended, %d failed", r.Name(), r.Total(), ended, r.Failed)
		}
	}
	return nil
}

// Table is the report, as Markdown.
func Table(rows []Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| kind | cases | %s | %s | failed |\n|---|---:|%s---:|\n", strings.Join(Classes, " | "), strings.Join(Ends, " | "), strings.Repeat("---:|", len(Classes)+len(Ends)))
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s%s |", r.Name(), thousands(r.Total()), map[bool]string{true: ", all"}[r.All])
		for _, c := range Classes {
			fmt.Fprintf(&b, " %s |", thousands(r.Cases[c]))
		}
		for _, e := range Ends {
			fmt.Fprintf(&b, " %s |", thousands(r.Ends[e]))
		}
		fmt.Fprintf(&b, " %d |\n", r.Failed)
	}
	return b.String()
}

// thousands is n as people write it.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// Put is a document with what lies between a block's markers replaced.
func Put(doc, block, text string) (string, error) {
	from, to := "<!-- "+block+": begin -->\n", "<!-- "+block+": end -->\n"
	head, rest, ok1 := strings.Cut(doc, from)
	_, tail, ok2 := strings.Cut(rest, to)
	if !ok1 || !ok2 {
		return "", fmt.Errorf("the document has no lines %q and %q", strings.TrimSpace(from), strings.TrimSpace(to))
	}
	return head + from + "\n" + strings.Trim(text, "\n") + "\n\n" + to + tail, nil
}
