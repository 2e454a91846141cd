package mysql

import (
	"encoding/binary"
	"errors"
	"io"
)

// A pipe is MySQL's packets over a connection (MySQL internals manual, client/server protocol).
type pipe struct {
	io.ReadWriter
	number byte // of the next packet
}

const longest = 1<<24 - 1 // bytes in one packet; nothing here is as long

var errLong = errors.New("the packet is too long")

func (p *pipe) read() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(p, head[:]); err != nil {
		return nil, err
	}
	n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if n == longest {
		return nil, errLong
	}
	p.number = head[3] + 1
	b := make([]byte, n)
	_, err := io.ReadFull(p, b)
	return b, err
}

// write sends packets in one go.
func (p *pipe) write(all ...[]byte) error {
	var out []byte
	for _, b := range all {
		if len(b) >= longest {
			return errLong
		}
		out = append(out, byte(len(b)), byte(len(b)>>8), byte(len(b)>>16), p.number)
		out = append(out, b...)
		p.number++
	}
	_, err := p.ReadWriter.Write(out)
	return err
}

// text is a string with its length before it.
func text(b []byte, s string) []byte {
	switch {
	case len(s) < 251:
		b = append(b, byte(len(s)))
	case len(s) < 1<<16:
		b = binary.LittleEndian.AppendUint16(append(b, 0xfc), uint16(len(s)))
	default:
		b = append(b, 0xfd, byte(len(s)), byte(len(s)>>8), byte(len(s)>>16))
	}
	return append(b, s...)
}

const autocommit = 2 // of the status

func okay() []byte { return []byte{0, 0, 0, autocommit, 0, 0, 0} }
func eof() []byte  { return []byte{0xfe, 0, 0, autocommit, 0} }

func failed(r *refusal) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{0xff}, r.code)
	return append(append(append(b, '#'), r.state...), r.text...)
}

// table is an answer with rows, all of whose columns are texts.
func table(columns int, rows [][]string) [][]byte {
	out := [][]byte{{byte(columns)}}
	for range columns {
		var b []byte
		for _, s := range []string{"def", "", "", "", "column", ""} {
			b = text(b, s)
		}
		// 12 bytes follow: utf8mb4, as long as may be, a string, no flags
		out = append(out, append(b, 0x0c, 45, 0, 0xff, 0xff, 0, 0, 0xfd, 0, 0, 0, 0, 0))
	}
	out = append(out, eof())
	for _, r := range rows {
		var b []byte
		for _, col := range r {
			b = text(b, col)
		}
		out = append(out, b)
	}
	return append(out, eof())
}
