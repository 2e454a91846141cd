package kms

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/rotation"
	own "github.com/rastup/rekey/internal/sandbox/kms"
)

var forward = []string{preflight, create, test, promote, adopted, disable, decommission, refused}

func TestARotationFromEndToEnd(t *testing.T) {
	var all strings.Builder
	for _, m := range []own.Make{{Rotation: 90}, {Spec: "RSA_2048", Usage: "ENCRYPT_DECRYPT"}, signing, {Spec: "HMAC_256", Usage: "GENERATE_VERIFY_MAC"}} {
		m.Description, m.Tags = "App key 20260101", []own.Tag{{TagKey: "version", TagValue: "20260101"}}
		m.Policy = `{"Version":"2012-10-17","Id":"house","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}]}`
		l := newLab(t, m, Target{Liaison: "@octo/compliance"}).run(forward...)
		keys := l.keys()
		old, made := keys[0], keys[1]
		if len(keys) != 2 || old.State != own.PendingDeletion || made.State != own.Enabled || !slices.Equal(made.Aliases, []string{appAlias}) {
			t.Errorf("ended as %+v", keys)
		}
		want := map[string]string{"team": "pay", "version": "20261125", "rotated_by": "ana-sec", tagRotation: made.Tags[tagRotation]}
		if made.Policy != m.Policy || made.Spec != old.Spec || made.Usage != old.Usage || made.Rotation != m.Rotation || !maps.Equal(made.Tags, want) || made.Description != "App key 20261125" {
			t.Errorf("made as %+v", made)
		}
		if days := old.Deletion.Sub(l.world.Now()).Hours() / 24; days != 30 {
			t.Errorf("deleted in %v days", days)
		}
		fmt.Fprintf(&all, "# %s\n%s\n", old.Spec, strings.ReplaceAll(l.names(strings.Join(l.said, "\n")), made.Tags[tagRotation], "TAG"))
		for _, f := range l.files {
			fmt.Fprintf(&all, "%s, %d bytes of PEM\n", f.Name, len(f.Data))
		}
		all.WriteString("\n")
	}
	goldentest.Equal(t, "texts.txt", all.String())
}

func TestThePublicKeysOfSigningKeysAreKeptBeforeTheOldOneGoes(t *testing.T) {
	l := newLab(t, signing, Target{Liaison: "@octo/compliance"}).run(upToLive[:3]...)
	if len(l.files) != 2 || l.files[0].Name != "old-public-key.pem" || l.files[1].Name != "new-public-key.pem" || bytes.Equal(l.files[0].Data, l.files[1].Data) {
		t.Fatalf("kept %+v", l.files)
	}
	for i, f := range l.files {
		block, _ := pem.Decode(f.Data)
		if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil || !bytes.HasPrefix(f.Data, []byte(l.keys()[i].ARN+"\nECC_NIST_P256 SIGN_VERIFY\n")) {
			t.Errorf("%s: %v\n%s", f.Name, err, f.Data)
		}
	}
}

// From each state the old key is live and usable again; the new one goes when nothing can exist under it, else it
// is kept, enabled and on record.
func TestRollbackFromEveryState(t *testing.T) {
	undo := []string{enable, restore, discarded}
	var all strings.Builder
	for i, from := range []string{create, test, promote, adopted, disable, "the old key on its way out"} {
		l := newLab(t, own.Make{}, Target{}).run(forward[:min(i+2, 6)]...)
		if i == 5 {
			l.set(0, own.PendingDeletion) // a person's doing
		}
		begin := map[bool]int{true: 0, false: 1}[i >= 4]
		l.said = nil
		l.run(undo[begin:]...)
		old, made := l.keys()[0], l.keys()[1]
		if old.State != own.Enabled || !slices.Equal(old.Aliases, []string{appAlias}) {
			t.Errorf("from %s: the old key is %+v", from, old)
		}
		kept := l.fact(discarded, factKept)
		if i >= 2 && (made.State != own.Enabled || kept != made.ARN) || i < 2 && (made.State != own.PendingDeletion || kept != "") {
			t.Errorf("from %s: the new key is %s, recorded as kept: %q", from, made.State, kept)
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", from, l.names(strings.Join(l.said, "\n")))
	}
	goldentest.Equal(t, "rollback.txt", all.String())
}

func TestNothingChangesWithoutALease(t *testing.T) {
	for i, step := range append(slices.Clone(forward), enable, restore, discarded) {
		l := newLab(t, own.Make{}, Target{}).run(forward[:min(i, 6)]...)
		before := l.state()
		_, err := l.ask(t.Context(), step)
		var f *rotation.Failure
		if s, _ := l.plan.Step(step); err != nil && !errors.Is(err, rotation.ErrNoLease) && !errors.As(err, &f) || l.state() != before {
			t.Errorf("%s: %v (looks: %t), state\n%s\nwas\n%s", step, err, s.Looks, l.state(), before)
		}
	}
}

func TestPreviewUsesNoKey(t *testing.T) {
	l := newLab(t, own.Make{}, Target{})
	s, _ := l.plan.Step(preflight)
	res, err := l.handler["preview"](t.Context(), s, rotation.PastOf(l.records))
	if err != nil || !strings.Contains(res.Text, "it was not used") || len(l.world.KMS.Uses()) > 0 || len(l.world.Calls()) != 1 {
		t.Errorf("%+v, %v, calls %+v", res, err, l.world.Calls())
	}
}

// What a rotation costs. From preflight's end to the alias on the new key is what an incident waits for.
func TestCallsOfARotation(t *testing.T) {
	l := newLab(t, own.Make{}, Target{})
	most := map[string]int{preflight: 16, create: 6, test: 3, promote: 4, adopted: 7, disable: 4, decommission: 8, refused: 2}
	all := 0
	for _, step := range forward {
		before := len(l.world.Calls())
		l.run(step)
		n := len(l.world.Calls()) - before
		all += n
		t.Logf("%s: %d calls", step, n)
		if n > most[step] {
			t.Errorf("%s makes %d calls, at most %d are wanted", step, n, most[step])
		}
	}
	t.Logf("all: %d calls", all)
}

// A key that is to be deleted answers either of two errors, and one whose deletion a person cancelled another: the
// evidence says what was seen.
func TestTheNegativeProofSaysWhatKMSAnswered(t *testing.T) {
	for state, want := range map[string]string{own.PendingDeletion: "KMSInvalidStateException", own.Disabled: "DisabledException"} {
		l := newLab(t, own.Make{}, Target{}).run(forward[:7]...)
		l.set(0, state)
		l.run(refused)
		if said := l.said[len(l.said)-1]; l.fact(refused, factRefused) != want || !strings.Contains(said, ", "+state+", was tried and refused: "+want) {
			t.Errorf("%s: %s", state, said)
		}
	}
}
