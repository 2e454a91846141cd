package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
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
}

// RoundTrip ends within limit of the call's turn, which some reads wait for, too. A changing call waits for its
// turn, asks the fence and leaves; one that left and got no complete answer is reported as unanswered.
func (f *fence) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, service, op := req.Context(), awsmiddleware.GetServiceID(req.Context()), awsmiddleware.GetOperationName(req.Context())
	if err := f.paces.wait(ctx, service, op); err != nil {
		return nil, refuse(req, fmt.Errorf("%s %s waits for its turn: %w", service, op, err))
	}
	if Reads(service, op) {
		return f.read(req)
	}
	lease := rotation.FenceOf(ctx)
	if f.open {
		lease = unfenced{}
	} else if err := f.writes.Wait(ctx); err != nil {
		return nil, refuse(req, fmt.Errorf("%s %s waits for its turn: %w", service, op, err))
	}
	if err := lease.Pass(f.limit); err != nil {
		return nil, refuse(req, fmt.Errorf("%s %s: %w", service, op, err))
	}
	limited, cancel := context.WithTimeout(ctx, f.limit)
	defer cancel()
	res, err := f.base.RoundTrip(req.WithContext(limited))
	if err != nil {
		if !neverLeft(err) {
			lease.Unanswered()
		}
		return nil, err
	}
	// Whole answers only: one that breaks off says nothing about what came of the call.
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		lease.Unanswered()
		return nil, fmt.Errorf("answer to %s %s broke off: %w", service, op, err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// unfenced stands in for a lease where none is asked for. Its lost answers are none of the rotation's either: they
// change nothing that it undoes.
type unfenced struct{}

func (unfenced) Pass(time.Duration) error { return nil }
func (unfenced) Unanswered()              {}

// read leaves the body to be streamed; the limit holds until it is closed.
func (f *fence) read(req *http.Request) (*http.Response, error) {
	limited, cancel := context.WithTimeout(req.Context(), f.limit)
	res, err := f.base.RoundTrip(req.WithContext(limited))
	if err != nil {
		cancel()
		return nil, err
	}
	res.Body = &limitedBody{res.Body, cancel}
	return res, nil
}

type limitedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *limitedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// neverLeft is true only where no connection was made.
func neverLeft(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// refused is an attempt that was not sent. The SDK would take it for a broken connection and try again.
type refused struct{ error }

func refuse(req *http.Request, err error) error {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return refused{err}
}

func (r refused) Unwrap() error      { return r.error }
func (refused) RetryableError() bool { return false }
