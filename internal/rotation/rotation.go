// Package rotation is the words of a rotation: phase, step, plan, record, result. It owns no decision
// (plan has those) and calls nothing: standard library only, so that every room can speak it.
package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A Phase is a section of the runbook. It decides what a definite failure of its steps means.
type Phase string

const (
	Preconditions Phase = "preconditions" // refused: nothing was changed, and a later run may try again
	Create        Phase = "create"        // undone
	Deploy        Phase = "deploy"        // undone
	Validate      Phase = "validate"      // undone
	Decommission  Phase = "decommission"  // tried again by later runs and reported as stuck, never undone by itself
	Rollback      Phase = "rollback"      // tried again until done, with an incident open
)

// Phases in the order they are gone through; Rollback is not among them.
var Phases = []Phase{Preconditions, Create, Deploy, Validate, Decommission}

// Undone says whether a definite failure in p takes the rotation back.
func (p Phase) Undone() bool { return p == Create || p == Deploy || p == Validate }

// A Chain is the life-long record of one secret in one environment, across all its rotations.
type Chain struct {
	Environment string `json:"environment"`
	Secret      string `json:"secret"`
}

// Path is the chain's name in stores: "prod/payments~stripe-webhook". The environment comes first, so that
// one prefix is one environment's access policy.
func (c Chain) Path() string { return c.Environment + "/" + PathName(c.Secret) }

func (c Chain) String() string { return c.Secret + " in " + c.Environment }

// PathName is a secret's name as one segment of a path.
func PathName(secret string) string { return strings.ReplaceAll(secret, "/", "~") }

// A Retain in a Spec's Delay stands for the request's retention.
const Retain Duration = -1

// A Spec is one line of a kind's recipe: a Step before request, target and names are filled in.
type Spec struct {
	Phase  Phase
	Name   string
	Looks  bool     // see Step
	After  string   // see Step
	Delay  Duration // see Step; Retain means the request's retention
	Within Duration // see Step; 0 means the phase's default
	Lapses bool     // it looks for who still uses the old credential: policy may end its waiting, see Step.Lapse
	Undoes string   // for Rollback: the name of the step it undoes
	Reads  []string // names of the steps whose facts it reads
	Final  bool     // see Step
	Ask    *Ask     // see Step
}

// A Step is one thing to do, as data. A plan outlives the program that made it.
type Step struct {
	ID     string          `json:"id"`               // rotation/secret/environment/attempt/key: every idempotency token derives from it
	Key    string          `json:"key"`              // unique in its plan: "create", "validate/health"
	Phase  Phase           `json:"phase"`            //
	Name   string          `json:"name"`             // the handler's function: "create", "validate"
	Uses   string          `json:"uses"`             // the handler: "kind/secretsmanager", "check/http"
	With   json.RawMessage `json:"with,omitempty"`   // the handler's parameters; never a secret
	Looks  bool            `json:"looks,omitempty"`  // changes nothing: needs no claim, and its waiting isn't recorded
	After  string          `json:"after,omitempty"`  // not before the record of the step with this key ...
	Delay  Duration        `json:"delay,omitempty"`  // ... is this old
	Window *Window         `json:"window,omitempty"` // holds back the start of a phase, nothing else
	Hours  *Hours          `json:"hours,omitempty"`  // likewise, every week
	Within Duration        `json:"within,omitempty"` // deadline, counted from the last step's record; 0: none
	Lapse  Duration        `json:"lapse,omitempty"`  // of one that looks: so long after it could begin it is waited for no more; 0: for ever
	Undoes string          `json:"undoes,omitempty"` // key of the step it undoes: needed once that may have begun
	Reads  []string        `json:"reads,omitempty"`  // keys of the steps whose facts it may read
	Final  bool            `json:"final,omitempty"`  // nothing can be undone once this has begun
	Ask    *Ask            `json:"ask,omitempty"`    // what a person does: the step looks until they have
	Shared string          `json:"shared,omitempty"` // what it restarts, where steps of other plans restart the same: once for all
}

// FactAhead is recorded of a step that was done because it lapsed.
const FactAhead = "ahead"

// An Ask is what a step waits for a person to do.
type Ask struct {
	Do  []string `json:"do"`            // one after the other, in words
	Run string   `json:"run,omitempty"` // the command line that tells the step it is done; see Asks
}

// Asks is s's Ask with its token, for purpose "value", where Run says {token}: what a person made for this attempt is
// known by it, and nothing else is taken for it. Nil where nobody is asked.
func (s Step) Asks() *Ask {
	if s.Ask == nil {
		return nil
	}
	return &Ask{Do: s.Ask.Do, Run: strings.ReplaceAll(s.Ask.Run, "{token}", s.token("value"))}
}

func (s Step) token(purpose string) string {
	h := sha256.Sum256([]byte(s.ID + "\x00" + purpose))
	return hex.EncodeToString(h[:])
}

// Into reads the step's parameters into v.
func (s Step) Into(v any) error {
	if err := json.Unmarshal(s.With, v); err != nil {
		return fmt.Errorf("parameters of %s: %w", s.ID, err)
	}
	return nil
}

// A Window is a time span in which a phase may start: From included, To not.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Hours are the times of the week at which a phase may start.
type Hours struct {
	Days []string `json:"days"` // mon, tue, wed, thu, fri, sat, sun
	From string   `json:"from"` // HH:MM, included
	To   string   `json:"to"`   // HH:MM, not included; before From: the next day
	Zone string   `json:"zone"` // IANA name
}

// A Plan is all that one secret goes through in one environment, made once and kept in the claim.
type Plan struct {
	Chain
	Rotation  string    `json:"rotation"`            // the request's file name without ".yaml"
	Attempt   int       `json:"attempt"`             // from 1
	Kind      string    `json:"kind"`                //
	Reason    string    `json:"reason"`              // scheduled, compromise, personnel, request
	OnFailure string    `json:"on_failure"`          // rollback, or hold: keep the new credential and wait for a person
	Digest    string    `json:"digest"`              // of request, target and tags: forward steps stop when it changes
	Needs     string    `json:"needs,omitempty"`     // the environment that must be validated before
	NeedsThis bool      `json:"needs_this"`          // ... in this rotation, not just in its latest
	Supersede bool      `json:"supersede,omitempty"` // may take over from a rotation still in its retention
	StartBy   time.Time `json:"start_by"`            // never begun by then: never begins
	Approvals []string  `json:"approvals,omitempty"` // what people must approve: see Approval.For
	Steps     []Step    `json:"steps"`
	Undo      []Step    `json:"undo"`
}

// Step finds a step, or undo step, by key.
func (p *Plan) Step(key string) (Step, bool) {
	for _, list := range [][]Step{p.Steps, p.Undo} {
		for _, s := range list {
			if s.Key == key {
				return s, true
			}
		}
	}
	return Step{}, false
}

// A File is a piece of evidence a step made: redacted text, or bytes that hold no secret.
type File struct {
	Name string
	Data []byte
}

// A Result is what came of asking a step's handler: done, or with Wait set, not yet.
type Result struct {
	Facts map[string]string // recorded even when not done: what is found is on record before it is destroyed
	Text  string            // for people
	Files []File            // kept as evidence
	Wait  string            // what it waits for; "" is done
	Again time.Duration     // ask again after; Later leaves it to a later run
}

// Later in Result.Again leaves the step to a later run.
const Later time.Duration = 1 << 62

// A Failure is a definite "no" of the world. Every other error is an unknown outcome: looked at again, never undone.
type Failure struct{ Msg, Hint string }

func (f *Failure) Error() string { return f.Msg }

// Failf makes a Failure. hint says what to do; "" where there is nothing to add.
func Failf(hint, format string, a ...any) error {
	return &Failure{fmt.Sprintf(format, a...), hint}
}

// A Func does one step: looks, acts if still needed, and may be called again at any time. past holds the facts.
type Func func(ctx context.Context, s Step, past Past) (Result, error)

// A Handler is what a kind, consumer or check can do, by step name: data, so that a plan is held against it
// before it starts.
type Handler map[string]Func

// Handle makes a handler of functions that take what read makes of a step: its parameters, and what else they go by.
func Handle[C any](read func(Step, Past) (C, error), by map[string]func(context.Context, C) (Result, error)) Handler {
	h := Handler{}
	for name, f := range by {
		h[name] = func(ctx context.Context, s Step, past Past) (Result, error) {
			c, err := read(s, past)
			if err != nil {
				return Result{}, err
			}
			return f(ctx, c)
		}
	}
	return h
}

// Duration is a time.Duration that reads and writes as text ("48h0m0s") in JSON.
type Duration time.Duration

func (d Duration) String() string               { return time.Duration(d).String() }
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText takes what time.ParseDuration takes.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}
