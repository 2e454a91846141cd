package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// KMS's words that mean something to us.
const (
	notFound     = "NotFoundException"
	invalidState = "KMSInvalidStateException"
	isDisabled   = "DisabledException"
)

// look is one DescribeKey.
type look struct {
	*types.KeyMetadata
	now time.Time // by AWS's clock
}

// describe's error is as AWS gave it.
func (h *handler) describe(ctx context.Context, ref string) (look, error) {
	out, err := h.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &ref})
	if err != nil {
		return look{}, err
	}
	if out.KeyMetadata == nil || aws.ToString(out.KeyMetadata.Arn) == "" {
		return look{}, errors.New("DescribeKey: the answer names no key")
	}
	now, err := clock(out.ResultMetadata)
	return look{out.KeyMetadata, now}, err
}

// clock is the time at AWS when it answered: how old a call may be is judged there, and handlers have no clock.
func clock(m middleware.Metadata) (time.Time, error) {
	at, ok := awsmiddleware.GetServerTime(m)
	if !ok || at.IsZero() {
		return time.Time{}, errors.New("the answer of AWS KMS has no date")
	}
	return at.UTC(), nil
}

// at is the key that the alias names now.
func (h *handler) at(ctx context.Context, alias string) (look, error) {
	l, err := h.describe(ctx, alias)
	return l, cloud.Judge(err, fmt.Sprintf("look at %s", alias))
}

// kept is what preflight and create recorded, and what follows from the claim.
type kept struct {
	old, new string // ARNs
	tag      string // the value of tagRotation on keys of this attempt
}

func recall(past rotation.Past) (kept, error) {
	k := kept{old: past.Fact(preflight, factOld), new: past.Fact(create, factNew)}
	token := past.Token(create, "key")
	if k.old == "" || token == "" {
		return k, fmt.Errorf("the records hold no preflight of this key, or the plan no step %q", create)
	}
	c, _ := past.Claim()
	k.tag = tagValue(c.Plan.Rotation, 190) + "/" + token[:32]
	return k, nil
}

// olds are the keys this rotation ends: the one before, and those that superseded rotations kept.
func (k kept) olds(past rotation.Past) (arns []string) {
	for _, arn := range append([]string{k.old}, past.Inherited(preflight, factOld)...) {
		if arn != k.new && !slices.Contains(arns, arn) {
			arns = append(arns, arn)
		}
	}
	return arns
}

// moved refuses when the alias names a key that this rotation knows nothing of, or not the one it should.
func moved(alias, at string, k kept, want ...string) error {
	if slices.Contains(want, at) {
		return nil
	}
	is := called(at)
	switch at {
	case k.old:
		is += ", the old one"
	case k.new:
		is += ", the new one"
	}
	return rotation.Failf("see who moved it, and to what; nothing was changed by this step", "%s names %s", alias, is)
}

// called is a key as people read it: its ID.
func called(arn string) string { return "key " + id(arn) }

func id(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// together makes reads that don't depend on one another at the same time.
func together(reads ...func()) {
	var all sync.WaitGroup
	for _, read := range reads {
		all.Go(read)
	}
	all.Wait()
}

func once(o *kms.Options) { o.Retryer = cloud.Once() }

func stamp(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") }

// span is a length of time without its zeros: 24h.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
