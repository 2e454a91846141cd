package kindtest

import (
	"net/http"
	"time"

	"github.com/rastup/rekey/internal/apply"
	"github.com/rastup/rekey/internal/rotation"
)

// A twist is a deliberate fault in what is tested, from outside: how the suite itself is tested. The zero twist
// is none.
type twist struct {
	name        string
	overwrites  bool          // the store's Create writes over what is there
	storeAhead  time.Duration // the store's clock is wrong
	onTransport func(http.RoundTripper) http.RoundTripper
	onHandler   func(rotation.Handler) rotation.Handler
	onRunner    func(*apply.Runner)
	onRecipe    func([]rotation.Spec) []rotation.Spec
}

func (t twist) transport(rt http.RoundTripper) http.RoundTripper {
	if t.onTransport == nil {
		return rt
	}
	return t.onTransport(rt)
}

func (t twist) handler(h rotation.Handler) rotation.Handler {
	if t.onHandler == nil {
		return h
	}
	return t.onHandler(h)
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
