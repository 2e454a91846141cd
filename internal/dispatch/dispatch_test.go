package dispatch_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/dispatch"
	"github.com/rastup/rekey/internal/github"
	"github.com/rastup/rekey/internal/rotation"
)

var at = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

func ask() dispatch.Ask {
	return dispatch.Ask{Repository: "rastup/shop", Workflow: "deploy.yml", Ref: "main", At: at,
		Inputs: map[string]string{"rekey": "rekey-1a", "version": "arn:aws:kms:x", "note": "it's two words"}}
}

func TestOnlyOnesOwnRunCounts(t *testing.T) {
	one := func(id int64, change func(*github.Run)) github.Run {
		r := github.Run{ID: id, Title: "deploy rekey-1a", Event: "workflow_dispatch", Branch: "main", Actor: github.User{Login: "Rekey[bot]"}, CreatedAt: at.Add(time.Minute)}
		if change != nil {
			change(&r)
		}
		return r
	}
	runs := []github.Run{
		one(9, nil),
		one(1, func(r *github.Run) { r.Actor.Login = "mallory" }),
		one(2, func(r *github.Run) { r.Branch = "patch" }),
		one(3, func(r *github.Run) { r.CreatedAt = at.Add(-time.Hour) }),
		one(4, func(r *github.Run) { r.Event = "push" }),
		one(5, func(r *github.Run) { r.Title = "deploy rekey-1ab" }),
		one(6, func(r *github.Run) { r.Title = "deploy" }),
		one(8, func(r *github.Run) { r.Title = "deploy (rekey-1a), again"; r.Actor.Login = "li-pay" }),
	}
	ours, foreign := dispatch.Find(ask(), runs, "rekey[bot]", "", "li-pay")
	if ours == nil || ours.ID != 8 {
		t.Errorf("ours: %+v", ours)
	}
	var ids []int64
	for _, r := range foreign {
		ids = append(ids, r.ID)
	}
	if diff := cmp.Diff([]int64{1, 2, 3, 4}, ids); diff != "" {
		t.Errorf("foreign (-want +got):\n%s", diff)
	}
	if ours, _ := dispatch.Find(ask(), runs[1:7], "rekey[bot]"); ours != nil {
		t.Errorf("somebody else's: %+v", ours)
	}
}

func TestWhatIsAskedIsReadBack(t *testing.T) {
	s := rotation.Step{Key: "deploy/shop"}
	past := func(facts map[string]string) rotation.Past {
		return rotation.PastOf([]rotation.Record{{Outcome: rotation.Noted, Step: s.Key, Facts: facts}})
	}
	got, ok, err := dispatch.Of(s, past(map[string]string{dispatch.Fact: ask().Text()}))
	if diff := cmp.Diff(ask(), got); diff != "" || !ok || err != nil {
		t.Errorf("%v %v\n%s", ok, err, diff)
	}
	if _, ok, err := dispatch.Of(s, past(map[string]string{dispatch.Fact: ask().Text(), dispatch.Run: "7"})); ok || err != nil {
		t.Errorf("its run is known: %v %v", ok, err)
	}
	if _, ok, err := dispatch.Of(s, past(nil)); ok || err != nil {
		t.Errorf("nothing asked: %v %v", ok, err)
	}
	for _, text := range []string{"{", "{}", `{"repository":"a/b","workflow":"w","ref":"main","at":"2026-11-27T09:00:00Z"}`} {
		if _, ok, err := dispatch.Of(s, past(map[string]string{dispatch.Fact: text})); ok || err == nil {
			t.Errorf("%s: %v %v", text, ok, err)
		}
	}
}

func TestTheCommandByHand(t *testing.T) {
	const want = `gh workflow run deploy.yml --repo rastup/shop --ref main -f 'note=it'\''s two words' -f rekey=rekey-1a -f version=arn:aws:kms:x`
	if got := ask().Command(); got != want {
		t.Errorf("%s", got)
	}
}
