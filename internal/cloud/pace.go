package cloud

import (
	"context"

	"golang.org/x/time/rate"
)

// A pace is how many calls of some operations together leave in any second, at most.
type pace struct {
	service    string
	operations []string
	most       int
}

// paced are the operations of which AWS grants an account few. The account has other users, so less than it grants
// is taken; what is granted for each region is taken once for all.
//
//   - ListSecretVersionIds and ListSecrets had 50 a second together (AWS Secrets Manager quotas, former page; the
//     present one doesn't name them). DescribeSecret and GetSecretValue have 10,000.
//   - IAM publishes no rate: its buckets hold for the whole account, can't be raised, and AWS asks not to call
//     SimulatePrincipalPolicy at the same time (AWS re:Post, throttling of IAM and STS). 10 a second let the
//     preflights of a hundred secrets keep ahead of their writes, and no faster is of use. GetRole goes before each.
//   - CreateKey and UpdateAlias have 5 a second each (AWS KMS developer guide, request quotas), ListResourceTags 10;
//     LookupEvents 2 (CloudTrail API reference).
//   - GetLogEvents has 25 in most regions (CloudWatch Logs quotas), CreateLogStream 50 (API reference).
var paced = []pace{
	{"Secrets Manager", []string{"ListSecretVersionIds", "ListSecrets"}, 40},
	{"IAM", []string{"SimulatePrincipalPolicy"}, 10},
	{"IAM", []string{"GetRole"}, 10},
	{"KMS", []string{"CreateKey"}, 5},
	{"KMS", []string{"UpdateAlias"}, 5},
	{"KMS", []string{"ListResourceTags"}, 8},
	{"CloudTrail", []string{"LookupEvents"}, 2},
	{"CloudWatch Logs", []string{"GetLogEvents"}, 20},
	{"CloudWatch Logs", []string{"CreateLogStream"}, 40},
}

// Paces are limiters of the operations that AWS grants few of. To be shared by the sessions of one account. They are
// safe for concurrent use.
type Paces struct{ by map[string]*rate.Limiter }

// NewPaces begins anew: nothing was called in the second before.
func NewPaces() *Paces {
	p := &Paces{map[string]*rate.Limiter{}}
	for _, few := range paced {
		// A limiter lets its burst through beside its rate: together they are what any second can see.
		burst := max(1, few.most/8)
		shared := rate.NewLimiter(rate.Limit(few.most-burst), burst)
		for _, op := range few.operations {
			p.by[few.service+" "+op] = shared
		}
	}
	return p
}

// wait returns when it is the call's turn; at once for an operation that AWS grants many of.
func (p *Paces) wait(ctx context.Context, service, operation string) error {
	if l := p.by[service+" "+operation]; l != nil {
		return l.Wait(ctx)
	}
	return nil
}
