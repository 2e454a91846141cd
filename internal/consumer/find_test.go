package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/usage"
)

var start = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

func past(facts map[string]string) rotation.Past {
	return rotation.PastOf([]rotation.Record{{Step: "preflight", Outcome: rotation.Done, Facts: facts}})
}

func TestDiscoveryTellsWhatItFoundAndWhatItDidntSee(t *testing.T) {
	var sought []usage.Secret
	finder := func(f usage.Found) consumer.Finder {
		return func(_ context.Context, s usage.Secret) (usage.Found, error) {
			sought = append(sought, s)
			return f, nil
		}
	}
	h := consumer.Discovery([]consumer.Finder{
		finder(usage.Found{Users: []usage.User{{What: "Lambda function", Name: "orders", Found: []string{"by name in S"}}}}),
		finder(usage.Found{Gaps: []usage.Gap{{Uses: "ecs", What: "the clusters of Amazon ECS", Why: "ListClusters: AccessDeniedException"}}}),
	})
	for name, facts := range map[string]map[string]string{"discover": {"arn": "arn:secret", "old": "v1"}, "preview": {"old": "arn:key", "alias": "alias/app"}} {
		res, err := h[name](t.Context(), rotation.Step{}, past(facts))
		want := rotation.Result{Text: "found to name it: Lambda function orders; not looked at: the clusters of Amazon ECS (ListClusters: AccessDeniedException)", Facts: map[string]string{
			"users": "1", "user_01": `{"what":"Lambda function","name":"orders","found":["by name in S"]}`,
			"not_looked_01": `{"uses":"ecs","what":"the clusters of Amazon ECS","why":"ListClusters: AccessDeniedException"}`}}
		if d := cmp.Diff(want, res); d != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, d)
		}
	}
	for _, s := range sought {
		if s != (usage.Secret{ARN: "arn:secret", Version: "v1"}) && s != (usage.Secret{ARN: "arn:key", Alias: "alias/app"}) {
			t.Errorf("%+v", s)
		}
	}
	res, err := h["discover"](t.Context(), rotation.Step{}, past(nil))
	if err != nil || !strings.HasPrefix(res.Text, "nobody was looked for") || len(res.Facts) > 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestAnInventoryIsReadOnceForAllAndAgainWhenItIsOld(t *testing.T) {
	var reads atomic.Int32
	now := start
	i := consumer.NewInventory(func() time.Time { return now }, func(context.Context) string {
		return fmt.Sprint(reads.Add(1))
	})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if got, err := i.Get(t.Context()); got != "1" || err != nil {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
	all.Wait()
	now = now.Add(10 * time.Minute)
	if got, err := i.Get(t.Context()); got != "2" || err != nil {
		t.Errorf("after ten minutes: %s, %v", got, err)
	}
}

// What a caller who gave up left half read isn't what the next one gets.
func TestAnInventoryThatWasCutShortIsntKept(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	i := consumer.NewInventory(func() time.Time { return start }, func(context.Context) int {
		reads++
		if reads == 1 {
			cancel()
		}
		return reads
	})
	if _, err := i.Get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if got, err := i.Get(t.Context()); got != 2 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
}
