package kind

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/rastup/rekey/internal/overdue"
	"github.com/rastup/rekey/internal/staging"
	"golang.org/x/sync/errgroup"
)

// A Survey is what inspections of one environment are made with: clients that only read.
type Survey struct {
	Secrets *staging.Inventory
	KMS     *kms.Client
}

// An Ask is one target of an inspection.
type Ask struct {
	Target
	// Enough says that something last changed then is due, so that its exact age needn't be known.
	Enough func(changed time.Time) bool
}

// Together is how many looks of an inspection are under way at once; rates are the transport's to keep.
const Together = 8

// Each looks at all asks, a few at a time.
func Each(asks []Ask, look func(Ask) overdue.Look) []overdue.Look {
	all := make([]overdue.Look, len(asks))
	var g errgroup.Group
	g.SetLimit(Together)
	for i, a := range asks {
		g.Go(func() error {
			all[i] = look(a)
			return nil
		})
	}
	_ = g.Wait() // each look has its own trouble
	return all
}

// Stored is the inspection of kinds whose credential lies in Secrets Manager: it is as old as the version that holds it,
// since the two are made in one step. stored names the secret, and the JSON key where it isn't the whole value.
func Stored(stored func(Target) (name, key string)) func(context.Context, *Survey, []Ask) []overdue.Look {
	return func(ctx context.Context, s *Survey, asks []Ask) []overdue.Look {
		return Each(asks, func(a Ask) overdue.Look {
			name, key := stored(a.Target)
			return s.Secrets.Look(ctx, name, key != "", a.Enough)
		})
	}
}
