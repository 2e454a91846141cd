package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/plan"
)

// The registry, or the request, lost an environment in which the rotation had promoted. dev finished, the rotation was
// closed, and in stage the old credential stayed for good with nobody to tell of it.
func TestWhatBeganInAnEnvironmentThatIsNoLongerThereIsFinished(t *testing.T) {
	const name = "2026-11-23-app-database"
	for what, lose := range map[string]func(w *town){
		"registry": func(w *town) {
			text := strings.ReplaceAll(page, "~~~", "```")
			w.write("ops/config/registry.md", strings.Replace(text, "stage:\n  target: {secret: rekey/stage/app-database, key: password}\n", "", 1))
		},
		"request": func(w *town) {
			w.request(name, "secret: app/database\nticket: SEC-1\nenvironments: [dev]\n")
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newTown(t)
			path := w.request(name, "secret: app/database\nticket: SEC-1\n")
			w.want("dev", name, plan.Deferred)
			w.want("stage", name, plan.Deferred)
			lose(w)
			w.clock.Move(48 * time.Hour)
			if what == "request" { // dev's forward steps stop until it is put back, or the person takes it back
				tasks, err := w.process().Tasks(t.Context(), path)
				if err != nil || len(tasks) != 1 || len(tasks[0].Jobs) != 2 {
					t.Fatalf("%v, %+v", err, tasks)
				}
			} else {
				w.want("dev", name, plan.Finished)
			}
			if c := w.closed(name); c != nil {
				t.Errorf("closed while stage keeps the old one: %v", c)
			}
			w.want("stage", name, plan.Finished)
			if c := w.closed(name); (c != nil) != (what == "registry") {
				t.Errorf("close.json: %v", c)
			}
			w.verified()
		})
	}
}

func TestAnOpenRotationIsTakenBackFromTheJournalAlone(t *testing.T) {
	w := newTown(t)
	const name = "2026-11-23-app-database"
	w.request(name, "secret: app/database\nticket: SEC-1\n")
	w.want("dev", name, plan.Deferred)
	a := w.process()
	w.write("ops/config/registry.md", "nothing of use")
	if found := a.Load(); found.Len() == 0 {
		t.Fatal("no problem")
	}
	tasks, err := a.Begun(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	results, err := a.Apply(t.Context(), tasks, app.Options{ByHand: true, Environment: "dev", RollBack: "ana"})
	if err != nil || len(results) != 1 || results[0].Err != nil || results[0].Status.Decision.State != plan.RolledBack {
		t.Errorf("%v, %+v", err, results)
	}
	if l := w.labels("dev"); len(l) != 1 {
		t.Errorf("%v", l)
	}
}
