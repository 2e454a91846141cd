package lambda

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/lambda"
	"github.com/rastup/rekey/internal/usage"
)

func (l *lab) found(f consumer.Finder) (all []string) {
	l.t.Helper()
	found, err := f(l.t.Context(), usage.Secret{ARN: secretARN, Version: oldVersion})
	l.ok(err)
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

func (l *lab) company() consumer.Finder {
	for name, env := range map[string]map[string]string{
		"arn": {"S": secretARN}, "part": {"S": "shop/stripe-other", "T": planted}, "url": {"CONFIG": `{"secret":"shop/stripe","token":"` + planted + `"}`},
		"pinned": {"V": oldVersion}, "none": nil,
	} {
		l.aws.Lambda.MakeByHand(sandbox.Home, own.Function{Name: name, Environment: env}, l.clock.Now())
	}
	l.aws.Lambda.MapByHand(sandbox.Home, own.Source{Function: "arn", From: "arn:aws:mq:us-east-1:111111111111:broker:orders:b-1", Access: map[string]string{"BASIC_AUTH": secretARN}})
	l.aws.Lambda.MapByHand(sandbox.Home, own.Source{Function: "arn", From: "arn:aws:sqs:us-east-1:111111111111:queue"})
	return Find(consumer.Deps{Lambda: l.client, Now: l.clock.Now})
}

func TestFindLooksAtEnvironmentsAndEventSources(t *testing.T) {
	l := newLab(t, Shape{}, own.Function{})
	want := []string{
		"Lambda function arn: by ARN in S; $LATEST of 2026-11-25",
		"Lambda function pinned: by its live version in V; $LATEST of 2026-11-25",
		"Lambda function shop: by name in SECRET; $LATEST of 2026-11-25",
		"Lambda function url: by name in CONFIG; $LATEST of 2026-11-25",
		"event source b-1 of function arn: BASIC_AUTH; state Enabled",
	}
	if d := cmp.Diff(want, l.found(l.company())); d != "" {
		t.Error(d)
	}
}

func TestFunctionsAreListedOnceByTheFullPage(t *testing.T) {
	l := newLab(t, Shape{}, own.Function{})
	for i := range 50 {
		l.aws.Lambda.MakeByHand(sandbox.Home, own.Function{Name: fmt.Sprintf("f%02d", i), Environment: map[string]string{"S": "shop/stripe"}}, l.clock.Now())
	}
	f := Find(consumer.Deps{Lambda: l.client, Now: l.clock.Now})
	for range 3 {
		if n := len(l.found(f)); n != 51 {
			t.Errorf("%d users", n)
		}
	}
	calls := map[string]int{}
	for _, c := range l.aws.Calls() {
		calls[c.Operation]++
	}
	if d := cmp.Diff(map[string]int{"ListFunctions": 2, "ListEventSourceMappings": 1}, calls); d != "" {
		t.Error(d)
	}
}

func TestWhatIsntShownIsTold(t *testing.T) {
	l := newLab(t, Shape{}, own.Function{Hidden: true})
	l.aws.Deny("*", "lambda:ListEventSourceMappings", "*")
	got := l.found(l.company())
	if d := cmp.Diff([]string{"not looked at: the environment of 1 function (Lambda doesn't show it without kms:Decrypt)",
		"not looked at: the event sources of AWS Lambda (ListEventSourceMappings: AccessDeniedException)"}, got[len(got)-2:]); d != "" {
		t.Error(d)
	}
	l.aws.Deny("*", "lambda:ListFunctions", "*")
	if d := cmp.Diff([]string{"not looked at: the functions of AWS Lambda (ListFunctions: AccessDeniedException)",
		"not looked at: the event sources of AWS Lambda (ListEventSourceMappings: AccessDeniedException)"}, l.found(l.company())); d != "" {
		t.Error(d)
	}
}
