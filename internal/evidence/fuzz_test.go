package evidence

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

func good() rotation.Record {
	c := rotation.Chain{Environment: "prod", Secret: "app/db"}
	return rotation.Record{Seq: 2, Prev: rotation.Digest(nil), Chain: c, Rotation: "2026-11-22-app-db", Attempt: 1, ClaimSeq: 1,
		At: time.Date(2026, 11, 23, 9, 0, 0, 5, time.UTC), Runner: rotation.Runner{ID: "run", Nonce: "n"}, Outcome: rotation.Done, Step: "create",
		Text: "a <b> & \u2028 \x00", Facts: map[string]string{"A": "1", "a": "2"}}
}

// What is read as a record is written as the same record, and strange bytes are refused, not believed and not fatal.
func FuzzRecord(f *testing.F) {
	data, _, err := marshal(good())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	claim := good()
	claim.ClaimSeq, claim.Outcome = 2, rotation.Claimed
	claim.Claim = &rotation.Claim{Plan: rotation.Plan{Chain: claim.Chain, Rotation: claim.Rotation, Attempt: 1,
		Steps: []rotation.Step{{ID: "x", With: []byte(`{"B":[1,{"c":null}]}`)}}}}
	if data, _, err = marshal(claim); err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"seq":1e999}`))
	f.Add([]byte(`{"seq":1,"seq":2}`))
	f.Add([]byte(`null`))
	f.Add([]byte(strings.Repeat("[", 100000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parse(data)
		if err != nil {
			return
		}
		again, back, err := marshal(r)
		if err != nil {
			t.Fatalf("read, but not written: %v\n%s", err, data)
		}
		// What isn't there and what is empty reads the same once it was written.
		twice, last, err := marshal(back)
		if err != nil || !bytes.Equal(again, twice) || !reflect.DeepEqual(back, last) {
			t.Fatalf("bytes or meaning aren't stable: %v\n%s\n%s", err, again, twice)
		}
	})
}

func TestWhatCantBeARecordIsNeverWritten(t *testing.T) {
	if _, _, err := marshal(good()); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*rotation.Record){
		`seq 1000000: 1 to 999999 is wanted`:                                           func(r *rotation.Record) { r.Seq = 1_000_000 },
		`outcome "waiting": this program doesn't know it`:                              func(r *rotation.Record) { r.Outcome = rotation.Waiting },
		`text of 16385 and hint of 0 bytes: at most 16384`:                             func(r *rotation.Record) { r.Text = strings.Repeat("x", MaxText+1) },
		`fact "a" of 65537 bytes: at most 65536, under a key of 1 to 200`:              func(r *rotation.Record) { r.Facts = map[string]string{"a": strings.Repeat("x", MaxFact+1)} },
		`a claim, and nothing else, begins an attempt`:                                 func(r *rotation.Record) { r.Claim = &rotation.Claim{} },
		`the runner has no ID or no nonce`:                                             func(r *rotation.Record) { r.Runner.Nonce = "" },
		`a time that isn't set, or not UTC`:                                            func(r *rotation.Record) { r.At = time.Time{} },
		`file "files/../x": its name, digest or size can't be`:                         func(r *rotation.Record) { r.Files = []rotation.FileRef{{Name: "files/../x", Digest: r.Prev}} },
		`"app~db in prod": a name with ~ can't have a chain: it stands for /`:          func(r *rotation.Record) { r.Secret = "app~db" },
		`secret "..": is not a name`:                                                   func(r *rotation.Record) { r.Secret = "app/../x" },
		`rotation "a/b": holds a slash, a backslash or a character that can't be seen`: func(r *rotation.Record) { r.Rotation = "a/b" },
	} {
		r := good()
		spoil(&r)
		if _, _, err := marshal(r); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestStrictReadingRefuses(t *testing.T) {
	data, _, err := marshal(good())
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]string{
		"an unknown field":     strings.Replace(string(data), `"seq"`, `"sequel":1,"seq"`, 1),
		"a field in capitals":  strings.Replace(string(data), `"seq"`, `"Seq"`, 1),
		"a key twice":          strings.Replace(string(data), `"seq":2`, `"seq":1,"seq":2`, 1),
		"a key twice in facts": strings.Replace(string(data), `"A":"1"`, `"a":"1"`, 1),
		"something after":      string(data) + "{}",
		"half of it":           string(data[:len(data)/2]),
		"broken UTF-8":         strings.Replace(string(data), "create", "cre\xffate", 1),
		"a number as text":     strings.Replace(string(data), `"seq":2`, `"seq":"2"`, 1),
		"a fraction":           strings.Replace(string(data), `"seq":2`, `"seq":2.5`, 1),
		"a negative number":    strings.Replace(string(data), `"seq":2`, `"seq":-2`, 1),
		"another zone":         strings.Replace(string(data), "05Z", "05+01:00", 1),
	} {
		if spoil == string(data) {
			t.Errorf("%s: nothing was spoilt", name)
		}
		if _, err := parse([]byte(spoil)); err == nil {
			t.Errorf("%s was read: %s", name, spoil)
		}
	}
	if _, err := parse(data); err != nil {
		t.Error(err)
	}
}
