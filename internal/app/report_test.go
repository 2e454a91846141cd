package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report/site"
)

func (w *town) report(months int) site.Data {
	w.t.Helper()
	a := w.process()
	a.Reads, a.Preview = true, true
	d, err := a.Report(w.t.Context(), months, "https://github.com/rastup/shop")
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// A rotation is in its secret's history for as many months as are asked for, with its evidence and how it ended, also when
// nothing else looks at it any more. Reading it changes nothing.
func TestTheReportTellsHowFormerRotationsEnded(t *testing.T) {
	w := newTown(t)
	const name = "2026-11-23-app-database"
	w.request(name, "secret: app/database\nticket: SEC-1\n")
	if d := w.report(13); len(d.History) != 0 || len(d.Rotations) != 1 || len(d.Rotations[0].Evidence) != 0 {
		t.Errorf("before it began: %+v", d.History)
	}
	w.want("dev", name, plan.Deferred)
	w.want("stage", name, plan.Deferred)
	p := w.report(13).History["app/database"]
	if len(p) != 1 || p[0].Rotation != name || !p[0].Closed.IsZero() || p[0].Stood != "" || len(p[0].Evidence) != 2 {
		t.Errorf("while it is open: %+v", p)
	}
	w.clock.Move(48 * time.Hour)
	w.want("dev", name, plan.Finished)
	w.want("stage", name, plan.Finished)
	w.clock.Move(60 * 24 * time.Hour)
	before := len(w.world.S3.Versions("rekey-evidence", ""))
	d := w.report(13)
	p = d.History["app/database"]
	if len(d.Rotations) != 0 || len(p) != 1 || p[0].Stood != "dev and stage finished" || p[0].Closed.IsZero() {
		t.Errorf("two months later: %+v", p)
	}
	for i, env := range []string{"dev", "stage"} {
		if e := p[0].Evidence[i]; e.Environment != env || !strings.Contains(e.URL, "/rekey-evidence?") || !strings.Contains(e.URL, "app~database%2F"+name+"%2F"+env) {
			t.Errorf("evidence of %s: %+v", env, e)
		}
	}
	if after := len(w.world.S3.Versions("rekey-evidence", "")); after != before {
		t.Errorf("%d objects more after a report", after-before)
	}
	if got := w.report(1).History; len(got) != 0 {
		t.Errorf("of the last month: %+v", got)
	}
	w.world.Deny("*", "s3:GetObjectVersion", "*/close.json")
	w.world.Deny("*", "s3:GetObject", "*/close.json")
	if p := w.report(13).History["app/database"]; len(p) != 1 || !strings.HasPrefix(p[0].Stood, "how it ended can't be read: ") {
		t.Errorf("unreadable: %+v", p)
	}
}
