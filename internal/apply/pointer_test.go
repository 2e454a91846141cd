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

func (p pointers) Point(context.Context, *rotation.Plan, rotation.Head) error {
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
