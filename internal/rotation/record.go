package rotation

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// An Outcome says what a record is about.
type Outcome string

const (
	Claimed  Outcome = "claimed"        // a rotation, or another attempt at it, begins: Record.Claim is set
	Resumed  Outcome = "resumed"        // another runner goes on
	Released Outcome = "released"       // the runner stops early and gives its lease back
	Begun    Outcome = "begun"          // a Final step is about to act: from here nothing can be undone
	Noted    Outcome = "noted"          // facts found on the way, or the lease renewed; the step goes on
	Done     Outcome = "done"           //
	Failed   Outcome = "failed"         // definitely
	Asked    Outcome = "rollback-asked" // a person wants the old credential back
	Attached Outcome = "attached"       // a person added supporting evidence
	Approved Outcome = "approved"       // people let it go on: Record.Approval is set
	Waiting  Outcome = "waiting"        // progress only, never appended
)

// WaitsFor begins the text of a Released record whose runner left because it had to wait; any other was stopped.
const WaitsFor = "waits for "

// Waited is what a runner left to a later one to wait for; false where it was stopped, or isn't released at all.
func (r Record) Waited() (what string, ok bool) {
	if r.Outcome != Released {
		return "", false
	}
	return strings.CutPrefix(r.Text, WaitsFor)
}

// A Record is one line of evidence and one event of progress: the same stream, all kept but Waiting.
// Its stored bytes are its JSON; the next record holds their SHA-256.
type Record struct {
	Seq  int    `json:"seq"`  // from 1, without gaps
	Prev string `json:"prev"` // digest of the record before; of the first: see evidence
	Chain
	Rotation string            `json:"rotation"`
	Attempt  int               `json:"attempt"`
	ClaimSeq int               `json:"claim_seq"` // the record that began this attempt; its own Seq there
	At       time.Time         `json:"at"`        // UTC, by the runner's clock, before the record was sent
	Runner   Runner            `json:"runner"`
	Outcome  Outcome           `json:"outcome"`
	Step     string            `json:"step,omitempty"` // the step's key
	Text     string            `json:"text,omitempty"` // for people, redacted
	Hint     string            `json:"hint,omitempty"`
	Facts    map[string]string `json:"facts,omitempty"`
	Files    []FileRef         `json:"files,omitempty"`
	QuietAt  *time.Time        `json:"quiet_at,omitempty"` // a call of this runner had no answer: until then it can still arrive
	Claim    *Claim            `json:"claim,omitempty"`
	Approval *Approval         `json:"approval,omitempty"`
}

// A FileRef names a stored piece of evidence.
type FileRef struct {
	Name   string `json:"name"`   // within the environment's bundle
	Digest string `json:"digest"` // "sha256:<hex>"
	Size   int64  `json:"size"`   // bytes
}

// A Runner is one process at work.
type Runner struct {
	ID    string `json:"id"`    // where to look: a workflow run, or host and process
	Nonce string `json:"nonce"` // random: two processes are never the same runner
}

// A Head is the last record of a chain at some time: an anchor.
type Head struct {
	Chain
	Seq    int    `json:"seq"`
	Digest string `json:"digest"` // "sha256:<hex>"
}

// Actors are the people of a rotation, by login.
type Actors struct {
	Operator  string   `json:"operator"`            // answers for it: tag rotated_by
	Requested string   `json:"requested,omitempty"` // wrote the request
	Merged    string   `json:"merged,omitempty"`    // its pull request
	Reviewed  []string `json:"reviewed,omitempty"`  // approved the commit that was merged
	Approved  []string `json:"approved,omitempty"`  // the environment
}

// An Origin is the merged pull request that a request came by.
type Origin struct {
	Repository  string    `json:"repository"`   // owner/name
	PullRequest int       `json:"pull_request"` // number
	URL         string    `json:"url"`
	Head        string    `json:"head"`  // commit that was reviewed and merged
	Merge       string    `json:"merge"` // commit that the merge made
	MergedAt    time.Time `json:"merged_at"`
}

// What an approval is for. A rotation's covers all of it, unless its decommission is asked for by itself.
const (
	ApprovesRotation     = "rotation"
	ApprovesDecommission = "decommission"
)

// An Approval is people letting a rotation go on in one environment.
type Approval struct {
	For         string    `json:"for"`                   // ApprovesRotation, ApprovesDecommission
	Digest      string    `json:"digest"`                // of all that they were asked about, checks included
	Environment string    `json:"environment,omitempty"` // the GitHub Environment that asked; "" by hand
	Run         string    `json:"run"`                   // of the workflow, without its attempt; or who, by hand
	Count       int       `json:"count"`                 // entries of that run for that environment so far: each counts once
	By          []string  `json:"by"`                    // logins
	Comment     string    `json:"comment,omitempty"`     // redacted
	BreakGlass  string    `json:"break_glass,omitempty"` // nobody approved it: why By went on without, redacted; "" approved
	SeenAt      time.Time `json:"seen_at"`               // GitHub doesn't say when it was given
}

// Grant is what r says of people letting it go on; nil where it says nothing.
func (r Record) Grant() *Approval {
	if r.Approval == nil && r.Claim != nil {
		return r.Claim.Approval
	}
	return r.Approval
}

// A Claim begins an attempt. It holds all that later runs need, without the request's file.
type Claim struct {
	Plan     Plan      `json:"plan"`
	Path     string    `json:"path"`    // the request's file
	Request  string    `json:"request"` // its bytes
	Ticket   string    `json:"ticket,omitempty"`
	Owner    string    `json:"owner"`
	Tags     []string  `json:"tags,omitempty"`
	Actors   Actors    `json:"actors"`
	Origin   *Origin   `json:"origin,omitempty"`   // how the request came to the default branch, where that is known
	Approval *Approval `json:"approval,omitempty"` // as it was when the attempt began
	// Spent counts the approvals, by run, that former attempts have used: a re-run finds them again.
	Spent      map[string]int `json:"spent,omitempty"`
	Identity   string         `json:"identity,omitempty"`   // the cloud identity that acts
	Commit     string         `json:"commit,omitempty"`     //
	Program    string         `json:"program"`              // version of this program
	Previous   *Head          `json:"previous,omitempty"`   // the environment before, as it was found
	Supersedes string         `json:"supersedes,omitempty"` // a rotation whose retention this one ends
	Inherits   []Fact         `json:"inherits,omitempty"`   // what that one kept, and this one now answers for
}

// A Fact is something a step recorded.
type Fact struct {
	Step  string `json:"step"`
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Digest is how records, files and requests are named by content: "sha256:<hex>".
func Digest(b []byte) string {
	h := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(h[:])
}

// A Past is the records of one attempt, its claim first: what handlers may know.
type Past struct {
	records []Record
	reads   []string // nil: everything
}

// PastOf takes the records of one attempt, oldest first, the first its claim.
func PastOf(records []Record) Past { return Past{records: records} }

// For narrows p to what s declares to read, and its own facts.
func (p Past) For(s Step) Past {
	return Past{records: p.records, reads: append(slices.Clone(s.Reads), s.Key)}
}

// Claim is what began the attempt; At is when.
func (p Past) Claim() (c Claim, at time.Time) {
	if len(p.records) == 0 || p.records[0].Claim == nil {
		return Claim{}, time.Time{}
	}
	return *p.records[0].Claim, p.records[0].At
}

// Fact is the last value that the step with this key recorded; "" when there is none or it isn't in the
// reader's Reads. IDs to act on come from nowhere else.
func (p Past) Fact(step, key string) string {
	if p.reads != nil && !slices.Contains(p.reads, step) {
		return ""
	}
	for i := len(p.records) - 1; i >= 0; i-- {
		if r := p.records[i]; r.Step == step {
			if v, ok := r.Facts[key]; ok {
				return v
			}
		}
	}
	return ""
}

// Done is when the step with this key was recorded as done; zero when it wasn't, or isn't in the reader's Reads.
func (p Past) Done(step string) (at time.Time) {
	if p.reads != nil && !slices.Contains(p.reads, step) {
		return at
	}
	for _, r := range p.records {
		if r.Step == step && r.Outcome == Done {
			at = r.At
		}
	}
	return at
}

// Inherited are the values a superseded rotation had recorded.
func (p Past) Inherited(step, key string) (values []string) {
	c, _ := p.Claim()
	for _, f := range c.Inherits {
		if f.Step == step && f.Key == key {
			values = append(values, f.Value)
		}
	}
	return values
}

// Token derives an idempotency token for one purpose from the step with this key: 64 hex digits, the same in
// every run of this attempt and in no other. "" when the plan has no such step.
func (p Past) Token(step, purpose string) string {
	c, _ := p.Claim()
	s, ok := c.Plan.Step(step)
	if !ok {
		return ""
	}
	return s.token(purpose)
}
