package evidence

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rastup/rekey/internal/rotation"
)

// bundle verifies what lies beside the chain, against the chain.
func (c *chainCheck) bundle(ctx context.Context) error {
	stored := map[string]Object{}
	for _, o := range c.bundles[c.chain] {
		_, _, inside, _ := bundleOf(o.Name)
		if !strings.HasPrefix(inside, "files/") && !known(inside) {
			c.find(o.Name, 0, RuleForeign, "is no part of a bundle: it doesn't belong here")
			continue
		}
		c.findings = append(c.findings, disturbed(c.chain, 0, o)...)
		if o.Versions > 0 {
			stored[o.Name] = o
		}
	}
	content, err := c.contents(ctx, stored)
	if err != nil {
		return err
	}
	c.references(content)
	for _, name := range slices.Sorted(maps.Keys(content)) {
		_, rot, inside, _ := bundleOf(name)
		switch {
		case strings.HasPrefix(inside, "records-"):
			c.copied(name, rot, inside, content)
		case strings.HasPrefix(inside, "head-"), strings.HasPrefix(inside, "claim"):
			c.pointer(name, rot, inside, content)
		}
	}
	return nil
}

// known are the names in a bundle beside its files.
func known(inside string) bool {
	if _, ok := numberOf(inside, "claim"); ok {
		return true
	}
	_, ok := headSeq(inside)
	return ok
}

// headSeq reads the number out of head-<seq>.json, records-<seq>.jsonl and summary-<seq>.md.
func headSeq(inside string) (int, bool) {
	for _, f := range [][2]string{{"head-", ".json"}, {"records-", ".jsonl"}, {"summary-", ".md"}} {
		if rest, ok := strings.CutPrefix(inside, f[0]); ok {
			if digits, ok := strings.CutSuffix(rest, f[1]); ok {
				return seqOf(digits + ".json")
			}
		}
	}
	return 0, false
}

// contents reads a bundle's objects, concurrently. Files are known by digest from here on, not kept.
func (c *chainCheck) contents(ctx context.Context, stored map[string]Object) (map[string][]byte, error) {
	var mu sync.Mutex
	content := map[string][]byte{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.readers)
	for name, o := range stored {
		g.Go(func() error {
			data, lock, err := read(ctx, c.store, name)
			if err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
			if strings.Contains(name, "/files/") {
				data = []byte(rotation.Digest(data))
			}
			mu.Lock()
			defer mu.Unlock()
			content[name] = data
			c.findings = append(c.findings, c.locked(c.chain, 0, o, lock)...)
			return nil
		})
	}
	return content, g.Wait()
}

// references finds the evidence that records refer to.
func (c *chainCheck) references(content map[string][]byte) {
	referred := map[string]bool{}
	for _, e := range c.entries {
		folder, err := BundleFolder(c.chain, e.Record.Rotation)
		for _, ref := range e.Record.Files {
			name := folder + ref.Name
			digest, ok := content[name]
			referred[name] = true
			switch {
			case err != nil || !ok:
				c.find(name, e.seq, RuleFile, "is missing: record %d refers to it as %s", e.seq, ref.Digest)
			case string(digest) != ref.Digest:
				c.find(name, e.seq, RuleFile, "was changed: it is %s, and record %d refers to it as %s", digest, e.seq, ref.Digest)
			default:
				c.files++
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		if strings.Contains(name, "/files/") && !referred[name] {
			c.loose = append(c.loose, name)
		}
	}
}

// attempt gives the stored bytes of the attempt that seq belongs to, up to seq; nil when not all could be read.
func (c *chainCheck) attempt(seq int) (raw [][]byte, rot string, n int) {
	first := 0
	for _, e := range c.entries {
		if e.seq == seq {
			first, rot, n = e.Record.ClaimSeq, e.Record.Rotation, e.Record.Attempt
		}
	}
	for _, e := range c.entries {
		if first > 0 && e.seq >= first && e.seq <= seq {
			raw = append(raw, e.Data)
		}
	}
	if first == 0 || len(raw) != seq-first+1 {
		return nil, rot, n
	}
	return raw, rot, n
}

// copied holds records-<seq>.jsonl against the chain.
func (c *chainCheck) copied(name, rot, inside string, content map[string][]byte) {
	seq, _ := headSeq(inside)
	raw, of, _ := c.attempt(seq)
	if raw == nil {
		// What is wrong with the chain is said by others; the copy may tell what it was.
		if c.whole(seq) {
			c.find(name, seq, RuleBundle, "copies record %d, which the chain doesn't have", seq)
		}
		return
	}
	if want := lines(raw); of != rot || !bytes.Equal(content[name], want) {
		c.find(name, seq, RuleBundle, "isn't the copy of its records: it is %s, and they are %s", rotation.Digest(content[name]), rotation.Digest(want))
	}
}

// whole says whether the chain has no other finding about its end.
func (c *chainCheck) whole(seq int) bool {
	return len(c.entries) == 0 || c.entries[len(c.entries)-1].seq < seq
}

// pointer holds a claim's or a head's pointer against the chain, and the chain against it.
func (c *chainCheck) pointer(name, rot, inside string, content map[string][]byte) {
	var p Pointer
	if err := decode(content[name], &p); err != nil {
		c.find(name, 0, RuleBundle, "can't be read as a pointer: %v", err)
		return
	}
	again, err := compact(p)
	switch {
	case err != nil || !bytes.Equal(again, content[name]):
		c.find(name, p.Seq, RuleBundle, "isn't written as a pointer is: it was changed")
		return
	case p.Chain != c.chain || p.Rotation != rot || p.Seq < 1 || p.Seq > MaxSeq || !isDigest(p.Digest):
		c.find(name, p.Seq, RuleBundle, "points to record %d of rotation %q, %q: it doesn't belong here", p.Seq, p.Rotation, p.Chain.String())
		return
	}
	attempt := p.Attempt
	if n, ok := numberOf(inside, "claim"); ok {
		attempt = n
	} else {
		c.beside(name, inside, p, content)
	}
	if _, of, n := c.attempt(p.Seq); of != "" && (of != p.Rotation || n != p.Attempt) || attempt != p.Attempt {
		c.find(name, p.Seq, RuleBundle, "points to attempt %d of %s, but record %d belongs to attempt %d of %s", p.Attempt, p.Rotation, p.Seq, n, of)
		return
	}
	c.anchor(Anchor{p.Head, "the bundle's pointer " + name})
}

// beside holds the two files next to a head's pointer against it.
func (c *chainCheck) beside(name, inside string, p Pointer, content map[string][]byte) {
	seq, _ := headSeq(inside)
	if seq != p.Seq {
		c.find(name, seq, RuleBundle, "points to record %d, not to that of its name", p.Seq)
	}
	folder := strings.TrimSuffix(name, inside)
	for file, digest := range map[string]string{
		fmt.Sprintf("%srecords-%06d.jsonl", folder, seq): p.Records,
		fmt.Sprintf("%ssummary-%06d.md", folder, seq):    p.Summary,
	} {
		data, ok := content[file]
		if !ok {
			c.find(file, seq, RuleBundle, "is missing: the pointer beside it knows it as %s", digest)
		} else if d := rotation.Digest(data); d != digest {
			c.find(file, seq, RuleBundle, "was changed, or the pointer beside it was: it is %s, and the pointer knows it as %s", d, digest)
		}
	}
}
