package http

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// reason says why there was no answer, in words of ours: the errors of net/http quote what a server sent.
func reason(err error, limit time.Duration) string {
	var (
		dns      *net.DNSError
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		op       *net.OpError
		errno    syscall.Errno
		deadline = errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
	)
	switch {
	case deadline:
		return "gave no answer within " + span(limit)
	case errors.As(err, &dns) && dns.IsNotFound:
		return "can't be asked: no such host"
	case errors.As(err, &dns):
		return "can't be asked: its host's name can't be resolved now"
	case errors.As(err, &unknown):
		return "can't be asked: its certificate is signed by an authority that isn't trusted here"
	case errors.As(err, &name):
		return "can't be asked: its certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "can't be asked: its certificate has expired or isn't valid yet"
	case errors.As(err, &invalid), errors.As(err, &verify):
		return "can't be asked: its certificate isn't valid"
	case errors.As(err, &record):
		return "can't be asked: it doesn't speak TLS"
	case errors.As(err, &alert):
		return "can't be asked: it refuses the TLS connection"
	case errors.As(err, &op) && errors.As(err, &errno):
		return "can't be asked: " + op.Op + ": " + errno.Error()
	}
	return "broke off, or isn't HTTP"
}
