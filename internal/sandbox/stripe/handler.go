package stripe

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

const prefix = "/v1/webhook_endpoints"

// maxBody is more than any request Stripe takes here.
const maxBody = 1 << 20

// Mine says whether a request is for Stripe: its keys are bearer tokens, below /v1.
func Mine(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/v1/") && strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// saved is the first answer to a key.
type saved struct {
	at     time.Time
	call   string // method, path and parameters
	status int
	body   []byte
}

// ServeHTTP is the API at its root.
func (s *Service) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, maxBody))
	if err != nil {
		return
	}
	s.mu.Lock()
	number, rights, refused := s.arrive(in)
	fail, call := s.fail, Call{}
	if refused == nil {
		call = s.calls[number]
	}
	s.mu.Unlock()
	if refused != nil {
		s.write(out, refused.Status, answer(nil, refused))
		return
	}
	var injected error
	if fail != nil {
		injected = fail(call)
	}
	s.mu.Lock()
	status, text := s.answer(in, body, rights, injected, out.Header())
	s.calls[number].Status = status
	s.mu.Unlock()
	if errors.Is(injected, ErrLost) {
		panic(http.ErrAbortHandler) // net/http's way to cut a connection; the server doesn't log it
	}
	s.write(out, status, text)
}

func (s *Service) write(out http.ResponseWriter, status int, text []byte) {
	out.Header().Set("Content-Type", "application/json")
	out.Header().Set("Request-Id", "req_"+s.random.Text(14, wire.Letters))
	out.Header().Set("Stripe-Version", "2023-10-16")
	out.Header().Set("Date", s.clock.Now().UTC().Format(http.TimeFormat))
	out.WriteHeader(status)
	_, _ = out.Write(text) // a caller that went away needs no answer
}

// arrive is who calls. A call without a valid key isn't counted.
func (s *Service) arrive(in *http.Request) (number int, r Rights, refused *Error) {
	key, bearer := strings.CutPrefix(in.Header.Get("Authorization"), "Bearer ")
	if user, _, ok := in.BasicAuth(); ok {
		key, bearer = user, true
	}
	if !bearer || key == "" {
		return 0, None, refuse(http.StatusUnauthorized, "", "", "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').")
	}
	rights, known := s.keys[key]
	if !known {
		return 0, None, refuse(http.StatusUnauthorized, "", "", "Invalid API Key provided: %s", masked(key))
	}
	s.calls = append(s.calls, Call{At: s.clock.Now().UTC(), Method: in.Method, Path: in.URL.Path, Key: in.Header.Get("Idempotency-Key")})
	return len(s.calls) - 1, rights, nil
}

// answer is the call's effect and what is said of it, or what was said the first time.
func (s *Service) answer(in *http.Request, body []byte, rights Rights, injected error, header http.Header) (status int, text []byte) {
	key, call := in.Header.Get("Idempotency-Key"), in.Method+" "+in.URL.Path+" "+string(body)
	if in.Method != http.MethodPost { // elsewhere it has no effect
		key = ""
	}
	if len(key) > 255 {
		e := refuse(http.StatusBadRequest, "", "", "Idempotency key is too long: at most 255 characters are allowed.")
		return e.Status, answer(nil, e)
	}
	if was, ok := s.saved[key]; key != "" && ok && s.clock.Now().Sub(was.at) < keyLife {
		if was.call != call {
			return http.StatusBadRequest, answer(nil, &Error{Type: idempotency, Message: "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '" + key + "' if you meant to execute a different request."})
		}
		header.Set("Idempotent-Replayed", "true")
		header.Set("Original-Request", "req_original")
		return was.status, was.body
	}
	var e *Error
	switch {
	case injected == nil, errors.Is(injected, ErrLost):
	case errors.As(injected, &e):
	default:
		e = Broken(false)
	}
	var v any
	if e == nil || e.kept {
		made, err := s.act(in, body, rights)
		var own *Error
		if e == nil && errors.As(err, &own) {
			e = own
		}
		v = made
	}
	status = http.StatusOK
	if e != nil {
		status = e.Status
	}
	text = answer(v, e)
	// A validation that failed saves nothing (Stripe API reference, idempotent requests).
	if key != "" && (e == nil || e.kept) {
		s.saved[key] = saved{s.clock.Now(), call, status, bytes.Clone(text)}
	}
	return status, text
}

func answer(v any, e *Error) []byte {
	if e != nil {
		v = map[string]any{"error": e}
	}
	text, _ := json.MarshalIndent(v, "", "  ") // plain data
	return append(text, '\n')
}

func (s *Service) act(in *http.Request, body []byte, rights Rights) (any, error) {
	id, ok := strings.CutPrefix(in.URL.Path, prefix+"/")
	one := ok && id != "" && !strings.Contains(id, "/")
	reads := in.Method == http.MethodGet
	if in.URL.Path != prefix && !one || !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodDelete}, in.Method) || !one && in.Method == http.MethodDelete {
		return nil, refuse(http.StatusNotFound, "", "", "Unrecognized request URL (%s: %s). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.", in.Method, in.URL.Path)
	}
	if need := map[bool]Rights{true: Read, false: Write}[reads]; rights < need {
		name := map[Rights]string{Read: "rak_webhook_read", Write: "rak_webhook_write"}[need]
		return nil, refuse(http.StatusForbidden, "", "", "The provided key does not have the required permissions for this endpoint. Having the '%s' permission would allow this request to continue.", name)
	}
	p := in.URL.Query()
	if in.Method == http.MethodPost {
		if t := in.Header.Get("Content-Type"); len(body) > 0 && !strings.HasPrefix(t, "application/x-www-form-urlencoded") {
			return nil, refuse(http.StatusBadRequest, "", "", "Invalid request (check that your POST content type is application/x-www-form-urlencoded).")
		}
		var err error
		if p, err = url.ParseQuery(string(body)); err != nil {
			return nil, refuse(http.StatusBadRequest, "", "", "Invalid request body")
		}
	}
	switch {
	case !one && reads:
		return s.list(p)
	case !one:
		return s.create(p)
	case reads:
		e, err := s.live(id)
		return shown(e, false), err
	case in.Method == http.MethodDelete:
		e, err := s.live(id)
		if err != nil {
			return nil, err
		}
		e.Deleted = true
		return map[string]any{"id": e.ID, "object": "webhook_endpoint", "deleted": true}, nil
	}
	return s.update(id, p)
}
