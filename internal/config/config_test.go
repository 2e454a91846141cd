package config_test

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

type shape struct {
	Run []string `json:"run" yaml:"run"`
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	l := &problem.List{}
	c := config.Parse("rekey.yml", []byte(text), map[string]func() any{"command": func() any { return new(shape) }}, l)
	if l.Len() > 0 {
		t.Fatal(l)
	}
	return c
}

const least = "environments: [{name: dev}, {name: prod, region: us-east-1, role: 'arn:aws:iam::111111111111:role/x'}]\nevidence: {store: 'file://e'}\n"

func TestDefaults(t *testing.T) {
	const day = rotation.Duration(24 * time.Hour)
	for text, want := range map[string][2]rotation.Duration{
		"":                                       {2 * day, 2 * day},
		"policy: {retain: 24h}":                  {day, day},
		"policy: {retain: 7d}":                   {7 * day, 2 * day},
		"policy: {retain_least: 7d}":             {7 * day, 7 * day},
		"policy: {retain: 3d, retain_least: 1d}": {3 * day, day},
		"policy: {start_within: 1d, retain_least: 1d}": {2 * day, day},
	} {
		c := parse(t, least+text)
		if c.Policy.Retain != want[0] || c.Policy.RetainLeast != want[1] {
			t.Errorf("%q: %+v", text, c.Policy)
		}
	}
	c := parse(t, least)
	if c.Policy.StartWithin != 30*day || c.Requests != "rotations" || len(c.Registry) != 1 || c.Registry[0] != "ops/config/registry.md" {
		t.Errorf("%+v", c)
	}
	if e, ok := c.Environment("prod"); !ok || e.Account() != "111111111111" || e.Hours.Rotation() != nil {
		t.Errorf("%+v", e)
	}
}

func TestTicketIsMatchedAsAWhole(t *testing.T) {
	for _, c := range []struct {
		pattern, ticket string
		want            bool
	}{
		{`SEC-\d+`, "SEC-1", true}, {`SEC-\d+`, "xSEC-1", false}, {`SEC-\d+`, "SEC-1x", false}, {`SEC-\d+`, "SEC-1\n", false},
		{`SEC-\d+`, "x\nSEC-1\nx", false}, {`(?m)^SEC-\d+$`, "x\nSEC-1", false}, {`SEC-\d+|OPS-\d+`, "OPS-1", true}, {`SEC-\d+|OPS-\d+`, "SEC-1 or OPS-1", false},
		{`a)|(b`, "b", false}, {`(`, "(", false}, {"", "anything", true}, {"", "", false},
	} {
		if got := (config.Policy{Ticket: c.pattern}).TicketMatches(c.ticket); got != c.want {
			t.Errorf("%q of %q: %v", c.ticket, c.pattern, got)
		}
	}
}

// The examples that docs/github.md gives are taken as they stand there.
func TestTicketsOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/github.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, block := range strings.Split(string(page), "```yaml\n")[1:] {
		if text, _, _ := strings.Cut(block, "```"); strings.HasPrefix(text, "tickets:") {
			c := parse(t, least+text)
			if n++; c.Tickets.GitHub == "" && (!c.Tickets.Jira.Key("SEC-12") || c.Tickets.Jira.Key("OPS-12") || !c.Tickets.Refuses()) {
				t.Errorf("%+v", c.Tickets)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d examples", n)
	}
}

// The example of docs/github.md is taken as it stands there, and shows every key.
func TestTheDailyLookOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/github.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\noverdue:")
	block, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no example")
	}
	o := parse(t, least+"escalation: {primary: [\"@a\"], secondary: [\"@b\"], liaison: {pci: [\"@c\"]}}\noverdue:"+block).Overdue
	for i := range reflect.TypeFor[config.Overdue]().NumField() {
		if reflect.ValueOf(o).Field(i).IsZero() {
			t.Errorf("the example doesn't show %s", reflect.TypeFor[config.Overdue]().Field(i).Name)
		}
	}
	for _, part := range []any{*o.Requests, *o.Escalate} {
		for i := range reflect.TypeOf(part).NumField() {
			if reflect.ValueOf(part).Field(i).IsZero() {
				t.Errorf("the example doesn't show %T.%s", part, reflect.TypeOf(part).Field(i).Name)
			}
		}
	}
}

func TestStores(t *testing.T) {
	for store, want := range map[string][3]string{
		"s3://audit": {"audit", "", ""}, "s3://audit/a/b/": {"audit", "a/b", ""}, "file://evidence": {"", "", "evidence"}, "file:///var/e": {"", "", "/var/e"},
	} {
		e := config.Evidence{Store: store}
		bucket, prefix, isS3 := e.Bucket()
		dir, isFile := e.Dir()
		if isS3 == isFile || isS3 && [3]string{bucket, prefix, ""} != want || isFile && dir != want[2] {
			t.Errorf("%s: %q %q %v, %q %v", store, bucket, prefix, isS3, dir, isFile)
		}
	}
}

func TestChecksOfAnEnvironment(t *testing.T) {
	c := parse(t, least+"checks:\n  - command: {run: [a]}\n  - command: {run: [b]}\n    name: b\n    environments: [prod]\n")
	if dev, prod := c.ChecksOf("dev"), c.ChecksOf("prod"); len(dev) != 1 || len(prod) != 2 || prod[1].Name != "b" || string(prod[1].With) != `{"run":["b"]}` || prod[1].Uses != "command" {
		t.Errorf("%+v %+v", dev, prod)
	}
}
