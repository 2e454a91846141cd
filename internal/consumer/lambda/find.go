package lambda

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/usage"
)

// What one call answers at most (AWS Lambda API reference).
const (
	perFunctions = 50
	perSources   = 100
)

// inventory is all functions and event sources of an environment. No value of a variable may leave this package.
type inventory struct {
	functions []types.FunctionConfiguration
	sources   []types.EventSourceMappingConfiguration
	gaps      []usage.Gap
}

// Find finds the functions whose environment names a secret, and the event sources that log in with one. Both are listed
// once. Of a function $LATEST is looked at: what is published and served by an alias was that once.
func Find(d consumer.Deps) consumer.Finder {
	shared := consumer.NewInventory(d.Now, func(ctx context.Context) *inventory { return read(ctx, d.Lambda) })
	return func(ctx context.Context, s usage.Secret) (usage.Found, error) {
		all, err := shared.Get(ctx)
		if err != nil {
			return usage.Found{}, err
		}
		return all.find(s), nil
	}
}

func read(ctx context.Context, client *lambda.Client) *inventory {
	v := &inventory{}
	unseen := func(what string, err error) { v.gaps = append(v.gaps, consumer.Unseen("lambda", what, err)) }
	functions := lambda.NewListFunctionsPaginator(client, &lambda.ListFunctionsInput{MaxItems: aws.Int32(perFunctions)})
	hidden := 0
	for functions.HasMorePages() {
		page, err := functions.NextPage(ctx)
		if err != nil {
			unseen("the functions of AWS Lambda", err)
			break
		}
		for _, f := range page.Functions {
			if f.Environment != nil && f.Environment.Error != nil {
				hidden++
			}
		}
		v.functions = append(v.functions, page.Functions...)
	}
	if hidden > 0 {
		v.gaps = append(v.gaps, usage.Gap{Uses: "lambda", What: fmt.Sprintf("the environment of %s", count(hidden)), Why: "Lambda doesn't show it without kms:Decrypt"})
	}
	sources := lambda.NewListEventSourceMappingsPaginator(client, &lambda.ListEventSourceMappingsInput{MaxItems: aws.Int32(perSources)})
	for sources.HasMorePages() {
		page, err := sources.NextPage(ctx)
		if err != nil {
			v.gaps = append(v.gaps, consumer.Unseen("event source", "the event sources of AWS Lambda", err))
			break
		}
		v.sources = append(v.sources, page.EventSourceMappings...)
	}
	return v
}

func count(functions int) string {
	if functions == 1 {
		return "1 function"
	}
	return fmt.Sprintf("%d functions", functions)
}

func (v *inventory) find(s usage.Secret) usage.Found {
	f := usage.Found{Gaps: v.gaps}
	for _, c := range v.functions {
		var in []string
		if c.Environment != nil {
			for name, value := range c.Environment.Variables {
				if how := s.In(value); how != "" {
					in = append(in, how+" in "+cloud.Line(name))
				}
			}
		}
		if len(in) > 0 {
			slices.Sort(in)
			name := cloud.Line(aws.ToString(c.FunctionName))
			f.Users = append(f.Users, usage.User{Uses: "lambda", With: map[string]string{"function": name}, What: "Lambda function", Name: name, Found: in,
				Now: "$LATEST of " + day(aws.ToString(c.LastModified))})
		}
	}
	for _, m := range v.sources {
		var in []string
		for _, a := range m.SourceAccessConfigurations {
			if s.In(aws.ToString(a.URI)) != "" {
				in = append(in, cloud.Line(string(a.Type)))
			}
		}
		if len(in) > 0 {
			f.Users = append(f.Users, usage.User{What: "event source", Name: source(m), Found: in, Now: "state " + cloud.Line(aws.ToString(m.State))})
		}
	}
	return f
}

// source is what an event source mapping takes its events from, and where to.
func source(m types.EventSourceMappingConfiguration) string {
	from := aws.ToString(m.EventSourceArn)
	from = from[strings.LastIndexByte(from, ':')+1:]
	if from == "" {
		from = aws.ToString(m.UUID)
	}
	_, to, _ := strings.Cut(aws.ToString(m.FunctionArn), ":function:")
	return cloud.Line(from) + " of function " + cloud.Line(to)
}

// day is the date of Lambda's LastModified.
func day(modified string) string {
	d, _, _ := strings.Cut(modified, "T")
	return cloud.Line(d)
}
