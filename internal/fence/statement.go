package fence

import (
	"context"
	"fmt"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// Statement lets one changing statement leave for a database, under the fence of ctx. known says whether an error tells
// what came of it: the server answered, or the statement never left.
func Statement(ctx context.Context, limit time.Duration, name string, send func(context.Context) error, known func(error) bool) error {
	lease := rotation.FenceOf(ctx)
	if err := lease.Pass(limit); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := send(limited)
	if err != nil && !known(err) {
		lease.Unanswered()
	}
	return err
}
