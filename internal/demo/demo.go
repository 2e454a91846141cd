// Package demo shows some days of a company whose secret is rotated: the real workflow files, the real action and
// the real protocols, in a town inside this process, on a clock that is moved. It owns the story: what people do, and
// what goes wrong. It must never do itself what the program does, tell what it didn't see there, nor reach anything
// but loopback and the folder it was given.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/demo/town"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/site"
	"github.com/rastup/rekey/internal/report/site/folder"
	"github.com/rastup/rekey/internal/report/terminal"
)

// Options of Run.
type Options struct {
	Out   string // folder for what is left behind; made anew: it must not exist, or be one of a former demo
	Fail  string // STEP@ENV: what goes wrong there is real; "" nothing does
	Style terminal.Style
}

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC) // a Monday

const (
	secretName = "app/database"
	rotationID = "2026-11-23-app-database"
	requestAt  = "rotations/2026/11/" + rotationID + ".yaml"
)

// Run tells the story to w and leaves what came of it in o.Out.
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
	s, err := newScene(ctx, o.Out)
	if err != nil {
		return err
	}
	w = io.MultiWriter(w, plain{transcript})
	t := newTeller(s, w, terminal.NewTimeline(w, o.Style), trouble)
	fmt.Fprintf(w, "Some days of a company, in a sandbox on this machine. Clock: %s.\n\n", start.Format("Mon 2 Jan 2006 15:04 UTC"))
	err = t.tell(ctx, scheduled)
	if err == nil {
		err = t.realities()
	}
	if err == nil && o.Fail == "" { // who looks at a trouble has seen the rest
		err = t.others(ctx)
	}
	if err == nil {
		err = t.epilogue(ctx)
	}
	return errors.Join(err, t.line.Err(), os.RemoveAll(s.work))
}

// realities is what the services say of the first errand, and its page.
func (t *teller) realities() error {
	fmt.Fprintln(t.w)
	for _, env := range t.Scenario.Environments {
		fmt.Fprintf(t.w, "%-6s %s\n", env, t.reality(env))
	}
	return t.pages()
}

// epilogue leaves everything behind, and verifies the evidence offline, as an auditor would.
func (t *teller) epilogue(ctx context.Context) error {
	if err := errors.Join(t.export(), t.report(ctx), t.failed); err != nil {
		return err
	}
	r, err := app.VerifyFolder(ctx, filepath.Join(t.out, "evidence"), nil)
	if err != nil {
		return err
	}
	records := 0
	for _, c := range r.Chains {
		records += c.Records
	}
	dir := filepath.ToSlash(t.out)
	fmt.Fprintln(t.w)
	for i, number := range t.shown {
		note := []string{"    open it in a browser; the same as text is beside it, .md", ""}[min(i, 1)]
		fmt.Fprintf(t.w, "Page      %s/pull-request-%d.html%s\n", dir, number, note)
	}
	for _, i := range t.incidents() {
		fmt.Fprintf(t.w, "Incident  %s/issue-%d.md\n", dir, i.Number)
	}
	fmt.Fprintf(t.w, "Report    %s/report/index.html\n", dir)
	fmt.Fprintf(t.w, "Runs      %s/runs/    the log of every job\n", dir)
	fmt.Fprintf(t.w, "Evidence  %s/evidence/    %s in %s, %s\n", dir, report.Count(records, "record"), report.Count(len(r.Chains), "chain"), verdict(r))
	fmt.Fprintf(t.w, "          try: rekey verify --evidence file://%s/evidence\n", dir)
	return r.Err()
}

// report leaves behind what `rekey report` shows a person.
func (t *teller) report(ctx context.Context) error {
	a, err := t.Hand("li-pay")
	if err != nil {
		return err
	}
	a.Reads = true
	d, err := a.Report(ctx, 13, "https://github.com/"+town.Repository)
	if err != nil {
		return fmt.Errorf("the report: %w", err)
	}
	pages, err := site.Pages(d)
	if err == nil {
		_, err = folder.Write(filepath.Join(t.out, "report"), pages)
	}
	return err
}

func verdict(r evidence.Report) string {
	if r.Err() != nil {
		return "with findings"
	}
	return "verified"
}
