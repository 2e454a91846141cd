package app_test

import (
	"testing"
	"time"

	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/sandbox"
)

const stolenName = "2026-11-23-db" // newShop's own request

// A stolen value isn't kept for two days: it goes in the same run, after everybody who uses it has the new one.
func TestAStolenValueIsNotRetained(t *testing.T) {
	for retain, want := range map[string]plan.State{"": plan.Finished, "retain: 1h\n": plan.Deferred} {
		w := newCompany(t)
		w.request(stolenName, "secret: app/database\nticket: SEC-1\nreason: compromise\nenvironments: [dev]\n"+retain)
		stolen := w.live()
		w.want("dev", stolenName, want)
		w.uses(w.live())
		if w.live() == stolen {
			t.Error("it is still the live one")
		}
		if kept := len(w.world.Secret(stored).Version(stolen).Labels) > 0; kept != (want == plan.Deferred) {
			t.Errorf("retain %q: the stolen value is kept: %v", retain, kept)
		}
		w.clock.Move(time.Hour)
		w.want("dev", stolenName, plan.Finished)
		w.verified()
	}
}

// Zero retention is no reason to take the old one from somebody who still runs with it.
func TestAStolenValueWaitsForAdoption(t *testing.T) {
	w := newCompany(t)
	w.request(stolenName, "secret: app/database\nticket: SEC-1\nreason: compromise\non_failure: hold\nenvironments: [dev]\n")
	stolen := w.live()
	w.world.Fail(func(c sandbox.Call) error {
		if c.Operation == "UpdateService" {
			return &sandbox.Error{Status: 400, Code: "AccessDeniedException", Message: "User: x is not authorized to perform: ecs:UpdateService"}
		}
		return nil
	})
	w.want("dev", stolenName, plan.Stuck)
	if len(w.world.Secret(stored).Version(stolen).Labels) == 0 {
		t.Error("it was taken from a service that runs with it")
	}
}
