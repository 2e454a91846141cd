package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rastup/rekey/internal/rotation"
)

// A Bundle is the copies and pointers that lie beside the chains for people and auditors. Each method may be
// repeated after any error. It is safe for concurrent use.
type Bundle struct {
	store Store
	opts  Options
}

// NewBundle keeps bundles in s.
func NewBundle(s Store, o Options) *Bundle { return &Bundle{s, New(s, o).opts} }

// A Pointer leads from a bundle to a record, and is an anchor of its chain.
type Pointer struct {
	rotation.Head
	Rotation string `json:"rotation"`
	Attempt  int    `json:"attempt"`
	Records  string `json:"records,omitempty"` // in head-<seq>.json: digests of the two files beside it
	Summary  string `json:"summary,omitempty"`
}

// Point leaves the pointer by which an open rotation is found: claim.json, of later attempts claim-<n>.json. The
// first one of an attempt stays.
func (b *Bundle) Point(ctx context.Context, p *rotation.Plan, h rotation.Head) error {
	folder, err := BundleFolder(p.Chain, p.Rotation)
	if err != nil {
		return fmt.Errorf("point to claim: %w", err)
	}
	want := Pointer{Head: h, Rotation: p.Rotation, Attempt: p.Attempt}
	data, err := compact(want)
	if err != nil {
		return err
	}
	name := folder + numbered("claim", p.Attempt)
	was, err := put(ctx, b.store, name, data)
	if errors.Is(err, ErrExists) {
		var have Pointer
		if decode(was, &have) == nil && have.Chain == p.Chain && have.Rotation == p.Rotation && have.Attempt == p.Attempt {
			return nil
		}
		return Findings{{p.Chain, name, h.Seq, RuleBundle, "isn't the pointer to this attempt"}}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// numbered is base.json, for n above 1 base-<n>.json.
func numbered(base string, n int) string {
	if n == 1 {
		return base + ".json"
	}
	return fmt.Sprintf("%s-%d.json", base, n)
}

// Keep stores files of a step. To be called before the record that refers to them is appended: a crash between
// leaves a file nobody refers to, never a reference to nothing. A name that holds other bytes already, as when
// a step was repeated, gets the digest's first digits.
func (b *Bundle) Keep(ctx context.Context, p *rotation.Plan, s rotation.Step, files []rotation.File) (refs []rotation.FileRef, err error) {
	folder, err := BundleFolder(p.Chain, p.Rotation)
	if err != nil {
		return nil, fmt.Errorf("keep files of %s: %w", s.Key, err)
	}
	for _, f := range files {
		ref, err := b.keep(ctx, folder, fmt.Sprintf("%d-%s-", p.Attempt, rotation.PathName(s.Key)), f)
		if err != nil {
			return nil, fmt.Errorf("keep file of %s: %w", s.Key, err)
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

func (b *Bundle) keep(ctx context.Context, folder, start string, f rotation.File) (rotation.FileRef, error) {
	ref := rotation.FileRef{Digest: rotation.Digest(f.Data), Size: int64(len(f.Data))}
	if ref.Size > b.opts.MaxFile {
		return ref, fmt.Errorf("%s: %d bytes, more than a file may have (%d)", f.Name, ref.Size, b.opts.MaxFile)
	}
	if f.Name == "" {
		return ref, errors.New("a file without a name")
	}
	for _, base := range []string{start + f.Name, start + ref.Digest[len("sha256:"):][:12] + "-" + f.Name} {
		if err := checkSegment("file", base); err != nil {
			return ref, err
		}
		ref.Name = "files/" + base
		_, err := put(ctx, b.store, folder+ref.Name, f.Data)
		if err == nil {
			return ref, nil
		}
		if !errors.Is(err, ErrExists) {
			return ref, fmt.Errorf("write %s: %w", ref.Name, err)
		}
	}
	return ref, fmt.Errorf("write %s: %w", ref.Name, ErrExists)
}

// Write copies an attempt's records and a summary for people next to each other, when an environment reached an
// end, and gives the folder. A summary that was written at the same head before stays. The pointer to both comes
// last: where it is, they are.
func (b *Bundle) Write(ctx context.Context, c *Chain, summary []byte) (folder string, err error) {
	if len(c.Records) == 0 {
		return "", fmt.Errorf("write bundle of %s: the chain is empty", c.name)
	}
	first := c.Records[0]
	folder, err = BundleFolder(c.name, first.Rotation)
	if err != nil {
		return "", fmt.Errorf("write bundle: %w", err)
	}
	lines := lines(c.raw)
	p := Pointer{Head: c.head, Rotation: first.Rotation, Attempt: first.Attempt, Records: rotation.Digest(lines)}
	name := fmt.Sprintf("%ssummary-%06d.md", folder, p.Seq)
	var was []byte
	var copied error
	var both sync.WaitGroup
	both.Go(func() { copied = b.same(ctx, fmt.Sprintf("%srecords-%06d.jsonl", folder, p.Seq), lines) })
	both.Go(func() { was, err = put(ctx, b.store, name, summary) })
	both.Wait()
	if copied != nil {
		return "", copied
	}
	if err != nil && !errors.Is(err, ErrExists) {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	p.Summary = rotation.Digest(was)
	data, err := compact(p)
	if err != nil {
		return "", err
	}
	return folder, b.same(ctx, fmt.Sprintf("%shead-%06d.json", folder, p.Seq), data)
}

// same puts what can only ever have these bytes.
func (b *Bundle) same(ctx context.Context, name string, data []byte) error {
	_, err := put(ctx, b.store, name, data)
	if errors.Is(err, ErrExists) {
		return Findings{{Name: name, Rule: RuleBundle, Msg: "is there already, with other bytes"}}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func lines(raw [][]byte) []byte {
	var b bytes.Buffer
	for _, l := range raw {
		b.Write(l)
		b.WriteByte('\n')
	}
	return b.Bytes()
}
