package kms

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trail "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// cryptographic are the operations that use a key: those KMS tracks (AWS KMS API reference, KeyLastUsageData).
var cryptographic = []string{"Decrypt", "DeriveSharedSecret", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair",
	"GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "GenerateMac", "ReEncrypt", "Sign", "Verify", "VerifyMac"}

// A use is what is known of a key's last use.
type use struct {
	last      time.Time // the last one that is known; zero: none
	operation string
	by        string    // who, where CloudTrail tells
	since     time.Time // there was none since; zero: not known
	asked     []string  // who answered
	denied    []string  // who didn't, for want of a permission
}

// notPermitted are the codes of those who don't answer us, or can't be asked where we are.
var notPermitted = []string{cloud.AccessDenied, "UnknownOperationException", "UnsupportedOperationException", "OperationNotPermittedException"}

// lastUse asks KMS and CloudTrail, each where that is permitted. AWS says not to rely on either alone. CloudTrail is
// asked about the last idle only.
func (h *handler) lastUse(ctx context.Context, arn string, now time.Time, idle time.Duration) (use, error) {
	var u use
	out, err := h.kms.GetKeyLastUsage(ctx, &kms.GetKeyLastUsageInput{KeyId: &arn})
	switch {
	case slices.Contains(notPermitted, cloud.Code(err)):
		u.denied = append(u.denied, "kms:GetKeyLastUsage")
	case err != nil:
		return u, cloud.Judge(err, "ask when "+called(arn)+" was last used")
	default:
		u.asked = append(u.asked, "KMS")
		if l := out.KeyLastUsage; l != nil && l.Timestamp != nil {
			u.last, u.operation = l.Timestamp.UTC(), string(l.Operation)
		}
		u.since = aws.ToTime(out.TrackingStartDate).UTC()
		if created := aws.ToTime(out.KeyCreationDate); !created.IsZero() && !created.Before(u.since) {
			u.since = now.Add(-idle) // it was never used at all
		}
	}
	events, whole, err := h.events(ctx, arn, now.Add(-idle), now)
	switch {
	case slices.Contains(notPermitted, cloud.Code(err)):
		u.denied = append(u.denied, "cloudtrail:LookupEvents")
	case err != nil:
		return u, cloud.Judge(err, "look for uses of "+called(arn)+" in CloudTrail")
	case whole || len(events) > 0:
		u.asked = append(u.asked, "CloudTrail")
		for _, e := range events {
			if e.Code == "" && !e.at.Before(u.last.Truncate(time.Second)) { // CloudTrail's times have no fractions
				u.last, u.operation, u.by = e.at, e.Operation, " by "+e.who()
			}
		}
		if from := now.Add(-idle); whole && (u.since.IsZero() || from.Before(u.since)) {
			u.since = from
		}
	}
	return u, nil
}

// unknowable refuses a rotation at whose end nobody could say whether the old key is still used.
func (u use) unknowable(arn string) error {
	if len(u.asked) > 0 {
		return nil
	}
	return rotation.Failf("allow "+strings.Join(u.denied, " or ")+": a key of which that isn't known is never taken for unused",
		"nobody may say when %s was last used", called(arn))
}

// held says why the key can't be taken for unused; "" when it can.
func (u use) held(arn string, now time.Time, idle time.Duration) string {
	switch {
	case now.Sub(u.last) < idle:
		return fmt.Sprintf("%s was used %s (%s%s)", called(arn), stamp(u.last), u.operation, u.by)
	case u.since.IsZero() || now.Sub(u.since) < idle:
		return fmt.Sprintf("whether %s was used in the last %s isn't known (%s)", called(arn), span(idle), u.why())
	}
	return ""
}

func (u use) why() string {
	if len(u.denied) == 0 {
		return "KMS tracks it for a shorter time"
	}
	return strings.Join(u.denied, " and ") + " not permitted"
}

func (u use) text(now time.Time) string {
	who := strings.Join(u.asked, " and ")
	switch {
	case !u.last.IsZero():
		return fmt.Sprintf("last used %s (%s, says %s)", stamp(u.last), u.operation, who)
	case len(u.asked) == 0 || u.since.IsZero():
		return "its last use isn't known"
	}
	return fmt.Sprintf("no use seen since %s (says %s)", stamp(u.since), who)
}

// An event is a use of a key, or an attempt, as CloudTrail tells it.
type event struct {
	at        time.Time
	Operation string `json:"eventName"`
	Code      string `json:"errorCode"`
	Identity  struct {
		ARN       string `json:"arn"`
		InvokedBy string `json:"invokedBy"`
	} `json:"userIdentity"`
}

func (e event) who() string {
	for _, s := range []string{e.Identity.ARN, e.Identity.InvokedBy} {
		if s != "" {
			return cloud.Line(s)
		}
	}
	return "somebody"
}

// maxPages is how far events looks: CloudTrail answers two pages of 50 a second.
const maxPages = 20

// events are the cryptographic uses of a key, newest first. whole is false when there were too many to see all.
func (h *handler) events(ctx context.Context, arn string, from, to time.Time) (found []event, whole bool, err error) {
	p := cloudtrail.NewLookupEventsPaginator(h.trail, &cloudtrail.LookupEventsInput{StartTime: &from, EndTime: &to,
		LookupAttributes: []trail.LookupAttribute{{AttributeKey: trail.LookupAttributeKeyResourceName, AttributeValue: &arn}}})
	for range maxPages {
		if !p.HasMorePages() {
			return found, true, nil
		}
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, false, err
		}
		for _, e := range page.Events {
			var use event
			if !slices.Contains(cryptographic, aws.ToString(e.EventName)) || json.Unmarshal([]byte(aws.ToString(e.CloudTrailEvent)), &use) != nil {
				continue
			}
			use.at, use.Operation = aws.ToTime(e.EventTime).UTC(), aws.ToString(e.EventName)
			found = append(found, use)
		}
	}
	return found, !p.HasMorePages(), nil
}

// attempts says who tried to use a disabled key within idle; "" when nobody is known to have.
func (h *handler) attempts(ctx context.Context, arn string, now time.Time, idle time.Duration) (held, said string, err error) {
	events, whole, err := h.events(ctx, arn, now.Add(-idle), now)
	if slices.Contains(notPermitted, cloud.Code(err)) {
		return "", "whether anybody tried to use it meanwhile was not looked for: cloudtrail:LookupEvents isn't permitted", nil
	}
	if err != nil {
		return "", "", cloud.Judge(err, "look for attempts to use "+called(arn)+" in CloudTrail")
	}
	for _, e := range events {
		if e.Code != "" {
			return fmt.Sprintf("%s tried to use %s (%s) %s, and was refused: %s", e.who(), called(arn), e.Operation, stamp(e.at), cloud.Line(e.Code)), "", nil
		}
	}
	if !whole {
		return "", "CloudTrail has too many events of it to see all", nil
	}
	return "", fmt.Sprintf("nobody tried to use it in the last %s, says CloudTrail", span(idle)), nil
}
