package policy

import (
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/rotation"
)

// An Environment is how a GitHub Environment is protected.
type Environment struct {
	Found         bool // false: there is none of that name
	Reviewers     int
	Users         []string // people among the reviewers, by login
	AdminsBypass  bool
	Restricted    bool     // some branch rule is there
	ProtectedOnly bool     // any protected branch may deploy
	Branches      []string // patterns that may deploy
	WaitMinutes   int
}

// Protected says whether the GitHub Environment of an environment whose approval is kind lets only the default branch
// deploy and, with ByPerson, asks somebody. The error is a *rotation.Failure with all that is wrong; warnings are what
// it allows. That it lets people approve their own runs is fine: Approval refuses that itself.
func Protected(name string, e Environment, defaultBranch, kind string) (warnings []string, err error) {
	if !e.Found {
		return nil, missing(name)
	}
	var wrong, do []string
	if kind == ByPerson && e.Reviewers == 0 {
		wrong = append(wrong, "it requires no reviewers")
		do = append(do, "require reviewers (where the plan has none for private repositories, set approval: review)")
	}
	if e.AdminsBypass && kind == ByPerson {
		warnings = append(warnings, fmt.Sprintf("GitHub Environment %q lets admins bypass its reviewers: a job started so is refused, unless policy.break_glass allows it and the run has a reason", name))
	}
	return warnings, e.only(name, defaultBranch, wrong, do)
}

// Continues is Protected for the GitHub Environment that runs what was approved before: it must ask nobody.
func Continues(name string, e Environment, defaultBranch string) (warnings []string, err error) {
	if !e.Found {
		return nil, missing(name)
	}
	var wrong, do []string
	if e.Reviewers > 0 {
		wrong = append(wrong, "it requires reviewers, so that bringing an old credential back would wait for them")
		do = append(do, "remove its required reviewers")
	}
	if e.WaitMinutes > 0 {
		warnings = append(warnings, fmt.Sprintf("GitHub Environment %q lets each job wait %d minutes, also when it brings an old credential back", name, e.WaitMinutes))
	}
	return warnings, e.only(name, defaultBranch, wrong, do)
}

func missing(name string) error {
	return rotation.Failf("make it under Settings > Environments, or correct its name: for a name it doesn't know GitHub makes one that anybody may use",
		"there is no GitHub Environment %q", name)
}

// only adds what lets other branches than the default one deploy.
func (e Environment) only(name, defaultBranch string, wrong, do []string) error {
	var others []string
	reaches := false
	for _, p := range e.Branches {
		reaches = reaches || match(p, defaultBranch)
		if one, ok := literal(p); !ok || one != defaultBranch {
			others = append(others, fmt.Sprintf("%q", p))
		}
	}
	n := len(wrong)
	switch {
	case !e.Restricted:
		wrong = append(wrong, "every branch may deploy to it")
	case e.ProtectedOnly:
		wrong = append(wrong, "every protected branch may deploy to it")
	case len(others) > 0:
		wrong = append(wrong, "other branches may deploy to it ("+strings.Join(others, ", ")+")")
	}
	if e.Restricted && !e.ProtectedOnly && !reaches {
		wrong = append(wrong, defaultBranch+" may not deploy to it")
	}
	if len(wrong) > n {
		do = append(do, fmt.Sprintf("under Deployment branches select branches and name %q only", defaultBranch))
	}
	if wrong == nil {
		return nil
	}
	return rotation.Failf("in Settings > Environments > "+name+": "+strings.Join(do, "; "),
		"GitHub Environment %q: %s", name, strings.Join(wrong, "; "))
}
