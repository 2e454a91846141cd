package s3

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rastup/rekey/internal/evidence"
)

// List reads all versions and delete markers, 1,000 a page. Now is the Date of the first page's answer, in
// whole seconds: at most the time of any later one.
func (s *Store) List(ctx context.Context, prefix string) (evidence.Listing, error) {
	var l evidence.Listing
	found := map[string]*evidence.Object{}
	at := func(key *string) *evidence.Object {
		name := strings.TrimPrefix(aws.ToString(key), s.prefix)
		if found[name] == nil {
			found[name] = &evidence.Object{Name: name}
		}
		return found[name]
	}
	ids := map[string]string{}
	pages := s3.NewListObjectVersionsPaginator(s.o.Client, &s3.ListObjectVersionsInput{Bucket: &s.o.Bucket, Prefix: aws.String(s.prefix + prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return l, s.refusal("ListObjectVersions", prefix, err)
		}
		if l.Now.IsZero() {
			if l.Now, err = date(page.ResultMetadata); err != nil {
				return l, fmt.Errorf("list %s: %w", s.uri(prefix), err)
			}
		}
		// S3 gives each key's versions newest first: the last one seen is the oldest.
		for _, v := range page.Versions {
			o := at(v.Key)
			o.StoredAt, o.Size = aws.ToTime(v.LastModified), aws.ToInt64(v.Size)
			o.Versions++
			ids[o.Name] = aws.ToString(v.VersionId)
		}
		for _, m := range page.DeleteMarkers {
			at(m.Key).DeleteMarker = true
		}
	}
	for _, o := range found {
		l.Objects = append(l.Objects, *o)
	}
	slices.SortFunc(l.Objects, func(a, b evidence.Object) int { return strings.Compare(a.Name, b.Name) })
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, id := range ids {
		s.oldest[name] = id
	}
	return l, nil
}

// date is the server's clock as its answer shows it.
func date(m middleware.Metadata) (time.Time, error) {
	resp, ok := awsmiddleware.GetRawResponse(m).(*smithyhttp.Response)
	if !ok {
		return time.Time{}, fmt.Errorf("the answer's Date can't be read")
	}
	t, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Time{}, fmt.Errorf("the answer has no Date: the store's clock isn't known")
	}
	return t.UTC(), nil
}
