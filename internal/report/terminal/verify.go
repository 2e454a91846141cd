package terminal

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/report"
)

// Verify prints what a verification found: the verdict, each finding with what to do, and what it was proven on.
func Verify(w io.Writer, r evidence.Report, s Style) error {
	p := &page{Style: s}
	p.verdict(r)
	for _, f := range r.Findings {
		name := f.Name
		if name == "" {
			name = f.Chain.String()
		}
		p.para(p.paint(red, "✘ "), 2, "", fmt.Sprintf("%s: %s [%s]", name, f.Msg, f.Rule))
		if hint := hints[f.Rule]; hint != "" {
			p.para("  "+p.paint(yellow, "hint: "), 8, "", hint)
		}
	}
	for _, c := range r.Chains {
		p.WriteString("\n")
		p.chain(c)
	}
	p.WriteString("\n")
	switch {
	case r.Locks:
		p.para("", 0, dim, fmt.Sprintf("Locks: each object held against the store's terms, %s for %s.", r.Store.Lock.Mode, report.Span(time.Duration(r.Store.Lock.For))))
	default:
		p.para("", 0, dim, "Locks: not checked, this store shows none or promises none.")
	}
	return p.flush(w)
}

func (p *page) verdict(r evidence.Report) {
	records, files, confirmed, alone, faulty := 0, 0, 0, 0, 0
	for _, c := range r.Chains {
		records += c.Records
		files += c.Files
		confirmed += len(c.Confirmed)
		if len(c.Confirmed) == 0 {
			alone++
		}
		if len(c.Findings) > 0 {
			faulty++
		}
	}
	read := fmt.Sprintf("%s, %s, %s", report.Count(len(r.Chains), "chain"), report.Count(records, "record"), report.Count(files, "file"))
	switch {
	case len(r.Findings) > 0 && faulty > 0:
		p.para("", 0, red, fmt.Sprintf("Not verified: %s, in %d of %s. Nothing runs on a chain with a finding.",
			report.Count(len(r.Findings), "finding"), faulty, report.Count(len(r.Chains), "chain")))
	case len(r.Findings) > 0:
		p.para("", 0, red, fmt.Sprintf("Not verified: %s in the store (%s read).", report.Count(len(r.Findings), "finding"), read))
	case len(r.Chains) == 0:
		p.para("", 0, yellow, "Nothing to verify: no chains there.")
	default:
		p.para("", 0, green, fmt.Sprintf("Verified: %s, %s.", read, report.Count(confirmed, "anchor")))
		if alone > 0 {
			p.para("", 0, "", fmt.Sprintf("%d of %s: no head was noted elsewhere to hold it against, so a rewritten chain or a missing end would not show.",
				alone, report.Count(len(r.Chains), "chain")))
		}
	}
}

func (p *page) chain(c evidence.ChainReport) {
	mark, col := "✔ ", green
	if len(c.Findings) > 0 {
		mark, col = "✘ ", red
	}
	p.para(p.paint(col, mark), 2, bold, fmt.Sprintf("%s: %s, %s, %s", c.Head.Chain, report.Count(c.Records, "record"),
		report.Count(len(c.Rotations), "rotation"), report.Count(c.Files, "file")))
	p.para("  ", 2, "", fmt.Sprintf("head %s at %d", c.Head.Digest, c.Head.Seq))
	for i, a := range c.Confirmed {
		if slices.ContainsFunc(c.Confirmed[i+1:], func(later evidence.Confirmation) bool { return later.By == a.By }) {
			continue // the log stream knows every record: its last one says it all
		}
		p.para("  ", 2, "", fmt.Sprintf("confirmed up to %d by %s", a.Seq, a.By))
	}
	for _, b := range c.Broken {
		p.para("  ", 4, red, fmt.Sprintf("record %d, %s: %s", b.Seq, b.Rotation, breaks(b.Approval)))
	}
	if len(c.Loose) > 0 {
		p.para("  ", 4, yellow, "no record refers to: "+strings.Join(c.Loose, ", "))
	}
}

// hints say what to do about each rule's findings.
var hints = map[string]string{
	evidence.RuleMarker:    "check that bucket and prefix are the right ones; if they are, restore marker.json's oldest version",
	evidence.RuleGap:       "look for delete markers on the missing number; the oldest version is still there while its lock lasts",
	evidence.RuleVersions:  "rekey reads the oldest version, which is the true one; find out who wrote the other (the store's access log)",
	evidence.RuleDeleted:   "the oldest version is still there: remove the delete marker, and find out who set it (the store's access log)",
	evidence.RuleForeign:   "only rekey writes there: find out who put it, and take its right to write away",
	evidence.RuleRecord:    "a newer rekey may have written it: try that; otherwise treat it as tampering",
	evidence.RuleMisplaced: "it was copied or moved from another place: treat it as tampering",
	evidence.RuleAltered:   "the record before was changed after it was written: treat it as tampering, compare with the log stream's copy",
	evidence.RuleOrder:     "treat it as tampering, or a fault of rekey: keep the store as it is and report both records",
	evidence.RuleDate:      "compare the runner's clock with the store's; a wrong clock explains minutes, not days",
	evidence.RuleTruncated: "records at the end are missing: compare with the log stream's copy, and look for delete markers",
	evidence.RuleRewritten: "the chain isn't the one the anchor saw: treat it as tampering, compare with the log stream's copy",
	evidence.RuleBundle:    "the journal counts, the bundle is a copy: find out who changed it",
	evidence.RuleFile:      "look for older versions of the object; the record holds the digest of the true one",
	evidence.RuleLock:      "lengthen the object's retention to the marker's terms, and check the bucket's default retention",
}
