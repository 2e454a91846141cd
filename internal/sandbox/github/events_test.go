package github_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What happens to an issue is told with who did it, though the actor of an assignment is who was assigned, and of a
// mention who was mentioned.
func TestEventsOfAnIssue(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	x, err := b.c.CreateIssue(ctx, "t", "see @bo, not a@di", []string{"SEV1"}, []string{"ada"})
	check(t, err)
	now, err := b.c.AddAssignees(ctx, x.Number, []string{"bo", "eve", "nobody"})
	check(t, err)
	if !slices.Equal(now, []string{"ada", "bo"}) {
		t.Errorf("assigned: %v: who can't be is left out, who was stays", now)
	}
	b.hub.Label(x.Number, "cy", "SEV2")
	b.hub.Assign(x.Number, "cy", "bo")
	b.hub.Say(x.Number, "eve", "@bo, @cy")
	b.hub.Close(x.Number, "cy")
	b.hub.Reopen(x.Number, "cy")
	all, err := b.c.IssueEvents(ctx, x.Number)
	check(t, err)
	var got []string
	for _, e := range all {
		got = append(got, fmt.Sprintf("%s %s", e.Kind, e.By.Login))
		if e.By.Bot != strings.HasSuffix(e.By.Login, "[bot]") || !e.At.Equal(start) {
			t.Errorf("%+v", e)
		}
	}
	want := []string{"mentioned bo", "subscribed bo", "labeled rekey[bot]", "assigned rekey[bot]", "subscribed ada", "assigned rekey[bot]", "subscribed bo",
		"labeled cy", "unlabeled cy", "unassigned cy", "mentioned cy", "subscribed cy", "closed cy", "reopened cy"}
	if !slices.Equal(got, want) {
		t.Errorf("%q,\nwant %q", got, want)
	}
}
