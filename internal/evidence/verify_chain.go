package evidence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rastup/rekey/internal/rotation"
)

// chainCheck verifies one chain.
type chainCheck struct {
	*verifier
	chain   rotation.Chain
	readers int

	entries   []Entry // those that could be read as records of their place, in order
	files     int
	loose     []string
	confirmed []Confirmation
	findings  Findings
}

func (c *chainCheck) find(name string, seq int, rule, format string, a ...any) {
	c.findings = append(c.findings, Finding{c.chain, name, seq, rule, fmt.Sprintf(format, a...)})
}

func (c *chainCheck) records(ctx context.Context) error {
	objects, f := layout(c.chain, c.journal[c.chain])
	c.findings = append(c.findings, f...)
	// Unlike a runner, an auditor goes on past what can't be read, to name everything.
	entries := make([]Entry, len(objects))
	faults := make([]Findings, len(objects))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(c.readers)
	for i, o := range objects {
		g.Go(func() error {
			one, err := readEntries(gctx, c.store, c.chain, []Object{o}, 1)
			if errors.As(err, &faults[i]) {
				return nil
			}
			if err == nil {
				entries[i] = one[0]
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range objects {
		c.findings = append(c.findings, faults[i]...)
		if faults[i] == nil {
			c.entries = append(c.entries, entries[i])
			c.findings = append(c.findings, c.locked(c.chain, entries[i].seq, objects[i], entries[i].lock)...)
		}
	}
	start := ""
	if len(c.entries) > 0 && c.entries[0].seq == 1 && len(c.marker) > 0 {
		start = genesis(c.marker, c.chain)
	}
	c.findings = append(c.findings, linked(c.chain, c.entries, start)...)
	c.dates()
	return nil
}

// dates finds times that can't be true. Runners' clocks may differ by MaxSkew; the store's is one clock.
func (c *chainCheck) dates() {
	for i, e := range c.entries {
		at := e.Record.At
		if i > 0 {
			before := c.entries[i-1]
			if d := before.Record.At.Sub(at); d > c.MaxSkew {
				c.find(e.name, e.seq, RuleDate, "is dated %s, %s before record %d", at.Format(time.RFC3339), d.Round(time.Second), before.seq)
			}
			if d := before.storedAt.Sub(e.storedAt); !e.storedAt.IsZero() && d > time.Minute {
				c.find(before.name, before.seq, RuleDate, "was stored %s after record %d, which continues from it: it was replaced", d.Round(time.Second), e.seq)
			}
		}
		if d := e.storedAt.Sub(at).Abs(); !e.storedAt.IsZero() && d > c.MaxSkew {
			c.find(e.name, e.seq, RuleDate, "is dated %s, but was stored %s", at.Format(time.RFC3339), e.storedAt.UTC().Format(time.RFC3339))
		}
	}
}

// anchor holds the chain against one head that was noted elsewhere.
func (c *chainCheck) anchor(a Anchor) {
	name := recordName(c.chain, a.Seq)
	i, found := slices.BinarySearchFunc(c.entries, a.Seq, func(e Entry, seq int) int { return cmp.Compare(e.seq, seq) })
	last := 0
	if n := len(c.journal[c.chain]); n > 0 {
		last, _ = seqOf(c.journal[c.chain][n-1].Name[len(chainPrefix(c.chain)):])
	}
	switch {
	case found && c.entries[i].Digest == a.Digest:
		c.confirmed = append(c.confirmed, Confirmation{a.Seq, a.By})
	case found:
		c.find(name, a.Seq, RuleRewritten, "isn't the record that %s knows: it is %s, and was %s", a.By, c.entries[i].Digest, a.Digest)
	case a.Seq > last:
		c.find(name, a.Seq, RuleTruncated, "is missing at the end of the chain: %s knows it as %s", a.By, a.Digest)
	}
	// Otherwise it is missing or unreadable amid others, and that was said.
}

func (c *chainCheck) logged(ctx context.Context) error {
	if c.Logs == nil {
		return nil
	}
	digests, err := c.Logs.Digests(ctx, c.chain)
	if err != nil {
		return fmt.Errorf("read the log stream of %s: %w", c.chain, err)
	}
	for seq, list := range digests {
		for _, d := range list {
			if seq < 1 {
				c.find("log stream "+c.chain.Path(), 0, RuleForeign, "holds an event that is no record of this chain: %s", d)
				continue
			}
			c.anchor(Anchor{rotation.Head{Chain: c.chain, Seq: seq, Digest: d}, "the log stream"})
		}
	}
	return nil
}

// locked holds an object's lock against what the marker promises.
func (v *verifier) locked(c rotation.Chain, seq int, o Object, l *Lock) (f Findings) {
	if l == nil || v.terms.Mode == "" {
		return nil
	}
	least := o.StoredAt.Add(time.Duration(v.terms.For) - v.MaxSkew)
	switch {
	case l.Mode == "":
		f = append(f, Finding{c, o.Name, seq, RuleLock, "isn't locked, or this identity may not see locks (s3:GetObjectRetention)"})
	case l.Mode != v.terms.Mode && l.Mode != "COMPLIANCE":
		f = append(f, Finding{c, o.Name, seq, RuleLock, fmt.Sprintf("is locked in mode %s, not %s", l.Mode, v.terms.Mode)})
	case l.Until.Before(least):
		f = append(f, Finding{c, o.Name, seq, RuleLock, fmt.Sprintf("is locked until %s only, not until %s",
			l.Until.UTC().Format(time.RFC3339), o.StoredAt.Add(time.Duration(v.terms.For)).UTC().Format(time.RFC3339))})
	}
	return f
}

func (c *chainCheck) report() ChainReport {
	r := ChainReport{Head: rotation.Head{Chain: c.chain}, Records: len(c.entries), Files: c.files, Loose: c.loose,
		Confirmed: c.confirmed, Findings: c.findings.sorted()}
	slices.SortFunc(r.Confirmed, func(a, b Confirmation) int { return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.By, b.By)) })
	r.Confirmed = slices.Compact(r.Confirmed)
	for _, e := range c.entries {
		if !slices.Contains(r.Rotations, e.Record.Rotation) {
			r.Rotations = append(r.Rotations, e.Record.Rotation)
		}
		if a := e.Record.Grant(); a != nil && a.BreakGlass != "" {
			r.Broken = append(r.Broken, Broken{Seq: e.seq, Rotation: e.Record.Rotation, Approval: *a})
		}
		r.Head.Seq, r.Head.Digest = e.seq, e.Digest
	}
	return r
}
