package kms

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// proof is text that says what it is for: whoever meets it encrypted or signed should be able to tell.
const proof = "rekey: proof that this key works"

// An act is the first half of a proof: encrypting, signing, or a MAC.
type act struct {
	did   string // "encrypted with SYMMETRIC_DEFAULT"
	then  string // "decrypted"
	check func(context.Context) error
}

// prove uses a key for what it is for, there and back. Its errors are as AWS gave them.
func (h *handler) prove(ctx context.Context, k *types.KeyMetadata) (text string, err error) {
	a, err := h.act(ctx, k)
	if err != nil {
		return "", err
	}
	if err := a.check(ctx); err != nil {
		return "", err
	}
	return a.did + " and " + a.then, nil
}

func (h *handler) act(ctx context.Context, k *types.KeyMetadata) (act, error) {
	switch k.KeyUsage {
	case types.KeyUsageTypeEncryptDecrypt:
		return h.encrypt(ctx, k)
	case types.KeyUsageTypeSignVerify:
		return h.sign(ctx, k)
	case types.KeyUsageTypeGenerateVerifyMac:
		return h.mac(ctx, k)
	}
	return act{}, fmt.Errorf("keys of usage %s can't be proven", k.KeyUsage)
}

func (h *handler) encrypt(ctx context.Context, k *types.KeyMetadata) (act, error) {
	if len(k.EncryptionAlgorithms) == 0 {
		return act{}, errors.New("the key names no encryption algorithm")
	}
	with := k.EncryptionAlgorithms[len(k.EncryptionAlgorithms)-1] // of RSA's two the one with SHA-256
	out, err := h.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: k.Arn, Plaintext: []byte(proof), EncryptionAlgorithm: with})
	if err != nil {
		return act{}, err
	}
	return act{"encrypted with " + string(with), "decrypted", func(ctx context.Context) error {
		back, err := h.kms.Decrypt(ctx, &kms.DecryptInput{KeyId: k.Arn, CiphertextBlob: out.CiphertextBlob, EncryptionAlgorithm: with})
		if err == nil && !bytes.Equal(back.Plaintext, []byte(proof)) {
			err = rotation.Failf("see AWS's health dashboard; the key isn't used", "%s decrypted something else than was encrypted", called(*k.Arn))
		}
		return err
	}}, nil
}

func (h *handler) sign(ctx context.Context, k *types.KeyMetadata) (act, error) {
	if len(k.SigningAlgorithms) == 0 {
		return act{}, errors.New("the key names no signing algorithm")
	}
	with := k.SigningAlgorithms[0]
	out, err := h.kms.Sign(ctx, &kms.SignInput{KeyId: k.Arn, Message: []byte(proof), MessageType: types.MessageTypeRaw, SigningAlgorithm: with})
	if err != nil {
		return act{}, err
	}
	return act{"signed with " + string(with), "verified", func(ctx context.Context) error {
		back, err := h.kms.Verify(ctx, &kms.VerifyInput{KeyId: k.Arn, Message: []byte(proof), MessageType: types.MessageTypeRaw, SigningAlgorithm: with, Signature: out.Signature})
		if err == nil && !back.SignatureValid {
			err = rotation.Failf("see AWS's health dashboard; the key isn't used", "%s doesn't verify what it signed", called(*k.Arn))
		}
		return err
	}}, nil
}

func (h *handler) mac(ctx context.Context, k *types.KeyMetadata) (act, error) {
	if len(k.MacAlgorithms) == 0 {
		return act{}, errors.New("the key names no MAC algorithm")
	}
	with := k.MacAlgorithms[0]
	out, err := h.kms.GenerateMac(ctx, &kms.GenerateMacInput{KeyId: k.Arn, Message: []byte(proof), MacAlgorithm: with})
	if err != nil {
		return act{}, err
	}
	return act{"MAC made with " + string(with), "verified", func(ctx context.Context) error {
		back, err := h.kms.VerifyMac(ctx, &kms.VerifyMacInput{KeyId: k.Arn, Message: []byte(proof), MacAlgorithm: with, Mac: out.Mac})
		if err == nil && !back.MacValid {
			err = rotation.Failf("see AWS's health dashboard; the key isn't used", "%s doesn't verify its own MAC", called(*k.Arn))
		}
		return err
	}}, nil
}

// asymmetric says whether a key has a public half.
func asymmetric(k *types.KeyMetadata) bool {
	s := string(k.KeySpec)
	return k.KeySpec != types.KeySpecSymmetricDefault && !strings.HasPrefix(s, "HMAC_")
}

// public is a key's public half, as people keep it. It can't be read any more once the key is disabled.
func (h *handler) public(ctx context.Context, arn, name string) (rotation.File, error) {
	out, err := h.kms.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &arn})
	if err != nil {
		return rotation.File{}, cloud.Judge(err, "read the public half of "+called(arn))
	}
	head := fmt.Sprintf("%s\n%s %s\n", aws.ToString(out.KeyId), out.KeySpec, out.KeyUsage)
	return rotation.File{Name: name, Data: append([]byte(head), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: out.PublicKey})...)}, nil
}
