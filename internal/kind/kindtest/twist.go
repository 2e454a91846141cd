package kindtest

import (
	"context"
	"net/http"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/rotation"
)

// A twist is a deliberate fault in what is tested, from outside: how the suite itself is tested. The zero twist
// is none.
type twist struct {
	name       string
	overwrites bool          // the store's Create writes over what is there
	storeAhead time.Duration // the store's clock runs ahead after something was stored
	unarmed    bool          // the redactor isn't told what the rotation recorded
	onHandler  func(rotation.Handler, http.RoundTripper) rotation.Handler
	onRunner   func(*apply.Runner)
	onRecipe   func([]rotation.Spec) []rotation.Spec
}

func (t twist) arm(f func(context.Context, rotation.Past) error) func(context.Context, rotation.Past) error {
	if t.unarmed {
		return func(context.Context, rotation.Past) error { return nil }
	}
	return f
}

func (t twist) handler(h rotation.Handler, rt http.RoundTripper) rotation.Handler {
	if t.onHandler == nil {
		return h
	}
	return t.onHandler(h, rt)
}

func (t twist) runner(r *apply.Runner) {
	if t.onRunner != nil {
		t.onRunner(r)
	}
}

func (t twist) recipe(s []rotation.Spec) []rotation.Spec {
	if t.onRecipe == nil {
		return s
	}
	return t.onRecipe(s)
}
