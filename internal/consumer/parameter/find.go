package parameter

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/usage"
)

// GetParametersByPath answers ten at a time, values included (Systems Manager API reference): a tenth of a call for each
// parameter. DescribeParameters names fifty at a time and shows no value, so that GetParameters came on top.
const (
	perPage = 10
	most    = 200 // pages: two thousand parameters
)

// inventory is the plain parameters of an environment. No value may leave this package: people put secrets there.
type inventory struct {
	parameters []types.Parameter
	gaps       []usage.Gap
}

// Find finds the plain parameters that name a secret, or its live version. A SecureString isn't asked for.
func Find(d consumer.Deps) consumer.Finder {
	shared := consumer.NewInventory(d.Now, func(ctx context.Context) *inventory { return read(ctx, d.SSM) })
	return func(ctx context.Context, s usage.Secret) (usage.Found, error) {
		all, err := shared.Get(ctx)
		if err != nil {
			return usage.Found{}, err
		}
		return all.find(s), nil
	}
}

func read(ctx context.Context, client *ssm.Client) *inventory {
	v := &inventory{}
	pages := ssm.NewGetParametersByPathPaginator(client, &ssm.GetParametersByPathInput{Path: aws.String("/"), Recursive: aws.Bool(true), MaxResults: aws.Int32(perPage),
		ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Type"), Option: aws.String("Equals"),
			Values: []string{string(types.ParameterTypeString), string(types.ParameterTypeStringList)}}}})
	for n := 0; pages.HasMorePages(); n++ {
		if n == most {
			v.gaps = append(v.gaps, usage.Gap{Uses: "parameter", What: fmt.Sprintf("parameters beyond the first %d", len(v.parameters)), Why: "there are too many to read"})
			break
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			v.gaps = append(v.gaps, consumer.Unseen("parameter", "the parameters of Systems Manager", err))
			break
		}
		v.parameters = append(v.parameters, page.Parameters...)
	}
	return v
}

func (v *inventory) find(s usage.Secret) usage.Found {
	f := usage.Found{Gaps: v.gaps}
	for _, p := range v.parameters {
		if how := s.In(aws.ToString(p.Value)); how != "" {
			name := cloud.Line(aws.ToString(p.Name))
			f.Users = append(f.Users, usage.User{Uses: "parameter", With: map[string]string{"name": name}, What: "parameter", Name: name, Found: []string{how + " in its value"},
				Now: fmt.Sprintf("its version %d", p.Version)})
		}
	}
	return f
}
