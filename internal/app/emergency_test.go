package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/notice/incident"
	"github.com/rastup/rekey/internal/plan"
	"github.com/rastup/rekey/internal/report/comment"
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

// A validation that fails doesn't bring a stolen value back: a person decides, either way, and is told how.
func TestAStolenValueIsHeldUntilAPersonDecides(t *testing.T) {
	const again, back = "rekey apply --environment dev rotations/2026/11/" + stolenName + ".yaml", "rekey rollback --environment dev rotations/2026/11/" + stolenName + ".yaml"
	for what, decide := range map[string]struct {
		o    app.Options
		want plan.State
	}{
		again: {app.Options{ByHand: true}, plan.Finished},
		back:  {app.Options{ByHand: true, RollBack: "ana: the new one doesn't work"}, plan.RolledBack},
	} {
		t.Run(what, func(t *testing.T) {
			var sick atomic.Bool
			site := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
				if sick.Load() {
					out.WriteHeader(http.StatusInternalServerError)
				}
			}))
			defer site.Close()
			w := newTown(t)
			at := "dev:\n  target: {secret: " + stored + ", key: password}\n"
			w.write("ops/config/registry.md", strings.ReplaceAll(strings.Replace(page, at, at+"  checks: [{http: {url: \""+site.URL+"\", within: 1m}, name: health}]\n", 1), "~~~", "```"))
			w.request(stolenName, "secret: app/database\nticket: SEC-1\nreason: compromise\non_failure: hold\nretain: 1h\nenvironments: [dev]\n")
			stolen := w.live()
			w.world.Fail(func(c sandbox.Call) error { // green before, red after
				if c.Operation == "PutSecretValue" {
					sick.Store(true)
				}
				return nil
			})
			w.want("dev", stolenName, plan.Stuck)
			held := w.live()
			if held == stolen {
				t.Fatal("the stolen value is the live one again")
			}
			for range 3 { // nor later, by itself
				w.clock.Move(24 * time.Hour)
				w.want("dev", stolenName, plan.Stuck)
			}
			if w.live() != held || len(w.world.Secret(stored).Version(stolen).Labels) == 0 {
				t.Errorf("%v", w.labels("dev"))
			}
			if told := w.incident("dev", stolenName); !strings.Contains(told, again) || !strings.Contains(told, back) || !strings.Contains(told, "hold, so nothing is undone by itself") {
				t.Errorf("the incident doesn't say what can be done:\n%s", told)
			}
			w.world.Fail(nil)
			sick.Store(false)
			if got := w.apply("dev", decide.o); got[stolenName] != decide.want {
				t.Fatalf("%v", got)
			}
			want := held
			if decide.want == plan.RolledBack {
				want = stolen
			}
			if w.live() != want {
				t.Errorf("%s is live, want %s", w.live(), want)
			}
			w.verified()
		})
	}
}

// incident is the text of the incident that a rotation has open; "" when it has none.
func (w *town) incident(env, name string) string {
	w.t.Helper()
	a := w.process()
	tasks, err := a.Tasks(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	results, err := a.Look(w.t.Context(), tasks, false)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range a.Shown(results) {
		for i, e := range v.Environments {
			if wrong, _ := incident.Judge(e, v.View.Environments[i]); wrong && e.Name == env && v.Task.Rotation == name {
				_, body, _ := comment.Incident(v.View, env, "", comment.Calls{}, comment.Options{})
				return body
			}
		}
	}
	return ""
}

// What whoever has a stolen secret can get by it rotates with it. A registry that is edited afterwards changes nothing
// for what has begun: it comes to its end.
func TestWhatIsDerivedFromAStolenSecretRotatesWithIt(t *testing.T) {
	const session = "rekey/prod/app-database" // a secret that is there
	registry := func(derived string) string {
		return strings.ReplaceAll(page, "~~~", "```") + "\n| Secret | Kind | Owner | Interval |\n| --- | --- | --- | --- |\n| app/session | secretsmanager | @li | 90 days |\n\n## app/session\n\n```yaml\n" +
			derived + "dev:\n  target: {secret: " + session + ", key: password}\n```\n"
	}
	const name, text = "2026-11-23-stolen", "secret: app/database\nticket: SEC-1\nreason: compromise\nenvironments: [dev]\n"
	for what, tt := range map[string]struct {
		request string
		derived bool
	}{
		"included": {text + "retain: 1h\n", true},
		"left out": {text + "retain: 1h\nderived: false\n", false},
		"ordinary": {"secret: app/database\nticket: SEC-1\nenvironments: [dev]\n", false},
	} {
		t.Run(what, func(t *testing.T) {
			w := newTown(t)
			w.write("ops/config/registry.md", registry("derived_from: [app/database]\n"))
			w.request(name, tt.request)
			was, parent := w.world.Secret(session).Labels["AWSCURRENT"], w.live()
			w.want("dev", name, plan.Deferred)
			if now := w.world.Secret(session).Labels["AWSCURRENT"]; (now != was) != tt.derived || w.live() == parent {
				t.Fatalf("the derived one was %s, is %s", was, now)
			}
			w.write("ops/config/registry.md", registry(""))
			w.clock.Move(49 * time.Hour)
			w.want("dev", name, plan.Finished)
			if s := w.world.Secret(session); len(s.Version(was).Labels) > 0 == tt.derived {
				t.Errorf("the derived one's end: %v", s.Labels)
			}
			w.verified()
		})
	}
}
