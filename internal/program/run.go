package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/child"
	"github.com/rastup/rekey/internal/rotation"
)

// Output is the name of the evidence file that keeps what a program said.
const Output = "output.txt"

// leastLease is how much of a lease must be left for a program to start. It needn't cover the whole run: while a
// step runs, apply renews the lease, and ends the step's context while a quarter of it is left when it can't;
// the program is gone within child.DefaultGrace and a second of that.
const leastLease = time.Minute

// Pass is nil when a program that may change something can start now: see rotation.Fence.
func (p Program) Pass(ctx context.Context, within time.Duration) error {
	if err := rotation.FenceOf(ctx).Pass(min(within, leastLease)); err != nil {
		return fmt.Errorf("run %s: %w", p, err)
	}
	return nil
}

// Limits of one run.
type Limits struct {
	Within    time.Duration
	Grace     time.Duration // to end by itself when Within is over, default child.DefaultGrace
	MaxOutput int64         // bytes, default child.DefaultMaxOutput
}

// An End is how a run came to an end.
type End struct {
	Code     int           // exit status; -1 when a signal ended it
	Signal   string        // that ended it; "" when it exited
	TimedOut bool          // it was ended after its limit
	Took     time.Duration // rounded for people
	Output   []byte        // what it said, redacted and limited: for evidence
	Lines    string        // the last lines of that, for text, beginning with "; "
	What     string        // it did, without Lines: "make deploy ended with 0 after 3s"
}

// Execute runs p, with more variables than it asks for itself, and waits for its end. Not to be started is a
// *rotation.Failure; a run that was broken off is an unknown outcome, with an End so far. answer gets standard output as
// it is, which then isn't in End.Output; nil: nobody does.
func (p Program) Execute(ctx context.Context, at Place, plan rotation.Plan, l Limits, answer io.Writer, more ...string) (End, error) {
	c, err := p.command(at, plan, l.Within, more)
	if err != nil {
		return End{}, err
	}
	c.MaxOutput, c.Grace, c.Answer, c.Clean = l.MaxOutput, l.Grace, answer, at.Redact.Writer
	res, err := child.Run(ctx, c)
	switch {
	case errors.Is(err, child.ErrNotStarted) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)):
		return End{}, p.Missing()
	case errors.Is(err, child.ErrNotStarted):
		return End{}, fmt.Errorf("run %s: %w", p, err)
	}
	e := End{Code: res.Code, Signal: res.Signal, TimedOut: res.TimedOut, Took: rounded(res.Took)}
	e.Output, e.Lines = at.Kept(res.Output)
	switch {
	case e.TimedOut:
		e.What = fmt.Sprintf("%s was stopped after its limit of %s", p, l.Within)
	case e.Signal != "":
		e.What = fmt.Sprintf("%s was ended by a signal (%s) after %s", p, e.Signal, e.Took)
	default:
		e.What = fmt.Sprintf("%s ended with %d after %s", p, e.Code, e.Took)
	}
	if err != nil {
		return e, fmt.Errorf("run %s: %w", p, err)
	}
	return e, nil
}

// Files are the evidence of a run that took place.
func (e End) Files() []rotation.File {
	if e.What == "" {
		return nil
	}
	return []rotation.File{{Name: Output, Data: e.Output}}
}

func rounded(took time.Duration) time.Duration {
	switch tenths := took.Round(100 * time.Millisecond); {
	case tenths >= 10*time.Second:
		return tenths.Round(time.Second)
	case tenths < time.Second:
		return took.Round(time.Millisecond)
	default:
		return tenths
	}
}

// Runs counts how often programs that change something were begun: by then that is on record, since a runner that dies
// can't tell what one of them had done.
type Runs struct {
	mu      sync.Mutex
	allowed map[string]string // by token: the run that is on record and wasn't begun yet
}

// Begin lets one run begin whose number is the one on record; record is "" then. Else it is what to record before asking
// again.
func (r *Runs) Begin(token, recorded string) (record string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if recorded != "" && r.allowed[token] == recorded {
		delete(r.allowed, token)
		return ""
	}
	if r.allowed == nil {
		r.allowed = map[string]string{}
	}
	n, _ := strconv.Atoi(recorded)
	r.allowed[token] = strconv.Itoa(n + 1)
	return r.allowed[token]
}

// Unbegun takes back that a run began: it came to nothing before it could change anything.
func (r *Runs) Unbegun(token, recorded string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.allowed == nil {
		r.allowed = map[string]string{}
	}
	r.allowed[token] = recorded
}
