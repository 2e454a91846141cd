package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/policy"
	"github.com/rastup/rekey/internal/rotation"
)

const prod = "rekey-prod"

func asked(operator, requested string, reviewed ...string) policy.Asked {
	a := policy.Asked{Actors: actors(operator, requested, "", reviewed...)}
	if requested != "" {
		a.Wrote = []string{requested}
	}
	return a
}

func entry(state string, by policy.Person, environments ...string) policy.Entry {
	return policy.Entry{State: state, By: by, Environments: environments, Comment: "change window agreed"}
}

func question(a policy.Asked) policy.Question {
	return policy.Question{For: rotation.ApprovesRotation, Digest: "sha256:00", Environment: prod, Run: "8123", Asked: a, Now: merged}
}

func TestApprovalOfARun(t *testing.T) {
	wrote := asked("li-pay", "li-pay")
	wrote.Wrote = append(wrote.Wrote, "ana-sec")
	for name, c := range map[string]struct {
		asked   policy.Asked
		entries []policy.Entry
		rules   policy.Rules
		count   int
		by      []string
	}{
		"one": {asked("li-pay", "li-pay"), []policy.Entry{entry("approved", ana, prod)}, house, 1, []string{"ana-sec"}},
		"several environments in one entry": {asked("li-pay", "li-pay"), []policy.Entry{entry("approved", ana, "rekey-stage", "Rekey-Prod")}, house, 1,
			[]string{"ana-sec"}},
		"two waves, one person":            {asked("li-pay", "li-pay"), []policy.Entry{entry("approved", ana, prod), entry("approved", ana, prod)}, house, 2, []string{"ana-sec"}},
		"another environment's rejection":  {asked("li-pay", "li-pay"), []policy.Entry{entry("rejected", bo, "rekey-dev"), entry("approved", ana, prod)}, house, 1, []string{"ana-sec"}},
		"pending says nothing":             {asked("li-pay", "li-pay"), []policy.Entry{entry("pending", bo, prod), entry("approved", ana, prod)}, house, 1, []string{"ana-sec"}},
		"who asked is passed over":         {asked("li-pay", "li-pay"), []policy.Entry{entry("approved", li, prod), entry("approved", ana, prod)}, house, 2, []string{"ana-sec"}},
		"who wrote some of it, too":        {wrote, []policy.Entry{entry("approved", ana, prod), entry("approved", bo, prod)}, house, 2, []string{"bo-sre"}},
		"who asked and isn't the operator": {policy.Asked{Actors: actors("bo-sre", "li-pay", "")}, []policy.Entry{entry("approved", li, prod), entry("approved", ana, prod)}, house, 2, []string{"ana-sec"}},
		"a merger of another's request":    {policy.Asked{Actors: actors("li-pay", "li-pay", "ana-sec", "ana-sec")}, []policy.Entry{entry("approved", ana, prod)}, house, 1, []string{"ana-sec"}},
		"without separation who asked may": {asked("li-pay", "li-pay"), []policy.Entry{entry("approved", li, prod)}, policy.Rules{}, 1, []string{"li-pay"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := policy.Approval(policy.ByPerson, question(c.asked), c.entries, c.rules)
			if err != nil {
				t.Fatal(err)
			}
			want := &rotation.Approval{For: rotation.ApprovesRotation, Digest: "sha256:00", Environment: prod, Run: "8123", Count: c.count, By: c.by,
				Comment: "change window agreed", SeenAt: merged}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestApprovalByReviewsOrByNobody(t *testing.T) {
	q := question(asked("li-pay", "li-pay", "ana-sec", "bo-sre"))
	got, err := policy.Approval(policy.ByReviews, q, nil, house)
	if err != nil || len(got.By) != 2 || got.Count != 0 {
		t.Errorf("reviews: %+v, %v", got, err)
	}
	q = question(asked("ana-sec", "", "ana-sec", "bo-sre"))
	if got, err := policy.Approval(policy.ByReviews, q, nil, house); err != nil || len(got.By) != 1 || got.By[0] != "bo-sre" {
		t.Errorf("the operator's own review is no second person: %+v, %v", got, err)
	}
	if got, err := policy.Approval(policy.ByNobody, q, nil, house); got != nil || err != nil {
		t.Errorf("none: %+v, %v", got, err)
	}
}

func TestProtected(t *testing.T) {
	good := policy.Environment{Found: true, Reviewers: 1, Restricted: true, Branches: []string{"main"}}
	if w, err := policy.Protected(prod, good, "main", policy.ByPerson); err != nil || w != nil {
		t.Errorf("%v, %v", w, err)
	}
	good.AdminsBypass, good.Branches = true, []string{"mai[n]", `m\ain`}
	if w, err := policy.Protected(prod, good, "main", policy.ByPerson); err != nil || len(w) != 1 {
		t.Errorf("admins bypass: %v, %v", w, err)
	}
	good.Reviewers, good.WaitMinutes = 0, 5
	if w, err := policy.Protected(prod, good, "main", policy.ByReviews); err != nil || w != nil {
		t.Errorf("reviews stand in, so nobody is bypassed: %v, %v", w, err)
	}
	if w, err := policy.Continues(prod, good, "main"); err != nil || len(w) != 1 {
		t.Errorf("a wait timer: %v, %v", w, err)
	}
}
