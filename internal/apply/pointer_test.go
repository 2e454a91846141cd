package apply_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// pointers counts those that were left, or refuses to.
type pointers struct {
	nowhere
	refuses error
	left    *int
}

func (p pointers) Point(ctx context.Context, _ *rotation.Plan, _ rotation.Head) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if p.refuses == nil {
		*p.left++
	}
	return p.refuses
}

// The runner died between claim and pointer. Whoever goes on looks first, which is recorded without taking the chain up;
// were the request deleted after that, nobody would ever find what began.
func TestNothingBeginsBeforeItCanBeFound(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		j, left := h.jobs(name, nil)["dev"], 0
		r := h.runner()
		r.Bundle = pointers{refuses: errors.New("connection reset")}
		if st, err := r.Run(t.Context(), j); err == nil || h.length("dev") == 0 {
			t.Fatalf("%v, %s", st.Decision, h.chain("dev"))
		}
		time.Sleep(time.Hour)
		h.steps["create"] = func(context.Context, rotation.Past) (rotation.Result, error) {
			if left == 0 {
				t.Error("it began, and isn't to be found")
			}
			return rotation.Result{}, nil
		}
		r = h.runner()
		r.Bundle = pointers{left: &left}
		if st, err := r.Run(t.Context(), j); err != nil || !st.Validated(time.Now()) || left != 1 {
			t.Errorf("%v, %v, %d pointers: %s", st.Decision, err, left, h.chain("dev"))
		}
	})
}

func TestWhoIsAskedToStopWhileClaimingCanBeFound(t *testing.T) {
	in(t, func(t *testing.T, h *house) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		left, r := 0, h.runner()
		r.Bundle = pointers{left: &left}
		r.Progress = func(_ *rotation.Plan, rec rotation.Record) {
			if rec.Outcome == rotation.Claimed {
				stop()
			}
		}
		if _, err := r.Run(ctx, h.jobs(name, nil)["dev"]); err == nil || left != 1 {
			t.Errorf("%v, %d pointers: %s", err, left, h.chain("dev"))
		}
	})
}
