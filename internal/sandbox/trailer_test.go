package sandbox_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Over TLS the SDK sends aws-chunked bodies with the checksum in a trailer; over plain HTTP it hashes them first.
func TestChunkedBodiesWithTrailers(t *testing.T) {
	b := newBench(t)
	var sent string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("X-Amz-Content-Sha256")
		b.world.Handler().ServeHTTP(w, r)
	}))
	defer server.Close()
	c := config(server.URL, "AKIASANDBOXREKEY0001", "sandbox/only/never-a-real-key/rekey-0001", "")
	c.HTTPClient = server.Client()
	client := s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
	body := strings.Repeat("chunk ", 20_000)
	in := &s3.PutObjectInput{Bucket: &b.scenario.Bucket, Key: aws.String("chunked"), Body: io.MultiReader(strings.NewReader(body)), ContentLength: aws.Int64(int64(len(body)))}
	out, err := client.PutObject(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if sent != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
		t.Errorf("the SDK sent %s: this test proves nothing any more", sent)
	}
	v := b.world.S3.Versions(b.scenario.Bucket, "chunked")
	if len(v) != 1 || string(v[0].Body) != body || aws.ToString(out.ChecksumCRC32) == "" {
		t.Errorf("%d versions are stored, or not what was sent (checksum %v)", len(v), out.ChecksumCRC32)
	}
}
