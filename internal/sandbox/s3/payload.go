package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// checkPayload holds the body against what the headers say of it, and unwraps a chunked one.
func checkPayload(r *wire.Request) error {
	h := r.HTTP.Header
	switch said := h.Get("X-Amz-Content-Sha256"); {
	case said == "":
		return invalidRequest("Missing required header for this request: x-amz-content-sha256")
	case said == "UNSIGNED-PAYLOAD":
	case said == "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
		if err := unchunk(r); err != nil {
			return err
		}
	case strings.HasPrefix(said, "STREAMING-"):
		return notImplemented("x-amz-content-sha256")
	default:
		got := sha256.Sum256(r.Body)
		if computed := hex.EncodeToString(got[:]); said != computed {
			return refuse(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.",
				wire.Field{Name: "ClientComputedContentSHA256", Value: said}, wire.Field{Name: "S3ComputedContentSHA256", Value: computed})
		}
	}
	if sent := h.Get("Content-Md5"); sent != "" {
		want, err := base64.StdEncoding.DecodeString(sent)
		if got := md5.Sum(r.Body); err != nil || len(want) != len(got) {
			return refuse(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
		} else if !bytes.Equal(want, got[:]) {
			return refuse(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
		}
	}
	return checkSums(r)
}

// algorithms of x-amz-checksum-*, in the order S3 documents them.
var algorithms = []string{"crc32", "crc32c", "crc64nvme", "sha1", "sha256"}

func checkSums(r *wire.Request) error {
	sent := sentSums(r)
	if len(sent) > 1 {
		return invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	}
	if len(sent) == 0 && r.HTTP.Header.Get("X-Amz-Sdk-Checksum-Algorithm") != "" && len(r.Body) > 0 {
		return invalidRequest("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	for _, f := range sent {
		algorithm := strings.TrimPrefix(f.Name, "x-amz-checksum-")
		raw, err := base64.StdEncoding.DecodeString(f.Value)
		if err != nil || len(raw) != newHash(algorithm).Size() {
			return invalidRequest("Value for " + f.Name + " header is invalid.")
		}
		if f.Value != sum(algorithm, r.Body) {
			return refuse(400, "BadDigest", "The "+strings.ToUpper(algorithm)+" you specified did not match the calculated checksum.")
		}
	}
	return nil
}

// sentSums are the checksums the caller sent, in headers or trailers.
func sentSums(r *wire.Request) (sent []wire.Field) {
	for _, a := range algorithms {
		if v := r.HTTP.Header.Get("X-Amz-Checksum-" + a); v != "" {
			sent = append(sent, wire.Field{Name: "x-amz-checksum-" + a, Value: v})
		}
	}
	return sent
}

// proven says whether the caller sent anything to prove the body by.
func proven(r *wire.Request) bool {
	return len(sentSums(r)) > 0 || r.HTTP.Header.Get("Content-Md5") != ""
}

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	case "sha1":
		return sha1.New()
	}
	return sha256.New()
}

func sum(algorithm string, body []byte) string {
	h := newHash(algorithm)
	_, _ = h.Write(body) // hashes don't fail
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func etag(body []byte) string {
	sum := md5.Sum(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// unchunk takes an aws-chunked body apart; its trailers become headers.
func unchunk(r *wire.Request) error {
	incomplete := refuse(400, "IncompleteBody", "The request body terminated unexpectedly")
	var body []byte
	rest := r.Body
	for {
		line, after, ok := bytes.Cut(rest, []byte("\r\n"))
		digits, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(digits), 16, 32)
		if !ok || err != nil {
			return incomplete
		}
		rest = after
		if n == 0 {
			break
		}
		if uint64(len(rest)) < n+2 || string(rest[n:n+2]) != "\r\n" {
			return incomplete
		}
		body, rest = append(body, rest[:n]...), rest[n+2:]
	}
	if said := r.HTTP.Header.Get("X-Amz-Decoded-Content-Length"); said != strconv.Itoa(len(body)) {
		return incomplete
	}
	announced := strings.Split(strings.ToLower(r.HTTP.Header.Get("X-Amz-Trailer")), ",")
	for line := range bytes.SplitSeq(rest, []byte("\r\n")) {
		name, value, ok := strings.Cut(string(line), ":")
		if !ok {
			continue
		}
		if !slices.Contains(announced, strings.ToLower(name)) {
			return refuse(400, "MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")
		}
		r.HTTP.Header.Set(name, strings.TrimSpace(value))
	}
	r.Body = body
	return nil
}
