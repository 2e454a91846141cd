package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/rotation"
)

// Reviewers are the people whose permissions Origin needs: whose last word on p is an approval.
func Reviewers(p Pull) (logins []string) {
	for _, r := range lastWords(p.Reviews) {
		if r.State == "APPROVED" && r.By.person() {
			logins = add(logins, r.By.Login)
		}
	}
	return logins
}

// lastWords is everybody's last review that says yes or no, oldest first. A comment takes nothing back, and a draft
// isn't sent.
func lastWords(reviews []Review) (last []Review) {
	for _, r := range reviews {
		if r.State != "APPROVED" && r.State != "CHANGES_REQUESTED" && r.State != "DISMISSED" {
			continue
		}
		last = slices.DeleteFunc(last, func(l Review) bool { return same(l.By.Login, r.By.Login) })
		last = append(last, r)
	}
	return last
}

// reviewed is whose reviews of p count, oldest first, and why other approvals don't.
func reviewed(p Pull, permissions map[string]string, rules Rules) (counted, passed []string) {
	authors := Wrote(p)
	for _, r := range lastWords(p.Reviews) {
		if r.State != "APPROVED" {
			continue
		}
		permission := permissions[r.By.Login]
		switch {
		case !r.By.person():
			passed = append(passed, r.By.String()+" is no person")
		case same(r.By.Login, p.Author.Login):
			passed = append(passed, r.By.String()+" opened it")
		case !same(r.Commit, p.Head):
			passed = append(passed, fmt.Sprintf("%s approved it at %s", r.By, short(r.Commit)))
		case rules.Separation && among(r.By.Login, authors):
			passed = append(passed, r.By.String()+" wrote some of it")
		case permission != "admin" && permission != "write":
			passed = append(passed, r.By.String()+" may not write to the repository")
		default:
			counted = append(counted, r.By.Login)
		}
	}
	return counted, passed
}

func tooFew(p Pull, have int, passed []string, rules Rules) error {
	why := ""
	if passed != nil {
		why = ": " + strings.Join(passed, ", ")
	}
	who := "somebody else with write permission"
	if need := rules.Reviews - have; need > 1 {
		who = fmt.Sprintf("%d others with write permission", need)
	}
	return rotation.Failf(fmt.Sprintf("have %s approve #%d at %s (GitHub takes reviews of merged pull requests, too); or revert it and open it again",
		who, p.Number, short(p.Head)),
		"#%d was merged at %s and has %d of the %d approving reviews it needs%s", p.Number, short(p.Head), have, rules.Reviews, why)
}
