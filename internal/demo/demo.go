// Package demo shows the life of one secret: the real program, driven through a sandbox of the real protocols on
// this machine, on a clock that is moved. It owns the story and its scenes. It must never do itself what the
// program does, nor reach anything but loopback and the folder it was given.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/rotation"
)

// Options of Run.
type Options struct {
	Out     string // folder for what is left behind; made anew: it must not exist, or be one of a former demo
	Fail    string // STEP@ENV: what goes wrong there is real; "" nothing does
	Program string // this program's version
	Style   terminal.Style
}

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC) // a Monday

const (
	secretName = "app/database"
	rotationID = "2026-11-23-app-database"
	requestAt  = "rotations/2026/11/" + rotationID + ".yaml"
	operator   = "ana-sec"
)

// Run tells the story to w and leaves journal, bundles and transcript in o.Out.
func Run(ctx context.Context, w io.Writer, o Options) error {
	trouble, err := troubleOf(o.Fail)
	if err != nil {
		return err
	}
	if err := clear(o.Out); err != nil {
		return err
	}
	transcript, err := os.Create(filepath.Join(o.Out, "transcript.txt"))
	if err != nil {
		return err
	}
	defer transcript.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := newScene(ctx, o)
	if err != nil {
		return err
	}
	w = io.MultiWriter(w, plain{transcript})
	t := &teller{scene: s, w: w, line: terminal.NewTimeline(w, o.Style), trouble: trouble}
	s.progress = t.line.Record
	if trouble != nil {
		s.progress = trouble.watch(s, t.line.Record)
	}
	return errors.Join(t.tell(ctx, o), t.line.Err())
}

// A teller drives the program through the days.
type teller struct {
	*scene
	w       io.Writer
	line    *terminal.Timeline
	trouble *trouble
}

func (t *teller) tell(ctx context.Context, o Options) error {
	fmt.Fprintf(t.w, "The life of one secret, in a sandbox on this machine. Clock: %s.\n\n", start.Format("Mon 2 Jan 2006 15:04 UTC"))
	t.line.Event(t.now(), "request", fmt.Sprintf("%s is 97 days old, interval 90 d  →  %s, ticket SEC-7", secretName, requestAt))
	if err := t.init(ctx); err != nil {
		return err
	}
	t.clock.Move(12 * time.Minute)
	if err := t.plan(); err != nil {
		return err
	}
	t.clock.Move(9 * time.Minute)
	if err := t.rotate(ctx); err != nil {
		return err
	}
	if err := t.decommission(ctx); err != nil {
		return err
	}
	return t.epilogue(ctx, o)
}

// plan is `rekey lint` and `rekey plan`: what people see on the pull request.
func (t *teller) plan() error {
	a := t.process()
	if found := a.Load(); found.Len() > 0 {
		return fmt.Errorf("the demo's own files: %s", found)
	}
	plans, err := a.Plans()
	if err != nil {
		return err
	}
	steps := 0
	for _, p := range plans {
		steps += len(p.Steps)
	}
	t.line.Event(t.now(), "plan", fmt.Sprintf("%d environments, %d steps; dev and stage may start now, prod in its window at 10:00", len(plans), steps))
	return nil
}

// rotate goes through the environments; each run is a process of its own, as each job is.
func (t *teller) rotate(ctx context.Context) error {
	for _, env := range t.scenario.Environments {
		if wait := start.Add(62 * time.Minute).Sub(t.now()); env == "prod" && wait > 0 {
			t.clock.Move(wait) // its window opens at ten
		}
		if err := t.run(ctx, env); err != nil {
			return err
		}
		t.clock.Move(3 * time.Minute)
	}
	return nil
}

// run is one `rekey apply --environment ENV`, and where something failed on the way back, the runs after it.
func (t *teller) run(ctx context.Context, env string) error {
	for range 6 {
		d, err := t.apply(ctx, env)
		if err != nil && d.State != plan.Stuck {
			t.line.Event(t.now(), env, "this run ends with an unknown outcome: "+err.Error())
		}
		t.line.Finish(rotation.Chain{Environment: env, Secret: secretName}, "")
		if t.trouble == nil {
			return err
		}
		switch {
		case err == nil && d.State == plan.Refused:
			t.line.Event(t.now(), env, "refused: nothing was changed, and the next run looks again")
			return nil
		case err == nil && d.State == plan.Waiting && strings.Contains(d.Why, "is not validated"):
			t.line.Event(t.now(), env, "not started: "+d.Why)
			return nil
		case err == nil && d.State != plan.Stuck:
			return nil
		}
		t.clock.Move(time.Hour)
		t.line.Event(t.now(), "next run", t.trouble.mend(t.scene))
	}
	return fmt.Errorf("%s didn't come to rest", env)
}

func (t *teller) decommission(ctx context.Context) error {
	if !t.anyValidated {
		return nil
	}
	t.clock.Move(48 * time.Hour)
	t.line.Pass(t.now(), "48 hours pass")
	for _, env := range t.scenario.Environments {
		if t.validated[env] {
			if err := t.run(ctx, env); err != nil {
				return err
			}
		}
		t.clock.Move(time.Minute)
	}
	return nil
}

// epilogue copies the evidence out of the bucket and verifies the copy offline, as an auditor would.
func (t *teller) epilogue(ctx context.Context, o Options) error {
	fmt.Fprintln(t.w)
	closed, err := t.export(filepath.Join(o.Out, "evidence"))
	if err != nil {
		return err
	}
	switch {
	case closed:
		fmt.Fprintln(t.w, "Closed: every environment ended, ticket SEC-7 can be closed.")
	case t.trouble != nil && t.rolledBack:
		fmt.Fprintln(t.w, "Open until 23 Dec: mend the cause, then start it again (rekey apply --again), or delete the request.")
	default:
		fmt.Fprintln(t.w, "Open until 23 Dec: mend the cause, and the next run goes on, or delete the request.")
	}
	for _, env := range t.scenario.Environments {
		fmt.Fprintf(t.w, "%-6s %s\n", env, t.reality(env))
	}
	report, err := app.VerifyFolder(ctx, filepath.Join(o.Out, "evidence"), nil)
	if err != nil {
		return err
	}
	records := 0
	for _, c := range report.Chains {
		records += c.Records
	}
	dir := filepath.ToSlash(o.Out)
	fmt.Fprintf(t.w, "\nEvidence  %s/evidence  %d records in %d chains, %s\n", dir, records, len(report.Chains), verdict(report))
	fmt.Fprintf(t.w, "          try: rekey verify --evidence file://%s/evidence\n", dir)
	fmt.Fprintf(t.w, "Summary   %s/evidence/rotations/2026/11/%s/%s/\n", dir, rotation.PathName(secretName), rotationID)
	return report.Err()
}

func verdict(r evidence.Report) string {
	if r.Err() != nil {
		return "with findings"
	}
	return "verified"
}
