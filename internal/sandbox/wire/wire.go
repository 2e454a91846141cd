// Package wire is what the sandbox's services share: the request after its signature was verified, the refusal,
// and the three ways AWS writes answers (JSON 1.1, query and XML, REST and XML). It owns no state of any service
// and must never decide what a service answers.
package wire

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Clock is the world's time; it never runs by itself unless it is the machine's.
type Clock interface{ Now() time.Time }

// A Place is where regional things live.
type Place struct{ Account, Region string }

// An Identity is who signed a request.
type Identity struct {
	ARN        string            // a user, a role, or arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
	Role       string            // of a session: the ARN of the role it plays
	UserID     string            // as GetCallerIdentity answers it
	Source     string            // of a session: its source identity
	Tags       map[string]string // of a session
	Transitive []string          // keys of tags that sessions made from it have, too
	Expires    time.Time         // of a session: when its key stops working; zero: never
}

// A Request is one call whose signature was verified.
type Request struct {
	Place
	Service   string // as in IAM actions: "secretsmanager", "s3", "logs", "sts", "iam", "rds", "lambda", "ssm", "ecs"
	Operation string
	Who       Identity
	At        time.Time // by the world's clock
	HTTP      *http.Request
	Path      string // of REST calls: decoded
	Query     url.Values
	Body      []byte
	ID        string

	// May is nil when the caller is permitted to do action ("s3:GetObject") to resource (an ARN), else the refusal.
	May func(action, resource string) error
}

// Into reads a JSON 1.1 request. A body that is no JSON, or of the wrong type, is refused as AWS does; members that
// AWS wouldn't recognise by their spelling are left out, though encoding/json would take them.
func (r *Request) Into(v any) error {
	var members map[string]json.RawMessage
	err := json.Unmarshal(r.Body, &members)
	for name := range members {
		if first := name[:min(1, len(name))]; (r.Service == "logs" || r.Service == "ecs") != (first == strings.ToLower(first)) {
			delete(members, name)
		}
	}
	if err == nil {
		var spelled []byte
		if spelled, err = json.Marshal(members); err == nil {
			err = json.Unmarshal(spelled, v)
		}
	}
	if err != nil {
		return &Error{Status: 400, Code: "SerializationException", Message: "the request body does not fit the operation's input"}
	}
	return nil
}

// An Error is a refusal in the service's own words.
type Error struct {
	Status  int    // of HTTP
	Code    string // as the API reference spells it
	Message string
	Extra   []Field     // further elements of S3's error document
	Header  http.Header // further headers
}

// A Field is an element of a document, or a header.
type Field struct{ Name, Value string }

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Refuse makes an Error with HTTP status 400, which is what nearly all of AWS's refusals carry.
func Refuse(code, format string, a ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, a...)}
}

// Epoch writes a time as JSON 1.1 does: seconds since 1970 with milliseconds. The zero time is null.
type Epoch time.Time

// MarshalJSON is a number, never a string.
func (e Epoch) MarshalJSON() ([]byte, error) {
	t := time.Time(e)
	if t.IsZero() {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', 3, 64), nil
}

// EpochOf is nil for the zero time, so that omitempty leaves the member out.
func EpochOf(t time.Time) *Epoch {
	if t.IsZero() {
		return nil
	}
	e := Epoch(t)
	return &e
}

// Random makes the names a service invents. One world's are the same in every run, in the order of the calls.
type Random struct {
	mu  sync.Mutex
	src *rand.Rand
}

// NewRandom starts the sequence of one seed.
func NewRandom(seed uint64) *Random {
	return &Random{src: rand.New(rand.NewPCG(seed, 0x7265_6b65_79))}
}

// Alphabets of invented names.
const (
	Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	Upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	Hex     = "0123456789abcdef"
)

// Text is n letters of the alphabet.
func (r *Random) Text(n int, alphabet string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.src.IntN(len(alphabet))]
	}
	return string(b)
}

// UUID is a version 4 UUID.
func (r *Random) UUID() string {
	h := r.Text(32, Hex)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}
