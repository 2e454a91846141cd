package kms

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// An operation answers with the lock held.
type operation func(*Service, *wire.Request) (any, error)

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string {
	var l []string
	for name := range operations() {
		l = append(l, name)
	}
	slices.Sort(l)
	return l
}

func operations() map[string]operation {
	return map[string]operation{
		"CreateKey": (*Service).createKey, "DescribeKey": (*Service).describeKey, "GetKeyPolicy": (*Service).getKeyPolicy,
		"ListKeys": (*Service).listKeys, "ListResourceTags": (*Service).listResourceTags, "ListAliases": (*Service).listAliases,
		"ListGrants": (*Service).listGrants, "TagResource": (*Service).tagResource, "UntagResource": (*Service).untagResource,
		"CreateAlias": (*Service).createAlias, "UpdateAlias": (*Service).updateAlias, "DeleteAlias": (*Service).deleteAlias,
		"EnableKey": (*Service).enableKey, "DisableKey": (*Service).disableKey,
		"ScheduleKeyDeletion": (*Service).scheduleKeyDeletion, "CancelKeyDeletion": (*Service).cancelKeyDeletion,
		"GetKeyRotationStatus": (*Service).getKeyRotationStatus, "EnableKeyRotation": (*Service).enableKeyRotation,
		"GetKeyLastUsage": (*Service).getKeyLastUsage, "GetPublicKey": (*Service).getPublicKey,
		"Encrypt": (*Service).encrypt, "Decrypt": (*Service).decrypt, "Sign": (*Service).sign, "Verify": (*Service).verify,
		"GenerateMac": (*Service).generateMac, "VerifyMac": (*Service).verifyMac,
	}
}

// Target is what the caller names: the key, or the alias.
func Target(r *wire.Request) string {
	var in struct{ KeyId, AliasName string }
	if json.Unmarshal(r.Body, &in) != nil {
		return ""
	}
	return cmp.Or(in.AliasName, in.KeyId)
}

// Serve answers one request: a value to write as JSON, nil for an empty answer, or a *wire.Error.
func (s *Service) Serve(r *wire.Request) (any, error) {
	op, ok := operations()[r.Operation]
	if !ok {
		return nil, wire.Refuse("UnknownOperationException", "the sandbox doesn't serve %s", r.Operation)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return op(s, r)
}

// A page says where a list goes on.
type page struct {
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

// cut is one page of a list. The marker says where it begins.
func cut[T any](all []T, limit *int, marker string, usual, most int) ([]T, page, error) {
	size := usual
	if limit != nil {
		size = *limit
	}
	if size < 1 || size > most {
		return nil, page{}, wire.Refuse("ValidationException", "1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and %d", size, most)
	}
	from := 0
	if marker != "" {
		raw, _ := base64.RawURLEncoding.DecodeString(marker) // what can't be decoded has no such prefix
		text, ok := strings.CutPrefix(string(raw), "from:")
		var err error
		if from, err = strconv.Atoi(text); err != nil || !ok || from < 0 || from > len(all) {
			return nil, page{}, wire.Refuse("InvalidMarkerException", "Could not deserialize marker")
		}
	}
	to, p := min(from+size, len(all)), page{}
	if to < len(all) {
		p = page{base64.RawURLEncoding.EncodeToString([]byte("from:" + strconv.Itoa(to))), true}
	}
	return append([]T{}, all[from:to]...), p, nil
}
