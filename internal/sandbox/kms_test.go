package sandbox_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	cttypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/kms"
)

// A vault is a bench with clients of KMS and CloudTrail.
type vault struct {
	*bench
	t     *testing.T
	kms   *kms.Client
	trail *cloudtrail.Client
}

func newVault(t *testing.T) *vault {
	b := newBench(t)
	c := config(b.url, sandbox.AccessKeyID, sandbox.SecretAccessKey, "")
	return &vault{b, t, kms.NewFromConfig(c), cloudtrail.NewFromConfig(c)}
}

func (v *vault) key(spec types.KeySpec, usage types.KeyUsageType) *types.KeyMetadata {
	v.t.Helper()
	out, err := v.kms.CreateKey(ctx, &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage, Description: aws.String("App key 20261123"),
		Tags: []types.Tag{{TagKey: aws.String("team"), TagValue: aws.String("pay")}}})
	check1(v.t, err)
	return out.KeyMetadata
}

func (v *vault) turn(id *string, state string) {
	v.t.Helper()
	check1(v.t, v.world.KMS.SetByHand(sandbox.Home, *id, state, v.world.Now()))
}

func TestKMSWithoutATokenMakesAnotherKeyEachTime(t *testing.T) {
	v := newVault(t)
	a, b := v.key("", ""), v.key("", "")
	if *a.KeyId == *b.KeyId || a.KeyState != types.KeyStateEnabled || a.KeySpec != types.KeySpecSymmetricDefault {
		t.Errorf("%+v, %+v", a, b)
	}
	tags := must[*kms.ListResourceTagsOutput](t)(v.kms.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: a.KeyId}))
	if len(tags.Tags) != 1 || *tags.Tags[0].TagValue != "pay" {
		t.Errorf("tags %+v", tags.Tags)
	}
	first := must[*kms.ListKeysOutput](t)(v.kms.ListKeys(ctx, &kms.ListKeysInput{Limit: aws.Int32(1)}))
	rest := must[*kms.ListKeysOutput](t)(v.kms.ListKeys(ctx, &kms.ListKeysInput{Marker: first.NextMarker}))
	if !first.Truncated || len(first.Keys) != 1 || len(rest.Keys) != 1 || rest.Truncated {
		t.Errorf("pages %+v, %+v", first, rest)
	}
}

func TestKMSEncryptsAndRefusesByState(t *testing.T) {
	v := newVault(t)
	k, other := v.key("", ""), v.key("", "")
	with := map[string]string{"tenant": "a", "app": "b"}
	box := must[*kms.EncryptOutput](t)(v.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("hello"), EncryptionContext: with}))
	open := func(id *string, with map[string]string, blob []byte) error {
		out, err := v.kms.Decrypt(ctx, &kms.DecryptInput{KeyId: id, CiphertextBlob: blob, EncryptionContext: with})
		if err == nil && !bytes.Equal(out.Plaintext, []byte("hello")) {
			t.Errorf("decrypted %q", out.Plaintext)
		}
		return err
	}
	check1(t, open(nil, with, box.CiphertextBlob))
	refused(t, open(nil, map[string]string{"tenant": "b"}, box.CiphertextBlob), 400, "InvalidCiphertextException", "")
	refused(t, open(other.KeyId, with, box.CiphertextBlob), 400, "IncorrectKeyException", "")
	refused(t, open(nil, with, []byte("nonsense")), 400, "InvalidCiphertextException", "")
	v.turn(k.Arn, own.Disabled)
	refused(t, open(nil, with, box.CiphertextBlob), 400, "DisabledException", *k.Arn+" is disabled.")
	_, err := v.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId, PendingWindowInDays: aws.Int32(6)})
	refused(t, err, 400, "ValidationException", "")
	gone := must[*kms.ScheduleKeyDeletionOutput](t)(v.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId}))
	if want := v.world.Now().Add(30 * 24 * time.Hour); !gone.DeletionDate.Equal(want) {
		t.Errorf("deletion on %s, want %s", gone.DeletionDate, want)
	}
	_, err = v.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId})
	refused(t, err, 400, "KMSInvalidStateException", *k.Arn+" is pending deletion.")
	refused(t, open(nil, with, box.CiphertextBlob), 400, "KMSInvalidStateException", *k.Arn+" is pending deletion.")
	_, err = v.kms.EnableKey(ctx, &kms.EnableKeyInput{KeyId: k.KeyId})
	refused(t, err, 400, "KMSInvalidStateException", "")
	_, err = v.kms.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: k.KeyId})
	check1(t, err)
	refused(t, open(nil, with, box.CiphertextBlob), 400, "DisabledException", "") // cancelling doesn't enable it
	_, err = v.kms.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: k.KeyId})
	refused(t, err, 400, "KMSInvalidStateException", *k.Arn+" is not pending deletion.")
	_, err = v.kms.EnableKey(ctx, &kms.EnableKeyInput{KeyId: k.KeyId})
	check1(t, err)
	check1(t, open(nil, with, box.CiphertextBlob))
	v.turn(k.Arn, own.PendingDeletion)
	v.clock.Move(31 * 24 * time.Hour)
	_, err = v.kms.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: k.KeyId})
	refused(t, err, 400, "NotFoundException", "Key '"+*k.Arn+"' does not exist")
}

func TestKMSSignsAndMacsForReal(t *testing.T) {
	v := newVault(t)
	message := []byte("dsar export")
	for spec, usage := range map[types.KeySpec]types.KeyUsageType{types.KeySpecEccNistP256: "SIGN_VERIFY", types.KeySpecRsa2048: "SIGN_VERIFY", "ECC_NIST_EDWARDS25519": "SIGN_VERIFY"} {
		k := v.key(spec, usage)
		for _, a := range k.SigningAlgorithms {
			s := must[*kms.SignOutput](t)(v.kms.Sign(ctx, &kms.SignInput{KeyId: k.KeyId, Message: message, SigningAlgorithm: a}))
			_, err := v.kms.Verify(ctx, &kms.VerifyInput{KeyId: k.KeyId, Message: message, Signature: s.Signature, SigningAlgorithm: a})
			check1(t, err)
			_, err = v.kms.Verify(ctx, &kms.VerifyInput{KeyId: k.KeyId, Message: []byte("other"), Signature: s.Signature, SigningAlgorithm: a})
			refused(t, err, 400, "KMSInvalidSignatureException", "")
			public := must[*kms.GetPublicKeyOutput](t)(v.kms.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: k.KeyId}))
			parsed := must[any](t)(x509.ParsePKIXPublicKey(public.PublicKey))
			digest := sha256.Sum256(message)
			if p, ok := parsed.(*ecdsa.PublicKey); ok && !ecdsa.VerifyASN1(p, digest[:], s.Signature) {
				t.Error("the public key doesn't verify what was signed")
			}
		}
		_, err := v.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: k.KeyId, Plaintext: message})
		refused(t, err, 400, "InvalidKeyUsageException", "")
	}
	k := v.key(types.KeySpecHmac256, "GENERATE_VERIFY_MAC")
	m := must[*kms.GenerateMacOutput](t)(v.kms.GenerateMac(ctx, &kms.GenerateMacInput{KeyId: k.KeyId, Message: message, MacAlgorithm: "HMAC_SHA_256"}))
	_, err := v.kms.VerifyMac(ctx, &kms.VerifyMacInput{KeyId: k.KeyId, Message: message, Mac: m.Mac, MacAlgorithm: "HMAC_SHA_256"})
	check1(t, err)
	_, err = v.kms.VerifyMac(ctx, &kms.VerifyMacInput{KeyId: k.KeyId, Message: []byte("x"), Mac: m.Mac, MacAlgorithm: "HMAC_SHA_256"})
	refused(t, err, 400, "KMSInvalidMacException", "")
	r := v.key(types.KeySpecRsa2048, "ENCRYPT_DECRYPT")
	box := must[*kms.EncryptOutput](t)(v.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: r.KeyId, Plaintext: message, EncryptionAlgorithm: "RSAES_OAEP_SHA_256"}))
	out := must[*kms.DecryptOutput](t)(v.kms.Decrypt(ctx, &kms.DecryptInput{KeyId: r.KeyId, CiphertextBlob: box.CiphertextBlob, EncryptionAlgorithm: "RSAES_OAEP_SHA_256"}))
	if !bytes.Equal(out.Plaintext, message) {
		t.Errorf("decrypted %q", out.Plaintext)
	}
}

func TestKMSAliasesMoveAmongKeysOfOneKindOnly(t *testing.T) {
	v := newVault(t)
	a, b, mac := v.key("", ""), v.key("", ""), v.key(types.KeySpecHmac256, "GENERATE_VERIFY_MAC")
	name := aws.String("alias/app")
	_, err := v.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: name, TargetKeyId: a.KeyId})
	check1(t, err)
	_, err = v.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: name, TargetKeyId: b.KeyId})
	refused(t, err, 400, "AlreadyExistsException", "An alias with the name arn:aws:kms:us-east-1:111111111111:alias/app already exists")
	point := func(id *string) error {
		_, err := v.kms.UpdateAlias(ctx, &kms.UpdateAliasInput{AliasName: name, TargetKeyId: id})
		return err
	}
	refused(t, point(mac.KeyId), 400, "ValidationException", "")
	check1(t, point(b.KeyId))
	check1(t, point(b.KeyId))
	at := must[*kms.DescribeKeyOutput](t)(v.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: name}))
	listed := must[*kms.ListAliasesOutput](t)(v.kms.ListAliases(ctx, &kms.ListAliasesInput{KeyId: b.KeyId}))
	if *at.KeyMetadata.KeyId != *b.KeyId || len(listed.Aliases) != 1 {
		t.Errorf("at %s, listed %v", *at.KeyMetadata.KeyId, listed.Aliases)
	}
	v.turn(a.Arn, own.Disabled)
	check1(t, point(a.KeyId)) // a disabled target is accepted
	v.turn(b.Arn, own.PendingDeletion)
	refused(t, point(b.KeyId), 400, "KMSInvalidStateException", "")
	_, err = v.kms.DisableKey(ctx, &kms.DisableKeyInput{KeyId: name})
	refused(t, err, 400, "InvalidArnException", "")
}

func TestKMSIsEventuallyConsistent(t *testing.T) {
	v := newVault(t)
	old := v.key("", "")
	_, err := v.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: old.KeyId})
	check1(t, err)
	v.clock.Move(time.Hour)
	v.world.KMS.SetLag(10*time.Second, time.Minute)
	k := v.key("", "")
	_, err = v.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: k.KeyId})
	refused(t, err, 400, "NotFoundException", "")
	v.clock.Move(10 * time.Second)
	_, err = v.kms.UpdateAlias(ctx, &kms.UpdateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: k.KeyId})
	check1(t, err)
	for _, want := range []*types.KeyMetadata{old, k} {
		at := must[*kms.DescribeKeyOutput](t)(v.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("alias/app")}))
		if *at.KeyMetadata.KeyId != *want.KeyId {
			t.Errorf("the alias is seen on %s, want %s", *at.KeyMetadata.KeyId, *want.KeyId)
		}
		v.clock.Move(10 * time.Second)
	}
	for _, want := range []int{1, 2} {
		l := must[*kms.ListKeysOutput](t)(v.kms.ListKeys(ctx, &kms.ListKeysInput{}))
		if len(l.Keys) != want {
			t.Errorf("%d keys listed, want %d", len(l.Keys), want)
		}
		v.clock.Move(time.Minute)
	}
}

func TestTheLastUseOfAKeyIsKnownToKMSAndToCloudTrail(t *testing.T) {
	v := newVault(t)
	k := v.key("", "")
	last := func() *kms.GetKeyLastUsageOutput {
		return must[*kms.GetKeyLastUsageOutput](t)(v.kms.GetKeyLastUsage(ctx, &kms.GetKeyLastUsageInput{KeyId: k.KeyId}))
	}
	if l := last(); l.KeyLastUsage == nil || l.KeyLastUsage.Timestamp != nil || !l.TrackingStartDate.Equal(*k.CreationDate) {
		t.Errorf("never used: %+v", l)
	}
	used := v.world.Now()
	check1(t, v.world.KMS.UseByHand(sandbox.Home, *k.Arn, "Encrypt", "arn:aws:iam::111111111111:role/app", used))
	if l := last(); l.KeyLastUsage.Operation != "Encrypt" || !l.KeyLastUsage.Timestamp.Equal(used) {
		t.Errorf("used: %+v", l.KeyLastUsage)
	}
	v.turn(k.Arn, own.Disabled)
	if v.world.KMS.UseByHand(sandbox.Home, *k.Arn, "Encrypt", "arn:aws:iam::111111111111:role/app", used) == nil {
		t.Error("a disabled key could be used")
	}
	look := func() (names []string) {
		p := cloudtrail.NewLookupEventsPaginator(v.trail, &cloudtrail.LookupEventsInput{MaxResults: aws.Int32(1),
			LookupAttributes: []cttypes.LookupAttribute{{AttributeKey: cttypes.LookupAttributeKeyResourceName, AttributeValue: k.Arn}}})
		for p.HasMorePages() {
			page := must[*cloudtrail.LookupEventsOutput](t)(p.NextPage(ctx))
			for _, e := range page.Events {
				names = append(names, *e.EventName)
			}
		}
		return names
	}
	if l := look(); len(l) != 0 {
		t.Errorf("shown at once: %v", l)
	}
	v.clock.Move(5 * time.Minute)
	if l := look(); !slices.Equal(l, []string{"Encrypt", "Encrypt"}) {
		t.Errorf("shown later: %v", l)
	}
}
