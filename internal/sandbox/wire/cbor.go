package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// Unzip is a body that came compressed, as SDKs send those of PutMetricData; one that didn't, or is broken, stays as it is.
func Unzip(in *http.Request, body []byte) []byte {
	if in.Header.Get("Content-Encoding") != "gzip" {
		return body
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	const most = 1 << 20 // what PutMetricData takes
	plain, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return body
	}
	return plain
}

// FromCBOR is a CBOR document as JSON, for Into. A time becomes seconds since 1970, as in JSON 1.1.
func FromCBOR(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return []byte("{}"), nil
	}
	v, err := cbor.Decode(body)
	if err != nil {
		return nil, err
	}
	plain, err := fromCBOR(v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}

func fromCBOR(v cbor.Value) (any, error) {
	switch v := v.(type) {
	case cbor.Map:
		m := map[string]any{}
		for k, inner := range v {
			plain, err := fromCBOR(inner)
			if err != nil {
				return nil, err
			}
			m[k] = plain
		}
		return m, nil
	case cbor.List:
		l := []any{}
		for _, inner := range v {
			plain, err := fromCBOR(inner)
			if err != nil {
				return nil, err
			}
			l = append(l, plain)
		}
		return l, nil
	case cbor.String:
		return string(v), nil
	case cbor.Bool:
		return bool(v), nil
	case cbor.Uint:
		return uint64(v), nil
	case cbor.NegInt:
		return -float64(v), nil
	case cbor.Float32:
		return float64(v), nil
	case cbor.Float64:
		return float64(v), nil
	case *cbor.Tag:
		return fromCBOR(v.Value)
	case *cbor.Nil:
		return nil, nil
	}
	return nil, fmt.Errorf("CBOR of a kind that no AWS request has: %T", v)
}

// toCBOR knows what answers are made of: map[string]any, []any, strings, numbers, booleans and times.
func toCBOR(v any) cbor.Value {
	switch v := v.(type) {
	case map[string]any:
		m := cbor.Map{}
		for k, inner := range v {
			m[k] = toCBOR(inner)
		}
		return m
	case []any:
		l := cbor.List{}
		for _, inner := range v {
			l = append(l, toCBOR(inner))
		}
		return l
	case string:
		return cbor.String(v)
	case bool:
		return cbor.Bool(v)
	case float64:
		return cbor.Float64(v)
	case int:
		return cbor.Uint(v)
	case time.Time:
		return &cbor.Tag{ID: 1, Value: cbor.Float64(float64(v.UnixMilli()) / 1000)}
	}
	return &cbor.Nil{}
}

// WriteCBOR writes an answer, or a refusal, as Smithy's RPC v2 does and says with which status.
func WriteCBOR(w io.Writer, answer any, refused *Error) (status int) {
	if refused != nil {
		_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String(refused.Code), "message": cbor.String(refused.Message)}))
		return refused.Status
	}
	if answer == nil {
		answer = map[string]any{}
	}
	_, _ = w.Write(cbor.Encode(toCBOR(answer)))
	return http.StatusOK
}
