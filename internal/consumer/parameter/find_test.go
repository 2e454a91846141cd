package parameter

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/ssm"
	"github.com/rastup/rekey/internal/usage"
)

func (l *lab) found(f consumer.Finder) (all []string) {
	l.t.Helper()
	found, err := f(l.t.Context(), usage.Secret{ARN: secretARN, Version: oldVersion})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, u := range found.Users {
		all = append(all, fmt.Sprintf("%s %s: %s; %s", u.What, u.Name, strings.Join(u.Found, ", "), u.Now))
	}
	for _, g := range found.Gaps {
		all = append(all, "not looked at: "+g.What+" ("+g.Why+")")
	}
	if strings.Contains(strings.Join(all, " "), planted) {
		l.t.Errorf("a value is shown: %q", all)
	}
	return all
}

func (l *lab) calls() (n int) {
	for _, c := range l.aws.Calls() {
		if c.Operation != "GetParametersByPath" {
			l.t.Errorf("%s was called", c.Operation)
		}
		n++
	}
	return n
}

func TestFindLooksAtPlainParametersOnly(t *testing.T) {
	l := newLab(t, Shape{}, oldVersion)
	put := func(name, kind, value string) {
		l.aws.SSM.PutByHand(sandbox.Home, ssm.Parameter{Name: name, Type: kind, Value: value}, start)
	}
	put("arn", "String", secretARN+":::"+oldVersion)
	put("/deep/down/list", "StringList", "a,shop/stripe,b")
	put("/other", "String", "shop/stripe-other "+planted)
	put("/secure", "SecureString", "shop/stripe")
	for i := range 9 {
		put(fmt.Sprintf("/fill/%d", i), "String", planted)
	}
	f := Find(consumer.Deps{SSM: l.client, Now: func() time.Time { return start }})
	want := []string{"parameter /deep/down/list: by name in its value; its version 1", "parameter /shop/stripe-version: by its live version in its value; its version 1",
		"parameter arn: by ARN in its value; its version 1"}
	for range 2 {
		got := l.found(f)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	if n := l.calls(); n != 2 {
		t.Errorf("%d calls for 13 parameters, twice", n)
	}
}

func TestParametersThatCantBeReadAreToldAndSoAreTooMany(t *testing.T) {
	l := newLab(t, Shape{}, oldVersion)
	for i := range 10 * most {
		l.aws.SSM.PutByHand(sandbox.Home, ssm.Parameter{Name: fmt.Sprintf("/fill/%d", i), Value: "x"}, start)
	}
	find := func() []string {
		return l.found(Find(consumer.Deps{SSM: l.client, Now: func() time.Time { return start }}))
	}
	if d := cmp.Diff([]string{"not looked at: parameters beyond the first 2000 (there are too many to read)"}, find()); d != "" {
		t.Error(d)
	}
	l.aws.Deny("*", "ssm:GetParametersByPath", "*")
	if d := cmp.Diff([]string{"not looked at: the parameters of Systems Manager (GetParametersByPath: AccessDeniedException)"}, find()); d != "" {
		t.Error(d)
	}
}
