package staging

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/overdue"
)

// An Inventory is the secrets of one account and region by their metadata, listed once for all that ask: a hundred a
// call. It never reads a value. It is safe for concurrent use.
//
// The list may lag by five minutes (API reference, ListSecrets): what it doesn't have is asked for by name.
type Inventory struct {
	client *secretsmanager.Client

	once   sync.Once
	err    error
	all    []types.SecretListEntry
	by     map[string]int // Identity → index in all
	listed map[string]bool
	mu     sync.Mutex
}

// NewInventory lists nothing yet.
func NewInventory(c *secretsmanager.Client) *Inventory {
	return &Inventory{client: c, by: map[string]int{}, listed: map[string]bool{}}
}

func (v *Inventory) list(ctx context.Context) error {
	v.once.Do(func() {
		pages := secretsmanager.NewListSecretsPaginator(v.client, &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(100)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				v.err = cloud.Judge(err, "list the secrets")
				return
			}
			v.all = append(v.all, page.SecretList...)
		}
		for i, s := range v.all {
			v.by[Identity(aws.ToString(s.ARN))] = i
		}
	})
	return v.err
}

// Look says how old what is live in a secret is. enough is asked with the date of the secret's last change of any kind,
// which what is live can't be younger than: where that decides, no second call is made. With part, what rotates is one
// JSON key of the value, which may be older than the version that holds it.
func (v *Inventory) Look(ctx context.Context, name string, part bool, enough func(changed time.Time) bool) overdue.Look {
	l := overdue.Look{Whole: !part, Before: part}
	if err := v.list(ctx); err != nil {
		l.Trouble = cloud.Line(err.Error())
		return l
	}
	i, ok := v.by[Identity(name)]
	if !ok {
		return v.absent(ctx, name, l)
	}
	s := v.all[i]
	v.mu.Lock()
	v.listed[Identity(name)] = true
	v.mu.Unlock()
	labels(&l, s.SecretVersionsToStages, s.Tags)
	if changed := aws.ToTime(s.LastChangedDate).UTC(); enough(changed) {
		l.Since, l.Before, l.Whole, l.Text = changed, true, false, fmt.Sprintf("nothing of %s was changed since %s", called(name), changed.Format(time.DateOnly))
		return l
	}
	return v.version(ctx, name, l)
}

// labels takes in what a look sees without a second call.
func labels(l *overdue.Look, stages map[string][]string, tags []types.Tag) {
	for version, on := range stages {
		if slices.Contains(on, Current) {
			l.ID = version
		} else if slices.Contains(on, Pending) {
			l.Pending = version
		}
		for _, label := range on {
			if strings.HasPrefix(label, keepPrefix) {
				l.Labels = append(l.Labels, label)
			}
		}
	}
	slices.Sort(l.Labels)
	for _, t := range tags {
		if aws.ToString(t.Key) == tagVersion {
			l.Stamped = aws.ToString(t.Value)
		}
	}
}

// version is when the live version was made.
func (v *Inventory) version(ctx context.Context, name string, l overdue.Look) overdue.Look {
	pages := secretsmanager.NewListSecretVersionIdsPaginator(v.client, &secretsmanager.ListSecretVersionIdsInput{SecretId: &name, MaxResults: aws.Int32(100)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			l.Trouble = cloud.Line(cloud.Judge(err, "list the versions of "+called(name)).Error())
			return l
		}
		for _, one := range page.Versions {
			if slices.Contains(one.VersionStages, Current) {
				l.ID, l.Since = aws.ToString(one.VersionId), aws.ToTime(one.CreatedDate).UTC()
				l.Text = fmt.Sprintf("%s of %s is of %s", version(l.ID), called(name), l.Since.Format(time.DateOnly))
				return l
			}
		}
	}
	l.Trouble = called(name) + " shows no version labelled AWSCURRENT"
	return l
}

// absent asks for what the list hasn't got.
func (v *Inventory) absent(ctx context.Context, name string, l overdue.Look) overdue.Look {
	out, err := v.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	switch {
	case notThere(err):
		l.Missing = true
		return l
	case err != nil:
		l.Trouble = cloud.Line(cloud.Judge(err, fmt.Sprintf("look at %q", called(name))).Error())
		return l
	case out.DeletedDate != nil:
		l.Missing = true
		return l
	}
	labels(&l, out.VersionIdsToStages, out.Tags)
	return v.version(ctx, name, l)
}

// Strays are the secrets that nobody has asked this inventory about: not those that AWS's services keep for themselves,
// nor replicas.
func (v *Inventory) Strays(ctx context.Context, region string) ([]overdue.Stray, error) {
	if err := v.list(ctx); err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []overdue.Stray
	for _, s := range v.all {
		name := aws.ToString(s.Name)
		primary := aws.ToString(s.PrimaryRegion)
		if v.listed[Identity(aws.ToString(s.ARN))] || aws.ToString(s.OwningService) != "" || primary != "" && primary != region {
			continue
		}
		all = append(all, overdue.Stray{Name: name, Kind: "secretsmanager", Since: aws.ToTime(s.CreatedDate).UTC(), Target: "{secret: " + name + "}"})
	}
	return all, nil
}
