package histories

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/rotation"
)

// An attempt is what the journal has of one, read past the program.
type attempt struct {
	rotation.Chain
	claim   rotation.Claim
	records []rotation.Record
}

func (a *attempt) next(now time.Time) plan.Decision {
	return plan.Next(&a.claim.Plan, a.records, now)
}
func (a *attempt) begun() bool       { return plan.MayHaveBegun(&a.claim.Plan, a.records) }
func (a *attempt) last() time.Time   { return a.records[len(a.records)-1].At }
func (a *attempt) did(s string) bool { return !a.when(s).IsZero() }
func (a *attempt) when(step string) (at time.Time) {
	for _, r := range a.records {
		if r.Step == step && r.Outcome == rotation.Done {
			at = r.At
		}
	}
	return at
}

func (a *attempt) fact(step, key string) (value string) {
	for _, r := range a.records {
		if v := r.Facts[key]; r.Step == step && v != "" {
			value = v
		}
	}
	return value
}

// approval is the one under which a goes on; nil: none.
func (a *attempt) approvals() (all []rotation.Approval) {
	if a.claim.Approval != nil {
		all = append(all, *a.claim.Approval)
	}
	for _, r := range a.records {
		if r.Approval != nil {
			all = append(all, *r.Approval)
		}
	}
	return all
}

// read brings h.chains up to date with the evidence store, and tells what is new.
func (h *history) read() {
	all := h.w.AWS.S3.Versions(h.w.Scenario.Bucket, "journal/")
	for _, v := range slices.Backward(all) {
		if h.known[v.Key] || v.Marker {
			continue
		}
		h.known[v.Key] = true
		var r rotation.Record
		if err := json.Unmarshal(v.Body, &r); err != nil || r.Seq == 0 {
			continue // the store's marker
		}
		h.fresh = append(h.fresh, r)
	}
	slices.SortStableFunc(h.fresh, func(a, b rotation.Record) int {
		if c := strings.Compare(a.Chain.Path(), b.Chain.Path()); c != 0 {
			return c
		}
		return a.Seq - b.Seq
	})
	for _, r := range h.fresh {
		if r.Claim != nil {
			h.chains[r.Chain] = append(h.chains[r.Chain], &attempt{Chain: r.Chain, claim: *r.Claim})
		}
		list := h.chains[r.Chain]
		if len(list) == 0 {
			h.breaks("record %d of %s comes before any claim", r.Seq, r.Chain)
			continue
		}
		a := list[len(list)-1]
		a.records = append(a.records, r)
		text := fmt.Sprintf("    %s: %s", r.Chain, r.Outcome)
		switch {
		case r.Claim != nil:
			text += fmt.Sprintf(" by %s, attempt %d", r.Rotation, r.Attempt)
			if p := r.Claim.Approval; p != nil {
				text += fmt.Sprintf(", approved by %v in %s", p.By, runOf(p.Run))
			}
		case r.Approval != nil:
			text += fmt.Sprintf(" %s by %v in %s", r.Approval.For, r.Approval.By, runOf(r.Approval.Run))
		default:
			text += " " + r.Step
			if r.Outcome == rotation.Failed || r.Outcome == rotation.Released {
				text += ": " + r.Text
			}
		}
		h.story = append(h.story, text)
	}
	h.fresh = nil
}

func runOf(url string) string { return "run " + url[strings.LastIndexByte(url, '/')+1:] }

// of is the last attempt of a rotation in a chain; nil: it was never claimed.
func (h *history) of(c rotation.Chain, name string) *attempt {
	for _, a := range slices.Backward(h.chains[c]) {
		if a.claim.Plan.Rotation == name {
			return a
		}
	}
	return nil
}

// tail is a chain's last attempt.
func (h *history) tail(c rotation.Chain) *attempt {
	if l := h.chains[c]; len(l) > 0 {
		return l[len(l)-1]
	}
	return nil
}

func (h *history) all(f func(a *attempt, latest bool)) {
	var chains []rotation.Chain
	for c := range h.chains {
		chains = append(chains, c)
	}
	slices.SortFunc(chains, func(a, b rotation.Chain) int { return strings.Compare(a.Path(), b.Path()) })
	for _, c := range chains {
		for i, a := range h.chains[c] {
			f(a, i == len(h.chains[c])-1)
		}
	}
}
