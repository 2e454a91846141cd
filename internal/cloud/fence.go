package cloud

import (
	"fmt"
	"net/http"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	send "github.com/rastup/rekey/internal/fence"
	"github.com/rastup/rekey/internal/rotation"
	"golang.org/x/time/rate"
)

// fence is the transport of a Session. It sees each attempt of each call on its own, the SDK's retries too.
type fence struct {
	base   http.RoundTripper
	limit  time.Duration
	writes *rate.Limiter
	paces  *Paces
	open   bool
	opens  string // for this operation alone
}

// RoundTrip ends within limit of the call's turn, which some reads wait for, too. A changing call waits for its
// turn, asks the fence and leaves; one that left and got no complete answer is reported as unanswered.
func (f *fence) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, service, op := req.Context(), awsmiddleware.GetServiceID(req.Context()), awsmiddleware.GetOperationName(req.Context())
	if err := f.paces.wait(ctx, service, op); err != nil {
		return nil, send.Refuse(req, fmt.Errorf("%s %s waits for its turn: %w", service, op, err))
	}
	if Reads(service, op) {
		return send.Read(f.base, req, f.limit)
	}
	lease := rotation.FenceOf(ctx)
	if f.open || f.opens != "" && f.opens == service+" "+op {
		lease = unfenced{}
	} else if err := f.writes.Wait(ctx); err != nil {
		return nil, send.Refuse(req, fmt.Errorf("%s %s waits for its turn: %w", service, op, err))
	}
	return send.Change(f.base, req, f.limit, lease, service+" "+op)
}

// unfenced stands in for a lease where none is asked for. Its lost answers are none of the rotation's either: they
// change nothing that it undoes.
type unfenced struct{}

func (unfenced) Pass(time.Duration) error { return nil }
func (unfenced) Unanswered()              {}
