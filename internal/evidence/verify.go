package evidence

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rastup/rekey/internal/rotation"
)

// VerifyOptions say what to hold the stored evidence against, beyond itself. All are optional.
type VerifyOptions struct {
	Chains  []rotation.Chain // none: every chain there is
	Anchors []Anchor         // their chains are verified too
	Logs    LogReader
	MaxSkew time.Duration // between the clocks of runners and store, and how late a record is stored; 0: 15 minutes
	Readers int           // reads at once; 0: 32
}

// A LogReader reads the copy of a chain in a log stream.
type LogReader interface {
	// Digests gives, by sequence number, the digest of each event, equal ones once; those of events that are no
	// record of the chain under 0.
	Digests(context.Context, rotation.Chain) (map[int][]string, error)
}

// An Anchor is a chain's head as somebody noted it elsewhere.
type Anchor struct {
	rotation.Head
	By string // who says so: "the audit comment of 22 Nov", for people
}

// A Report is what Verify found. A chain without findings was read to the last byte.
type Report struct {
	Store    Marker
	Chains   []ChainReport // in order of their paths
	Findings Findings      // of the store as a whole, and of each chain
	Locks    bool          // the store shows locks, and each was held against the marker's terms
}

// A ChainReport is one chain.
type ChainReport struct {
	Head      rotation.Head // as it is stored
	Records   int
	Rotations []string       // in order
	Broken    []Broken       // approvals that nobody gave, in order: no fault of the chain, and to be seen
	Files     int            // pieces of evidence that records refer to, as found
	Confirmed []Confirmation // in order of Seq
	Loose     []string       // files in bundles that no record refers to: left by a crash, or put there
	Findings  Findings
}

// A Broken is a record by which a person went on without an approval.
type Broken struct {
	Seq      int
	Rotation string
	rotation.Approval
}

// A Confirmation is an anchor that agrees: nothing up to Seq was changed since By was written.
type Confirmation struct {
	Seq int
	By  string
}

// Err is the findings as an error; nil when there are none.
func (r Report) Err() error { return r.Findings.err() }

// verifier is what the parts of one Verify share.
type verifier struct {
	VerifyOptions
	store  Store
	marker []byte
	terms  Terms
	locks  bool

	journal map[rotation.Chain][]Object
	bundles map[rotation.Chain][]Object
}

// Verify reads the chains and their bundles, and names each fault it finds. The error is about not having been
// able to read; what was read and is wrong is in the Report. It works on a partial copy, too, as far as that goes.
func Verify(ctx context.Context, s Store, o VerifyOptions) (Report, error) {
	if o.MaxSkew <= 0 {
		o.MaxSkew = 15 * time.Minute
	}
	if o.Readers <= 0 {
		o.Readers = 32
	}
	v := &verifier{VerifyOptions: o, store: s, journal: map[rotation.Chain][]Object{}, bundles: map[rotation.Chain][]Object{}}
	_, v.locks = s.(LockReader)
	var r Report
	m, findings, err := loadMarker(ctx, s)
	if err != nil {
		return r, err
	}
	v.marker = m.data
	r.Store, _ = parseMarker(v.marker)
	v.terms, r.Locks = r.Store.Lock, v.locks && r.Store.Lock.Mode != ""
	r.Findings = append(findings, v.locked(rotation.Chain{}, 0, m.Object, m.lock)...)
	foreign, err := v.list(ctx)
	if err != nil {
		return r, err
	}
	checks, err := v.readAll(ctx)
	if err != nil {
		return r, err
	}
	r.Findings = append(r.Findings, foreign...)
	v.crossCheck(checks)
	for _, c := range checks {
		r.Chains = append(r.Chains, c.report())
		r.Findings = append(r.Findings, r.Chains[len(r.Chains)-1].Findings...)
	}
	return r, nil
}

// list sorts what is stored by chain; what belongs to none is foreign. With Chains given, foreign things
// outside of them aren't looked for.
func (v *verifier) list(ctx context.Context) (foreign Findings, err error) {
	prefixes := []string{journalPrefix}
	if len(v.Chains) > 0 {
		prefixes = nil
		for _, c := range v.Chains {
			v.journal[c] = nil
		}
		for _, a := range v.Anchors {
			v.journal[a.Chain] = nil
		}
		for c := range v.journal {
			if err := checkChain(c); err != nil {
				return nil, fmt.Errorf("verify: %w", err)
			}
			prefixes = append(prefixes, chainPrefix(c))
		}
	}
	for _, p := range prefixes {
		l, err := v.store.List(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", p, err)
		}
		for _, o := range l.Objects {
			dir := o.Name[:strings.LastIndexByte(o.Name, '/')+1]
			c, ok := chainOf(strings.TrimSuffix(strings.TrimPrefix(dir, journalPrefix), "/"))
			switch {
			case ok:
				v.journal[c] = append(v.journal[c], o)
			case o.Name != markerName:
				foreign = append(foreign, Finding{Name: o.Name, Rule: RuleForeign, Msg: "is no part of the journal: it doesn't belong here"})
			}
		}
	}
	for _, a := range v.Anchors {
		v.expect(a.Chain)
	}
	more, err := v.listBundles(ctx)
	return append(foreign, more...), err
}

// expect has c verified, be there anything of it or not.
func (v *verifier) expect(c rotation.Chain) {
	if _, ok := v.journal[c]; !ok {
		v.journal[c] = nil
	}
}

func (v *verifier) listBundles(ctx context.Context) (foreign Findings, err error) {
	l, err := v.store.List(ctx, bundlePrefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", bundlePrefix, err)
	}
	for _, o := range l.Objects {
		c, _, inside, ok := bundleOf(o.Name)
		switch {
		case ok && inside == "": // close.json: of no one chain
			f, err := v.closing(ctx, o)
			if err != nil {
				return nil, err
			}
			foreign = append(foreign, f...)
		case ok:
			if _, known := v.journal[c]; known || len(v.Chains) == 0 {
				v.bundles[c] = append(v.bundles[c], o)
				v.expect(c)
			}
		case len(v.Chains) == 0:
			foreign = append(foreign, Finding{Name: o.Name, Rule: RuleForeign, Msg: "is no part of a bundle: it doesn't belong here"})
		}
	}
	return foreign, nil
}

// closing verifies a close.json of a secret that is verified.
func (v *verifier) closing(ctx context.Context, o Object) (Findings, error) {
	m, _ := markOf(o.Name)
	wanted := len(v.Chains) == 0
	for c := range v.journal {
		wanted = wanted || c.Secret == m.secret
	}
	if !wanted {
		return nil, nil
	}
	f := disturbed(rotation.Chain{}, 0, o)
	if o.Versions == 0 {
		return f, nil
	}
	data, lock, err := read(ctx, v.store, o.Name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Name, err)
	}
	if !unsealed(data) {
		f = append(f, Finding{Name: o.Name, Rule: RuleBundle, Msg: "was changed: its digest isn't that of its text"})
	}
	return append(f, v.locked(rotation.Chain{}, 0, o, lock)...), nil
}

// bundleOf reads rotations/<YYYY>/<MM>/<secret~>/<rotation>/<environment>/<inside>; inside is "" of a
// close.json, which lies above the environments.
func bundleOf(name string) (c rotation.Chain, rot, inside string, ok bool) {
	p := strings.SplitN(name, "/", 7)
	if m, is := markOf(name); is && m.close > 0 {
		return c, m.rotation, "", true
	}
	if len(p) != 7 {
		return c, "", "", false
	}
	c = rotation.Chain{Environment: p[5], Secret: strings.ReplaceAll(p[3], "~", "/")}
	folder, err := BundleFolder(c, p[4])
	return c, p[4], p[6], err == nil && folder+p[6] == name
}

// readAll reads the chains and their bundles, several at a time.
func (v *verifier) readAll(ctx context.Context) ([]*chainCheck, error) {
	chains := slices.SortedFunc(maps.Keys(v.journal), func(a, b rotation.Chain) int { return strings.Compare(a.Path(), b.Path()) })
	checks := make([]*chainCheck, len(chains))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i, name := range chains {
		g.Go(func() error {
			c := &chainCheck{verifier: v, chain: name, readers: max(v.Readers/4, 1)}
			checks[i] = c
			if err := c.records(ctx); err != nil {
				return err
			}
			if err := c.bundle(ctx); err != nil {
				return err
			}
			return c.logged(ctx)
		})
	}
	return checks, g.Wait()
}

// crossCheck holds each chain against what others say of it: those who asked, and other environments' claims.
func (v *verifier) crossCheck(checks []*chainCheck) {
	by := map[rotation.Chain]*chainCheck{}
	for _, c := range checks {
		by[c.chain] = c
	}
	hold := func(a Anchor) {
		if c := by[a.Chain]; c != nil {
			c.anchor(a)
		}
	}
	for _, a := range v.Anchors {
		if a.By == "" {
			a.By = "the anchor given"
		}
		hold(a)
	}
	for _, c := range checks {
		for _, e := range c.entries {
			if claim := e.Record.Claim; claim != nil && claim.Previous != nil {
				hold(Anchor{*claim.Previous, fmt.Sprintf("the claim in record %d of %s", e.seq, c.chain)})
			}
		}
	}
}
