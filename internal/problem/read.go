package problem

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// MostBytes is the largest file that is read.
const MostBytes = 1 << 20

// Read reads a text file, strictly: a plain file inside fsys reached through no symbolic link, at most MostBytes,
// UTF-8 without BOM or characters that hide what a reviewer sees. Every reason against it is added to l; ok is
// whether there was none.
func Read(fsys fs.FS, path string, l *List) (b []byte, ok bool) {
	at := Pos{File: path}
	if !fs.ValidPath(path) || strings.ContainsAny(path, "\\\x00") {
		l.Add(at, "file-name", "name it relative to the repository, without .. and without a leading /",
			"this name leads out of the repository")
		return nil, false
	}
	for i := range path + "/" {
		if i < len(path) && path[i] != '/' {
			continue
		}
		info, err := fs.Lstat(fsys, path[:i])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			l.Add(at, "no-file", "", "there is no such file")
			return nil, false
		case err != nil:
			l.Add(at, "no-file", "", "can't be read: %s", reason(err))
			return nil, false
		case info.Mode()&fs.ModeSymlink != 0:
			l.Add(at, "symlink", "put the file itself there", "%s is a symbolic link", Quote(path[:i]))
			return nil, false
		case i == len(path) && !info.Mode().IsRegular():
			l.Add(at, "no-file", "", "is not a file")
			return nil, false
		}
	}
	f, err := fsys.Open(path)
	if err == nil {
		defer f.Close()
		b, err = io.ReadAll(io.LimitReader(f, MostBytes+1))
	}
	if err != nil {
		l.Add(at, "no-file", "", "can't be read: %s", reason(err))
		return nil, false
	}
	return b, IsText(path, b, l)
}

// reason is err without the path, which the position already shows.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}

// IsText says whether b is text that reads the same for a person, for YAML and for Markdown; why not is added to l.
func IsText(file string, b []byte, l *List) bool {
	at := Pos{File: file}
	const utf8Hint = "save it as UTF-8 without a byte order mark"
	switch {
	case len(b) > MostBytes:
		l.Add(at, "too-large", "split it over several files", "is larger than 1 MiB")
		return false
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		l.Add(Pos{file, 1, 1}, "encoding", utf8Hint, "begins with a byte order mark")
		return false
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		l.Add(Pos{file, 1, 1}, "encoding", utf8Hint, "is UTF-16, not UTF-8")
		return false
	}
	plain := true
	for _, c := range b {
		if c >= 0x80 || c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			plain = false
			break
		}
	}
	return plain || characters(file, b, l)
}

// characters reports the first few bytes that aren't text, with their place.
func characters(file string, b []byte, l *List) bool {
	const most = 10
	line, col, found := 1, 0, 0
	for i := 0; i < len(b) && found < most; {
		r, n := utf8.DecodeRune(b[i:])
		col++
		if what, rule := oddity(r, n, b[i:]); what != "" {
			hint := "remove it"
			if rule == "encoding" {
				hint = "save the file as UTF-8"
			}
			l.Add(Pos{file, line, col}, rule, hint, "%s", what)
			found++
		}
		if i += n; r == '\n' {
			line, col = line+1, 0
		}
	}
	return found == 0
}

func oddity(r rune, n int, rest []byte) (what, rule string) {
	switch {
	case r == utf8.RuneError && n == 1:
		return "is not UTF-8 from here on", "encoding"
	case r == 0:
		return "a NUL byte", "control-character"
	case r == '\r' && !bytes.HasPrefix(rest, []byte("\r\n")):
		return "a carriage return that ends no line", "control-character"
	case r < ' ' && r != '\n' && r != '\t' && r != '\r', r >= 0x7f && r < 0xa0:
		return "a control character (" + escape(r) + ")", "control-character"
	case r == '\u2028', r == '\u2029':
		return "a line separator (" + escape(r) + ") that some programs take for a new line", "control-character"
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return "a character (" + escape(r) + ") that changes the order in which text is shown", "control-character"
	case r == '\u200b', r == '\ufeff', r == '\u2060':
		return "an invisible character (" + escape(r) + ")", "control-character"
	case r >= 0xfffe && r&0xfffe == 0xfffe:
		return "a character (" + escape(r) + ") that isn't text", "control-character"
	}
	return "", ""
}

func escape(r rune) string {
	const hex = "0123456789ABCDEF"
	s := []byte{}
	for ; r > 0 || len(s) < 4; r >>= 4 {
		s = append([]byte{hex[r&15]}, s...)
	}
	return "U+" + string(s)
}
